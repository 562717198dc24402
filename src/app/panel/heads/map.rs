//! Layers by heads, coloured.

use egui::{Align2, Color32, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::Atlas;
use crate::app::paint::chart::{SCALE, describe};
use crate::app::paint::scene::{Placing, paint, paint_text};
use crate::app::panel::Context;
use crate::app::theme::{self, colour};
use crate::figure::legend;
use crate::figure::scale::fixed;
use crate::figure::scene::{Anchor, Scene};

/// Draws the map with its colour bar.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, atlas: &Atlas<'_>, room: Rect) {
    let places = |of: &dyn Fn(&crate::measure::HeadValue) -> usize| {
        let mut found: Vec<usize> = atlas.map.heads.iter().map(of).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let (layers, heads) = (places(&|head| head.id.layer), places(&|head| head.id.head));
    let (quiet, ink, accent) = (theme::quiet(ui), ui.visuals().text_color(), theme::accent(ui));
    let painter = ui.painter().clone();
    let bar = (legend::colour_bar_room(atlas.scale, f64::from(room.height().min(220.0) / SCALE)) as f32 + 8.0) * SCALE;
    let (left, foot, top) = (40.0, 32.0, 20.0);
    let size = vec2(room.width() - left - bar - 8.0, room.height() - foot - top);
    let cell = vec2((size.x / heads.len().max(1) as f32).clamp(3.0, 150.0), (size.y / layers.len().max(1) as f32).clamp(3.0, 150.0));
    let area = Rect::from_min_size(room.min + vec2(left, top), vec2(cell.x * heads.len() as f32, cell.y * layers.len() as f32));
    painter.text(pos2(area.left(), room.top()), Align2::LEFT_TOP, &atlas.label, FontId::proportional(12.5), ink);

    let by = |a: &&crate::measure::HeadValue, b: &&crate::measure::HeadValue| a.value.estimate.total_cmp(&b.value.estimate);
    let end =
        |found: Option<&crate::measure::HeadValue>| found.map_or_else(String::new, |head| format!("{} {}", atlas.name(head), head.value));
    let summary = format!(
        "{} of {} heads; largest: {}; smallest: {}",
        atlas.label,
        atlas.map.heads.len(),
        end(atlas.map.heads.iter().max_by(by)),
        end(atlas.map.heads.iter().min_by(by))
    );
    let response = ui.interact(area, ui.scope_id().with("map"), Sense::click());
    describe(&response, "Head atlas", &summary);

    let decimals = 3 - (atlas.scale.ends().1.abs().max(1e-9).log10().floor().clamp(0.0, 3.0) as usize);
    let has_numbers = cell.x >= 38.0 && cell.y >= 15.0;
    let rect_of = |head: &crate::measure::HeadValue| {
        let column = heads.iter().position(|other| *other == head.id.head).unwrap_or(0);
        let row = layers.iter().position(|other| *other == head.id.layer).unwrap_or(0);
        Rect::from_min_size(area.min + vec2(column as f32 * cell.x, row as f32 * cell.y), cell)
    };
    let gap = if cell.x.min(cell.y) > 12.0 { 1.0 } else { 0.0 };
    for head in &atlas.map.heads {
        let rect = rect_of(head);
        let tone = atlas.gradient.at(atlas.scale.place(head.value.estimate));
        painter.rect_filled(rect.shrink(gap), if gap > 0.0 { 2.0 } else { 0.0 }, colour(tone));
        if has_numbers {
            let readable = if tone.grey().rgb[0] > 130 { Color32::BLACK } else { Color32::WHITE };
            painter.text(rect.center(), Align2::CENTER_CENTER, fixed(head.value.estimate, decimals), FontId::monospace(11.0), readable);
        }
    }
    let every = |room: f32, each: f32| (room / each).ceil().max(1.0) as usize;
    for (column, head) in heads.iter().enumerate().step_by(every(22.0, cell.x)) {
        let x = area.left() + (column as f32 + 0.5) * cell.x;
        painter.text(pos2(x, area.bottom() + 3.0), Align2::CENTER_TOP, head, FontId::proportional(10.5), quiet);
    }
    for (row, layer) in layers.iter().enumerate().step_by(every(13.0, cell.y)) {
        let y = area.top() + (row as f32 + 0.5) * cell.y;
        painter.text(pos2(area.left() - 5.0, y), Align2::RIGHT_CENTER, layer, FontId::proportional(10.5), quiet);
    }
    let head_word = if atlas.of_key_heads() { "key head" } else { "head" };
    painter.text(pos2(area.center().x, area.bottom() + 16.0), Align2::CENTER_TOP, head_word, FontId::proportional(11.5), ink);
    paint_text(&painter, "layer", pos2(room.left() + 11.0, area.center().y), 11.5, ink, Anchor::Middle, true);
    colour_bar(
        &painter,
        context,
        atlas,
        Rect::from_min_size(pos2(area.right() + 8.0, area.top()), vec2(bar, area.height().clamp(60.0, 220.0))),
    );

    let hovered = response.hover_pos().and_then(|place| atlas.map.heads.iter().find(|head| rect_of(head).contains(place)));
    for head in &atlas.map.heads {
        let lit = context.hover.head.is_some_and(|other| atlas.holds(head, other));
        if atlas.is_selected(head) {
            painter.rect_stroke(rect_of(head), 2.0, Stroke::new(2.5, ui.visuals().panel_fill), StrokeKind::Outside);
            painter.rect_stroke(rect_of(head), 2.0, Stroke::new(2.0, accent), StrokeKind::Outside);
        } else if lit {
            painter.rect_stroke(rect_of(head), 2.0, Stroke::new(1.5, ink), StrokeKind::Outside);
        }
    }
    let Some(head) = hovered else { return };
    context.hover_next.head = Some((head.id.layer, atlas.heads_of(head).start));
    if response.clicked() {
        atlas.select(context, head);
    }
    response.on_hover_ui_at_pointer(|ui| atlas.told(ui, head));
}

fn colour_bar(painter: &egui::Painter, context: &Context<'_>, atlas: &Atlas<'_>, rect: Rect) {
    let mut scene = Scene::new(f64::from(rect.width() / SCALE), f64::from(rect.height() / SCALE), context.theme);
    let bar = crate::figure::scene::Rect::new(1.0, 3.0, 6.0, scene.height - 6.0);
    legend::colour_bar(&mut scene, bar, atlas.scale, atlas.gradient, "");
    paint(painter, &scene, Placing { origin: rect.min, scale: SCALE });
}

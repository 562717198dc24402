//! The tokens as words, and the minimap of the whole sequence.

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};

use super::{Rows, View};
use crate::app::data::SequenceText;
use crate::app::paint::chart::describe;
use crate::app::paint::curve::Curve;
use crate::app::paint::scene::paint_text;
use crate::app::panel::Context;
use crate::app::theme::{self, ERASE, colour};
use crate::figure::scene::Anchor;
use crate::measure::HeadGates;

/// Height of the strip when words stand upright, and when they lie.
const LYING: f32 = 20.0;
const UPRIGHT: f32 = 46.0;

/// Draws the tokens that are shown; returns where the next row begins.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, rows: &Rows<'_>, text: Option<&SequenceText>, top: f32) -> f32 {
    let (sequence, width) = (rows.focus.selection.sequence, rows.width());
    let ink = ui.visuals().text_color();
    let word = |step: usize| text.map_or("", |text| text.word(sequence, step));
    let longest = rows.visible().map(|step| crate::figure::font::width(word(step), 11.0) as f32).fold(0.0, f32::max);
    let upright = longest + 4.0 > width;
    let height = if upright { (longest + 8.0).clamp(LYING, UPRIGHT) } else { LYING };
    let row = rows.row(top, height);
    let painter = ui.painter().with_clip_rect(row.expand2(vec2(2.0, 0.0)));
    name(ui, row, "tokens");
    for step in rows.visible() {
        let cell = Rect::from_min_size(pos2(rows.edge(step as f64), top), vec2(width, height));
        if width > 3.0 {
            painter.rect_filled(cell.shrink2(vec2(0.5, 0.0)), 2.0, ui.visuals().extreme_bg_color);
        }
        let here = step == rows.focus.selection.step;
        let ink = if here { theme::accent(ui) } else { ink };
        if !upright {
            painter.text(cell.center(), Align2::CENTER_CENTER, word(step), FontId::proportional(11.0), ink);
        } else if width >= 10.0 {
            paint_text(&painter, word(step), pos2(cell.center().x + 4.0, cell.bottom() - 4.0), 11.0, ink, Anchor::Start, true);
        }
    }
    if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == sequence && width < 10.0) {
        // Too narrow for words: the one under the pointer is said at the right.
        let said = format!("{}: {}", token.step, word(token.step as usize));
        ui.painter().text(row.right_center(), Align2::RIGHT_CENTER, said, FontId::proportional(11.0), ink);
    }
    top + height
}

/// The whole sequence, small: erase strength, and a handle for the steps shown.
pub fn minimap(ui: &mut Ui, _context: &mut Context<'_>, rows: &Rows<'_>, gates: Option<&HeadGates>, area: Rect, view: &mut View) {
    let painter = ui.painter();
    painter.rect_filled(area, 3.0, ui.visuals().extreme_bg_color);
    let n = rows.n_steps as f64;
    if let Some(gates) = gates {
        let most = gates.erase_strength.iter().copied().filter(|value| value.is_finite()).fold(1e-9, f64::max);
        let curve = Curve { values: &gates.erase_strength, steps: [0.0, n], range: [0.0, most] };
        curve.paint(painter, area.shrink2(vec2(0.0, 2.0)), colour(ERASE).gamma_multiply(0.8), 1.0);
    }
    let across = |step: f64| area.left() + (step / n) as f32 * area.width();
    let here = across(rows.focus.selection.step as f64 + 0.5);
    painter.vline(here, area.y_range(), egui::Stroke::new(1.0, theme::accent(ui)));
    let [from, to] = rows.window;
    let handle = Rect::from_x_y_ranges(across(from)..=across(to), area.y_range());
    let all = to - from >= n - 0.5;
    if !all {
        painter.rect_filled(handle, 3.0, ui.visuals().text_color().gamma_multiply(0.08));
        painter.rect_stroke(handle, 3.0, egui::Stroke::new(1.0, theme::quiet(ui)), egui::StrokeKind::Inside);
    }
    let response = ui.interact(area, ui.scope_id().with("minimap"), Sense::click_and_drag());
    describe(&response, "Minimap", &format!("steps {from:.0} to {to:.0} of {n:.0} are shown"));
    let moved = !all && (response.dragged() || response.clicked());
    if let Some(place) = response.interact_pointer_pos().filter(|_| moved) {
        let middle = f64::from((place.x - area.left()) / area.width()) * n;
        view.from = (middle - (to - from) / 2.0).clamp(0.0, n - (to - from));
    }
    response.on_hover_text("The whole sequence: erase strength; drag to move the steps shown, Ctrl+wheel above to zoom");
}

/// The name of a row, at its left.
pub fn name(ui: &Ui, row: Rect, text: &str) {
    ui.painter().text(pos2(row.left() - 8.0, row.center().y), Align2::RIGHT_CENTER, text, FontId::proportional(11.0), theme::quiet(ui));
}

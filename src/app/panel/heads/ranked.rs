//! Every head with its interval, sorted.

use egui::{Align2, FontId, Rect, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

use super::{Atlas, Order};
use crate::app::panel::Context;
use crate::app::theme;
use crate::figure::scale::Scale;
use crate::measure::HeadValue;

/// Height of a row.
const ROW: f32 = 22.0;

/// Draws the rows that are in view.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, atlas: &Atlas<'_>, order: Order) {
    let mut heads: Vec<&HeadValue> = atlas.map.heads.iter().collect();
    let value = |head: &HeadValue| head.value.estimate;
    match order {
        Order::Largest => heads.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.id.cmp(&b.id))),
        Order::Smallest => heads.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.id.cmp(&b.id))),
        Order::Place => heads.sort_by_key(|head| head.id),
    }
    let ends = heads.iter().flat_map(|head| {
        let (low, high) = head.value.bounds().unwrap_or((head.value.estimate, head.value.estimate));
        [low, high]
    });
    let scale = Scale::around(ends, &[0.0]);
    ui.label(theme::heading(&format!("{}, 95 % over sequences", atlas.label)));
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().auto_shrink(false).id_salt("ranked").show_rows(ui, ROW, heads.len(), |ui, rows| {
        for head in &heads[rows] {
            row(ui, context, atlas, head, scale);
        }
    });
}

fn row(ui: &mut Ui, context: &mut Context<'_>, atlas: &Atlas<'_>, head: &HeadValue, scale: Scale) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let said = format!("{}: {} {}", atlas.name(head), atlas.label, head.value);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, said.clone()));
    let painter = ui.painter().with_clip_rect(rect);
    let (ink, quiet) = (ui.visuals().text_color(), theme::quiet(ui));
    let selected = atlas.is_selected(head);
    let lit = context.hover.head.is_some_and(|other| atlas.holds(head, other));
    if selected || lit || response.hovered() {
        painter.rect_filled(rect, 3.0, if selected { ui.visuals().selection.bg_fill } else { ui.visuals().faint_bg_color });
    }
    let middle = rect.center().y;
    let name = format!("L{} H{}", head.id.layer, head.id.head);
    painter.text(
        pos2(rect.left() + 5.0, middle),
        Align2::LEFT_CENTER,
        name,
        FontId::monospace(11.5),
        if selected { theme::accent(ui) } else { ink },
    );
    let shown = crate::figure::scale::fixed(head.value.estimate, 3);
    painter.text(pos2(rect.right() - 5.0, middle), Align2::RIGHT_CENTER, shown, FontId::monospace(11.5), ink);
    let bars = Rect::from_min_max(pos2(rect.left() + 62.0, rect.top()), pos2(rect.right() - 58.0, rect.bottom()));
    if bars.width() > 20.0 {
        let across = |value: f64| bars.left() + scale.place(value) as f32 * bars.width();
        let (zero, end) = (across(0.0), across(head.value.estimate));
        let tone = theme::colour(atlas.gradient.at(atlas.scale.place(head.value.estimate)));
        painter.rect_filled(Rect::from_two_pos(pos2(zero, middle - 5.0), pos2(end, middle + 5.0)), 1.0, tone);
        painter.vline(zero, rect.y_range(), Stroke::new(1.0, quiet.gamma_multiply(0.6)));
        if let Some((low, high)) = head.value.bounds() {
            painter.hline(across(low)..=across(high), middle, Stroke::new(1.2, ink));
            for end in [low, high] {
                painter.vline(across(end), middle - 3.0..=middle + 3.0, Stroke::new(1.2, ink));
            }
        }
    }
    if response.hovered() {
        context.hover_next.head = Some((head.id.layer, atlas.heads_of(head).start));
    }
    if response.clicked() {
        atlas.select(context, head);
    }
    response.on_hover_ui(|ui| atlas.told(ui, head));
}

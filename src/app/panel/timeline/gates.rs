//! The gates of the head: retention, write and erase strength, as curves or strips.

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};

use super::{GatesAs, Rows, strip};
use crate::app::paint::chart::describe;
use crate::app::paint::curve::Curve;
use crate::app::panel::Context;
use crate::app::theme::{self, DECAY, ERASE, WRITE, colour};
use crate::figure::colour::{Colour, Gradient};
use crate::measure::HeadGates;

/// Draws the gates; the values at the pointer (else at the step looked at) stand at the left.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, rows: &Rows<'_>, gates: Option<&HeadGates>, form: GatesAs, room: Rect) {
    let Some(gates) = gates else {
        strip::name(ui, Rect::from_min_max(pos2(rows.left, room.top()), room.max), "gates …");
        return;
    };
    let selection = rows.focus.selection;
    let at = context
        .hover
        .token
        .filter(|token| token.sequence as usize == selection.sequence)
        .map_or(selection.step, |token| token.step as usize);
    let series: [(&str, &str, Colour, &[f64]); 3] = [
        ("erase γ", "erase strength", ERASE, &gates.erase_strength),
        ("write β", "write strength", WRITE, &gates.write_strength),
        ("keep ᾱ", "retention", DECAY, &gates.retention),
    ];
    let area = Rect::from_min_max(pos2(rows.left, room.top()), pos2(rows.right, room.bottom()));
    let painter = ui.painter().with_clip_rect(area);
    match form {
        GatesAs::Curves => {
            let line = ui.visuals().widgets.noninteractive.bg_stroke;
            for level in [0.0, 0.5, 1.0] {
                painter.hline(area.x_range(), area.bottom() - level * area.height(), line);
            }
            let inner = area.shrink2(vec2(0.0, 1.0));
            for (_, _, ink, values) in series.iter().rev() {
                Curve { values, steps: rows.window, range: [0.0, 1.0] }.paint(&painter, inner, colour(*ink), 1.6);
            }
        }
        GatesAs::Strips => {
            let height = area.height() / 3.0;
            for (index, (_, _, _, values)) in series.iter().enumerate() {
                strip_of(
                    &painter,
                    rows,
                    values,
                    Rect::from_min_size(area.min + vec2(0.0, index as f32 * height), vec2(area.width(), height - 2.0)),
                );
            }
        }
    }
    let height = (room.height() / 3.0).min(18.0);
    for (index, (short, _, ink, values)) in series.iter().enumerate() {
        let middle = if form == GatesAs::Strips {
            room.top() + (index as f32 + 0.5) * room.height() / 3.0
        } else {
            room.top() + (index as f32 + 0.5) * height
        };
        let value = values.get(at).copied().unwrap_or(f64::NAN);
        let shade = theme::readable(ui, *ink);
        ui.painter().text(pos2(room.left() + 2.0, middle), Align2::LEFT_CENTER, short, FontId::proportional(11.0), shade);
        ui.painter().text(
            pos2(rows.left - 6.0, middle),
            Align2::RIGHT_CENTER,
            format!("{value:.2}"),
            FontId::monospace(11.0),
            ui.visuals().text_color(),
        );
    }
    let said: Vec<String> =
        series.iter().map(|(_, name, _, values)| format!("{name} {:.3}", values.get(at).copied().unwrap_or(f64::NAN))).collect();
    let response = ui.interact(Rect::from_min_max(room.min, pos2(rows.left, room.bottom())), ui.scope_id().with("gates"), Sense::hover());
    describe(&response, "Gates", &format!("at step {at}: {}", said.join(", ")));
    let remark = gates.remark.clone();
    response.on_hover_ui(|ui| {
        ui.label(format!("At step {at}: {}", said.join(", ")));
        if let Some(remark) = remark {
            ui.label(egui::RichText::new(remark).color(theme::quiet(ui)));
        }
    });
}

/// A row of colour, one cell a step; columns narrower than a pixel show their largest value.
fn strip_of(painter: &egui::Painter, rows: &Rows<'_>, values: &[f64], rect: Rect) {
    let every = (1.0 / (rows.width() * painter.pixels_per_point())).ceil().max(1.0) as usize;
    for first in rows.visible().step_by(every) {
        let end = (first + every).min(values.len());
        let value = values[first.min(end)..end].iter().copied().fold(0.0, f64::max);
        let cell = Rect::from_x_y_ranges(rows.edge(first as f64)..=rows.edge(end as f64), rect.y_range());
        painter.rect_filled(cell, 0.0, colour(Gradient::Viridis.at(value)));
    }
}

//! Gates of one head on both sides, over the steps of the first, and their differences.

use egui::{Align2, FontId, Rect, Sense, Stroke, Ui, pos2, vec2};

use super::{FIRST, Pair, SECOND};
use crate::app::action::Action;
use crate::app::data::GatesOf;
use crate::app::paint::chart::describe;
use crate::app::paint::curve::Curve;
use crate::app::panel::{Context, Latest};
use crate::app::selection::Token;
use crate::app::theme;
use crate::measure::HeadGates;

/// What is kept between frames.
#[derive(Default)]
pub struct Kept {
    a: Latest<HeadGates>,
    b: Latest<HeadGates>,
}

const NAMES: [&str; 3] = ["retention ᾱ", "write strength β", "erase strength γ"];

fn columns(gates: &HeadGates) -> [&Vec<f64>; 3] {
    [&gates.retention, &gates.write_strength, &gates.erase_strength]
}

impl Kept {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>, pair: &Pair<'_>) {
        let selection = pair.a.selection;
        let of_a = GatesOf { trace: pair.a.trace.clone(), layer: selection.layer, head: selection.head, sequence: selection.sequence };
        let (a, _) = self.a.update(&context.ask(&of_a));
        let b = pair.at.and_then(|place| {
            let of_b = GatesOf { trace: pair.b.clone(), layer: pair.head.0, head: pair.head.1, sequence: place.sequence };
            self.b.update(&context.ask(&of_b)).0
        });
        let Some(a) = a else {
            drop(context.show(ui, &of_a));
            return;
        };
        for (name, gates) in [("A", Some(&a)), ("B", b.as_ref())] {
            if let Some(remark) = gates.and_then(|gates| gates.remark.as_ref()) {
                ui.label(egui::RichText::new(format!("{name}: {remark}")).small().color(theme::quiet(ui)));
            }
        }
        let room = ui.available_rect_before_wrap();
        let row = (room.height() / 3.0).max(56.0);
        for (index, name) in NAMES.iter().enumerate() {
            let rect = Rect::from_min_size(room.min + vec2(0.0, index as f32 * row), vec2(room.width(), row - 18.0));
            let first = columns(&a)[index];
            let second: Option<Vec<f64>> = b.as_ref().map(|gates| {
                let values = columns(gates)[index];
                pair.steps.iter().map(|step| step.and_then(|step| values.get(step)).copied().unwrap_or(f64::NAN)).collect()
            });
            strip(ui, context, pair, rect, name, first, second.as_ref());
        }
        ui.allocate_rect(room, Sense::hover());
    }
}

/// Both curves above, the difference beneath.
fn strip(ui: &mut Ui, context: &mut Context<'_>, pair: &Pair<'_>, rect: Rect, name: &str, first: &[f64], second: Option<&Vec<f64>>) {
    let (quiet, ink) = (theme::quiet(ui), ui.visuals().text_color());
    let painter = ui.painter().clone();
    let small = FontId::proportional(11.0);
    let step = pair.a.selection.step;
    let left = rect.left() + 96.0;
    let upper = Rect::from_min_max(pos2(left, rect.top()), pos2(rect.right() - 44.0, rect.top() + rect.height() * 0.6));
    let lower = Rect::from_min_max(pos2(left, upper.bottom() + 6.0), pos2(upper.right(), rect.bottom()));
    let steps = [0.0, first.len().max(1) as f64];
    painter.text(pos2(rect.left(), upper.top()), Align2::LEFT_TOP, name, small.clone(), ink);
    let line = ui.visuals().widgets.noninteractive.bg_stroke;
    for value in [0.0, 0.5, 1.0] {
        let y = upper.bottom() - value * upper.height();
        painter.hline(upper.x_range(), y, line);
        painter.text(pos2(upper.right() + 4.0, y), Align2::LEFT_CENTER, format!("{value}"), FontId::proportional(9.5), quiet);
    }
    let curve = |values: &[f64], colour, width: f32| {
        Curve { values, steps, range: [0.0, 1.0] }.paint(&painter, upper, theme::colour(colour), width);
    };
    curve(first, FIRST, 1.4);
    let mut says = format!("A mean {:.3}", mean(first));
    let at = |values: &[f64]| values.get(step).copied().filter(|value| value.is_finite());
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    painter.text(
        pos2(rect.left(), upper.top() + 17.0),
        Align2::LEFT_TOP,
        format!("A {}", number(at(first))),
        FontId::monospace(11.0),
        theme::readable(ui, FIRST),
    );
    if let Some(second) = second {
        curve(second, SECOND, 1.4);
        painter.text(
            pos2(rect.left(), upper.top() + 32.0),
            Align2::LEFT_TOP,
            format!("B {}", number(at(second))),
            FontId::monospace(11.0),
            theme::readable(ui, SECOND),
        );
        let change: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let most = change.iter().copied().filter(|value| value.is_finite()).map(f64::abs).fold(0.0, f64::max).max(1e-6);
        painter.hline(lower.x_range(), lower.center().y, Stroke::new(1.0, quiet.gamma_multiply(0.5)));
        Curve { values: &change, steps, range: [-most, most] }.paint(&painter, lower, ink, 1.2);
        painter.text(pos2(rect.left(), lower.top()), Align2::LEFT_TOP, "A − B", small, quiet);
        let now = at(&change).map_or_else(|| "–".to_owned(), |value| format!("{value:+.3}"));
        painter.text(pos2(rect.left(), lower.top() + 14.0), Align2::LEFT_TOP, now, FontId::monospace(11.0), ink);
        painter.text(
            pos2(lower.right() + 4.0, lower.center().y),
            Align2::LEFT_CENTER,
            format!("±{most:.2}"),
            FontId::proportional(9.5),
            quiet,
        );
        says += &format!(", B mean {:.3}, mean difference {:+.3}", mean(second), mean(&change));
    }
    let whole = Rect::from_min_max(upper.min, lower.max);
    let place = |step: usize| whole.left() + (step as f32 + 0.5) / steps[1] as f32 * whole.width();
    painter.vline(place(step), whole.y_range(), Stroke::new(1.5, theme::accent(ui)));
    if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == pair.a.selection.sequence) {
        painter.vline(place(token.step as usize), whole.y_range(), Stroke::new(1.0, quiet));
    }
    let response = ui.interact(whole, ui.scope_id().with(name), Sense::click_and_drag());
    describe(&response, &format!("Compare {name}"), &says);
    if let Some(pointer) = response.hover_pos() {
        let under = (((pointer.x - whole.left()) / whole.width() * steps[1] as f32).max(0.0) as usize).min(first.len().saturating_sub(1));
        context.hover_next.token = Some(Token::new(pair.a.selection.sequence, under));
        if response.clicked() || response.dragged() {
            context.act(Action::SelectStep(under));
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len().max(1) as f64
}

//! Which answer: a list, and how much the erase looked at does to each that comes after it.

use egui::{Align2, ComboBox, FontId, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

use super::{Aim, Reading, Serves, Shared, View};
use crate::app::panel::Context;
use crate::app::theme::{self, colour};
use crate::figure::colour::{Gradient, Hues};

/// Width and height of an answer in the strip.
const CELL: egui::Vec2 = vec2(82.0, 34.0);

/// The chooser and the strip.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, shared: &Shared<'_>, view: &mut View, served: &Serves) {
    let words = &shared.sequence.words;
    let questions = words.example.as_ref().map_or(&[][..], |example| &example.questions[..]);
    let here = shared.sequence.index;
    let named = |number: usize| {
        let question = &questions[number];
        format!("{} ?  {}  (step {})", words.word(question.key), words.word(question.gold), question.position)
    };
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Answer");
        let shown = match shared.reading {
            Reading::Question(number) => named(number),
            Reading::Step(step) => format!("what is read at step {step}"),
        };
        ComboBox::from_id_salt("answer")
            .width(190.0)
            .selected_text(shown)
            .show_ui(ui, |ui| {
                for number in 0..questions.len() {
                    ui.selectable_value(&mut view.aim, Aim::Question { sequence: here, number }, named(number));
                }
                let step = shared.erase.step;
                ui.selectable_value(&mut view.aim, Aim::Read { sequence: here, step }, format!("what is read at step {step}"));
            })
            .response
            .labelled_by(label.id);
        let mut follow = view.aim == Aim::Follow;
        ui.checkbox(&mut follow, "follow the erase")
            .on_hover_text("Shows the answer that the erase looked at serves most: the one whose log-odds change most without it");
        view.aim = match (follow, view.aim, shared.reading) {
            (true, _, _) => Aim::Follow,
            (false, Aim::Follow, Reading::Question(number)) => Aim::Question { sequence: here, number },
            (false, Aim::Follow, Reading::Step(step)) => Aim::Read { sequence: here, step },
            (false, aim, _) => aim,
        };
        if !shared.has_erase {
            let rule = shared.focus.layer.rule;
            ui.label(RichText::new(format!("Layer {} ({rule}) has no erase: choose another.", shared.erase.layer)).color(theme::quiet(ui)));
        } else if !shared.reaches() {
            let text = format!("The erase of step {} comes after this answer.", shared.erase.step);
            ui.label(RichText::new(text).color(theme::quiet(ui)));
        }
    });
    strip(ui, context, shared, view, served);
}

/// A cell an answer that comes after the erase: its key, and a bar of the change without the erase.
fn strip(ui: &mut Ui, context: &Context<'_>, shared: &Shared<'_>, view: &mut View, served: &Serves) {
    let each: Vec<(usize, f64)> = match served {
        Serves::Answers(served) => served.iter().map(|served| (served.question, served.total.margin())).collect(),
        Serves::Reads(served) => served.clone(),
    };
    let words = &shared.sequence.words;
    let Some(example) = words.example.as_ref().filter(|_| !each.is_empty()) else { return };
    let signed = matches!(served, Serves::Answers(_));
    let unit = if signed { "log-odds of the right answer" } else { "share of what the head reads" };
    let largest = each.iter().fold(0.0_f64, |most, (_, change)| most.max(change.abs())).max(1e-6);
    ScrollArea::horizontal().id_salt("served").auto_shrink([false, true]).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.label(RichText::new("without this\nerase").small().color(theme::quiet(ui)));
            for (number, change) in each {
                let Some(question) = example.questions.get(number) else { continue };
                let (rect, response) = ui.allocate_exact_size(CELL, Sense::click());
                let is_shown = shared.reading == Reading::Question(number);
                let visuals = ui.style().interact_selectable(&response, is_shown);
                let painter = ui.painter();
                painter.rect_filled(rect, 4.0, if is_shown { ui.visuals().selection.bg_fill } else { visuals.weak_bg_fill });
                if is_shown {
                    painter.rect_stroke(rect, 4.0, Stroke::new(1.0, theme::accent(ui)), egui::StrokeKind::Inside);
                }
                let name = format!("{} ?", words.word(question.key));
                let ink = ui.visuals().text_color();
                painter.text(rect.left_top() + vec2(6.0, 9.0), Align2::LEFT_CENTER, &name, FontId::proportional(11.0), ink);
                let number_text = if signed { format!("{change:+.2}") } else { format!("{:.0} %", 100.0 * change) };
                let quiet = theme::quiet(ui);
                painter.text(rect.right_top() + vec2(-6.0, 9.0), Align2::RIGHT_CENTER, &number_text, FontId::monospace(10.0), quiet);
                bar(ui, context, rect, change / largest, signed);
                response.widget_info(|| {
                    let said = format!("Answer {number}, {name} at step {}: {number_text} {unit} without the erase", question.position);
                    egui::WidgetInfo::selected(egui::Role::Button, true, is_shown, said)
                });
                if response.clicked() {
                    view.aim = Aim::Question { sequence: shared.sequence.index, number };
                }
                let gold = words.word(question.gold);
                response.on_hover_text(format!(
                    "{name} at step {}, right: {gold}. Without the erase the {unit} changes by {number_text}. Click to keep to this answer.",
                    question.position
                ));
            }
        });
    });
}

/// A bar from the middle, in the colours of the map: red where the answer loses without the erase.
fn bar(ui: &Ui, context: &Context<'_>, cell: Rect, share: f64, signed: bool) {
    let line = Rect::from_min_max(pos2(cell.left() + 6.0, cell.bottom() - 11.0), pos2(cell.right() - 6.0, cell.bottom() - 5.0));
    let painter = ui.painter();
    painter.rect_filled(line, 1.0, ui.visuals().extreme_bg_color);
    let reach = line.width() * share as f32 * if signed { 0.5 } else { 1.0 };
    let from = if signed { line.center().x } else { line.left() };
    let rect = Rect::from_x_y_ranges(from.min(from + reach)..=from.max(from + reach), line.y_range());
    painter.rect_filled(rect, 1.0, signed_colour(context, share, signed));
}

/// The colour of a change: the map's two ends, so that small ones can be seen too.
pub fn signed_colour(context: &Context<'_>, change: f64, signed: bool) -> egui::Color32 {
    let place = match (signed, change < 0.0) {
        (false, _) => return colour(theme::ERASE),
        (true, true) => 0.12,
        (true, false) => 0.88,
    };
    colour(Gradient::signed(context.theme, Hues::RedBlue).at(place))
}

//! Answers and probabilities on both sides: by condition, and of the sequence looked at.

use egui::{Grid, RichText, ScrollArea, Ui};

use super::{FIRST, Pair, SECOND};
use crate::app::data::{AnswersOf, SequenceText, TextOf};
use crate::app::panel::Context;
use crate::app::theme;
use crate::figure::accuracy::{Answers, ConditionAnswers};
use crate::figure::{Estimate, Labelled};
use crate::measure::{AnswerDifference, Difference, Interval};
use crate::task::Condition;

/// Draws the page.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, pair: &Pair<'_>) {
    let Some(found) = context.show(ui, &AnswersOf { pair: pair.key() }) else { return };
    ScrollArea::both().auto_shrink(false).id_salt("answers").show(ui, |ui| {
        for (title, of) in SHOWN {
            table(ui, title, &found, of);
            ui.add_space(8.0);
        }
        of_sequence(ui, context, pair);
    });
}

/// A number of a condition, if it has it.
type Of = fn(&AnswerDifference) -> Option<Difference>;

const SHOWN: [(&str, Of); 4] = [
    ("Right answers, share", |row| Some(row.accuracy)),
    ("Stale answers, share", |row| row.stale_intrusion),
    ("Log-probability of the right answer [nats]", |row| Some(row.gold_log_probability)),
    ("Log-probability of the stale values [nats]", |row| row.stale_log_probability),
];

fn name(condition: Option<Condition>) -> String {
    condition.map_or_else(|| "all".to_owned(), |condition| format!("{} {}", condition.letter(), condition.name().replace('_', " ")))
}

fn table(ui: &mut Ui, title: &str, found: &[AnswerDifference], of: Of) {
    ui.label(theme::heading(title));
    Grid::new(title).num_columns(5).striped(true).spacing([18.0, 3.0]).show(ui, |ui| {
        for (head, colour) in
            [("condition", None), ("sequences", None), ("A", Some(FIRST)), ("B", Some(SECOND)), ("A − B inside pairs", None)]
        {
            let ink = colour.map_or_else(|| theme::quiet(ui), theme::colour);
            ui.label(RichText::new(head).small().strong().color(ink));
        }
        ui.end_row();
        for row in found {
            let Some(numbers) = of(row) else { continue };
            ui.label(name(row.condition));
            ui.label(theme::number(format!("{} / {}", row.n_sequences[0], row.n_sequences[1])));
            ui.label(theme::number(numbers.a.to_string()));
            ui.label(theme::number(numbers.b.to_string()));
            let told = numbers.difference.covers(0.0) == Some(false);
            let text = theme::number(words(&numbers.difference));
            ui.label(if told { text.strong() } else { text });
            ui.end_row();
        }
    });
}

fn words(difference: &Interval) -> String {
    match difference.bounds() {
        Some((low, high)) => format!("{:+.3} [{low:+.3}, {high:+.3}] of {} pairs", difference.estimate, difference.n),
        None => format!("{:+.3}, not paired", difference.estimate),
    }
}

/// The questions of the sequence looked at, with both answers.
fn of_sequence(ui: &mut Ui, context: &mut Context<'_>, pair: &Pair<'_>) {
    let (a, b) = (context.ask(&TextOf { trace: pair.a.trace.clone() }), context.ask(&TextOf { trace: pair.b.clone() }));
    let (Some(a), Some(b), Some(place)) = (a.ready(), b.ready(), pair.at) else { return };
    let sequence = pair.a.selection.sequence;
    let Some(example) = a.example(sequence) else { return };
    ui.label(theme::heading(&format!("Questions of sequence {sequence}")));
    let answer = |text: &SequenceText, sequence: usize, question: usize| text.answers.as_ref()?.get(sequence)?.get(question).copied();
    Grid::new("questions").num_columns(6).striped(true).spacing([18.0, 3.0]).show(ui, |ui| {
        for head in ["step", "right", "A says", "B says", "p of right: A, B", "p of stale: A, B"] {
            ui.label(RichText::new(head).small().strong().color(theme::quiet(ui)));
        }
        ui.end_row();
        for (number, question) in example.questions.iter().enumerate() {
            let said = [answer(a, sequence, number), answer(b, place.sequence, number)];
            if ui.link(question.position.to_string()).on_hover_text("Look at this step").clicked() {
                context.act(crate::app::action::Action::SelectStep(question.position));
            }
            ui.label(a.word_of(sequence, question.gold));
            for ((said, text), row) in said.iter().zip([a, b]).zip([sequence, place.sequence]) {
                let Some(said) = said else {
                    ui.label("–");
                    continue;
                };
                let word = text.word_of(row, said.predicted);
                let ink =
                    if said.predicted == question.gold { theme::colour(crate::figure::colour::GREEN) } else { ui.visuals().warn_fg_color };
                ui.label(RichText::new(word).color(ink));
            }
            let share = |log: Option<f64>| log.map_or_else(|| "–".to_owned(), |log| format!("{:.3}", log.exp()));
            let gold = said.map(|said| share(said.map(|said| said.gold_log_probability)));
            let stale = said.map(|said| share(said.and_then(|said| said.stale_log_probability)));
            ui.label(theme::number(gold.join(", ")));
            ui.label(theme::number(stale.join(", ")));
            ui.end_row();
        }
    });
}

/// For the figure of answers by condition.
pub fn figure(found: &[AnswerDifference], names: [&str; 2]) -> Vec<Labelled<Answers>> {
    let side = |of: fn(&Difference) -> Interval| Answers {
        conditions: found
            .iter()
            .filter_map(|row| {
                let condition = row.condition?;
                Some(ConditionAnswers {
                    condition: condition.letter().to_string(),
                    meaning: condition.name().replace('_', " "),
                    accuracy: Estimate::from(&of(&row.accuracy)),
                    stale: row.stale_intrusion.as_ref().map(|found| Estimate::from(&of(found))),
                    foil: None,
                })
            })
            .collect(),
    };
    vec![Labelled::new(names[0], side(|found| found.a)), Labelled::new(names[1], side(|found| found.b))]
}

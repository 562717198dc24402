//! The truth table over the steps: a lane a key, a bar a value while it is true, pale once it is stale, and the questions.

use std::collections::BTreeMap;

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};

use super::Rows;
use crate::app::action::Action;
use crate::app::data::SequenceText;
use crate::app::panel::Context;
use crate::app::theme::{self, WRITE, colour};
use crate::task::Example;

/// Height of a lane.
pub const LANE: f32 = 13.0;

/// Draws the lanes that fit; returns where the next row begins.
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    rows: &Rows<'_>,
    text: Option<&SequenceText>,
    example: &Example,
    top: f32,
    most: usize,
) -> f32 {
    let mut lanes: BTreeMap<u32, usize> = BTreeMap::new();
    let mut order: Vec<(usize, u32)> = example.writes.iter().map(|write| (write.position, write.key)).collect();
    order.extend(example.questions.iter().map(|question| (question.position, question.key)));
    order.sort_unstable();
    for (_, key) in order {
        let next = lanes.len();
        lanes.entry(key).or_insert(next);
    }
    let shown = lanes.len().min(most);
    for (key, lane) in lanes.iter().filter(|(_, lane)| **lane < shown) {
        let y = top + (*lane as f32 + 0.5) * LANE;
        ui.painter().text(
            pos2(rows.left - 8.0, y),
            Align2::RIGHT_CENTER,
            word(rows, text, *key),
            FontId::proportional(11.0),
            theme::quiet(ui),
        );
    }
    let clip = Rect::from_min_max(pos2(rows.left, top), pos2(rows.right, top + shown as f32 * LANE));
    let facts = Facts { rows, text, example, clip, lanes: &lanes, shown };
    facts.writes(ui, context);
    facts.questions(ui, context);
    if lanes.len() > shown {
        let more = format!("{} more", lanes.len() - shown);
        let place = pos2(rows.left - 8.0, clip.bottom() + 5.0);
        ui.painter().text(place, Align2::RIGHT_CENTER, more, FontId::proportional(10.0), theme::quiet(ui));
        return clip.bottom() + LANE;
    }
    clip.bottom()
}

fn word(rows: &Rows<'_>, text: Option<&SequenceText>, token: u32) -> String {
    text.map_or_else(|| format!("#{token}"), |text| text.word_of(rows.focus.selection.sequence, token))
}

/// What is drawn of a sequence's truth table, and where.
struct Facts<'a> {
    rows: &'a Rows<'a>,
    text: Option<&'a SequenceText>,
    example: &'a Example,
    clip: Rect,
    /// The lane of each key.
    lanes: &'a BTreeMap<u32, usize>,
    /// As many lanes are shown.
    shown: usize,
}

impl Facts<'_> {
    fn lane_of(&self, key: u32) -> Option<usize> {
        self.lanes.get(&key).copied().filter(|lane| *lane < self.shown)
    }

    /// A bar a fact; a click follows its write.
    fn writes(&self, ui: &mut Ui, context: &mut Context<'_>) {
        let Self { rows, example, clip, .. } = *self;
        let word = |token: u32| word(rows, self.text, token);
        let (top, fresh) = (clip.top(), colour(WRITE));
        let painter = ui.painter().with_clip_rect(clip.expand(1.0));
        for write in &example.writes {
            let Some(lane) = self.lane_of(write.key) else { continue };
            let y = top + lane as f32 * LANE;
            let end = write.stale_at().unwrap_or(rows.n_steps);
            let bar = |from: usize, to: usize, inset: f32| {
                Rect::from_min_max(pos2(rows.edge(from as f64), y + inset), pos2(rows.edge(to as f64), y + LANE - inset))
            };
            let current = bar(write.position, end, 2.0);
            painter.rect_filled(current, 2.0, fresh.gamma_multiply(0.45));
            if end < rows.n_steps {
                painter.rect_filled(bar(end, rows.n_steps, 5.0), 1.0, theme::quiet(ui).gamma_multiply(0.28));
            }
            let name = word(write.value);
            if current.width() > crate::figure::font::width(&name, 10.0) as f32 + 6.0 {
                painter.text(
                    current.left_center() + vec2(3.0, 0.0),
                    Align2::LEFT_CENTER,
                    &name,
                    FontId::proportional(10.0),
                    ui.visuals().text_color(),
                );
            }
            if rows.focus.selection.write == Some(write.position) {
                painter.rect_stroke(current, 2.0, egui::Stroke::new(1.5, theme::accent(ui)), egui::StrokeKind::Inside);
            }
            let touch = current.intersect(clip);
            if touch.width() > 0.0 && touch.height() > 0.0 {
                let response = ui.interact(touch, ui.scope_id().with(("write", write.id)), Sense::click());
                response.widget_info(|| {
                    egui::WidgetInfo::labeled(
                        egui::Role::Button,
                        true,
                        format!("Write of {name} at {}, step {}", word(write.key), write.position),
                    )
                });
                if response.clicked() {
                    context.act(Action::SelectWrite(Some(write.position)));
                    context.act(Action::SelectStep(write.position));
                }
                let stale = write.stale_at().map_or_else(|| "true to the end".to_owned(), |step| format!("stale from step {step}"));
                response.on_hover_text(format!(
                    "{} holds {name} from step {}; {stale}. Click to follow this write.",
                    word(write.key),
                    write.position
                ));
            }
        }
    }

    /// A mark a question, red where the answer was wrong.
    fn questions(&self, ui: &mut Ui, context: &mut Context<'_>) {
        let Self { rows, text, example, clip, .. } = *self;
        let word = |token: u32| word(rows, text, token);
        let (top, sequence) = (clip.top(), rows.focus.selection.sequence);
        let painter = ui.painter().with_clip_rect(clip.expand(1.0));
        for (index, question) in example.questions.iter().enumerate() {
            let Some(lane) = self.lane_of(question.key) else { continue };
            let centre = pos2(rows.edge(question.position as f64) + rows.width() / 2.0, top + (lane as f32 + 0.5) * LANE);
            let answer = text.and_then(|text| text.answers.as_ref()?.get(sequence)?.get(index).copied());
            let right = answer.map(|answer| answer.predicted == question.gold);
            let ink = match right {
                Some(false) => ui.visuals().error_fg_color,
                _ => ui.visuals().text_color(),
            };
            painter.circle_filled(centre, 5.5, ui.visuals().panel_fill);
            painter.text(centre, Align2::CENTER_CENTER, "?", FontId::proportional(11.0), ink);
            let touch = Rect::from_center_size(centre, vec2(12.0, LANE)).intersect(clip);
            if touch.width() > 0.0 {
                let response = ui.interact(touch, ui.scope_id().with(("question", index)), Sense::click());
                let said = match (answer, right) {
                    (Some(answer), Some(right)) => format!(
                        "The model says {} ({}); log-probability of the right answer {:.2}",
                        word(answer.predicted),
                        if right { "right" } else { "wrong" },
                        answer.gold_log_probability
                    ),
                    _ => "the answer was not recorded".to_owned(),
                };
                let whole = format!(
                    "Question {index} at step {}: {}? Right answer {}. {said}.",
                    question.position,
                    word(question.key),
                    word(question.gold)
                );
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, whole.clone()));
                if response.clicked() {
                    context.act(Action::SelectStep(question.position));
                }
                response.on_hover_text(whole);
            }
        }
    }
}

//! What the model says under the changes, beside what it says undisturbed.

use egui::{Align2, FontId, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};

use super::{KnockoutsPanel, Shared, View, answer_colour, dose, what_if};
use crate::app::data::{DoseOf, EventOf, Handle, Model, WhatIf, WhatIfOf};
use crate::app::jobs::Answer;
use crate::app::panel::Context;
use crate::app::theme;
use crate::intervene::{Intervention, probability};
use crate::task::Question;

/// Likely tokens shown beside the right, the stale and the never-written ones.
const OTHERS: usize = 4;
/// Probabilities below this are at the left end of a logarithmic bar.
const LEAST: f64 = 1e-6;

impl KnockoutsPanel {
    pub(super) fn outcome(
        &mut self,
        ui: &mut Ui,
        context: &mut Context<'_>,
        shared: &Shared<'_>,
        view: &mut View,
        model: &Handle<Model>,
        (number, edits): (usize, &[Intervention]),
    ) {
        ui.add_space(6.0);
        self.removed(ui, context, shared);
        let sequence = shared.sequence.clone();
        let ask = WhatIfOf { model: model.clone(), sequence: sequence.clone(), question: number, edits: what_if::key(edits) };
        let asked = context.ask(&ask);
        let (found, is_this) = self.what_if.update(&asked);
        match (&found, &asked) {
            (Some(found), _) => {
                let Ok(question) = shared.sequence.words.question(number) else { return };
                bars(ui, shared, view, model, question, found, is_this);
            }
            (None, Answer::Failed(said)) => {
                ui.label(RichText::new(&**said).color(ui.visuals().error_fg_color));
            }
            (None, _) => theme::progress(ui, None, 120.0),
        }
        let beside = what_if::key(&what_if::beside(shared, view));
        let ask = DoseOf { model: model.clone(), sequence, question: number, beside, target: what_if::target(shared, view) };
        let asked = context.ask(&ask);
        let (curve, is_this) = self.dose.update(&asked);
        match (&curve, &asked) {
            (Some(curve), _) => dose::ui(ui, context, view, curve, is_this),
            (None, Answer::Failed(_)) => {}
            (None, _) => theme::progress(ui, None, 120.0),
        }
    }

    /// What the erase looked at removed, by the ledger.
    fn removed(&mut self, ui: &mut Ui, context: &Context<'_>, shared: &Shared<'_>) {
        if !shared.reaches() {
            return;
        }
        let erase = shared.erase;
        let ask =
            EventOf { sequence: shared.sequence.clone(), layer: erase.layer, head: erase.head, step: erase.step, read: shared.step() };
        let (event, _) = self.event.update(&context.ask(&ask));
        if let Some(event) = event.filter(|event| (event.layer, event.head, event.at.step) == (erase.layer, erase.head, erase.step)) {
            ui.label(event.what());
            ui.label(RichText::new(event.without()).small().color(theme::quiet(ui)));
        }
    }
}

/// A row of the table of answers: what kind, its words, its log-probability as it is, under the changes, and through the read alone.
struct Row {
    kind: usize,
    words: String,
    logs: [f64; 3],
}

fn rows(shared: &Shared<'_>, model: &Model, question: &Question, found: &WhatIf) -> Vec<Row> {
    let words = &shared.sequence.words;
    let word = |token: u32| model.word(token).map_or_else(|| words.word(token), str::to_owned);
    let any = |tokens: &[u32]| tokens.iter().map(|&token| word(token)).collect::<Vec<_>>().join(" or ");
    let scores = [&found.as_it_is.scores, &found.total.scores, &found.direct.scores];
    let mut rows = vec![Row { kind: 0, words: word(question.gold), logs: scores.map(|scores| scores.gold) }];
    if let [Some(a), Some(b), Some(c)] = scores.map(|scores| scores.stale) {
        rows.push(Row { kind: 1, words: any(&question.stale), logs: [a, b, c] });
    }
    if let [Some(a), Some(b), Some(c)] = scores.map(|scores| scores.foil) {
        rows.push(Row { kind: 2, words: any(question.matched_foils()), logs: [a, b, c] });
    }
    let named = |token: u32| token == question.gold || question.stale.contains(&token);
    let likely = found.likeliest(OTHERS + 1 + question.stale.len()).into_iter().filter(|token| !named(*token)).take(OTHERS);
    let said = [&found.as_it_is, &found.total, &found.direct];
    rows.extend(likely.map(|token| Row { kind: 3, words: word(token), logs: said.map(|said| said.log_probabilities[token as usize]) }));
    rows
}

const KINDS: [&str; 4] = ["right", "stale", "never written", "other"];

fn bars(ui: &mut Ui, shared: &Shared<'_>, view: &mut View, model: &Model, question: &Question, found: &WhatIf, is_this: bool) {
    let words = &shared.sequence.words;
    let word = |token: u32| model.word(token).map_or_else(|| words.word(token), str::to_owned);
    let (before, after) = (word(found.as_it_is.scores.predicted), word(found.total.scores.predicted));
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        let said = if before == after { format!("It still answers {after}.") } else { format!("It answers {after} instead of {before}.") };
        let strong = RichText::new(said).strong();
        ui.label(if before == after { strong } else { strong.color(theme::accent(ui)) });
        let change = found.total.scores.minus(&found.as_it_is.scores).margin();
        let direct = found.direct.scores.minus(&found.as_it_is.scores).margin();
        ui.label(format!("Log-odds {change:+.2} nats, {direct:+.2} through this read alone."));
        ui.checkbox(&mut view.log, "log").on_hover_text("Bars on a logarithmic scale from one in a million");
        if !is_this {
            ui.spinner();
        }
    });
    let (log, quiet) = (view.log, theme::quiet(ui));
    let place = |value: f64| {
        let p = value.exp();
        (if log { 1.0 - (p.max(LEAST).ln() / LEAST.ln()) } else { p }).clamp(0.0, 1.0) as f32
    };
    for row in rows(shared, model, question, found) {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 19.0), Sense::hover());
        let [as_it_is, total, direct] = row.logs;
        let numbers = format!("{} → {}", probability(as_it_is), probability(total));
        let said = format!("p({} {}) {numbers}, {:+.2} nats", KINDS[row.kind], row.words, total - as_it_is);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &said));
        let painter = ui.painter();
        let ink = ui.visuals().text_color();
        let names = rect.left() + (rect.width() * 0.34).min(150.0);
        let clipped = painter.with_clip_rect(Rect::from_min_max(rect.min, pos2(names - 4.0, rect.bottom())));
        let name = clipped.text(rect.left_center(), Align2::LEFT_CENTER, &row.words, FontId::proportional(12.5), ink);
        clipped.text(pos2(name.right() + 6.0, rect.center().y), Align2::LEFT_CENTER, KINDS[row.kind], FontId::proportional(10.5), quiet);
        let area = Rect::from_min_max(pos2(names, rect.top() + 3.0), pos2((rect.right() - 118.0).max(names + 10.0), rect.bottom() - 3.0));
        painter.rect_filled(area, 2.0, ui.visuals().extreme_bg_color);
        let fill = answer_colour(ui, row.kind);
        let part = |value: f64, from: f32, to: f32| {
            let right = area.left() + area.width() * place(value);
            Rect::from_min_max(pos2(area.left(), area.top() + area.height() * from), pos2(right, area.top() + area.height() * to))
        };
        painter.rect_filled(part(as_it_is, 0.0, 0.36), 1.0, fill.gamma_multiply(0.45));
        painter.rect_filled(part(total, 0.44, 1.0), 1.0, fill);
        let through = area.left() + area.width() * place(direct);
        painter.vline(through, area.top() + area.height() * 0.36..=area.bottom() + 2.0, Stroke::new(1.5, ink));
        painter.text(rect.right_center(), Align2::RIGHT_CENTER, &numbers, FontId::monospace(11.0), ink);
        response.on_hover_text(format!("{said}. Pale: as it is. Line: only through what is read at the question itself."));
    }
    let legend = "pale: as it is   solid: the network run again   line: through this read alone";
    ui.label(RichText::new(legend).small().color(quiet));
}

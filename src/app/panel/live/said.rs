//! What the model says comes next, branch beside branch, and along the whole sequence.

use std::collections::BTreeSet;

use egui::{Align2, FontId, Rect, RichText, Sense, Ui, pos2, vec2};

use super::prompt::append;
use super::{Line, Reads, View};
use crate::app::action::Action;
use crate::app::data::Model;
use crate::app::paint::chart::Chart;
use crate::app::panel::Context;
use crate::app::theme::{self, colour};
use crate::figure::axes::{Frame, SeriesPoint};
use crate::figure::colour::category;
use crate::figure::scale::Scale;
use crate::intervene::probability;

/// Tokens shown.
const MOST: usize = 7;
/// Branches that are drawn.
const BRANCHES: usize = 4;

/// The table and the curve.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, view: &mut View, model: &Model, lines: &[Line], at: usize) {
    let shown: Vec<&Line> = lines.iter().filter(|line| line.run.is_some()).take(BRANCHES).collect();
    if shown.is_empty() {
        return;
    }
    ui.add_space(6.0);
    table(ui, view, model, &shown, at);
    curve(ui, context, &shown, at);
}

fn name(line: &Line) -> String {
    if line.branch == 0 { "as it is".to_owned() } else { format!("branch {}", line.branch) }
}

/// The likeliest tokens in any branch.
fn table(ui: &mut Ui, view: &mut View, model: &Model, shown: &[&Line], at: usize) {
    let word = |token: u32| model.word(token).map_or_else(|| format!("token {token}"), str::to_owned);
    let read = shown[0].drawn.words.get(at).map_or_else(String::new, |word| format!(" '{word}'"));
    ui.label(theme::heading(&format!("What comes after step {at}{read}")));
    if let Some(question) = shown[0].drawn.example.questions.iter().find(|question| question.position == at) {
        let stale: Vec<String> = question.stale.iter().map(|&token| word(token)).collect();
        let once = if stale.is_empty() { String::new() } else { format!(", once {}", stale.join(", ")) };
        ui.label(RichText::new(format!("Asked: {} ? Right: {}{once}.", word(question.key), word(question.gold))).color(theme::quiet(ui)));
    }
    let mut highest: Vec<(u32, f64)> = Vec::new();
    let mut seen = BTreeSet::new();
    for line in shown {
        for (token, log) in line.run.as_ref().map(|run| run.likeliest(at, MOST)).unwrap_or_default() {
            if seen.insert(token) {
                highest.push((token, log));
            }
        }
    }
    let of = |line: &Line, token: u32| line.run.as_ref().and_then(|run| run.of(at, token));
    let best = |token: u32| shown.iter().filter_map(|line| of(line, token)).fold(f64::NEG_INFINITY, f64::max);
    highest.sort_by(|a, b| best(b.0).total_cmp(&best(a.0)));
    ui.horizontal_wrapped(|ui| {
        for (n, line) in shown.iter().enumerate() {
            ui.label(RichText::new(name(line)).small().color(colour(category(n))));
        }
    });
    for (token, _) in highest.into_iter().take(MOST) {
        let height = 9.0 + 6.0 * shown.len() as f32;
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height.max(17.0)), Sense::click());
        let ink = ui.visuals().text_color();
        let logs: Vec<Option<f64>> = shown.iter().map(|line| of(line, token)).collect();
        let each: Vec<String> = shown
            .iter()
            .zip(&logs)
            .map(|(line, log)| format!("{} {}", name(line), log.map_or_else(|| "not there".to_owned(), probability)))
            .collect();
        let said = format!("p({}): {}", word(token), each.join(", "));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &said));
        let painter = ui.painter();
        if response.hovered() {
            painter.rect_filled(rect.expand2(vec2(4.0, 0.0)), 3.0, ui.visuals().widgets.hovered.weak_bg_fill);
        }
        let left = rect.left() + (rect.width() * 0.2).clamp(60.0, 120.0);
        let area = Rect::from_min_max(
            pos2(left, rect.top() + 3.0),
            pos2((rect.right() - 66.0 * shown.len() as f32).max(left + 20.0), rect.bottom() - 3.0),
        );
        painter.text(rect.left_center(), Align2::LEFT_CENTER, word(token), FontId::proportional(12.5), ink);
        painter.rect_filled(area, 2.0, ui.visuals().extreme_bg_color);
        let each = area.height() / shown.len() as f32;
        for (n, log) in logs.iter().enumerate() {
            let Some(log) = log else { continue };
            let top = area.top() + n as f32 * each;
            let bar = Rect::from_min_size(pos2(area.left(), top), vec2(area.width() * log.exp() as f32, (each - 1.0).max(2.0)));
            painter.rect_filled(bar, 1.0, colour(category(n)));
            let right = rect.right() - 66.0 * (shown.len() - 1 - n) as f32;
            painter.text(pos2(right, rect.center().y), Align2::RIGHT_CENTER, probability(*log), FontId::monospace(11.0), ink);
        }
        let text = if view.reads == Reads::Text {
            "Click to let the model read it next."
        } else {
            "In a text of your own, a click lets the model read it next."
        };
        if response.clicked() && view.reads == Reads::Text {
            append(&mut view.text, &word(token));
            view.steps = view.steps.map(|steps| steps + 1);
        }
        response.on_hover_text(format!("{said}. {text}"));
    }
}

/// How probable each next token was, along the sequence.
fn curve(ui: &mut Ui, context: &mut Context<'_>, shown: &[&Line], at: usize) {
    let n_steps = shown.iter().filter_map(|line| line.run.as_ref()).map(|run| run.said.len()).max().unwrap_or(0);
    let next = |line: &Line| -> Vec<SeriesPoint> {
        let Some(run) = &line.run else { return Vec::new() };
        let questions = &line.drawn.example.questions;
        let tokens = &line.drawn.example.tokens;
        // Where something is asked the right answer counts; elsewhere what was read next.
        let wanted = |step: usize| match questions.iter().find(|question| question.position == step) {
            Some(question) => Some(question.gold),
            None if questions.is_empty() => tokens.get(step + 1).copied(),
            None => None,
        };
        let point = |step: usize| Some(SeriesPoint { x: step as f64, y: run.of(step, wanted(step)?)?.exp(), interval: None });
        (0..run.said.len()).filter_map(point).collect()
    };
    let series: Vec<Vec<SeriesPoint>> = shown.iter().map(|line| next(line)).collect();
    if series.iter().all(Vec::is_empty) {
        return;
    }
    ui.add_space(6.0);
    let asked = shown.iter().any(|line| !line.drawn.example.questions.is_empty());
    let what = if asked { "p of the right answer, at each question" } else { "p of the token that came next" };
    ui.label(theme::heading(what));
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 120.0), Sense::hover());
    let frame = Frame { x_label: "step".to_owned(), y_label: "p".to_owned(), ..Frame::default() };
    let x = Scale::linear(0.0, (n_steps.max(2) - 1) as f64);
    let mut chart = Chart::fit(rect, context.theme, x, Scale::linear(0.0, 1.0), frame);
    let painter = ui.painter_at(rect);
    chart.grid(&painter);
    chart.draw(&painter, |panel, scene| {
        for (n, points) in series.iter().enumerate() {
            panel.series(scene, points, n, category(n));
        }
    });
    painter.vline(chart.across(at as f64), chart.area.y_range(), egui::Stroke::new(1.0, theme::accent(ui)));
    chart.axes(&painter);
    let told: Vec<String> = shown
        .iter()
        .zip(&series)
        .filter(|(_, points)| !points.is_empty())
        .map(|(line, points)| format!("{}: mean {:.3}", name(line), points.iter().map(|point| point.y).sum::<f64>() / points.len() as f64))
        .collect();
    let response = chart.sense(ui, "along", Sense::click(), what, &told.join("; "));
    if let Some(place) = response.interact_pointer_pos().filter(|_| response.clicked()) {
        let [step, _] = chart.numbers(place);
        context.act(Action::SelectToken { sequence: 0, step: (step.round().max(0.0) as usize).min(n_steps.saturating_sub(1)) });
    }
}

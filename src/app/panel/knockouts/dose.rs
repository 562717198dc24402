//! The answer at every dose of the erases that the slider is about.

use egui::{RichText, Sense, Ui, vec2};

use super::View;
use crate::app::paint::chart::Chart;
use crate::app::panel::Context;
use crate::app::theme;
use crate::figure::axes::{Frame, SeriesPoint};
use crate::figure::colour::category;
use crate::figure::scale::Scale;
use crate::intervene::{Scores, probability};

const NAMES: [&str; 3] = ["right", "stale", "never written"];

/// Draws the curve; a click or drag on it is the slider.
pub fn ui(ui: &mut Ui, context: &Context<'_>, view: &mut View, curve: &[(f64, Scores)], is_this: bool) {
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        ui.label(theme::heading("Dose"));
        for (n, name) in NAMES.iter().enumerate().filter(|(n, _)| *n != 1 || curve.iter().any(|(_, scores)| scores.stale.is_some())) {
            ui.label(RichText::new(*name).small().color(super::answer_colour(ui, n)));
        }
        if !is_this {
            ui.spinner();
        }
    });
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 150.0), Sense::hover());
    let pick = |scores: &Scores, n: usize| match n {
        0 => Some(scores.gold),
        1 => scores.stale,
        _ => scores.foil,
    };
    let height = |log: f64| if view.log { (log / std::f64::consts::LN_10).max(-12.0) } else { log.exp() };
    let all = curve.iter().flat_map(|(_, scores)| (0..3).filter_map(|n| pick(scores, n)));
    let y = if view.log { Scale::around(all.map(height), &[0.0]) } else { Scale::linear(0.0, 1.0) };
    let frame = Frame {
        x_label: "factor c of γ := c γ".to_owned(),
        y_label: if view.log { "log10 p".to_owned() } else { "p".to_owned() },
        ..Frame::default()
    };
    let mut chart = Chart::fit(rect, context.theme, Scale::linear(0.0, 2.0), y, frame);
    let painter = ui.painter_at(rect);
    chart.grid(&painter);
    chart.draw(&painter, |panel, scene| {
        let quiet = scene.theme.quiet();
        panel.upright(scene, 1.0, quiet, Some([2.0, 1.6]));
        for n in (0..3).rev() {
            let points: Vec<SeriesPoint> = curve
                .iter()
                .filter_map(|(factor, scores)| Some(SeriesPoint { x: *factor, y: height(pick(scores, n)?), interval: None }))
                .collect();
            panel.series(scene, &points, n, category(n));
        }
    });
    let x = chart.across(view.factor);
    painter.vline(x, chart.area.y_range(), egui::Stroke::new(1.5, theme::accent(ui)));
    chart.axes(&painter);
    let response = chart.sense(ui, "dose", Sense::click_and_drag(), "Dose curve", &told(curve));
    if let Some(place) = response.interact_pointer_pos().filter(|_| response.clicked() || response.dragged()) {
        let [factor, _] = chart.numbers(place);
        view.factor = (factor.clamp(0.0, 2.0) * 100.0).round() / 100.0;
    }
    if let Some([factor, _]) = response.hover_pos().map(|place| chart.numbers(place))
        && let Some((factor, scores)) = curve.iter().min_by(|a, b| (a.0 - factor).abs().total_cmp(&(b.0 - factor).abs()))
    {
        let each = (0..3).filter_map(|n| Some(format!("{} {}", NAMES[n], probability(pick(scores, n)?))));
        response.on_hover_text(format!("× {factor:.1}: p {}", each.collect::<Vec<_>>().join(", p ")));
    }
}

fn told(curve: &[(f64, Scores)]) -> String {
    let at = |wanted: f64| curve.iter().find(|(factor, _)| (factor - wanted).abs() < 1e-9);
    let one = |wanted: f64| {
        let (factor, scores) = at(wanted)?;
        let stale = scores.stale.map_or_else(String::new, |stale| format!(", of a stale one {}", probability(stale)));
        Some(format!("at factor {factor} the probability of the right answer is {}{stale}", probability(scores.gold)))
    };
    [0.0, 0.5, 1.0, 1.5, 2.0].into_iter().filter_map(one).collect::<Vec<_>>().join("; ")
}

//! The plot itself: points or counts, bands, the mean, the heads, and what the pointer does.

use std::sync::Arc;

use egui::{Color32, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, pos2};

use super::View;
use crate::app::action::Action;
use crate::app::data::SequenceText;
use crate::app::paint::chart::Chart;
use crate::app::paint::density;
use crate::app::paint::points::{MOST_POINTS, PointCloud};
use crate::app::panel::Context;
use crate::app::selection::{StepSet, Token};
use crate::app::session::Focus;
use crate::app::theme;
use crate::figure::axes::Frame;
use crate::figure::colour::Gradient;
use crate::figure::density::Density;
use crate::figure::scale::{Scale, fixed};
use crate::measure::{Cleanup, TokenPoint};

/// Room of a histogram along an edge.
const EDGE: f32 = 26.0;

/// The least room of a plot that can be read.
const LEAST: egui::Vec2 = egui::Vec2::new(140.0, 110.0);

/// What is made anew only when bounds, choice or data change.
#[derive(Default)]
pub struct Drawn {
    key: Option<Key>,
    cloud: Option<PointCloud>,
    density: Option<Density>,
    x_counts: Vec<u32>,
    y_counts: Vec<u32>,
    /// The points shown, as places in the answer.
    shown: Vec<u32>,
    scales: Option<(Scale, Scale)>,
    brush_from: Option<Pos2>,
    /// The shown points by token: what is looked at is found without going through all.
    by_token: Vec<(Token, u32)>,
    /// The picked points, for the set and the plot they were made for.
    picked: Option<(usize, PointCloud)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Key {
    points: usize,
    cleanup: usize,
    view: View,
    head: Option<(usize, usize)>,
    area: Rect,
    dark: bool,
}

/// Draws the plot into `room`.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    drawn: &mut Drawn,
    view: &View,
    points: Option<&Arc<Vec<TokenPoint>>>,
    cleanup: Option<&Arc<Cleanup>>,
    text: Option<&SequenceText>,
    room: Rect,
) {
    let Some(focus) = context.session.focus() else { return };
    if room.width() < LEAST.x || room.height() < LEAST.y {
        ui.label(egui::RichText::new("Too little room for the plot: a double click on the tab shows it alone.").color(theme::quiet(ui)));
        return;
    }
    let edge = if view.marginals && room.width() > 260.0 && room.height() > 180.0 { EDGE } else { 0.0 };
    let legend = 18.0;
    let body = Rect::from_min_max(pos2(room.left(), room.top() + legend + edge), pos2(room.right() - edge, room.bottom()));
    let head = (view.scope == super::Scope::Head).then_some((focus.selection.layer, focus.selection.head));
    let (x, y) = drawn.scales(view, points, cleanup, head);
    let frame = Frame { x_label: view.decay.label().to_owned(), y_label: view.strength.label().to_owned(), ..Frame::default() };
    let mut chart = Chart::fit(body, context.theme, x, y, frame);
    drawn.renew(view, points, cleanup, head, &chart, ui.visuals().dark_mode);

    let summary = summary(view, cleanup.map(|cleanup| &**cleanup));
    let response = chart.sense(ui, "plot", Sense::click_and_drag(), "Cleanup against decay", &summary);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    if let Some(density) = &drawn.density {
        density::paint(&painter, chart.area, density, Gradient::beneath(context.theme));
    }
    if let Some(cloud) = &drawn.cloud {
        painter.add(cloud.shape());
    }
    if let Some(cleanup) = cleanup {
        bands_and_mean(&painter, &mut chart, view, cleanup);
    }
    marks_of_selection(ui, context, drawn, &chart, view, points, &focus);
    chart.axes(&painter);
    let most = drawn.density.as_ref().map(|density| density.counts.iter().copied().max().unwrap_or(0));
    keys(
        ui,
        view,
        cleanup.is_some(),
        most,
        Rect::from_min_max(pos2(chart.area.left(), room.top()), pos2(room.right(), room.top() + legend)),
    );
    if edge > 0.0 {
        histograms(ui, drawn, &chart, edge);
    }
    if let Some(points) = points {
        pointer(ui, context, drawn, &chart, view, points, text, &response, &focus);
    }
}

impl Drawn {
    /// The shown points of a token, one a head.
    fn of_token(&self, token: Token) -> impl Iterator<Item = u32> + '_ {
        let from = self.by_token.partition_point(|(other, _)| *other < token);
        self.by_token[from..].iter().take_while(move |(other, _)| *other == token).map(|(_, index)| *index)
    }

    fn scales(
        &mut self,
        view: &View,
        points: Option<&Arc<Vec<TokenPoint>>>,
        cleanup: Option<&Arc<Cleanup>>,
        head: Option<(usize, usize)>,
    ) -> (Scale, Scale) {
        let same = self
            .key
            .as_ref()
            .is_some_and(|key| key.points == address(points) && key.cleanup == address(cleanup) && key.view == *view && key.head == head);
        if let (true, Some(scales)) = (same, self.scales) {
            return scales;
        }
        let shown = || {
            points
                .into_iter()
                .flat_map(|points| points.iter())
                .filter(move |point| head.is_none_or(|head| (point.id.layer, point.id.head) == head))
        };
        let xs = shown().map(|point| point.decay(view.decay));
        let x = if view.logit { Scale::logit_around(xs) } else { Scale::around(xs, &[1.0]) };
        // A few outliers must not press everything to the floor: the axis holds 999 of 1,000, the rest lie at the edge.
        let mut ys: Vec<f64> = shown().map(|point| point.strength(view.strength)).filter(|y| y.is_finite()).collect();
        ys.sort_by(f64::total_cmp);
        let most = if ys.is_empty() { f64::NAN } else { crate::measure::quantile(&ys, 0.999) };
        let least = if ys.is_empty() { f64::NAN } else { crate::measure::quantile(&ys, 0.001) };
        let curve = cleanup.and_then(|cleanup| cleanup.relation(view.strength, view.decay));
        let of_curve = curve.into_iter().flat_map(|relation| &relation.curve).filter_map(|bin| bin.strength.as_ref()).flat_map(|mean| {
            let (low, high) = mean.bounds().unwrap_or((mean.estimate, mean.estimate));
            [low, high]
        });
        let y = Scale::around(of_curve.chain([least, most]), &[0.0]);
        self.scales = Some((x, y));
        (x, y)
    }

    fn renew(
        &mut self,
        view: &View,
        points: Option<&Arc<Vec<TokenPoint>>>,
        cleanup: Option<&Arc<Cleanup>>,
        head: Option<(usize, usize)>,
        chart: &Chart,
        dark: bool,
    ) {
        let key = Key { points: address(points), cleanup: address(cleanup), view: view.clone(), head, area: chart.area, dark };
        if self.key.as_ref() == Some(&key) {
            return;
        }
        self.key = Some(key);
        let all: &[TokenPoint] = points.map_or(&[], |points| points);
        let inside = |point: &TokenPoint| head.is_none_or(|head| (point.id.layer, point.id.head) == head);
        self.shown = (0..all.len() as u32).filter(|index| inside(&all[*index as usize])).collect();
        let token = |index: &u32| Token { sequence: all[*index as usize].sequence, step: all[*index as usize].step };
        self.by_token = self.shown.iter().map(|index| (token(index), *index)).collect();
        self.by_token.sort_unstable();
        self.picked = None;
        let pair = |index: &u32| {
            let point = &all[*index as usize];
            [point.decay(view.decay), point.strength(view.strength)]
        };
        let count = |place: &dyn Fn(&[f64; 2]) -> f64, cells: usize| {
            let mut counts = vec![0_u32; cells];
            for place in self.shown.iter().map(pair).map(|pair| place(&pair)).filter(|place| place.is_finite()) {
                counts[((place * cells as f64) as usize).min(cells - 1)] += 1;
            }
            counts
        };
        let (x, y) = (chart.panel.x, chart.panel.y);
        self.x_counts = count(&|pair| if pair[1].is_finite() { x.place(pair[0]) } else { f64::NAN }, 60);
        self.y_counts = count(&|pair| if pair[0].is_finite() { y.place(pair[1]) } else { f64::NAN }, 40);
        if view.density || self.shown.len() > MOST_POINTS {
            self.density = Some(density::count(self.shown.iter().map(pair), chart.area, x, y));
            self.cloud = None;
        } else {
            let ink =
                if dark { Color32::from_rgba_unmultiplied(150, 180, 220, 120) } else { Color32::from_rgba_unmultiplied(60, 90, 130, 80) };
            let places = self.shown.iter().map(|index| place_of(chart, pair(index))).collect();
            let radius = if self.shown.len() > 5000 { 1.3 } else { 1.8 };
            self.cloud = Some(PointCloud::new(places, radius, |_| ink));
            self.density = None;
        }
    }
}

fn address<T>(answer: Option<&Arc<T>>) -> usize {
    answer.map_or(0, |answer| Arc::as_ptr(answer) as usize)
}

fn place_of(chart: &Chart, [x, y]: [f64; 2]) -> Pos2 {
    if x.is_finite() && y.is_finite() { chart.at(x, y) } else { pos2(f32::NAN, f32::NAN) }
}

/// Grey bands of the nulls, then the mean with its interval, then one ring a head.
fn bands_and_mean(painter: &egui::Painter, chart: &mut Chart, view: &View, cleanup: &Cleanup) {
    let Some(relation) = cleanup.relation(view.strength, view.decay) else { return };
    let filled = || relation.curve.iter().filter(|bin| bin.strength.is_some());
    let middle = |low: f64, high: f64| f64::midpoint(low, high);
    chart.draw(painter, |panel, scene| {
        for (index, null) in view.nulls.iter().enumerate() {
            let (line, fill) = scene.theme.null(index);
            let mut rows = Vec::new();
            let mut means = Vec::new();
            for bin in filled() {
                let Some(band) = bin.nulls.iter().find(|band| band.null == *null) else { continue };
                let (low, high) = band.band.bounds().unwrap_or((band.band.estimate, band.band.estimate));
                rows.push([middle(bin.low, bin.high), low, high]);
                means.push([middle(bin.low, bin.high), band.band.estimate]);
            }
            panel.band(scene, &rows, fill.fade(0.4));
            panel.line(scene, &means, line, 0.8, crate::figure::scene::dash_of(index + 1));
        }
        let accent = scene.theme.accent();
        let mut rows = Vec::new();
        for bin in filled() {
            let Some(mean) = &bin.strength else { continue };
            let interval = mean.bounds().map(|(low, high)| [low, high]);
            rows.push(crate::figure::axes::SeriesPoint { x: middle(bin.low, bin.high), y: mean.estimate, interval });
        }
        panel.series(scene, &rows, 0, accent);
    });
}

/// What is looked at and picked, and what the pointer is over elsewhere.
fn marks_of_selection(
    ui: &Ui,
    context: &Context<'_>,
    drawn: &mut Drawn,
    chart: &Chart,
    view: &View,
    points: Option<&Arc<Vec<TokenPoint>>>,
    focus: &Focus<'_>,
) {
    let Some(points) = points else { return };
    let selection = focus.selection;
    let (accent, ink, paper) = (theme::accent(ui), ui.visuals().text_color(), ui.visuals().panel_fill);
    let painter = ui.painter();
    let place = |index: u32| {
        let point = &points[index as usize];
        place_of(chart, [point.decay(view.decay), point.strength(view.strength)])
    };
    if !selection.steps.is_empty() {
        let address = selection.steps.address();
        if drawn.picked.as_ref().is_none_or(|(of, _)| *of != address) {
            let picked: Vec<u32> = selection.steps.tokens().flat_map(|token| drawn.of_token(token)).collect();
            // A hint of very many is as good as all of them.
            let every = picked.len().div_ceil(MOST_POINTS).max(1);
            let places = picked.into_iter().step_by(every).map(place).collect();
            drawn.picked = Some((address, PointCloud::new(places, 2.2, |_| accent)));
        }
        if let Some((_, cloud)) = &drawn.picked {
            painter.add(cloud.shape());
        }
    }
    if let Some(token) = context.hover.token {
        for at in drawn.of_token(token).map(place).filter(|at| at.x.is_finite()) {
            painter.circle_stroke(at, 4.0, Stroke::new(1.2, ink));
        }
    }
    for index in drawn.of_token(Token::new(selection.sequence, selection.step)) {
        let (at, id) = (place(index), points[index as usize].id);
        if !at.x.is_finite() {
            continue;
        }
        if (id.layer, id.head) == (selection.layer, selection.head) {
            painter.circle(at, 5.0, accent, Stroke::new(1.5, paper));
            painter.circle_stroke(at, 6.5, Stroke::new(1.2, ink));
        } else {
            painter.circle_stroke(at, 4.0, Stroke::new(1.2, accent));
        }
    }
}

/// Hover says what a point is, a click goes there, a drag picks (with Shift: too).
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
fn pointer(
    ui: &Ui,
    context: &mut Context<'_>,
    drawn: &mut Drawn,
    chart: &Chart,
    view: &View,
    points: &[TokenPoint],
    text: Option<&SequenceText>,
    response: &egui::Response,
    focus: &Focus<'_>,
) {
    let found =
        response.hover_pos().and_then(|place| drawn.cloud.as_ref()?.nearest(place)).map(|index| &points[drawn.shown[index] as usize]);
    if let Some(point) = found.filter(|_| !response.dragged()) {
        let token = Token { sequence: point.sequence, step: point.step };
        context.hover_next.token = Some(token).filter(|token| token.sequence as usize == focus.selection.sequence);
        context.hover_next.head = Some((point.id.layer, point.id.head));
        let place = place_of(chart, [point.decay(view.decay), point.strength(view.strength)]);
        ui.painter().circle_stroke(place, 5.0, Stroke::new(1.5, ui.visuals().text_color()));
        let quiet = theme::quiet(ui);
        let word = text.map_or("", |text| text.word(point.sequence as usize, point.step as usize)).to_owned();
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.label(egui::RichText::new(format!("{}: step {} of sequence {} {}", point.id, point.step, point.sequence, word)).strong());
            let says = |name: &str, value: f64| format!("{name} {}", fixed(value, 4));
            ui.label(theme::number(says(view.decay.label(), point.decay(view.decay))));
            ui.label(theme::number(says(view.strength.label(), point.strength(view.strength))));
            ui.label(egui::RichText::new("click: go there · drag: pick tokens").small().color(quiet));
        });
        if response.clicked() {
            context.act(Action::SelectHead { layer: point.id.layer, head: point.id.head });
            context.act(Action::SelectToken { sequence: point.sequence as usize, step: point.step as usize });
        }
    }
    if response.drag_started() {
        drawn.brush_from = response.interact_pointer_pos().map(|place| place - response.drag_delta());
    }
    let Some(from) = drawn.brush_from else { return };
    let to = response.interact_pointer_pos().or_else(|| ui.input(|input| input.pointer.latest_pos())).unwrap_or(from);
    let brush = Rect::from_two_pos(from, to).intersect(chart.area);
    let accent = theme::accent(ui);
    ui.painter().rect(brush, 2.0, accent.gamma_multiply(0.10), Stroke::new(1.0, accent), StrokeKind::Inside);
    if response.drag_stopped() {
        drawn.brush_from = None;
        let inside = |point: &TokenPoint| brush.contains(place_of(chart, [point.decay(view.decay), point.strength(view.strength)]));
        // By token, so that the many heads of one are told at once: a million points must not hold up a frame.
        let mut tokens: Vec<Token> =
            drawn.by_token.iter().filter(|(_, index)| inside(&points[*index as usize])).map(|(token, _)| *token).collect();
        tokens.dedup();
        let steps: StepSet = tokens.into_iter().collect();
        let more = ui.input(|input| input.modifiers.shift);
        context.act(if more { Action::PickMoreSteps(steps) } else { Action::PickSteps(steps) });
    }
}

/// Where the tokens lie along each axis.
fn histograms(ui: &Ui, drawn: &Drawn, chart: &Chart, edge: f32) {
    let ink = theme::quiet(ui).gamma_multiply(0.45);
    let painter = ui.painter();
    let area = chart.area;
    let bars = |counts: &[u32], bar: &dyn Fn(f32, f32, f32) -> Rect| {
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f32;
        let n = counts.len() as f32;
        for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // By the root, so that rare tokens are seen at all.
            let length = (count as f32 / most).sqrt() * (edge - 6.0);
            painter.rect_filled(bar(index as f32 / n, (index as f32 + 0.9) / n, length), 0.0, ink);
        }
    };
    bars(&drawn.x_counts, &|from, to, length| {
        Rect::from_min_max(
            pos2(area.left() + from * area.width(), area.top() - 3.0 - length),
            pos2(area.left() + to * area.width(), area.top() - 3.0),
        )
    });
    bars(&drawn.y_counts, &|from, to, length| {
        Rect::from_min_max(
            pos2(area.right() + 3.0, area.bottom() - to * area.height()),
            pos2(area.right() + 3.0 + length, area.bottom() - from * area.height()),
        )
    });
}

/// What the marks mean, above the plot.
fn keys(ui: &Ui, view: &View, with_mean: bool, most: Option<u32>, rect: Rect) {
    use crate::figure::legend::{Key as LegendKey, Swatch, draw};
    use crate::figure::scene::{Marker, Scene, dash_of};
    let paper = theme::theme_of(ui.visuals());
    let mut scene = Scene::new(f64::from(rect.width() / 1.5), f64::from(rect.height() / 1.5), paper);
    let mut keys = Vec::new();
    if with_mean {
        keys.push(LegendKey::new("mean, 95 % over sequences", Swatch::Line(paper.accent(), None, Some(Marker::Disc))));
        for (index, null) in view.nulls.iter().enumerate() {
            let (line, fill) = paper.null(index);
            keys.push(LegendKey::new(null.label(), Swatch::Band(fill, line, dash_of(index + 1))));
        }
    }
    let width = scene.width;
    draw(&mut scene, 0.0, 0.0, width, &keys);
    let placing = crate::app::paint::scene::Placing { origin: rect.min, scale: 1.5 };
    crate::app::paint::scene::paint(&ui.painter().with_clip_rect(rect), &scene, placing);
    let Some(most) = most.filter(|_| rect.width() > 420.0) else { return };
    // The bar of the counts, lying: from one token to the most in a cell, in equal factors.
    let bar = Rect::from_min_size(pos2(rect.right() - 150.0, rect.top() + 3.0), egui::vec2(64.0, 8.0));
    let gradient = Gradient::beneath(paper);
    let cells: Vec<Color32> = (0..32).map(|cell| theme::colour(gradient.at(f64::from(cell) / 31.0))).collect();
    ui.painter().add(crate::app::paint::scene::picture(bar, 32, &cells));
    let (font, ink) = (egui::FontId::proportional(10.5), ui.visuals().text_color());
    ui.painter().text(bar.left_center() - egui::vec2(4.0, 0.0), egui::Align2::RIGHT_CENTER, "1", font.clone(), ink);
    ui.painter().text(bar.right_center() + egui::vec2(4.0, 0.0), egui::Align2::LEFT_CENTER, format!("{most} tokens"), font, ink);
}

/// The figure's own words.
fn summary(view: &View, cleanup: Option<&Cleanup>) -> String {
    let Some(cleanup) = cleanup else { return "being measured".to_owned() };
    let relation = cleanup.relation(view.strength, view.decay).and_then(|relation| relation.within_heads.as_ref());
    let rho = relation
        .map_or_else(|| "no rank correlation inside heads".to_owned(), |found| format!("rank correlation inside heads {}", found.rho));
    format!("{} against {}, {} sequences; {rho}", view.strength.label(), view.decay.label(), cleanup.n_sequences)
}

//! All heads together: the mean by bin of decay over the bands of the nulls.

use super::{BinMean, CleanupData, NullBins};
use crate::figure::axes::{Frame, Panel};
use crate::figure::colour::{Colour, Gradient, Theme};
use crate::figure::density::{Density, MOST_POINTS};
use crate::figure::legend::{self, Key, Swatch};
use crate::figure::scale::{Scale, fixed};
use crate::figure::scene::{Anchor, HAIR, Marker, Rect, SMALL, Scene};
use crate::figure::{Estimate, FigureSpec, sheet};
use crate::measure::TokenDensity;

/// The room of a histogram along an edge, in points.
const EDGE: f64 = 20.0;
/// The room of a colour bar, in points.
const BAR: f64 = 10.0;

pub(super) fn draw(data: &CleanupData, spec: &FigureSpec) -> Scene {
    let (mut scene, room) = sheet(spec, if spec.width.points() > 300.0 { 0.55 } else { 0.9 });
    let theme = spec.theme;
    let keys = keys(data, theme);
    let top = legend::height(&keys, room.width);
    legend::draw(&mut scene, room.left, room.top, room.width, &keys);
    let shown = data.tokens.as_ref().map(|tokens| Shown::of(tokens, data));
    let notes = notes(data, shown.as_ref());
    let note_room = notes.len() as f64 * SMALL * 1.25;
    let edge = if spec.options.marginals { EDGE } else { 0.0 };
    let beside = shown.as_ref().map_or(0.0, |shown| BAR + legend::colour_bar_room(shown.grid.scale(), room.height / 2.0) + edge);
    let body = Rect::new(room.left, room.top + top + edge, room.width - beside, room.height - top - edge - note_room);
    let [x, y] = scales(data, shown.as_ref());
    let frame = Frame { x_label: data.decay.clone(), y_label: data.strength.clone(), ..Frame::default() };
    let panel = Panel::fit(body, x, y, frame);

    panel.grid(&mut scene);
    if let Some(shown) = &shown {
        shown.grid.draw(&mut scene, shown.area(&panel), Gradient::beneath(theme));
    }
    for (index, null) in data.nulls.iter().enumerate() {
        draw_null(data, &mut scene, &panel, null, index);
    }
    draw_heads(data, &mut scene, &panel);
    draw_mean(data, &mut scene, &panel);
    panel.axes(&mut scene);

    if edge > 0.0 {
        draw_upper_histogram(data, &mut scene, &panel);
    }
    if let Some(shown) = &shown {
        if edge > 0.0 {
            draw_side_histogram(&mut scene, &panel, shown);
        }
        let Rect { top, height, .. } = panel.area;
        let bar = Rect::new(panel.area.right() + edge + 6.0, top + height / 4.0, BAR - 4.0, height / 2.0);
        legend::colour_bar(&mut scene, bar, shown.grid.scale(), Gradient::beneath(theme), "tokens × heads");
    }
    for (index, note) in notes.iter().enumerate() {
        let baseline = room.bottom() - note_room + SMALL * (1.05 + 1.25 * index as f64);
        scene.text(note, [panel.area.left, baseline], SMALL, theme.quiet(), Anchor::Start);
    }
    scene
}

fn scales(data: &CleanupData, shown: Option<&Shown>) -> [Scale; 2] {
    let heads = |number: fn(&super::HeadPoint) -> f64| data.heads.iter().map(number);
    let span = |span: fn(&Shown) -> [f64; 2]| shown.into_iter().flat_map(span);
    let edges = data.bins.iter().flat_map(|bin| [bin.low, bin.high]);
    let bands = data.nulls.iter().flat_map(|null| null.bands.iter().flatten());
    let reach = data.bins.iter().map(|bin| &bin.mean).chain(bands).flat_map(Estimate::reach);
    let x = Scale::around(edges.chain(heads(|head| head.decay)).chain(span(|shown| shown.x)), &[]);
    let y = Scale::around(reach.chain(heads(|head| head.strength)).chain(span(|shown| shown.y)), &[0.0]);
    [x, y]
}

fn keys(data: &CleanupData, theme: Theme) -> Vec<Key> {
    let mut keys = vec![Key::new("mean", Swatch::Line(theme.accent(), None, Some(Marker::Disc)))];
    for (index, null) in data.nulls.iter().enumerate() {
        let (line, fill) = theme.null(index);
        keys.push(Key::new(null.null.label(), Swatch::Band(fill, line, null_dash(index))));
    }
    if !data.heads.is_empty() {
        keys.push(Key::new("heads", Swatch::Point(theme.quiet(), Marker::Ring)));
    }
    keys
}

fn notes(data: &CleanupData, shown: Option<&Shown>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(rho) = data.within_heads {
        let null = data.within_heads_shuffled.map_or(String::new(), |null| format!("; shuffled γ {}", fixed(null.value, 2)));
        notes.push(format!("ρ within heads {rho}{null}"));
    }
    if let Some(rho) = data.between_heads {
        notes.push(format!("ρ between heads {rho}"));
    }
    if let Some(beyond) = shown.map(|shown| shown.beyond).filter(|beyond| *beyond > 0.0) {
        notes.push(format!("{} % of tokens × heads lie beyond the vertical axis", fixed(beyond * 100.0, 1)));
    }
    notes.push(format!("intervals {} %, unit: {} sequences", fixed(data.level, 0), data.n_sequences));
    notes
}

/// Solid for the first null, dashed for the others.
fn null_dash(index: usize) -> Option<[f64; 2]> {
    (index > 0).then_some([1.5, 1.2])
}

fn draw_null(data: &CleanupData, scene: &mut Scene, panel: &Panel, null: &NullBins, index: usize) {
    let (line, fill) = scene.theme.null(index);
    let bands = || data.bins.iter().zip(&null.bands).filter_map(|(bin, band)| band.map(|band| (bin, band)));
    for (bin, band) in bands() {
        let [low, high] = band.interval.unwrap_or([band.value, band.value]);
        panel.band(scene, &[[bin.low, low, high], [bin.high, low, high]], fill);
    }
    for (bin, band) in bands() {
        panel.line(scene, &[[bin.low, band.value], [bin.high, band.value]], line, 0.8, null_dash(index));
    }
}

fn draw_heads(data: &CleanupData, scene: &mut Scene, panel: &Panel) {
    let points = data.heads.iter().map(|head| [head.decay, head.strength]);
    if data.heads.len() <= MOST_POINTS {
        let quiet = scene.theme.quiet();
        for [x, y] in points {
            scene.marker(Marker::Ring, panel.at(x, y), 1.7, quiet);
        }
    } else if data.tokens.is_none() {
        let gradient = Gradient::beneath(scene.theme);
        Density::count(points, panel.x, panel.y, 80, 80).draw(scene, panel.area, gradient);
    }
}

fn draw_mean(data: &CleanupData, scene: &mut Scene, panel: &Panel) {
    let (accent, paper) = (scene.theme.accent(), scene.theme.paper());
    let middle = |bin: &BinMean| f64::midpoint(bin.low, bin.high);
    let line: Vec<[f64; 2]> = data.bins.iter().map(|bin| [middle(bin), bin.mean.value]).collect();
    panel.line(scene, &line, paper, 2.8, None);
    panel.line(scene, &line, accent, 1.4, None);
    for bin in &data.bins {
        if let Some(interval) = bin.mean.interval {
            panel.interval(scene, middle(bin), interval, accent, 0.0);
        }
        scene.marker(Marker::Disc, panel.at(middle(bin), bin.mean.value), 2.0, accent);
    }
}

/// At each end of the vertical axis so many tokens may lie beyond it: long tails would press everything else flat.
const BEYOND: f64 = 0.02;

/// The part of the token counts that is drawn.
struct Shown {
    /// Lower and upper end of x.
    x: [f64; 2],
    /// Lower and upper end of y.
    y: [f64; 2],
    /// The counts as a picture has them: the highest row first.
    grid: Density,
    /// Share of the tokens that is not.
    beyond: f64,
}

impl Shown {
    /// All columns that hold tokens; the rows that hold all but [`BEYOND`] at each end, and every mean, band and head.
    fn of(tokens: &TokenDensity, data: &CleanupData) -> Self {
        let n_rows = tokens.counts.len() / tokens.columns;
        let rows: Vec<&[u32]> = tokens.counts.chunks(tokens.columns).collect();
        let sums: Vec<f64> = rows.iter().map(|row| row.iter().map(|count| f64::from(*count)).sum()).collect();
        let total: f64 = sums.iter().sum::<f64>().max(1.0);
        let tail = |sums: &mut dyn Iterator<Item = &f64>| {
            let mut passed = 0.0;
            sums.take_while(|sum| {
                passed += **sum;
                passed <= BEYOND * total
            })
            .count()
        };
        let tall = (tokens.y[1] - tokens.y[0]) / n_rows as f64;
        let row_of = |value: f64| (((value - tokens.y[0]) / tall).max(0.0) as usize).min(n_rows - 1);
        let bands = data.nulls.iter().flat_map(|null| null.bands.iter().flatten());
        let reach = data.bins.iter().map(|bin| &bin.mean).chain(bands).flat_map(Estimate::reach);
        let (mut low, mut high) = (tail(&mut sums.iter()), n_rows - 1 - tail(&mut sums.iter().rev()).min(n_rows - 1));
        for value in reach.chain(data.heads.iter().map(|head| head.strength)).chain([0.0]).filter(|value| value.is_finite()) {
            (low, high) = (low.min(row_of(value)), high.max(row_of(value)));
        }
        let holds = |column: &usize| rows[low..=high].iter().any(|row| row[*column] > 0);
        let left = (0..tokens.columns).find(holds).unwrap_or(0);
        let right = (0..tokens.columns).rev().find(holds).unwrap_or(tokens.columns - 1);
        let wide = (tokens.x[1] - tokens.x[0]) / tokens.columns as f64;
        let counts: Vec<u32> = rows[low..=high].iter().rev().flat_map(|row| &row[left..=right]).copied().collect();
        let inside: f64 = sums[low..=high].iter().sum();
        Self {
            x: [tokens.x[0] + left as f64 * wide, tokens.x[0] + (right + 1) as f64 * wide],
            y: [tokens.y[0] + low as f64 * tall, tokens.y[0] + (high + 1) as f64 * tall],
            grid: Density { columns: right + 1 - left, rows: high + 1 - low, counts },
            beyond: 1.0 - inside / total,
        }
    }

    /// The part of a panel that the counts cover.
    fn area(&self, panel: &Panel) -> Rect {
        let (left, right) = (panel.across(self.x[0]), panel.across(self.x[1]));
        let (top, bottom) = (panel.down(self.y[1]), panel.down(self.y[0]));
        Rect::new(left, top, right - left, bottom - top)
    }
}

/// Tokens by bin of decay: bars above the panel, on a scale of their own.
fn draw_upper_histogram(data: &CleanupData, scene: &mut Scene, panel: &Panel) {
    let most = data.bins.iter().map(|bin| bin.n_tokens).max().unwrap_or(1).max(1) as f64;
    let base = panel.area.top - 3.0;
    let fill = histogram_fill(scene);
    for bin in &data.bins {
        let (left, right) = (panel.across(bin.low), panel.across(bin.high));
        let tall = (EDGE - 5.0) * bin.n_tokens as f64 / most;
        scene.cell(Rect::new(left + 0.4, base - tall, right - left - 0.8, tall), fill);
    }
    let quiet = scene.theme.quiet();
    scene.line(&[[panel.area.left, base], [panel.area.right(), base]], quiet, HAIR);
    scene.text("tokens", [panel.area.left - 3.0, base - 4.0], SMALL, quiet, Anchor::End);
}

/// Tokens by strength: bars beside the panel, on a scale of their own.
fn draw_side_histogram(scene: &mut Scene, panel: &Panel, shown: &Shown) {
    let sums: Vec<u32> = shown.grid.counts.chunks(shown.grid.columns).rev().map(|row| row.iter().sum()).collect();
    let most = f64::from(sums.iter().copied().max().unwrap_or(1).max(1));
    let area = shown.area(panel);
    let base = panel.area.right() + 3.0;
    let tall = area.height / sums.len() as f64;
    let fill = histogram_fill(scene);
    for (n, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0) {
        let wide = (EDGE - 5.0) * f64::from(*sum) / most;
        scene.cell(Rect::new(base, area.bottom() - (n + 1) as f64 * tall, wide, tall), fill);
    }
    let quiet = scene.theme.quiet();
    scene.line(&[[base, panel.area.top], [base, panel.area.bottom()]], quiet, HAIR);
}

fn histogram_fill(scene: &Scene) -> Colour {
    scene.theme.quiet().fade(0.45).over(scene.theme.paper())
}

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
    let notes = notes(data);
    let note_room = notes.len() as f64 * SMALL * 1.25;
    let density = data.tokens.as_ref().map(|tokens| (tokens, grid_of(tokens)));
    let edge = if spec.options.marginals { EDGE } else { 0.0 };
    let beside = density.as_ref().map_or(0.0, |(_, grid)| BAR + legend::colour_bar_room(grid.scale(), room.height / 2.0) + edge);
    let body = Rect::new(room.left, room.top + top + edge, room.width - beside, room.height - top - edge - note_room);
    let [x, y] = scales(data);
    let frame = Frame { x_label: data.decay.clone(), y_label: data.strength.clone(), ..Frame::default() };
    let panel = Panel::fit(body, x, y, frame);

    panel.grid(&mut scene);
    if let Some((tokens, grid)) = &density {
        grid.draw(&mut scene, area_of(&panel, tokens), Gradient::beneath(theme));
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
    if let Some((tokens, grid)) = &density {
        if edge > 0.0 {
            draw_side_histogram(&mut scene, &panel, tokens);
        }
        let Rect { top, height, .. } = panel.area;
        let bar = Rect::new(panel.area.right() + edge + 6.0, top + height / 4.0, BAR - 4.0, height / 2.0);
        legend::colour_bar(&mut scene, bar, grid.scale(), Gradient::beneath(theme), "tokens × heads");
    }
    for (index, note) in notes.iter().enumerate() {
        let baseline = room.bottom() - note_room + SMALL * (1.05 + 1.25 * index as f64);
        scene.text(note, [panel.area.left, baseline], SMALL, theme.quiet(), Anchor::Start);
    }
    scene
}

fn scales(data: &CleanupData) -> [Scale; 2] {
    let heads = |number: fn(&super::HeadPoint) -> f64| data.heads.iter().map(number);
    let span = |span: fn(&TokenDensity) -> [f64; 2]| data.tokens.iter().flat_map(span);
    let edges = data.bins.iter().flat_map(|bin| [bin.low, bin.high]);
    let bands = data.nulls.iter().flat_map(|null| null.bands.iter().flatten());
    let reach = data.bins.iter().map(|bin| &bin.mean).chain(bands).flat_map(Estimate::reach);
    let x = Scale::around(edges.chain(heads(|head| head.decay)).chain(span(|tokens| tokens.x)), &[]);
    let y = Scale::around(reach.chain(heads(|head| head.strength)).chain(span(|tokens| tokens.y)), &[0.0]);
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

fn notes(data: &CleanupData) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(rho) = data.within_heads {
        let null = data.within_heads_shuffled.map_or(String::new(), |null| format!("; shuffled γ {}", fixed(null.value, 2)));
        notes.push(format!("ρ within heads {rho}{null}"));
    }
    if let Some(rho) = data.between_heads {
        notes.push(format!("ρ between heads {rho}"));
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

/// The counts as a picture has them: the highest row first.
fn grid_of(tokens: &TokenDensity) -> Density {
    let counts: Vec<u32> = tokens.counts.chunks(tokens.columns).rev().flatten().copied().collect();
    Density { columns: tokens.columns, rows: tokens.counts.len() / tokens.columns, counts }
}

/// The part of a panel that the counts cover.
fn area_of(panel: &Panel, tokens: &TokenDensity) -> Rect {
    let (left, right) = (panel.across(tokens.x[0]), panel.across(tokens.x[1]));
    let (top, bottom) = (panel.down(tokens.y[1]), panel.down(tokens.y[0]));
    Rect::new(left, top, right - left, bottom - top)
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
fn draw_side_histogram(scene: &mut Scene, panel: &Panel, tokens: &TokenDensity) {
    let sums: Vec<u32> = tokens.counts.chunks(tokens.columns).map(|row| row.iter().sum()).collect();
    let most = f64::from(sums.iter().copied().max().unwrap_or(1).max(1));
    let area = area_of(panel, tokens);
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

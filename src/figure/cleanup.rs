//! The headline: how strongly steps clean up, against how much decay keeps.
//!
//! The line is the mean over tokens in bins of decay, its interval from whole sequences; the grey bands are the same mean on
//! replays in which the erase knows nothing of decay (shuffled and constant gates). A finding is a line outside the bands.
//! The shade beneath counts tokens, and its sums stand along the edges; rings are heads. Rank correlations inside heads and between heads stand apart.

use serde::Serialize;

use super::axes::{Frame, Panel};
use super::colour::{Colour, Gradient, VERMILLION};
use super::density::{Density, MOST_POINTS};
use super::legend::{self, Key, Swatch};
use super::scale::{Scale, fixed, thousands};
use super::scene::{Anchor, HAIR, Marker, Rect, SMALL, Scene};
use super::{Estimate, Figure, FigureError, FigureSpec, Panels, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Cleanup, Correlation, DecayAxis, HeadCleanup, HeadId, Null, Strength, TokenDensity};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CleanupData {
    /// Label of the horizontal axis.
    pub decay: String,
    /// Label of the vertical axis.
    pub strength: String,
    /// The mean by bin of decay; empty bins are left out.
    pub bins: Vec<BinMean>,
    /// The same under each null.
    pub nulls: Vec<NullBins>,
    /// Where the tokens lie.
    pub tokens: Option<TokenDensity>,
    /// The heads.
    pub heads: Vec<HeadPoint>,
    /// Rank correlation inside heads, then sequences averaged.
    pub within_heads: Option<Estimate>,
    /// The same between heads.
    pub between_heads: Option<Estimate>,
    /// What the shuffled gate gives inside heads.
    pub within_heads_shuffled: Option<Estimate>,
    /// Sequences behind every interval.
    pub n_sequences: usize,
    /// Coverage of the intervals, in per cent.
    pub level: f64,
}

/// One bin of decay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BinMean {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Tokens times heads.
    pub n_tokens: u64,
    /// Mean strength.
    pub mean: Estimate,
}

/// The bins under a null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NullBins {
    /// Which.
    pub null: Null,
    /// The band in each bin of [`CleanupData::bins`]; absent where the null has none.
    pub bands: Vec<Option<Estimate>>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadPoint {
    /// Which.
    pub id: HeadId,
    /// Its mean decay.
    pub decay: f64,
    /// Its mean strength.
    pub strength: f64,
    /// Rank correlation over its tokens.
    pub rho: Option<Estimate>,
    /// The band of that correlation with shuffled gates.
    pub rho_shuffled: Option<Estimate>,
}

/// Pick what is drawn.
pub fn prepare(cleanup: &Cleanup, spec: &FigureSpec) -> Result<CleanupData, FigureError> {
    let (strength, decay) = (spec.options.strength, spec.options.decay);
    let relation = cleanup.relation(strength, decay).ok_or_else(|| nothing(Figure::Cleanup, "this pair of axes was not measured"))?;
    let filled: Vec<_> = relation.curve.iter().filter_map(|bin| bin.strength.as_ref().map(|mean| (bin, mean))).collect();
    let Some((_, first)) = filled.first() else {
        return Err(nothing(Figure::Cleanup, "no layer of the trace has an erase, so there is no cleanup to draw"));
    };
    let level = first.level * 100.0;
    let nulls = spec.options.nulls.iter().map(|null| NullBins {
        null: *null,
        bands: filled
            .iter()
            .map(|(bin, _)| bin.nulls.iter().find(|band| band.null == *null).map(|band| Estimate::from(&band.band)))
            .collect(),
    });
    let bins =
        filled.iter().map(|(bin, mean)| BinMean { low: bin.low, high: bin.high, n_tokens: bin.n_tokens, mean: Estimate::from(*mean) });
    let rho = |correlation: &Option<Correlation>| correlation.as_ref().map(|correlation| Estimate::from(&correlation.rho));
    let shuffled = relation.within_heads.iter().flat_map(|correlation| &correlation.nulls).find(|null| null.null == Null::ShuffledStrength);
    Ok(CleanupData {
        decay: decay.label().to_owned(),
        strength: strength.label().to_owned(),
        bins: bins.collect(),
        nulls: nulls.filter(|null| null.bands.iter().any(Option::is_some)).collect(),
        tokens: relation.tokens.clone(),
        heads: cleanup.heads.iter().filter_map(|head| head_point(head, strength, decay)).collect(),
        within_heads: rho(&relation.within_heads),
        between_heads: rho(&relation.between_heads),
        within_heads_shuffled: shuffled.map(|null| Estimate::from(&null.band)),
        n_sequences: cleanup.n_sequences,
        level,
    })
}

fn head_point(head: &HeadCleanup, strength: Strength, decay: DecayAxis) -> Option<HeadPoint> {
    let x = match decay {
        DecayAxis::MeanRetention => Some(&head.mean_retention),
        DecayAxis::WindowRetention => head.window_retention.as_ref(),
    };
    let y = match strength {
        Strength::EraseStrength => Some(&head.erase_strength),
        Strength::GateShare => Some(&head.gate_share),
        Strength::RemovedEnergy => head.removed_energy.as_ref(),
    };
    let inside = head.rho.iter().find(|rho| rho.strength == strength && rho.decay == decay);
    Some(HeadPoint {
        id: head.id,
        decay: x?.estimate,
        strength: y?.estimate,
        rho: inside.map(|rho| Estimate::from(&rho.rho)),
        rho_shuffled: inside.and_then(|rho| rho.shuffled.as_ref()).map(Estimate::from),
    })
}

impl Prepared for CleanupData {
    fn summary(&self) -> String {
        let tokens: u64 = self.bins.iter().map(|bin| bin.n_tokens).sum();
        let rho = |name: &str, rho: Option<Estimate>| rho.map_or(String::new(), |rho| format!(" Rank correlation {name} heads: {rho}."));
        let ends = match (self.bins.first(), self.bins.last()) {
            (Some(first), Some(last)) => format!(
                " Mean {} is {} where {} is {} to {}, and {} where it is {} to {}.",
                self.strength,
                first.mean,
                self.decay,
                fixed(first.low, 2),
                fixed(first.high, 2),
                last.mean,
                fixed(last.low, 2),
                fixed(last.high, 2)
            ),
            _ => String::new(),
        };
        format!(
            "{} against {} over {} tokens times heads of {} sequences.{ends}{}{}",
            self.strength,
            self.decay,
            thousands(tokens as f64),
            self.n_sequences,
            rho("within", self.within_heads),
            rho("between", self.between_heads)
        )
    }

    fn table(&self) -> Table {
        let columns = [
            "row",
            "layer",
            "head",
            "decay_low",
            "decay_high",
            "n_tokens",
            "strength",
            "strength_low",
            "strength_high",
            "rho",
            "rho_low",
            "rho_high",
        ];
        let mut table = Table::new(format!("{} against {}", self.strength, self.decay), &columns);
        let missing = || Value::Missing;
        let mut bin_row = |name: &str, bin: &BinMean, mean: &Estimate| {
            let n_tokens = Value::Integer(bin.n_tokens as i64);
            let mean: [Value; 3] = [mean.value.into(), mean.low().into(), mean.high().into()];
            let [value, low, high] = mean;
            table.push(vec![
                name.into(),
                missing(),
                missing(),
                bin.low.into(),
                bin.high.into(),
                n_tokens,
                value,
                low,
                high,
                missing(),
                missing(),
                missing(),
            ]);
        };
        for bin in &self.bins {
            bin_row("learned", bin, &bin.mean);
        }
        for null in &self.nulls {
            for (bin, band) in self.bins.iter().zip(&null.bands) {
                if let Some(band) = band {
                    bin_row(null.null.label(), bin, band);
                }
            }
        }
        for head in &self.heads {
            let rho = head.rho;
            table.push(vec![
                "head".into(),
                head.id.layer.into(),
                head.id.head.into(),
                head.decay.into(),
                head.decay.into(),
                missing(),
                head.strength.into(),
                missing(),
                missing(),
                rho.map(|rho| rho.value).into(),
                rho.and_then(|rho| rho.low()).into(),
                rho.and_then(|rho| rho.high()).into(),
            ]);
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        match spec.options.panels {
            Panels::Pooled => self.draw_pooled(spec),
            Panels::Heads => self.draw_heads(spec),
        }
    }
}

impl CleanupData {
    fn draw_pooled(&self, spec: &FigureSpec) -> Scene {
        let (mut scene, room) = sheet(spec, if spec.width.points() > 300.0 { 0.55 } else { 0.86 });
        let theme = spec.theme;
        let keys = self.keys(theme.ink());
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let notes = self.notes();
        let note_room = notes.len() as f64 * SMALL * 1.25;
        let density = self.tokens.as_ref().map(|tokens| (tokens, grid_of(tokens)));
        let edge = if spec.options.marginals { EDGE } else { 0.0 };
        let mut beside = 0.0;
        if let Some((_, grid)) = &density {
            beside = BAR + legend::colour_bar_room(grid.scale(), room.height / 2.0) + edge;
        }
        let body = Rect::new(room.left, room.top + top + edge, room.width - beside, room.height - top - edge - note_room);

        let spans = self.tokens.iter().flat_map(|tokens| tokens.x);
        let x = Scale::around(
            self.bins.iter().flat_map(|bin| [bin.low, bin.high]).chain(self.heads.iter().map(|head| head.decay)).chain(spans),
            &[],
        );
        let bands = self.nulls.iter().flat_map(|null| null.bands.iter().flatten());
        let reach = self.bins.iter().map(|bin| &bin.mean).chain(bands).flat_map(Estimate::reach);
        let spans = self.tokens.iter().flat_map(|tokens| tokens.y);
        let y = Scale::around(reach.chain(self.heads.iter().map(|head| head.strength)).chain(spans), &[0.0]);
        let frame = Frame { x_label: self.decay.clone(), y_label: self.strength.clone(), ..Frame::default() };
        let panel = Panel::fit(body, x, y, frame);
        if let Some((tokens, grid)) = &density {
            grid.draw(&mut scene, area_of(&panel, tokens), Gradient::beneath(theme));
        }
        panel.grid(&mut scene);
        for (index, null) in self.nulls.iter().enumerate() {
            self.draw_null(&mut scene, &panel, null, index);
        }
        let quiet = theme.quiet();
        if self.heads.len() > MOST_POINTS {
            let points = self.heads.iter().map(|head| [head.decay, head.strength]);
            Density::count(points, panel.x, panel.y, 80, 80).draw(&mut scene, panel.area, Gradient::beneath(theme));
        } else {
            for head in &self.heads {
                scene.marker(Marker::Ring, panel.at(head.decay, head.strength), 1.7, quiet);
            }
        }
        let middle = |bin: &BinMean| f64::midpoint(bin.low, bin.high);
        let line: Vec<[f64; 2]> = self.bins.iter().map(|bin| [middle(bin), bin.mean.value]).collect();
        panel.line(&mut scene, &line, theme.paper(), 3.2, None);
        panel.line(&mut scene, &line, VERMILLION, 1.4, None);
        for bin in &self.bins {
            if let Some(interval) = bin.mean.interval {
                panel.interval(&mut scene, middle(bin), interval, VERMILLION, 0.0);
            }
            scene.marker(Marker::Disc, panel.at(middle(bin), bin.mean.value), 2.0, VERMILLION);
        }
        panel.axes(&mut scene);
        if edge > 0.0 {
            self.draw_histogram(&mut scene, &panel);
        }
        if let Some((tokens, grid)) = &density {
            if edge > 0.0 {
                draw_side_histogram(&mut scene, &panel, tokens);
            }
            let bar =
                Rect::new(panel.area.right() + edge + 6.0, panel.area.top + panel.area.height / 4.0, BAR - 4.0, panel.area.height / 2.0);
            legend::colour_bar(&mut scene, bar, grid.scale(), Gradient::beneath(theme), "tokens × heads");
        }
        for (index, note) in notes.iter().enumerate() {
            let baseline = room.bottom() - note_room + SMALL * (1.05 + 1.25 * index as f64);
            scene.text(note, [panel.area.left, baseline], SMALL, quiet, Anchor::Start);
        }
        scene
    }

    fn keys(&self, ink: Colour) -> Vec<Key> {
        let mut keys = vec![Key::new("mean", Swatch::Line(VERMILLION, None, Some(Marker::Disc)))];
        for (index, null) in self.nulls.iter().enumerate() {
            keys.push(Key::new(null.null.label(), Swatch::Band(null_fill(index), null_line(index))));
        }
        keys.push(Key::new("heads", Swatch::Point(ink, Marker::Ring)));
        keys
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(rho) = self.within_heads {
            let null = self.within_heads_shuffled.map_or(String::new(), |null| format!("; shuffled γ {}", fixed(null.value, 2)));
            notes.push(format!("ρ within heads {rho}{null}"));
        }
        if let Some(rho) = self.between_heads {
            notes.push(format!("ρ between heads {rho}"));
        }
        notes
    }

    fn draw_null(&self, scene: &mut Scene, panel: &Panel, null: &NullBins, index: usize) {
        for (bin, band) in self.bins.iter().zip(&null.bands) {
            let Some(band) = band else { continue };
            let [low, high] = band.interval.unwrap_or([band.value, band.value]);
            panel.band(scene, &[[bin.low, low, high], [bin.high, low, high]], null_fill(index));
        }
        for (bin, band) in self.bins.iter().zip(&null.bands) {
            let Some(band) = band else { continue };
            let dash = if index == 0 { None } else { Some([1.5, 1.2]) };
            panel.line(scene, &[[bin.low, band.value], [bin.high, band.value]], null_line(index), 0.8, dash);
        }
    }

    /// Tokens by bin of decay: bars above the panel, on a scale of their own.
    fn draw_histogram(&self, scene: &mut Scene, panel: &Panel) {
        let most = self.bins.iter().map(|bin| bin.n_tokens).max().unwrap_or(1).max(1) as f64;
        let base = panel.area.top - 3.0;
        let room = EDGE - 5.0;
        let fill = histogram_fill(scene);
        for bin in &self.bins {
            let (left, right) = (panel.across(bin.low), panel.across(bin.high));
            let tall = room * bin.n_tokens as f64 / most;
            scene.cell(Rect::new(left + 0.4, base - tall, right - left - 0.8, tall), fill);
        }
        let quiet = scene.theme.quiet();
        scene.line(&[[panel.area.left, base], [panel.area.right(), base]], quiet, HAIR);
        scene.text("tokens", [panel.area.left - 3.0, base], SMALL, quiet, Anchor::End);
    }

    /// One panel per layer: the correlation inside each head, over the band of shuffled gates.
    fn draw_heads(&self, spec: &FigureSpec) -> Scene {
        let layers: Vec<usize> = {
            let mut layers: Vec<usize> = self.heads.iter().map(|head| head.id.layer).collect();
            layers.dedup();
            layers
        };
        let columns = if spec.width.points() > 300.0 { 4 } else { 2 }.min(layers.len().max(1));
        let rows = layers.len().div_ceil(columns).max(1);
        let height = 24.0 + 78.0 * rows as f64;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let keys = [
            Key::new("inside the head", Swatch::Point(VERMILLION, Marker::Disc)),
            Key::new("shuffled γ", Swatch::Band(null_fill(0), null_line(0))),
        ];
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let values = self.heads.iter().flat_map(|head| head.rho.iter().chain(&head.rho_shuffled)).flat_map(Estimate::reach);
        let y = Scale::around(values, &[0.0, 0.2, -0.2]);
        let named = Frame { y_label: "Spearman’s ρ".to_owned(), ..Frame::default() };
        let labels = Panel::left_room(body.height / rows as f64, y, &named);
        for (index, (tile, layer)) in body.tiles_beside(columns, rows, [7.0, 4.0], labels).into_iter().zip(&layers).enumerate() {
            let heads: Vec<&HeadPoint> = self.heads.iter().filter(|head| head.id.layer == *layer).collect();
            let frame = Frame {
                title: format!("layer {layer}"),
                x_label: if index + columns >= layers.len() { "head".to_owned() } else { String::new() },
                y_label: if index % columns == 0 { "Spearman’s ρ".to_owned() } else { String::new() },
                x_names: thinned_names(heads.len()),
                bare_y: index % columns > 0,
                ..Frame::default()
            };
            let panel = Panel::fit(tile, Scale::linear(-0.6, heads.len() as f64 - 0.4), y, frame);
            panel.grid(&mut scene);
            panel.level(&mut scene, 0.0, spec.theme.ink(), None);
            for (place, head) in heads.iter().enumerate() {
                let x = place as f64;
                if let Some(Estimate { value, interval: Some([low, high]) }) = head.rho_shuffled {
                    panel.band(&mut scene, &[[x - 0.32, low, high], [x + 0.32, low, high]], null_fill(0));
                    panel.line(&mut scene, &[[x - 0.32, value], [x + 0.32, value]], null_line(0), 0.8, None);
                }
                if let Some(rho) = head.rho {
                    if let Some(interval) = rho.interval {
                        panel.interval(&mut scene, x, interval, VERMILLION, 0.0);
                    }
                    scene.marker(Marker::Disc, panel.at(x, rho.value), 1.9, VERMILLION);
                }
            }
            panel.axes(&mut scene);
        }
        scene
    }
}

/// The room of a histogram along an edge, in points.
const EDGE: f64 = 20.0;
/// The room of a colour bar, in points.
const BAR: f64 = 10.0;

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

/// Head numbers, thinned so that they do not touch.
fn thinned_names(heads: usize) -> Vec<String> {
    let every = heads.div_ceil(8).max(1);
    (0..heads).map(|head| if head % every == 0 { head.to_string() } else { String::new() }).collect()
}

fn null_fill(index: usize) -> Colour {
    let grey = [0x8C, 0xB8, 0xA0, 0xC8][index % 4];
    Colour::new(grey, grey, grey).fade(0.5)
}

fn null_line(index: usize) -> Colour {
    let grey = [0x50, 0x70, 0x60, 0x80][index % 4];
    Colour::new(grey, grey, grey)
}

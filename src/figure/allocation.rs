//! How gate strength is divided between decay, write and erase, by mean retention (arXiv 2606.26560, its figure on allocation).
//!
//! An allocation of gates, not removed energy: the axis says so. The shares of erase and write stand to each other as the gates
//! do, so mean gamma and beta are drawn beneath.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel, SeriesPoint};
use super::colour::{AREAS, Colour, GREEN, ORANGE};
use super::legend::{self, Key, Note, Swatch};
use super::scale::{Scale, fixed, thousands};
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Prepared, Shares, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Allocation, GateSummary};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationData {
    /// What the numbers are not.
    pub notice: String,
    /// Bins of mean retention that hold tokens, lowest first.
    pub bins: Vec<ShareBin>,
    /// All tokens.
    pub global: GateShares,
    /// Whether the rule has an erase.
    pub has_erase: bool,
}

/// The shares in one bin of mean retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareBin {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// The shares and gates there.
    pub gates: GateShares,
}

/// Shares, which sum to one, and mean gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateShares {
    /// Tokens times heads.
    pub n_tokens: u64,
    /// Share of decay.
    pub decay: Estimate,
    /// Share of the erase.
    pub erase: Estimate,
    /// Share of the write.
    pub write: Estimate,
    /// Mean erase strength gamma.
    pub erase_strength: Estimate,
    /// Mean write strength beta.
    pub write_strength: Estimate,
}

impl From<&GateSummary> for GateShares {
    fn from(gates: &GateSummary) -> Self {
        Self {
            n_tokens: gates.n_tokens,
            decay: (&gates.decay).into(),
            erase: (&gates.erase).into(),
            write: (&gates.write).into(),
            erase_strength: (&gates.erase_strength).into(),
            write_strength: (&gates.write_strength).into(),
        }
    }
}

impl GateShares {
    /// From the bottom of the stack: neighbours differ in grey too.
    fn stack(&self) -> [(&'static str, Colour, &Estimate); 3] {
        let [decay, erase, write] = AREAS;
        [("decay", decay, &self.decay), ("erase", erase, &self.erase), ("write", write, &self.write)]
    }
}

/// Pick what is drawn.
pub fn prepare(allocation: &Allocation, _spec: &FigureSpec) -> Result<AllocationData, FigureError> {
    let bins: Vec<ShareBin> = allocation
        .bins
        .iter()
        .filter_map(|bin| bin.gates.as_ref().map(|gates| ShareBin { low: bin.low, high: bin.high, gates: gates.into() }))
        .collect();
    if bins.is_empty() {
        return Err(nothing(Figure::Allocation, "no token falls into any bin of mean retention"));
    }
    Ok(AllocationData { notice: allocation.notice.clone(), bins, global: (&allocation.global).into(), has_erase: allocation.has_erase })
}

impl Prepared for AllocationData {
    fn summary(&self) -> String {
        let shares = |gates: &GateShares| gates.stack().map(|(name, _, share)| format!("{name} {share}")).join(", ");
        let highest = self
            .bins
            .last()
            .map_or(String::new(), |bin| format!(" Where mean retention is {} or more: {}.", fixed(bin.low, 2), shares(&bin.gates)));
        format!(
            "Shares of gate strength over {} tokens times heads: {}.{highest} {}",
            thousands(self.global.n_tokens as f64),
            shares(&self.global),
            self.notice
        )
    }

    fn table(&self) -> Table {
        let mut columns = vec!["retention_low".to_owned(), "retention_high".to_owned(), "n_tokens".to_owned()];
        for name in ["decay_share", "erase_share", "write_share", "erase_strength", "write_strength"] {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new("Shares of gate strength by mean retention; the last row holds all tokens", &columns);
        let mut row = |low: f64, high: f64, gates: &GateShares| {
            let mut row: Vec<Value> = vec![low.into(), high.into(), Value::Integer(gates.n_tokens as i64)];
            for estimate in [&gates.decay, &gates.erase, &gates.write, &gates.erase_strength, &gates.write_strength] {
                row.extend([estimate.value.into(), estimate.low().into(), estimate.high().into()]);
            }
            table.push(row);
        };
        for bin in &self.bins {
            row(bin.low, bin.high, &bin.gates);
        }
        row(0.0, 1.0, &self.global);
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let (mut scene, room) = sheet(spec, if wide { 0.36 } else { 0.92 });
        let stack = self.global.stack();
        let keys = stack.iter().filter(|(name, ..)| self.has_erase || *name != "erase").map(|&(name, colour, share)| {
            let label = format!("{name} {} %", fixed(share.value * 100.0, 1));
            Key::new(label, if spec.options.shares == Shares::Lines { line_key(name, colour) } else { Swatch::Fill(colour) })
        });
        let keys: Vec<Key> = keys.collect();
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let notice = if self.has_erase { self.notice.clone() } else { format!("{} This rule has no erase.", self.notice) };
        let note = Note::fit(&notice, room.width);
        let note_room = note.height();
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note_room);
        let (shares, gates) = if wide {
            let tiles = body.tiles(2, 1, [12.0, 0.0]);
            (tiles[0], tiles[1])
        } else {
            let upper = (body.height * 0.56).round();
            (Rect::new(body.left, body.top, body.width, upper), Rect::new(body.left, body.top + upper, body.width, body.height - upper))
        };
        let left = self.draw_shares(&mut scene, spec, shares, !wide);
        self.draw_gates(&mut scene, gates, if wide { 0.0 } else { left });
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

impl AllocationData {
    fn retention_scale(&self) -> Scale {
        Scale::around(self.bins.iter().flat_map(|bin| [bin.low, bin.high]), &[0.0, 1.0])
    }

    fn draw_shares(&self, scene: &mut Scene, spec: &FigureSpec, outer: Rect, above: bool) -> f64 {
        let x_label = if above { String::new() } else { "mean retention ᾱ".to_owned() };
        let frame = Frame { x_label, y_label: "share of gate strength".to_owned(), bare_x: above, ..Frame::default() };
        let panel = Panel::fit(outer, self.retention_scale(), Scale::linear(0.0, 1.0), frame);
        match spec.options.shares {
            Shares::Stacked => {
                for index in 0..3 {
                    self.draw_share(scene, &panel, index);
                }
                self.draw_seams(scene, &panel);
                self.draw_names(scene, &panel);
            }
            Shares::Lines => {
                panel.grid(scene);
                let names = ["decay", "erase", "write"].into_iter().enumerate();
                for (index, name) in names.filter(|(_, name)| self.has_erase || *name != "erase") {
                    let colour = self.global.stack()[index].1;
                    let rows: Vec<SeriesPoint> = self.bins.iter().map(|bin| point(bin, bin.gates.stack()[index].2)).collect();
                    panel.series(scene, &rows, manner(name), colour);
                }
            }
        }
        panel.axes(scene);
        panel.area.left - outer.left
    }

    /// One share of the stack as one stepped area per run of neighbouring bins, so that no seam shows inside it.
    fn draw_share(&self, scene: &mut Scene, panel: &Panel, index: usize) {
        let (_, colour, _) = self.global.stack()[index];
        for run in self.bins.chunk_by(|bin, next| (bin.high - next.low).abs() < 1e-9) {
            let rows = run.iter().flat_map(|bin| {
                let stack = bin.gates.stack().map(|(_, _, share)| share.value);
                let below: f64 = stack[..index].iter().sum();
                [bin.low, bin.high].map(|x| [x, below, below + stack[index]])
            });
            panel.band(scene, &rows.collect::<Vec<_>>(), colour);
        }
    }

    /// Paper-coloured seams between the shares of the stack, with the interval of each seam's height.
    fn draw_seams(&self, scene: &mut Scene, panel: &Panel) {
        let paper = scene.theme.paper();
        for bin in &self.bins {
            let [decay, erase, write] = bin.gates.stack().map(|(_, _, share)| share);
            // Without an erase its two seams are one.
            let seams = if self.has_erase { 2 } else { 1 };
            for (seam, interval) in
                [(decay.value, decay.interval), (decay.value + erase.value, write.interval.map(|[low, high]| [1.0 - high, 1.0 - low]))]
                    .into_iter()
                    .take(seams)
            {
                panel.line(scene, &[[bin.low, seam], [bin.high, seam]], paper, 0.8, None);
                if let Some(interval) = interval {
                    panel.interval(scene, f64::midpoint(bin.low, bin.high), interval, scene.theme.ink(), 0.0);
                }
            }
        }
    }

    /// Each share's name inside its area, where the area is highest over three bins, if there is room.
    fn draw_names(&self, scene: &mut Scene, panel: &Panel) {
        for index in 0..3 {
            let share = |bin: &ShareBin| bin.gates.stack()[index].2.value;
            let room = |bins: &[ShareBin]| bins.iter().map(share).fold(f64::INFINITY, f64::min) * panel.area.height;
            let Some(bins) = self.bins.windows(3.min(self.bins.len())).max_by(|a, b| room(a).total_cmp(&room(b))) else { continue };
            if room(bins) < 2.0 * SMALL {
                continue;
            }
            let bin = &bins[bins.len() / 2];
            let stack = bin.gates.stack();
            let below: f64 = stack[..index].iter().map(|(_, _, share)| share.value).sum();
            let [x, y] = panel.at(f64::midpoint(bin.low, bin.high), below + share(bin) / 2.0);
            let (name, colour, _) = stack[index];
            let text = if colour == AREAS[1] { Colour::new(0x1A, 0x1A, 0x1A) } else { Colour::new(0xFF, 0xFF, 0xFF) };
            scene.text(name, [x, y + SMALL * 0.36], SMALL, text, Anchor::Middle);
        }
    }

    fn draw_gates(&self, scene: &mut Scene, outer: Rect, least_left: f64) {
        let drawn: Vec<(usize, &str, Colour)> =
            [(0, "erase", ORANGE), (1, "write", GREEN)].into_iter().skip(usize::from(!self.has_erase)).collect();
        let keys: Vec<Key> = drawn
            .iter()
            .map(|(_, name, colour)| Key::new(format!("{name} {}", if *name == "erase" { 'γ' } else { 'β' }), line_key(name, *colour)))
            .collect();
        let frame = Frame { x_label: "mean retention ᾱ".to_owned(), y_label: "mean gate".to_owned(), least_left, ..Frame::default() };
        let gates = |bin: &ShareBin| [bin.gates.erase_strength, bin.gates.write_strength];
        let reach = self.bins.iter().flat_map(gates).flat_map(|gate| gate.reach());
        let top = legend::height(&keys, outer.width);
        let body = Rect::new(outer.left, outer.top + top, outer.width, outer.height - top);
        let panel = Panel::fit(body, self.retention_scale(), Scale::around(reach, &[0.0]), frame);
        legend::draw(scene, panel.area.left, outer.top + 2.0, outer.width, &keys);
        panel.grid(scene);
        for (index, name, colour) in drawn {
            let rows: Vec<SeriesPoint> = self.bins.iter().map(|bin| point(bin, &gates(bin)[index])).collect();
            panel.series(scene, &rows, manner(name), colour);
        }
        panel.axes(scene);
    }
}

fn point(bin: &ShareBin, estimate: &Estimate) -> SeriesPoint {
    SeriesPoint { x: f64::midpoint(bin.low, bin.high), y: estimate.value, interval: estimate.interval }
}

/// Each gate keeps its dash and marker in every panel.
fn manner(name: &str) -> usize {
    match name {
        "erase" => 2,
        "write" => 1,
        _ => 0,
    }
}

fn line_key(name: &str, colour: Colour) -> Swatch {
    Swatch::Line(colour, dash_of(manner(name)), Some(Marker::of(manner(name))))
}

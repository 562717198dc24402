//! Raw write-key recall: can an older value be read back at its own write key?
//!
//! At step t the memory is read at the write direction of an earlier step s, S_t^T k_s, and compared with what was written
//! there, v_s, by lag t - s. Report this next to every claim of cleanup: a memory can look clean because it forgets.

use std::ops::Range;

use ndarray::{Array1, ArrayView1, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::replay::{Replay, dot, read, square};
use super::source::{LayerParts, n_sequences, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions, words};
use crate::memory::{EditKind, Factors, Phase};

/// Options of the recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecallOptions {
    /// Lags t - s in steps; those that no sequence reaches are left out.
    pub lags: Vec<usize>,
    /// Read at every how many-th step t (1: every step).
    pub every: usize,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for RecallOptions {
    fn default() -> Self {
        Self { lags: vec![0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], every: 1, statistics: StatisticsOptions::default() }
    }
}

/// Raw write-key recall of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// How it was computed.
    pub options: RecallOptions,
    /// All layers and heads, by lag.
    pub global: Vec<LagRecall>,
    /// One per layer.
    pub layers: Vec<LayerRecall>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadRecall>,
}

/// Recall of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRecall {
    /// The layer's number in the model.
    pub layer: usize,
    /// By lag.
    pub lags: Vec<LagRecall>,
}

/// Recall of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadRecall {
    /// Which head.
    pub id: HeadId,
    /// By lag.
    pub lags: Vec<LagRecall>,
}

/// Recall at one lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LagRecall {
    /// t - s in steps; 0 reads straight after the write.
    pub lag: usize,
    /// Reads.
    pub n_reads: u64,
    /// R2 of S_t^T k_s against v_s: 1 - sum |S_t^T k_s - v_s|^2 / sum |v_s - vbar|^2 with vbar the head's mean value in the sequence.
    /// At most 1; below 0 when the mean value would be nearer. `None` when values do not vary.
    pub r2: Option<Interval>,
    /// Mean cos(S_t^T k_s, v_s), blind to scale; `None` when every read is zero.
    pub cosine: Option<Interval>,
}

/// Raw write-key recall of a source.
///
/// A rule with several writes a step is read at the key of each. What a gate makes of the value before the write (GDN-2) is what
/// should be read back.
pub fn recall(source: &(impl Source + ?Sized), options: &RecallOptions) -> Result<Recall, MeasureError> {
    options.statistics.check()?;
    if options.every == 0 {
        return Err(MeasureError::Option { option: "every", value: 0.0, range: "at least 1" });
    }
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let parts = walk(source, |_| true, |_, _, factors| tally(factors, options))?;
    let by_lag = |chosen: &[(&Part, Range<usize>)]| -> Vec<LagRecall> {
        let one = |(place, &lag): (usize, &usize)| {
            let mut pooled = vec![Tally::default(); bootstrap.n_sequences()];
            for (part, heads) in chosen {
                for (sum, sequence) in pooled.iter_mut().zip(&part.sequences) {
                    sequence[heads.clone()].iter().for_each(|head| sum.add(&head[place]));
                }
            }
            summarise(lag, &pooled, &bootstrap)
        };
        options.lags.iter().enumerate().filter_map(one).collect()
    };
    let heads = |part: &Part| 0..part.info.dims.head;
    let head =
        |part: &Part, head: usize| HeadRecall { id: HeadId { layer: part.info.layer, head }, lags: by_lag(&[(part, head..head + 1)]) };
    Ok(Recall {
        options: options.clone(),
        global: by_lag(&parts.iter().map(|part| (part, heads(part))).collect::<Vec<_>>()),
        layers: parts.iter().map(|part| LayerRecall { layer: part.info.layer, lags: by_lag(&[(part, heads(part))]) }).collect(),
        heads: parts.iter().flat_map(|part| heads(part).map(move |index| (part, index))).map(|(part, index)| head(part, index)).collect(),
    })
}

/// Sums of a layer's sequences, [sequence][head][lag].
type Part = LayerParts<Vec<Vec<Tally>>>;

/// Sums over reads.
#[derive(Clone, Copy, Default)]
struct Tally {
    n_reads: f64,
    /// |S_t^T k_s - v_s|^2.
    error: f64,
    /// |v_s - vbar|^2.
    spread: f64,
    /// cos(S_t^T k_s, v_s), and how many there are.
    cosine: f64,
    n_cosines: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.n_reads += other.n_reads;
        self.error += other.error;
        self.spread += other.spread;
        self.cosine += other.cosine;
        self.n_cosines += other.n_cosines;
    }

    fn of(held: ArrayView1<f32>, value: ArrayView1<f32>, mean: &Array1<f32>) -> Self {
        let distance = |from: ArrayView1<f32>| value.iter().zip(from).map(|(&v, &x)| (f64::from(v) - f64::from(x)).powi(2)).sum();
        let norms = (square(held) * square(value)).sqrt();
        let (cosine, n_cosines) = if norms > 0.0 { (dot(held, value) / norms, 1.0) } else { (0.0, 0.0) };
        Self { n_reads: 1.0, error: distance(held), spread: distance(mean.view()), cosine, n_cosines }
    }
}

/// The sums of one sequence, [head][lag].
fn tally(factors: &Factors<f32>, options: &RecallOptions) -> Vec<Vec<Tally>> {
    let replay = Replay::new(factors);
    let head = |head| {
        let recurrence = replay.recurrence();
        let mut tallies = vec![Tally::default(); options.lags.len()];
        let writes: Vec<_> = recurrence
            .edits
            .iter()
            .filter(|edit| matches!(edit.kind, EditKind::Write(_)))
            .filter_map(|edit| edit.value.as_ref().map(|value| (&edit.direction, value)))
            .map(|(direction, value)| {
                (direction, value, value.slice(s![0, .., head, ..]).mean_axis(ndarray::Axis(0)).expect("a sequence has steps"))
            })
            .collect();
        replay.visit(head, Phase::Write, |step, memory| {
            if step % options.every != 0 {
                return;
            }
            for (tally, &lag) in tallies.iter_mut().zip(&options.lags).filter(|(_, lag)| **lag <= step) {
                for (direction, value, mean) in &writes {
                    let held = read(memory, recurrence.lane(direction, 0, step - lag, head));
                    tally.add(&Tally::of(ArrayView1::from(&held), value.slice(s![0, step - lag, head, ..]), mean));
                }
            }
        });
        tallies
    };
    (0..factors.dims().head).into_par_iter().map(head).collect()
}

/// One lag's sums per sequence; `None` without reads.
fn summarise(lag: usize, tallies: &[Tally], bootstrap: &Bootstrap) -> Option<LagRecall> {
    let column = |value: &dyn Fn(&Tally) -> f64| tallies.iter().map(value).collect::<Vec<f64>>();
    let n_reads: f64 = column(&|tally| tally.n_reads).iter().sum();
    let explained = column(&|tally| tally.spread - tally.error);
    (n_reads > 0.0).then(|| LagRecall {
        lag,
        n_reads: n_reads as u64,
        r2: bootstrap.ratio(&explained, &column(&|tally| tally.spread)),
        cosine: bootstrap.ratio(&column(&|tally| tally.cosine), &column(&|tally| tally.n_cosines)),
    })
}

impl Recall {
    /// What was found and how sure it is, in plain sentences.
    pub fn headline(&self) -> String {
        let row = |row: &LagRecall| {
            let lag = if row.lag == 0 { "straight after the write".to_owned() } else { format!("{} steps later", row.lag) };
            let r2 = row.r2.as_ref().map_or("undefined".to_owned(), Interval::to_string);
            let cosine = row.cosine.as_ref().map_or("undefined".to_owned(), Interval::to_string);
            format!("{lag} R2 is {r2} (cosine {cosine})")
        };
        let (Some(first), Some(last)) = (self.global.first(), self.global.last()) else { return "No lag fits the sequences.".to_owned() };
        let middle = &self.global[self.global.len() / 2];
        let mut rows = vec![row(first), row(middle), row(last)];
        rows.dedup();
        let n = first.r2.or(first.cosine).map_or(0, |interval| interval.n);
        let mut said = format!("Values read back raw at their own write keys: {} ({}).", rows.join("; "), words::sequences(n));
        let gone = self.global.iter().find(|row| row.r2.as_ref().and_then(Interval::bounds).is_some_and(|(_, high)| high <= 0.0));
        if let Some(gone) = gone {
            said += &format!(" From lag {} on, the mean value would be as good a guess.", gone.lag);
        }
        said
    }
}

//! From a trace to partial sums.

use std::ops::Range;

use ndarray::{Array2, ArrayD, ArrayView2, Ix2, s};
use pentimento_probes::Moments;
use rayon::prelude::*;

use super::spec::BLOCK;
use super::tree::{self, Tree};
use super::{Control, Coverage, Part, PartSpec, PartialError, ReadAddress, WorkSource};
use crate::memory::{HookPoint, Phase};
use crate::provenance::Provenance;
use crate::readout::Feature;
use crate::trace::Trace;

/// What to sum, and which part of it.
///
/// | option | default | purpose | range |
/// |---|---|---|---|
/// | `layer`, `head` | 0 | whose memory | those of the trace |
/// | `lag` | 1 | steps between the target's write and the sample | below the number of steps |
/// | `feature` | read | what a readout sees | |
/// | `address` | own | where the feature `read` reads | |
/// | `phase` | write | of the sample's step | |
/// | `window` | all steps | steps that count as samples, in every part alike | within the trace |
/// | `folds` | 5 | of sequences, for held-out scores | 3 to 64 |
/// | `fold_seed` | 0 | deals sequences into folds | |
/// | `control` | exchanged | control targets | |
/// | `batch` | all | this part's sequences, numbered as in this trace | within the trace |
/// | `steps` | the window | this part's steps | within the window |
#[derive(Clone, Debug, PartialEq)]
pub struct StatsOptions {
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// Steps between the target's write and the sample.
    pub lag: usize,
    /// What a readout sees.
    pub feature: Feature,
    /// Where the feature `read` reads.
    pub address: ReadAddress,
    /// Of the sample's step.
    pub phase: Phase,
    /// Steps that count as samples.
    pub window: Option<Range<u64>>,
    /// Folds of sequences.
    pub folds: usize,
    /// Deals sequences into folds.
    pub fold_seed: u64,
    /// Control targets.
    pub control: Control,
    /// This part's sequences.
    pub batch: Option<Range<u64>>,
    /// This part's steps.
    pub steps: Option<Range<u64>>,
}

impl Default for StatsOptions {
    fn default() -> Self {
        Self {
            layer: 0,
            head: 0,
            lag: 1,
            feature: Feature::Read,
            address: ReadAddress::default(),
            phase: Phase::Write,
            window: None,
            folds: 5,
            fold_seed: 0,
            control: Control::default(),
            batch: None,
            steps: None,
        }
    }
}

/// A part of the work that can be done: checked against the trace, every default resolved.
pub struct Plan<'a> {
    trace: &'a Trace,
    spec: PartSpec,
    first_sequence: u64,
    batch: Range<u64>,
    steps: Range<u64>,
}

impl<'a> Plan<'a> {
    /// Checks what is asked of a trace.
    pub fn new(trace: &'a Trace, options: &StatsOptions) -> Result<Self, PartialError> {
        trace.require_complete()?;
        let dims = trace.layer(options.layer)?.dims;
        let refuse = |option, value: String, range: String| Err(PartialError::Option { option, value, range });
        let inside = |option, range: &Option<Range<u64>>, all: Range<u64>| {
            let range = range.clone().unwrap_or_else(|| all.clone());
            if range.start < all.start || range.end > all.end || range.is_empty() {
                let (value, allowed) = (format!("{}:{}", range.start, range.end), format!("{}:{}", all.start, all.end));
                return Err(PartialError::Option { option, value, range: format!("a range within {allowed}") });
            }
            Ok(range)
        };
        if options.head >= dims.head {
            return refuse("the head", options.head.to_string(), format!("0 to {}", dims.head.saturating_sub(1)));
        }
        if options.feature == Feature::Singular {
            return refuse("the feature", options.feature.to_string(), "state or read".to_owned());
        }
        if options.lag >= dims.step {
            return refuse("the lag", options.lag.to_string(), format!("below the trace's {} steps", dims.step));
        }
        if !(3..=64).contains(&options.folds) {
            return refuse("the number of folds", options.folds.to_string(), "3 to 64".to_owned());
        }
        if options.control == Control::Exchanged && dims.batch < 2 {
            return refuse("the control", "exchanged".to_owned(), "none for a trace with a single sequence".to_owned());
        }
        let window = inside("the window", &options.window, 0..dims.step as u64)?;
        let source = WorkSource::of(trace);
        let spec = PartSpec {
            version: 1,
            source: source.digest,
            layer: options.layer,
            head: options.head,
            lag: options.lag,
            feature: options.feature,
            address: options.address,
            phase: options.phase,
            window: [window.start, window.end],
            block: BLOCK as u64,
            folds: options.folds,
            fold_seed: options.fold_seed,
            control: options.control,
            n_features: if options.feature == Feature::Read { dims.d_v } else { dims.d_k * dims.d_v },
            n_targets: dims.d_v,
        };
        spec.check_size()?;
        Ok(Self {
            trace,
            spec,
            first_sequence: source.first_sequence,
            batch: inside("the batch range", &options.batch, 0..dims.batch as u64)?,
            steps: inside("the range of steps", &options.steps, window)?,
        })
    }

    /// The piece of work.
    pub const fn spec(&self) -> &PartSpec {
        &self.spec
    }

    /// Which sequences and steps this part will hold.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(self.first_sequence + self.batch.start..self.first_sequence + self.batch.end, self.steps.clone())
    }

    /// The file name that says what the part is of.
    pub fn file_name(&self) -> String {
        self.spec.file_name(&self.coverage())
    }

    /// Does the work. `progress` is told how many blocks are done, of how many.
    pub fn run(&self, progress: impl Fn(usize, usize)) -> Result<Part, PartialError> {
        let tokens = self.trace.tokens()?;
        let first_block = tree::blocks(&self.spec).start;
        let blocks = self.steps.start / self.spec.block..self.steps.end.div_ceil(self.spec.block);
        let work: Vec<(u64, u64)> = self.batch.clone().flat_map(|batch| blocks.clone().map(move |block| (batch, block))).collect();
        let mut tree = Tree::new(&self.spec);
        let together = 2 * rayon::current_num_threads();
        for (index, chunk) in work.chunks(together).enumerate() {
            let one = |&(batch, block): &(u64, u64)| {
                let leaf = tree::steps_of(&self.spec, block);
                let steps = leaf.start.max(self.steps.start)..leaf.end.min(self.steps.end);
                let told = tokens.as_ref().map(|tokens| tokens.row(batch as usize));
                let kept: Vec<usize> = steps
                    .clone()
                    .map(|step| step as usize)
                    // Shorter sequences are padded with token -1.
                    .filter(|&step| step >= self.spec.lag && told.is_none_or(|tokens| tokens[step] >= 0))
                    .collect();
                let sums = Moments::of(self.samples(batch as usize, &kept)?.view());
                Ok((batch, block, leaf, steps, sums))
            };
            let sums: Vec<_> = chunk.par_iter().map(one).collect::<Result<_, PartialError>>()?;
            for (batch, block, leaf, steps, sums) in sums {
                let (fold, place) = self.spec.fold_of(self.first_sequence + batch);
                let slot = tree.slot(place, block - first_block);
                if steps == leaf {
                    tree.insert((fold, 0, slot), sums);
                } else {
                    tree.insert_piece((fold, slot, steps.start, steps.end), leaf, sums);
                }
            }
            progress(((index + 1) * together).min(work.len()), work.len());
        }
        let made_from = self.trace.digest().map(str::to_owned).into_iter().collect();
        let provenance = Provenance { made_from, dtype: "f64".to_owned(), ..Provenance::here("stats") };
        Ok(Part { spec: self.spec.clone(), coverage: self.coverage(), provenance, tree })
    }

    /// Features, targets and control targets of some ascending steps of a sequence, [sample, column].
    fn samples(&self, batch: usize, steps: &[usize]) -> Result<Array2<f64>, PartialError> {
        let Self { trace, spec, .. } = self;
        let mut samples = Array2::zeros((steps.len(), spec.n_columns()));
        let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { return Ok(samples) };
        let (own, before) = (first..last + 1, first - spec.lag..last + 1 - spec.lag);
        let stream = |point, batch: usize, steps: &Range<usize>| -> Result<Array2<f32>, PartialError> {
            Ok(matrix(trace.head_stream(spec.layer, point, spec.head, batch, steps.clone())?))
        };
        let address = match (spec.feature, spec.address) {
            (Feature::State | Feature::Singular, _) => None,
            (Feature::Read, ReadAddress::Own) => Some(stream(HookPoint::WriteDirection(0), batch, &before)?),
            (Feature::Read, ReadAddress::Query) => Some(stream(HookPoint::Query, batch, &own)?),
        };
        let row_of = |step: usize| steps.binary_search(&step).ok();
        trace.states(spec.layer, spec.head, batch, own, spec.phase, |step, memory| {
            let Some(row) = row_of(step) else { return };
            let features = samples.slice_mut(s![row, ..spec.n_features]);
            match &address {
                None => features.into_iter().zip(memory).for_each(|(to, &from)| *to = f64::from(from)),
                Some(address) => read(memory, address.row(step - first).as_slice().expect("standard order"), features),
            }
        })?;
        let controls = (spec.control == Control::Exchanged).then(|| self.neighbour(batch));
        for (index, sequence) in [Some(batch), controls].into_iter().flatten().enumerate() {
            let values = stream(HookPoint::Value(0), sequence, &before)?;
            let start = spec.n_features + index * spec.n_targets;
            for (row, &step) in steps.iter().enumerate() {
                let to = samples.slice_mut(s![row, start..start + spec.n_targets]);
                to.into_iter().zip(values.row(step - first)).for_each(|(to, &from)| *to = f64::from(from));
            }
        }
        Ok(samples)
    }

    /// The sequence that lends a sequence its values as control targets.
    fn neighbour(&self, batch: usize) -> usize {
        let n = self.trace.n_batch();
        let partner = (self.first_sequence + batch as u64) ^ 1;
        let partner = partner.checked_sub(self.first_sequence).map(|partner| partner as usize);
        partner.filter(|&partner| partner < n).unwrap_or((batch + 1) % n)
    }
}

/// `S^T x` in f64, row after row: the same bits on any machine.
fn read(memory: ArrayView2<f32>, address: &[f32], mut to: ndarray::ArrayViewMut1<f64>) {
    for (row, &x) in memory.rows().into_iter().zip(address) {
        let x = f64::from(x);
        to.iter_mut().zip(row).for_each(|(to, &entry)| *to += x * f64::from(entry));
    }
}

fn matrix(array: ArrayD<f32>) -> Array2<f32> {
    array.into_dimensionality::<Ix2>().expect("the table says one channel axis")
}

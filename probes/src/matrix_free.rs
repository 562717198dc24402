//! Probes on the whole of a memory without forming it: from retention, directions and pseudo-values alone.
//!
//! A recorded memory is `S_t = diag(alpha_t) S_{t-1} + sum over edits of direction a^T`. A readout with weights W asks for
//! `f = <W, S>`, and with `r_t = alpha_t * r_{t-1} + sum of direction * (W a)` that is the sum of r: one product of the
//! pseudo-values with W, then a scan over steps of vectors \[d_k\]. The gradient `sum of g S` is the same backwards:
//! `sum over steps of (rho_t * direction) a^T` with `rho` collecting g from the end. So conjugate gradients (ridge) and
//! limited-memory BFGS (logistic) run on the trace alone: memory grows with `channels times outputs`, never with
//! `channels squared` nor with `samples times channels`.
//!
//! Each pass costs `2 channels` multiplications a step, edit and output, so where the samples' states fit into memory the
//! dense form is quicker: this form is for the states that do not.

mod fit;

use std::{collections::BTreeMap, sync::Arc};

use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, linalg::general_mat_mul, s};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;

use crate::{ProbeError, design::Design, linalg::Real, random::normals};

pub use fit::evaluate_states;

/// How far into its step a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// What the step finds.
    Before,
    /// After the decay and this many of the step's edits.
    Edits(usize),
}

/// One edit of every step of a stretch.
#[derive(Clone, Debug)]
pub struct EditStream<F> {
    /// Where it lands, [step, d_k].
    pub direction: Array2<F>,
    /// What it adds there, [step, d_v].
    pub pseudo_value: Array2<F>,
}

/// One stretch of steps of one memory, from its beginning or from a checkpoint.
#[derive(Clone, Debug)]
pub struct Stretch<F> {
    /// The memory found by its first step, [d_k, d_v]; `None` is zero.
    pub initial: Option<Array2<F>>,
    /// alpha, [step, d_k].
    pub retention: Array2<F>,
    /// In the order of the update; the same number in every stretch.
    pub edits: Vec<EditStream<F>>,
}

/// Where a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleAt {
    /// Which stretch.
    pub stretch: usize,
    /// Step within the stretch, 0-based.
    pub step: usize,
    /// How far into the step.
    pub reached: Reached,
}

/// The states at chosen moments as features [sample, d_k * d_v] (row by row: channel = key channel * d_v + value channel),
/// never formed.
#[derive(Clone, Debug)]
pub struct StateDesign<F> {
    stretches: Arc<Vec<Stretch<F>>>,
    samples: Vec<SampleAt>,
    d_k: usize,
    d_v: usize,
    /// Samples of each stretch that has any, by step and moment.
    order: BTreeMap<usize, Vec<usize>>,
}

/// Steps whose products are held at once.
const BLOCK: usize = 128;
/// Parts that stretches are dealt into: sums are over these in order, whatever the number of threads.
const PARTS: usize = 8;

impl<F: Real> StateDesign<F> {
    /// Checks shapes and places. `stretches` may be shared between designs of different samples.
    pub fn new(mut stretches: Arc<Vec<Stretch<F>>>, samples: Vec<SampleAt>) -> Result<Self, ProbeError> {
        let by_rows = |stretch: &Stretch<F>| {
            stretch.retention.is_standard_layout() && stretch.edits.iter().all(|edit| edit.direction.is_standard_layout())
        };
        if !stretches.iter().all(by_rows) {
            for stretch in Arc::make_mut(&mut stretches) {
                stretch.retention = in_rows(stretch.retention.clone());
                for edit in &mut stretch.edits {
                    edit.direction = in_rows(edit.direction.clone());
                }
            }
        }
        let first = stretches.first().ok_or(ProbeError::Empty)?;
        if samples.is_empty() {
            return Err(ProbeError::Empty);
        }
        let d_k = first.retention.ncols();
        let n_edits = first.edits.len();
        let d_v = first
            .edits
            .first()
            .map(|edit| edit.pseudo_value.ncols())
            .or(first.initial.as_ref().map(Array2::ncols))
            .ok_or(ProbeError::Empty)?;
        let check = |what, found, wanted| if found == wanted { Ok(()) } else { Err(ProbeError::Columns { what, found, wanted }) };
        for stretch in stretches.iter() {
            let steps = stretch.retention.nrows();
            check("the retention of a stretch", stretch.retention.ncols(), d_k)?;
            check("the list of edits of a stretch", stretch.edits.len(), n_edits)?;
            for edit in &stretch.edits {
                check("a direction", edit.direction.ncols(), d_k)?;
                check("a pseudo-value", edit.pseudo_value.ncols(), d_v)?;
                check("a direction's list of steps", edit.direction.nrows(), steps)?;
                check("a pseudo-value's list of steps", edit.pseudo_value.nrows(), steps)?;
            }
            if let Some(initial) = &stretch.initial {
                check("an initial memory", initial.ncols(), d_v)?;
                check("the rows of an initial memory", initial.nrows(), d_k)?;
            }
        }
        let mut order: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, sample) in samples.iter().enumerate() {
            let is_there = stretches.get(sample.stretch).is_some_and(|stretch| sample.step < stretch.retention.nrows());
            let reached = if let Reached::Edits(n) = sample.reached { n } else { 0 };
            if !is_there || reached > n_edits {
                return Err(ProbeError::NoSuchMoment { sample: index, stretch: sample.stretch, step: sample.step });
            }
            order.entry(sample.stretch).or_default().push(index);
        }
        for indices in order.values_mut() {
            indices.sort_by_key(|&index| samples[index]);
        }
        Ok(Self { stretches, samples, d_k, d_v, order })
    }

    /// The same stretches at these of the samples.
    pub(crate) fn select(&self, chosen: &[usize]) -> Self {
        let samples: Vec<SampleAt> = chosen.iter().map(|&index| self.samples[index]).collect();
        let mut order: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, sample) in samples.iter().enumerate() {
            order.entry(sample.stretch).or_default().push(index);
        }
        for indices in order.values_mut() {
            indices.sort_by_key(|&index| samples[index]);
        }
        Self { stretches: Arc::clone(&self.stretches), samples, d_k: self.d_k, d_v: self.d_v, order }
    }

    /// What the memories went through.
    pub fn stretches(&self) -> &[Stretch<F>] {
        &self.stretches
    }

    /// Where samples are taken.
    pub fn samples(&self) -> &[SampleAt] {
        &self.samples
    }

    /// [d_k, d_v].
    pub const fn state_shape(&self) -> (usize, usize) {
        (self.d_k, self.d_v)
    }

    /// The stretches that have samples, dealt into parts in order.
    fn parts(&self) -> Vec<Vec<(&Stretch<F>, &[usize])>> {
        let all: Vec<_> = self.order.iter().map(|(&stretch, samples)| (&self.stretches[stretch], samples.as_slice())).collect();
        all.chunks(all.len().div_ceil(PARTS).max(1)).map(<[_]>::to_vec).collect()
    }

    /// Every state in `width` random combinations of its channels, [sample, width]: inner products as they were, on average.
    pub fn sketch(&self, width: usize, seed: u64) -> Array2<F> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let scale = (width.max(1) as f64).sqrt().recip();
        let weights = normals(self.d_k * self.d_v, width, &mut random).mapv(|weight| F::narrow(scale * weight));
        self.forward(weights.view())
    }

    /// `|S|_F^2` of every sample: what "how full is it" knows. Columns of the state are swept a few at a time.
    pub fn squared_norms(&self) -> Array1<f64> {
        let found: Vec<(usize, f64)> = self
            .parts()
            .into_par_iter()
            .flat_map_iter(|part| part.into_iter().flat_map(|(stretch, samples)| self.norms_of(stretch, samples)))
            .collect();
        let mut norms = Array1::zeros(self.samples.len());
        for (sample, norm) in found {
            norms[sample] = norm;
        }
        norms
    }

    fn norms_of(&self, stretch: &Stretch<F>, samples: &[usize]) -> Vec<(usize, f64)> {
        let mut norms: Vec<(usize, f64)> = samples.iter().map(|&sample| (sample, 0.0)).collect();
        for column in 0..self.d_v {
            let unit = Array1::from_shape_fn(self.d_v, |j| if j == column { F::one() } else { F::zero() });
            self.along(stretch, samples, &unit, |place, part| {
                norms[place].1 += part.iter().map(|value| value.widen().powi(2)).sum::<f64>();
            });
        }
        norms
    }

    /// `S y` [d_k] at every sample of a stretch: `visit` gets the sample's place in `samples` and the vector.
    fn along(&self, stretch: &Stretch<F>, samples: &[usize], y: &Array1<F>, mut visit: impl FnMut(usize, &Array1<F>)) {
        let mut held = stretch.initial.as_ref().map_or_else(|| Array1::zeros(self.d_k), |initial| initial.dot(y));
        let mut next = 0;
        let mut look = |step: usize, reached: Reached, held: &Array1<F>| {
            while next < samples.len() && (self.samples[samples[next]].step, self.samples[samples[next]].reached) == (step, reached) {
                visit(next, held);
                next += 1;
            }
            next < samples.len()
        };
        for step in 0..stretch.retention.nrows() {
            look(step, Reached::Before, &held);
            held *= &stretch.retention.row(step);
            let mut is_more = look(step, Reached::Edits(0), &held);
            for (index, edit) in stretch.edits.iter().enumerate() {
                let factor = edit.pseudo_value.row(step).dot(y);
                held.scaled_add(factor, &edit.direction.row(step));
                is_more = look(step, Reached::Edits(index + 1), &held);
            }
            if !is_more {
                return;
            }
        }
    }

    /// Second moments of the key channels about their mean, `E[(S - M)(S - M)^T]` [d_k, d_k], from a few random combinations
    /// of columns: unbiased, good enough to precondition with.
    pub(crate) fn key_moments(&self, n_combinations: usize) -> Array2<f64> {
        let n = self.samples.len() as f64;
        let mut moments = Array2::<f64>::zeros((self.d_k, self.d_k));
        let n_combinations = n_combinations.min(self.d_v);
        for combination in 0..n_combinations {
            // Exact where every column has its turn; else random signs.
            let sign = |j: usize| {
                let mixed = (j as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(combination as u64 * 0xBF58_476D_1CE4_E5B9);
                ((mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 63) == 0
            };
            let y = Array1::from_shape_fn(self.d_v, |j| {
                let unit = n_combinations == self.d_v;
                let value = if unit {
                    f64::from(u8::from(j == combination))
                } else if sign(j) {
                    1.0
                } else {
                    -1.0
                };
                F::narrow(value)
            });
            let parts: Vec<(Array2<f64>, Array1<f64>)> = self
                .parts()
                .into_par_iter()
                .map(|part| {
                    let mut rows = Vec::new();
                    for (stretch, samples) in part {
                        self.along(stretch, samples, &y, |_, vector| rows.extend(vector.iter().map(|value| value.widen())));
                    }
                    let rows = Array2::from_shape_vec((rows.len() / self.d_k, self.d_k), rows).expect("whole rows");
                    (rows.t().dot(&rows), rows.sum_axis(Axis(0)))
                })
                .collect();
            let mut sum = Array1::<f64>::zeros(self.d_k);
            for (square, part) in &parts {
                moments += square;
                sum += part;
            }
            let column = sum.view().insert_axis(Axis(1));
            moments.scaled_add(-1.0 / n, &column.dot(&column.t()));
        }
        let repeats = if n_combinations == self.d_v { 1.0 } else { n_combinations as f64 };
        moments / (n * repeats)
    }

    /// Second moments of what was added, over the value channels [d_v, d_v], scaled to a trace of 1: the shape of the value side.
    pub(crate) fn value_moments(&self) -> Array2<f64> {
        let parts: Vec<Array2<f64>> = self
            .parts()
            .into_par_iter()
            .map(|part| {
                let mut moments = Array2::zeros((self.d_v, self.d_v));
                for (stretch, _) in part {
                    for added in stretch.edits.iter().map(|edit| &edit.pseudo_value).chain(&stretch.initial) {
                        let added = added.mapv(Real::widen);
                        general_mat_mul(1.0, &added.t(), &added, 1.0, &mut moments);
                    }
                }
                moments
            })
            .collect();
        let mut moments = parts.into_iter().fold(Array2::zeros((self.d_v, self.d_v)), |sum, part| sum + part);
        let trace = moments.diag().sum();
        if trace > 0.0 {
            moments /= trace;
        } else {
            moments = Array2::eye(self.d_v) / self.d_v as f64;
        }
        moments
    }

    /// The scan forward: the outputs of the samples of one stretch. `folded` is W as [d_v, output * d_k].
    fn scan(&self, stretch: &Stretch<F>, samples: &[usize], folded: &Array2<F>, weights: &Array3<F>) -> Vec<(usize, Vec<F>)> {
        let d_k = self.d_k;
        let n_outputs = folded.ncols() / d_k;
        let mut running = vec![F::zero(); n_outputs * d_k];
        if let Some(initial) = &stretch.initial {
            for (running, weights) in running.chunks_exact_mut(d_k).zip(weights.outer_iter()) {
                for (running, (weights, initial)) in running.iter_mut().zip(weights.outer_iter().zip(initial.outer_iter())) {
                    *running = weights.dot(&initial);
                }
            }
        }
        let mut found = Vec::with_capacity(samples.len());
        let mut next = 0;
        let last = samples.last().map_or(0, |&sample| self.samples[sample].step);
        let mut look = |step: usize, reached: Reached, running: &[F]| {
            while next < samples.len() && (self.samples[samples[next]].step, self.samples[samples[next]].reached) == (step, reached) {
                let sums = running.chunks_exact(d_k).map(|running| running.iter().fold(F::zero(), |sum, &value| sum + value));
                found.push((samples[next], sums.collect()));
                next += 1;
            }
        };
        for start in (0..=last).step_by(BLOCK) {
            let end = (start + BLOCK).min(last + 1);
            let products: Vec<Array2<F>> =
                stretch.edits.iter().map(|edit| in_rows(edit.pseudo_value.slice(s![start..end, ..]).dot(folded))).collect();
            for step in start..end {
                look(step, Reached::Before, &running);
                let retention = stretch.retention.row(step);
                let retention = retention.to_slice().expect("rows are contiguous");
                for running in running.chunks_exact_mut(d_k) {
                    running.iter_mut().zip(retention).for_each(|(running, &alpha)| *running *= alpha);
                }
                look(step, Reached::Edits(0), &running);
                for (index, (edit, products)) in stretch.edits.iter().zip(&products).enumerate() {
                    let direction = edit.direction.row(step);
                    let direction = direction.to_slice().expect("rows are contiguous");
                    let product = products.row(step - start);
                    let product = product.to_slice().expect("rows are contiguous");
                    for (running, product) in running.chunks_exact_mut(d_k).zip(product.chunks_exact(d_k)) {
                        for ((running, &direction), &product) in running.iter_mut().zip(direction).zip(product) {
                            *running += direction * product;
                        }
                    }
                    look(step, Reached::Edits(index + 1), &running);
                }
            }
        }
        found
    }

    /// The scan backward: adds one stretch's part of `X^T G` to `sum` [output * d_k, d_v].
    fn scan_back(&self, stretch: &Stretch<F>, samples: &[usize], outputs: ArrayView2<F>, sum: &mut Array2<F>) {
        let d_k = self.d_k;
        let n_outputs = outputs.ncols();
        let mut collected = vec![F::zero(); n_outputs * d_k];
        let mut next = samples.len();
        let last = samples.last().map_or(0, |&sample| self.samples[sample].step);
        let mut look = |step: usize, reached: Reached, collected: &mut [F]| {
            while next > 0 && (self.samples[samples[next - 1]].step, self.samples[samples[next - 1]].reached) == (step, reached) {
                next -= 1;
                for (collected, &output) in collected.chunks_exact_mut(d_k).zip(outputs.row(samples[next])) {
                    collected.iter_mut().for_each(|collected| *collected += output);
                }
            }
        };
        let starts: Vec<usize> = (0..=last).step_by(BLOCK).collect();
        for &start in starts.iter().rev() {
            let end = (start + BLOCK).min(last + 1);
            let mut landed: Vec<Array2<F>> = stretch.edits.iter().map(|_| Array2::zeros((end - start, n_outputs * d_k))).collect();
            for step in (start..end).rev() {
                for (index, (edit, landed)) in stretch.edits.iter().zip(&mut landed).enumerate().rev() {
                    look(step, Reached::Edits(index + 1), &mut collected);
                    let direction = edit.direction.row(step);
                    let direction = direction.to_slice().expect("rows are contiguous");
                    let mut landed = landed.row_mut(step - start);
                    let landed = landed.as_slice_mut().expect("rows are contiguous");
                    for (landed, collected) in landed.chunks_exact_mut(d_k).zip(collected.chunks_exact(d_k)) {
                        for ((landed, &direction), &collected) in landed.iter_mut().zip(direction).zip(collected) {
                            *landed = direction * collected;
                        }
                    }
                }
                look(step, Reached::Edits(0), &mut collected);
                let retention = stretch.retention.row(step);
                let retention = retention.to_slice().expect("rows are contiguous");
                for collected in collected.chunks_exact_mut(d_k) {
                    collected.iter_mut().zip(retention).for_each(|(collected, &alpha)| *collected *= alpha);
                }
                look(step, Reached::Before, &mut collected);
            }
            for (edit, landed) in stretch.edits.iter().zip(&landed) {
                general_mat_mul(F::one(), &landed.t(), &edit.pseudo_value.slice(s![start..end, ..]), F::one(), sum);
            }
        }
        if let Some(initial) = &stretch.initial {
            for (mut rows, collected) in sum.axis_chunks_iter_mut(Axis(0), d_k).zip(collected.chunks_exact(d_k)) {
                for ((mut row, initial), &collected) in rows.outer_iter_mut().zip(initial.outer_iter()).zip(collected) {
                    row.scaled_add(collected, &initial);
                }
            }
        }
    }
}

/// Row by row: a product may come out column by column.
fn in_rows<F: Real>(array: Array2<F>) -> Array2<F> {
    if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() }
}

impl<F: Real> Design<F> for StateDesign<F> {
    fn n_samples(&self) -> usize {
        self.samples.len()
    }

    fn n_channels(&self) -> usize {
        self.d_k * self.d_v
    }

    fn forward(&self, weights: ArrayView2<F>) -> Array2<F> {
        let (d_k, d_v, n_outputs) = (self.d_k, self.d_v, weights.ncols());
        // [output, d_k, d_v], and the same as [d_v, output * d_k] for the product with pseudo-values.
        let by_output = weights
            .to_shape((d_k, d_v, n_outputs))
            .expect("a weight per channel and output")
            .permuted_axes([2, 0, 1])
            .as_standard_layout()
            .into_owned();
        let folded = by_output.to_shape((n_outputs * d_k, d_v)).expect("the same numbers").t().as_standard_layout().into_owned();
        let found: Vec<(usize, Vec<F>)> = self
            .parts()
            .into_par_iter()
            .flat_map_iter(|part| part.into_iter().flat_map(|(stretch, samples)| self.scan(stretch, samples, &folded, &by_output)))
            .collect();
        let mut outputs = Array2::zeros((self.samples.len(), n_outputs));
        for (sample, values) in found {
            outputs.row_mut(sample).iter_mut().zip(values).for_each(|(to, from)| *to = from);
        }
        outputs
    }

    fn adjoint(&self, outputs: ArrayView2<F>) -> Array2<F> {
        let (d_k, d_v, n_outputs) = (self.d_k, self.d_v, outputs.ncols());
        let parts: Vec<Array2<F>> = self
            .parts()
            .into_par_iter()
            .map(|part| {
                let mut sum = Array2::zeros((n_outputs * d_k, d_v));
                for (stretch, samples) in part {
                    self.scan_back(stretch, samples, outputs, &mut sum);
                }
                sum
            })
            .collect();
        let sum = parts.into_iter().reduce(|sum, part| sum + part).unwrap_or_else(|| Array2::zeros((n_outputs * d_k, d_v)));
        let by_channel = sum.into_shape_with_order((n_outputs, d_k * d_v)).expect("the same numbers");
        by_channel.reversed_axes().as_standard_layout().into_owned()
    }
}

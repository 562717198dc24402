//! What the reads of one head of one sequence consist of, for a person who looks at them: the exact attention as a matrix, or one row
//! of it by the adjoint.

use ndarray::{Array2, s};

use super::MeasureError;
use crate::ledger::{AccountOptions, HeadRecurrence, account, contributions};
use crate::memory::{HookPoint, Phase};
use crate::trace::Trace;

/// One read, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadParts {
    /// The step that reads.
    pub step: usize,
    /// A_{t,i}, exact and signed: the weight of every value written until then, \[write\].
    pub weights: Vec<f64>,
    /// A_{t,i} v_i . o / |o|^2: the part of the read that every write makes up. Signed; with that of the initial memory they sum to 1.
    /// Zeros where the read is zero. \[write\].
    pub shares: Vec<f64>,
    /// The part that the memory before the first step makes up.
    pub initial_share: f64,
    /// Writes of one step: write i is of step i / `writes_per_step`.
    pub writes_per_step: usize,
    /// |o|, the length of the read.
    pub norm: f64,
    /// |sum_i A v_i + initial - o| / |o|: what the parts leave unexplained of the read that the trace gives.
    pub residual: f64,
    /// Whether o is the output that the model gave, or the read of the memory replayed from a checkpoint.
    pub held_to: HeldTo,
}

/// What completeness is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldTo {
    /// The output that the model gave.
    Recorded,
    /// The read of the memory replayed from the nearest checkpoint: the trace holds no outputs.
    Replayed,
}

impl HeldTo {
    /// A few words for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Recorded => "the recorded output",
            Self::Replayed => "the memory replayed from a checkpoint",
        }
    }
}

/// The whole exact attention of a head.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMatrix {
    /// A_{t,i}, [step, write].
    pub weights: Array2<f32>,
    /// The largest |A|.
    pub largest: f64,
    /// 99.5 of 100 entries that are not zero are at most as large: where colours should end.
    pub ordinary: f64,
    /// Writes of one step.
    pub writes_per_step: usize,
    /// What the attention leaves unexplained of every read, |A v - o| / |o|, \[step\]. Empty if the trace holds no outputs.
    pub residuals: Vec<f64>,
}

impl ReadParts {
    /// The step of a write.
    pub const fn step_of(&self, write: usize) -> usize {
        write / self.writes_per_step
    }

    /// The writes the read rests on most, by |share|; at most `n`.
    pub fn strongest(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.shares.len()).filter(|&write| self.shares[write] != 0.0).collect();
        order.sort_by(|&a, &b| self.shares[b].abs().total_cmp(&self.shares[a].abs()).then(a.cmp(&b)));
        order.truncate(n);
        order
    }
}

/// The parts of one read, by one sweep backwards: O(t d_k), in f64.
pub fn read_parts(trace: &Trace, layer: usize, head: usize, sequence: usize, step: usize) -> Result<ReadParts, MeasureError> {
    let recurrence = one_head(trace, layer, head, sequence)?;
    let found = contributions(&recurrence, step, Phase::Write, recurrence.query_of(step));
    let values = recurrence.values();
    let values = values.slice(s![..found.weights.len(), ..]);
    let mut explained = values.t().dot(&ndarray::ArrayView1::from(&found.weights));
    if let Some(initial) = &found.initial {
        explained += initial;
    }
    let recorded = trace.head_stream(layer, HookPoint::Output, head, sequence, step..step + 1).ok();
    let (output, held_to) = if let Some(recorded) = recorded.filter(|recorded| recorded.len() == recurrence.d_v()) {
        (recorded.iter().map(|&x| f64::from(x)).collect::<ndarray::Array1<f64>>(), HeldTo::Recorded)
    } else {
        let memory = trace.memory(layer, head, sequence, step, Phase::Write)?.mapv(f64::from);
        (memory.t().dot(&recurrence.query_of(step)), HeldTo::Replayed)
    };
    let whole = output.dot(&output);
    let part = |along: f64| if whole > 0.0 { along / whole } else { 0.0 };
    let shares = values.rows().into_iter().zip(&found.weights).map(|(value, weight)| part(weight * value.dot(&output))).collect();
    let difference = &explained - &output;
    let off = difference.dot(&difference).sqrt();
    Ok(ReadParts {
        step,
        weights: found.weights,
        shares,
        initial_share: found.initial.as_ref().map_or(0.0, |initial| part(initial.dot(&output))),
        writes_per_step: recurrence.writes_per_step(),
        norm: whole.sqrt(),
        residual: if off == 0.0 { 0.0 } else { off / whole.sqrt() },
        held_to,
    })
}

/// The exact attention of every read: T^2 numbers, for short sequences.
pub fn attention_matrix(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<AttentionMatrix, MeasureError> {
    let recurrence = one_head(trace, layer, head, sequence)?;
    let found = account(&recurrence, &AccountOptions { attention: true, ..AccountOptions::default() });
    let recorded = trace.head_stream(layer, HookPoint::Output, head, sequence, 0..recurrence.n_steps()).ok();
    let recorded = recorded.and_then(|output| output.mapv(f64::from).into_dimensionality().ok());
    let recorded = recorded.filter(|output: &Array2<f64>| output.dim() == found.output.dim());
    let residuals = recorded.map_or_else(Vec::new, |output| found.residuals(output.view()));
    let weights = found.attention.expect("it was asked for").mapv(|x| x as f32);
    let mut sizes: Vec<f64> = weights.iter().map(|x| f64::from(x.abs())).filter(|size| *size > 0.0 && size.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    let largest = sizes.last().copied().unwrap_or(0.0);
    let ordinary = if sizes.is_empty() { 0.0 } else { super::quantile(&sizes, 0.995) };
    Ok(AttentionMatrix { weights, largest, ordinary, writes_per_step: recurrence.writes_per_step(), residuals })
}

/// One head as the ledger reads it, in f64; only its own factors are read.
pub fn one_head(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<HeadRecurrence<f64>, MeasureError> {
    let factors = trace.head_factors(layer, head, sequence)?;
    factors.check_values().map_err(|source| MeasureError::Factors { layer, sequence, source })?;
    Ok(HeadRecurrence::new(&factors.cast::<f64>().lower(), 0, 0))
}

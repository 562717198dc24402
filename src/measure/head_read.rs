//! One head of one sequence, for a person who looks at it: what its reads consist of (the exact attention as a matrix, or one row of it
//! by the adjoint), and what becomes of its writes.

use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};

use super::MeasureError;
use crate::ledger::{AccountOptions, HeadRecurrence, Life, account, contributions, life};
use crate::memory::{HookPoint, Phase};
use crate::trace::Trace;

/// One read, taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// One write with the erase and without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteLife {
    /// As it was.
    pub life: Life,
    /// Surviving share at every age had the erase not been, do(gamma = 0), \[age\]; `None` for a rule without an erase.
    pub without_erase: Option<Vec<f64>>,
}

/// One head of one sequence, read once: any of its reads is taken apart and any of its writes followed without reading it again.
#[derive(Clone, Debug)]
pub struct OneHead {
    layer: usize,
    head: usize,
    sequence: usize,
    recurrence: HeadRecurrence<f64>,
    without_erase: Option<HeadRecurrence<f64>>,
    /// What every write puts into memory, [write, d_v].
    values: Array2<f64>,
    /// What the model gave, [step, d_v]; `None` if the trace does not hold it.
    output: Option<Array2<f64>>,
}

impl OneHead {
    /// Reads its factors and outputs, in f64.
    pub fn read(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<Self, MeasureError> {
        let factors = trace.head_factors(layer, head, sequence)?;
        factors.check_values().map_err(|source| MeasureError::Factors { layer, sequence, source })?;
        let recurrence = HeadRecurrence::new(&factors.cast::<f64>().lower(), 0, 0);
        let output = trace.head_stream(layer, HookPoint::Output, head, sequence, 0..recurrence.n_steps()).ok();
        let output = output.and_then(|output| output.mapv(f64::from).into_dimensionality().ok());
        let output = output.filter(|output: &Array2<f64>| output.dim() == (recurrence.n_steps(), recurrence.d_v()));
        let without_erase = recurrence.has_erase().then(|| recurrence.without_erase());
        let values = recurrence.values();
        Ok(Self { layer, head, sequence, recurrence, without_erase, values, output })
    }

    /// Steps.
    pub fn n_steps(&self) -> usize {
        self.recurrence.n_steps()
    }

    /// Bytes that it holds, about.
    pub fn bytes(&self) -> usize {
        let keys = self.recurrence.n_steps() * self.recurrence.d_k() * (4 + self.recurrence.writes_per_step());
        let values = self.values.len() * 2 + self.output.as_ref().map_or(0, Array2::len);
        size_of::<f64>() * (keys * if self.without_erase.is_some() { 2 } else { 1 } + values)
    }

    /// The writes of a step, in the order in which the step writes, each followed to the last step in O(T d_k); `None` for a write of
    /// nothing.
    pub fn lives(&self, step: usize) -> Vec<Option<WriteLife>> {
        let each = self.recurrence.writes_per_step();
        let one = |write: usize| {
            let surviving = |head| Some(life(head, write)?.shares.iter().map(|shares| shares[0]).collect());
            Some(WriteLife { life: life(&self.recurrence, write)?, without_erase: self.without_erase.as_ref().and_then(surviving) })
        };
        (step * each..(step + 1) * each).filter(|write| *write < self.recurrence.n_writes()).map(one).collect()
    }

    /// The parts of one read, by one sweep backwards: O(t d_k). The trace is read again only where it holds no outputs.
    pub fn parts(&self, trace: &Trace, step: usize) -> Result<ReadParts, MeasureError> {
        let recurrence = &self.recurrence;
        if step >= recurrence.n_steps() {
            return Err(MeasureError::Place { what: "step", index: step, count: recurrence.n_steps() });
        }
        let found = contributions(recurrence, step, Phase::Write, recurrence.query_of(step));
        let values = self.values.slice(s![..found.weights.len(), ..]);
        let mut explained = values.t().dot(&ndarray::ArrayView1::from(&found.weights));
        if let Some(initial) = &found.initial {
            explained += initial;
        }
        let (output, held_to) = if let Some(output) = &self.output {
            (output.row(step).to_owned(), HeldTo::Recorded)
        } else {
            let memory = trace.memory(self.layer, self.head, self.sequence, step, Phase::Write)?.mapv(f64::from);
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
    pub fn attention(&self) -> AttentionMatrix {
        let found = account(&self.recurrence, &AccountOptions { attention: true, ..AccountOptions::default() });
        let residuals = self.output.as_ref().map_or_else(Vec::new, |output| found.residuals(output.view()));
        let weights = found.attention.expect("it was asked for").mapv(|x| x as f32);
        let mut sizes: Vec<f64> = weights.iter().map(|x| f64::from(x.abs())).filter(|size| *size > 0.0 && size.is_finite()).collect();
        sizes.sort_by(f64::total_cmp);
        let largest = sizes.last().copied().unwrap_or(0.0);
        let ordinary = if sizes.is_empty() { 0.0 } else { super::quantile(&sizes, 0.995) };
        AttentionMatrix { weights, largest, ordinary, writes_per_step: self.recurrence.writes_per_step(), residuals }
    }
}

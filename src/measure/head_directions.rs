//! Where one head of one sequence reads, erases and writes, step by step, and how near these directions are to each other, to the
//! keys whose values a step supersedes, and to any write one chooses.

use ndarray::{Array2, ArrayView1};

use super::MeasureError;
use super::alignment::{cosine, random_absolute_cosine, random_cosine_bound};
use crate::memory::{HookPoint, Rule};
use crate::task::Example;
use crate::trace::Trace;

/// The directions of one head of one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadDirections {
    /// Where every step writes, [step, d_k]; of rules with several writes a step, the first.
    pub write: Array2<f32>,
    /// Where every step erases, [step, d_k]; `None` for a rule without an erase.
    pub erase: Option<Array2<f32>>,
    /// Where every step reads, [step, d_k].
    pub query: Array2<f32>,
    /// cos(e_t, k_t), \[step\]; NaN where there is none.
    pub erase_to_write: Vec<f64>,
    /// What independent directions give.
    pub reference: RandomCosine,
    /// What stands in for a direction that the rule does not have.
    pub remark: Option<String>,
}

/// The cosine of two independent directions of d channels: its square has the distribution Beta(1/2, (d - 1)/2).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RandomCosine {
    /// The exact mean of |cos|: Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)). The signed mean is 0.
    pub mean_absolute: f64,
    /// |cos| stays below it in 95 of 100 draws: the signed cosine lies between minus it and it.
    pub bound: f64,
}

/// Whose direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectionOf {
    /// Of the erase.
    #[default]
    Erase,
    /// Of the write.
    Write,
    /// Of the read.
    Query,
}

/// A step that makes an older fact stale, and how near its directions are to the key of that fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Superseding {
    /// The step.
    pub step: usize,
    /// The step that wrote the older fact.
    pub fact: usize,
    /// cos(e_t, k_fact); NaN for a rule without an erase.
    pub erase: f64,
    /// cos(k_t, k_fact).
    pub write: f64,
}

/// The angles of one head of one sequence, each \[step\]; `None` where there is no direction.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HeadAngles {
    /// cos(e_t, k_t); `None` for a rule without an erase.
    pub erase_to_write: Option<Vec<Option<f64>>>,
    /// The steps that make facts stale: step, the step of the older fact, the cosines of erase and write with its key.
    pub superseding: Vec<(usize, usize, Option<f64>, Option<f64>)>,
    /// Cosines of erase, write and read with the key of the write of the place's step; the first is `None` for a rule without an erase.
    pub towards: [Option<Vec<Option<f64>>>; 3],
    /// What independent directions give.
    pub reference: RandomCosine,
    /// What stands in for a direction that the rule does not have.
    pub remark: Option<String>,
}

/// Reads the directions of one head of one sequence, all steps.
pub fn head_directions(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<HeadDirections, MeasureError> {
    let found = trace.layer(layer)?;
    let (rule, dims) = (found.rule, found.dims);
    let read = |point: HookPoint| -> Result<Array2<f32>, MeasureError> {
        let stream = trace.head_stream(layer, point, head, sequence, 0..dims.step)?;
        let channels = stream.len() / dims.step.max(1);
        Ok(stream.into_shape_with_order((dims.step, channels)).unwrap_or_else(|_| Array2::zeros((dims.step, channels))))
    };
    let erase = rule.has_erase().then(|| read(HookPoint::EraseDirection)).transpose()?;
    let write = read(HookPoint::WriteDirection(0))?;
    let erase_to_write = match &erase {
        Some(erase) => erase.rows().into_iter().zip(write.rows()).map(|(e, k)| cosine(e, k).unwrap_or(f64::NAN)).collect(),
        None => vec![f64::NAN; dims.step],
    };
    let remark = match rule {
        Rule::Rwkv7 => Some("Rule rwkv7: the removal key stands for the erase direction.".to_owned()),
        Rule::GatedDeltaProduct(_) => Some("The rule writes several times a step: the first write is shown.".to_owned()),
        _ if erase.is_none() => Some(format!("Rule {rule} has no erase: only writes and reads have directions.")),
        _ => None,
    };
    let reference = RandomCosine { mean_absolute: random_absolute_cosine(dims.d_k), bound: random_cosine_bound(dims.d_k, 0.95) };
    Ok(HeadDirections { write, erase, query: read(HookPoint::Query)?, erase_to_write, reference, remark })
}

impl HeadDirections {
    /// The directions of a kind, [step, d_k].
    pub const fn of(&self, whose: DirectionOf) -> Option<&Array2<f32>> {
        match whose {
            DirectionOf::Erase => self.erase.as_ref(),
            DirectionOf::Write => Some(&self.write),
            DirectionOf::Query => Some(&self.query),
        }
    }

    /// The cosine of every step's direction with the key of a write, \[step\]; NaN where there is none.
    pub fn towards(&self, whose: DirectionOf, write: usize) -> Vec<f64> {
        let n_steps = self.write.nrows();
        match self.of(whose).filter(|_| write < n_steps) {
            Some(directions) => directions.rows().into_iter().map(|row| angle(row, self.write.row(write))).collect(),
            None => vec![f64::NAN; n_steps],
        }
    }

    /// The steps that make facts stale, by the truth table, in their order.
    pub fn superseding(&self, example: &Example) -> Vec<Superseding> {
        let n_steps = self.write.nrows();
        let one = |write: &crate::task::Write| {
            let (step, fact) = (write.stale_at()?, write.position);
            (step < n_steps && fact < n_steps).then(|| Superseding {
                step,
                fact,
                erase: self.erase.as_ref().map_or(f64::NAN, |erase| angle(erase.row(step), self.write.row(fact))),
                write: angle(self.write.row(step), self.write.row(fact)),
            })
        };
        let mut found: Vec<Superseding> = example.writes.iter().filter_map(one).collect();
        found.sort_by_key(|superseding| (superseding.step, superseding.fact));
        found
    }

    /// What a figure shows of them: every step's angles, and those to the key of one write.
    pub fn angles(&self, example: Option<&Example>, write: usize) -> HeadAngles {
        let present = |x: f64| x.is_finite().then_some(x);
        let all = |values: &[f64]| values.iter().map(|&x| present(x)).collect::<Vec<_>>();
        let towards = |whose| self.of(whose).map(|_| all(&self.towards(whose, write)));
        let superseding = example.map_or_else(Vec::new, |example| self.superseding(example));
        HeadAngles {
            erase_to_write: self.erase.as_ref().map(|_| all(&self.erase_to_write)),
            superseding: superseding.iter().map(|event| (event.step, event.fact, present(event.erase), present(event.write))).collect(),
            towards: [DirectionOf::Erase, DirectionOf::Write, DirectionOf::Query].map(towards),
            reference: self.reference,
            remark: self.remark.clone(),
        }
    }

    /// The cosines of some steps' directions with the keys of some writes, [row, column]; NaN where there is none.
    pub fn cosines(&self, whose: DirectionOf, rows: &[usize], columns: &[usize]) -> Array2<f32> {
        Array2::from_shape_fn((rows.len(), columns.len()), |(row, column)| {
            self.of(whose).map_or(f32::NAN, |directions| angle(directions.row(rows[row]), self.write.row(columns[column])) as f32)
        })
    }
}

fn angle(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    cosine(a, b).unwrap_or(f64::NAN)
}

//! What is the same for every write at a step: computed once a head, then shared by all blocks.

use ndarray::{Array2, ArrayView1};

use super::head::{HeadRead, HeadRecurrence};
use super::kernel::Precision;
use crate::memory::EditKind;

/// Rows and couplings of every step.
pub(super) struct Prepared<'a, F: Precision> {
    pub head: &'a HeadRecurrence<F>,
    pub edits: Vec<PreparedEdit<F>>,
    /// alpha * q, [step, d_k].
    pub query: Array2<F>,
    /// 1 - alpha^2, [step, d_k], with a row of zeros after the last step.
    pub loss_weights: Array2<F>,
    /// Mean of 1 - alpha^2 over channels, \[step\]: what decay takes of a write in no particular direction.
    pub mean_loss: Vec<f64>,
    /// 1 - alpha, [step, d_k]; only for oblique rules.
    pub lost: Option<Array2<F>>,
}

/// One edit.
pub(super) struct PreparedEdit<F: Precision> {
    pub mechanism: Option<Mechanism>,
    pub oblique: bool,
    /// What the memory before the step is read with: alpha * c, or c for an edit that reads before decay, [step, d_k].
    pub read: Option<Array2<F>>,
    /// c.d_i for the earlier edits i of the step, which change what this one finds; 0 if it reads before decay. \[step\]\[i\].
    pub couplings: Vec<Vec<f64>>,
    /// q.d, \[step\].
    pub query_coupling: Vec<f64>,
    pub strength: Vec<f64>,
    /// What the edit takes of the energy of x is `rate` (c.x)^2: strength (2 - strength |d|^2), or the squared size of the vector
    /// taken, strength^2 |d|^2, for an oblique one. \[step\].
    pub rate: Vec<f64>,
    /// |c|^2: `rate |c|^2 / d_k` is what it would take of a write in no particular direction. \[step\].
    pub read_square: Vec<f64>,
}

/// What can take a write away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// Passive decay.
    Decay,
    /// The erase.
    Erase,
    /// The corrective write of another step.
    Write,
}

impl Mechanism {
    /// In the order of the update.
    pub const ALL: [Self; 3] = [Self::Decay, Self::Erase, Self::Write];

    /// The word in tables and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decay => "decay",
            Self::Erase => "erase",
            Self::Write => "write",
        }
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a, F: Precision> Prepared<'a, F> {
    pub fn new(head: &'a HeadRecurrence<F>) -> Self {
        let n_steps = head.n_steps();
        let scaled = |array: &Array2<F>| array * &head.retention;
        let mut loss_weights = Array2::zeros((n_steps + 1, head.d_k()));
        for ((t, r), &alpha) in head.retention.indexed_iter() {
            loss_weights[[t, r]] = F::narrow((1.0 - alpha.wide()) * (1.0 + alpha.wide()));
        }
        let mean_loss = loss_weights.rows().into_iter().map(|row| row.iter().map(|x| x.wide()).sum::<f64>() / head.d_k() as f64).collect();
        let edits = head.edits.iter().enumerate().map(|(index, edit)| {
            let oblique = matches!(edit.read, HeadRead::Other(_) | HeadRead::BeforeDecay(_));
            let read = match &edit.read {
                HeadRead::Nothing => None,
                HeadRead::Direction => Some(scaled(&edit.direction)),
                HeadRead::Other(read) => Some(scaled(read)),
                HeadRead::BeforeDecay(read) => Some(read.clone()),
            };
            let mechanism = read.is_some().then_some(if edit.kind == EditKind::Erase { Mechanism::Erase } else { Mechanism::Write });
            let strength: Vec<f64> = edit.strength.iter().map(|s| s.wide()).collect();
            let direction_square: Vec<f64> = edit.direction.rows().into_iter().map(|d| inner(d, d)).collect();
            let rate = |t: usize| {
                let (s, square) = (strength[t], direction_square[t]);
                if oblique { s * s * square } else { s * (2.0 - s * square) }
            };
            let coupling =
                |t: usize, earlier: usize| edit.read_now(t).map_or(0.0, |read| inner(read, head.edits[earlier].direction.row(t)));
            PreparedEdit {
                mechanism,
                oblique,
                read,
                couplings: (0..n_steps).map(|t| (0..index).map(|earlier| coupling(t, earlier)).collect()).collect(),
                query_coupling: (0..n_steps).map(|t| inner(head.query.row(t), edit.direction.row(t))).collect(),
                rate: (0..n_steps).map(rate).collect(),
                read_square: (0..n_steps).map(|t| edit.read_at(t).map_or(0.0, |read| inner(read, read))).collect(),
                strength,
            }
        });
        Self {
            edits: edits.collect(),
            query: scaled(&head.query),
            loss_weights,
            mean_loss,
            lost: head.is_oblique().then(|| head.retention.mapv(|alpha| F::one() - alpha)),
            head,
        }
    }
}

/// x.y in f64.
pub(super) fn inner<F: Precision>(x: ArrayView1<F>, y: ArrayView1<F>) -> f64 {
    x.iter().zip(y).map(|(x, y)| x.wide() * y.wide()).sum()
}

/// A row of a standard array.
pub(super) fn row<F>(array: &Array2<F>, index: usize) -> &[F] {
    let width = array.ncols();
    &array.as_slice().expect("prepared arrays are in standard layout")[index * width..(index + 1) * width]
}

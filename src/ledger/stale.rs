//! Which writes are superseded, and from when: by the task's truth table, or by the likeness of keys.

use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};

use super::head::HeadRecurrence;
use super::kernel::Precision;
use crate::task::Example;

/// What the write of a step stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A token that states no fact.
    #[default]
    Other,
    /// A fact that stays true to the end.
    Kept,
    /// A fact that is superseded or deleted from this step on.
    StaleFrom(usize),
}

/// What the write of every step stands for, in one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staleness {
    steps: Vec<Standing>,
}

impl Staleness {
    /// As told, one entry a step.
    pub const fn new(steps: Vec<Standing>) -> Self {
        Self { steps }
    }

    /// By the task's truth table. A fact is taken to be written `lag` steps after its key and value are both known (0: at once). It
    /// counts as stale from the step on whose token supersedes or deletes it, before that step's own erase and write.
    pub fn of_example(example: &Example, n_steps: usize, lag: usize) -> Self {
        let mut steps = vec![Standing::Other; n_steps];
        for write in &example.writes {
            if let Some(step) = steps.get_mut(write.position + lag) {
                *step = write.stale_at().map_or(Standing::Kept, |from| Standing::StaleFrom(from + lag));
            }
        }
        Self { steps }
    }

    /// By likeness of keys, for text without a truth table: a write is taken for superseded from the first later write on whose key
    /// has a cosine of at least `threshold` with its own. **A stand-in**: no one knows whether the content is stale. Of a rule with
    /// several writes a step the first write's key decides.
    pub fn by_key_likeness<F: Precision>(head: &HeadRecurrence<F>, threshold: f64) -> Self {
        const BLOCK: usize = 256;
        let each = head.writes_per_step().max(1);
        let mut keys: Array2<F> = head.written().slice(s![..;each, ..]).to_owned();
        for mut key in keys.rows_mut() {
            let norm = key.iter().map(|x| x.wide().powi(2)).sum::<f64>().sqrt();
            key.mapv_inplace(|x| if norm > 0.0 { F::narrow(x.wide() / norm) } else { F::zero() });
        }
        let n_steps = keys.nrows();
        let mut steps = vec![Standing::Kept; n_steps];
        for from in (0..n_steps).step_by(BLOCK) {
            let block = keys.slice(s![from..(from + BLOCK).min(n_steps), ..]);
            let cosines = block.dot(&keys.slice(s![from.., ..]).t());
            for (offset, row) in cosines.rows().into_iter().enumerate() {
                let later = row.iter().skip(offset + 1).position(|cosine| cosine.wide() >= threshold);
                if let Some(later) = later {
                    steps[from + offset] = Standing::StaleFrom(from + offset + 1 + later);
                }
            }
        }
        Self { steps }
    }

    /// What the write of a step stands for; of a step that is not listed, nothing.
    pub fn at(&self, step: usize) -> Standing {
        self.steps.get(step).copied().unwrap_or_default()
    }

    /// Steps.
    pub fn n_steps(&self) -> usize {
        self.steps.len()
    }

    /// Whether any write ever goes stale.
    pub fn any_stale(&self) -> bool {
        self.steps.iter().any(|standing| matches!(standing, Standing::StaleFrom(_)))
    }

    /// The first step at which anything is stale.
    pub fn first_stale(&self) -> Option<usize> {
        self.steps.iter().filter_map(|standing| if let Standing::StaleFrom(from) = standing { Some(*from) } else { None }).min()
    }

    /// The tallies just before each write goes stale: write and step, of every write that is made before it goes stale, in the order of
    /// the writes.
    pub fn stale_marks<F: Precision>(&self, head: &HeadRecurrence<F>) -> Vec<(usize, usize)> {
        (0..head.n_writes()).filter_map(|write| Some((write, self.stale_mark(head, write)?))).collect()
    }

    /// The tallies that [`targets`](super::targets) needs: of every write just before anything is stale, and just before it goes stale
    /// itself. Write and step.
    pub fn marks<F: Precision>(&self, head: &HeadRecurrence<F>) -> Vec<(usize, usize)> {
        let both = |write: usize| [self.first_mark(head, write), self.stale_mark(head, write)];
        (0..head.n_writes()).flat_map(|write| both(write).into_iter().flatten().map(move |step| (write, step))).collect()
    }

    /// The last step before anything is stale; `None` if the write is not made by then.
    pub(super) fn first_mark<F: Precision>(&self, head: &HeadRecurrence<F>, write: usize) -> Option<usize> {
        before(self.first_stale()?, head, write)
    }

    /// The last step before the write goes stale; `None` if it never does, or is not made by then.
    pub(super) fn stale_mark<F: Precision>(&self, head: &HeadRecurrence<F>, write: usize) -> Option<usize> {
        match self.at(head.place(write).step) {
            Standing::StaleFrom(from) => before(from, head, write),
            _ => None,
        }
    }
}

/// The step before `from`, or the last there is, if the write is made by then.
fn before<F: Precision>(from: usize, head: &HeadRecurrence<F>, write: usize) -> Option<usize> {
    from.checked_sub(1).map(|step| step.min(head.n_steps() - 1)).filter(|&step| step >= head.place(write).step)
}

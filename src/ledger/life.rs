//! The life of one write: its four shares after every step, and who took how much when.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::half_life::decay_only_survivals_of;
use super::head::HeadRecurrence;
use super::kernel::Precision;
use super::prepared::Mechanism;
use super::tally::Form;
use crate::memory::EditKind;

/// One write, followed from the step that made it to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// How removal is accounted for.
    pub form: Form,
    /// The step that made it.
    pub born: usize,
    /// Energy of the write when it was made, beta^2 |k|^2.
    pub written: f64,
    /// Surviving, decayed, erased and overwritten as shares of what was written, after every step from `born` on, \[age\]. They sum to
    /// 1 but for rounding.
    pub shares: Vec<[f64; 4]>,
    /// What decay, erase and corrective write of each step took, as shares of what was written, in the order of
    /// [`Mechanism::ALL`], \[age\].
    pub taken: Vec<[f64; 3]>,
    /// The share of the energy that decay alone would have left, \[age\].
    pub decay_only: Vec<f64>,
    /// Steps after which |u| is at most half of what was written; `None` if it never was.
    pub half_life: Option<usize>,
    /// The same if nothing but decay had acted.
    pub decay_only_half_life: Option<usize>,
}

/// A step that took something away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Removal {
    /// The step.
    pub step: usize,
    /// What took it.
    pub mechanism: Mechanism,
    /// How much, as a share of what was written.
    pub share: f64,
}

/// Follows one write through all later steps, in f64: O(T d_k). `None` for a write of nothing.
///
/// # Panics
/// If there is no such write.
pub fn life<F: Precision>(head: &HeadRecurrence<F>, write: usize) -> Option<Life> {
    assert!(write < head.n_writes(), "write {write} is after the last of {}", head.n_writes());
    let place = head.place(write);
    let oblique = head.is_oblique();
    let mut writes = head.edits.iter().enumerate().filter(|(_, edit)| edit.value.is_some());
    let (own, edit) = writes.nth(place.number)?;
    let strength = edit.strength[place.step].wide();
    let origin: Vec<f64> = edit.direction.row(place.step).iter().map(|d| strength * d.wide()).collect();
    let written: f64 = origin.iter().map(|x| x * x).sum();
    if written <= 0.0 {
        return None;
    }
    let mut follower = Follower { head, oblique, u: origin.clone(), before: Vec::new(), origin, taken: [0.0; 3] };
    let n_ages = head.n_steps() - place.step;
    let (mut shares, mut taken) = (Vec::with_capacity(n_ages), Vec::with_capacity(n_ages));
    let (mut sums, mut half_life) = ([0.0; 3], None);
    for t in place.step..head.n_steps() {
        follower.taken = [0.0; 3];
        if t == place.step {
            follower.edits(t, own + 1, false);
        } else {
            follower.decay(t);
            follower.edits(t, 0, true);
        }
        for (sum, now) in sums.iter_mut().zip(follower.taken) {
            *sum += now;
        }
        if half_life.is_none() && follower.energy() <= written / 4.0 {
            half_life = Some(t - place.step);
        }
        shares.push([follower.surviving(), sums[0], sums[1], sums[2]].map(|part| part / written));
        taken.push(follower.taken.map(|part| part / written));
    }
    let decay_only = decay_only_survivals_of(head, write);
    let decay_only_half_life = decay_only.iter().position(|&left| left <= 0.25);
    let form = if oblique { Form::Vector } else { Form::Energy };
    Some(Life { form, born: place.step, written, shares, taken, decay_only, half_life, decay_only_half_life })
}

impl Life {
    /// The steps that took most, the strongest first; decay step by step is left out unless it is asked for.
    pub fn removals(&self, mechanisms: &[Mechanism]) -> Vec<Removal> {
        let each = self.taken.iter().enumerate().flat_map(|(age, taken)| {
            mechanisms.iter().map(move |&mechanism| Removal { step: self.born + age, mechanism, share: taken[mechanism as usize] })
        });
        let mut all: Vec<Removal> = each.filter(|removal| removal.share != 0.0).collect();
        all.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()).then(a.step.cmp(&b.step)));
        all
    }

    /// The largest distance of the four shares from summing to 1, at any age.
    pub fn residual(&self) -> f64 {
        self.shares.iter().map(|shares| (shares.iter().sum::<f64>() - 1.0).abs()).fold(0.0, f64::max)
    }
}

/// A write on its way.
struct Follower<'a, F: Precision> {
    head: &'a HeadRecurrence<F>,
    oblique: bool,
    origin: Vec<f64>,
    u: Vec<f64>,
    /// As it was before the step's decay.
    before: Vec<f64>,
    /// What the step took, in the order of [`Mechanism::ALL`].
    taken: [f64; 3],
}

impl<F: Precision> Follower<'_, F> {
    fn decay(&mut self, t: usize) {
        self.before.clone_from(&self.u);
        for ((u, alpha), origin) in self.u.iter_mut().zip(self.head.retention.row(t)).zip(&self.origin) {
            let (found, alpha) = (*u, alpha.wide());
            *u = found * alpha;
            self.taken[0] += if self.oblique { (found - *u) * origin } else { (1.0 - alpha) * (1.0 + alpha) * found * found };
        }
    }

    /// The edits of a step from number `first` on. In the step that makes the write there is no memory before decay to read it from.
    fn edits(&mut self, t: usize, first: usize, is_later: bool) {
        for edit in &self.head.edits[first..] {
            let Some(read) = edit.read_at(t) else { continue };
            if edit.reads_before_decay() && !is_later {
                continue;
            }
            let found = along(read, if edit.reads_before_decay() { &self.before } else { &self.u });
            let (strength, direction) = (edit.strength[t].wide(), edit.direction.row(t));
            let mechanism = if edit.kind == EditKind::Erase { Mechanism::Erase } else { Mechanism::Write };
            self.taken[mechanism as usize] += if self.oblique {
                strength * found * along(direction, &self.origin)
            } else {
                let square: f64 = direction.iter().map(|d| d.wide().powi(2)).sum();
                strength * (2.0 - strength * square) * found * found
            };
            self.u.iter_mut().zip(direction).for_each(|(u, d)| *u -= strength * found * d.wide());
        }
    }

    fn energy(&self) -> f64 {
        self.u.iter().map(|x| x * x).sum()
    }

    fn surviving(&self) -> f64 {
        if self.oblique { self.u.iter().zip(&self.origin).map(|(now, then)| now * then).sum() } else { self.energy() }
    }
}

fn along<F: Precision>(read: ArrayView1<F>, u: &[f64]) -> f64 {
    read.iter().zip(u).map(|(c, x)| c.wide() * x).sum()
}

//! The core: the accounts of one sequence of one layer, summed by role.

use rayon::prelude::*;

use super::{FateOptions, Weight};
use crate::ledger::{AccountOptions, HeadRecurrence, Staleness, Standing, Tally, account, unique_contributions};
use crate::measure::{Role, Truth};
use crate::memory::Factors;

/// Weight, and shares times it: surviving, decayed, erased, overwritten.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub weight: f64,
    pub shares: [f64; 4],
}

impl Sum {
    pub fn add(&mut self, other: &Self) {
        self.weight += other.weight;
        self.shares.iter_mut().zip(other.shares).for_each(|(sum, share)| *sum += share);
    }

    fn count(&mut self, shares: Option<[f64; 4]>, weight: f64) {
        if let Some(shares) = shares {
            self.add(&Self { weight, shares: shares.map(|share| share * weight) });
        }
    }
}

/// Half-lives of some writes: how many were reached, and how many sequences ended, after so many steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    /// \[steps\].
    pub reached: Vec<f64>,
    /// \[steps\].
    pub ended: Vec<f64>,
}

impl Lives {
    fn count(&mut self, half_life: Option<usize>, followed: usize) {
        let (list, at) = match half_life {
            Some(steps) => (&mut self.reached, steps),
            None => (&mut self.ended, followed),
        };
        if list.len() <= at {
            list.resize(at + 1, 0.0);
        }
        list[at] += 1.0;
    }
}

/// The writes of one role of one head of one sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleSums {
    pub n_writes: f64,
    pub shares: Sum,
    pub averaged: Sum,
    /// Weight, unique contribution and compensation times it.
    pub unique: [f64; 3],
    pub since_stale: Sum,
    pub lives: Lives,
    pub decay_only_lives: Lives,
    /// By the ages of the options.
    pub ages: Vec<Sum>,
}

/// One sequence of one layer.
pub(super) struct SequencePart {
    /// By the roles of [`Role::ALL`], \[head\].
    pub heads: Vec<[RoleSums; 3]>,
    pub share_residual: f64,
}

/// Follows every write of one sequence (batch 1).
pub(super) fn sequence_part(factors: &Factors<f32>, sequence: usize, truth: &Truth, options: &FateOptions) -> SequencePart {
    let recurrence = factors.lower();
    let head = |index: usize| {
        let head = HeadRecurrence::new(&recurrence, 0, index);
        one_head(&head, &truth.staleness(sequence, &head), options)
    };
    let (heads, residuals): (Vec<_>, Vec<f64>) = (0..factors.dims().head).into_par_iter().map(head).unzip();
    SequencePart { heads, share_residual: residuals.into_iter().fold(0.0, f64::max) }
}

fn one_head(head: &HeadRecurrence<f32>, staleness: &Staleness, options: &FateOptions) -> ([RoleSums; 3], f64) {
    let (each, n_steps) = (head.writes_per_step(), head.n_steps());
    let stale_marks = staleness.stale_marks(head);
    let aged =
        |age: usize| (0..head.n_writes()).filter(move |write| write / each + age < n_steps).map(move |write| (write, write / each + age));
    let mut marks = stale_marks.clone();
    let mut age_starts = vec![];
    for &age in &options.ages {
        age_starts.push(marks.len());
        marks.extend(aged(age));
    }
    let with = account(head, &AccountOptions { orders: options.orders && !head.is_oblique(), marks, ..AccountOptions::default() });
    let without = head.has_erase().then(|| account(&head.without_erase(), &AccountOptions::default()));
    let unique = without.map(|without| unique_contributions(&with.tallies, &without.tallies));

    let mut roles: [RoleSums; 3] =
        std::array::from_fn(|_| RoleSums { ages: vec![Sum::default(); options.ages.len()], ..RoleSums::default() });
    let place = |standing: Standing| Role::from(standing) as usize;
    let weight = |tally: &Tally| if options.weight == Weight::Energy { tally.written } else { 1.0 };
    for (write, tally) in with.tallies.iter().enumerate() {
        let sums = &mut roles[place(staleness.at(write / each))];
        sums.n_writes += 1.0;
        sums.shares.count(tally.shares(), weight(tally));
        sums.averaged.count(tally.averaged_shares(), weight(tally));
        if let Some(found) = unique.as_ref().and_then(|unique| unique[write]) {
            let parts = [1.0, found.unique, found.compensation].map(|part| part * weight(tally));
            sums.unique.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        if tally.written > 0.0 {
            let followed = n_steps - 1 - write / each;
            sums.lives.count(with.half_life[write], followed);
            sums.decay_only_lives.count(with.decay_only_half_life[write], followed);
        }
    }
    for ((write, _), before) in stale_marks.iter().zip(&with.marked) {
        let (tally, there) = (&with.tallies[*write], before.surviving);
        if there > 0.0 {
            let parts =
                [tally.surviving, tally.decayed - before.decayed, tally.erased - before.erased, tally.overwritten - before.overwritten];
            let weight = if options.weight == Weight::Energy { there } else { 1.0 };
            roles[Role::Stale as usize].since_stale.count(Some(parts.map(|part| part / there)), weight);
        }
    }
    for (index, (&age, start)) in options.ages.iter().zip(age_starts).enumerate() {
        for ((write, _), tally) in aged(age).zip(&with.marked[start..]) {
            roles[place(staleness.at(write / each))].ages[index].count(tally.shares(), weight(tally));
        }
    }
    (roles, with.share_residual())
}

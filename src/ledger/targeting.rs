//! Does the erase hit what is stale? Precision, chance, lift and recall of every mechanism that removes.
//!
//! H_{t,i} is the energy that a mechanism takes of write i at step t. **Precision** is the share of all H that is taken of writes
//! that are stale by then; **chance** is the same with H replaced by the energy that the mechanism finds, so that a mechanism
//! which takes everything alike has a **lift** (precision over chance) of 1. **Recall** is the share of all removal of stale
//! content that the mechanism did.
//!
//! A gate that opens at the right moment lifts precision too, wherever it points. So the lift is split: the chance of a gate
//! that points nowhere in particular weighs every step by the gate's own strength; precision over that is the **address lift**,
//! and what remains of the lift is the **timing lift**. A random address has an address lift of 1.
//!
//! Stale content is older than the rest. A mechanism that takes what is young has a lift below 1 without sparing anything on
//! purpose: compare with the nulls, which share the ages, before speaking of aim.

use super::account::Account;
use super::head::HeadRecurrence;
use super::kernel::Precision;
use super::prepared::Mechanism;
use super::stale::{Staleness, Standing};
use super::tally::Tally;

/// Sums of one kind over writes and steps, by [`Mechanism::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetSums {
    /// Taken of stale writes.
    pub stale_taken: [f64; 3],
    /// Taken of all writes.
    pub taken: [f64; 3],
    /// Found of stale writes.
    pub stale_present: [f64; 3],
    /// Found of all writes.
    pub present: [f64; 3],
    /// Found of stale writes, every step weighted by the strength of the gate.
    pub stale_gated: [f64; 3],
    /// Found of all writes, weighted so.
    pub gated: [f64; 3],
}

impl TargetSums {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.add_weighted(other, 1.0);
    }

    /// Adds `weight` times the other.
    pub fn add_weighted(&mut self, other: &Self, weight: f64) {
        for m in 0..3 {
            self.stale_taken[m] += weight * other.stale_taken[m];
            self.taken[m] += weight * other.taken[m];
            self.stale_present[m] += weight * other.stale_present[m];
            self.present[m] += weight * other.present[m];
            self.stale_gated[m] += weight * other.stale_gated[m];
            self.gated[m] += weight * other.gated[m];
        }
    }

    /// Share of what the mechanism took that was stale; `None` if it took nothing.
    pub fn precision(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(self.stale_taken[mechanism as usize], self.taken[mechanism as usize])
    }

    /// Share of what it found that was stale; `None` if it found nothing.
    pub fn chance(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(self.stale_present[mechanism as usize], self.present[mechanism as usize])
    }

    /// Precision over chance: 1 takes everything alike. `None` where nothing was stale or nothing taken.
    pub fn lift(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(self.precision(mechanism)?, self.chance(mechanism)?)
    }

    /// The part of the lift that the address has: precision over the chance of the same gate at no particular address.
    pub fn address_lift(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(self.precision(mechanism)?, ratio(self.stale_gated[mechanism as usize], self.gated[mechanism as usize])?)
    }

    /// The part of the lift that the moment has: `lift / address_lift`.
    pub fn timing_lift(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(ratio(self.stale_gated[mechanism as usize], self.gated[mechanism as usize])?, self.chance(mechanism)?)
    }

    /// The mechanism's share of all removal of stale content; `None` if none was removed.
    pub fn recall(&self, mechanism: Mechanism) -> Option<f64> {
        ratio(self.stale_taken[mechanism as usize], self.stale_taken.iter().sum())
    }
}

/// A ratio, unless nothing is below.
fn ratio(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

/// Targeting among all writes, and among those that state a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Targets {
    /// Among the writes of all tokens.
    pub all_writes: TargetSums,
    /// Among the writes that state a fact: is it the stale ones that are hit?
    pub facts: TargetSums,
}

/// The sums behind targeting, from an account with the marks of [`Staleness::marks`], in that order, as the first of its marks.
///
/// Only steps from the first on at which anything is stale count: before it nothing stale could be hit.
///
/// # Panics
/// If the account lacks marks.
pub fn targets<F: Precision>(head: &HeadRecurrence<F>, account: &Account<F>, staleness: &Staleness) -> Targets {
    let each = head.writes_per_step();
    let mut marked = account.marked.iter();
    let mut found = Targets::default();
    if !staleness.any_stale() {
        return found;
    }
    for (write, tally) in account.tallies.iter().enumerate() {
        let mut taken = |mark: Option<usize>| {
            mark.map_or_else(Tally::default, |_| *marked.next().expect("the account has the marks that staleness asks for"))
        };
        let (first, fresh) = (taken(staleness.first_mark(head, write)), taken(staleness.stale_mark(head, write)));
        let standing = staleness.at(write / each);
        let is_stale = matches!(standing, Standing::StaleFrom(_));
        let add = |sums: &mut TargetSums| {
            for m in 0..3 {
                sums.taken[m] += tally.taken[m] - first.taken[m];
                sums.present[m] += tally.present[m] - first.present[m];
                sums.gated[m] += tally.gated[m] - first.gated[m];
                if is_stale {
                    sums.stale_taken[m] += tally.taken[m] - fresh.taken[m];
                    sums.stale_present[m] += tally.present[m] - fresh.present[m];
                    sums.stale_gated[m] += tally.gated[m] - fresh.gated[m];
                }
            }
        };
        add(&mut found.all_writes);
        if standing != Standing::Other {
            add(&mut found.facts);
        }
    }
    found
}

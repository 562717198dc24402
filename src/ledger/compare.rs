//! How far one account is from another of the same head.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};

use super::account::Account;
use super::kernel::Precision;
use super::tally::Tally;

impl<F: Precision> Account<F> {
    /// The largest difference from `reference` by name: of arrays over their largest number, of tallies over what was written. Infinite
    /// where one has what the other has not. `ledger_half_life` is the share of half-lives that differ by more than a step (an energy
    /// may pass a half by rounding), infinite above a hundredth.
    pub fn differences(&self, reference: &Account<f64>) -> BTreeMap<&'static str, f64> {
        let tallies = |found: &[Tally], wanted: &[Tally]| {
            let written = |wanted: &Tally| wanted.written.max(f64::MIN_POSITIVE);
            let each = found.iter().zip(wanted).map(|(found, wanted)| tally_difference(found, wanted) / written(wanted));
            if found.len() == wanted.len() { worst(each) } else { f64::INFINITY }
        };
        BTreeMap::from([
            ("ledger_attention", optional(self.attention.as_ref(), reference.attention.as_ref())),
            ("ledger_erased", optional(self.erased.as_ref(), reference.erased.as_ref())),
            ("ledger_output", array(self.output.view(), reference.output.view())),
            ("ledger_left", array(self.left.view(), reference.left.view())),
            ("ledger_tallies", tallies(&self.tallies, &reference.tallies)),
            ("ledger_marked", tallies(&self.marked, &reference.marked)),
            ("ledger_half_life", half_lives(&self.half_life, &reference.half_life)),
        ])
    }
}

fn worst(differences: impl Iterator<Item = f64>) -> f64 {
    differences.fold(0.0, |worst, x| if x.is_nan() { f64::INFINITY } else { worst.max(x) })
}

fn array<F: Precision>(found: ArrayView2<F>, wanted: ArrayView2<f64>) -> f64 {
    if found.dim() != wanted.dim() {
        return f64::INFINITY;
    }
    let largest = worst(wanted.iter().map(|x| x.abs())).max(f64::MIN_POSITIVE);
    worst(found.iter().zip(wanted).map(|(found, wanted)| (found.wide() - wanted).abs())) / largest
}

fn optional<F: Precision>(found: Option<&Array2<F>>, wanted: Option<&Array2<f64>>) -> f64 {
    match (found, wanted) {
        (Some(found), Some(wanted)) => array(found.view(), wanted.view()),
        (None, None) => 0.0,
        _ => f64::INFINITY,
    }
}

fn tally_difference(found: &Tally, wanted: &Tally) -> f64 {
    let numbers = |x: &Tally| {
        let parts = [x.written, x.surviving, x.decayed, x.erased, x.overwritten];
        parts.into_iter().chain(x.averaged).chain(x.taken).chain(x.gated).collect::<Vec<_>>()
    };
    let sums = worst(numbers(found).into_iter().zip(numbers(wanted)).map(|(found, wanted)| (found - wanted).abs()));
    // What is found sums over many steps: numbers above 1 are compared relative to themselves.
    let present = found.present.iter().zip(wanted.present).map(|(&found, wanted)| (found - wanted).abs() / found.max(wanted).max(1.0));
    sums.max(worst(present))
}

fn half_lives(found: &[Option<usize>], wanted: &[Option<usize>]) -> f64 {
    let each = |(found, wanted): (&Option<usize>, &Option<usize>)| match (found, wanted) {
        (Some(found), Some(wanted)) => found.abs_diff(*wanted) <= 1,
        (None, None) => true,
        _ => false,
    };
    let n_far = found.iter().zip(wanted).filter(|&pair| !each(pair)).count();
    if found.len() == wanted.len() && n_far * 100 <= found.len() { n_far as f64 / found.len().max(1) as f64 } else { f64::INFINITY }
}

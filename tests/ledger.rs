//! Exact accounts: every identity against products of whole matrices.

mod attention;
mod brute;
mod card;
mod ceiling;
mod edges;
mod life;
mod shares;
mod sums;
mod targeting;

use pentimento::ledger::{Account, AccountOptions, HeadRecurrence, account};
use pentimento::memory::{Factors, Rule};

use crate::memory::sample::{Sample, largest_difference, rules, samples};

/// Everything an account can hold.
fn everything() -> AccountOptions {
    AccountOptions { attention: true, erased: true, orders: true, marks: vec![] }
}

fn head_of(factors: &Factors<f64>) -> HeadRecurrence<f64> {
    let dims = factors.dims();
    HeadRecurrence::new(&factors.lower(), dims.batch - 1, dims.head - 1)
}

fn account_of(factors: &Factors<f64>) -> Account<f64> {
    account(&head_of(factors), &everything())
}

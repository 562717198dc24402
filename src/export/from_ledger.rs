//! The account of one head as arrays.

use ndarray::{Array1, Array2, ArrayD, Dimension};

use super::{NamedArray, Values};
use crate::ledger::{Account, Ceiling, HeadRecurrence, Tally, UniqueContribution};

/// Everything of one head's account that was computed.
pub struct LedgerParts<'a> {
    /// The head.
    pub head: &'a HeadRecurrence<f32>,
    /// Its account.
    pub account: &'a Account<f32>,
    /// The unique contribution of the erase to every write; empty for a rule without one.
    pub unique: &'a [Option<UniqueContribution>],
    /// The ceiling of a linear readout after the last step.
    pub ceiling: &'a Ceiling,
    /// |output as explained - output| / |output| at every step.
    pub residuals: &'a [f64],
    /// Step from which every write is stale, \[write\]; -1 for never.
    pub stale_from: &'a [i32],
}

/// The arrays of `pentimento ledger`. Numbers that do not exist (a half-life that was not reached, a share of nothing) are NaN.
///
/// | name | axes | is |
/// |---|---|---|
/// | `attention` | step, write | A_{t,i} = q_t . u_{t,i}, exact and signed; 0 before the write is made |
/// | `shares` | write, share | surviving, decayed, erased, overwritten after the last step; they sum to 1 |
/// | `shares_averaged` | write, share | the same averaged over the orders of attribution (rules whose energy has a law) |
/// | `written` | write | energy of the write when it was made, beta^2 \|k\|^2 |
/// | `half_life` | write | steps until \|u\| has halved |
/// | `decay_only_half_life` | write | the same had nothing but decay acted |
/// | `unique_contribution` | write | survival without the erase less survival with it (rules with an erase) |
/// | `compensation` | write | what the erase took that decay and overwriting would have removed anyway |
/// | `left` | write, d_k | u_{T-1,i}: what is left of the write |
/// | `erased` | step, write | energy that the erase of each step took of each write (rules with an erase) |
/// | `ceiling` | write, noise | R2 of the best linear readout of the value, after the last step |
/// | `noise` | noise | variance on an entry of the memory over the mean square of its entries |
/// | `output` | step, d_v | the output as the account explains it |
/// | `initial_output` | step, d_v | the part of it that was in memory before the first step (if anything was) |
/// | `initial_shares` | share | surviving, decayed, erased, overwritten of what was in memory before the first step |
/// | `residual` | step | \|output as explained - output recorded\| / \|output recorded\| |
/// | `step_of_write` | write | the step that made it |
/// | `stale_from` | write | step from which it is stale; -1 for never |
pub fn ledger_arrays(parts: &LedgerParts) -> Vec<NamedArray> {
    let LedgerParts { head, account, .. } = parts;
    let n_writes = head.n_writes();
    let mut arrays = vec![];
    let mut f64s = |name: &str, axes: &[&str], values: ArrayD<f64>| arrays.push(NamedArray::f64(name, axes, values));
    f64s("shares", &["write", "share"], account.shares().into_dyn());
    if !head.is_oblique() && account.tallies.iter().any(|tally| tally.averaged.iter().any(|&part| part > 0.0)) {
        let averaged = |(write, share): (usize, usize)| account.tallies[write].averaged_shares().map_or(f64::NAN, |shares| shares[share]);
        f64s("shares_averaged", &["write", "share"], Array2::from_shape_fn((n_writes, 4), averaged).into_dyn());
    }
    let per_write = |of: &dyn Fn(usize) -> f64| Array1::from_shape_fn(n_writes, of).into_dyn();
    f64s("written", &["write"], per_write(&|write| account.tallies[write].written));
    let steps = |steps: Option<usize>| steps.map_or(f64::NAN, |steps| steps as f64);
    f64s("half_life", &["write"], per_write(&|write| steps(account.half_life[write])));
    f64s("decay_only_half_life", &["write"], per_write(&|write| steps(account.decay_only_half_life[write])));
    if !parts.unique.is_empty() {
        f64s("unique_contribution", &["write"], per_write(&|write| parts.unique[write].map_or(f64::NAN, |found| found.unique)));
        f64s("compensation", &["write"], per_write(&|write| parts.unique[write].map_or(f64::NAN, |found| found.compensation)));
    }
    f64s("ceiling", &["write", "noise"], parts.ceiling.r2.clone().into_dyn());
    f64s("noise", &["noise"], Array1::from(parts.ceiling.noise.clone()).into_dyn());
    f64s("residual", &["step"], Array1::from(parts.residuals.to_vec()).into_dyn());
    if let Some(shares) = account.initial_tally.as_ref().and_then(Tally::shares) {
        f64s("initial_shares", &["share"], Array1::from(shares.to_vec()).into_dyn());
    }
    arrays.push(f32s("left", &["write", "d_k"], &account.left));
    arrays.push(f32s("output", &["step", "d_v"], &account.output));
    if let Some(initial) = &account.initial_output {
        arrays.push(f32s("initial_output", &["step", "d_v"], initial));
    }
    if let Some(attention) = &account.attention {
        arrays.push(f32s("attention", &["step", "write"], attention));
    }
    if let Some(erased) = &account.erased {
        arrays.push(f32s("erased", &["step", "write"], erased));
    }
    let step_of_write = Array1::from_shape_fn(n_writes, |write| head.place(write).step as i32);
    arrays.push(i32s("step_of_write", step_of_write));
    arrays.push(i32s("stale_from", Array1::from(parts.stale_from.to_vec())));
    arrays
}

fn f32s<D: Dimension>(name: &str, axes: &[&str], values: &ndarray::Array<f32, D>) -> NamedArray {
    NamedArray::f32(name, axes, values.to_owned().into_dyn())
}

fn i32s(name: &str, values: Array1<i32>) -> NamedArray {
    NamedArray { name: name.to_owned(), axes: vec!["write".to_owned()], values: Values::I32(values.into_dyn()) }
}

//! How long a write would last if nothing but decay acted on it.

use ndarray::Array2;
use rayon::prelude::*;

use super::head::HeadRecurrence;
use super::kernel::Precision;

/// Below this a retention is taken for it: its logarithm stays finite.
const LEAST: f64 = f64::MIN_POSITIVE;

/// Steps after which decay alone leaves at most half of |u_{i,i}|, \[write\]; `None` if that is not within the sequence.
///
/// Decay alone never lets a write grow, so the step is found by halving the interval: O(log T d_k) a write.
pub(super) fn decay_only_half_lives<F: Precision>(head: &HeadRecurrence<F>) -> Vec<Option<usize>> {
    let log = log_retention(head);
    let written = head.written();
    let survives = |write: usize, step: usize| decay_only_survival(&log, written.row(write), head.place(write).step, step);
    let one = |write: usize| {
        let born = head.place(write).step;
        let last = head.n_steps() - 1;
        if written.row(write).iter().all(|&x| x == F::zero()) || survives(write, last) > 0.25 {
            return None;
        }
        let (mut above, mut below) = (born, last);
        while below - above > 1 {
            let middle = usize::midpoint(above, below);
            if survives(write, middle) > 0.25 { above = middle } else { below = middle }
        }
        Some(below - born)
    };
    (0..head.n_writes()).into_par_iter().map(one).collect()
}

/// The share of a write's energy that decay alone leaves, \[write\], after `age` steps; `None` where the sequence ends before.
pub fn decay_only_survivals<F: Precision>(head: &HeadRecurrence<F>, age: usize) -> Vec<Option<f64>> {
    let log = log_retention(head);
    let written = head.written();
    let one = |write: usize| {
        let born = head.place(write).step;
        (born + age < head.n_steps()).then(|| decay_only_survival(&log, written.row(write), born, born + age))
    };
    (0..head.n_writes()).map(one).collect()
}

/// The share of one write's energy that decay alone leaves after every step from the one that made it on, \[age\].
pub(super) fn decay_only_survivals_of<F: Precision>(head: &HeadRecurrence<F>, write: usize) -> Vec<f64> {
    let born = head.place(write).step;
    let log = log_retention(head);
    let written = head.written();
    (born..head.n_steps()).map(|step| decay_only_survival(&log, written.row(write), born, step)).collect()
}

/// Sum of ln alpha up to and with each step, [step, d_k].
fn log_retention<F: Precision>(head: &HeadRecurrence<F>) -> Array2<f64> {
    let mut log = head.retention.mapv(|alpha| alpha.wide().max(LEAST).ln());
    for t in 1..log.nrows() {
        let (before, mut now) = log.multi_slice_mut((ndarray::s![t - 1, ..], ndarray::s![t, ..]));
        now += &before;
    }
    log
}

/// Energy that decay leaves of `written` from the end of step `born` to the end of step `step`, as a share; NaN of nothing.
fn decay_only_survival<F: Precision>(log: &Array2<f64>, written: ndarray::ArrayView1<F>, born: usize, step: usize) -> f64 {
    let (mut left, mut whole) = (0.0, 0.0);
    for ((x, &then), &now) in written.iter().zip(log.row(born)).zip(log.row(step)) {
        let square = x.wide().powi(2);
        whole += square;
        left += square * (2.0 * (now - then)).exp();
    }
    left / whole
}

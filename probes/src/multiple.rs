//! Many tests at once: family-wise error by max-T, false discoveries by Benjamini and Hochberg.

use ndarray::ArrayView2;

/// Adjusted p-values that hold the family-wise error (Westfall and Young's step-down max-T).
///
/// `observed` has one statistic per test, larger is more extreme; `null` [permutation, test] has the same statistics under
/// permutations shared by all tests, so that their dependence is kept.
pub fn max_t(observed: &[f64], null: ArrayView2<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..observed.len()).collect();
    order.sort_by(|&a, &b| observed[b].total_cmp(&observed[a]));
    let mut exceeded = vec![0_usize; observed.len()];
    for permutation in null.rows() {
        let mut largest = f64::NEG_INFINITY;
        for rank in (0..order.len()).rev() {
            largest = largest.max(permutation[order[rank]]);
            exceeded[rank] += usize::from(largest >= observed[order[rank]]);
        }
    }
    let mut adjusted = vec![1.0; observed.len()];
    let mut least = 0.0_f64;
    for (rank, &test) in order.iter().enumerate() {
        least = least.max((1 + exceeded[rank]) as f64 / (1 + null.nrows()) as f64);
        adjusted[test] = least;
    }
    adjusted
}

/// Adjusted p-values that hold the false discovery rate of independent or positively dependent tests.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; n];
    let mut least = 1.0_f64;
    for (rank, &test) in order.iter().enumerate().rev() {
        least = least.min(p_values[test] * n as f64 / (rank + 1) as f64);
        adjusted[test] = least;
    }
    adjusted
}

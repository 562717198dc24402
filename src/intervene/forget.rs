//! A key forgotten with the least change of the rest.

use super::carry::dot;

/// The direction `u` with `u.k = 1` along which memory loses what it holds at `k`: `S <- S - u (S^T k)^T`.
///
/// Of all such edits it changes least: it minimises the sum over `others` of the squared change of what is read there, plus `ridge`
/// times the squared change of memory. So `u = C^-1 k / (k . C^-1 k)` with `C = sum k_j k_j^T + ridge I`. A large ridge gives the
/// plain projection `u = k / |k|^2`.
pub(super) fn least_change(key: &[f64], others: &[Vec<f64>], ridge: f64) -> Vec<f64> {
    let n = key.len();
    let mut metric = vec![0.0; n * n];
    for other in others {
        for row in 0..n {
            for column in 0..=row {
                metric[row * n + column] += other[row] * other[column];
            }
        }
    }
    (0..n).for_each(|channel| metric[channel * n + channel] += ridge);
    let solved = solve(metric, key);
    let along = dot(&solved, key);
    if along > 0.0 { solved.into_iter().map(|x| x / along).collect() } else { vec![0.0; n] }
}

/// Solves a positive definite system by Cholesky's factorisation; the lower triangle [n, n] is given.
fn solve(mut lower: Vec<f64>, right: &[f64]) -> Vec<f64> {
    let n = right.len();
    for row in 0..n {
        for column in 0..=row {
            let (above, below) = lower.split_at(row * n);
            let inner = if row == column {
                below[..column].iter().map(|x| x * x).sum::<f64>()
            } else {
                dot(&below[..column], &above[column * n..column * n + column])
            };
            let rest = lower[row * n + column] - inner;
            lower[row * n + column] = if row == column { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / lower[column * n + column] };
        }
    }
    let mut x = right.to_vec();
    for row in 0..n {
        let known = dot(&lower[row * n..row * n + row], &x[..row]);
        x[row] = (x[row] - known) / lower[row * n + row];
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|below| lower[below * n + row] * x[below]).sum();
        x[row] = (x[row] - known) / lower[row * n + row];
    }
    x
}

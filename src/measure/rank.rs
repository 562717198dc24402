//! Spearman's rank correlation.

use statrs::function::beta::beta_reg;

/// Ranks from 1, ties at their mean rank.
#[expect(clippy::float_cmp, reason = "ties are equal values, to the bit")]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let tied = order[start..].iter().take_while(|&&index| values[index] == values[order[start]]).count();
        let mean_rank = start as f64 + f64::midpoint(tied as f64, 1.0);
        for &index in &order[start..start + tied] {
            ranks[index] = mean_rank;
        }
        start += tied;
    }
    ranks
}

/// Pearson's correlation; `None` with fewer than three pairs or when one side is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len();
    if n < 3 || n != y.len() {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}

/// Spearman's rho; `None` with fewer than three pairs or when one side is constant.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranks(x), &ranks(y))
}

/// Two-sided p of a correlation of `n` independent pairs (Student's t). Tokens of a sequence are not independent.
pub fn p_value_of_independent_pairs(rho: f64, n: usize) -> f64 {
    let unexplained = 1.0 - rho * rho;
    if n < 3 {
        return 1.0;
    }
    // P(|T| > t) = I_{f / (f + t^2)}(f/2, 1/2) with f = n - 2, and f / (f + t^2) is 1 - rho^2.
    beta_reg((n as f64 - 2.0) / 2.0, 0.5, unexplained.clamp(0.0, 1.0))
}

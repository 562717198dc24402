//! p-values by permutation, with the sequence (or the head) as the unit.

use rand::RngExt;

use super::StatisticsOptions;
use super::rank::ranks;
use crate::task::random;

/// Fewest sequences that can give p < 0.05 by permutation of signs: 2 / 2^6.
pub(super) const FEWEST_SEQUENCES: usize = 6;
/// Fewest orders of heads worth a p-value: those of four heads of one layer.
const FEWEST_ORDERS: f64 = 24.0;
/// Sums of the same numbers in another order are equal to this.
const ROUNDING: f64 = 1e-12;

/// Two-sided p that the values (one per sequence) are symmetric about 0, by permutation of signs: exact where that takes no more
/// than the permutations asked for, else Monte Carlo. `None` with fewer than six values.
///
/// Right for differences of things that are exchangeable without an effect, as a measure and its null are. That the mean of
/// skewed numbers is 0 is another hypothesis: `Bootstrap::p_value`.
pub fn sign_flip(values: &[f64], options: &StatisticsOptions) -> Option<f64> {
    let n = values.len();
    if n < FEWEST_SEQUENCES {
        return None;
    }
    let observed = values.iter().sum::<f64>().abs();
    let scale: f64 = values.iter().map(|value| value.abs()).sum();
    let as_far = |sum: f64| sum.abs() >= observed - ROUNDING * scale;
    let flipped =
        |signs: &dyn Fn(usize) -> bool| values.iter().enumerate().map(|(index, value)| if signs(index) { -value } else { *value }).sum();
    if n < 64 && 1_u64 << n <= options.permutations as u64 {
        let all = 1_u64 << n;
        let far = (0..all).filter(|signs| as_far(flipped(&|index| signs >> index & 1 == 1))).count();
        return Some(far as f64 / all as f64);
    }
    let mut stream = random::stream(options.seed, "measure/sign_flip", 0);
    let mut far = 0;
    let mut signs = vec![false; n];
    for _ in 0..options.permutations {
        signs.iter_mut().for_each(|sign| *sign = stream.random());
        far += usize::from(as_far(flipped(&|index| signs[index])));
    }
    Some((1 + far) as f64 / (1 + options.permutations) as f64)
}

/// Two-sided p that heads' x and y go together by chance: heads are permuted, the same way in every sequence, since every
/// sequence has the same heads. `x` and `y` are \[sequence\]\[head\], `layers` the layer of each head, heads of a layer side by
/// side; the statistic is the mean over sequences of Spearman's rho.
///
/// Heads of a layer are alike, so heads change places inside their layer only, and layers of as many heads as a whole: heads
/// exchanged freely would count each head of a layer as news. `None` with fewer than 24 such orders, or when no sequence varies.
pub fn permute_heads(x: &[Vec<f64>], y: &[Vec<f64>], layers: &[usize], options: &StatisticsOptions) -> Option<f64> {
    let n_heads = x.first()?.len();
    let layers = Layers::of(layers);
    if layers.n_orders() < FEWEST_ORDERS {
        return None;
    }
    // cross[h][g] sums rank(x_h) rank(y_g) over sequences, so that every permutation costs one term per head.
    let mut cross = vec![vec![0.0; n_heads]; n_heads];
    let mut any = false;
    for (x, y) in x.iter().zip(y) {
        if let (Some(x), Some(y)) = (standard_ranks(x), standard_ranks(y)) {
            any = true;
            for (row, x) in cross.iter_mut().zip(&x) {
                row.iter_mut().zip(&y).for_each(|(sum, y)| *sum += x * y);
            }
        }
    }
    if !any {
        return None;
    }
    let statistic = |order: &[usize]| order.iter().enumerate().map(|(head, &other)| cross[head][other]).sum::<f64>().abs();
    let mut order: Vec<usize> = (0..n_heads).collect();
    let observed = statistic(&order);
    let mut stream = random::stream(options.seed, "measure/permute_heads", 0);
    let mut far = 0;
    for _ in 0..options.permutations {
        layers.shuffle(&mut order, &mut stream);
        far += usize::from(statistic(&order) >= observed * (1.0 - ROUNDING));
    }
    Some((1 + far) as f64 / (1 + options.permutations) as f64)
}

/// Heads by layer: where each layer starts and how many heads it has.
struct Layers {
    ranges: Vec<(usize, usize)>,
}

impl Layers {
    fn of(layers: &[usize]) -> Self {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (head, layer) in layers.iter().enumerate() {
            match ranges.last_mut() {
                Some((start, length)) if layers[*start] == *layer => *length += 1,
                _ => ranges.push((head, 1)),
            }
        }
        Self { ranges }
    }

    /// Layers of the same number of heads, by their places among the layers.
    fn alike(&self) -> Vec<Vec<usize>> {
        let mut sizes: Vec<usize> = self.ranges.iter().map(|range| range.1).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes.into_iter().map(|size| (0..self.ranges.len()).filter(|&layer| self.ranges[layer].1 == size).collect()).collect()
    }

    /// How many orders there are.
    fn n_orders(&self) -> f64 {
        let factorial = |n: usize| (1..=n).map(|factor| factor as f64).product::<f64>();
        let inside: f64 = self.ranges.iter().map(|range| factorial(range.1)).product();
        inside * self.alike().iter().map(|alike| factorial(alike.len())).product::<f64>()
    }

    /// A random order: layers of the same size exchanged, then heads inside each.
    fn shuffle(&self, order: &mut [usize], stream: &mut impl rand::Rng) {
        for alike in self.alike() {
            let mut from = alike.clone();
            shuffle(&mut from, stream);
            for (layer, donor) in alike.into_iter().zip(from) {
                let ((start, length), (other, _)) = (self.ranges[layer], self.ranges[donor]);
                let mut heads: Vec<usize> = (other..other + length).collect();
                shuffle(&mut heads, stream);
                order[start..start + length].copy_from_slice(&heads);
            }
        }
    }
}

/// Fisher and Yates.
pub(super) fn shuffle<T>(values: &mut [T], stream: &mut impl rand::Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, stream.random_range(0..=last));
    }
}

/// Ranks with mean 0 and norm 1; `None` if constant.
fn standard_ranks(values: &[f64]) -> Option<Vec<f64>> {
    let mut ranks = ranks(values);
    let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
    ranks.iter_mut().for_each(|rank| *rank -= mean);
    let norm = ranks.iter().map(|rank| rank * rank).sum::<f64>().sqrt();
    (norm > 0.0).then(|| ranks.iter().map(|rank| rank / norm).collect())
}

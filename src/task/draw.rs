//! Sampling whose results are part of the format: the same draws on any machine and under any version of `rand`.

use rand_chacha::{ChaCha8Rng, rand_core::Rng};

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The draws of item `index` of `domain` under `seed`.
    pub fn new(seed: u64, domain: &str, index: u64) -> Self {
        Self(super::random::stream(seed, domain, index))
    }

    /// Uniform in `0..bound` (bound at least 1), without bias: Lemire's multiplication with rejection.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a draw needs at least one possibility");
        let bound = bound as u64;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Uniform in [0, 1), with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `probability`.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A random order of `items`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `count` different numbers of `0..bound`, in random order (`count` at most `bound`).
    pub fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        assert!(count <= bound, "cannot draw {count} different numbers below {bound}");
        let mut numbers: Vec<usize> = (0..bound).collect();
        for place in 0..count {
            let other = place + self.below(bound - place);
            numbers.swap(place, other);
        }
        numbers.truncate(count);
        numbers
    }

    /// An index with probability proportional to its weight (weights at least 0, at least one above 0).
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut point = self.unit() * weights.iter().sum::<f64>();
        for (index, &weight) in weights.iter().enumerate() {
            if point < weight {
                return index;
            }
            point -= weight;
        }
        weights.iter().rposition(|&weight| weight > 0.0).expect("at least one weight is above 0")
    }

    /// How many of `total` fillers fall into each of `gaps` gaps, each filler independently and uniformly.
    pub fn scatter(&mut self, total: usize, gaps: usize) -> Vec<usize> {
        let mut counts = vec![0; gaps];
        for _ in 0..total {
            counts[self.below(gaps)] += 1;
        }
        counts
    }
}

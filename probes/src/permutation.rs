//! Permutation tests with the group as the unit: does a readout predict its targets better than exchanged ones?

use ndarray::Array2;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Gamma, Normal};

use crate::{
    Evaluated, Metric, ProbeError, Refit, Targets,
    control::{exchange, exchangeable_blocks},
    score::ratio,
};

/// Exchanges of targets between groups, drawn once and used for every readout of the same samples.
#[derive(Clone, Debug)]
pub struct Permutations {
    exchanges: Vec<Vec<usize>>,
}

/// The outcome of a test.
#[derive(Clone, Debug)]
pub struct PermutationTest {
    /// The score on the true targets.
    pub observed: f64,
    /// The score on exchanged targets, one per permutation.
    pub null: Vec<f64>,
    /// Share of permutations, the identity among them, that score at least as high.
    pub p_value: f64,
}

impl PermutationTest {
    /// From the observed score and the scores under the null.
    pub fn new(observed: f64, null: Vec<f64>) -> Self {
        // Sums taken in another order may differ in the last digits: equal scores count as equal.
        let reached = observed - 1e-12 * (1.0 + observed.abs());
        let as_high = null.iter().filter(|&&score| score >= reached).count();
        Self { observed, p_value: (1 + as_high) as f64 / (1 + null.len()) as f64, null }
    }

    /// The p-value, continued below `1 / (permutations + 1)` where no permutation reaches the score: the upper tail of a gamma
    /// distribution with the null's mean, variance and skewness (Winkler et al. 2016, Faster permutation inference).
    ///
    /// For judging many tests together, which needs a finer p-value than permutations can resolve.
    pub fn tail_p_value(&self) -> f64 {
        let n = self.null.len() as f64;
        let floor = 1.0 / (n + 1.0);
        let mean = self.chance();
        let moment = |power: i32| self.null.iter().map(|score| (score - mean).powi(power)).sum::<f64>() / n;
        let deviation = moment(2).sqrt();
        if self.p_value > 1.5 * floor || deviation <= 0.0 {
            return self.p_value;
        }
        let z = (self.observed - mean) / deviation;
        let skewness = moment(3) / deviation.powi(3);
        let tail = if skewness > 1e-3 {
            let shape = 4.0 / (skewness * skewness);
            // A standardised gamma with this skewness: shape + z sqrt(shape), rate 1.
            Gamma::new(shape, 1.0).map_or(floor, |gamma| gamma.sf(shape + z * shape.sqrt()))
        } else {
            Normal::standard().sf(z)
        };
        tail.clamp(f64::MIN_POSITIVE, floor)
    }

    /// The smallest excess over chance that a test at this level would find with this power, the score's standard error being
    /// what it is: how far the null reaches, plus how far the score may fall short. `critical` replaces the null's own reach,
    /// for example by that of the largest of many tests.
    pub fn minimum_detectable(&self, level: f64, power: f64, standard_error: f64, critical: Option<f64>) -> f64 {
        let mut sorted = self.null.clone();
        sorted.sort_by(f64::total_cmp);
        let place = ((1.0 - level) * sorted.len() as f64).ceil() as usize;
        let own = sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN);
        critical.unwrap_or(own) - self.chance() + Normal::standard().inverse_cdf(power) * standard_error
    }

    /// What chance scores: the mean over permutations.
    pub fn chance(&self) -> f64 {
        self.null.iter().sum::<f64>() / self.null.len().max(1) as f64
    }
}

impl Permutations {
    /// `n_permutations` exchanges between groups of the same size.
    pub fn new(groups: &[u64], n_permutations: usize, seed: u64) -> Self {
        Self::within(groups, None, n_permutations, seed)
    }

    /// The same between groups of the same stratum only, for example of the same fold.
    pub fn within(groups: &[u64], strata: Option<&[usize]>, n_permutations: usize, seed: u64) -> Self {
        let blocks = exchangeable_blocks(groups, strata);
        let exchanges = (0..n_permutations)
            .into_par_iter()
            .map(|index| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(index as u64);
                exchange(&blocks, groups.len(), &mut random)
            })
            .collect();
        Self { exchanges }
    }

    /// The targets under every exchange.
    pub fn of(&self, targets: &Targets) -> Vec<Targets> {
        self.exchanges.iter().map(|exchange| targets.select(exchange)).collect()
    }

    /// Tests a readout, refitted for every exchange.
    pub fn test(&self, refit: &Refit, targets: &Targets) -> Result<PermutationTest, ProbeError> {
        refit.test(targets, &self.of(targets))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Tests one readout's usual score with its held-out predictions as they are. Quick, but its null spreads too little (see
    /// [`refit`](crate::refit)): for comparison only.
    pub fn test_held(&self, evaluated: &Evaluated) -> Result<PermutationTest, ProbeError> {
        let n = evaluated.len();
        if let Some(exchange) = self.exchanges.first().filter(|exchange| exchange.len() != n) {
            return Err(ProbeError::Length { what: "the permutations", found: exchange.len(), wanted: n });
        }
        let observed = evaluated.score();
        let metric = observed.metric;
        let observed = observed.value();
        let predicted = evaluated.predicted();
        let null: Vec<f64> = self
            .exchanges
            .par_iter()
            .map(|exchange| {
                if let (Targets::Classes { labels, .. }, Metric::Accuracy) = (&evaluated.targets, metric) {
                    let correct = predicted.iter().zip(exchange).filter(|(predicted, by)| **predicted == labels[**by]).count();
                    correct as f64 / n as f64
                } else {
                    let (numerator, denominator) = exchange.iter().enumerate().fold((0.0, 0.0), |sum, (sample, &by)| {
                        let part = evaluated.part(metric, sample, by);
                        (sum.0 + part.0, sum.1 + part.1)
                    });
                    ratio(numerator, denominator)
                }
            })
            .collect();
        Ok(PermutationTest::new(observed, null))
    }
}

/// Stacks the nulls of several tests that shared their permutations, [permutation, test]: what max-T needs.
pub fn stack_nulls(tests: &[PermutationTest]) -> Array2<f64> {
    let permutations = tests.iter().map(|test| test.null.len()).min().unwrap_or(0);
    Array2::from_shape_fn((permutations, tests.len()), |(permutation, test)| tests[test].null[permutation])
}

//! What a linear readout could reach at best: the ceiling under every probe curve.
//!
//! A memory `S = sum_i u_i v_i^T` whose values are independent of its addresses, seen with noise of variance `noise` a
//! channel, gives the best linear estimate of v_i the share
//!
//! ```text
//! R2_i = u_i^T (U U^T + noise I)^{-1} u_i        sum_i R2_i = effective degrees of freedom <= d_k
//! ```
//!
//! of its variance. For classes the estimate is `R2 v_i` plus what the other values leave, `R2 (1 - R2)` of their covariance;
//! [`ValueModel`] says how often that is nearest to the right class.
//!
//! A held-out readout above its ceiling means leakage, or values that depend on addresses or on one another: in deep layers
//! they do, so there the ceiling is a reference rather than a bound.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};

use crate::{
    Estimate, ProbeError,
    linalg::{Cholesky, Eigen, gram, kernel},
    random::normals,
    samples::check_finite,
};

/// R2 of the best linear estimate of each write, from `traces` U [d_k, write] of the writes in the memory and the variance of
/// the noise it is seen with.
pub fn leverage(traces: ArrayView2<f64>, noise: f64) -> Result<Array1<f64>, ProbeError> {
    check_finite("a write's trace", traces)?;
    if !(noise.is_finite() && noise > 0.0) {
        return Err(ProbeError::Parameter { parameter: "the noise of a ceiling", value: noise, range: "above 0" });
    }
    let mut square = kernel(traces);
    // Rounding of the product itself: without it a noise far below would leave nothing to invert.
    let floor = noise + 1e-14 * square.diag().iter().fold(0.0_f64, |most, &value| most.max(value));
    square.diag_mut().mapv_inplace(|value| value + floor);
    let half = Cholesky::new(square, "the addresses of a memory")?.forward(traces.to_owned());
    Ok(half.map_axis(Axis(0), |column| column.dot(&column).min(1.0)))
}

/// What is known of the values that are written: what each class looks like, and how values scatter.
#[derive(Clone, Debug)]
pub struct ValueModel {
    /// Of each class, in coordinates where values have unit covariance and the scatter inside classes is diagonal; `None` for a
    /// class that is never written.
    centres: Vec<Option<Array1<f64>>>,
    /// Scatter inside classes along each coordinate, 0 to 1.
    within: Array1<f64>,
    log_shares: Vec<f64>,
    /// Noise to draw from, [draw, coordinate]: samples take runs of it, each its own.
    pool: Array2<f64>,
}

/// Rows of noise.
const POOL: usize = 2048;
/// Of the noise.
const POOL_SEED: u64 = 0x5eed;

impl ValueModel {
    /// From written `values` [write, d_v] and their classes.
    pub fn new(values: ArrayView2<f64>, classes: &[usize], n_classes: usize) -> Result<Self, ProbeError> {
        check_finite("a value", values)?;
        let n = values.nrows();
        if classes.len() != n {
            return Err(ProbeError::Length { what: "the classes of values", found: classes.len(), wanted: n });
        }
        let mean = values.mean_axis(Axis(0)).ok_or(ProbeError::Empty)?;
        let centred = &values - &mean;
        let total = Eigen::new(gram(centred.view()) / n as f64, "the covariance of values")?;
        let most = total.values.iter().fold(f64::MIN_POSITIVE, |most, &value| most.max(value));
        let scales = total.values.mapv(|value| if value > 1e-9 * most { value.sqrt().recip() } else { 0.0 });
        let white = centred.dot(&total.vectors) * &scales;
        let mut sums = vec![(Array1::<f64>::zeros(white.ncols()), 0_usize); n_classes];
        for (row, &class) in white.rows().into_iter().zip(classes) {
            let sum = sums.get_mut(class).ok_or(ProbeError::Class { sample: 0, class, n_classes })?;
            sum.0 += &row;
            sum.1 += 1;
        }
        let centres: Vec<Option<Array1<f64>>> = sums.iter().map(|(sum, count)| (*count > 0).then(|| sum / *count as f64)).collect();
        let mut inside = white.clone();
        for (mut row, &class) in inside.rows_mut().into_iter().zip(classes) {
            if let Some(centre) = &centres[class] {
                row -= centre;
            }
        }
        let scatter = Eigen::new(gram(inside.view()) / n as f64, "the scatter of values inside classes")?;
        let turned = centres.into_iter().map(|centre| centre.map(|centre| centre.dot(&scatter.vectors))).collect();
        let pool = normals(POOL, scatter.values.len(), &mut ChaCha8Rng::seed_from_u64(POOL_SEED));
        let shares = sums.iter().map(|(_, count)| (*count as f64 / n as f64).max(f64::MIN_POSITIVE).ln()).collect();
        Ok(Self { centres: turned, within: scatter.values.mapv(|value| value.clamp(0.0, 1.0)), log_shares: shares, pool })
    }

    /// How often the best linear estimate of a value, which explains the share `r2` of it, is nearest to the right class: the
    /// expected accuracy of the best linear classifier, from `n_draws` draws of the noise (2048 at most).
    pub fn accuracy(&self, class: usize, r2: f64, n_draws: usize, seed: u64) -> f64 {
        let Some(Some(centre)) = self.centres.get(class) else { return 0.0 };
        let r2 = r2.clamp(0.0, 1.0);
        // Variance of the estimate about r2 * centre: the other values, and this value's own scatter.
        let variance = self.within.mapv(|within| r2 * (1.0 - r2) + r2 * r2 * within + 1e-12);
        let n_draws = n_draws.clamp(1, POOL);
        // A multiplicative hash spreads neighbouring seeds over the pool.
        let start = (seed.wrapping_add(class as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % (POOL - n_draws + 1);
        let draws = self.pool.slice(s![start..start + n_draws, ..]);
        let deviation = variance.mapv(f64::sqrt);
        let weights = self.centres.iter().map(|centre| centre.as_ref().map(|centre| (centre * r2) / &variance));
        let weights: Vec<Option<Array1<f64>>> = weights.collect();
        let offsets: Vec<f64> = self
            .centres
            .iter()
            .zip(&weights)
            .zip(&self.log_shares)
            .map(|((centre, weight), share)| match (centre, weight) {
                (Some(centre), Some(weight)) => share - 0.5 * r2 * centre.dot(weight),
                _ => f64::NEG_INFINITY,
            })
            .collect();
        let right = draws.rows().into_iter().filter(|draw| {
            let estimate = centre * r2 + &(draw * &deviation);
            let mut best = (0, f64::NEG_INFINITY);
            for (other, weight) in weights.iter().enumerate() {
                let Some(weight) = weight else { continue };
                let score = weight.dot(&estimate) + offsets[other];
                if score > best.1 {
                    best = (other, score);
                }
            }
            best.0 == class
        });
        right.count() as f64 / n_draws as f64
    }
}

/// A ceiling beside a score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// In the score's metric, with its interval over groups.
    pub estimate: Estimate,
    /// Score minus ceiling, paired.
    pub excess: Estimate,
    /// Mean R2 of the best linear estimate.
    pub mean_r2: f64,
    /// Variance of the noise the memory is seen with.
    pub noise: f64,
}

impl Ceiling {
    /// Whether the score lies above beyond its interval.
    pub fn is_broken(&self) -> bool {
        self.excess.low > 0.0
    }
}

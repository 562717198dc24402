//! Centring and scaling of features, fitted on training samples only.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    ProbeError,
    linalg::{Cholesky, gram},
};

/// How features are brought to a common scale before a penalised fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Centre, then divide all channels by one number so that their mean variance is 1. Keeps the geometry of the memory.
    #[default]
    Isotropic,
    /// Centre, then divide every channel by its own standard deviation.
    Standard,
    /// Centre, then decorrelate (Cholesky whitening; the covariance is shrunk by 1e-3 of its mean diagonal).
    Whiten,
}

impl Scaling {
    /// Learns means and scales from training features [sample, channel].
    pub fn fit(self, train: ArrayView2<f64>) -> Result<FittedScaling, ProbeError> {
        let n = train.nrows();
        let mean = train.mean_axis(Axis(0)).ok_or(ProbeError::Empty)?;
        let variance = train.var_axis(Axis(0), 0.0);
        let channels = variance.len().max(1) as f64;
        let mean_variance = variance.sum() / channels;
        // A channel that never varies is centred and left: there is nothing to scale.
        let inverse = |variance: f64| if variance > 1e-24 * (1.0 + mean_variance) { variance.sqrt().recip() } else { 1.0 };
        let map = match self {
            Self::Isotropic => Map::Isotropic(inverse(mean_variance)),
            Self::Standard => Map::PerChannel(variance.mapv(inverse)),
            Self::Whiten => {
                let mut covariance = gram((&train - &mean).view()) / n as f64;
                let shrinkage = 1e-3 * mean_variance.max(f64::MIN_POSITIVE);
                covariance.diag_mut().mapv_inplace(|variance| variance + shrinkage);
                Map::Whiten(Box::new(Cholesky::new(covariance, "the covariance of the features")?))
            }
        };
        Ok(FittedScaling { mean, map })
    }
}

/// Means and scales of training features.
#[derive(Clone, Debug)]
pub struct FittedScaling {
    mean: Array1<f64>,
    map: Map,
}

#[derive(Clone, Debug)]
enum Map {
    Isotropic(f64),
    PerChannel(Array1<f64>),
    Whiten(Box<Cholesky<f64>>),
}

impl FittedScaling {
    /// Centred and scaled features [sample, channel].
    pub fn apply(&self, features: ArrayView2<f64>) -> Array2<f64> {
        let centred = &features - &self.mean;
        match &self.map {
            Map::Isotropic(scale) => centred * *scale,
            Map::PerChannel(scales) => centred * scales,
            Map::Whiten(factor) => factor.forward(centred.reversed_axes()).reversed_axes(),
        }
    }
}

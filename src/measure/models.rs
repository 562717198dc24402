//! Intervals over models: the trained model is the unit, its sequences are nested in it.
//!
//! Several seeds of one architecture give several estimates of one quantity. Each carries the noise of its own sequences, so their
//! spread holds both that and what differs between seeds: the interval of their mean by Student's t is an interval for the
//! architecture. With three seeds it is wide (t = 4.30 at 95 %), as it must be.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Interval, Unit};

/// The mean over models, with the interval of Student's t; without one for fewer than two models. `None` without any.
pub fn over_models(estimates: &[f64], level: f64) -> Option<Interval> {
    let n = estimates.len();
    let mean = (n > 0).then(|| estimates.iter().sum::<f64>() / n as f64)?;
    let half = (n > 1).then(|| {
        let variance = estimates.iter().map(|estimate| (estimate - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + level / 2.0));
        t * (variance / n as f64).sqrt()
    });
    Some(Interval { estimate: mean, low: half.map(|half| mean - half), high: half.map(|half| mean + half), level, unit: Unit::Model, n })
}

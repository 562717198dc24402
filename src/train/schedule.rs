//! The learning rate over the steps: a linear warm-up, then a cosine down to a share of the peak.

use super::TrainError;
use serde::{Deserialize, Serialize};

/// The learning rate over the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// The highest learning rate (default 0.003).
    pub learning_rate: f64,
    /// Steps of the linear warm-up (default 100).
    pub warm_up_steps: u64,
    /// The last learning rate as a share of the highest (default 0.1).
    pub final_share: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { learning_rate: 3e-3, warm_up_steps: 100, final_share: 0.1 }
    }
}

impl Schedule {
    /// The learning rate of a step, of `steps` in all.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        if step < self.warm_up_steps {
            return self.learning_rate * (step + 1) as f64 / self.warm_up_steps as f64;
        }
        let length = steps.saturating_sub(self.warm_up_steps).max(1);
        let done = ((step - self.warm_up_steps) as f64 / length as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(TrainError::setting("schedule.learning_rate", self.learning_rate, "above 0"));
        }
        if !(0.0..=1.0).contains(&self.final_share) {
            return Err(TrainError::setting("schedule.final_share", self.final_share, "a share, 0 to 1"));
        }
        Ok(())
    }
}

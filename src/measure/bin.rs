//! Bins of mean retention.

use serde::{Deserialize, Serialize};

use super::MeasureError;

/// Equal bins of the unit interval. Each holds its lower edge; the last holds 1 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bins {
    /// How many; ten bins of width 0.1 unless told otherwise.
    pub count: usize,
}

impl Default for Bins {
    fn default() -> Self {
        Self { count: 10 }
    }
}

impl Bins {
    /// The bin of `value` in [0, 1].
    pub fn index(&self, value: f64) -> usize {
        // The gates are f32: 0.9 recorded is 0.89999998, which belongs to the bin that starts at 0.9.
        ((value * self.count as f64 + 1e-6) as usize).min(self.count - 1)
    }

    /// Lower and upper edge of a bin.
    pub fn edges(&self, index: usize) -> (f64, f64) {
        (index as f64 / self.count as f64, (index + 1) as f64 / self.count as f64)
    }

    /// Checks that there is a bin.
    pub(super) fn check(self) -> Result<(), MeasureError> {
        if self.count > 0 {
            return Ok(());
        }
        Err(MeasureError::Option { option: "bins.count", value: 0.0, range: "at least 1" })
    }
}

//! Calibration shown: how often every test that is shipped errs where the truth is planted, beside naive practice.
//!
//! Each family of tests is run many times in a world where nothing is planted (its error rate must be the nominal one) and with
//! something planted in growing size (its power). Worlds have what makes naive tests fail: gates that remember, heads, layers and
//! sequences that differ, targets that stick to their sequence. The sequence is the unit throughout.

mod addresses;
mod answers;
mod case;
mod many;
mod readouts;
mod relation;
mod report;
mod run;
mod spec;
mod synthetic;
mod targeting;
mod units;

pub use case::{Calibrated, Case, Fault, Rate, Standing};
pub use report::calibration_summary;
pub use run::{Calibration, calibrate, run_calibration};
pub use spec::{CalibrationOptions, CalibrationSpec, Family};

//! Measures of several models in one figure, and measures as JSON.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Labelled;
use super::{calibration::Errors, readout::Readouts, selectivity::Selectivities};
use crate::intervene::AnswerAccount;

/// What one figure takes, from the parts of several models.
pub(super) trait Join: Sized {
    /// Both in one where the figure compares models; else the second is left.
    fn join(self, other: Self) -> (Self, Option<Self>) {
        (self, Some(other))
    }
}

/// What one figure takes, from JSON.
pub(super) trait Read: Sized {
    /// Of one model, named `label`.
    fn read(label: &str, measured: Value) -> serde_json::Result<Self>;
}

impl<T> Join for Vec<T> {
    fn join(mut self, other: Self) -> (Self, Option<Self>) {
        self.extend(other);
        (self, None)
    }
}

impl<T> Join for Box<T> {}
impl Join for Readouts {}
impl Join for Selectivities {}
impl Join for Errors {}

impl<T: DeserializeOwned> Read for Vec<Labelled<T>> {
    fn read(label: &str, measured: Value) -> serde_json::Result<Self> {
        serde_json::from_value(measured).map(|measured| vec![Labelled::new(label, measured)])
    }
}

impl Read for Vec<AnswerAccount> {
    fn read(_: &str, measured: Value) -> serde_json::Result<Self> {
        if measured.is_array() { serde_json::from_value(measured) } else { serde_json::from_value(measured).map(|one| vec![one]) }
    }
}

impl<T: DeserializeOwned> Read for Box<T> {
    fn read(_: &str, measured: Value) -> serde_json::Result<Self> {
        serde_json::from_value(measured)
    }
}

/// Plain data of one model or of none.
macro_rules! read_plainly {
    ($($plain:ty),+) => {$(
        impl Read for $plain {
            fn read(_: &str, measured: Value) -> serde_json::Result<Self> {
                serde_json::from_value(measured)
            }
        }
    )+};
}

read_plainly!(Readouts, Selectivities, Errors);

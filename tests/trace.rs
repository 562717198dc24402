//! The trace on disk: what is written is read, damage is named, a killed recording is an exact prefix.

mod round_trip;
pub mod sample;

//! The trace on disk: what is written is read, damage is named, a killed recording is an exact prefix.

mod damage;
mod import;
mod killed;
mod layout;
mod python;
mod round_trip;
pub mod sample;
mod scalars;

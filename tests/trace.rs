//! The trace on disk: what is written is read, damage is named, a killed recording is an exact prefix.

#![expect(clippy::float_cmp, reason = "what is stored is read back bit for bit")]

mod damage;
mod import;
mod killed;
mod layout;
mod python;
mod round_trip;
pub mod sample;
mod scalars;

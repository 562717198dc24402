//! Tests.

mod engine;
mod house;
mod measure;
mod memory;
#[cfg(feature = "record")]
mod model;
mod task;
mod trace;

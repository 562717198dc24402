//! Tests.

mod engine;
#[cfg(feature = "figure")]
mod figure;
mod engine_gradient;
mod house;
mod measure;
mod memory;
#[cfg(feature = "record")]
mod model;
mod task;
mod trace;

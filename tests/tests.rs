//! Tests.

mod engine;
mod house;
mod memory;
mod task;

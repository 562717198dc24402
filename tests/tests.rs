//! Tests.

mod engine;
mod house;
mod measure;
mod memory;
mod task;
mod trace;

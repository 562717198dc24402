//! Tests.

mod engine;
mod task;

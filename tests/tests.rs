//! Tests.

mod task;

//! Tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "where a number is exact, nothing else will do")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it could not try")]

#[cfg(feature = "app")]
mod app;
#[cfg(feature = "experiment")]
mod calibration;
#[cfg(feature = "experiment")]
mod claims;
#[cfg(feature = "experiment")]
mod cli;
#[cfg(feature = "gpu")]
mod card;
mod engine;
mod engine_gradient;
#[cfg(feature = "experiment")]
mod experiment;
mod export;
#[cfg(feature = "figure")]
mod figure;
mod house;
mod ledger;
mod intervene;
mod measure;
mod memory;
#[cfg(feature = "record")]
mod model;
#[cfg(feature = "probe")]
mod readout;
#[cfg(feature = "probe")]
mod partial;
#[cfg(feature = "record")]
mod record;
mod task;
mod trace;
#[cfg(feature = "record")]
mod train;

//! Pentimento: see inside the memory of recurrent language models.

pub mod memory;
pub mod spec_text;
pub mod task;
pub mod provenance;
pub mod trace;
#[cfg(feature = "record")]
pub mod model;
#[cfg(feature = "record")]
pub mod train;
#[cfg(feature = "record")]
pub mod record;
pub mod measure;
#[cfg(feature = "probe")]
pub mod readout;
pub mod export;
#[cfg(feature = "figure")]
pub mod figure;
#[cfg(feature = "experiment")]
pub mod experiment;
pub mod cli;

//! Pentimento: see inside the memory of recurrent language models.

pub mod memory;
pub mod provenance;
pub mod task;

//! Pentimento: see inside the memory of recurrent language models.

pub mod memory;
pub mod task;

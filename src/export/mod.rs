//! Tables and arrays for other programs, each with its provenance beside it.

mod table;

pub use table::{Column, Table, Value};

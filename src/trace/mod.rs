//! The trace on disk: what a model's memories went through, step by step, as a Zarr v3 directory `NAME.trace.zarr`.
//!
//! A trace holds every factor of the recurrence under its name in [`HookPoint`](crate::memory::HookPoint), the
//! pseudo-values of every edit and a checkpoint of every memory every few steps. So any memory in any phase can be
//! replayed, bit for bit as the engine had it ([`Trace::memory`]), for a thirtieth of the space of storing them all.
//!
//! ```text
//! zarr.json                    attributes and consolidated metadata: its atomic rename is the commit point
//! tokens [batch, step]         text/token_str [batch, step]         labels/ (the task's truth table)      logits/
//! layer_00/                    attributes: rule, n_key_heads, n_value_heads, d_k, d_v
//!   query, write_direction, erase_direction [batch, step, key_head, d_k]      retention [batch, step, head, d_k]
//!   value, output, erase_value, write_value [batch, step, head, d_v]          write_strength, erase_strength [batch, step, head]
//!   checkpoint/memory [batch, checkpoint, head, d_k, d_v]     checkpoint/step [checkpoint]     checkpoint/replay_error
//!   dense/<selection>/memory_after_write [batch, step, head, d_k, d_v]        scalars/<name> [batch, step, head]
//! ```
//!
//! The directory opens in plain Python (`xarray.open_zarr`, zarr-python 3) without this program; see `examples/python`.
//!
//! **Written** by [`TraceWriter`]: block by block, each committed as a whole. A recording that is killed opens as an exact
//! prefix of itself. **Read** by [`Trace`], which fetches only what is asked. **Checked** by [`verify`] (every checksum,
//! and a replay from checkpoint to checkpoint), mended by [`repair`]. **Imported** from other programs by [`import`].

// Zarr's `bytes` codec is configured little-endian here and matrices are written as they lie in memory.
#[cfg(target_endian = "big")]
compile_error!("traces are written as they lie in memory: a big-endian machine needs a swap first");

mod attributes;
mod bench;
mod column;
mod committed;
mod error;
mod import;
mod info;
mod integrity;
mod labels;
mod answers;
mod landing;
mod layout;
mod reader;
mod repair;
mod replay;
mod root;

mod scalars;
mod shard;
mod spec;
mod store;
mod stored;
mod table;
mod tensors;
mod verify;
mod writer;

pub use answers::Answer;
pub use attributes::{Attributes, Conventions, Growth, LayerAttributes, RecordingChoices, SCHEMA_VERSION, Status};
pub use bench::{Bench, BenchOptions, bench};
pub use error::TraceError;
pub use import::{ImportOptions, Imported, ImportedLayer, import};
pub use info::{ArrayInfo, Info, LayerInfo, info};
pub use labels::label_tables;
pub use reader::{Layer, Trace};
pub use repair::{Repair, repair};
pub use spec::{DenseSelection, OnExisting, TraceSpec};
pub use table::{Data, Table};
pub use verify::{ArrayReport, Damage, ReplayReport, Verification, verify};
pub use writer::TraceWriter;

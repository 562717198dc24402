//! The equation: a memory is decayed, then corrected by an ordered list of rank-one edits.
//!
//! One head holds a matrix `S` of shape [d_k, d_v]. At every step
//!
//! ```text
//! S <- diag(a) S ;   then for each edit (u, c, w):   S <- S + u (w - S^T c)^T ;   o = S^T q
//! ```
//!
//! Every rule of the delta-rule family is this with its own edits ([`Rule`]; Erase-then-Delta Attention,
//! arXiv 2606.26560, has two). So one reference, one engine, one recorder and one ledger serve them all.
//!
//! The journey inside: [`Factors`] (what a model computes, what a trace stores, under the field's names) are lowered by
//! their [`Rule`] to a [`Recurrence`] (decay and edits), which [`mod@reference`] runs in plain f64 and [`cpu`] and [`cuda`] run fast.
//! [`mod@gradient`] is the reference's gradient; [`chunkwise`] is a second f64 implementation beside the reference; [`replay`] gives recorded memories back bit for bit;
//! [`gate`] holds the decay gates; [`follow`] says what becomes of single writes; [`mod@bench`] times the engine beside what the machine can do.

mod dims;
mod device;
mod error;
mod hook;
mod factors;
mod check;
mod recurrence;
mod rule;
mod rules;
mod recording;
pub mod follow;
pub mod gate;
pub mod reference;
pub mod gradient;
pub mod chunkwise;
pub mod replay;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod cuda;
#[cfg(not(feature = "gpu"))]
#[path = "cuda/disabled.rs"]
pub mod cuda;
mod recorder;
pub mod bench;

pub use check::{FactorNorms, NormSummary};
pub use device::Device;
pub use dims::{Dims, Phase};
pub use error::MemoryError;
pub use factors::{Factors, Scalar};
pub use hook::{Axis, HookPoint};
pub use recorder::Recorder;
pub use recording::{RecordOptions, Recording};
pub use recurrence::{Edit, EditKind, Read, Recurrence, Shared3, Shared4};
pub use rule::Rule;

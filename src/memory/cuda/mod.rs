//! The engine on NVIDIA cards: f32 memories, f32 or bf16 inputs.
//!
//! The kernels are CUDA C++ in this folder, embedded in the program and compiled for the card at hand by NVRTC when first used;
//! machine code is kept in the user's cache folder. Nothing of CUDA is needed to build, and a program with this engine runs
//! where there is no card: whoever asks for one then gets a [`CudaError`] that says what is missing.
//!
//! [`Engine`] works on buffers that stand on a card, so that a model there hands over its own.

// The journey: `error`, `libraries` (what is there), `layout` (arguments as the kernels see them), `compile`, `buffers` (what
// stands on the card), `plan` (how a run is laid over it), `engine` (launches step by step), `route` (every memory recorded),
// `chunks` (launches in chunks), `follow` (single writes), `kernels` (all of them, compiled without a card).

mod error;
mod libraries;
mod layout;
mod compile;
mod buffers;
mod plan;
mod bound;
mod engine;
mod route;
mod gradient;
mod adjoint;
mod follow;
mod chunk_plan;
mod chunks;
mod chunk_gradient;
mod ring;
mod room;
mod recording;
mod cards;
mod upload;
mod output;
mod measure;
mod chunk_parity;
pub mod bench;
pub mod parity;
mod kernels;
mod parity_gradient;
mod parity_record;

pub use adjoint::Query;
pub use buffers::{
    CardEdit, CardEditGradient, CardGradient, CardRead, CardRecurrence, CardTape, Checkpoints, Numbers, Rows, Targets, Trace,
};
pub use cards::Cards;
pub use chunk_gradient::ChunkTape;
pub use chunk_plan::{CHUNK_STEPS, ChunkPlan, Precision};
pub use compile::machine_code;
pub use engine::{Engine, n_cards};
pub use error::{CudaError, bytes};
pub use kernels::compile_kernels;
pub use plan::{CardLimits, Form, ForwardPlan, ReplayPlan, Replayed, Stores, SweepPlan, Window};
pub use ring::{MemoryBlock, Ring, RingOptions};
pub use room::{Inputs, Keep, check_room, room};
pub use route::Route;
pub use upload::{Element, Uploaded};

/// An error of the driver, with what was being done.
fn driver_error(context: &cudarc::driver::CudaContext, doing: &'static str) -> impl Fn(cudarc::driver::DriverError) -> CudaError {
    let card = context.ordinal();
    move |error| CudaError::Driver { card, doing, message: error.to_string() }
}

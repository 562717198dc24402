//! An instrumented hybrid language model: linear-attention layers of the delta-rule family and gated full attention.
//!
//! [`LanguageModel`] is built from a [`Config`] by one constructor, whether its parameters are fresh, loaded or only counted.
//! While it runs, an [`Observer`] can take the inputs of every layer's recurrence and what the engine kept of the memories;
//! watching never changes a logit.
//!
//! The journey inside: tokens are embedded; each `layer` mixes steps (`delta_mixer` or `attention`) and then channels
//! (`feed_forward` or `moe`); a norm and the unembedding give logits. A [`State`] carries memories from call to call.
// The residual stream is a contiguous matrix [batch * step, d_model] throughout, so that every projection is one matrix product.

mod error;
mod config;
mod parameters;
mod intervene;
mod observer;
mod state;
mod functions;
mod kernel;
pub(crate) mod card;
mod graph;
mod linear;
mod rows;
mod norm;
mod short_convolution;
pub mod memory_op;
mod memory_on_card;
mod decay_gate;
mod delta_mixer;
mod rotary;
mod attention;
mod feed_forward;
mod moe;
mod layer;
mod language_model;
mod checkpoint;
mod presets;
mod threads;
mod device;
mod open;
mod parity;

pub use card::KERNELS;
pub use checkpoint::{CONFIG_FILE, WEIGHTS_FILE};
pub use config::{AttentionConfig, Config, DecayGate, DecayRate, DeltaConfig, FeedForwardConfig, MixerKind};
pub use device::device;
pub use error::ModelError;
pub(crate) use error::in_words;
pub use graph::number_of;
pub use intervene::{GradientSink, Intervene};
pub use language_model::{Extent, LanguageModel, token_tensor};
pub use observer::{NoObserver, Observer};
pub use open::{BUNDLED, Bundled, OpenedModel, VOCABULARY_FILE, config_of, open_model, open_model_on};
pub use parameters::{Initial, ParameterCount, ParameterSource, Request, Usage, Weights};
pub use parity::{Parity, RECORDING_TOLERANCE, Sizes, TOLERANCE, parity};
pub use presets::{PRESETS, Preset, params};
pub use rows::rows_of;
pub use state::State;
pub use threads::share_one_pool;

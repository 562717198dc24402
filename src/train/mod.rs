//! Training small models on tasks whose truth is known: from a spec to a checkpoint, resumable to the bit.
//!
//! A [`TrainSpec`] names the model, the curriculum of tasks and the optimiser's settings. [`run`] trains and leaves a directory:
//!
//! | file | holds |
//! |---|---|
//! | `config.json`, `weights.safetensors` | the model, as it was at the last checkpoint |
//! | `vocabulary.json` | the words of its tokens |
//! | `train.toml` | the spec |
//! | `training.safetensors` | weights, moments of the optimiser and step: what resuming needs |
//! | `log.jsonl` | one JSON object a line: step, loss, learning rate, speed, and now and then the held-out accuracy by condition |
//!
//! A model is trained at the questions only: the target is the gold token at each question's position. A sequence without
//! questions (free text) trains on every next token. Data, weights at the start and the order of all sums are functions of the
//! seed, so the same spec gives the same weights on the same kind of machine (or card), interrupted or not.

mod error;
mod spec;
mod schedule;
mod stop;
mod optimizer;
mod batch;
mod prefetch;
mod evaluate;
mod checkpoint;
mod log;
mod run;

pub use checkpoint::{LOG_FILE, SPEC_FILE, TRAINING_FILE, VOCABULARY_FILE};
pub use error::TrainError;
pub use evaluate::{Evaluation, evaluate};
pub use log::{HeldOut, LogEntry};
pub use optimizer::{AdamW, AdamWSpec};
pub use run::{Existing, Outcome, run, run_on};
pub use schedule::Schedule;
pub use spec::{MatrixProducts, Mixing, Stage, StoredWeights, TrainSpec, WeightedTask};
pub use stop::{StageEnd, Stop};

//! The whole network run again, with interventions inside its memories: total effects on what the model answers.
//!
//! [`NetworkReplay`] runs a model over sequences under any [`Intervention`](crate::intervene::Intervention)s. Two paths are told apart:
//!
//! - **total**: the changed memory is read at every step from there on, and all layers above go on from what they get;
//! - **direct**: only what the layer reads at the step of the question is changed; what is read at every other step stays as it was.
//!
//! [`NetworkReplay::account`] gives the erase events behind one answer: ranked by one gradient through the whole network, confirmed by
//! exact replays. [`NetworkReplay::effects`] runs a list of interventions over many sequences. [`LiveReplay`] goes step by step and can
//! branch off anywhere, and be recorded as it runs, for a person at a screen.

mod error;
mod run;
mod gradient;
mod account;
mod effects;
mod live;
mod reads;
mod recorded;

pub use error::NetworkError;
pub use live::LiveReplay;
pub use reads::{QuestionReads, ReadEdits};
pub use recorded::Words;
pub use run::{Asked, NetworkReplay, Path, Run, scores};

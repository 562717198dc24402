//! From one erase event to one prediction: what would a memory hold, and what would be read, had a step done otherwise?
//!
//! - [`Intervention`]: one plain value that says what is changed and where (TOML, JSON, a slider); [`apply`] turns a layer's
//!   factors into the changed recurrence, which any engine runs: an exact replay.
//! - [`HeadTape`] and [`Knockouts`]: every single-gate knockout of a query from one backward sweep. The output is affine in each
//!   single gate, so these are the replays' own numbers, not a first-order guess.
//!
//! These are *direct* effects: inside one layer, its inputs fixed. What the rest of the network makes of them needs the model.

mod error;
mod intervention;
mod file;
mod carry;
mod forget;
mod apply;
mod factors;
mod tape;
mod knockout;
mod scores;
mod words;
mod event;
mod gates;
mod read_change;
mod account;

pub use account::{AccountOptions, AnswerAccount, EventEffect, EventTotal, HeadEffect, Interaction, probability};
pub use apply::{Place, Row, Superseded, apply};
pub use carry::carry;
pub use error::InterveneError;
pub use event::{EraseEvent, HeadRead, RemovedWrite, ranked};
pub use factors::changed_factors;
pub use file::Interventions;
pub use gates::{Gate, GateChange, gate_changes};
pub use intervention::{Address, Change, Intervention, Replacement, Steps, Where};
pub use knockout::{EditKnockouts, Knockouts, Query, decay_knockouts, knockouts, visit_retention};
pub use read_change::{ReadChange, read_change};
pub use scores::{ScoreChange, Scores, SequenceScores};
pub use tape::HeadTape;
pub use words::{FactWords, SequenceWords, StepWords, superseded};

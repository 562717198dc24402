//! Readouts of more samples than one machine holds: partial sums that merge, and a readout solved from them.
//!
//! ```text
//! stats   one part of the work (some sequences, some steps)  ->  part.safetensors     anywhere, any number of times
//! merge   parts of one piece of work                         ->  all.safetensors      in any order, in any grouping
//! solve   all.safetensors                                    ->  a ridge readout with held-out scores by sequence
//! ```
//!
//! A sample is one step of one sequence: features are the head's memory, flattened, or what it says at one address; the target is
//! the value written some steps before (the lag), and as a control the value written at that step of another sequence.
//!
//! **The same bytes.** Sums are made in blocks of steps on a fixed grid and merged along one fixed binary tree over (fold,
//! sequence, block). A part keeps the nodes of that tree which it has whole; a merge fills in their parents. So parts cut on the
//! grid give, in any order and any grouping, the very file that one process would have written for all of the work. Parts cut
//! inside a block agree with it to rounding, and still do not depend on their order.
//!
//! **Held-out scores.** Sequences are dealt into folds by their number alone, and each fold has a tree of its own, so that
//! cross-validation by sequence, nested for the penalty, follows from the sums exactly
//! ([`SummedRidge`](pentimento_probes::SummedRidge)).

mod coverage;
mod error;
mod file;
mod part;
mod solve;
mod spec;
mod sum;
mod tree;

pub use coverage::{Coverage, Patch};
pub use error::PartialError;
pub use part::{Gaps, Part, merge};
pub use solve::{Solved, solve};
pub use spec::{Control, PartSpec, ReadAddress, WorkSource};
pub use sum::{Plan, StatsOptions};

//! Sequences whose truth is known: which writes are current, which are stale, and what a question's answer is.
//!
//! ```
//! use pentimento::task::{Split, TaskSpec};
//!
//! let task = TaskSpec::named("stale_facts")?.build()?;
//! let example = task.generate(7, Split::Test, 0);
//! println!("{}", task.vocabulary().text(&example.tokens));
//! for question in &example.questions {
//!     println!("{} ? {}", task.vocabulary().word(question.key), task.vocabulary().word(question.gold));
//! }
//! # Ok::<(), pentimento::task::TaskError>(())
//! ```
//!
//! A sequence is a pure function of the specification, the seed, the split and its index: the same on any machine, whatever was
//! generated before.

mod vocabulary;
mod condition;
mod example;
mod error;
pub mod random;
mod draw;
mod ledger;
mod interleave;
mod symbols;
mod stale_facts;
mod facts;
mod many_updates;
mod variable_tracking;
mod mqar;
mod selective_copy;
mod parity;
mod word_problem;
pub mod text;
mod spec;
mod metrics;

pub use condition::{Condition, ConditionWeights};
pub use draw::Draw;
pub use error::TaskError;
pub use example::{Example, Question, Write, WriteKind};
pub use facts::Facts;
pub use many_updates::ManyUpdates;
pub use metrics::{Counts, Metrics};
pub use mqar::Mqar;
pub use parity::Parity;
pub use selective_copy::SelectiveCopy;
pub use spec::{Split, Task, TaskSpec};
pub use stale_facts::StaleFacts;
pub use text::Text;
pub use variable_tracking::VariableTracking;
pub use vocabulary::{TokenClass, Vocabulary};
pub use word_problem::WordProblem;

/// What makes the sequences of one task, from parameters that were checked.
trait Generator: Send + Sync {
    /// Its words.
    fn vocabulary(&self) -> &Vocabulary;

    /// The conditions it can make; none for a task without.
    fn conditions(&self) -> Vec<Condition> {
        Vec::new()
    }

    /// One sequence; `condition` overrules the condition that is drawn.
    fn generate(&self, draw: &mut Draw, condition: Option<Condition>) -> Example;
}

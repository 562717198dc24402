//! What can be wrong with factors.

use super::{HookPoint, Rule};

/// What can be wrong with the inputs of a recurrence.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A rule name that the family does not have.
    #[error("unknown rule '{0}': known are {known}", known = Rule::known_names())]
    UnknownRule(String),
    /// A phase name that a step does not have.
    #[error("unknown phase '{0}': known are before, decay, erase, write")]
    UnknownPhase(String),
    /// A device that cannot be named so.
    #[error("unknown device '{text}': {why}; write cpu, cuda:0, or cuda:0,1 for several cards")]
    UnknownDevice {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A factor the rule needs is absent.
    #[error("rule {rule} needs the factor '{factor}', which is missing")]
    MissingFactor {
        /// The rule.
        rule: Rule,
        /// The absent factor.
        factor: HookPoint,
    },
    /// A factor the rule does not have is present.
    #[error("rule {rule} has no factor '{factor}': remove it, or name the rule it belongs to")]
    UnexpectedFactor {
        /// The rule.
        rule: Rule,
        /// The surplus factor.
        factor: HookPoint,
    },
    /// A factor has another shape than the rest imply.
    #[error("factor '{factor}' has shape {found:?}, but {expected} = {wanted:?} is needed")]
    Shape {
        /// The factor.
        factor: HookPoint,
        /// The shape it has.
        found: Vec<usize>,
        /// Names of the axes.
        expected: String,
        /// The shape the other factors imply.
        wanted: Vec<usize>,
    },
    /// The number of heads is not a multiple of the number of key heads.
    #[error("{head} heads cannot be served by {key_head} key heads: the number of heads must be a multiple")]
    HeadGroups {
        /// Heads with a memory.
        head: usize,
        /// Heads with a key.
        key_head: usize,
    },
    /// A value outside the range the equation allows, or not finite.
    #[error("factor '{factor}' is {value} at {index:?}; it must be {range}")]
    OutOfRange {
        /// The factor.
        factor: HookPoint,
        /// The offending value.
        value: f64,
        /// Where it stands.
        index: Vec<usize>,
        /// The allowed range in words.
        range: &'static str,
    },
}

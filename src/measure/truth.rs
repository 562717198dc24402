//! What is known of staleness in a source's sequences.

use serde::{Deserialize, Serialize};

use crate::ledger::{HeadRecurrence, Precision, Staleness, Standing};
use crate::task::{Condition, Example};

/// What is known of staleness, for measures of what becomes of stale content.
#[derive(Clone, Debug)]
pub enum Truth {
    /// The task's truth table, one entry a sequence.
    Table(Vec<SequenceTruth>),
    /// No truth table: a write counts as stale from the first later write on whose key has at least this cosine with its own. A
    /// stand-in, and labelled so.
    KeyLikeness {
        /// Between 0 and 1.
        threshold: f64,
    },
}

/// One sequence of a truth table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceTruth {
    /// The condition under which it was made; `None` for a task without conditions.
    pub condition: Option<Condition>,
    /// What the write of every step stands for.
    pub staleness: Staleness,
}

impl Truth {
    /// The cosine from which keys count as alike when there is no truth table.
    pub const LIKENESS: f64 = 0.9;

    /// From truth tables. A fact is taken to be written by the step at which its key and its value are both known.
    pub fn of_examples(examples: &[Example], n_steps: usize) -> Self {
        let one = |example: &Example| SequenceTruth {
            condition: (example.condition != Condition::Plain).then_some(example.condition),
            staleness: Staleness::of_example(example, n_steps, 0),
        };
        Self::Table(examples.iter().map(one).collect())
    }

    /// From truth tables where there are any with a write, else by the likeness of keys.
    pub fn of_labels(examples: Option<&[Example]>, n_steps: usize) -> Self {
        match examples {
            Some(examples) if examples.iter().any(|example| !example.writes.is_empty()) => Self::of_examples(examples, n_steps),
            _ => Self::KeyLikeness { threshold: Self::LIKENESS },
        }
    }

    /// What is known of one sequence, which then is the only one.
    pub(super) fn of(&self, sequence: usize) -> Self {
        match self {
            Self::Table(sequences) => Self::Table(sequences.get(sequence).cloned().into_iter().collect()),
            Self::KeyLikeness { threshold } => Self::KeyLikeness { threshold: *threshold },
        }
    }

    /// Staleness in one head of one sequence.
    pub(super) fn staleness<F: Precision>(&self, sequence: usize, head: &HeadRecurrence<F>) -> Staleness {
        match self {
            Self::Table(sequences) => sequences.get(sequence).map_or_else(|| Staleness::new(vec![]), |sequence| sequence.staleness.clone()),
            Self::KeyLikeness { threshold } => Staleness::by_key_likeness(head, *threshold),
        }
    }

    /// The condition of a sequence.
    pub(super) fn condition(&self, sequence: usize) -> Option<Condition> {
        match self {
            Self::Table(sequences) => sequences.get(sequence).and_then(|sequence| sequence.condition),
            Self::KeyLikeness { .. } => None,
        }
    }

    /// Conditions of these sequences, in their order, each once.
    pub(super) fn conditions(&self, n_sequences: usize) -> Vec<Condition> {
        Condition::ALL
            .into_iter()
            .filter(|&condition| (0..n_sequences).any(|sequence| self.condition(sequence) == Some(condition)))
            .collect()
    }

    /// What stands for the truth, in a sentence.
    pub fn remark(&self) -> String {
        match self {
            Self::Table(_) => "What is stale is told by the task's truth table.".to_owned(),
            Self::KeyLikeness { threshold } => format!(
                "There is no truth table: a write counts as stale once a later one has a key with a cosine of at least {threshold} with its own. That is a stand-in; nobody knows whether the content is stale."
            ),
        }
    }
}

/// What a write stands for, by the end of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A fact that went stale.
    Stale,
    /// A fact that stayed true.
    Kept,
    /// A token that states no fact.
    Other,
}

impl Role {
    /// All.
    pub const ALL: [Self; 3] = [Self::Stale, Self::Kept, Self::Other];

    /// For tables and legends.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stale => "stale facts",
            Self::Kept => "kept facts",
            Self::Other => "other tokens",
        }
    }
}

impl From<Standing> for Role {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::StaleFrom(_) => Self::Stale,
            Standing::Kept => Self::Kept,
            Standing::Other => Self::Other,
        }
    }
}

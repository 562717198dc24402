//! Sizes of one layer's recurrence, and the phases of one step.

use serde::{Deserialize, Serialize};

/// Sizes of one layer's recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dims {
    /// Sequences.
    pub batch: usize,
    /// Steps of a sequence (tokens).
    pub step: usize,
    /// Heads that have a query, a write direction and an erase direction of their own.
    pub key_head: usize,
    /// Heads that have a memory of their own; a multiple of `key_head`. Head `h` uses key head `h * key_head / head`.
    pub head: usize,
    /// Key channels: rows of a memory.
    pub d_k: usize,
    /// Value channels: columns of a memory.
    pub d_v: usize,
}

impl Dims {
    /// The key head that serves `head`.
    pub fn key_head_of(&self, head: usize) -> usize {
        head * self.key_head / self.head
    }
}

/// A moment within one step, in the order of the update (arXiv 2606.26560: decay, erase, delta write).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `S_{t-1}`: what the step finds.
    Before,
    /// `D_t S_{t-1}`: after passive decay.
    Decay,
    /// After the erase (equals `Decay` for a rule without one).
    Erase,
    /// `S_t`: after the write, as it is read.
    Write,
}

impl Phase {
    /// All phases in the order of the update.
    pub const ALL: [Self; 4] = [Self::Before, Self::Decay, Self::Erase, Self::Write];

    /// The word on the command line, on disk and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Decay => "decay",
            Self::Erase => "erase",
            Self::Write => "write",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Phase {
    type Err = super::MemoryError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|phase| phase.name() == name).ok_or_else(|| super::MemoryError::UnknownPhase(name.to_owned()))
    }
}

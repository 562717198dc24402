//! The gates of one head.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::measure::{HeadGates, head_gates};

/// Retention, write and erase strength of a head over the steps of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatesOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The sequence.
    pub sequence: usize,
}

impl Ask for GatesOf {
    type Answer = HeadGates;

    fn title(&self) -> String {
        format!("reading the gates of layer {} head {}", self.layer, self.head)
    }

    fn bytes(answer: &HeadGates) -> usize {
        3 * answer.retention.len() * size_of::<f64>()
    }

    fn answer(&self, _progress: &Progress) -> Result<HeadGates, String> {
        head_gates(self.trace.trace(), self.layer, self.head, self.sequence).map_err(said)
    }
}

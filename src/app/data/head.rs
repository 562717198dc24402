//! One head of one sequence, read once for all panels that follow its writes or take its reads apart.

use crate::app::data::{Handle, said};
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::app::session::Focus;
use crate::measure::{OneHead, Place};

/// One head of one sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The sequence.
    pub sequence: usize,
}

impl HeadOf {
    /// The head looked at.
    pub fn focus(focus: &Focus<'_>) -> Self {
        let selection = focus.selection;
        Self { trace: focus.trace.clone(), layer: selection.layer, head: selection.head, sequence: selection.sequence }
    }

    /// A step of it.
    pub fn place(&self, step: usize, number: usize) -> Place {
        Place { layer: self.layer, head: self.head, sequence: self.sequence, step, number }
    }
}

impl Ask for HeadOf {
    type Answer = Handle<OneHead>;

    fn title(&self) -> String {
        format!("reading layer {} head {}", self.layer, self.head)
    }

    fn bytes(answer: &Handle<OneHead>) -> usize {
        answer.bytes()
    }

    fn answer(&self, _progress: &Progress) -> Result<Handle<OneHead>, String> {
        OneHead::read(self.trace.trace(), self.layer, self.head, self.sequence).map(Handle::new).map_err(said)
    }
}

//! What became of a write, and of all writes of a role.

use crate::app::data::{Handle, said};
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{Fate, FateOptions, OneHead, Part, Truth, WriteLife, fate};
use crate::task::Example;

/// The writes of one step of a head, followed to the end of the sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LifeOf {
    /// The head.
    pub head: Handle<OneHead>,
    /// The step that writes.
    pub step: usize,
}

/// The lives of the writes of a step: one, but for rules that write several times.
#[derive(Clone, Debug, PartialEq)]
pub struct Lives {
    /// In the order in which the step writes; `None` for a write of nothing.
    pub writes: Vec<Option<WriteLife>>,
}

impl Ask for LifeOf {
    type Answer = Lives;

    fn title(&self) -> String {
        format!("following the write of step {}", self.step)
    }

    fn bytes(answer: &Lives) -> usize {
        answer.writes.iter().flatten().map(|write| write.life.shares.len() * 80).sum()
    }

    fn answer(&self, _progress: &Progress) -> Result<Lives, String> {
        Ok(Lives { writes: self.head.lives(self.step) })
    }
}

/// The fate of all writes of one head by role, over all sequences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FateOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
}

impl Ask for FateOf {
    type Answer = Fate;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("following every write of {} layer {} head {}", self.trace.name(), self.layer, self.head)
    }

    fn bytes(answer: &Fate) -> usize {
        answer.rows.len() * 4096
    }

    fn answer(&self, progress: &Progress) -> Result<Fate, String> {
        let trace = self.trace.trace();
        let truth = truth_of(&self.trace)?;
        let source = Part::new(Watched::of_reads(trace, progress, trace.n_batch()), self.layer, Some(self.head));
        fate(&source, &truth, &FateOptions::default()).map_err(said)
    }
}

/// What is known of staleness in a trace: its truth table if it can be read, else the likeness of keys.
pub(super) fn truth_of(open: &OpenTrace) -> Result<Truth, String> {
    let trace = open.trace();
    let examples = trace.labels::<Example>().map_err(said)?;
    Ok(Truth::of_labels(examples.as_deref(), trace.n_steps()))
}

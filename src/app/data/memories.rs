//! One memory at one step.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::measure::{StepMemories, singular_values, step_memories};
use crate::memory::Phase;

/// A memory in every phase of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoriesOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The sequence.
    pub sequence: usize,
    /// The step.
    pub step: usize,
}

impl Ask for MemoriesOf {
    type Answer = StepMemories;

    fn title(&self) -> String {
        format!("replaying the memory of step {}", self.step)
    }

    fn bytes(answer: &StepMemories) -> usize {
        answer.phases.iter().map(|memory| memory.len() * size_of::<f32>()).sum()
    }

    fn answer(&self, _progress: &Progress) -> Result<StepMemories, String> {
        step_memories(self.trace.trace(), self.layer, self.head, self.sequence, self.step).map_err(said)
    }
}

/// The singular values of a memory in a phase, largest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpectrumOf {
    /// Which memory.
    pub memory: MemoriesOf,
    /// In which phase.
    pub phase: Phase,
}

impl Ask for SpectrumOf {
    type Answer = Vec<f64>;

    fn title(&self) -> String {
        format!("singular values of step {}", self.memory.step)
    }

    fn bytes(answer: &Vec<f64>) -> usize {
        answer.len() * size_of::<f64>()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<f64>, String> {
        let memories = self.memory.answer(progress)?;
        let memory = memories.phase(self.phase).mapv(f64::from);
        if memory.iter().any(|value| !value.is_finite()) {
            return Err("the memory holds entries that are not finite".to_owned());
        }
        Ok(singular_values(&memory))
    }
}

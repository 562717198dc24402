//! What reads consist of: exact attention.

use crate::app::data::{Handle, said};
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{AttentionMatrix, Explained, OneHead, Part, ReadParts, StatisticsOptions, explained};

/// One read of one head, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The head.
    pub head: Handle<OneHead>,
    /// The step that reads.
    pub step: usize,
}

impl Ask for ReadOf {
    type Answer = ReadParts;

    fn title(&self) -> String {
        format!("taking the read of step {} apart", self.step)
    }

    fn bytes(answer: &ReadParts) -> usize {
        2 * answer.weights.len() * size_of::<f64>()
    }

    fn answer(&self, _progress: &Progress) -> Result<ReadParts, String> {
        self.head.parts(self.trace.trace(), self.step).map_err(said)
    }
}

/// The exact attention of all reads of one head of one sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatrixOf {
    /// The head.
    pub head: Handle<OneHead>,
}

impl Ask for MatrixOf {
    type Answer = AttentionMatrix;

    fn title(&self) -> String {
        format!("exact attention of {} reads", self.head.n_steps())
    }

    fn bytes(answer: &AttentionMatrix) -> usize {
        answer.weights.len() * size_of::<f32>() + answer.residuals.len() * size_of::<f64>()
    }

    fn answer(&self, _progress: &Progress) -> Result<AttentionMatrix, String> {
        Ok(self.head.attention())
    }
}

/// What exact and published maps explain of one head's outputs, over all sequences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExplainedOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
}

impl Ask for ExplainedOf {
    type Answer = Explained;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("holding attention maps to the outputs of layer {} head {}", self.layer, self.head)
    }

    fn bytes(answer: &Explained) -> usize {
        answer.heads.len() * 512
    }

    fn answer(&self, progress: &Progress) -> Result<Explained, String> {
        let trace = self.trace.trace();
        let source = Part::new(Watched::of_reads(trace, progress, trace.n_batch()), self.layer, Some(self.head));
        explained(&source, &StatisticsOptions::default()).map_err(said)
    }
}

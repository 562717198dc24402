//! What the sequences of a trace say.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::measure::SequenceText;

/// The text of a trace: all sequences, as far as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextOf {
    /// Of which trace.
    pub trace: OpenTrace,
}

impl Ask for TextOf {
    type Answer = SequenceText;

    fn title(&self) -> String {
        format!("reading the tokens of {}", self.trace.name())
    }

    fn bytes(answer: &SequenceText) -> usize {
        let words = answer.words.iter().flatten().map(|word| word.len() + size_of::<String>()).sum::<usize>();
        words + answer.examples.iter().flatten().map(|example| example.tokens.len() * 8 + example.writes.len() * 96).sum::<usize>()
    }

    fn answer(&self, _progress: &Progress) -> Result<SequenceText, String> {
        SequenceText::of_trace(self.trace.trace()).map_err(said)
    }
}

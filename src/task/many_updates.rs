//! Many updates of each key: how a memory copes when the same address is written again and again.
//!
//! `K V1 ... K V2 ... K V3 ... Q K` -> V3; all earlier values of the key are stale. The language is that of `stale_facts`.

use super::error::in_range;
use super::interleave::{Slot, interleave};
use super::symbols::{Event, Symbols};
use super::{Condition, Draw, Example, Generator, TaskError, Vocabulary};
use serde::{Deserialize, Serialize};

/// Parameters of the `many_updates` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManyUpdates {
    /// Tokens of a sequence (default 96).
    pub length: usize,
    /// Keys in the vocabulary (default 32).
    pub keys: usize,
    /// Values in the vocabulary (default 64).
    pub values: usize,
    /// Different filler words (default 8).
    pub filler_words: usize,
    /// Keys written in a sequence (default 4).
    pub pairs: usize,
    /// Fewest updates of a key after its first write (default 2).
    pub min_updates: usize,
    /// Most updates of a key after its first write (default 6).
    pub max_updates: usize,
    /// Questions at the end, about different keys (default 4).
    pub questions: usize,
    /// Questions in the middle (default 4).
    pub middle_questions: usize,
    /// Never-written values listed with each question (default 4).
    pub foils: usize,
}

impl Default for ManyUpdates {
    fn default() -> Self {
        Self {
            length: 96,
            keys: 32,
            values: 64,
            filler_words: 8,
            pairs: 4,
            min_updates: 2,
            max_updates: 6,
            questions: 4,
            middle_questions: 4,
            foils: 4,
        }
    }
}

impl ManyUpdates {
    fn check(&self) -> Result<(), TaskError> {
        in_range("filler_words", self.filler_words, 1, usize::MAX, "")?;
        in_range("pairs", self.pairs, 1, self.keys, "no more than there are keys")?;
        in_range("min_updates", self.min_updates, 0, self.max_updates, "no more than max_updates")?;
        in_range("questions", self.questions, 1, self.pairs, "each end question asks about another of the pairs")?;
        let writes = self.pairs * (1 + self.max_updates);
        in_range(
            "values",
            self.values,
            writes + self.foils,
            usize::MAX,
            "all values of a sequence differ, and the foils are never written",
        )?;
        let events = writes + self.questions + self.middle_questions;
        in_range("length", self.length, 2 * events, usize::MAX, "two tokens an event")
    }
}

/// The generator of checked parameters.
pub(super) struct Updates {
    spec: ManyUpdates,
    symbols: Symbols,
}

impl Updates {
    pub fn new(spec: ManyUpdates) -> Result<Self, TaskError> {
        spec.check()?;
        let symbols = Symbols::new(spec.filler_words, spec.keys, 1, spec.values);
        Ok(Self { spec, symbols })
    }
}

impl Generator for Updates {
    fn vocabulary(&self) -> &Vocabulary {
        &self.symbols.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let spec = &self.spec;
        let lengths: Vec<usize> = (0..spec.pairs).map(|_| 1 + draw.between(spec.min_updates, spec.max_updates)).collect();
        let keys = draw.distinct(spec.pairs, spec.keys);
        let writes = lengths.iter().sum::<usize>();
        let mut values = draw.distinct(writes + spec.foils, spec.values).into_iter();
        let mut last: Vec<usize> = (0..spec.pairs).collect();
        draw.shuffle(&mut last);
        last.truncate(spec.questions);
        let event = |slot| match slot {
            Slot::Step { history, .. } => Event::Write { key: keys[history], value: values.next().expect("a value for each write") },
            Slot::Ask { history, .. } => Event::Ask { key: keys[history], by_role: false },
        };
        let events: Vec<Event> = interleave(draw, &lengths, spec.middle_questions, last).into_iter().map(event).collect();
        let foils: Vec<usize> = values.collect();
        let padding = self.symbols.padding(draw, &vec![0; events.len()], spec.length);
        let condition = if lengths.iter().all(|&length| length == 1) { Condition::Plain } else { Condition::Overwrite };
        self.symbols.spell(condition, &events, &padding, &[], &foils)
    }
}

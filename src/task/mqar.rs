//! Multi-query associative recall (arXiv 2312.04927): pairs first, then questions about them; nothing goes stale.
//!
//! `K1 V1 K2 V2 ... Q K2 ... Q K1` -> V2, V1. The language is that of `stale_facts`.

use super::error::in_range;
use super::symbols::{Event, Symbols};
use super::{Condition, Draw, Example, Generator, TaskError, Vocabulary};
use serde::{Deserialize, Serialize};

/// Parameters of the `mqar` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqar {
    /// Tokens of a sequence (default 64).
    pub length: usize,
    /// Keys in the vocabulary (default 32).
    pub keys: usize,
    /// Values in the vocabulary (default 32).
    pub values: usize,
    /// Different filler words (default 8).
    pub filler_words: usize,
    /// Pairs in a sequence (default 8).
    pub pairs: usize,
    /// Questions, about different keys (default 8).
    pub questions: usize,
    /// Never-written values listed with each question (default 4).
    pub foils: usize,
}

impl Default for Mqar {
    fn default() -> Self {
        Self { length: 64, keys: 32, values: 32, filler_words: 8, pairs: 8, questions: 8, foils: 4 }
    }
}

impl Mqar {
    fn check(&self) -> Result<(), TaskError> {
        in_range("filler_words", self.filler_words, 1, usize::MAX, "")?;
        in_range("pairs", self.pairs, 1, self.keys, "no more than there are keys")?;
        in_range("questions", self.questions, 1, self.pairs, "each asks about another of the pairs")?;
        in_range("values", self.values, self.pairs + self.foils, usize::MAX, "all values differ, and the foils are never written")?;
        in_range("length", self.length, 2 * (self.pairs + self.questions), usize::MAX, "two tokens a pair and two a question")
    }
}

/// The generator of checked parameters.
pub(super) struct Recall {
    spec: Mqar,
    symbols: Symbols,
}

impl Recall {
    pub fn new(spec: Mqar) -> Result<Self, TaskError> {
        spec.check()?;
        let symbols = Symbols::new(spec.filler_words, spec.keys, 1, spec.values);
        Ok(Self { spec, symbols })
    }
}

impl Generator for Recall {
    fn vocabulary(&self) -> &Vocabulary {
        &self.symbols.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let spec = &self.spec;
        let keys = draw.distinct(spec.pairs, spec.keys);
        let values = draw.distinct(spec.pairs + spec.foils, spec.values);
        let mut events: Vec<Event> = keys.iter().zip(&values).map(|(&key, &value)| Event::Write { key, value }).collect();
        let asked = draw.distinct(spec.questions, spec.pairs);
        events.extend(asked.into_iter().map(|pair| Event::Ask { key: keys[pair], by_role: false }));
        let padding = self.symbols.padding(draw, &vec![0; events.len()], spec.length);
        self.symbols.spell(Condition::Plain, &events, &padding, &[], &values[spec.pairs..])
    }
}

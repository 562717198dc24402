//! Selective copying (arXiv 2312.00752): contents scattered among filler are to be repeated in order.
//!
//! `f v3 f f v9 f ... NEXT NEXT` -> v3 at the first `NEXT`, v9 at the second. Each content is a write without a key of its own (its
//! key is the token `NEXT`); nothing goes stale.

use super::error::in_range;
use super::{Condition, Draw, Example, Generator, Question, TaskError, TokenClass, Vocabulary, Write, WriteKind};
use serde::{Deserialize, Serialize};

/// Parameters of the `selective_copy` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectiveCopy {
    /// Tokens of a sequence (default 64).
    pub length: usize,
    /// Values in the vocabulary (default 32).
    pub values: usize,
    /// Different filler words (default 1).
    pub filler_words: usize,
    /// Contents to repeat (default 8).
    pub contents: usize,
    /// Never-written values listed with each question (default 4).
    pub foils: usize,
}

impl Default for SelectiveCopy {
    fn default() -> Self {
        Self { length: 64, values: 32, filler_words: 1, contents: 8, foils: 4 }
    }
}

impl SelectiveCopy {
    fn check(&self) -> Result<(), TaskError> {
        in_range("filler_words", self.filler_words, 1, usize::MAX, "")?;
        in_range("contents", self.contents, 1, usize::MAX, "")?;
        in_range("values", self.values, self.contents + self.foils, usize::MAX, "all contents differ, and the foils are never written")?;
        in_range("length", self.length, 2 * self.contents, usize::MAX, "each content stands once and is asked for once")
    }
}

/// The generator of checked parameters.
pub(super) struct Copy {
    spec: SelectiveCopy,
    vocabulary: Vocabulary,
    next: u32,
    filler: u32,
    value: u32,
}

impl Copy {
    pub fn new(spec: SelectiveCopy) -> Result<Self, TaskError> {
        spec.check()?;
        let mut vocabulary = Vocabulary::new();
        let next = vocabulary.add("NEXT", TokenClass::Marker);
        let filler = vocabulary.add_numbered("f", spec.filler_words, TokenClass::Filler);
        let value = vocabulary.add_numbered("v", spec.values, TokenClass::Value);
        Ok(Self { spec, vocabulary, next, filler, value })
    }
}

impl Generator for Copy {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let SelectiveCopy { length, values, filler_words, contents, foils } = self.spec;
        let drawn: Vec<u32> = draw.distinct(contents + foils, values).into_iter().map(|value| self.value + value as u32).collect();
        let mut places = draw.distinct(contents, length - contents);
        places.sort_unstable();
        let mut tokens: Vec<u32> = (0..length - contents).map(|_| self.filler + draw.below(filler_words) as u32).collect();
        tokens.extend(vec![self.next; contents]);
        let (mut writes, mut questions) = (vec![], vec![]);
        for (index, (&position, &value)) in places.iter().zip(&drawn).enumerate() {
            tokens[position] = value;
            let (id, asked_at) = (index as u32, length - contents + index);
            writes.push(Write {
                id,
                key_position: position,
                position,
                key: self.next,
                value,
                kind: WriteKind::Fresh,
                copied_from: None,
                superseded_at: None,
                superseded_by: None,
                deleted_at: None,
                later_writes: 0,
            });
            questions.push(Question {
                position: asked_at,
                key: self.next,
                gold: value,
                gold_write: Some(id),
                asked_write: Some(id),
                age: Some(asked_at - position),
                stale: vec![],
                stale_writes: vec![],
                rivals: vec![],
                foils: drawn[contents..].to_vec(),
            });
        }
        Example { tokens, writes, questions, condition: Condition::Plain }
    }
}

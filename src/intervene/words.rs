//! Steps, writes and answers by their words, for people to follow.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{InterveneError, Superseded};
use crate::task::{Example, Question, Vocabulary, Write};
use crate::trace::Trace;

/// What stands at a step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepWords {
    /// The step.
    pub step: usize,
    /// Its token, in words.
    pub token: String,
    /// The fact that is complete at this step, by the truth table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<FactWords>,
    /// The fact whose key stands at this step, its value to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_of: Option<FactWords>,
}

/// A fact of the truth table, seen from a later step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactWords {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Since when it is no longer true, if it ceased to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<usize>,
}

/// Words and truth of one sequence.
#[derive(Clone, Debug)]
pub struct SequenceWords {
    tokens: Vec<String>,
    words: BTreeMap<u32, String>,
    /// The truth table; `None` where the trace has none.
    pub example: Option<Example>,
}

impl SequenceWords {
    /// Of one sequence of a trace.
    pub fn of_trace(trace: &Trace, batch: usize) -> Result<Self, InterveneError> {
        let n_batch = trace.n_batch();
        if batch >= n_batch {
            let available = format!("sequences 0 to {}", n_batch.saturating_sub(1));
            return Err(InterveneError::OutOfRange { what: "sequence", index: batch, available });
        }
        let examples: Option<Vec<Example>> = trace.labels()?;
        let (ids, text) = (trace.tokens()?, trace.token_str()?);
        let mut words = BTreeMap::new();
        if let (Some(ids), Some(text)) = (&ids, &text) {
            words.extend(ids.iter().zip(text).filter(|(id, _)| **id >= 0).map(|(&id, word)| (id as u32, word.clone())));
        }
        let row = |text: &Array2<String>| text.row(batch).to_vec();
        let tokens = text.as_ref().map(row).or_else(|| Some(ids.as_ref()?.row(batch).iter().map(ToString::to_string).collect()));
        let tokens = tokens.unwrap_or_else(|| vec![String::new(); trace.n_steps()]);
        Ok(Self { tokens, words, example: examples.and_then(|mut examples| (batch < examples.len()).then(|| examples.swap_remove(batch))) })
    }

    /// The same with the words of a vocabulary, where the trace does not spell them.
    #[must_use]
    pub fn with_vocabulary(mut self, vocabulary: &Vocabulary) -> Self {
        for (token, word) in vocabulary.words().iter().enumerate() {
            self.words.entry(token as u32).or_insert_with(|| word.clone());
        }
        self
    }

    /// A token's word; its number if the trace never spells it.
    pub fn word(&self, token: u32) -> String {
        self.words.get(&token).cloned().unwrap_or_else(|| format!("token {token}"))
    }

    /// The words of some tokens: `a or b`.
    pub fn any_of(&self, tokens: &[u32]) -> String {
        tokens.iter().map(|&token| self.word(token)).collect::<Vec<_>>().join(" or ")
    }

    /// What stands at a step.
    pub fn step(&self, step: usize) -> StepWords {
        let find = |stands: &dyn Fn(&Write) -> bool| {
            let write = self.example.as_ref()?.writes.iter().find(|write| stands(write))?;
            Some(FactWords { key: self.word(write.key), value: self.word(write.value), stale_since: write.stale_at() })
        };
        StepWords {
            step,
            token: self.tokens.get(step).cloned().unwrap_or_default(),
            fact: find(&|write| write.position == step),
            key_of: find(&|write| write.key_position == step && write.position > step),
        }
    }

    /// Question `number` of the sequence.
    pub fn question(&self, number: usize) -> Result<&Question, InterveneError> {
        let example = self.example.as_ref().ok_or(InterveneError::NoTruth { needs: "a question" })?;
        example.questions.get(number).ok_or_else(|| {
            let available = match example.questions.len() {
                0 => "no question in this sequence".to_owned(),
                n => format!("questions 0 to {}", n - 1),
            };
            InterveneError::OutOfRange { what: "question", index: number, available }
        })
    }

    /// Which writes went stale and when.
    pub fn superseded(&self) -> Vec<Superseded> {
        self.example.as_ref().map(superseded).unwrap_or_default()
    }
}

/// Which writes of a sequence went stale and when, by its truth table.
pub fn superseded(example: &Example) -> Vec<Superseded> {
    example.writes.iter().filter_map(|write| Some(Superseded { write: write.position, from: write.stale_at()? })).collect()
}

impl std::fmt::Display for StepWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}", self.step)?;
        match (&self.fact, &self.key_of) {
            (Some(fact), _) => write!(f, " ({fact})"),
            (None, Some(fact)) => write!(f, " (the key of {fact})"),
            (None, None) if self.token.is_empty() => Ok(()),
            (None, None) => write!(f, " ('{}')", self.token),
        }
    }
}

impl std::fmt::Display for FactWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{} = {}'", self.key, self.value)?;
        self.stale_since.map_or(Ok(()), |since| write!(f, ", stale from step {since}"))
    }
}

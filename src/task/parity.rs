//! Parity: is the number of ones so far even or odd? The smallest task that needs a state and no memory of content.
//!
//! `1 0 1` -> `odd odd even`. No truth table of writes: nothing is stored at an address.

use super::error::in_range;
use super::{Condition, Draw, Example, Generator, Question, TaskError, TokenClass, Vocabulary};
use serde::{Deserialize, Serialize};

/// Parameters of the `parity` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parity {
    /// Tokens of a sequence (default 32).
    pub length: usize,
    /// A question at every so-manieth step (default 1: at each), and at the last.
    pub ask_every: usize,
}

impl Default for Parity {
    fn default() -> Self {
        Self { length: 32, ask_every: 1 }
    }
}

/// The generator of checked parameters.
pub(super) struct Bits {
    spec: Parity,
    vocabulary: Vocabulary,
}

impl Bits {
    pub fn new(spec: Parity) -> Result<Self, TaskError> {
        in_range("length", spec.length, 1, usize::MAX, "")?;
        in_range("ask_every", spec.ask_every, 1, usize::MAX, "")?;
        let mut vocabulary = Vocabulary::new();
        for word in ["0", "1", "even", "odd"] {
            vocabulary.add(word, TokenClass::Value);
        }
        Ok(Self { spec, vocabulary })
    }
}

impl Generator for Bits {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let tokens: Vec<u32> = (0..self.spec.length).map(|_| draw.below(2) as u32).collect();
        let mut parity = 0;
        let states: Vec<u32> = tokens
            .iter()
            .map(|bit| {
                parity ^= bit;
                2 + parity
            })
            .collect();
        Example { questions: ask_states(&tokens, &states, self.spec.ask_every), tokens, writes: vec![], condition: Condition::Plain }
    }
}

/// Questions of a state-tracking task: at every `every`-th step and at the last one, what is the state after that step?
pub(super) fn ask_states(tokens: &[u32], states: &[u32], every: usize) -> Vec<Question> {
    let asked = |step: &usize| (step + 1).is_multiple_of(every) || step + 1 == tokens.len();
    let question = |step: usize| Question {
        position: step,
        key: tokens[step],
        gold: states[step],
        gold_write: None,
        asked_write: None,
        age: None,
        stale: vec![],
        stale_writes: vec![],
        rivals: vec![],
        foils: vec![],
    };
    (0..tokens.len()).filter(asked).map(question).collect()
}

//! What is selected: one place, shared by all panels.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::open_trace::OpenTrace;

/// The one selection of the window. Everything is 0-based; steps and sequences are those of the selected trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Which of the open traces.
    pub trace: usize,
    /// Which of its sequences.
    pub sequence: usize,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head of the layer.
    pub head: usize,
    /// The step that is looked at.
    pub step: usize,
    /// Steps picked by a brush, in any sequence.
    pub steps: StepSet,
    /// The step of the write whose fate is followed.
    pub write: Option<usize>,
}

/// A token: a step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "(u32, u32)", from = "(u32, u32)")]
pub struct Token {
    /// The sequence.
    pub sequence: u32,
    /// The step.
    pub step: u32,
}

impl Token {
    /// A step of a sequence.
    pub const fn new(sequence: usize, step: usize) -> Self {
        Self { sequence: sequence as u32, step: step as u32 }
    }
}

impl From<(u32, u32)> for Token {
    fn from((sequence, step): (u32, u32)) -> Self {
        Self { sequence, step }
    }
}

impl From<Token> for (u32, u32) {
    fn from(token: Token) -> Self {
        (token.sequence, token.step)
    }
}

/// A set of tokens, cheap to clone: undo keeps many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Token>", from = "Vec<Token>")]
pub struct StepSet(Arc<BTreeSet<Token>>);

impl From<StepSet> for Vec<Token> {
    fn from(steps: StepSet) -> Self {
        steps.tokens().collect()
    }
}

impl From<Vec<Token>> for StepSet {
    fn from(tokens: Vec<Token>) -> Self {
        tokens.into_iter().collect()
    }
}

impl StepSet {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a token is in it.
    pub fn contains(&self, sequence: usize, step: usize) -> bool {
        self.0.contains(&Token::new(sequence, step))
    }

    /// Whether it is the very same set, not only an equal one: what was drawn of it can be kept.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Its tokens, by sequence, then step.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.0.iter().copied()
    }

    /// Its steps of one sequence, in order.
    pub fn of_sequence(&self, sequence: usize) -> impl Iterator<Item = usize> + '_ {
        self.0.range(Token::new(sequence, 0)..Token::new(sequence + 1, 0)).map(|token| token.step as usize)
    }

    /// What is in either.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        self.0.union(&other.0).copied().collect()
    }

    /// What of a trace's tokens is not in it.
    #[must_use]
    pub fn inverted(&self, n_sequences: usize, n_steps: usize) -> Self {
        let all = (0..n_sequences).flat_map(|sequence| (0..n_steps).map(move |step| Token::new(sequence, step)));
        all.filter(|token| !self.0.contains(token)).collect()
    }
}

impl FromIterator<Token> for StepSet {
    fn from_iter<I: IntoIterator<Item = Token>>(tokens: I) -> Self {
        Self(Arc::new(tokens.into_iter().collect()))
    }
}

impl Selection {
    /// The nearest selection that the open traces have.
    #[must_use]
    pub fn within(mut self, traces: &[OpenTrace]) -> Self {
        self.trace = self.trace.min(traces.len().saturating_sub(1));
        let Some(open) = traces.get(self.trace) else { return Self::default() };
        let trace = open.trace();
        let layers = trace.layers();
        let layer = layers.iter().find(|layer| layer.index == self.layer).or(layers.first());
        self.layer = layer.map_or(0, |layer| layer.index);
        self.head = self.head.min(layer.map_or(0, |layer| layer.dims.head.saturating_sub(1)));
        self.sequence = self.sequence.min(trace.n_batch().saturating_sub(1));
        let last = trace.n_steps().saturating_sub(1);
        self.step = self.step.min(last);
        self.write = self.write.filter(|&write| write <= last);
        let inside = |token: &Token| (token.sequence as usize) < trace.n_batch() && token.step as usize <= last;
        if !self.steps.0.iter().all(inside) {
            self.steps = self.steps.tokens().filter(inside).collect();
        }
        self
    }
}

//! A sequence read step by step under interventions, with a branch wherever one is wanted.

use super::NetworkError;
use super::run::{Intervened, Path};
use crate::intervene::{Intervention, Row, Superseded};
use crate::memory::Shared4;
use crate::model::{LanguageModel, State, token_tensor};
use crate::record::log_softmax;

/// One sequence under way. Cloning it is a branch: what was read so far is shared history, what comes may differ.
///
/// Interventions that reach back to a write of an earlier call (retract, forget, the address of a superseded key) need that write in
/// the same call of [`LiveReplay::advance`].
#[derive(Clone)]
pub struct LiveReplay<'m> {
    pub(super) model: &'m LanguageModel,
    pub(super) state: State,
    /// What is changed from the next step on, in this order.
    pub interventions: Vec<Intervention>,
    /// The sequence's number, for random streams.
    pub sequence: u64,
    /// Seed of random addresses and exchanges.
    pub seed: u64,
    /// Which writes went stale and when.
    pub superseded: Vec<Superseded>,
}

impl<'m> LiveReplay<'m> {
    /// Before the first token, without interventions.
    pub fn new(model: &'m LanguageModel) -> Self {
        Self { model, state: model.state(), interventions: Vec::new(), sequence: 0, seed: 0, superseded: Vec::new() }
    }

    /// Steps read so far.
    pub const fn position(&self) -> usize {
        self.state.position()
    }

    /// The memory of a layer after the last step, [1, head, d_k, d_v]; `None` for full attention, and before the first step.
    pub fn memory(&self, layer: usize) -> Option<&Shared4<f32>> {
        self.state.memory(layer)
    }

    /// Reads tokens; gives the log-probabilities of every token of the vocabulary after each, \[step\]\[token\].
    pub fn advance(&mut self, tokens: &[u32]) -> Result<Vec<Vec<f64>>, NetworkError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let row = Row { interventions: &self.interventions, sequence: self.sequence, superseded: &self.superseded };
        let mut changed = Intervened::new(vec![(row, Path::Total)], self.seed);
        let hidden = self.model.hidden(&token_tensor(&[tokens.to_vec()])?, Some(&mut self.state), &mut changed)?;
        let logits = self.model.logits(&hidden)?.to_vec2::<f32>()?;
        Ok(logits.iter().map(|logits| log_softmax(logits)).collect())
    }
}

//! What a model remembers between calls: prefill in blocks, decode token by token.

use candle_core::Tensor;

use crate::memory::Shared4;

use super::{Config, MixerKind};

/// The tokens a model has read, as its layers remember them. Start with an empty one ([`State::new`]) and hand it to every call;
/// no gradient flows through it.
#[derive(Clone, Debug)]
pub struct State {
    /// Steps read so far.
    pub(super) position: usize,
    /// Sequences; `None` before the first call.
    pub(super) batch: Option<usize>,
    pub(super) layers: Vec<LayerState>,
}

impl State {
    /// Nothing read yet.
    pub fn new(config: &Config) -> Self {
        let layer = |layer| match config.mixer(layer) {
            MixerKind::Attention => LayerState::Attention(AttentionState::default()),
            _ => LayerState::Delta(DeltaState::default()),
        };
        Self { position: 0, batch: None, layers: (0..config.n_layers).map(layer).collect() }
    }

    /// Steps read so far.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// The memory of a layer after the last step, [batch, head, d_k, d_v]; `None` for full attention, and before the first step.
    pub fn memory(&self, layer: usize) -> Option<&Shared4<f32>> {
        match self.layers.get(layer)? {
            LayerState::Delta(state) => state.memory.as_ref(),
            LayerState::Attention(_) => None,
        }
    }
}

/// What one layer remembers.
#[derive(Clone, Debug)]
pub(super) enum LayerState {
    Delta(DeltaState),
    Attention(AttentionState),
}

/// A memory matrix per head, and the last inputs of the short convolutions.
#[derive(Clone, Debug, Default)]
pub(super) struct DeltaState {
    /// [batch, head, d_k, d_v]; `None` is zero.
    pub memory: Option<Shared4<f32>>,
    /// Of query, key, value: [batch, width - 1, channels]; `None` is zero.
    pub convolutions: [Option<Vec<f32>>; 3],
}

/// Every key and value read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct AttentionState {
    /// Keys and values, each [batch, key_head, step, head_dim].
    pub cache: Option<(Tensor, Tensor)>,
}

//! What a model is made of, as a user writes it (JSON or TOML).
//!
//! A model is a stack of layers whose mixers repeat a `pattern` (arXiv 2606.26560: three linear-attention layers, then one of
//! full attention), each followed by a feed-forward network.

use serde::{Deserialize, Serialize};

use crate::memory::Rule;

use super::ModelError;

/// A model. Field by field: name, meaning, default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of token ids (in a training spec it may be left out: the words of the tasks).
    #[serde(default)]
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Mixers of the layers, repeated until there are `n_layers`.
    pub pattern: Vec<MixerKind>,
    /// The linear-attention layers; needed if `pattern` has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<DeltaConfig>,
    /// The full-attention layers; needed if `pattern` has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionConfig>,
    /// What follows every mixer.
    pub feed_forward: FeedForwardConfig,
    /// Added to the mean square in every RMSNorm (default 1e-6).
    #[serde(default = "norm_epsilon")]
    pub norm_epsilon: f64,
    /// Whether the unembedding is the embedding (default no).
    #[serde(default)]
    pub tied_embeddings: bool,
}

/// How a layer mixes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MixerKind {
    /// Erase-then-Delta Attention (arXiv 2606.26560).
    Eda,
    /// Kimi Delta Attention (arXiv 2510.26692).
    Kda,
    /// Gated DeltaNet (arXiv 2412.06464).
    Gdn,
    /// Gated DeltaNet-2 (arXiv 2605.22791).
    Gdn2,
    /// DeltaNet (arXiv 2406.06484).
    Deltanet,
    /// Full softmax attention with an output gate.
    Attention,
}

impl MixerKind {
    /// The rule of its memory; `None` for full attention, which has no memory matrix.
    pub const fn rule(self) -> Option<Rule> {
        match self {
            Self::Eda => Some(Rule::Eda),
            Self::Kda => Some(Rule::Kda),
            Self::Gdn => Some(Rule::Gdn),
            Self::Gdn2 => Some(Rule::Gdn2),
            Self::Deltanet => Some(Rule::DeltaNet),
            Self::Attention => None,
        }
    }
}

/// Sizes and gates of the linear-attention layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaConfig {
    /// Heads with a query, a write direction and an erase direction of their own.
    pub key_heads: usize,
    /// Heads with a memory of their own; a multiple of `key_heads`.
    pub heads: usize,
    /// Key channels of a head.
    pub d_k: usize,
    /// Value channels of a head.
    pub d_v: usize,
    /// Taps of the causal short convolution (default 4).
    #[serde(default = "convolution_width")]
    pub convolution_width: usize,
    /// Rank per head of the low-rank projections: erase direction per key head, decay per head (default 16).
    #[serde(default = "rank_per_head")]
    pub rank_per_head: usize,
    /// Decay gate; `None` is the rule's own: safe for EDA, `kda_sigmoid` for KDA, log for GDN and GDN-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_gate: Option<DecayGate>,
    /// Whether `A_log` of EDA and KDA is per channel or per head (default per channel; published checkpoints have either).
    #[serde(default)]
    pub decay_rate: DecayRate,
    /// Bias of the erase strength at the start: sigmoid(-3) = 0.047 (default -3).
    #[serde(default = "erase_strength_bias")]
    pub erase_strength_bias: f64,
}

impl DeltaConfig {
    /// The decay gate of a rule.
    pub fn decay_gate(&self, rule: Rule) -> DecayGate {
        self.decay_gate.unwrap_or(match rule {
            Rule::Eda => DecayGate::Safe { lower: gate_lower() },
            Rule::Kda => DecayGate::KdaSigmoid { lower: gate_lower() },
            _ => DecayGate::Log {},
        })
    }
}

/// How the log decay `g` follows from its pre-activation `u` (arXiv 2606.26560), with Delta = softplus(u).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DecayGate {
    /// g = -A Delta (Mamba-2, GDN).
    Log {},
    /// g = lower * sigmoid(A u) (KDA).
    KdaSigmoid {
        /// The strongest decay, below 0 (default -5).
        #[serde(default = "gate_lower")]
        lower: f64,
    },
    /// g = lower + |lower| exp(-(A / |lower|) Delta) (EDA).
    Safe {
        /// The strongest decay, below 0 (default -5).
        #[serde(default = "gate_lower")]
        lower: f64,
    },
}

/// How many rates `A` a layer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayRate {
    /// One per key channel of every head.
    #[default]
    PerChannel,
    /// One per head.
    PerHead,
}

/// Sizes of the full-attention layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; `heads` is a multiple.
    pub key_heads: usize,
    /// Channels of a head, even.
    pub head_dim: usize,
    /// Base of the rotary frequencies (default 10 000).
    #[serde(default = "rotary_base")]
    pub rotary_base: f64,
    /// Share of the channels that rotate, in [0, 1] (default 1).
    #[serde(default = "rotary_fraction")]
    pub rotary_fraction: f64,
}

/// What follows a mixer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedForwardConfig {
    /// Nothing: the layer is its mixer.
    None {},
    /// SwiGLU.
    Swiglu {
        /// Hidden width.
        width: usize,
    },
    /// Mixture of SwiGLU experts, plus one shared expert behind a gate.
    Moe {
        /// Routed experts.
        experts: usize,
        /// Experts a token visits.
        top_k: usize,
        /// Hidden width of a routed expert.
        expert_width: usize,
        /// Hidden width of the shared expert.
        shared_width: usize,
    },
}

impl Config {
    /// The mixer of a layer.
    pub fn mixer(&self, layer: usize) -> MixerKind {
        self.pattern[layer % self.pattern.len()]
    }

    /// The rule of every layer that has a memory, by layer.
    pub fn rules(&self) -> Vec<(usize, Rule)> {
        (0..self.n_layers).filter_map(|layer| Some((layer, self.mixer(layer).rule()?))).collect()
    }

    /// Says what cannot be built and what to change.
    pub fn check(&self) -> Result<(), ModelError> {
        let fail = |what: String| Err(ModelError::Config(what));
        for (name, size) in
            [("vocabulary", self.vocabulary), ("d_model", self.d_model), ("n_layers", self.n_layers), ("pattern", self.pattern.len())]
        {
            if size == 0 {
                return fail(format!("{name} must not be empty"));
            }
        }
        if self.norm_epsilon.is_nan() || self.norm_epsilon <= 0.0 {
            return fail(format!("norm_epsilon is {}, must be above 0", self.norm_epsilon));
        }
        let used = |mixer: &dyn Fn(MixerKind) -> bool| (0..self.n_layers).any(|layer| mixer(self.mixer(layer)));
        match &self.delta {
            None if used(&|mixer| mixer.rule().is_some()) => {
                return fail("the pattern has linear-attention layers, so [delta] is needed".to_owned());
            }
            None => {}
            Some(delta) => delta.check()?,
        }
        match &self.attention {
            None if used(&|mixer| mixer == MixerKind::Attention) => {
                return fail("the pattern has full-attention layers, so [attention] is needed".to_owned());
            }
            None => {}
            Some(attention) => attention.check()?,
        }
        match self.feed_forward {
            FeedForwardConfig::Swiglu { width: 0 }
            | FeedForwardConfig::Moe { expert_width: 0, .. }
            | FeedForwardConfig::Moe { shared_width: 0, .. } => fail("widths of feed_forward must be above 0".to_owned()),
            FeedForwardConfig::Moe { experts, top_k, .. } if top_k == 0 || top_k > experts => {
                fail(format!("top_k is {top_k}, must be from 1 to the number of experts, {experts}"))
            }
            _ => Ok(()),
        }
    }
}

impl DeltaConfig {
    fn check(&self) -> Result<(), ModelError> {
        let fail = |what: String| Err(ModelError::Config(what));
        for (name, size) in [
            ("key_heads", self.key_heads),
            ("heads", self.heads),
            ("d_k", self.d_k),
            ("d_v", self.d_v),
            ("convolution_width", self.convolution_width),
            ("rank_per_head", self.rank_per_head),
        ] {
            if size == 0 {
                return fail(format!("delta.{name} must be above 0"));
            }
        }
        if !self.heads.is_multiple_of(self.key_heads) {
            return fail(format!("delta.heads is {}, must be a multiple of delta.key_heads, {}", self.heads, self.key_heads));
        }
        match self.decay_gate {
            Some(DecayGate::KdaSigmoid { lower } | DecayGate::Safe { lower }) if !(lower.is_finite() && lower < 0.0) => {
                fail(format!("delta.decay_gate.lower is {lower}, must be below 0"))
            }
            _ => Ok(()),
        }
    }
}

impl AttentionConfig {
    fn check(&self) -> Result<(), ModelError> {
        let fail = |what: String| Err(ModelError::Config(what));
        if self.key_heads == 0 || self.heads == 0 || !self.heads.is_multiple_of(self.key_heads) {
            return fail(format!("attention.heads is {}, must be a multiple of attention.key_heads, {}", self.heads, self.key_heads));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return fail(format!("attention.head_dim is {}, must be even and above 0", self.head_dim));
        }
        if !(0.0..=1.0).contains(&self.rotary_fraction) || self.rotary_base.is_nan() || self.rotary_base <= 1.0 {
            return fail("attention.rotary_fraction must be from 0 to 1 and attention.rotary_base above 1".to_owned());
        }
        Ok(())
    }
}

const fn norm_epsilon() -> f64 {
    1e-6
}

const fn convolution_width() -> usize {
    4
}

const fn rank_per_head() -> usize {
    16
}

const fn erase_strength_bias() -> f64 {
    -3.0
}

const fn gate_lower() -> f64 {
    -5.0
}

const fn rotary_base() -> f64 {
    10_000.0
}

const fn rotary_fraction() -> f64 {
    1.0
}

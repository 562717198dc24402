//! Models by name: those of the paper (arXiv 2606.26560, sizes only: their weights are not public).

use super::{AttentionConfig, Config, DecayRate, DeltaConfig, FeedForwardConfig, MixerKind, ModelError, parameters::ParameterCount};

/// A model by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name on the command line.
    pub name: &'static str,
    /// One sentence for a list.
    pub summary: &'static str,
    mixer: MixerKind,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Dense,
    Mixture,
}

/// Every preset.
pub const PRESETS: [Preset; 7] = [
    Preset { name: "eda-2.5b", summary: "EDA hybrid, dense", mixer: MixerKind::Eda, scale: Scale::Dense },
    Preset { name: "kda-2.5b", summary: "KDA hybrid, dense", mixer: MixerKind::Kda, scale: Scale::Dense },
    Preset { name: "gdn-2.5b", summary: "GDN hybrid, dense", mixer: MixerKind::Gdn, scale: Scale::Dense },
    Preset { name: "gdn2-2.5b", summary: "GDN-2 hybrid, dense", mixer: MixerKind::Gdn2, scale: Scale::Dense },
    Preset { name: "eda-25b-a2.8b", summary: "EDA hybrid, mixture of experts", mixer: MixerKind::Eda, scale: Scale::Mixture },
    Preset { name: "kda-25b-a2.8b", summary: "KDA hybrid, mixture of experts", mixer: MixerKind::Kda, scale: Scale::Mixture },
    Preset { name: "gdn-25b-a2.8b", summary: "GDN hybrid, mixture of experts", mixer: MixerKind::Gdn, scale: Scale::Mixture },
];

impl Preset {
    /// The preset of a name.
    pub fn find(name: &str) -> Result<Self, ModelError> {
        let known = || PRESETS.map(|preset| preset.name).join(", ");
        PRESETS
            .into_iter()
            .find(|preset| preset.name == name)
            .ok_or_else(|| ModelError::UnknownPreset { name: name.to_owned(), known: known() })
    }

    /// Its configuration.
    pub fn config(self) -> Config {
        let (n_layers, attention_heads, key_heads, feed_forward) = match self.scale {
            Scale::Dense => (24, 8, 8, FeedForwardConfig::Swiglu { width: 7424 }),
            Scale::Mixture => (28, 16, 16, FeedForwardConfig::Moe { experts: 256, top_k: 8, expert_width: 512, shared_width: 512 }),
        };
        Config {
            vocabulary: 248_320,
            d_model: 2048,
            n_layers,
            pattern: vec![self.mixer, self.mixer, self.mixer, MixerKind::Attention],
            delta: Some(DeltaConfig {
                key_heads,
                heads: 2 * key_heads,
                d_k: 128,
                d_v: 128,
                convolution_width: 4,
                rank_per_head: 16,
                decay_gate: None,
                decay_rate: DecayRate::PerChannel,
                erase_strength_bias: -3.0,
            }),
            attention: Some(AttentionConfig {
                heads: attention_heads,
                key_heads: 2,
                head_dim: 256,
                rotary_base: 10_000.0,
                rotary_fraction: 1.0,
            }),
            feed_forward,
            norm_epsilon: 1e-6,
            tied_embeddings: false,
        }
    }
}

/// How many parameters a preset has.
pub fn params(preset: &str) -> Result<ParameterCount, ModelError> {
    Preset::find(preset)?.config().count()
}

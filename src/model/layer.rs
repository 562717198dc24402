//! One layer: a mixer and a feed-forward network, each behind a norm and added to the residual stream.

use candle_core::Tensor;

use super::{
    Config, FeedForwardConfig, ModelError, Observer,
    attention::Attention,
    delta_mixer::{DeltaMixer, Place},
    feed_forward::SwiGlu,
    graph,
    language_model::Extent,
    moe::{MixtureOfExperts, MixtureSizes},
    norm::RmsNorm,
    parameters::Scope,
    state::LayerState,
};

/// x + mixer(norm x), then x + feed_forward(norm x).
#[derive(Clone, Debug)]
pub struct Layer {
    number: usize,
    mixer_norm: RmsNorm,
    mixer: Mixer,
    feed_forward: Option<(RmsNorm, FeedForward)>,
}

#[derive(Clone, Debug)]
enum Mixer {
    Delta(Box<DeltaMixer>),
    Attention(Box<Attention>),
}

#[derive(Clone, Debug)]
enum FeedForward {
    SwiGlu(SwiGlu),
    Mixture(MixtureOfExperts),
}

impl Layer {
    /// Layer `number` of a model.
    pub fn new(scope: &mut Scope<'_>, config: &Config, number: usize) -> Result<Self, ModelError> {
        let needs = |part: &str| ModelError::Config(format!("layer {number} needs [{part}]"));
        let norm = |scope: &mut Scope<'_>| RmsNorm::new(scope, config.d_model, config.norm_epsilon);
        let scale = config.residual_scale();
        Ok(Self {
            number,
            mixer_norm: norm(&mut scope.at("mixer_norm"))?,
            mixer: match config.mixer(number).rule() {
                Some(rule) => Mixer::Delta(Box::new(DeltaMixer::new(
                    &mut scope.at("mixer"),
                    config,
                    config.delta.as_ref().ok_or_else(|| needs("delta"))?,
                    rule,
                )?)),
                None => Mixer::Attention(Box::new(Attention::new(
                    &mut scope.at("mixer"),
                    config,
                    config.attention.as_ref().ok_or_else(|| needs("attention"))?,
                )?)),
            },
            feed_forward: match config.feed_forward {
                FeedForwardConfig::None {} => None,
                FeedForwardConfig::Swiglu { width } => {
                    let norm = norm(&mut scope.at("feed_forward_norm"))?;
                    Some((norm, FeedForward::SwiGlu(SwiGlu::new(&mut scope.at("feed_forward"), config.d_model, width, scale)?)))
                }
                FeedForwardConfig::Moe { experts, top_k, expert_width, shared_width } => {
                    let norm = norm(&mut scope.at("feed_forward_norm"))?;
                    let sizes = MixtureSizes { experts, top_k, expert_width, shared_width };
                    Some((norm, FeedForward::Mixture(MixtureOfExperts::new(&mut scope.at("feed_forward"), config.d_model, sizes, scale)?)))
                }
            },
        })
    }

    /// [batch * step, d_model] to the same.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        extent: Extent,
        position: usize,
        state: Option<&mut LayerState>,
        observer: &mut dyn Observer,
    ) -> Result<Tensor, ModelError> {
        let normed = self.mixer_norm.forward(x)?;
        let mixed = match (&self.mixer, state) {
            (Mixer::Delta(mixer), None) => mixer.forward(&normed, extent, Place { layer: self.number, position }, None, observer)?,
            (Mixer::Delta(mixer), Some(LayerState::Delta(state))) => {
                mixer.forward(&normed, extent, Place { layer: self.number, position }, Some(state), observer)?
            }
            (Mixer::Attention(mixer), None) => mixer.forward(&normed, extent, position, None)?,
            (Mixer::Attention(mixer), Some(LayerState::Attention(state))) => mixer.forward(&normed, extent, position, Some(state))?,
            _ => {
                return Err(ModelError::Config(format!(
                    "the state's layer {} is of another kind: it belongs to another model",
                    self.number
                )));
            }
        };
        let x = graph::add(x, &mixed)?;
        Ok(match &self.feed_forward {
            None => x,
            Some((norm, FeedForward::SwiGlu(network))) => graph::add(&x, &network.forward(&norm.forward(&x)?)?)?,
            Some((norm, FeedForward::Mixture(network))) => graph::add(&x, &network.forward(&norm.forward(&x)?)?)?,
        })
    }
}

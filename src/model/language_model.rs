//! The language model: embedding, layers, norm, unembedding.

use std::collections::BTreeMap;

use candle_core::{DType, Device, DeviceLocation, Tensor, backprop::GradStore};

use super::{
    Config, FeedForwardConfig, ModelError, Observer, State, graph,
    layer::Layer,
    linear::Linear,
    norm::RmsNorm,
    parameters::{Initial, NamedSource, ParameterCount, ParameterSource, Request, Scope, SeededSource, ShapeSource, Weights},
    rows::rows_of,
};

/// A hybrid language model whose memories can be watched (arXiv 2606.26560).
#[derive(Clone, Debug)]
pub struct LanguageModel {
    config: Config,
    parameters: BTreeMap<String, Tensor>,
    embedding: Tensor, // [vocabulary, d_model]
    layers: Vec<Layer>,
    norm: RmsNorm,
    unembedding: Option<Linear>,
}

/// How many rows of the residual stream belong to which sequence and step: row `batch * step + t`.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Sequences.
    pub batch: usize,
    /// Steps of each.
    pub step: usize,
}

impl Extent {
    /// Rows of the residual stream.
    pub const fn rows(self) -> usize {
        self.batch * self.step
    }
}

impl LanguageModel {
    /// A fresh trainable model, and its parameters by name. Same seed, same bits.
    pub fn new(config: Config, seed: u64) -> Result<(Self, Weights), ModelError> {
        Self::new_on(config, seed, &Device::Cpu)
    }

    /// The same on a device; its bits do not depend on which.
    pub fn new_on(config: Config, seed: u64, device: &Device) -> Result<(Self, Weights), ModelError> {
        let mut source = SeededSource::new(seed, device);
        let model = Self::from_source(config, &mut source)?;
        Ok((model, source.into_weights()))
    }

    /// A model of existing parameters: every one must be used. If they belong to trainable variables, gradients flow.
    pub fn from_parameters(config: Config, parameters: BTreeMap<String, Tensor>) -> Result<Self, ModelError> {
        let mut source = NamedSource::new(parameters);
        let model = Self::from_source(config, &mut source)?;
        source.finish()?;
        Ok(model)
    }

    /// The same model on a device, without gradients.
    pub fn to_device(&self, device: &Device) -> Result<Self, ModelError> {
        let moved = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.detach().to_device(device)?));
        Self::from_parameters(self.config.clone(), self.parameters.iter().map(moved).collect::<Result<_, ModelError>>()?)
    }

    /// Where its parameters lie.
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// The same as people write it: `cpu` or `cuda:N`.
    pub fn place(&self) -> String {
        match self.device().location() {
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            _ => "cpu".to_owned(),
        }
    }

    /// The same model with the same storage, outside the reach of gradients: evaluation without a graph. It follows the
    /// training of the original.
    pub fn frozen(&self) -> Result<Self, ModelError> {
        Self::from_parameters(self.config.clone(), self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect())
    }

    /// The one constructor.
    fn from_source(config: Config, source: &mut dyn ParameterSource) -> Result<Self, ModelError> {
        config.check()?;
        let mut source = Keep { inner: source, parameters: BTreeMap::new() };
        let mut root = Scope::root(&mut source);
        let deviation = 1.0 / (config.d_model as f64).sqrt();
        let embedding = root.at("embedding").take("weight", &[config.vocabulary, config.d_model], Initial::Spread(deviation))?;
        let layers = (0..config.n_layers)
            .map(|number| Layer::new(&mut root.at(format_args!("layers.{number}")), &config, number))
            .collect::<Result<_, _>>()?;
        let norm = RmsNorm::new(&mut root.at("norm"), config.d_model, config.norm_epsilon)?;
        let unembedding = if config.tied_embeddings {
            None
        } else {
            Some(Linear::new(&mut root.at("unembedding"), config.d_model, config.vocabulary, 1.0)?)
        };
        let parameters = source.parameters;
        Ok(Self { config, parameters, embedding, layers, norm, unembedding })
    }

    /// What the model is made of.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Every parameter by its name in checkpoints.
    pub const fn parameters(&self) -> &BTreeMap<String, Tensor> {
        &self.parameters
    }

    /// A state that has read nothing.
    pub fn state(&self) -> State {
        State::new(&self.config)
    }

    /// Logits [batch, step, vocabulary] of tokens [batch, step] (u32, on any device).
    ///
    /// With a state the tokens follow those it has read; then, and in observed layers, no gradient flows through memories.
    pub fn forward(&self, tokens: &Tensor, state: Option<&mut State>, observer: &mut dyn Observer) -> Result<Tensor, ModelError> {
        let (batch, step) = extent(tokens).map(|extent| (extent.batch, extent.step))?;
        let rows = self.hidden(tokens, state, observer)?;
        Ok(self.logits(&rows)?.reshape((batch, step, self.config.vocabulary))?)
    }

    /// The last norm's output [batch * step, d_model]: what [`LanguageModel::logits`] takes. Select rows in between to read logits
    /// of some steps only.
    pub fn hidden(&self, tokens: &Tensor, state: Option<&mut State>, observer: &mut dyn Observer) -> Result<Tensor, ModelError> {
        let extent = extent(tokens)?;
        let ids = tokens.to_dtype(DType::U32)?.flatten_all()?.to_vec1::<u32>()?;
        if let Some(&token) = ids.iter().find(|&&token| token as usize >= self.config.vocabulary) {
            return Err(ModelError::Token { token, vocabulary: self.config.vocabulary });
        }
        let (position, mut states) = match state {
            None => (0, None),
            Some(state) => {
                if state.layers.len() != self.layers.len() {
                    return Err(ModelError::Config(format!(
                        "the state has {} layers, the model {}",
                        state.layers.len(),
                        self.layers.len()
                    )));
                }
                let batch = *state.batch.get_or_insert(extent.batch);
                if batch != extent.batch {
                    return Err(ModelError::TokenShape {
                        found: tokens.dims().to_vec(),
                        wanted: format!("[{batch}, step], as the state has read {batch} sequences"),
                    });
                }
                let position = state.position;
                state.position += extent.step;
                (position, Some(&mut state.layers))
            }
        };
        let mut x = rows_of(&self.embedding, &ids)?;
        for (number, layer) in self.layers.iter().enumerate() {
            let state = states.as_mut().map(|states| &mut states[number]);
            x = layer.forward(&x, extent, position, state, observer)?;
        }
        self.norm.forward(&x)
    }

    /// A number that `run` computes with this model, and its gradients with respect to `weights`, the model's own variables.
    ///
    /// On a card without candle's graph, which takes a third of the time there (experts excepted).
    pub fn differentiate<E: From<candle_core::Error> + From<ModelError>>(
        &self,
        weights: &Weights,
        run: impl FnOnce(&Self) -> Result<Tensor, E>,
    ) -> Result<(Tensor, GradStore), E> {
        if self.device().is_cpu() || matches!(self.config.feed_forward, FeedForwardConfig::Moe { .. }) {
            let number = run(self)?;
            let gradients = number.backward()?;
            return Ok((number, gradients));
        }
        self.differentiate_recorded(weights, run)
    }

    /// The same, always without candle's graph.
    #[doc(hidden)]
    pub fn differentiate_recorded<E: From<candle_core::Error> + From<ModelError>>(
        &self,
        weights: &Weights,
        run: impl FnOnce(&Self) -> Result<Tensor, E>,
    ) -> Result<(Tensor, GradStore), E> {
        let frozen = self.frozen()?;
        let (number, mut found) = graph::differentiate(|| run(&frozen))?;
        let mut gradients = GradStore::default();
        for (name, var) in weights {
            if let Some(gradient) = frozen.parameters.get(name).and_then(|tensor| found.remove(tensor)) {
                gradients.insert(var.as_tensor(), gradient);
            }
        }
        Ok((number, gradients))
    }

    /// Logits [rows, vocabulary] of rows of [`LanguageModel::hidden`].
    pub fn logits(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        match &self.unembedding {
            Some(unembedding) => unembedding.forward(rows),
            None => Ok(graph::linear(rows, &self.embedding)?),
        }
    }
}

impl Config {
    /// How many parameters the model of this configuration has, counted from its construction; nothing is allocated.
    pub fn count(&self) -> Result<ParameterCount, ModelError> {
        let mut source = ShapeSource::default();
        LanguageModel::from_source(self.clone(), &mut source)?;
        Ok(source.count)
    }

    /// Starting weights that feed the residual stream are smaller the deeper the model, so that its variance stays near 1.
    pub(super) fn residual_scale(&self) -> f64 {
        1.0 / (2.0 * self.n_layers as f64).sqrt()
    }
}

/// Keeps a handle to everything another source gives.
struct Keep<'a> {
    inner: &'a mut dyn ParameterSource,
    parameters: BTreeMap<String, Tensor>,
}

impl ParameterSource for Keep<'_> {
    fn take(&mut self, request: &Request<'_>) -> Result<Tensor, ModelError> {
        let tensor = self.inner.take(request)?;
        self.parameters.insert(request.name.to_owned(), tensor.clone());
        Ok(tensor)
    }
}

/// Tokens [batch, step] as the tensor a model takes.
pub fn token_tensor(tokens: &[Vec<u32>]) -> Result<Tensor, ModelError> {
    let step = tokens.first().map_or(0, Vec::len);
    if tokens.iter().any(|sequence| sequence.len() != step) {
        return Err(ModelError::TokenShape { found: vec![tokens.len(), step], wanted: "sequences of one length".to_owned() });
    }
    Ok(Tensor::from_iter(tokens.iter().flatten().copied(), &Device::Cpu)?.reshape((tokens.len(), step))?)
}

/// Sequences and steps of tokens [batch, step].
fn extent(tokens: &Tensor) -> Result<Extent, ModelError> {
    match *tokens.dims() {
        [batch, step] if batch > 0 && step > 0 => Ok(Extent { batch, step }),
        _ => Err(ModelError::TokenShape { found: tokens.dims().to_vec(), wanted: "[batch, step] with at least one of each".to_owned() }),
    }
}

//! Where a model's parameters come from: a seed, a checkpoint, or only their shapes.
//!
//! There is one constructor of a model. It asks a [`ParameterSource`] for every tensor by name, shape and starting value; so what
//! is counted, trained and loaded cannot differ.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::rand_core::Rng;

use crate::task::random;

use super::ModelError;

/// Gives tensors to the constructor of a model.
pub trait ParameterSource {
    /// The tensor of that name and shape.
    fn take(&mut self, request: &Request<'_>) -> Result<Tensor, ModelError>;
}

/// What a constructor asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The name in checkpoints, dots between modules.
    pub name: &'a str,
    /// The shape.
    pub shape: &'a [usize],
    /// Values of a model that was never trained.
    pub initial: Initial,
    /// Which tokens use it.
    pub usage: Usage,
}

/// Values of a parameter before training. All are functions of (seed, name), the same on any machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// The same number everywhere.
    Constant(f64),
    /// Uniform with mean 0 and this standard deviation.
    Spread(f64),
    /// `A_log` with A uniform in [1, 16).
    DecayRate,
    /// `dt_bias` whose softplus is log-uniform in [1e-3, 1e-1).
    TimeStep,
}

/// Which tokens use a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Every token.
    Always,
    /// A routed expert: a token visits `active` of them, which are alike.
    Routed {
        /// Its number, from 0.
        expert: usize,
        /// Experts a token visits.
        active: usize,
    },
}

/// A source seen from one module: names start with the module's own.
pub struct Scope<'a> {
    source: &'a mut dyn ParameterSource,
    prefix: String,
    usage: Usage,
}

impl<'a> Scope<'a> {
    /// The whole model.
    pub fn root(source: &'a mut dyn ParameterSource) -> Self {
        Self { source, prefix: String::new(), usage: Usage::Always }
    }

    /// A module inside.
    pub fn at(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Scope { source: &mut *self.source, prefix, usage: self.usage }
    }

    /// A routed expert inside: a token visits `active` of them.
    pub fn expert(&mut self, expert: usize, active: usize) -> Scope<'_> {
        let mut scope = self.at(format_args!("experts.{expert}"));
        scope.usage = Usage::Routed { expert, active };
        scope
    }

    /// A tensor of this module.
    pub fn take(&mut self, name: &str, shape: &[usize], initial: Initial) -> Result<Tensor, ModelError> {
        let name = format!("{}.{name}", self.prefix);
        self.source.take(&Request { name: &name, shape, initial, usage: self.usage })
    }
}

/// Trainable parameters by name.
pub type Weights = BTreeMap<String, Var>;

/// Fresh trainable parameters from a seed.
#[derive(Debug)]
pub struct SeededSource {
    seed: u64,
    device: Device,
    weights: Weights,
}

impl SeededSource {
    /// A source whose every value is a function of the seed and the parameter's name.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), weights: Weights::new() }
    }

    /// What was given.
    pub fn into_weights(self) -> Weights {
        self.weights
    }
}

impl ParameterSource for SeededSource {
    fn take(&mut self, request: &Request<'_>) -> Result<Tensor, ModelError> {
        let values = initial_values(self.seed, request);
        let var = Var::from_vec(values, request.shape, &self.device)?;
        let tensor = var.as_tensor().clone();
        self.weights.insert(request.name.to_owned(), var);
        Ok(tensor)
    }
}

/// The values a parameter has before training.
fn initial_values(seed: u64, request: &Request<'_>) -> Vec<f32> {
    let len = request.shape.iter().product();
    let mut stream = random::stream(seed, &format!("model/{}", request.name), 0);
    // 53 bits of a word: the same number everywhere.
    let mut unit = move || (stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut draw = move || match request.initial {
        Initial::Constant(value) => value,
        Initial::Spread(deviation) => (2.0 * unit() - 1.0) * 3.0_f64.sqrt() * deviation,
        Initial::DecayRate => (1.0 + 15.0 * unit()).ln(),
        Initial::TimeStep => {
            let (low, high) = (1e-3_f64.ln(), 1e-1_f64.ln());
            let time_step = (low + (high - low) * unit()).exp();
            time_step + (-(-time_step).exp_m1()).ln()
        }
    };
    (0..len).map(|_| draw() as f32).collect()
}

/// Parameters that exist already, by name; what is left over after construction is an error.
#[derive(Debug)]
pub struct NamedSource {
    tensors: BTreeMap<String, Tensor>,
}

impl NamedSource {
    /// A source that gives out these tensors.
    pub const fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }

    /// Fails if a tensor was not asked for.
    pub fn finish(self) -> Result<(), ModelError> {
        self.tensors.into_keys().next().map_or(Ok(()), |name| Err(ModelError::UnexpectedTensor { name }))
    }
}

impl ParameterSource for NamedSource {
    fn take(&mut self, request: &Request<'_>) -> Result<Tensor, ModelError> {
        let missing = || ModelError::MissingTensor { name: request.name.to_owned(), wanted: request.shape.to_vec() };
        let tensor = self.tensors.remove(request.name).ok_or_else(missing)?;
        if tensor.dims() != request.shape {
            return Err(ModelError::TensorShape {
                name: request.name.to_owned(),
                found: tensor.dims().to_vec(),
                wanted: request.shape.to_vec(),
            });
        }
        Ok(tensor)
    }
}

/// How many parameters a model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ParameterCount {
    /// All of them.
    pub total: usize,
    /// Those one token uses (routed experts count for the share a token visits).
    pub active: usize,
}

/// Counts what a constructor asks for. Its tensors have a shape and one number of storage.
#[derive(Debug, Default)]
pub struct ShapeSource {
    /// What was asked for so far.
    pub count: ParameterCount,
}

impl ParameterSource for ShapeSource {
    fn take(&mut self, request: &Request<'_>) -> Result<Tensor, ModelError> {
        let size: usize = request.shape.iter().product();
        self.count.total += size;
        self.count.active += match request.usage {
            Usage::Routed { expert, active } if expert >= active => 0,
            Usage::Always | Usage::Routed { .. } => size,
        };
        Ok(Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(request.shape)?)
    }
}

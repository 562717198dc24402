//! The linear-attention layer of the family: projections, short convolutions, directions, gates, the memory, the gated output norm.
//!
//! One mixer with parts serves DeltaNet, GDN, KDA, GDN-2 and EDA (arXiv 2606.26560): the rule says which parts it has.

use candle_core::Tensor;

use crate::memory::{Dims, HookPoint, RecordOptions, Rule, cpu};

use super::{
    Config, DeltaConfig, ModelError, Observer, card,
    decay_gate::Decay,
    graph,
    language_model::Extent,
    linear::{Linear, LowRank},
    memory_on_card,
    memory_op::{self, Pack, Part},
    norm::{RmsNorm, unit_norm},
    parameters::Scope,
    short_convolution::ShortConvolution,
    state::DeltaState,
};

/// A layer's memory and everything that feeds and reads it.
#[derive(Clone, Debug)]
pub struct DeltaMixer {
    rule: Rule,
    config: DeltaConfig,
    query: Convolved,
    key: Convolved,
    value: Convolved,
    decay: Option<Decay>,
    write: WriteGate,
    erase: Option<Erase>,
    output_gate: Linear,
    output_norm: RmsNorm,
    output: Linear,
}

/// Where in the model, and where in the sequences, a mixer runs.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The layer's number in the model.
    pub layer: usize,
    /// The step of the sequences at which the call starts.
    pub position: usize,
}

/// A projection, then a short convolution with SiLU.
#[derive(Clone, Debug)]
struct Convolved {
    projection: Linear,
    convolution: ShortConvolution,
}

/// How strongly a step writes.
#[derive(Clone, Debug)]
enum WriteGate {
    /// beta, one number per head.
    Strength(Linear),
    /// GDN-2: what the write reads back, per key channel of a key head, and what it writes, per value channel of a head.
    Channels { read: LowRank, value: LowRank },
}

/// EDA's erase: gamma per head, and a direction of its own through rank `rank_per_head * key_heads`.
#[derive(Clone, Debug)]
struct Erase {
    direction: LowRank,
    strength: Linear,
}

impl Convolved {
    fn new(scope: &mut Scope<'_>, name: &str, d_model: usize, channels: usize, width: usize) -> Result<Self, ModelError> {
        Ok(Self {
            projection: Linear::new(&mut scope.at(name), d_model, channels, 1.0)?,
            convolution: ShortConvolution::new(&mut scope.at(format_args!("{name}_convolution")), channels, width)?,
        })
    }

    fn forward(&self, x: &Tensor, extent: Extent, history: Option<&mut Option<Vec<f32>>>) -> Result<Tensor, ModelError> {
        let x = self.projection.forward(x)?;
        match history {
            None => self.convolution.forward(&x, extent),
            Some(history) => self.convolution.forward_after(&x, extent, history),
        }
    }
}

impl DeltaMixer {
    /// The mixer of a rule.
    pub fn new(scope: &mut Scope<'_>, model: &Config, config: &DeltaConfig, rule: Rule) -> Result<Self, ModelError> {
        let (d_model, &DeltaConfig { key_heads, heads, d_k, d_v, .. }) = (model.d_model, config);
        let (width, rank) = (config.convolution_width, config.rank_per_head);
        Ok(Self {
            rule,
            config: config.clone(),
            query: Convolved::new(scope, "query", d_model, key_heads * d_k, width)?,
            key: Convolved::new(scope, "write_direction", d_model, key_heads * d_k, width)?,
            value: Convolved::new(scope, "value", d_model, heads * d_v, width)?,
            decay: Decay::new(&mut scope.at("retention"), d_model, config, rule)?,
            write: if rule == Rule::Gdn2 {
                WriteGate::Channels {
                    read: LowRank::new(&mut scope.at("read_gate"), d_model, rank * key_heads, key_heads * d_k)?,
                    value: LowRank::new(&mut scope.at("value_gate"), d_model, rank * heads, heads * d_v)?,
                }
            } else {
                WriteGate::Strength(Linear::new(&mut scope.at("write_strength"), d_model, heads, 1.0)?)
            },
            erase: if rule == Rule::Eda {
                Some(Erase {
                    direction: LowRank::new(&mut scope.at("erase_direction"), d_model, rank * key_heads, key_heads * d_k)?,
                    strength: Linear::with_bias(&mut scope.at("erase_strength"), d_model, heads, config.erase_strength_bias)?,
                })
            } else {
                None
            },
            output_gate: Linear::new(&mut scope.at("output_gate"), d_model, heads * d_v, 1.0)?,
            output_norm: RmsNorm::new(&mut scope.at("output_norm"), d_v, model.norm_epsilon)?,
            output: Linear::new(&mut scope.at("output"), heads * d_v, d_model, model.residual_scale())?,
        })
    }

    /// [batch * step, d_model] to the same. Gradients flow when there is neither a state nor an observer of this layer, nor an
    /// intervention on it.
    pub fn forward(
        &self,
        x: &Tensor,
        extent: Extent,
        Place { layer, position }: Place,
        state: Option<&mut DeltaState>,
        observer: &mut dyn Observer,
    ) -> Result<Tensor, ModelError> {
        let options = observer.record_options(layer);
        let (memory, histories) = match state {
            None => (None, [None, None, None]),
            Some(DeltaState { memory, convolutions: [query, key, value] }) => (Some(memory), [Some(query), Some(key), Some(value)]),
        };
        let (pack, tensors) = self.parts(x, extent, histories)?;
        let intervention = observer.intervention(layer);
        let o = if memory.is_none() && options.is_none() && intervention.is_none() {
            memory_op::outputs_with_sink(pack, &tensors, observer.gradient_sink(layer))?
        } else if card::holds(x) && intervention.is_none() {
            // One kernel, observed or not, on the arrays where they stand.
            let initial = memory.as_deref().and_then(Option::as_ref);
            let (output, recording, factors) = memory_on_card::recorded(&pack, &tensors, initial, options.as_ref())?;
            if let Some(memory) = memory {
                *memory = Some(recording.final_memory.to_shared());
            }
            if let Some(factors) = factors {
                observer.layer(layer, factors, recording).map_err(|source| ModelError::Observer { layer, source })?;
            }
            output
        } else {
            let initial = memory.as_deref().and_then(Option::as_ref);
            let nothing = RecordOptions::default();
            let options_or_none = options.as_ref().unwrap_or(&nothing);
            let factors = memory_op::factors(&pack, &tensors, initial)?;
            let recording = match intervention {
                None => cpu::record(&factors.lower(), options_or_none),
                Some(intervention) => intervention
                    .run(layer, position, &factors, options_or_none)
                    .map_err(|source| ModelError::Intervention { layer, source })?,
            };
            let output = Tensor::from_iter(recording.output.iter().copied(), x.device())?.reshape((extent.rows(), ()))?;
            if let Some(memory) = memory {
                *memory = Some(recording.final_memory.to_shared());
            }
            if options.is_some() {
                observer.layer(layer, factors, recording).map_err(|source| ModelError::Observer { layer, source })?;
            }
            output
        };
        let z = self.output_gate.forward(x)?;
        self.output.forward(&self.output_norm.forward_gated(&o, &z)?)
    }

    /// The factors of the recurrence, each [batch * step, heads * channels].
    fn parts(&self, x: &Tensor, extent: Extent, histories: [Option<&mut Option<Vec<f32>>>; 3]) -> Result<(Pack, Vec<Tensor>), ModelError> {
        let DeltaConfig { key_heads, heads, d_k, d_v, .. } = self.config;
        let [query_history, key_history, value_history] = histories;
        let sigmoid = graph::sigmoid;
        let query = unit_norm(&self.query.forward(x, extent, query_history)?, d_k, 1.0 / (d_k as f64).sqrt())?;
        let key = unit_norm(&self.key.forward(x, extent, key_history)?, d_k, 1.0)?;
        let value = self.value.forward(x, extent, value_history)?;

        let mut parts = Vec::new();
        let mut tensors = Vec::new();
        let mut add = |part: Part, tensor: Tensor| {
            parts.push(part);
            tensors.push(tensor);
        };
        add(Part { point: HookPoint::Query, heads: key_heads, channels: d_k }, query);
        add(Part { point: HookPoint::WriteDirection(0), heads: key_heads, channels: d_k }, key);
        add(Part { point: HookPoint::Value(0), heads, channels: d_v }, value);
        if let Some(decay) = &self.decay {
            add(decay.part(), decay.forward(x)?);
        }
        match &self.write {
            WriteGate::Strength(strength) => {
                add(Part { point: HookPoint::WriteStrength(0), heads, channels: 1 }, sigmoid(&strength.forward(x)?)?);
            }
            WriteGate::Channels { read, value } => {
                add(Part { point: HookPoint::ReadGate, heads: key_heads, channels: d_k }, sigmoid(&read.forward(x)?)?);
                add(Part { point: HookPoint::ValueGate, heads, channels: d_v }, sigmoid(&value.forward(x)?)?);
            }
        }
        if let Some(erase) = &self.erase {
            add(
                Part { point: HookPoint::EraseDirection, heads: key_heads, channels: d_k },
                unit_norm(&erase.direction.forward(x)?, d_k, 1.0)?,
            );
            add(Part { point: HookPoint::EraseStrength, heads, channels: 1 }, sigmoid(&erase.strength.forward(x)?)?);
        }
        let dims = Dims { batch: extent.batch, step: extent.step, key_head: key_heads, head: heads, d_k, d_v };
        Ok((Pack { rule: self.rule, dims, parts }, tensors))
    }
}

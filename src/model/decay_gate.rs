//! The decay gate: how much of the memory a step keeps, alpha = exp(g).

use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};

use crate::memory::Rule;

use super::{
    DecayGate, DecayRate, DeltaConfig, ModelError,
    kernel::{fill_rows, fill_rows_and_sum, floats, sigmoid, tensor_like, with_floats},
    linear::{Linear, LowRank},
    memory_op::Part,
    parameters::{Initial, Scope},
};
use crate::memory::HookPoint;

/// Retention from the input, with the shape a rule asks for.
#[derive(Clone, Debug)]
pub struct Decay {
    projection: Projection,
    rate_log: Tensor,       // A_log: [channels] or one per head
    time_step_bias: Tensor, // dt_bias: [channels] or one per head
    gate: DecayGate,
    heads: usize,
    channels: usize,
}

/// a_t from the input.
#[derive(Clone, Debug)]
enum Projection {
    Dense(Linear),
    LowRank(LowRank),
}

impl Decay {
    /// The decay of a rule; `None` for DeltaNet, which keeps all.
    ///
    /// GDN has one retention per head, from a dense projection. EDA and KDA have one per key channel of every head, through rank
    /// `rank_per_head * heads`. GDN-2 has one per key channel of every key head, with one rate and bias per key head.
    pub fn new(scope: &mut Scope<'_>, d_model: usize, config: &DeltaConfig, rule: Rule) -> std::result::Result<Option<Self>, ModelError> {
        let (heads, channels, rates, biases) = match rule {
            Rule::DeltaNet => return Ok(None),
            Rule::Gdn => (config.heads, 1, config.heads, config.heads),
            Rule::Gdn2 => (config.key_heads, config.d_k, config.key_heads, config.key_heads),
            _ => {
                let all = config.heads * config.d_k;
                (config.heads, config.d_k, if config.decay_rate == DecayRate::PerHead { config.heads } else { all }, all)
            }
        };
        let projection = if rule == Rule::Gdn {
            Projection::Dense(Linear::new(scope, d_model, heads, 1.0)?)
        } else {
            Projection::LowRank(LowRank::new(scope, d_model, config.rank_per_head * heads, heads * channels)?)
        };
        let gate = config.decay_gate(rule);
        // A bounded gate starts at its own scale; the log gate has no bound of its own.
        let rate = if matches!(gate, DecayGate::Log {}) { Initial::DecayRate } else { Initial::Constant(0.0) };
        let rate_log = scope.take("A_log", &[rates], rate)?;
        let time_step_bias = scope.take("dt_bias", &[biases], Initial::TimeStep)?;
        Ok(Some(Self { projection, rate_log, time_step_bias, gate, heads, channels }))
    }

    /// Retention, [rows, heads * channels].
    pub fn forward(&self, x: &Tensor) -> std::result::Result<Tensor, ModelError> {
        let a = match &self.projection {
            Projection::Dense(linear) => linear.forward(x)?,
            Projection::LowRank(low_rank) => low_rank.forward(x)?,
        };
        Ok(a.apply_op3(&self.rate_log, &self.time_step_bias, RetentionOp { gate: self.gate })?)
    }

    /// What [`Decay::forward`] computes.
    pub(super) fn part(&self) -> Part {
        Part { point: HookPoint::Retention, heads: self.heads, channels: self.channels }
    }
}

/// alpha = exp(g(a + dt_bias)).
struct RetentionOp {
    gate: DecayGate,
}

/// The log decay and its derivatives with respect to `u` and `A_log`.
struct LogDecay {
    value: f32,
    by_input: f32,
    by_rate_log: f32,
}

impl RetentionOp {
    fn log_decay(&self, u: f32, rate: f32) -> LogDecay {
        // softplus without overflow.
        let delta = u.max(0.0) + (-u.abs()).exp().ln_1p();
        match self.gate {
            DecayGate::Log {} => LogDecay { value: -rate * delta, by_input: -rate * sigmoid(u), by_rate_log: -rate * delta },
            DecayGate::KdaSigmoid { lower } => {
                let open = sigmoid(rate * u);
                let slope = lower as f32 * open * (1.0 - open) * rate;
                LogDecay { value: lower as f32 * open, by_input: slope, by_rate_log: slope * u }
            }
            DecayGate::Safe { lower } => {
                let bound = -lower as f32;
                let exponent = -rate / bound * delta;
                let kept = exponent.exp();
                LogDecay { value: bound * exponent.exp_m1(), by_input: -rate * kept * sigmoid(u), by_rate_log: -rate * delta * kept }
            }
        }
    }
}

impl CustomOp3 for RetentionOp {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (a, rate_log, bias) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let &width = l1.dims().last().ok_or_else(|| Error::Msg("retention needs rows".to_owned()))?;
        let rate: Vec<f32> = rate_log.iter().map(|rate| rate.exp()).collect();
        let (per_rate, per_bias) = (width / rate.len(), width / bias.len());
        let retention = fill_rows(a.len() / width, width, |row, retention| {
            for (channel, (retention, a)) in retention.iter_mut().zip(&a[row * width..]).enumerate() {
                *retention = self.log_decay(a + bias[channel / per_bias], rate[channel / per_rate]).value.exp();
            }
        });
        Ok((CpuStorage::F32(retention), l1.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        rate_log: &Tensor,
        bias: &Tensor,
        retention: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = a.dim(1)?;
        let n_rates = rate_log.elem_count();
        let (grad_a, mut sums) = with_floats([a, rate_log, bias, retention, grad], |[a, rate_log, bias, retention, grad]| {
            let rate: Vec<f32> = rate_log.iter().map(|rate| rate.exp()).collect();
            let (per_rate, per_bias) = (width / rate.len(), width / bias.len());
            Ok(fill_rows_and_sum(a.len() / width, width, rate.len() + bias.len(), |row, grad_a, sums| {
                let (sum_rates, sum_biases) = sums.split_at_mut(rate.len());
                for (channel, grad_a) in grad_a.iter_mut().enumerate() {
                    let index = row * width + channel;
                    let decay = self.log_decay(a[index] + bias[channel / per_bias], rate[channel / per_rate]);
                    let grad = grad[index] * retention[index];
                    *grad_a = grad * decay.by_input;
                    sum_rates[channel / per_rate] += grad * decay.by_rate_log;
                    sum_biases[channel / per_bias] += *grad_a;
                }
            }))
        })?;
        let grad_bias = sums.split_off(n_rates);
        Ok((Some(tensor_like(grad_a, a)?), Some(tensor_like(sums, rate_log)?), Some(tensor_like(grad_bias, bias)?)))
    }
}

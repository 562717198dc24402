//! The decay gate: how much of the memory a step keeps, alpha = exp(g).

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::memory::{HookPoint, Rule};

use super::{
    DecayGate, DecayRate, DeltaConfig, ModelError,
    card::{self, Launch, Number, Number::Float, Slabs, int},
    functions::{exp, exp_m1, sigmoid, softplus},
    graph,
    kernel::{fill_rows, fill_rows_and_sum, floats, tensor_like, with_floats},
    linear::{Linear, LowRank},
    memory_op::Part,
    parameters::{Initial, Scope},
};

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
        let (rate_log, bias) = (&self.rate_log, &self.time_step_bias);
        Ok(match self.gate {
            DecayGate::Log {} => graph::apply3(&a, rate_log, bias, RetentionOp(LogGate))?,
            DecayGate::KdaSigmoid { lower } => graph::apply3(&a, rate_log, bias, RetentionOp(KdaSigmoidGate { lower: lower as f32 }))?,
            DecayGate::Safe { lower } => graph::apply3(&a, rate_log, bias, RetentionOp(SafeGate { bound: -lower as f32 }))?,
        })
    }

    /// What [`Decay::forward`] computes.
    pub(super) fn part(&self) -> Part {
        Part { point: HookPoint::Retention, heads: self.heads, channels: self.channels }
    }
}

/// A gate's log decay from `u` and the rate A.
trait Gate: Send + Sync {
    fn log_decay(&self, u: f32, rate: f32) -> LogDecay;

    /// What a kernel on a card calls it: its number, and the bound.
    fn on_card(&self) -> [Number; 2];
}

/// The log decay and its derivatives with respect to `u` and `A_log`.
struct LogDecay {
    value: f32,
    by_input: f32,
    by_rate_log: f32,
}

struct LogGate;

impl Gate for LogGate {
    #[inline]
    fn log_decay(&self, u: f32, rate: f32) -> LogDecay {
        let value = -rate * softplus(u);
        LogDecay { value, by_input: -rate * sigmoid(u), by_rate_log: value }
    }

    fn on_card(&self) -> [Number; 2] {
        [int(0), Float(1.0)]
    }
}

struct KdaSigmoidGate {
    lower: f32,
}

impl Gate for KdaSigmoidGate {
    #[inline]
    fn log_decay(&self, u: f32, rate: f32) -> LogDecay {
        let open = sigmoid(rate * u);
        let slope = self.lower * open * (1.0 - open) * rate;
        LogDecay { value: self.lower * open, by_input: slope, by_rate_log: slope * u }
    }

    fn on_card(&self) -> [Number; 2] {
        [int(1), Float(-self.lower)]
    }
}

struct SafeGate {
    bound: f32, // -lower
}

impl Gate for SafeGate {
    #[inline]
    fn log_decay(&self, u: f32, rate: f32) -> LogDecay {
        let delta = softplus(u);
        let exponent = -rate / self.bound * delta;
        let lost = exp_m1(exponent);
        LogDecay { value: self.bound * lost, by_input: -rate * (1.0 + lost) * sigmoid(u), by_rate_log: -rate * delta * (1.0 + lost) }
    }

    fn on_card(&self) -> [Number; 2] {
        [int(2), Float(self.bound)]
    }
}

/// alpha = exp(g(a + dt_bias)).
struct RetentionOp<G>(G);

/// One number per channel of a row, from one per channel or per head.
fn per_channel(values: &[f32], width: usize) -> Vec<f32> {
    let channels = width / values.len();
    values.iter().flat_map(|&value| std::iter::repeat_n(value, channels)).collect()
}

/// The sums over the channels each number served.
fn per_value(sums: &[f32], n_values: usize) -> Vec<f32> {
    sums.chunks_exact(sums.len() / n_values).map(|channels| channels.iter().sum()).collect()
}

impl<G: Gate> CustomOp3 for RetentionOp<G> {
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
        let (rows, width) = l1.shape().dims2()?;
        let rates: Vec<f32> = per_channel(rate_log, width).into_iter().map(exp).collect();
        let biases = per_channel(bias, width);
        let retention = fill_rows(rows, width, |row, retention| {
            for (((retention, a), rate), bias) in retention.iter_mut().zip(&a[row * width..]).zip(&rates).zip(&biases) {
                *retention = exp(self.0.log_decay(a + bias, *rate).value);
            }
        });
        Ok((CpuStorage::F32(retention), l1.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (len, width) = (l1.shape().elem_count(), l1.dims()[1]);
        let [kind, bound] = self.0.on_card();
        let scalars = [int(len), int(width), int(l2.shape().elem_count()), int(l3.shape().elem_count()), kind, bound];
        card::like_first(Launch::each("retention", len, &scalars), &[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        rate_log: &Tensor,
        bias: &Tensor,
        retention: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = a.dims2()?;
        if card::holds(a) {
            let slabs = Slabs::of(rows, width);
            let [kind, bound] = self.0.on_card();
            let scalars = [int(rows), int(width), int(rate_log.elem_count()), int(bias.elem_count()), kind, bound];
            let launch = slabs.launch("retention_backward", &scalars);
            let inputs = [a, rate_log, bias, retention, grad];
            let [grad_a, parts] = card::on_tensors(launch, &inputs, [a.dims(), &[slabs.parts, 2 * width]])?;
            let sums = card::column_sums(&parts)?;
            let served = |from: usize, values: &Tensor| sums.narrow(0, from, width)?.reshape((values.elem_count(), ()))?.sum(1);
            return Ok((Some(grad_a), Some(served(0, rate_log)?), Some(served(width, bias)?)));
        }
        let (grad_a, sums) = with_floats([a, rate_log, bias, retention, grad], |[a, rate_log, bias, retention, grad]| {
            let rates: Vec<f32> = per_channel(rate_log, width).into_iter().map(exp).collect();
            let biases = per_channel(bias, width);
            Ok(fill_rows_and_sum(rows, width, 2 * width, |row, grad_a, sums| {
                let row = row * width..(row + 1) * width;
                let (a, retention, grad) = (&a[row.clone()], &retention[row.clone()], &grad[row]);
                let (rate_sums, bias_sums) = sums.split_at_mut(width);
                let (rates, biases) = (&rates[..width], &biases[..width]);
                for channel in 0..width {
                    let decay = self.0.log_decay(a[channel] + biases[channel], rates[channel]);
                    let grad = grad[channel] * retention[channel];
                    grad_a[channel] = grad * decay.by_input;
                    rate_sums[channel] += grad * decay.by_rate_log;
                    bias_sums[channel] += grad * decay.by_input;
                }
            }))
        })?;
        let (rate_sums, bias_sums) = sums.split_at(width);
        let grad_rate = tensor_like(per_value(rate_sums, rate_log.elem_count()), rate_log)?;
        let grad_bias = tensor_like(per_value(bias_sums, bias.elem_count()), bias)?;
        Ok((Some(tensor_like(grad_a, a)?), Some(grad_rate), Some(grad_bias)))
    }
}

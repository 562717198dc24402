//! Gated full attention: grouped heads, RMSNorm on queries and keys, rotary positions, a sigmoid gate on the output.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{
    AttentionConfig, Config, ModelError,
    card::{self, Launch, Number::Float, int},
    functions::exp,
    graph,
    kernel::{fill_rows, floats, tensor_like, with_floats},
    language_model::Extent,
    linear::Linear,
    norm::RmsNorm,
    parameters::Scope,
    rotary::Rotary,
    state::AttentionState,
};

/// Causal softmax attention; the query projection also yields the gate (arXiv 2606.26560).
#[derive(Clone, Debug)]
pub struct Attention {
    config: AttentionConfig,
    query_and_gate: Linear,
    key: Linear,
    value: Linear,
    query_norm: RmsNorm,
    key_norm: RmsNorm,
    rotary: Rotary,
    output: Linear,
}

impl Attention {
    /// Every projection without bias.
    pub fn new(scope: &mut Scope<'_>, model: &Config, config: &AttentionConfig) -> std::result::Result<Self, ModelError> {
        let (d_model, width, key_width) = (model.d_model, config.heads * config.head_dim, config.key_heads * config.head_dim);
        Ok(Self {
            config: config.clone(),
            query_and_gate: Linear::new(&mut scope.at("query_and_gate"), d_model, 2 * width, 1.0)?,
            key: Linear::new(&mut scope.at("key"), d_model, key_width, 1.0)?,
            value: Linear::new(&mut scope.at("value"), d_model, key_width, 1.0)?,
            query_norm: RmsNorm::new(&mut scope.at("query_norm"), config.head_dim, model.norm_epsilon)?,
            key_norm: RmsNorm::new(&mut scope.at("key_norm"), config.head_dim, model.norm_epsilon)?,
            rotary: Rotary::new(config),
            output: Linear::new(&mut scope.at("output"), width, d_model, model.residual_scale())?,
        })
    }

    /// [batch * step, d_model] to the same; the first step is at `position`, after what the state holds.
    pub fn forward(
        &self,
        x: &Tensor,
        extent: Extent,
        position: usize,
        state: Option<&mut AttentionState>,
    ) -> std::result::Result<Tensor, ModelError> {
        let AttentionConfig { heads, key_heads, head_dim, .. } = self.config;
        let width = heads * head_dim;
        let both = self.query_and_gate.forward(x)?;
        let query = graph::columns(&both, 0, width)?;
        let gate = graph::columns(&both, width, width)?;
        let query = self.rotary.forward(&self.query_norm.forward(&query)?, extent, position)?;
        let key = self.rotary.forward(&self.key_norm.forward(&self.key.forward(x)?)?, extent, position)?;
        let value = self.value.forward(x)?;

        let by_head = |x: Tensor, heads: usize| graph::exchange(&graph::reshape(&x, (extent.batch, extent.step, heads, head_dim))?);
        let (query, mut key, mut value) = (by_head(query, heads)?, by_head(key, key_heads)?, by_head(value, key_heads)?);
        if let Some(state) = state {
            if let Some((keys, values)) = &state.cache {
                key = Tensor::cat(&[keys, &key], 2)?;
                value = Tensor::cat(&[values, &value], 2)?;
            }
            state.cache = Some((key.detach(), value.detach()));
        }
        let read = read(&query, &key, &value)?;
        let read = graph::reshape(&graph::exchange(&read)?, (extent.rows(), width))?;
        self.output.forward(&graph::mul(&read, &graph::sigmoid(&gate)?)?)
    }
}

/// What every query [batch, head, step, head_dim] reads; the last one sees all of keys and values [batch, key_head, step,
/// head_dim].
fn read(query: &Tensor, key: &Tensor, value: &Tensor) -> std::result::Result<Tensor, ModelError> {
    let (batch, heads, steps, head_dim) = query.dims4()?;
    let (key_heads, seen) = (key.dim(1)?, key.dim(2)?);
    let group = heads / key_heads;
    // Training needs the weights of all queries at once; otherwise no more are held than a block of queries makes.
    let differentiable = graph::is_recording() || query.track_op() || key.track_op() || value.track_op();
    let most = SCORES_AT_ONCE[usize::from(card::holds(query))];
    let at_once = if differentiable { steps } else { (most / (batch * heads * seen)).clamp(1, steps) };
    let mut blocks = Vec::new();
    for from in (0..steps).step_by(at_once) {
        let block = at_once.min(steps - from);
        let keys = seen - steps + from + block;
        // Queries of a group stand below one another against their common key: [batch, key_head, group * step, head_dim].
        let query = graph::reshape(&query.narrow(2, from, block)?.contiguous()?, (batch, key_heads, group * block, head_dim))?;
        let (key, value) = (key.narrow(2, 0, keys)?, value.narrow(2, 0, keys)?);
        let scores = graph::matmul(&query, &graph::transposed(&key)?)?;
        let weights = graph::apply1(&scores, CausalSoftmaxOp { scale: 1.0 / (head_dim as f32).sqrt(), n_steps: block })?;
        blocks.push(graph::reshape(&graph::matmul(&weights, &value)?, (batch, heads, block, head_dim))?);
    }
    Ok(if blocks.len() == 1 { blocks.swap_remove(0) } else { Tensor::cat(&blocks, 2)? })
}

/// Attention weights of all heads and sequences that are held at once when no gradient is wanted: 64 MB on the CPU, 2 GB on a card.
const SCORES_AT_ONCE: [usize; 2] = [1 << 24, 1 << 29];

/// Softmax of scaled scores [.., step of the query, step of the key] over the keys up to the query's own step.
struct CausalSoftmaxOp {
    scale: f32,
    n_steps: usize, // queries of one head; the last sees every key
}

impl CustomOp1 for CausalSoftmaxOp {
    fn name(&self) -> &'static str {
        "causal_softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = floats(storage, layout)?;
        let width = layout.shape().dims()[layout.shape().rank() - 1];
        let weights = fill_rows(scores.len() / width, width, |row, weights| {
            let n_seen = width - self.n_steps + row % self.n_steps + 1;
            let scores = &scores[row * width..][..n_seen];
            let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (weight, score) in weights.iter_mut().zip(scores) {
                *weight = exp((score - highest) * self.scale);
                sum += *weight;
            }
            for weight in weights {
                *weight /= sum;
            }
        });
        Ok((CpuStorage::F32(weights), layout.shape().clone()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let width = layout.dims()[layout.shape().rank() - 1];
        let rows = layout.shape().elem_count() / width;
        let scalars = [int(rows), int(width), int(self.n_steps), Float(self.scale)];
        card::like_first(Launch::wide_rows("causal_softmax", rows, &scalars), &[(storage, layout)])
    }

    fn bwd(&self, scores: &Tensor, weights: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = scores.dim(candle_core::D::Minus1)?;
        if card::holds(scores) {
            let rows = scores.elem_count() / width;
            let scalars = [int(rows), int(width), Float(self.scale)];
            let launch = Launch::rows("causal_softmax_backward", rows, &scalars);
            let [grad_scores] = card::on_tensors(launch, &[weights, grad], [scores.dims()])?;
            return Ok(Some(grad_scores));
        }
        let grad_scores = with_floats([weights, grad], |[weights, grad]| {
            Ok(fill_rows(weights.len() / width, width, |row, grad_scores| {
                let (weights, grad) = (&weights[row * width..][..width], &grad[row * width..][..width]);
                let mean: f32 = weights.iter().zip(grad).map(|(weight, grad)| weight * grad).sum();
                for ((grad_score, weight), grad) in grad_scores.iter_mut().zip(weights).zip(grad) {
                    *grad_score = self.scale * weight * (grad - mean);
                }
            }))
        })?;
        Ok(Some(tensor_like(grad_scores, scores)?))
    }
}

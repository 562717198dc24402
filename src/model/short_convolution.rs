//! The causal depthwise short convolution, followed by SiLU.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, Device, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    ModelError,
    card::{self, Launch, Slabs, int},
    functions::sigmoid,
    graph,
    kernel::{add_up, floats, tensor_like, with_floats},
    language_model::Extent,
    parameters::{Initial, Scope},
};

/// As the kernels have it.
const MOST_TAPS_ON_A_CARD: usize = 8;

/// y_t = SiLU(sum_j weight_j x_{t - (width - 1) + j}), channel by channel, without bias.
#[derive(Clone, Debug)]
pub struct ShortConvolution {
    weight: Tensor, // [channels, width], the last tap meets the current step
}

impl ShortConvolution {
    /// Weights start uniform with standard deviation 1 / sqrt(width).
    pub fn new(scope: &mut Scope<'_>, channels: usize, width: usize) -> std::result::Result<Self, ModelError> {
        Ok(Self { weight: scope.take("weight", &[channels, width], Initial::Spread(1.0 / (width as f64).sqrt()))? })
    }

    /// [batch * step, channels] to the same; without a history the steps before the first are 0.
    pub fn forward(&self, x: &Tensor, extent: Extent) -> std::result::Result<Tensor, ModelError> {
        Ok(graph::apply2(x, &self.weight, ShortConvolutionOp { extent, history: None, on_card: None })?)
    }

    /// The same after `history`, the last `width - 1` inputs, which it moves on. No gradient flows into the history.
    pub(super) fn forward_after(
        &self,
        x: &Tensor,
        extent: Extent,
        history: &mut Option<Vec<f32>>,
    ) -> std::result::Result<Tensor, ModelError> {
        let (channels, width) = self.weight.dims2()?;
        let kept = (width - 1) * channels;
        let before = history.take().unwrap_or_else(|| vec![0.0; extent.batch * kept]);
        let mut after = Vec::with_capacity(before.len());
        with_floats([&x.to_device(&Device::Cpu)?], |[x]| {
            for batch in 0..extent.batch {
                let new = &x[batch * extent.step * channels..][..extent.step * channels];
                let old = &before[batch * kept..][..kept];
                let from_new = new.len().min(kept);
                after.extend_from_slice(&old[from_new..]);
                after.extend_from_slice(&new[new.len() - from_new..]);
            }
            Ok(())
        })?;
        *history = Some(after);
        let on_card = if card::holds(x) { Some(Tensor::new(before.as_slice(), x.device())?) } else { None };
        Ok(graph::apply2(x, &self.weight, ShortConvolutionOp { extent, history: Some(before), on_card })?)
    }
}

struct ShortConvolutionOp {
    extent: Extent,
    history: Option<Vec<f32>>, // [batch, width - 1, channels]
    on_card: Option<Tensor>,   // the same beside x
}

impl ShortConvolutionOp {
    /// The gradients, on a card.
    fn backward_on_card(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (channels, width) = weight.dims2()?;
        if width > MOST_TAPS_ON_A_CARD {
            return Err(Error::Msg(format!("a short convolution of {width} taps on a card: at most {MOST_TAPS_ON_A_CARD} can be trained")));
        }
        let (len, rows, steps) = (x.elem_count(), self.extent.rows(), self.extent.step);
        let slabs = Slabs::of(rows, channels);
        let scalars = [int(rows), int(channels), int(width), int(steps)];
        let launch = slabs.launch("short_convolution_parts", &scalars);
        let [grad_sum, parts] = card::on_tensors(launch, &[x, weight, grad], [x.dims(), &[slabs.parts, channels * width]])?;
        let scalars = [int(len), int(channels), int(width), int(steps)];
        let launch = Launch::each("short_convolution_input", len, &scalars);
        let [grad_x] = card::on_tensors(launch, &[weight, &grad_sum], [x.dims()])?;
        Ok((Some(grad_x), Some(card::column_sums(&parts)?.reshape(weight.dims())?)))
    }

    /// The sum before SiLU of one sequence's step. `weight` is [width, channels], `x` [step, channels].
    fn sum(&self, batch: usize, step: usize, x: &[f32], weight: &[f32], out: &mut [f32]) {
        let channels = out.len();
        let width = weight.len() / channels;
        out.fill(0.0);
        for (tap, weight) in weight.chunks_exact(channels).enumerate() {
            let input = match (step + tap + 1).checked_sub(width) {
                Some(source) => &x[source * channels..][..channels],
                None => match &self.history {
                    Some(history) => &history[(batch * (width - 1) + step + tap) * channels..][..channels],
                    None => continue,
                },
            };
            for ((out, input), weight) in out.iter_mut().zip(input).zip(weight) {
                *out += input * weight;
            }
        }
    }
}

/// [channels, width] to [width, channels].
fn by_tap(weight: &[f32], channels: usize) -> Vec<f32> {
    let width = weight.len() / channels;
    (0..weight.len()).map(|index| weight[index % channels * width + index / channels]).collect()
}

impl CustomOp2 for ShortConvolutionOp {
    fn name(&self) -> &'static str {
        "short_convolution"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (floats(s1, l1)?, floats(s2, l2)?);
        let channels = l2.dims()[0];
        let weight = by_tap(weight, channels);
        let sequence = self.extent.step * channels;
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(sequence).zip(x.par_chunks(sequence)).enumerate().for_each(|(batch, (y, x))| {
            for (step, y) in y.chunks_exact_mut(channels).enumerate() {
                self.sum(batch, step, x, &weight, y);
                for y in y {
                    *y *= sigmoid(*y);
                }
            }
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        let (channels, width) = l2.shape().dims2()?;
        let len = l1.shape().elem_count();
        let scalars = [int(len), int(channels), int(width), int(self.extent.step)];
        match &self.on_card {
            None => card::like_first(Launch::each("short_convolution", len, &scalars), &[(s1, l1), (s2, l2)]),
            Some(history) => card::with_storages([history], |[history]| {
                card::like_first(Launch::each("short_convolution_after", len, &scalars), &[(s1, l1), (s2, l2), history])
            }),
        }
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (channels, width) = weight.dims2()?;
        if card::holds(x) {
            return self.backward_on_card(x, weight, grad);
        }
        let sequence = self.extent.step * channels;
        let (grad_x, grad_weight) = with_floats([x, weight, grad], |[x, weight, grad]| {
            let weight = by_tap(weight, channels);
            let mut grad_x = vec![0.0; x.len()];
            let work = grad_x.par_chunks_mut(sequence).zip(x.par_chunks(sequence)).zip(grad.par_chunks(sequence)).enumerate();
            let partial = work.map(|(batch, ((grad_x, x), grad))| {
                let mut grad_weight = vec![0.0; weight.len()];
                let mut grad_sum = vec![0.0; channels];
                for (step, grad) in grad.chunks_exact(channels).enumerate() {
                    self.sum(batch, step, x, &weight, &mut grad_sum);
                    for (sum, grad) in grad_sum.iter_mut().zip(grad) {
                        let open = sigmoid(*sum);
                        *sum = grad * open * (1.0 + *sum * (1.0 - open));
                    }
                    // Without a history the taps before the first step meet nothing; with one, no gradient is wanted.
                    for tap in (width - 1).saturating_sub(step)..width {
                        let source = (step + tap + 1 - width) * channels;
                        let (x, grad_x) = (&x[source..][..channels], &mut grad_x[source..][..channels]);
                        let (weight, grad_weight) = (&weight[tap * channels..][..channels], &mut grad_weight[tap * channels..][..channels]);
                        for channel in 0..channels {
                            grad_x[channel] += weight[channel] * grad_sum[channel];
                            grad_weight[channel] += x[channel] * grad_sum[channel];
                        }
                    }
                }
                grad_weight
            });
            let by_tap = add_up(partial.collect(), weight.len());
            let grad_weight = (0..by_tap.len()).map(|index| by_tap[index % width * channels + index / width]).collect();
            Ok((grad_x, grad_weight))
        })?;
        Ok((Some(tensor_like(grad_x, x)?), Some(tensor_like(grad_weight, weight)?)))
    }
}

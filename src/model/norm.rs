//! Norms: RMSNorm, RMSNorm behind a SiLU gate, and the L2 norm of directions.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::{
    ModelError,
    card::{self, Launch, Number::Float, Slabs, int},
    functions::sigmoid,
    graph,
    kernel::{fill_row_pairs_and_sum, fill_rows, fill_rows_and_sum, floats, tensor_like, with_floats},
    parameters::{Initial, Scope},
};

/// y = x / sqrt(mean x^2 + epsilon) * weight, over groups of `width` channels.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor, // [width]
    epsilon: f32,
}

impl RmsNorm {
    /// The weight starts at 1.
    pub fn new(scope: &mut Scope<'_>, width: usize, epsilon: f64) -> std::result::Result<Self, ModelError> {
        Ok(Self { weight: scope.take("weight", &[width], Initial::Constant(1.0))?, epsilon: epsilon as f32 })
    }

    /// Every group of `width` channels of [rows, channels] on its own.
    pub fn forward(&self, x: &Tensor) -> std::result::Result<Tensor, ModelError> {
        Ok(graph::apply2(x, &self.weight, RmsNormOp { epsilon: self.epsilon })?)
    }

    /// The same, times SiLU(gate); `gate` has the shape of `x`.
    pub fn forward_gated(&self, x: &Tensor, gate: &Tensor) -> std::result::Result<Tensor, ModelError> {
        Ok(graph::apply3(x, gate, &self.weight, GatedRmsNormOp { epsilon: self.epsilon })?)
    }
}

/// x * rsqrt(sum x^2 + 1e-6) * scale over groups of `width` channels: a direction (arXiv 2606.26560).
pub fn unit_norm(x: &Tensor, width: usize, scale: f64) -> std::result::Result<Tensor, ModelError> {
    Ok(graph::apply1(x, UnitNormOp { width, scale: scale as f32 })?)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Width and number of the groups that a weight normalises.
fn group(weight: &Shape, x: &Shape) -> (usize, usize) {
    let width = weight.elem_count();
    (width, x.elem_count() / width)
}

struct RmsNormOp {
    epsilon: f32,
}

/// 1 / sqrt(mean x^2 + epsilon).
fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}

impl CustomOp2 for RmsNormOp {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (floats(s1, l1)?, floats(s2, l2)?);
        let width = weight.len();
        let y = fill_rows(x.len() / width, width, |row, y| {
            let x = &x[row * width..][..width];
            let scale = inverse_rms(x, self.epsilon);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = x * scale * weight;
            }
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        let (width, rows) = group(l2.shape(), l1.shape());
        let scalars = [int(rows), int(width), Float(self.epsilon)];
        card::like_first(Launch::rows("rms_norm", rows, &scalars), &[(s1, l1), (s2, l2)])
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if card::holds(x) {
            let (width, rows) = group(weight.shape(), x.shape());
            let scalars = [int(rows), int(width), Float(self.epsilon)];
            let launch = Launch::rows("rms_norm_backward", rows, &scalars);
            let [grad_x, inverse] = card::on_tensors(launch, &[x, weight, grad], [x.dims(), &[rows]])?;
            let slabs = Slabs::of(rows, width);
            let launch = slabs.launch("rms_norm_parts", &scalars[..2]);
            let [parts] = card::on_tensors(launch, &[x, grad, &inverse], [&[slabs.parts, width]])?;
            return Ok((Some(grad_x), Some(card::column_sums(&parts)?)));
        }
        let (grad_x, grad_weight) = with_floats([x, weight, grad], |[x, weight, grad]| {
            let width = weight.len();
            Ok(fill_rows_and_sum(x.len() / width, width, width, |row, grad_x, sums| {
                let (x, grad) = (&x[row * width..][..width], &grad[row * width..][..width]);
                let scale = inverse_rms(x, self.epsilon);
                let mean =
                    x.iter().zip(grad).zip(weight).map(|((x, grad), weight)| x * grad * weight).sum::<f32>() * scale * scale / width as f32;
                for (channel, grad_x) in grad_x.iter_mut().enumerate() {
                    *grad_x = scale * (grad[channel] * weight[channel] - x[channel] * mean);
                    sums[channel] += grad[channel] * x[channel] * scale;
                }
            }))
        })?;
        Ok((Some(tensor_like(grad_x, x)?), Some(tensor_like(grad_weight, weight)?)))
    }
}

struct GatedRmsNormOp {
    epsilon: f32,
}

impl CustomOp3 for GatedRmsNormOp {
    fn name(&self) -> &'static str {
        "gated_rms_norm"
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
        let (x, gate, weight) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let width = weight.len();
        let y = fill_rows(x.len() / width, width, |row, y| {
            let (x, gate) = (&x[row * width..][..width], &gate[row * width..][..width]);
            let scale = inverse_rms(x, self.epsilon);
            for (channel, y) in y.iter_mut().enumerate() {
                *y = x[channel] * scale * weight[channel] * gate[channel] * sigmoid(gate[channel]);
            }
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
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
        let (width, rows) = group(l3.shape(), l1.shape());
        let scalars = [int(rows), int(width), Float(self.epsilon)];
        card::like_first(Launch::rows("gated_rms_norm", rows, &scalars), &[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        gate: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if card::holds(x) {
            let (width, rows) = group(weight.shape(), x.shape());
            let scalars = [int(rows), int(width), Float(self.epsilon)];
            let launch = Launch::rows("gated_rms_norm_backward", rows, &scalars);
            let [grad_x, grad_gate, inverse] = card::on_tensors(launch, &[x, gate, weight, grad], [x.dims(), x.dims(), &[rows]])?;
            let slabs = Slabs::of(rows, width);
            let launch = slabs.launch("gated_rms_norm_parts", &scalars[..2]);
            let [parts] = card::on_tensors(launch, &[x, gate, grad, &inverse], [&[slabs.parts, width]])?;
            return Ok((Some(grad_x), Some(grad_gate), Some(card::column_sums(&parts)?)));
        }
        let (grad_x, grad_gate, grad_weight) = with_floats([x, gate, weight, grad], |[x, gate, weight, grad]| {
            let width = weight.len();
            Ok(fill_row_pairs_and_sum(x.len() / width, width, width, |row, grad_x, grad_gate, sums| {
                let (x, gate, grad) = (&x[row * width..][..width], &gate[row * width..][..width], &grad[row * width..][..width]);
                let scale = inverse_rms(x, self.epsilon);
                let mut mean = 0.0;
                for channel in 0..width {
                    let open = sigmoid(gate[channel]);
                    let normed = x[channel] * scale;
                    let through = grad[channel] * gate[channel] * open;
                    grad_gate[channel] = grad[channel] * normed * weight[channel] * open * (1.0 + gate[channel] * (1.0 - open));
                    sums[channel] += through * normed;
                    grad_x[channel] = through * weight[channel];
                    mean += grad_x[channel] * x[channel];
                }
                mean *= scale * scale / width as f32;
                for (grad_x, x) in grad_x.iter_mut().zip(x) {
                    *grad_x = scale * (*grad_x - x * mean);
                }
            }))
        })?;
        Ok((Some(tensor_like(grad_x, x)?), Some(tensor_like(grad_gate, gate)?), Some(tensor_like(grad_weight, weight)?)))
    }
}

struct UnitNormOp {
    width: usize,
    scale: f32,
}

impl UnitNormOp {
    const EPSILON: f32 = 1e-6;
}

impl CustomOp1 for UnitNormOp {
    fn name(&self) -> &'static str {
        "unit_norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, width) = (floats(storage, layout)?, self.width);
        let y = fill_rows(x.len() / width, width, |row, y| {
            let x = &x[row * width..][..width];
            let scale = self.scale / (dot(x, x) + Self::EPSILON).sqrt();
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x * scale);
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let rows = layout.shape().elem_count() / self.width;
        let scalars = [int(rows), int(self.width), Float(self.scale), Float(Self::EPSILON)];
        card::like_first(Launch::rows("unit_norm", rows, &scalars), &[(storage, layout)])
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = self.width;
        if card::holds(x) {
            let rows = x.elem_count() / width;
            let scalars = [int(rows), int(width), Float(self.scale), Float(Self::EPSILON)];
            let [grad_x] = card::on_tensors(Launch::rows("unit_norm_backward", rows, &scalars), &[x, grad], [x.dims()])?;
            return Ok(Some(grad_x));
        }
        let grad_x = with_floats([x, grad], |[x, grad]| {
            Ok(fill_rows(x.len() / width, width, |row, grad_x| {
                let (x, grad) = (&x[row * width..][..width], &grad[row * width..][..width]);
                let inverse = 1.0 / (dot(x, x) + Self::EPSILON).sqrt();
                let along = dot(x, grad) * inverse * inverse;
                for ((grad_x, x), grad) in grad_x.iter_mut().zip(x).zip(grad) {
                    *grad_x = self.scale * inverse * (grad - x * along);
                }
            }))
        })?;
        Ok(Some(tensor_like(grad_x, x)?))
    }
}

//! The feed-forward network: SwiGLU.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{
    ModelError,
    card::{self, Launch, int},
    functions::sigmoid,
    graph,
    kernel::{fill_row_pairs_and_sum, fill_rows, floats, tensor_like, with_floats},
    linear::Linear,
    parameters::Scope,
};

/// W_down (SiLU(W_gate x) * W_up x).
#[derive(Clone, Debug)]
pub struct SwiGlu {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl SwiGlu {
    /// `scale` multiplies the starting weights of the down-projection.
    pub fn new(scope: &mut Scope<'_>, d_model: usize, width: usize, scale: f64) -> std::result::Result<Self, ModelError> {
        Ok(Self {
            gate: Linear::new(&mut scope.at("gate"), d_model, width, 1.0)?,
            up: Linear::new(&mut scope.at("up"), d_model, width, 1.0)?,
            down: Linear::new(&mut scope.at("down"), width, d_model, scale)?,
        })
    }

    /// [rows, d_model] to the same.
    pub fn forward(&self, x: &Tensor) -> std::result::Result<Tensor, ModelError> {
        self.down.forward(&graph::apply2(&self.gate.forward(x)?, &self.up.forward(x)?, SwiGluOp)?)
    }
}

/// SiLU(gate) * up.
struct SwiGluOp;

impl CustomOp2 for SwiGluOp {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (floats(s1, l1)?, floats(s2, l2)?);
        let (rows, width) = l1.shape().dims2()?;
        let y = fill_rows(rows, width, |row, y| {
            for ((y, gate), up) in y.iter_mut().zip(&gate[row * width..]).zip(&up[row * width..]) {
                *y = gate * sigmoid(*gate) * up;
            }
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        let len = l1.shape().elem_count();
        card::like_first(Launch::each("swiglu", len, &[int(len)]), &[(s1, l1), (s2, l2)])
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if card::holds(gate) {
            let len = gate.elem_count();
            let scalars = [int(len)];
            let launch = Launch::each("swiglu_backward", len, &scalars);
            let [grad_gate, grad_up] = card::on_tensors(launch, &[gate, up, grad], [gate.dims(), up.dims()])?;
            return Ok((Some(grad_gate), Some(grad_up)));
        }
        let (rows, width) = gate.dims2()?;
        let (grad_gate, grad_up, _) = with_floats([gate, up, grad], |[gate, up, grad]| {
            Ok(fill_row_pairs_and_sum(rows, width, 0, |row, grad_gate, grad_up, _| {
                let (gate, up, grad) = (&gate[row * width..][..width], &up[row * width..][..width], &grad[row * width..][..width]);
                for channel in 0..width {
                    let open = sigmoid(gate[channel]);
                    grad_up[channel] = grad[channel] * gate[channel] * open;
                    grad_gate[channel] = grad[channel] * up[channel] * open * (1.0 + gate[channel] * (1.0 - open));
                }
            }))
        })?;
        Ok((Some(tensor_like(grad_gate, gate)?), Some(tensor_like(grad_up, up)?)))
    }
}

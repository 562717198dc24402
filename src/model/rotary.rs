//! Rotary position embedding.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{
    AttentionConfig,
    kernel::{fill_rows, floats, tensor_like, with_floats},
    language_model::Extent,
};

/// Rotates pairs of channels (i, i + n / 2) of the first n by position * base^(-2 i / n).
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Angle per position of each pair.
    frequencies: Vec<f64>,
    head_dim: usize,
}

impl Rotary {
    /// n is `rotary_fraction` of the head, rounded down to an even number.
    pub fn new(config: &AttentionConfig) -> Self {
        let n_pairs = (config.head_dim as f64 * config.rotary_fraction / 2.0) as usize;
        let frequencies = (0..n_pairs).map(|pair| config.rotary_base.powf(-(pair as f64) / n_pairs as f64)).collect();
        Self { frequencies, head_dim: config.head_dim }
    }

    /// Every head of [batch * step, heads * head_dim], the first step being at `position`.
    pub fn forward(&self, x: &Tensor, extent: Extent, position: usize) -> Result<Tensor> {
        let angles = (0..extent.step).flat_map(|step| self.frequencies.iter().map(move |frequency| (position + step) as f64 * frequency));
        let turns = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).collect();
        x.apply_op1(RotaryOp { turns, n_steps: extent.step, n_pairs: self.frequencies.len(), head_dim: self.head_dim })
    }
}

struct RotaryOp {
    turns: Vec<(f32, f32)>, // [step, pair] (cos, sin)
    n_steps: usize,
    n_pairs: usize,
    head_dim: usize,
}

impl RotaryOp {
    /// Rotates by `sense` (1 or -1) times the angle.
    fn turn(&self, x: &[f32], width: usize, sense: f32) -> Vec<f32> {
        fill_rows(x.len() / width, width, |row, y| {
            y.copy_from_slice(&x[row * width..][..width]);
            let turns = &self.turns[row % self.n_steps * self.n_pairs..][..self.n_pairs];
            for head in y.chunks_exact_mut(self.head_dim) {
                let (first, second) = head.split_at_mut(self.n_pairs);
                for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
                    (*a, *b) = (*a * cos - *b * sin * sense, *a * sin * sense + *b * cos);
                }
            }
        })
    }
}

impl CustomOp1 for RotaryOp {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.turn(floats(storage, layout)?, layout.dims()[1], 1.0);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let grad_x = with_floats([grad], |[grad]| Ok(self.turn(grad, width, -1.0)))?;
        Ok(Some(tensor_like(grad_x, x)?))
    }
}

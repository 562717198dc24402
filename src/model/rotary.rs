//! Rotary position embedding.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{
    AttentionConfig,
    card::{self, Launch, Number::Float, int},
    graph,
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
        let turns: Vec<(f32, f32)> = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).collect();
        let n_pairs = self.frequencies.len();
        let on_card = if card::holds(x) && n_pairs > 0 {
            Some(Tensor::from_iter(turns.iter().flat_map(|&(cos, sin)| [cos, sin]), x.device())?)
        } else {
            None
        };
        graph::apply1(x, RotaryOp { turns, on_card, n_steps: extent.step, n_pairs, head_dim: self.head_dim })
    }
}

struct RotaryOp {
    turns: Vec<(f32, f32)>,  // [step, pair] (cos, sin)
    on_card: Option<Tensor>, // the same beside x
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

impl RotaryOp {
    /// What the kernel takes beside the numbers, of which there are `len` in rows of `width`.
    fn scalars(&self, len: usize, width: usize, sense: f32) -> [card::Number; 6] {
        [int(len), int(width), int(self.head_dim), int(self.n_pairs), int(self.n_steps), Float(sense)]
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

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let len = layout.shape().elem_count();
        let scalars = self.scalars(len, layout.dims()[1], 1.0);
        let launch = Launch::each("rotary", len, &scalars);
        match &self.on_card {
            Some(turns) => card::with_storages([turns], |[turns]| card::like_first(launch, &[(storage, layout), turns])),
            // Nothing turns: the kernel never looks at what stands in place of the table.
            None => card::like_first(launch, &[(storage, layout), (storage, layout)]),
        }
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        if card::holds(x) {
            let scalars = self.scalars(x.elem_count(), width, -1.0);
            let launch = Launch::each("rotary", x.elem_count(), &scalars);
            let [grad_x] = card::on_tensors(launch, &[grad, self.on_card.as_ref().unwrap_or(grad)], [x.dims()])?;
            return Ok(Some(grad_x));
        }
        let grad_x = with_floats([grad], |[grad]| Ok(self.turn(grad, width, -1.0)))?;
        Ok(Some(tensor_like(grad_x, x)?))
    }
}

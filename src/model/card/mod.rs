//! The model's own operations on a card: one launcher, and the kernels it launches.
//!
//! With the `cuda` feature the kernels (`kernels.cu`, inside the program) are compiled on the card's machine at their first use;
//! without it every launch says what to rebuild with. Nothing else in `model` knows which of the two it is.
// The only door for the feature inside `model`: operations are types that implement candle's traits for CPU and card at once, so
// the split cannot stand higher.

#[cfg(not(feature = "cuda"))]
mod disabled;
#[cfg(feature = "cuda")]
mod enabled;

#[cfg(not(feature = "cuda"))]
use disabled as backend;
#[cfg(feature = "cuda")]
use enabled as backend;

use candle_core::{CudaStorage, DType, Device, Error, Layout, Result, Shape, Storage, Tensor};

use backend::update;
pub(super) use backend::{on_storages, on_tensors, prepare};

/// Threads of a block where a kernel does not ask for another number.
const THREADS: usize = 256;
/// Rows of a matrix in which kernels that sum over rows take their parts.
const SLABS: usize = 512;

/// One kernel, and how often. Its parameters are the inputs, the outputs, then the scalars.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "read where there are cards"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Launch<'a> {
    /// Its name in `kernels.cu`.
    pub kernel: &'static str,
    /// Blocks.
    pub blocks: usize,
    /// Threads of a block.
    pub threads: usize,
    /// Bytes of shared memory of a block, beyond what the kernel declares.
    pub shared: usize,
    /// What comes after the arrays.
    pub scalars: &'a [Number],
}

/// A number handed to a kernel.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "read where there are cards"))]
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// A size or a choice (`unsigned`).
    Int(u32),
    /// A number to compute with.
    Float(f32),
}

impl<'a> Launch<'a> {
    /// A thread for each of `len` numbers; kernels take `len` as their first scalar.
    pub fn each(kernel: &'static str, len: usize, scalars: &'a [Number]) -> Self {
        Self { kernel, blocks: len.div_ceil(THREADS), threads: THREADS, shared: 0, scalars }
    }

    /// A warp for each of `rows`.
    pub fn rows(kernel: &'static str, rows: usize, scalars: &'a [Number]) -> Self {
        Self { kernel, blocks: rows.div_ceil(THREADS / 32), threads: THREADS, shared: 0, scalars }
    }

    /// A block for each of `rows`.
    pub fn wide_rows(kernel: &'static str, rows: usize, scalars: &'a [Number]) -> Self {
        Self { kernel, blocks: rows, threads: THREADS, shared: 0, scalars }
    }
}

/// A size for a kernel.
pub(super) const fn int(value: usize) -> Number {
    Number::Int(value as u32)
}

/// Whether a tensor lies on a card.
pub(super) fn holds(tensor: &Tensor) -> bool {
    matches!(tensor.device(), Device::Cuda(_))
}

/// One output of the shape of the first input.
pub(super) fn like_first(launch: Launch<'_>, inputs: &[(&CudaStorage, &Layout)]) -> Result<(CudaStorage, Shape)> {
    let shape = inputs[0].1.shape().clone();
    let [output] = on_storages(launch, inputs, [shape.elem_count()])?;
    Ok((output, shape))
}

/// Runs `body` on the storages of some tensors on a card.
pub(super) fn with_storages<const N: usize, R>(
    tensors: [&Tensor; N],
    body: impl FnOnce([(&CudaStorage, &Layout); N]) -> Result<R>,
) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    for (storage, _) in &guards {
        if !matches!(&**storage, Storage::Cuda(_)) {
            return Err(Error::Msg("the operation needs all its tensors on one card".to_owned()));
        }
    }
    body(guards.each_ref().map(|(storage, layout)| match &**storage {
        Storage::Cuda(storage) => (storage, *layout),
        _ => unreachable!("looked at above"),
    }))
}

/// How a matrix [rows, width] is cut for kernels that sum over rows: as many threads as fit side by side in a block, each with a
/// part of the rows. The order of every sum depends on the shape alone.
pub(super) struct Slabs {
    /// Rows of the table of parts.
    pub parts: usize,
    launch: (usize, usize),
}

impl Slabs {
    /// For a matrix of this shape.
    pub fn of(rows: usize, width: usize) -> Self {
        let lanes = (THREADS / width).max(1);
        let blocks = SLABS.min(rows.div_ceil(lanes)).max(1);
        Self { parts: blocks * lanes, launch: (blocks, if width >= THREADS { THREADS } else { lanes * width }) }
    }

    /// The launch of a kernel that fills the table of parts.
    pub fn launch<'a>(&self, kernel: &'static str, scalars: &'a [Number]) -> Launch<'a> {
        Launch { kernel, blocks: self.launch.0, threads: self.launch.1, shared: 0, scalars }
    }
}

/// The sums over the rows of [parts, width].
pub(super) fn column_sums(parts: &Tensor) -> Result<Tensor> {
    let (rows, width) = parts.dims2()?;
    let scalars = [int(rows), int(width)];
    let launch = Launch { kernel: "column_sums", blocks: width.div_ceil(32), threads: 1024, shared: 0, scalars: &scalars };
    let [sums] = on_tensors(launch, &[parts], [&[width]])?;
    Ok(sums)
}

/// Parts in which the squares of one gradient are summed.
const PARTS_OF_SQUARES: usize = 32;

/// The sum of squares of all numbers of some tensors on a card.
pub(crate) fn squares(tensors: &[&Tensor]) -> Result<f64> {
    let Some(first) = tensors.first() else { return Ok(0.0) };
    let parts = Tensor::zeros(tensors.len() * PARTS_OF_SQUARES, DType::F32, first.device())?;
    for (number, tensor) in tensors.iter().enumerate() {
        let scalars = [int(tensor.elem_count()), int(number * PARTS_OF_SQUARES)];
        let launch = Launch { kernel: "squares", blocks: PARTS_OF_SQUARES, threads: THREADS, shared: 0, scalars: &scalars };
        update(launch, &[&parts], &[tensor])?;
    }
    Ok(parts.to_vec1::<f32>()?.into_iter().map(f64::from).sum())
}

/// One update by AdamW on a card of a parameter and its two moments, in place. The numbers: beta1, beta2, scale of the gradient,
/// rate, root, epsilon, decay.
pub(crate) fn adamw(changed: [&Tensor; 3], gradient: &Tensor, numbers: &[f32; 7]) -> Result<()> {
    let len = gradient.elem_count();
    let scalars: Vec<Number> = std::iter::once(int(len)).chain(numbers.iter().copied().map(Number::Float)).collect();
    update(Launch::each("adamw", len, &scalars), &changed, &[gradient])
}

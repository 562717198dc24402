//! The model's own operations on a card: one launcher, and the kernels it launches; and the engine of `memory` on a model's buffers
//! (`recurrence`).
//!
//! With the `cuda` feature the kernels (`kernels.cu`, inside the program) are compiled on the card's machine at their first use;
//! without it every launch says what to rebuild with. Nothing else in `model` knows which of the two it is.
// The only door for the feature inside `model`: operations are types that implement candle's traits for CPU and card at once, so
// the split cannot stand higher.

#[cfg(not(feature = "cuda"))]
mod disabled;
#[cfg(feature = "cuda")]
mod enabled;
#[cfg(feature = "cuda")]
pub(super) mod recurrence;
#[cfg(not(feature = "cuda"))]
#[path = "recurrence_disabled.rs"]
pub(super) mod recurrence;

#[cfg(not(feature = "cuda"))]
use disabled as backend;
#[cfg(feature = "cuda")]
use enabled as backend;

use candle_core::{CudaStorage, Device, Error, Layout, Result, Shape, Storage, Tensor};

use crate::memory::{Dims, HookPoint, Rule};

use backend::addresses;
pub(super) use backend::{on_storages, on_tensors, prepare};

/// The text of the kernels, CUDA C++: `memory::cuda::machine_code` compiles it.
pub const KERNELS: &str = include_str!("kernels.cu");

/// Threads of a block where a kernel does not ask for another number.
const THREADS: usize = 256;
/// Rows of a matrix in which kernels that sum over rows take their parts.
const SLABS: usize = 512;

/// A layer's arrays in one packed tensor, as they are handed to the engine.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "read where there are cards"))]
pub(super) struct CardLayer {
    pub rule: Rule,
    pub dims: Dims,
    /// One after the other.
    pub arrays: Vec<Packed>,
}

/// An array [batch, step, heads, width] in a packed tensor.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "read where there are cards"))]
#[derive(Clone, Copy)]
pub(super) struct Packed {
    pub point: HookPoint,
    /// Its first number.
    pub first: usize,
    pub len: usize,
    pub heads: usize,
    pub width: usize,
}

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

/// The sum of some tensors of one shape on a card, in their order and in one pass.
pub(super) fn sum(parts: &[Tensor]) -> Result<Tensor> {
    let parts = parts.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let addresses = addresses(&parts.iter().collect::<Vec<_>>())?;
    let (shape, len) = (parts[0].dims(), parts[0].elem_count());
    let in_fours = len.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16));
    let table: Vec<u32> = addresses.iter().flat_map(|&address| [address as u32, (address >> 32) as u32]).collect();
    let table = Tensor::new(table, parts[0].device())?;
    let scalars = [int(len), int(parts.len()), int(in_fours.into())];
    let launch = Launch::each("sum_of", if in_fours { len / 4 } else { len }, &scalars);
    let [sum] = on_tensors(launch, &[&table], [shape])?;
    Ok(sum)
}

/// Parts in which the squares of one gradient are summed, as `kernels.cu` has it.
const PARTS_OF_SQUARES: usize = 32;
/// Numbers of a parameter that a block updates, as `kernels.cu` has it.
const NUMBERS_OF_A_BLOCK: usize = 2048;

/// A parameter with its two moments and its gradient, contiguous on one card.
pub(crate) struct Piece<'a> {
    /// What is learnt.
    pub value: &'a Tensor,
    /// The running mean of its gradient, and of the square.
    pub moments: [&'a Tensor; 2],
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// Decay of this update, learning rate included.
    pub decay: f32,
}

/// One update by AdamW of all parameters in place, in three launches whatever their number. The numbers: beta1, beta2, rate, root,
/// epsilon, and the norm beyond which gradients are scaled down. Returns the gradients' common norm, still on the card; if it is not
/// finite nothing changes.
pub(crate) fn adamw(pieces: &[Piece<'_>], numbers: &[f32; 6]) -> Result<Option<Tensor>> {
    let Some(first) = pieces.first() else { return Ok(None) };
    let mut table: Vec<u32> = Vec::new();
    let mut n_blocks = 0;
    for piece in pieces {
        for address in addresses(&[piece.value, piece.moments[0], piece.moments[1], piece.gradient])? {
            table.extend([address as u32, (address >> 32) as u32]);
        }
        let len = piece.gradient.elem_count();
        table.extend([len as u32, n_blocks as u32, piece.decay.to_bits(), 0]);
        n_blocks += len.div_ceil(NUMBERS_OF_A_BLOCK);
    }
    let table = Tensor::new(table, first.value.device())?;
    let n_parts = pieces.len() * PARTS_OF_SQUARES;
    let [parts] = on_tensors(Launch::wide_rows("squares", n_parts, &[]), &[&table], [&[n_parts]])?;
    let [norm] = on_tensors(Launch::wide_rows("gradient_norm", 1, &[int(n_parts)]), &[&parts], [&[1]])?;
    let scalars: Vec<Number> = std::iter::once(int(pieces.len())).chain(numbers.iter().copied().map(Number::Float)).collect();
    let [] = on_tensors(Launch::wide_rows("adamw", n_blocks, &scalars), &[&table, &norm], [])?;
    Ok(Some(norm))
}

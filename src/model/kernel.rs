//! What the custom operations of this model share: reading tensors as slices, and loops over rows on all cores.
//!
//! The residual stream is a matrix [batch * step, channels] throughout, so an operation is a loop over rows.
// Sums over rows are taken block by block in a fixed order, so that gradients do not depend on the number of threads.

use candle_core::{CpuStorage, Error, Layout, Result, Storage, Tensor};
use rayon::prelude::*;

/// Rows that one job takes.
const BLOCK: usize = 64;

/// The numbers of a contiguous tensor on the CPU.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the operation needs contiguous tensors".to_owned()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `body` on the numbers of some contiguous tensors.
pub(super) fn with_floats<const N: usize, R>(tensors: [&Tensor; N], body: impl FnOnce([&[f32]; N]) -> Result<R>) -> Result<R> {
    let tensors: Vec<Tensor> = tensors.into_iter().map(Tensor::contiguous).collect::<Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            return Err(Error::Msg("the operation runs on the CPU only".to_owned()));
        };
        *slice = floats(storage, layout)?;
    }
    body(slices)
}

/// A tensor like `like` that holds these numbers.
pub(super) fn tensor_like(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}

/// Fills a matrix row by row.
pub(super) fn fill_rows(n_rows: usize, width: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = vec![0.0; n_rows * width];
    out.par_chunks_mut((BLOCK * width).max(1)).enumerate().for_each(|(block, rows)| {
        for (offset, row) in rows.chunks_exact_mut(width).enumerate() {
            fill(block * BLOCK + offset, row);
        }
    });
    out
}

/// Fills a matrix row by row, and sums into `n_sums` numbers on the way.
pub(super) fn fill_rows_and_sum(
    n_rows: usize,
    width: usize,
    n_sums: usize,
    fill: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let mut out = vec![0.0; n_rows * width];
    let partial: Vec<Vec<f32>> = out
        .par_chunks_mut((BLOCK * width).max(1))
        .enumerate()
        .map(|(block, rows)| {
            let mut sums = vec![0.0; n_sums];
            for (offset, row) in rows.chunks_exact_mut(width).enumerate() {
                fill(block * BLOCK + offset, row, &mut sums);
            }
            sums
        })
        .collect();
    (out, add_up(partial, n_sums))
}

/// Fills two matrices row by row, and sums into `n_sums` numbers on the way.
pub(super) fn fill_row_pairs_and_sum(
    n_rows: usize,
    width: usize,
    n_sums: usize,
    fill: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (mut first, mut second) = (vec![0.0; n_rows * width], vec![0.0; n_rows * width]);
    let job = (BLOCK * width).max(1);
    let partial: Vec<Vec<f32>> = first
        .par_chunks_mut(job)
        .zip(second.par_chunks_mut(job))
        .enumerate()
        .map(|(block, (first, second))| {
            let mut sums = vec![0.0; n_sums];
            for (offset, (first, second)) in first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width)).enumerate() {
                fill(block * BLOCK + offset, first, second, &mut sums);
            }
            sums
        })
        .collect();
    (first, second, add_up(partial, n_sums))
}

/// The sum of some vectors, in order.
pub(super) fn add_up(partial: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    partial.into_iter().fold(vec![0.0; len], |mut sum, part| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sum
    })
}

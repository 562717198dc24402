//! `z^T z` in one fixed order of additions: the same bits on any processor and any number of threads.
//!
//! BLAS is a little faster, but its bits depend on the machine and on its threads.

// Every entry is one running sum over samples, ascending, of fused multiply-adds. Instruction sets only change how many entries
// are summed side by side. `mul_add` is an instruction in the compiled variants and a slow but equal function elsewhere.

#![expect(clippy::inline_always, reason = "a tile is compiled for an instruction set only where it is inlined")]

use ndarray::Array2;
use rayon::prelude::*;

/// Rows of a tile of entries.
const ROWS: usize = 4;
/// Columns of a tile of entries: four registers of AVX-512 for each row.
const COLUMNS: usize = 32;

/// The lower triangle of `z^T z`, row by row; `z` is [sample, column].
pub(super) fn lower(z: &Array2<f64>) -> Vec<f64> {
    let (n, size) = z.dim();
    // Columns are continued with zeros, so that tiles need no edge.
    let padded = size.next_multiple_of(COLUMNS);
    let mut rows = vec![0.0; n * padded];
    for (to, from) in rows.chunks_exact_mut(padded).zip(z.rows()) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    let bands: Vec<Vec<f64>> = (0..size.div_ceil(ROWS))
        .into_par_iter()
        .map(|band| {
            let top = band * ROWS;
            let mut entries = Vec::with_capacity(ROWS * (top + ROWS));
            let mut tiles = vec![[[0.0; COLUMNS]; ROWS]; (top + ROWS).div_ceil(COLUMNS)];
            for (index, tile) in tiles.iter_mut().enumerate() {
                sum_tile(&rows, padded, top, index * COLUMNS, tile);
            }
            for row in top..(top + ROWS).min(size) {
                entries.extend((0..=row).map(|column| tiles[column / COLUMNS][row - top][column % COLUMNS]));
            }
            entries
        })
        .collect();
    bands.concat()
}

/// Adds up one tile of entries over all samples, with the widest instructions there are.
fn sum_tile(rows: &[f64], padded: usize, top: usize, left: usize, tile: &mut [[f64; COLUMNS]; ROWS]) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has just said that it knows the instructions.
            return unsafe { sum_tile_avx512(rows, padded, top, left, tile) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { sum_tile_avx2(rows, padded, top, left, tile) };
        }
    }
    sum_tile_plain(rows, padded, top, left, tile);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn sum_tile_avx512(rows: &[f64], padded: usize, top: usize, left: usize, tile: &mut [[f64; COLUMNS]; ROWS]) {
    sum_tile_plain(rows, padded, top, left, tile);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn sum_tile_avx2(rows: &[f64], padded: usize, top: usize, left: usize, tile: &mut [[f64; COLUMNS]; ROWS]) {
    sum_tile_plain(rows, padded, top, left, tile);
}

#[inline(always)]
fn sum_tile_plain(rows: &[f64], padded: usize, top: usize, left: usize, tile: &mut [[f64; COLUMNS]; ROWS]) {
    let mut sums = [[0.0_f64; COLUMNS]; ROWS];
    for sample in rows.chunks_exact(padded) {
        let own: &[f64; ROWS] = sample[top..top + ROWS].try_into().expect("rows are padded");
        let others: &[f64; COLUMNS] = sample[left..left + COLUMNS].try_into().expect("columns are padded");
        for (sums, own) in sums.iter_mut().zip(own) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = own.mul_add(*other, *sum);
            }
        }
    }
    *tile = sums;
}

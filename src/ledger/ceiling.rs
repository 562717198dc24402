//! What a linear readout of a memory could get at best, and how its capacity is spent.
//!
//! If values are independent of addresses and the memory is seen with noise, the best linear estimate of value v_i has
//!
//! ```text
//! R2_i(lambda) = u_i^T (U U^T + lambda I)^-1 u_i
//! ```
//!
//! with the rows u_i of U^T what is left of every write. It is the leverage of write i: between 0 and 1, and their sum, the
//! effective degrees of freedom, is at most d_k. In deep layers values do depend on addresses: there it is a reference, not a
//! bound.

use ndarray::{Array2, ArrayView2, Axis};

use super::kernel::Precision;

/// Relative rounding variance of f32, f16 and bf16, and three larger noises: variance of the noise on an entry of the memory over
/// the mean square of its entries.
pub const NOISE_GRID: [f64; 6] = [NOISE_F32, NOISE_F16, NOISE_BF16, 1e-4, 1e-2, 1e-1];
/// A step of the last bit of f32, squared, over 12.
pub const NOISE_F32: f64 = 1.184e-15;
/// The same of f16.
pub const NOISE_F16: f64 = 7.947e-8;
/// The same of bf16.
pub const NOISE_BF16: f64 = 5.086e-6;

/// The ceiling of a linear readout of one memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// The noises it was computed at.
    pub noise: Vec<f64>,
    /// R2_i, [write, noise], in [0, 1].
    pub r2: Array2<f64>,
}

impl Ceiling {
    /// Effective degrees of freedom at each noise: sum of R2, at most d_k.
    pub fn degrees_of_freedom(&self) -> Vec<f64> {
        self.r2.sum_axis(Axis(0)).to_vec()
    }

    /// The share of the capacity that these writes hold, at each noise; `None` where the memory is empty.
    pub fn share(&self, wanted: impl Fn(usize) -> bool) -> Vec<Option<f64>> {
        let sum = |column: ndarray::ArrayView1<f64>| {
            let all = column.sum();
            let part: f64 = column.iter().enumerate().filter(|(write, _)| wanted(*write)).map(|(_, r2)| r2).sum();
            (all > 0.0).then(|| part / all)
        };
        self.r2.columns().into_iter().map(sum).collect()
    }
}

/// The ceiling from what is left of every write, [write, d_k] (see [`Account::left`](super::Account::left)).
///
/// `noise` is relative: lambda = noise tr(U U^T) / d_k, which for values of variance 1 is the mean square of an entry of the
/// memory. What was in memory before the first step is taken as known.
pub fn ceiling<F: Precision>(left: ArrayView2<F>, noise: &[f64]) -> Ceiling {
    let u = left.mapv(Precision::wide);
    let (n_writes, d_k) = u.dim();
    let trace: f64 = u.iter().map(|x| x * x).sum();
    let mut r2 = Array2::zeros((n_writes, noise.len()));
    if trace > 0.0 {
        let (squares, axes) = principal_axes(triangle(u.clone()));
        let along = u.dot(&axes).mapv(|x| x * x);
        for (&noise, mut column) in noise.iter().zip(r2.columns_mut()) {
            let lambda = noise * trace / d_k as f64;
            for (along, r2) in along.rows().into_iter().zip(&mut column) {
                *r2 = along.iter().zip(&squares).map(|(along, square)| if *along > 0.0 { along / (square + lambda) } else { 0.0 }).sum();
            }
        }
    }
    Ceiling { noise: noise.to_vec(), r2 }
}

/// The triangle R of U = Q R by Householder reflections: what is left of U is R^T R = U^T U, without squaring first. U as it is
/// when it has no more rows than columns.
fn triangle(mut u: Array2<f64>) -> Array2<f64> {
    let (n, d) = u.dim();
    if n <= d {
        return u;
    }
    // Columns lie in rows here, so that every reflection runs over contiguous numbers.
    let mut columns = u.t().as_standard_layout().into_owned();
    for k in 0..d {
        let (head, mut tail) = columns.view_mut().split_at(Axis(0), k + 1);
        let pivot = head.row(k);
        let x = pivot.slice(ndarray::s![k..]);
        let norm = x.dot(&x).sqrt();
        if norm == 0.0 {
            continue;
        }
        let mut v = x.to_owned();
        let sign = if v[0] < 0.0 { -1.0 } else { 1.0 };
        v[0] += sign * norm;
        let vv = v.dot(&v);
        for mut other in tail.rows_mut() {
            let mut part = other.slice_mut(ndarray::s![k..]);
            let along = 2.0 * part.dot(&v) / vv;
            part.scaled_add(-along, &v);
        }
        let mut own = columns.row_mut(k);
        own.slice_mut(ndarray::s![k..]).fill(0.0);
        own[k] = -sign * norm;
    }
    u = columns.slice(ndarray::s![.., ..d]).t().to_owned();
    u
}

/// Squared singular values of a matrix, and the axes [d, d] (in columns) in the order of these, by one-sided Jacobi rotations: good
/// to the last bits of each, not only of the largest.
fn principal_axes(matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    const SWEEPS: usize = 30;
    let d = matrix.ncols();
    let mut columns: Vec<Vec<f64>> = matrix.columns().into_iter().map(|column| column.to_vec()).collect();
    let mut axes: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..d {
            for q in p + 1..d {
                let (a, b, across) = (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]), dot(&columns[p], &columns[q]));
                if across.abs() <= 1e-15 * (a * b).sqrt() || across == 0.0 {
                    continue;
                }
                turned = true;
                let zeta = (b - a) / (2.0 * across);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                rotate(&mut columns, p, q, cosine, cosine * tangent);
                rotate(&mut axes, p, q, cosine, cosine * tangent);
            }
        }
        if !turned {
            break;
        }
    }
    let squares = columns.iter().map(|column| dot(column, column)).collect();
    (squares, Array2::from_shape_fn((d, d), |(i, j)| axes[j][i]))
}

fn rotate(rows: &mut [Vec<f64>], p: usize, q: usize, cosine: f64, sine: f64) {
    let (before, after) = rows.split_at_mut(q);
    for (x, y) in before[p].iter_mut().zip(&mut after[0]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

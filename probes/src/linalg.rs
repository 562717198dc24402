//! The one file that calls LAPACK (through ndarray-linalg), and the few helpers on BLAS beside it.
//!
//! Everything is blocked so that nearly all work is matrix products, which ndarray hands to BLAS in either memory order.

use std::ffi::{c_char, c_int};
use std::sync::{Mutex, PoisonError};

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, LinalgScalar, NdFloat, ShapeBuilder, linalg::general_mat_mul, s};
use ndarray_linalg::{CholeskyInto, Diag, Lapack, SolveTriangularInto, UPLO};
use serde::{Deserialize, Serialize};

use crate::ProbeError;

/// f64, or f32 where a fast first pass is polished in f64 afterwards.
pub trait Real: NdFloat + LinalgScalar + Lapack {
    /// Rounds to this precision.
    fn narrow(value: f64) -> Self;
    /// Exact.
    fn widen(self) -> f64;
    /// The larger of two numbers, neither NaN.
    #[must_use]
    fn larger(self, other: Self) -> Self;
    /// e to this power.
    #[must_use]
    fn exponential(self) -> Self;
    /// 1 over it.
    #[must_use]
    fn inverse(self) -> Self;
    /// The lower triangle of `a a^T` [n, n] (`transposed`: of `a^T a`), row by row; `a` is [n, k] (`transposed`: [k, n]).
    fn lower_product(transposed: bool, n: usize, k: usize, a: &[Self], product: &mut [Self]);
    /// Eigenvalues (ascending) of the symmetric matrix whose lower triangle `a` [n, n] holds column by column; leaves the
    /// eigenvectors in `a`, one a column. 0 if it worked (LAPACK's divide and conquer).
    fn eigen_in_place(n: usize, a: &mut [Self], values: &mut [Self]) -> c_int;
}

macro_rules! eigen_in_place {
    ($routine:ident) => {
        fn eigen_in_place(n: usize, a: &mut [Self], values: &mut [Self]) -> c_int {
            assert!(a.len() == n * n && values.len() == n, "shapes as documented");
            let size = n as c_int;
            let (mut work, mut whole) = (vec![0.0; 1], vec![0; 1]);
            let mut info = 0;
            for asks in [true, false] {
                let (n_work, n_whole) = if asks { (-1, -1) } else { (work.len() as c_int, whole.len() as c_int) };
                // SAFETY: the lengths were just checked; a length of -1 only asks for the lengths of the work arrays, which the
                // second call then has.
                unsafe {
                    $routine(
                        c"V".as_ptr(),
                        c"L".as_ptr(),
                        &size,
                        a.as_mut_ptr(),
                        &size.max(1),
                        values.as_mut_ptr(),
                        work.as_mut_ptr(),
                        &n_work,
                        whole.as_mut_ptr(),
                        &n_whole,
                        &mut info,
                    );
                }
                if asks && info == 0 {
                    // The routine says the length as a float, which may be rounded down.
                    (work, whole) = (vec![0.0; (work[0] * 1.001) as usize + 64], vec![0; whole[0] as usize]);
                }
            }
            info
        }
    };
}

impl Real for f32 {
    eigen_in_place!(ssyevd_);

    fn lower_product(transposed: bool, n: usize, k: usize, a: &[Self], product: &mut [Self]) {
        assert!(a.len() == n * k && product.len() == n * n, "shapes as documented");
        let (trans, row) = if transposed { (CBLAS_TRANS, n) } else { (CBLAS_NO_TRANS, k) };
        let (n, k, row) = (n as c_int, k as c_int, row.max(1) as c_int);
        // SAFETY: the lengths were just checked against the sizes that BLAS will read and write; n^2 numbers fit in memory.
        unsafe { cblas_ssyrk(CBLAS_ROW_MAJOR, CBLAS_LOWER, trans, n, k, 1.0, a.as_ptr(), row, 0.0, product.as_mut_ptr(), n.max(1)) };
    }
    fn narrow(value: f64) -> Self {
        value as Self
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn larger(self, other: Self) -> Self {
        self.max(other)
    }
    // Of f32: 2^(integer part) by the exponent's bits and a polynomial for the rest (Cephes' expf, error about 1e-7), in
    // operations that the compiler can do for a whole vector register at once; the library's function is a call a number.
    fn exponential(self) -> Self {
        // Adding and taking away 1.5 * 2^23 rounds to an integer.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let integer = shifted - ROUND;
        let rest = (x - integer * 0.693_359_4) + integer * 2.121_944_4e-4;
        let mut polynomial = 1.987_569_1e-4;
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            polynomial = polynomial * rest + coefficient;
        }
        // The integer stands in the lowest bits of `shifted`: moved up and biased, it is the exponent.
        let power = Self::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        (polynomial * rest * rest + rest + 1.0) * power
    }
    fn inverse(self) -> Self {
        self.recip()
    }
}

impl Real for f64 {
    eigen_in_place!(dsyevd_);

    fn lower_product(transposed: bool, n: usize, k: usize, a: &[Self], product: &mut [Self]) {
        assert!(a.len() == n * k && product.len() == n * n, "shapes as documented");
        let (trans, row) = if transposed { (CBLAS_TRANS, n) } else { (CBLAS_NO_TRANS, k) };
        let (n, k, row) = (n as c_int, k as c_int, row.max(1) as c_int);
        // SAFETY: the lengths were just checked against the sizes that BLAS will read and write; n^2 numbers fit in memory.
        unsafe { cblas_dsyrk(CBLAS_ROW_MAJOR, CBLAS_LOWER, trans, n, k, 1.0, a.as_ptr(), row, 0.0, product.as_mut_ptr(), n.max(1)) };
    }
    fn narrow(value: f64) -> Self {
        value
    }
    fn widen(self) -> f64 {
        self
    }
    fn larger(self, other: Self) -> Self {
        self.max(other)
    }
    fn exponential(self) -> Self {
        self.exp()
    }
    fn inverse(self) -> Self {
        self.recip()
    }
}

/// Rows or columns of a block: large enough for BLAS, small enough that the triangle is worth cutting out.
const BLOCK: usize = 256;

// They are part of the public interface of the OpenBLAS this crate links.
unsafe extern "C" {
    fn openblas_set_num_threads(n_threads: c_int);
    fn openblas_get_num_threads() -> c_int;
    fn cblas_ssyrk(
        order: c_int,
        uplo: c_int,
        trans: c_int,
        n: c_int,
        k: c_int,
        alpha: f32,
        a: *const f32,
        lda: c_int,
        beta: f32,
        c: *mut f32,
        ldc: c_int,
    );
    fn cblas_dsyrk(
        order: c_int,
        uplo: c_int,
        trans: c_int,
        n: c_int,
        k: c_int,
        alpha: f64,
        a: *const f64,
        lda: c_int,
        beta: f64,
        c: *mut f64,
        ldc: c_int,
    );
    fn ssyevd_(
        job: *const c_char,
        uplo: *const c_char,
        n: *const c_int,
        a: *mut f32,
        lda: *const c_int,
        values: *mut f32,
        work: *mut f32,
        n_work: *const c_int,
        whole: *mut c_int,
        n_whole: *const c_int,
        info: *mut c_int,
    );
    fn dsyevd_(
        job: *const c_char,
        uplo: *const c_char,
        n: *const c_int,
        a: *mut f64,
        lda: *const c_int,
        values: *mut f64,
        work: *mut f64,
        n_work: *const c_int,
        whole: *mut c_int,
        n_whole: *const c_int,
        info: *mut c_int,
    );
}

// The numbers of the C interface.
const CBLAS_ROW_MAJOR: c_int = 101;
const CBLAS_NO_TRANS: c_int = 111;
const CBLAS_TRANS: c_int = 112;
const CBLAS_LOWER: c_int = 122;

/// `sum of a_i b_i` in eight running sums, so that the compiler can use vector registers.
pub(crate) fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    let mut sums = [F::zero(); 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).fold(F::zero(), |sum, (&a, &b)| sum + a * b);
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().fold(rest, |sum, &lane| sum + lane)
}

/// `sum of a_i b_i w_i`, likewise.
pub(crate) fn weighted_dot<F: Real>(a: &[F], b: &[F], weights: &[F]) -> F {
    let mut sums = [F::zero(); 16];
    let whole = a.len() - a.len() % 16;
    for ((a, b), weights) in a[..whole].chunks_exact(16).zip(b[..whole].chunks_exact(16)).zip(weights[..whole].chunks_exact(16)) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane] * weights[lane];
        }
    }
    let rest = (whole..a.len()).fold(F::zero(), |sum, i| sum + a[i] * b[i] * weights[i]);
    sums.iter().fold(rest, |sum, &lane| sum + lane)
}

/// In which precision large products are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 as far as that carries, then f64 until the result is as good as f64's.
    #[default]
    Mixed,
    /// f64 from the start.
    Double,
    /// f32 where a fit is large and that carries, unrefined: what other tools give for f32 features. For comparing speed.
    Single,
}

/// While any of these lives, BLAS works on the calling thread only. For loops that are themselves spread over threads, and for
/// results that must not depend on how many threads there are.
#[derive(Debug)]
pub struct OneThread(());

/// How many guards live, and BLAS's threads before the first. The setting belongs to the whole process: a guard that ends must not
/// give threads back to a computation that another one still guards.
static GUARDS: Mutex<(usize, c_int)> = Mutex::new((0, 0));

impl OneThread {
    /// Turns BLAS's own threads off until the last guard is dropped. Take it outside of the parallel loop.
    #[must_use = "BLAS goes back to its threads when the guard is dropped"]
    pub fn new() -> Self {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.0 == 0 {
            // SAFETY: see the declarations.
            unsafe {
                guards.1 = openblas_get_num_threads();
                openblas_set_num_threads(1);
            }
        }
        guards.0 += 1;
        Self(())
    }
}

impl Default for OneThread {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        guards.0 -= 1;
        if guards.0 == 0 {
            // SAFETY: see the declaration.
            unsafe { openblas_set_num_threads(guards.1) };
        }
    }
}

/// `x^T x` [column, column]; half the products of the full matrix.
pub fn gram<F: Real>(x: ArrayView2<F>) -> Array2<F> {
    symmetric_product(x.t())
}

/// `x x^T` [row, row]; half the products of the full matrix.
pub fn kernel<F: Real>(x: ArrayView2<F>) -> Array2<F> {
    symmetric_product(x)
}

fn symmetric_product<F: Real>(a: ArrayView2<F>) -> Array2<F> {
    let (n, k) = a.dim();
    let mut product = Array2::zeros((n, n));
    let numbers = product.as_slice_mut().expect("standard order");
    if let Some(rows) = a.as_slice() {
        F::lower_product(false, n, k, rows, numbers);
    } else if let Some(rows) = a.t().as_slice() {
        F::lower_product(true, n, k, rows, numbers);
    } else {
        let copy = a.as_standard_layout();
        F::lower_product(false, n, k, copy.as_slice().expect("standard order"), numbers);
    }
    mirror(&mut product);
    product
}

/// Copies the lower triangle to the upper, in squares that fit the cache.
fn mirror<F: Real>(square: &mut Array2<F>) {
    let n = square.nrows();
    let side = 64;
    for top in (0..n).step_by(side) {
        for left in (0..=top).step_by(side) {
            for row in top..(top + side).min(n) {
                for column in left..(left + side).min(row) {
                    square[[column, row]] = square[[row, column]];
                }
            }
        }
    }
}

/// A symmetric matrix taken apart: `V diag(values) V^T`.
#[derive(Clone, Debug)]
pub struct Eigen<F: Real> {
    /// Ascending.
    pub values: Array1<F>,
    /// V: the eigenvector of each value, a column each [row, value].
    pub vectors: Array2<F>,
}

impl<F: Real> Eigen<F> {
    /// Of a symmetric matrix. `what` names it in the error.
    pub fn new(symmetric: Array2<F>, what: &'static str) -> Result<Self, ProbeError> {
        let n = symmetric.nrows();
        let mut values = Array1::zeros(n);
        // A symmetric matrix is its own transpose: read column by column or row by row, it is the same.
        let mut numbers = symmetric.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        if F::eigen_in_place(n, &mut numbers, values.as_slice_mut().expect("one run of numbers")) != 0 {
            return Err(ProbeError::NoEigenvalues { what });
        }
        let vectors = Array2::from_shape_vec((n, n).f(), numbers).expect("as many numbers as before");
        Ok(Self { values, vectors })
    }

    /// `V diag(f(values)) V^T b`.
    pub fn apply(&self, f: impl Fn(F) -> F, b: &Array2<F>) -> Array2<F> {
        let mut inside = self.vectors.t().dot(b);
        for (mut row, &value) in inside.rows_mut().into_iter().zip(&self.values) {
            let factor = f(value);
            row.mapv_inplace(|number| number * factor);
        }
        self.vectors.dot(&inside)
    }
}

/// A Cholesky factor `L L^T`, with its diagonal blocks inverted so that solves are matrix products.
#[derive(Clone, Debug)]
pub struct Cholesky<F: Real> {
    lower: Array2<F>,
    diagonal_inverses: Vec<Array2<F>>,
}

impl<F: Real> Cholesky<F> {
    /// Factors a symmetric positive definite matrix. `what` names it in the error.
    pub fn new(symmetric: Array2<F>, what: &'static str) -> Result<Self, ProbeError> {
        let n = symmetric.nrows();
        // A symmetric matrix is its own transpose: seen as column-major, LAPACK takes it as it lies.
        let lower = symmetric.reversed_axes().cholesky_into(UPLO::Lower).map_err(|_| ProbeError::NotPositiveDefinite { what })?;
        let diagonal_inverses = (0..n)
            .step_by(BLOCK)
            .map(|start| {
                let end = (start + BLOCK).min(n);
                let mut block = Array2::zeros((end - start, end - start).f());
                block.assign(&lower.slice(s![start..end, start..end]));
                let mut identity = Array2::zeros((end - start, end - start).f());
                identity.diag_mut().fill(F::one());
                block.solve_triangular_into(UPLO::Lower, Diag::NonUnit, identity).map_err(|_| ProbeError::NotPositiveDefinite { what })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { lower, diagonal_inverses })
    }

    /// `L`.
    pub fn lower(&self) -> ArrayView2<'_, F> {
        self.lower.view()
    }

    /// `L^{-1} b`.
    pub fn forward(&self, mut b: Array2<F>) -> Array2<F> {
        self.forward_in_place(b.view_mut());
        b
    }

    fn forward_in_place(&self, mut b: ArrayViewMut2<F>) {
        let n = self.lower.nrows();
        for (index, start) in (0..n).step_by(BLOCK).enumerate() {
            let end = (start + BLOCK).min(n);
            let (done, mut rest) = b.view_mut().split_at(ndarray::Axis(0), start);
            let mut block = rest.slice_mut(s![..end - start, ..]);
            general_mat_mul(-F::one(), &self.lower.slice(s![start..end, ..start]), &done, F::one(), &mut block);
            let solved = self.diagonal_inverses[index].dot(&block);
            block.assign(&solved);
        }
    }

    /// `L^{-T} b`.
    pub fn backward(&self, mut b: Array2<F>) -> Array2<F> {
        let n = self.lower.nrows();
        for (index, start) in (0..n).step_by(BLOCK).enumerate().collect::<Vec<_>>().into_iter().rev() {
            let end = (start + BLOCK).min(n);
            let (mut head, done) = b.view_mut().split_at(ndarray::Axis(0), end);
            let mut block = head.slice_mut(s![start.., ..]);
            general_mat_mul(-F::one(), &self.lower.slice(s![end.., start..end]).t(), &done, F::one(), &mut block);
            let solved = self.diagonal_inverses[index].t().dot(&block);
            block.assign(&solved);
        }
        b
    }

    /// `(L L^T)^{-1} b`.
    pub fn solve(&self, b: Array2<F>) -> Array2<F> {
        self.backward(self.forward(b))
    }

    /// `L^{-1}`, lower triangular.
    pub fn lower_inverse(&self) -> Array2<F> {
        let n = self.lower.nrows();
        let mut inverse = Array2::zeros((n, n));
        for (index, start) in (0..n).step_by(BLOCK).enumerate() {
            let end = (start + BLOCK).min(n);
            let diagonal = &self.diagonal_inverses[index];
            inverse.slice_mut(s![start..end, start..end]).assign(diagonal);
            if start > 0 {
                let product = self.lower.slice(s![start..end, ..start]).dot(&inverse.slice(s![..start, ..start]));
                general_mat_mul(-F::one(), diagonal, &product, F::zero(), &mut inverse.slice_mut(s![start..end, ..start]));
            }
        }
        inverse
    }
}

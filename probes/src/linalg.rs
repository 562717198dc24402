//! The one file that calls LAPACK (through ndarray-linalg), and the few helpers on BLAS beside it.
//!
//! Everything is blocked so that nearly all work is matrix products, which ndarray hands to BLAS in either memory order.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, LinalgScalar, NdFloat, ShapeBuilder, linalg::general_mat_mul, s};
use ndarray_linalg::{CholeskyInto, Diag, Lapack, SolveTriangularInto, UPLO};

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
}

impl Real for f32 {
    fn narrow(value: f64) -> Self {
        value as Self
    }
    fn widen(self) -> f64 {
        f64::from(self)
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

impl Real for f64 {
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

// SAFETY of both: they are part of the public interface of the OpenBLAS this crate links, take and return plain integers.
unsafe extern "C" {
    fn openblas_set_num_threads(n_threads: std::ffi::c_int);
    fn openblas_get_num_threads() -> std::ffi::c_int;
}

/// While it lives, BLAS works on the calling thread only. For loops that are themselves spread over threads.
#[derive(Debug)]
pub struct OneThread {
    threads_before: std::ffi::c_int,
}

impl OneThread {
    /// Turns BLAS's own threads off until the guard is dropped. Take it outside of the parallel loop.
    #[must_use = "BLAS goes back to its threads when the guard is dropped"]
    pub fn new() -> Self {
        // SAFETY: see the declaration.
        let threads_before = unsafe { openblas_get_num_threads() };
        // SAFETY: see the declaration.
        unsafe { openblas_set_num_threads(1) };
        Self { threads_before }
    }
}

impl Default for OneThread {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        // SAFETY: see the declaration.
        unsafe { openblas_set_num_threads(self.threads_before) };
    }
}

/// `x^T x` [column, column]; only the blocks on and below the diagonal are multiplied.
pub fn gram<F: Real>(x: ArrayView2<F>) -> Array2<F> {
    symmetric_product(x.t())
}

/// `x x^T` [row, row]; only the blocks on and below the diagonal are multiplied.
pub fn kernel<F: Real>(x: ArrayView2<F>) -> Array2<F> {
    symmetric_product(x)
}

fn symmetric_product<F: Real>(a: ArrayView2<F>) -> Array2<F> {
    let n = a.nrows();
    let mut product = Array2::zeros((n, n));
    // Twice the block of the solves: fewer, larger products, and still only 1/8 of the square wasted at n = 4096.
    for start in (0..n).step_by(2 * BLOCK) {
        let end = (start + 2 * BLOCK).min(n);
        let columns = a.slice(s![start..end, ..]);
        general_mat_mul(F::one(), &a.slice(s![start.., ..]), &columns.t(), F::zero(), &mut product.slice_mut(s![start.., start..end]));
    }
    for row in 0..n {
        for column in row + 1..n {
            product[[row, column]] = product[[column, row]];
        }
    }
    product
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

//! What a linear readout asks of its features: their product with weights, and its transpose. Nothing more.

use ndarray::{Array2, ArrayView2};

use crate::linalg::Real;

/// Features [sample, channel] as two products. A matrix is one design; states that are never formed are another.
pub trait Design<F: Real>: Sync {
    /// Samples.
    fn n_samples(&self) -> usize;

    /// Channels of a sample.
    fn n_channels(&self) -> usize;

    /// `X W`: weights [channel, output] to outputs [sample, output].
    fn forward(&self, weights: ArrayView2<F>) -> Array2<F>;

    /// `X^T G`: numbers [sample, output] to [channel, output].
    fn adjoint(&self, outputs: ArrayView2<F>) -> Array2<F>;
}

impl<F: Real> Design<F> for ArrayView2<'_, F> {
    fn n_samples(&self) -> usize {
        self.nrows()
    }

    fn n_channels(&self) -> usize {
        self.ncols()
    }

    fn forward(&self, weights: ArrayView2<F>) -> Array2<F> {
        self.dot(&weights)
    }

    fn adjoint(&self, outputs: ArrayView2<F>) -> Array2<F> {
        self.t().dot(&outputs)
    }
}

//! Random numbers that the standard crates leave to others.

use ndarray::Array2;
use rand::{Rng, RngExt};

/// Standard normal numbers (Box and Muller), [row, column].
pub(crate) fn normals(rows: usize, columns: usize, random: &mut impl Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || {
        let radius = (-2.0 * random.random::<f64>().max(f64::MIN_POSITIVE).ln()).sqrt();
        radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
    })
}

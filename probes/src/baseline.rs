//! Features so poor that a readout of memory content must beat them.

use ndarray::{Array2, Axis};

/// The norm of every sample's features, alone: [sample, 1]. What a readout gets from "how full" a memory is.
pub fn norm_only(features: &Array2<f64>) -> Array2<f64> {
    features.map_axis(Axis(1), |row| row.dot(&row).sqrt()).insert_axis(Axis(1))
}

/// Indicator vectors of a token (or any other symbol) per sample, [sample, symbol in `0..n_symbols`]: the input alone,
/// without any memory. Symbols outside the range stand for "none of these".
pub fn input_only(symbols: &[usize], n_symbols: usize) -> Array2<f64> {
    let mut features = Array2::zeros((symbols.len(), n_symbols));
    for (sample, &symbol) in symbols.iter().enumerate().filter(|(_, symbol)| **symbol < n_symbols) {
        features[[sample, symbol]] = 1.0;
    }
    features
}

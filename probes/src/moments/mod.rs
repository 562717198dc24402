//! Sums that stand for samples: number, means and centred products, which merge exactly like the samples they came from.
//!
//! A ridge readout needs nothing of its samples but these, so samples may lie on many machines (Chan, Golub and LeVeque 1979,
//! updating formulae for sample variances). Every operation is done in one fixed order, fused multiply-adds included, whatever the
//! number of threads and whatever the processor: the same samples and the same merges give the same bits everywhere.

mod products;

use ndarray::{Array1, Array2, ArrayView2};

/// Number, mean and centred products of samples with `n_columns` columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Lower triangle of the sum of `(z - mean)(z - mean)^T`, row by row.
    scatter: Vec<f64>,
}

/// Entries of the lower triangle of a square matrix of this size.
pub const fn triangle(size: usize) -> usize {
    size * (size + 1) / 2
}

impl Moments {
    /// Of no samples.
    pub fn empty(n_columns: usize) -> Self {
        Self { count: 0, mean: vec![0.0; n_columns], scatter: vec![0.0; triangle(n_columns)] }
    }

    /// Of samples [sample, column], centred by their own mean before any product.
    pub fn of(samples: ArrayView2<f64>) -> Self {
        let (n, columns) = samples.dim();
        if n == 0 {
            return Self::empty(columns);
        }
        let mut mean = vec![0.0; columns];
        for row in samples.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        let mut centred = samples.to_owned();
        for mut row in centred.rows_mut() {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
        Self { count: n as u64, mean, scatter: products::lower(&centred) }
    }

    /// From what was stored: `scatter` is the lower triangle, row by row.
    ///
    /// `None` if the lengths contradict each other.
    pub fn from_parts(count: u64, mean: Vec<f64>, scatter: Vec<f64>) -> Option<Self> {
        (scatter.len() == triangle(mean.len())).then_some(Self { count, mean, scatter })
    }

    /// Samples.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Columns of a sample.
    pub fn n_columns(&self) -> usize {
        self.mean.len()
    }

    /// Means, \[column\].
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The lower triangle of the centred products, row by row.
    pub fn scatter(&self) -> &[f64] {
        &self.scatter
    }

    /// Those of these samples and of those of `later` together.
    ///
    /// To rounding this does not depend on how samples were cut; to the bit it depends on the order, so merge in a fixed one.
    ///
    /// # Panics
    /// If the columns differ in number.
    #[must_use]
    pub fn merged(self, later: &Self) -> Self {
        assert_eq!(self.n_columns(), later.n_columns(), "sums of the same columns");
        if later.count == 0 {
            return self;
        }
        if self.count == 0 {
            return later.clone();
        }
        let (a, b) = (self.count as f64, later.count as f64);
        let step: Vec<f64> = self.mean.iter().zip(&later.mean).map(|(own, other)| other - own).collect();
        let (share, weight) = (b / (a + b), a * b / (a + b));
        let Self { count, mut mean, mut scatter } = self;
        mean.iter_mut().zip(&step).for_each(|(mean, step)| *mean += share * step);
        let mut start = 0;
        for (row, own) in step.iter().enumerate() {
            let (end, weighted) = (start + row + 1, weight * own);
            let (sums, others) = (&mut scatter[start..end], &later.scatter[start..end]);
            for ((sum, other), step) in sums.iter_mut().zip(others).zip(&step) {
                *sum += other + weighted * step;
            }
            start = end;
        }
        Self { count: count + later.count, mean, scatter }
    }

    /// The centred products of some columns with others, [row, column].
    pub fn products(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Array2<f64> {
        let (top, left) = (rows.start, columns.start);
        Array2::from_shape_fn((rows.len(), columns.len()), |(row, column)| {
            let (row, column) = (top + row, left + column);
            let (low, high) = (row.min(column), row.max(column));
            self.scatter[triangle(high) + low]
        })
    }

    /// The sum of the centred squares of some columns.
    pub fn squares(&self, columns: std::ops::Range<usize>) -> f64 {
        columns.map(|column| self.scatter[triangle(column) + column]).sum()
    }

    /// Means of some columns.
    pub fn means(&self, columns: std::ops::Range<usize>) -> Array1<f64> {
        Array1::from_iter(self.mean[columns].iter().copied())
    }
}

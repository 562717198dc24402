//! What a readout is fitted on: features, targets and the group of every sample, checked once.

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayView2, Axis};

use crate::ProbeError;

/// What a readout is to predict.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class per sample.
    Classes {
        /// In `0..n_classes`, one per sample.
        labels: Vec<usize>,
        /// How many classes there are, seen or not.
        n_classes: usize,
    },
    /// One vector per sample, [sample, target].
    Vectors(Array2<f64>),
}

impl Targets {
    /// Class labels in `0..n_classes`.
    pub fn classes(labels: Vec<usize>, n_classes: usize) -> Result<Self, ProbeError> {
        match labels.iter().position(|&class| class >= n_classes) {
            Some(sample) => Err(ProbeError::Class { sample, class: labels[sample], n_classes }),
            None => Ok(Self::Classes { labels, n_classes }),
        }
    }

    /// One number per sample.
    pub fn scalars(values: &[f64]) -> Self {
        Self::Vectors(Array2::from_shape_fn((values.len(), 1), |(sample, _)| values[sample]))
    }

    /// Samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Vectors(vectors) => vectors.nrows(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vectors; classes as indicator vectors [sample, class].
    pub fn as_vectors(&self) -> Array2<f64> {
        match self {
            Self::Vectors(vectors) => vectors.clone(),
            Self::Classes { labels, n_classes } => {
                let mut indicators = Array2::zeros((labels.len(), *n_classes));
                for (sample, &class) in labels.iter().enumerate() {
                    indicators[[sample, class]] = 1.0;
                }
                indicators
            }
        }
    }

    /// The targets of these samples, in this order.
    #[must_use]
    pub fn select(&self, samples: &[usize]) -> Self {
        match self {
            Self::Classes { labels, n_classes } => {
                Self::Classes { labels: samples.iter().map(|&sample| labels[sample]).collect(), n_classes: *n_classes }
            }
            Self::Vectors(vectors) => Self::Vectors(vectors.select(Axis(0), samples)),
        }
    }

    pub(crate) fn check_finite(&self) -> Result<(), ProbeError> {
        match self {
            Self::Classes { .. } => Ok(()),
            Self::Vectors(vectors) => check_finite("a target", vectors.view()),
        }
    }
}

/// Features [sample, channel], targets, and the group (the sequence) each sample was taken from.
#[derive(Clone, Debug)]
pub struct Samples {
    features: Array2<f64>,
    targets: Targets,
    groups: Vec<u64>,
}

impl Samples {
    /// Checks lengths and that every number is finite.
    pub fn new(features: Array2<f64>, targets: Targets, groups: Vec<u64>) -> Result<Self, ProbeError> {
        let wanted = features.nrows();
        if wanted == 0 {
            return Err(ProbeError::Empty);
        }
        if targets.len() != wanted {
            return Err(ProbeError::Length { what: "the targets", found: targets.len(), wanted });
        }
        if groups.len() != wanted {
            return Err(ProbeError::Length { what: "the list of groups", found: groups.len(), wanted });
        }
        check_finite("a feature", features.view())?;
        targets.check_finite()?;
        Ok(Self { features, targets, groups })
    }

    /// [sample, channel].
    pub const fn features(&self) -> &Array2<f64> {
        &self.features
    }

    /// One per sample.
    pub const fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The group of each sample.
    pub fn groups(&self) -> &[u64] {
        &self.groups
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Never: samples are not made without any.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many different groups there are.
    pub fn n_groups(&self) -> usize {
        self.groups.iter().collect::<BTreeSet<_>>().len()
    }

    /// These samples, in this order.
    #[must_use]
    pub fn select(&self, samples: &[usize]) -> Self {
        Self {
            features: self.features.select(Axis(0), samples),
            targets: self.targets.select(samples),
            groups: samples.iter().map(|&sample| self.groups[sample]).collect(),
        }
    }
}

pub(crate) fn check_finite(what: &'static str, array: ArrayView2<f64>) -> Result<(), ProbeError> {
    // Nearly always all is well, and a plain pass over the numbers is quickest.
    if array.as_slice_memory_order().is_some_and(all_finite) {
        return Ok(());
    }
    match array.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((sample, column), &value)) => Err(ProbeError::NotFinite { what, value, sample, column }),
        None => Ok(()),
    }
}

/// In chunks without an early way out, so that the compiler can use vector registers.
fn all_finite(numbers: &[f64]) -> bool {
    numbers.chunks(1024).all(|chunk| chunk.iter().fold(true, |all, number| all & number.is_finite()))
}

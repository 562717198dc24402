//! Splits by group: no sequence ever stands on both sides.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::ProbeError;

/// One split of the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Samples the readout is fitted on, ascending.
    pub train: Vec<usize>,
    /// Samples it is judged by, ascending.
    pub test: Vec<usize>,
}

/// A partition of the samples into test parts, each predicted by a readout fitted on the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    folds: Vec<Fold>,
}

impl Folds {
    /// Deals the groups at random into `n_folds` test parts of nearly equal numbers of groups.
    ///
    /// The same groups and seed give the same folds, whatever the order of the samples.
    pub fn by_group(groups: &[u64], n_folds: usize, seed: u64) -> Result<Self, ProbeError> {
        if n_folds < 2 {
            return Err(ProbeError::Parameter { parameter: "the number of folds", value: n_folds as f64, range: "at least 2" });
        }
        let mut distinct: Vec<u64> = groups.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if distinct.len() < n_folds {
            return Err(ProbeError::TooFewGroups { found: distinct.len(), purpose: "the folds asked for", needed: n_folds });
        }
        distinct.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let fold_of: BTreeMap<u64, usize> = distinct.into_iter().enumerate().map(|(index, group)| (group, index % n_folds)).collect();
        let folds = (0..n_folds)
            .map(|fold| {
                let (test, train) = (0..groups.len()).partition(|&sample| fold_of[&groups[sample]] == fold);
                Fold { train, test }
            })
            .collect();
        Self::from_folds(folds, groups)
    }

    /// Folds made elsewhere; refused when a group stands on both sides of one.
    pub fn from_folds(folds: Vec<Fold>, groups: &[u64]) -> Result<Self, ProbeError> {
        for fold in &folds {
            check_disjoint(groups, &fold.train, &fold.test)?;
        }
        Ok(Self { folds })
    }

    /// The folds.
    pub fn iter(&self) -> std::slice::Iter<'_, Fold> {
        self.folds.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.folds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.folds.is_empty()
    }

    /// The fold that tests each of `n_samples` samples.
    pub fn test_fold_of(&self, n_samples: usize) -> Vec<usize> {
        let mut fold_of = vec![0; n_samples];
        for (index, fold) in self.folds.iter().enumerate() {
            for &sample in &fold.test {
                fold_of[sample] = index;
            }
        }
        fold_of
    }
}

impl<'a> IntoIterator for &'a Folds {
    type Item = &'a Fold;
    type IntoIter = std::slice::Iter<'a, Fold>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Refuses a split that has a group on both sides.
pub fn check_disjoint(groups: &[u64], train: &[usize], test: &[usize]) -> Result<(), ProbeError> {
    let trained: BTreeSet<u64> = train.iter().map(|&sample| groups[sample]).collect();
    match test.iter().map(|&sample| groups[sample]).find(|group| trained.contains(group)) {
        Some(group) => Err(ProbeError::GroupLeakage { group }),
        None => Ok(()),
    }
}

//! Control tasks: what the same readout reaches on targets that memory cannot hold.

use std::collections::BTreeMap;

use rand::{
    RngExt,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{ProbeError, Targets};

/// Hewitt and Liang's control task (arXiv 1909.03368): every control key (say, the key token asked for) is given one class at
/// random, drawn with the class shares of `targets`, and keeps it in all samples.
///
/// A readout that does well on it memorises keys; score minus control score is its *selectivity*.
pub fn control_task(keys: &[u64], targets: &Targets, seed: u64) -> Result<Targets, ProbeError> {
    if keys.len() != targets.len() {
        return Err(ProbeError::Length { what: "the list of control keys", found: keys.len(), wanted: targets.len() });
    }
    if keys.is_empty() {
        return Err(ProbeError::Empty);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // In the order of the keys, not of the samples: the same keys get the same classes in any subset.
    let mut donor: BTreeMap<u64, usize> = keys.iter().map(|&key| (key, 0)).collect();
    for sample in donor.values_mut() {
        *sample = random.random_range(0..keys.len());
    }
    let donors: Vec<usize> = keys.iter().map(|key| donor[key]).collect();
    Ok(targets.select(&donors))
}

/// An exchange of targets between groups: sample `i` gets the target of sample `exchange[i]`.
///
/// Whole groups exchange their targets, in order, with a group of the same number of samples and, where `strata` says so
/// (the fold of each sample), of the same stratum. Under the null that targets have nothing to do with features this leaves
/// everything as it was, dependence inside a group included.
pub fn exchange_between_groups(groups: &[u64], strata: Option<&[usize]>, seed: u64) -> Vec<usize> {
    let blocks = exchangeable_blocks(groups, strata);
    exchange(&blocks, groups.len(), &mut ChaCha8Rng::seed_from_u64(seed))
}

/// Groups as lists of samples, gathered by what they may exchange with.
pub(crate) fn exchangeable_blocks(groups: &[u64], strata: Option<&[usize]>) -> Vec<Vec<Vec<usize>>> {
    let mut by_group: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (sample, &group) in groups.iter().enumerate() {
        by_group.entry(group).or_default().push(sample);
    }
    let mut by_size: BTreeMap<(usize, usize), Vec<Vec<usize>>> = BTreeMap::new();
    for block in by_group.into_values() {
        let stratum = strata.map_or(0, |strata| strata[block[0]]);
        by_size.entry((stratum, block.len())).or_default().push(block);
    }
    by_size.into_values().collect()
}

pub(crate) fn exchange(blocks: &[Vec<Vec<usize>>], n_samples: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut from: Vec<usize> = (0..n_samples).collect();
    for stratum in blocks {
        let mut order: Vec<usize> = (0..stratum.len()).collect();
        order.shuffle(random);
        for (block, donor) in stratum.iter().zip(order) {
            for (&to, &source) in block.iter().zip(&stratum[donor]) {
                from[to] = source;
            }
        }
    }
    from
}

/// The targets exchanged between groups: a readout fitted on them shows what chance looks like, fitting included.
///
/// A group of a size that no other group has takes the targets of another group, repeated or cut short, rather than its own.
pub fn permuted_targets(targets: &Targets, groups: &[u64], seed: u64) -> Targets {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let blocks = exchangeable_blocks(groups, None);
    let mut from = exchange(&blocks, groups.len(), &mut random);
    let all: Vec<&Vec<usize>> = blocks.iter().flatten().collect();
    for alone in blocks.iter().filter(|stratum| stratum.len() == 1).map(|stratum| &stratum[0]) {
        let others: Vec<&&Vec<usize>> = all.iter().filter(|block| **block != alone).collect();
        if let Some(donor) = others.choose(&mut random) {
            for (&to, &source) in alone.iter().zip(donor.iter().cycle()) {
                from[to] = source;
            }
        }
    }
    targets.select(&from)
}

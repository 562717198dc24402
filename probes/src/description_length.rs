//! Online (prequential) description length of labels given features (Voita and Titov, arXiv 2003.12298).
//!
//! How many bits does it take to send the labels to someone who has the features? Labels are sent in blocks of whole groups;
//! each block is coded with what a logistic readout learned from the blocks before. A short code needs a readout that is both
//! good and quickly learned, so it tells a memory that shows its content from one that only lets it be dug out.
//!
//! The penalty is not chosen but mixed: every candidate codes a block, weighted by how well it coded the blocks before (a
//! Bayesian mixture). So nothing is tuned on what is coded, and the sum is the length of a real code.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};

use crate::{LogisticParams, ProbeError, Scaling, Targets, evaluate::rotate, samples::check_finite};

/// How labels are sent.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `portions` | 0.0625, 0.125, 0.25, 0.5, 1 | shares of the groups at which blocks end | ascending, the last 1 |
/// | `penalties` | 1e-3, 1e-2, 1e-1 | of the readouts that are mixed | above 0 |
/// | `seed` | 0 | of the order of groups | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Code {
    /// Shares of the groups at which blocks end.
    pub portions: Vec<f64>,
    /// Of the readouts that are mixed.
    pub penalties: Vec<f64>,
    /// Of the order of groups.
    pub seed: u64,
}

impl Default for Code {
    fn default() -> Self {
        Self { portions: vec![0.0625, 0.125, 0.25, 0.5, 1.0], penalties: vec![1e-3, 1e-2, 1e-1], seed: 0 }
    }
}

/// Lengths in bits a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeLength {
    /// With the features.
    pub bits: f64,
    /// Without features: class shares learned from the blocks before, sent the same way.
    pub bits_by_shares: f64,
    /// Without any knowledge: log2 of the number of classes.
    pub bits_uniform: f64,
    /// The same code for the control task (random classes by key), where it was asked for.
    pub bits_of_control: Option<f64>,
    /// Blocks.
    pub n_blocks: usize,
}

impl CodeLength {
    /// How many times shorter than the uniform code.
    pub fn compression(&self) -> f64 {
        self.bits_uniform / self.bits.max(f64::MIN_POSITIVE)
    }
}

impl Code {
    /// Sends `targets` (classes) given `features` [sample, channel], in blocks of whole groups.
    pub fn length(&self, features: &Array2<f64>, targets: &Targets, groups: &[u64]) -> Result<CodeLength, ProbeError> {
        let Targets::Classes { labels, n_classes } = targets else {
            return Err(ProbeError::TargetKind { readout: "a description length", needed: "classes" });
        };
        if labels.len() != features.nrows() || groups.len() != features.nrows() {
            return Err(ProbeError::Length { what: "the targets", found: labels.len(), wanted: features.nrows() });
        }
        check_finite("a feature", features.view())?;
        let ascending = self.portions.windows(2).all(|pair| pair[0] < pair[1]);
        let last = self.portions.last().copied().unwrap_or(0.0);
        if !ascending || self.portions.first().is_none_or(|first| *first <= 0.0) || (last - 1.0).abs() > 1e-12 {
            return Err(ProbeError::Parameter { parameter: "portions", value: last, range: "ascending, above 0, the last of them 1" });
        }
        let rotated = if features.nrows() < features.ncols() { Some(rotate(features)?) } else { None };
        let features = rotated.as_ref().unwrap_or(features);
        let blocks = self.blocks(groups);
        let uniform = (*n_classes as f64).log2();
        let mut nats = vec![0.0; self.penalties.len()];
        let (mut bits, mut bits_by_shares, mut n_blocks) = (0.0, 0.0, 0);
        let mut sent: Vec<usize> = Vec::new();
        for block in blocks.into_iter().filter(|block| !block.is_empty()) {
            n_blocks += 1;
            if sent.is_empty() {
                bits += uniform * block.len() as f64;
                bits_by_shares += uniform * block.len() as f64;
            } else {
                bits_by_shares += shares_code(&sent, &block, labels, *n_classes);
                let of_penalties = self.block_codes(features, targets, groups, &sent, &block)?;
                // Minus log of the mixture, its weights being the codes so far.
                let before = -log_mean_exp(&nats);
                nats.iter_mut().zip(&of_penalties).for_each(|(sum, code)| *sum += code);
                bits += (-log_mean_exp(&nats) - before) / std::f64::consts::LN_2;
            }
            sent.extend(block);
        }
        let n = labels.len() as f64;
        Ok(CodeLength { bits: bits / n, bits_by_shares: bits_by_shares / n, bits_uniform: uniform, bits_of_control: None, n_blocks })
    }

    /// Samples of each block, groups in random order.
    fn blocks(&self, groups: &[u64]) -> Vec<Vec<usize>> {
        let mut order: Vec<u64> = groups.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        let mut start = 0;
        self.portions
            .iter()
            .map(|portion| {
                let end = ((portion * order.len() as f64).round() as usize).clamp(start, order.len());
                let chosen: BTreeSet<u64> = order[start..end].iter().copied().collect();
                start = end;
                (0..groups.len()).filter(|&sample| chosen.contains(&groups[sample])).collect()
            })
            .collect()
    }

    /// Length in nats of a block by each penalty's readout, learned from what was sent.
    fn block_codes(
        &self,
        features: &Array2<f64>,
        targets: &Targets,
        groups: &[u64],
        sent: &[usize],
        block: &[usize],
    ) -> Result<Vec<f64>, ProbeError> {
        let scaling = Scaling::Isotropic.fit(features.select(Axis(0), sent).view())?;
        let train = scaling.apply(features.select(Axis(0), sent).view());
        let test = scaling.apply(features.select(Axis(0), block).view());
        let train_groups: Vec<u64> = sent.iter().map(|&sample| groups[sample]).collect();
        let Targets::Classes { labels, .. } = targets else { return Ok(Vec::new()) };
        self.penalties
            .iter()
            .map(|&penalty| {
                let params = LogisticParams { penalties: vec![penalty], tolerance: 1e-4, max_iterations: 100, ..LogisticParams::default() };
                let fitted = params.check()?.fit(&train, &targets.select(sent), &train_groups)?;
                let log_probabilities = fitted.log_probabilities(&test);
                Ok(-block.iter().enumerate().map(|(row, &sample)| log_probabilities[[row, labels[sample]]]).sum::<f64>())
            })
            .collect()
    }
}

/// Bits of a block by the class shares of what was sent, half a sample added to each.
fn shares_code(sent: &[usize], block: &[usize], labels: &[usize], n_classes: usize) -> f64 {
    let mut counts = vec![0.5; n_classes];
    sent.iter().for_each(|&sample| counts[labels[sample]] += 1.0);
    let total: f64 = counts.iter().sum();
    -block.iter().map(|&sample| (counts[labels[sample]] / total).log2()).sum::<f64>()
}

/// `ln mean exp(-x)`.
fn log_mean_exp(nats: &[f64]) -> f64 {
    let least = nats.iter().fold(f64::INFINITY, |least, &x| least.min(x));
    (nats.iter().map(|x| (least - x).exp()).sum::<f64>() / nats.len() as f64).ln() - least
}

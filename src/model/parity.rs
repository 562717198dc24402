//! A model on another device beside the same model on the CPU: logits, gradients, carried states, and what is recorded of it.

use candle_core::{D, Device, Tensor};
use ndarray::{ArrayView, Dimension};
use rand_chacha::rand_core::Rng;
use serde::Serialize;

use crate::memory::{Factors, Phase, RecordOptions, Recording, cpu, reference};
use crate::task::random;

use super::{
    AttentionConfig, Config, DeltaConfig, FeedForwardConfig, LanguageModel, MixerKind, ModelError, NoObserver, Observer, config::DecayRate,
    graph::number_of, rows::rows_of, token_tensor,
};

/// How far a model is from its twin on the CPU: |difference| / |CPU|, in the Euclidean norm.
#[derive(Clone, Debug, Serialize)]
pub struct Parity {
    /// Mixers and sizes of the model.
    pub model: String,
    /// Of the logits of all steps.
    pub logits: f64,
    /// Of the logits when the sequence is read in two blocks that carry a state, against the device's own whole sequence.
    pub logits_in_blocks: f64,
    /// The largest one over the gradients of all parameters; of those whose gradient is below a hundredth of all gradients' common
    /// norm (decay rates, whose terms cancel), relative to that.
    pub gradient: f64,
    /// The parameter of that gradient.
    pub worst_parameter: String,
    /// Of outputs, pseudo-values, checkpoints and dense memories that were recorded, against the f64 reference on the factors
    /// recorded with them: the largest one over layers and arrays.
    pub recording: f64,
    /// Things that must be true of bits and are not; empty if all is well.
    pub failures: Vec<String>,
}

/// Which sizes of memories are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// The smallest square ones, and those that are not square.
    Smallest,
    /// Square ones of 32, 64 and 128 too.
    All,
}

/// Largest deviation that rounding in f32 explains in these models.
pub const TOLERANCE: f64 = 2e-3;
/// The same for one memory, from its own factors.
pub const RECORDING_TOLERANCE: f64 = 2e-5;

impl Parity {
    /// Whether rounding explains every deviation.
    pub fn holds(&self) -> bool {
        let model = [self.logits, self.logits_in_blocks, self.gradient].iter().all(|&error| error < TOLERANCE);
        model && self.recording < RECORDING_TOLERANCE && self.failures.is_empty()
    }
}

const VOCABULARY: usize = 50;
/// Below this share of all gradients' common norm a gradient is compared with that share.
const SMALL_GRADIENT: f64 = 0.01;

/// Small models of every mixer, a hybrid, memories that are not square, and a mixture of experts, on `device` and on the CPU, with
/// weights and tokens drawn from `seed`.
pub fn parity(device: &Device, seed: u64, sizes: Sizes) -> Result<Vec<Parity>, ModelError> {
    use MixerKind::{Attention, Deltanet, Eda, Gdn, Gdn2, Kda};
    let dense = FeedForwardConfig::Swiglu { width: 80 };
    let experts = FeedForwardConfig::Moe { experts: 6, top_k: 2, expert_width: 24, shared_width: 40 };
    let mut configs = Vec::new();
    let squares: &[usize] = match sizes {
        Sizes::Smallest => &[32],
        Sizes::All => &[32, 64, 128],
    };
    for &d in squares {
        for pattern in [vec![Eda], vec![Kda], vec![Gdn], vec![Gdn2], vec![Deltanet], vec![Eda, Attention]] {
            configs.push(config(&pattern, (d, d), dense.clone()));
        }
    }
    configs.extend([vec![Eda], vec![Gdn2]].map(|pattern| config(&pattern, (20, 36), dense.clone())));
    configs.extend([vec![Eda], vec![Gdn, Attention]].map(|pattern| config(&pattern, (32, 32), experts.clone())));
    configs.iter().map(|config| compare(config, device, seed)).collect()
}

fn config(pattern: &[MixerKind], (d_k, d_v): (usize, usize), feed_forward: FeedForwardConfig) -> Config {
    Config {
        vocabulary: VOCABULARY,
        d_model: 48,
        n_layers: 2,
        pattern: pattern.to_vec(),
        delta: Some(DeltaConfig {
            key_heads: 1,
            heads: 2,
            d_k,
            d_v,
            convolution_width: 4,
            rank_per_head: 8,
            decay_gate: None,
            decay_rate: DecayRate::PerChannel,
            erase_strength_bias: -1.0,
        }),
        attention: Some(AttentionConfig { heads: 4, key_heads: 2, head_dim: 16, rotary_base: 1000.0, rotary_fraction: 0.75 }),
        feed_forward,
        norm_epsilon: 1e-6,
        tied_embeddings: false,
    }
}

/// What a model is called in a list: mixers, sizes of a memory, experts.
fn name(config: &Config) -> String {
    let sizes = config.delta.as_ref().map_or(String::new(), |delta| format!(" {} x {}", delta.d_k, delta.d_v));
    let experts = match config.feed_forward {
        FeedForwardConfig::Moe { experts, top_k, .. } => format!(", {top_k} of {experts} experts"),
        _ => String::new(),
    };
    format!("{:?}{sizes}{experts}", config.pattern)
}

fn compare(config: &Config, device: &Device, seed: u64) -> Result<Parity, ModelError> {
    // Neither a multiple of what kernels stage at once nor of a warp.
    let (batch, steps) = (3, 77);
    let mut stream = random::stream(seed, "model/parity", 0);
    let mut draw = |below: u64| (stream.next_u64() % below) as u32;
    let tokens: Vec<Vec<u32>> = (0..batch).map(|_| (0..steps).map(|_| draw(VOCABULARY as u64)).collect()).collect();
    let gold: Vec<u32> = (0..batch * steps / 3).map(|_| draw(VOCABULARY as u64)).collect();
    let rows: Vec<u32> = (0..gold.len() as u32).map(|row| 3 * row).collect();

    let run = |device: &Device| {
        let (model, weights) = LanguageModel::new_on(config.clone(), seed, device)?;
        let mut logits = Vec::new();
        let (_, gradients) = model.differentiate(&weights, |model| {
            let hidden = model.hidden(&token_tensor(&tokens)?, None, &mut NoObserver)?;
            logits = numbers(&model.logits(&hidden)?)?;
            let gold = Tensor::new(gold.as_slice(), device)?;
            let asked = model.logits(&rows_of(&hidden, &rows)?)?;
            Ok::<_, ModelError>(number_of(&asked, |asked| candle_nn::loss::cross_entropy(asked, &gold))?)
        })?;
        let mut found = vec![("logits".to_owned(), logits)];
        for (name, var) in &weights {
            let gradient = gradients.get(var.as_tensor()).ok_or_else(|| ModelError::Config(format!("'{name}' has no gradient")))?;
            found.push((name.clone(), numbers(gradient)?));
        }
        Ok::<_, ModelError>((model, found))
    };
    let (_, expected) = run(&Device::Cpu)?;
    let (model, found) = run(device)?;
    let mut worst = (0.0, String::new());
    let common = expected.iter().skip(1).map(|(_, numbers)| norm(numbers).powi(2)).sum::<f64>().sqrt();
    for ((name, expected), (_, found)) in expected.iter().zip(&found).skip(1) {
        let error = deviation(found, expected) * (norm(expected) / (SMALL_GRADIENT * common).max(norm(expected)));
        // A number that is no number is the worst of all.
        if error > worst.0 || error.is_nan() {
            worst = (error, name.clone());
        }
    }
    let frozen = model.frozen()?;
    let (recording, failures) = recorded(&frozen, &tokens[..1])?;
    Ok(Parity {
        model: name(config),
        logits: deviation(&found[0].1, &expected[0].1),
        logits_in_blocks: deviation(&in_blocks(&frozen, &tokens)?, &found[0].1),
        gradient: worst.0,
        worst_parameter: worst.1,
        recording,
        failures,
    })
}

/// Takes everything of every layer.
#[derive(Default)]
struct Everything(Vec<(usize, Factors<f32>, Recording)>);

impl Observer for Everything {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        Some(RecordOptions { pseudo_values: true, checkpoint_every: Some(32), dense: Phase::ALL.to_vec() })
    }

    fn layer(&mut self, layer: usize, factors: Factors<f32>, recording: Recording) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.push((layer, factors, recording));
        Ok(())
    }
}

/// The largest deviation of what is recorded from the reference, and whether watching changes no bit of the logits and dense
/// memories are the replayed ones.
fn recorded(model: &LanguageModel, tokens: &[Vec<u32>]) -> Result<(f64, Vec<String>), ModelError> {
    let tokens = token_tensor(tokens)?;
    let mut seen = Everything::default();
    let watched = numbers(&model.forward(&tokens, None, &mut seen)?)?;
    let mut failures = Vec::new();
    if watched != numbers(&model.forward(&tokens, None, &mut NoObserver)?)? {
        failures.push("logits change when memories are watched".to_owned());
    }
    let mut largest = 0.0_f64;
    for (layer, factors, recording) in seen.0 {
        if cpu::replay(&factors.lower(), &recording, &Phase::ALL) != recording.dense {
            failures.push(format!("layer {layer}: dense memories are not those replayed from checkpoints and pseudo-values"));
        }
        let expected = reference::run(&factors.cast::<f64>().lower(), &Phase::ALL);
        let mut compare = |found: &[f32], expected: &[f64]| largest = worse(largest, apart(found, expected));
        compare(&flat(recording.output.view()), &flat(expected.output.view()));
        for ((_, found), expected) in recording.pseudo_values.iter().zip(&expected.pseudo_values) {
            compare(&flat(found.view()), &flat(expected.view()));
        }
        for (phase, found) in &recording.dense {
            compare(&flat(found.view()), &flat(expected.memory[phase].view()));
        }
        compare(&flat(recording.final_memory.view()), &flat(expected.final_memory.view()));
    }
    Ok((largest, failures))
}

fn flat<F: Copy, D: Dimension>(array: ArrayView<F, D>) -> Vec<F> {
    array.iter().copied().collect()
}

/// The greater of two; what is no number is the greatest.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) }
}

/// Logits of all steps, read in two blocks.
fn in_blocks(model: &LanguageModel, tokens: &[Vec<u32>]) -> Result<Vec<f32>, ModelError> {
    let mut state = model.state();
    let cut = tokens[0].len() / 3;
    let mut part = |from: usize, to: usize| {
        let block: Vec<Vec<u32>> = tokens.iter().map(|tokens| tokens[from..to].to_vec()).collect();
        model.forward(&token_tensor(&block)?, Some(&mut state), &mut NoObserver)
    };
    let parts = [part(0, cut)?, part(cut, tokens[0].len())?];
    numbers(&Tensor::cat(&parts, D::Minus2)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

fn norm(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

fn deviation(found: &[f32], expected: &[f32]) -> f64 {
    apart(found, &expected.iter().map(|&x| f64::from(x)).collect::<Vec<_>>())
}

/// |found - expected| / |expected|.
fn apart(found: &[f32], expected: &[f64]) -> f64 {
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
    difference / norm(&mut expected.iter().copied()).max(1e-30)
}

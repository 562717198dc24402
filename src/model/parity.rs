//! A model on another device beside the same model on the CPU: logits, gradients and carried states.

use candle_core::{D, Device, Tensor};
use rand_chacha::rand_core::Rng;
use serde::Serialize;

use crate::task::random;

use super::{
    AttentionConfig, Config, DeltaConfig, FeedForwardConfig, LanguageModel, MixerKind, ModelError, NoObserver, config::DecayRate,
    rows::rows_of, token_tensor,
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
    /// The largest one over the gradients of all parameters.
    pub gradient: f64,
    /// The parameter of that gradient.
    pub worst_parameter: String,
}

/// Largest deviation that rounding in f32 explains in these models.
pub const TOLERANCE: f64 = 2e-3;

impl Parity {
    /// Whether rounding explains every deviation.
    pub fn holds(&self) -> bool {
        [self.logits, self.logits_in_blocks, self.gradient].iter().all(|&error| error < TOLERANCE)
    }
}

const VOCABULARY: usize = 50;

/// Small models of every mixer and of a hybrid, on `device` and on the CPU, with weights and tokens drawn from `seed`.
pub fn parity(device: &Device, seed: u64) -> Result<Vec<Parity>, ModelError> {
    use MixerKind::{Attention, Deltanet, Eda, Gdn, Gdn2, Kda};
    let mut found = Vec::new();
    for d in [32, 64, 128] {
        for pattern in [vec![Eda], vec![Kda], vec![Gdn], vec![Gdn2], vec![Deltanet], vec![Eda, Attention]] {
            found.push(compare(&config(&pattern, d), device, seed)?);
        }
    }
    Ok(found)
}

fn config(pattern: &[MixerKind], d: usize) -> Config {
    Config {
        vocabulary: VOCABULARY,
        d_model: 48,
        n_layers: 2,
        pattern: pattern.to_vec(),
        delta: Some(DeltaConfig {
            key_heads: 1,
            heads: 2,
            d_k: d,
            d_v: d,
            convolution_width: 4,
            rank_per_head: 8,
            decay_gate: None,
            decay_rate: DecayRate::PerChannel,
            erase_strength_bias: -1.0,
        }),
        attention: Some(AttentionConfig { heads: 4, key_heads: 2, head_dim: 16, rotary_base: 1000.0, rotary_fraction: 0.75 }),
        feed_forward: FeedForwardConfig::Swiglu { width: 80 },
        norm_epsilon: 1e-6,
        tied_embeddings: false,
    }
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
        let hidden = model.hidden(&token_tensor(&tokens)?, None, &mut NoObserver)?;
        let asked = model.logits(&rows_of(&hidden, &rows)?)?;
        let loss = candle_nn::loss::cross_entropy(&asked, &Tensor::new(gold.as_slice(), device)?)?;
        let gradients = loss.backward()?;
        let mut found = vec![("logits".to_owned(), numbers(&model.logits(&hidden)?)?)];
        for (name, var) in &weights {
            let gradient = gradients.get(var.as_tensor()).ok_or_else(|| ModelError::Config(format!("'{name}' has no gradient")))?;
            found.push((name.clone(), numbers(gradient)?));
        }
        Ok::<_, ModelError>((model, found))
    };
    let (_, expected) = run(&Device::Cpu)?;
    let (model, found) = run(device)?;
    let mut worst = (0.0, String::new());
    for ((name, expected), (_, found)) in expected.iter().zip(&found).skip(1) {
        let error = deviation(found, expected);
        // A number that is no number is the worst of all.
        if error > worst.0 || error.is_nan() {
            worst = (error, name.clone());
        }
    }
    Ok(Parity {
        model: format!("{:?} {}", config.pattern, config.delta.as_ref().map_or(0, |delta| delta.d_k)),
        logits: deviation(&found[0].1, &expected[0].1),
        logits_in_blocks: deviation(&in_blocks(&model.frozen()?, &tokens)?, &found[0].1),
        gradient: worst.0,
        worst_parameter: worst.1,
    })
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

fn deviation(found: &[f32], expected: &[f32]) -> f64 {
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut expected.iter().map(|&x| f64::from(x))).max(1e-30)
}

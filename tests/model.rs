//! The model: counts, gradients, observation, decoding, checkpoints.

use std::{collections::BTreeMap, error::Error};

use candle_core::{DType, Device, Tensor, Var};
use pentimento::{
    memory::{Dims, Factors, HookPoint, Phase, RecordOptions, Recording, Rule, reference},
    model::{
        AttentionConfig, Config, DecayGate, DecayRate, DeltaConfig, FeedForwardConfig, LanguageModel, MixerKind, ModelError, NoObserver,
        Observer, Preset, Sizes,
        memory_op::{self, Pack, Part},
        number_of, params, parity, rows_of, token_tensor,
    },
};

fn tiny(pattern: &[MixerKind]) -> Config {
    Config {
        vocabulary: 11,
        d_model: 12,
        n_layers: pattern.len(),
        pattern: pattern.to_vec(),
        delta: Some(DeltaConfig {
            key_heads: 1,
            heads: 2,
            d_k: 4,
            d_v: 6,
            convolution_width: 4,
            rank_per_head: 3,
            decay_gate: None,
            decay_rate: DecayRate::PerChannel,
            erase_strength_bias: -1.0,
        }),
        attention: Some(AttentionConfig { heads: 4, key_heads: 2, head_dim: 6, rotary_base: 100.0, rotary_fraction: 0.7 }),
        feed_forward: FeedForwardConfig::Swiglu { width: 10 },
        norm_epsilon: 1e-6,
        tied_embeddings: false,
    }
}

const MIXERS: [MixerKind; 6] = [MixerKind::Eda, MixerKind::Kda, MixerKind::Gdn, MixerKind::Gdn2, MixerKind::Deltanet, MixerKind::Attention];

fn tokens(batch: usize, step: usize) -> Tensor {
    let tokens: Vec<Vec<u32>> = (0..batch).map(|b| (0..step).map(|t| ((7 * t + 3 * b + t * t * (b + 1)) % 11) as u32).collect()).collect();
    token_tensor(&tokens).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Billions to four digits, as the paper prints them.
fn billions(count: usize) -> String {
    format!("{:.4}", count as f64 / 1e9)
}

/// Presets with total and active parameters in billions, as the paper (arXiv 2606.26560) prints them.
pub const PAPERS_PARAMETERS: [(&str, &str, &str); 7] = [
    ("gdn-2.5b", "2.5035", "2.5035"),
    ("kda-2.5b", "2.5218", "2.5218"),
    ("eda-2.5b", "2.5295", "2.5295"),
    ("gdn2-2.5b", "2.5353", "2.5353"),
    ("gdn-25b-a2.8b", "24.5676", "2.7236"),
    ("kda-25b-a2.8b", "24.6324", "2.7885"),
    ("eda-25b-a2.8b", "24.6558", "2.8119"),
];

#[test]
fn presets_have_the_papers_parameters() {
    for (name, total, active) in PAPERS_PARAMETERS {
        let count = params(name).unwrap();
        assert_eq!((billions(count.total), billions(count.active)), (total.to_owned(), active.to_owned()), "{name}");
    }
}

#[test]
fn the_count_is_that_of_the_model() {
    let mut config = tiny(&MIXERS);
    config.feed_forward = FeedForwardConfig::Moe { experts: 5, top_k: 2, expert_width: 3, shared_width: 4 };
    let count = config.count().unwrap();
    let (model, weights) = LanguageModel::new(config, 1).unwrap();
    let total: usize = weights.values().map(|var| var.elem_count()).sum();
    assert_eq!(count.total, total);
    assert_eq!(count.total - count.active, 6 * 3 * (3 * 12 * 3));
    assert!(model.parameters().keys().eq(weights.keys()));
}

#[test]
fn an_unknown_preset_names_the_known_ones() {
    let message = Preset::find("eda-2b").unwrap_err().to_string();
    assert!(message.contains("eda-2.5b"), "{message}");
}

#[test]
fn same_seed_same_bits() {
    let digest = |seed| LanguageModel::new(tiny(&[MixerKind::Eda]), seed).unwrap().0.weights_digest().unwrap();
    assert_eq!(digest(3), digest(3));
    assert_ne!(digest(3), digest(4));
}

/// Keeps everything it sees.
#[derive(Default)]
struct Watcher {
    seen: BTreeMap<usize, (Factors<f32>, Recording)>,
}

impl Observer for Watcher {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        Some(RecordOptions { pseudo_values: true, checkpoint_every: Some(4), dense: Phase::ALL.to_vec() })
    }

    fn layer(&mut self, layer: usize, factors: Factors<f32>, recording: Recording) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.seen.insert(layer, (factors, recording));
        Ok(())
    }
}

#[test]
fn watching_changes_no_bit() {
    let (model, _) = LanguageModel::new(tiny(&MIXERS), 5).unwrap();
    let tokens = tokens(3, 13);
    let plain = model.forward(&tokens, None, &mut NoObserver).unwrap();
    let mut watcher = Watcher::default();
    let watched = model.forward(&tokens, None, &mut watcher).unwrap();
    let bits = |tensor: &Tensor| numbers(tensor).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&plain), bits(&watched));
    let rules: Vec<Rule> = watcher.seen.values().map(|(factors, _)| factors.rule()).collect();
    assert_eq!(rules, [Rule::Eda, Rule::Kda, Rule::Gdn, Rule::Gdn2, Rule::DeltaNet]);
    for (factors, recording) in watcher.seen.values() {
        assert_eq!(recording.output.dim(), (3, 13, 2, 6));
        assert_eq!(factors.channels(HookPoint::WriteDirection(0)).dim(), (3, 13, 1, 4));
        assert_eq!(recording.dense[&Phase::Write].dim(), (3, 13, 2, 4, 6));
        factors.check_values().unwrap();
    }
}

#[test]
fn a_frozen_model_computes_the_same() {
    let (model, _) = LanguageModel::new(tiny(&MIXERS), 5).unwrap();
    let tokens = tokens(2, 6);
    let logits = |model: &LanguageModel| numbers(&model.forward(&tokens, None, &mut NoObserver).unwrap());
    assert_eq!(logits(&model), logits(&model.frozen().unwrap()));
}

#[test]
fn later_tokens_change_no_earlier_logit() {
    let (model, _) = LanguageModel::new(tiny(&MIXERS), 6).unwrap();
    let tokens = tokens(2, 9);
    let whole = model.forward(&tokens, None, &mut NoObserver).unwrap();
    let half = model.forward(&tokens.narrow(1, 0, 5).unwrap(), None, &mut NoObserver).unwrap();
    assert!(largest_difference(&whole.narrow(1, 0, 5).unwrap(), &half) < 1e-5);
}

#[test]
fn prefill_and_decoding_agree_with_the_whole_sequence() {
    let (model, _) = LanguageModel::new(tiny(&MIXERS), 7).unwrap();
    let tokens = tokens(2, 17);
    let whole = model.forward(&tokens, None, &mut NoObserver).unwrap();
    let largest_logit = numbers(&whole).into_iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    for blocks in [vec![17], vec![1; 17], vec![2, 7, 1, 1, 6]] {
        let mut state = model.state();
        let mut start = 0;
        let parts: Vec<Tensor> = blocks
            .iter()
            .map(|&len| {
                let block = tokens.narrow(1, start, len).unwrap();
                start += len;
                model.forward(&block, Some(&mut state), &mut NoObserver).unwrap()
            })
            .collect();
        assert_eq!(state.position(), 17);
        let difference = largest_difference(&whole, &Tensor::cat(&parts, 1).unwrap());
        assert!(difference < 1e-5 * largest_logit, "{blocks:?}: {difference}");
    }
}

#[test]
fn a_state_keeps_to_its_batch() {
    let (model, _) = LanguageModel::new(tiny(&[MixerKind::Eda]), 7).unwrap();
    let mut state = model.state();
    model.forward(&tokens(2, 3), Some(&mut state), &mut NoObserver).unwrap();
    let error = model.forward(&tokens(1, 3), Some(&mut state), &mut NoObserver).unwrap_err();
    assert!(matches!(error, ModelError::TokenShape { .. }), "{error}");
}

/// A scalar of the logits in which every one has its own weight.
fn loss(model: &LanguageModel, tokens: &Tensor) -> Tensor {
    let logits = model.forward(tokens, None, &mut NoObserver).unwrap();
    let n = logits.elem_count();
    let weights = Tensor::from_iter((0..n).map(|i| ((i as f32) * 0.37).sin()), &Device::Cpu).unwrap().reshape(logits.shape()).unwrap();
    (logits * weights).unwrap().sum_all().unwrap()
}

/// Compares the gradient of every parameter with a central difference along the gradient's own direction, parameter by parameter.
fn check_gradients(config: Config) {
    let name = format!("{:?} {:?}", config.pattern, config.delta.as_ref().and_then(|delta| delta.decay_gate));
    let (model, weights) = LanguageModel::new(config, 9).unwrap();
    let tokens = tokens(2, 7);
    let gradients = loss(&model, &tokens).backward().unwrap();
    for (parameter, var) in &weights {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: no gradient of {parameter}")).clone();
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        assert!(norm.is_finite(), "{name}: {parameter}");
        if norm < 1e-4 {
            continue;
        }
        let direction = (&gradient / f64::from(norm)).unwrap();
        let start = var.as_tensor().copy().unwrap();
        let step = 3e-3;
        let at = |offset: f64| {
            var.set(&(&start + (&direction * offset).unwrap()).unwrap()).unwrap();
            f64::from(loss(&model, &tokens).to_dtype(DType::F32).unwrap().to_scalar::<f32>().unwrap())
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        var.set(&start).unwrap();
        let error = (slope - f64::from(norm)).abs() / (f64::from(norm) + 0.02);
        assert!(error < 0.03, "{name}: {parameter}: gradient {norm}, difference {slope}");
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for mixer in MIXERS {
        check_gradients(tiny(&[mixer]));
    }
}

#[test]
fn gradients_of_every_decay_gate_agree_with_finite_differences() {
    for gate in [DecayGate::Log {}, DecayGate::KdaSigmoid { lower: -3.0 }, DecayGate::Safe { lower: -5.0 }] {
        for rate in [DecayRate::PerChannel, DecayRate::PerHead] {
            let mut config = tiny(&[MixerKind::Eda]);
            config.feed_forward = FeedForwardConfig::None {};
            let delta = config.delta.as_mut().unwrap();
            (delta.decay_gate, delta.decay_rate) = (Some(gate), rate);
            check_gradients(config);
        }
    }
}

#[test]
fn gradients_of_a_mixture_agree_with_finite_differences() {
    let mut config = tiny(&[MixerKind::Deltanet]);
    config.feed_forward = FeedForwardConfig::Moe { experts: 3, top_k: 3, expert_width: 5, shared_width: 4 };
    check_gradients(config);
}

/// Parts of a rule as its mixer packs them, for 2 heads that share a key head.
fn pack(rule: Rule) -> Pack {
    let dims = Dims { batch: 1, step: 5, key_head: 1, head: 2, d_k: 3, d_v: 2 };
    let part = |point, heads, channels| Part { point, heads, channels };
    let mut parts = vec![part(HookPoint::Query, 1, 3), part(HookPoint::WriteDirection(0), 1, 3), part(HookPoint::Value(0), 2, 2)];
    match rule {
        Rule::Eda | Rule::Kda => parts.push(part(HookPoint::Retention, 2, 3)),
        Rule::Gdn => parts.push(part(HookPoint::Retention, 2, 1)),
        Rule::Gdn2 => parts.extend([part(HookPoint::Retention, 1, 3), part(HookPoint::ReadGate, 1, 3), part(HookPoint::ValueGate, 2, 2)]),
        _ => {}
    }
    if rule != Rule::Gdn2 {
        parts.push(part(HookPoint::WriteStrength(0), 2, 1));
    }
    if rule == Rule::Eda {
        parts.extend([part(HookPoint::EraseDirection, 1, 3), part(HookPoint::EraseStrength, 2, 1)]);
    }
    Pack { rule, dims, parts }
}

#[test]
fn the_gradient_of_the_memory_is_that_of_the_reference() {
    for rule in [Rule::Eda, Rule::Kda, Rule::Gdn, Rule::Gdn2, Rule::DeltaNet] {
        let pack = pack(rule);
        // Numbers in (0.1, 0.9) suit gates, and directions need not be of norm 1 here.
        let mut count = 0;
        let mut next = || {
            count += 1;
            0.5 + 0.4 * (f64::from(count) * 1.7).sin()
        };
        let parts: Vec<Vec<f64>> = pack.parts.iter().map(|part| (0..5 * part.heads * part.channels).map(|_| next()).collect()).collect();
        let weight = |index: usize| (index as f64 * 0.61).cos();
        let value = |parts: &[Vec<f64>]| {
            let slices: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
            let run = reference::run(&pack.factors(&slices, None).unwrap().lower(), &[]);
            run.output.iter().enumerate().map(|(index, o)| o * weight(index)).sum::<f64>()
        };
        let vars: Vec<Var> = parts
            .iter()
            .map(|part| Var::from_vec(part.iter().map(|&x| x as f32).collect::<Vec<_>>(), (5, part.len() / 5), &Device::Cpu).unwrap())
            .collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let output = memory_op::outputs(pack.clone(), &tensors).unwrap();
        let weights = Tensor::from_iter((0..20).map(|index| weight(index) as f32), &Device::Cpu).unwrap().reshape((5, 4)).unwrap();
        let loss = (&output * &weights).unwrap().sum_all().unwrap();
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - value(&parts)).abs() < 1e-5);
        let gradients = loss.backward().unwrap();
        for (index, var) in vars.iter().enumerate() {
            for (place, gradient) in numbers(gradients.get(var).unwrap()).into_iter().enumerate() {
                let at = |offset: f64| {
                    let mut moved = parts.clone();
                    moved[index][place] += offset;
                    value(&moved)
                };
                let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
                let error = (slope - f64::from(gradient)).abs();
                assert!(error < 2e-5, "{rule} {} at {place}: gradient {gradient}, difference {slope}", pack.parts[index].point);
            }
        }
    }
}

#[test]
fn decay_gates_are_the_papers() {
    let pre_activations = [-60.0, -7.0, -4.6, -0.3, 0.0, 1.1, 9.0, 80.0];
    let rates: [f64; 8] = [1.0, 2.5, 0.1, 1.0, 16.0, 3.0, 1.0, 1.0];
    for gate in [DecayGate::Log {}, DecayGate::KdaSigmoid { lower: -5.0 }, DecayGate::Safe { lower: -5.0 }] {
        let mut config = tiny(&[MixerKind::Eda]);
        config.delta.as_mut().unwrap().decay_gate = Some(gate);
        let mut parameters = LanguageModel::new(config.clone(), 1).unwrap().0.parameters().clone();
        // Without an input the gate is a function of its bias and rate alone.
        let up = "layers.0.mixer.retention.up.weight";
        parameters.insert(up.to_owned(), parameters[up].zeros_like().unwrap());
        let vector = |values: &[f64]| Tensor::from_iter(values.iter().map(|&x| x as f32), &Device::Cpu).unwrap();
        parameters.insert("layers.0.mixer.retention.dt_bias".to_owned(), vector(&pre_activations));
        parameters.insert("layers.0.mixer.retention.A_log".to_owned(), vector(&rates.map(f64::ln)));
        let model = LanguageModel::from_parameters(config, parameters).unwrap();
        let mut watcher = Watcher::default();
        model.forward(&tokens(1, 1), None, &mut watcher).unwrap();
        let retention = watcher.seen[&0].0.channels(HookPoint::Retention);
        for (channel, (&u, a)) in pre_activations.iter().zip(rates).enumerate() {
            let delta = if u > 40.0 { u } else { u.exp().ln_1p() };
            let g = match gate {
                DecayGate::Log {} => -a * delta,
                DecayGate::KdaSigmoid { lower } => lower / (1.0 + (-a * u).exp()),
                DecayGate::Safe { lower } => lower - lower * (a / lower * delta).exp(),
            };
            let found = f64::from(retention[[0, 0, channel / 4, channel % 4]]);
            assert!((found - g.exp()).abs() < 3e-7, "{gate:?} at {u}: {found} instead of {}", g.exp());
            assert!(found > 0.0 && found <= 1.0);
        }
    }
}

#[test]
fn a_checkpoint_gives_the_same_logits() {
    let directory = tempfile::tempdir().unwrap();
    let (model, _) = LanguageModel::new(tiny(&MIXERS), 11).unwrap();
    model.save(directory.path()).unwrap();
    let loaded = LanguageModel::load(directory.path()).unwrap();
    assert_eq!(loaded.config(), model.config());
    assert_eq!(loaded.weights_digest().unwrap(), model.weights_digest().unwrap());
    let logits = |model: &LanguageModel| numbers(&model.forward(&tokens(1, 5), None, &mut NoObserver).unwrap());
    assert_eq!(logits(&loaded), logits(&model));
    let (trainable, weights) = LanguageModel::load_trainable(directory.path()).unwrap();
    assert_eq!(logits(&trainable), logits(&model));
    assert!(loss(&trainable, &tokens(1, 5)).backward().unwrap().get(&weights["embedding.weight"]).is_some());
}

#[test]
fn a_checkpoint_of_another_config_is_refused_by_tensor() {
    let (model, _) = LanguageModel::new(tiny(&[MixerKind::Eda]), 11).unwrap();
    let bytes = model.to_bytes().unwrap();
    let mut wider = tiny(&[MixerKind::Eda]);
    wider.vocabulary = 12;
    let message = LanguageModel::from_bytes(wider, &bytes).unwrap_err().to_string();
    assert!(message.contains("'embedding.weight' has shape [11, 12]") && message.contains("[12, 12]"), "{message}");
    let message = LanguageModel::from_bytes(tiny(&[MixerKind::Kda]), &bytes).unwrap_err().to_string();
    assert!(message.contains("erase_") || message.contains("retention"), "{message}");
    let message = LanguageModel::from_bytes(tiny(&[MixerKind::Eda, MixerKind::Eda]), &bytes).unwrap_err().to_string();
    assert!(message.contains("layers.1.mixer_norm.weight"), "{message}");
    let message = LanguageModel::from_bytes(tiny(&[MixerKind::Eda]), &bytes[..bytes.len() / 2]).unwrap_err().to_string();
    assert!(message.contains("weights cannot be read"), "{message}");
}

#[test]
fn tokens_beyond_the_vocabulary_are_refused() {
    let (model, _) = LanguageModel::new(tiny(&[MixerKind::Eda]), 11).unwrap();
    let error = model.forward(&token_tensor(&[vec![3, 11]]).unwrap(), None, &mut NoObserver).unwrap_err();
    assert!(matches!(error, ModelError::Token { token: 11, vocabulary: 11 }), "{error}");
}

#[test]
fn a_config_survives_its_file() {
    let config = Preset::find("eda-25b-a2.8b").unwrap().config();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    let error = serde_json::from_str::<Config>(&json.replace("d_model", "d_modl")).unwrap_err().to_string();
    assert!(error.contains("d_modl"), "{error}");
}

#[test]
fn rows_by_number_give_back_every_gradient_to_the_row_it_came_from() {
    let table = Var::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], (3, 2), &Device::Cpu).unwrap();
    let rows = rows_of(table.as_tensor(), &[2, 0, 2]).unwrap();
    assert_eq!(numbers(&rows), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    let weights = Tensor::new(&[[1.0_f32, 10.0], [2.0, 20.0], [4.0, 40.0]], &Device::Cpu).unwrap();
    let gradients = (rows * weights).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(numbers(gradients.get(table.as_tensor()).unwrap()), [2.0, 20.0, 0.0, 0.0, 5.0, 50.0]);
    assert!(rows_of(table.as_tensor(), &[3]).unwrap_err().to_string().contains("row 3 of a table of 3"));
}

#[test]
fn attention_in_blocks_of_queries_equals_attention_at_once() {
    // Long enough that a model without gradients takes its queries in blocks.
    let mut config = tiny(&[MixerKind::Attention]);
    config.attention = Some(AttentionConfig { heads: 2, key_heads: 1, head_dim: 4, rotary_base: 100.0, rotary_fraction: 1.0 });
    let (model, _) = LanguageModel::new(config, 3).unwrap();
    let tokens = tokens(1, 3000);
    let at_once = model.forward(&tokens, None, &mut NoObserver).unwrap();
    let in_blocks = model.frozen().unwrap().forward(&tokens, None, &mut NoObserver).unwrap();
    assert!(largest_difference(&at_once, &in_blocks) < 1e-5);
}

#[test]
fn the_comparison_of_devices_finds_the_processor_equal_to_itself() {
    for model in parity(&Device::Cpu, 1, Sizes::Smallest).unwrap() {
        assert!(model.holds() && model.logits == 0.0 && model.gradient == 0.0, "{model:?}");
    }
}

#[test]
fn gradients_without_candles_graph_are_those_with_it() {
    let mut config = tiny(&MIXERS);
    config.tied_embeddings = true;
    for config in [tiny(&MIXERS), config] {
        let (model, weights) = LanguageModel::new(config, 5).unwrap();
        let gold = Tensor::from_iter((0..18_u32).map(|row| row % 11), &Device::Cpu).unwrap();
        let loss = |model: &LanguageModel| {
            let logits = model.logits(&model.hidden(&tokens(2, 9), None, &mut NoObserver)?)?;
            Ok::<_, ModelError>(number_of(&logits, |logits| candle_nn::loss::cross_entropy(logits, &gold))?)
        };
        let (expected, by_candle) = model.differentiate(&weights, loss).unwrap();
        let (found, gradients) = model.differentiate_recorded(&weights, loss).unwrap();
        assert_eq!(numbers(&found), numbers(&expected));
        for (name, var) in &weights {
            let (found, expected) = (gradients.get(var.as_tensor()).unwrap(), by_candle.get(var.as_tensor()).unwrap());
            let scale = numbers(expected).iter().fold(1e-3_f32, |scale, x| scale.max(x.abs()));
            let error = largest_difference(found, expected);
            assert!(error <= 2e-5 * scale, "{name}: {error} of {scale}");
        }
    }
}

#[test]
fn a_full_card_is_told_what_to_do() {
    let full = || candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".to_owned());
    let errors = [ModelError::from(full()).to_string(), pentimento::train::TrainError::from(full()).to_string()];
    assert!(errors.iter().all(|error| error.contains("fewer or shorter sequences") && error.contains("`batch`")), "{errors:?}");
    assert!(ModelError::from(candle_core::Error::Msg("shapes differ".to_owned())).to_string().contains("shapes differ"));
}

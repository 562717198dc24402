//! The model's door for interventions.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use candle_core::{Tensor, Var};
use ndarray::ArrayD;
use pentimento::{
    memory::{Factors, HookPoint, RecordOptions, Recording, cpu},
    model::{
        Config, DecayRate, DeltaConfig, FeedForwardConfig, GradientSink, Intervene, LanguageModel, MixerKind, NoObserver, Observer,
        token_tensor,
    },
};

pub fn tiny(pattern: &[MixerKind]) -> Config {
    let delta = DeltaConfig {
        key_heads: 2,
        heads: 2,
        d_k: 4,
        d_v: 4,
        convolution_width: 3,
        rank_per_head: 3,
        decay_gate: None,
        decay_rate: DecayRate::PerChannel,
        erase_strength_bias: 0.5,
    };
    Config {
        vocabulary: 13,
        d_model: 12,
        n_layers: pattern.len(),
        pattern: pattern.to_vec(),
        delta: Some(delta),
        attention: None,
        feed_forward: FeedForwardConfig::Swiglu { width: 10 },
        norm_epsilon: 1e-6,
        tied_embeddings: false,
    }
}

fn tokens() -> Tensor {
    token_tensor(&[(0..10).map(|t| (t * t + 3) % 13).collect(), (0..10).map(|t| (5 * t + 1) % 13).collect()]).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Adds a number to one entry of a factor of one layer.
struct Shift {
    layer: usize,
    point: HookPoint,
    index: Vec<usize>,
    by: f32,
    positions: Vec<usize>,
}

impl Intervene for Shift {
    fn run(
        &mut self,
        _layer: usize,
        position: usize,
        factors: &Factors<f32>,
        options: &RecordOptions,
    ) -> Result<Recording, Box<dyn Error + Send + Sync>> {
        self.positions.push(position);
        let mut array = factors.arrays()[&self.point].to_owned();
        array[self.index.as_slice()] += self.by;
        Ok(cpu::record(&factors.with(self.point, array)?.lower(), options))
    }
}

impl Observer for Shift {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        None
    }

    fn layer(&mut self, _layer: usize, _factors: Factors<f32>, _recording: Recording) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn intervention(&mut self, layer: usize) -> Option<&mut dyn Intervene> {
        (layer == self.layer).then_some(self)
    }
}

fn shift(layer: usize, by: f32) -> Shift {
    Shift { layer, point: HookPoint::EraseStrength, index: vec![1, 4, 0], by, positions: vec![] }
}

#[test]
fn an_intervention_that_changes_nothing_changes_no_bit() {
    for mixer in [MixerKind::Eda, MixerKind::Kda] {
        let (model, _) = LanguageModel::new(tiny(&[mixer; 3]), 4).unwrap();
        let plain = numbers(&model.forward(&tokens(), None, &mut NoObserver).unwrap());
        for layer in 0..3 {
            let mut nothing = Shift { point: HookPoint::WriteStrength(0), ..shift(layer, 0.0) };
            assert_eq!(numbers(&model.forward(&tokens(), None, &mut nothing).unwrap()), plain);
            assert_eq!(nothing.positions, [0]);
        }
    }
}

#[test]
fn an_intervention_changes_what_comes_after_it_and_is_told_where_it_stands() {
    let (model, _) = LanguageModel::new(tiny(&[MixerKind::Eda; 2]), 4).unwrap();
    let plain = numbers(&model.forward(&tokens(), None, &mut NoObserver).unwrap());
    let changed = numbers(&model.forward(&tokens(), None, &mut shift(0, 0.3)).unwrap());
    // Sequence 1 from step 4 on.
    let first = (10 + 4) * 13;
    assert_eq!(changed[..first], plain[..first]);
    assert_ne!(changed[first..first + 13], plain[first..first + 13]);
    let mut told = Shift { index: vec![1, 0, 0], ..shift(1, 0.0) };
    let mut state = model.state();
    for from in [0, 6] {
        model.forward(&tokens().narrow(1, from, 10 - from.max(4)).unwrap(), Some(&mut state), &mut told).unwrap();
    }
    assert_eq!(told.positions, [0, 6]);
}

type ByLayer = Arc<Mutex<BTreeMap<usize, BTreeMap<HookPoint, ArrayD<f32>>>>>;

/// Takes gradients of every layer.
struct Sink(ByLayer);

impl Observer for Sink {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        None
    }

    fn layer(&mut self, _layer: usize, _factors: Factors<f32>, _recording: Recording) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn gradient_sink(&self, layer: usize) -> Option<GradientSink> {
        let all = self.0.clone();
        Some(Arc::new(move |gradients| drop(all.lock().unwrap().insert(layer, gradients.clone()))))
    }
}

#[test]
fn gradients_of_factors_are_those_of_small_interventions() {
    let (model, _) = LanguageModel::new(tiny(&[MixerKind::Eda; 2]), 4).unwrap();
    let mut parameters = model.parameters().clone();
    let var = Var::from_tensor(&parameters["embedding.weight"]).unwrap();
    parameters.insert("embedding.weight".to_owned(), var.as_tensor().clone());
    let tracked = LanguageModel::from_parameters(model.config().clone(), parameters).unwrap();
    let pick = |logits: &Tensor| logits.get(1).unwrap().get(9).unwrap().narrow(0, 2, 3).unwrap().sum_all().unwrap();
    let sink = Arc::new(Mutex::new(BTreeMap::new()));
    let logits = tracked.forward(&tokens(), None, &mut Sink(sink.clone())).unwrap();
    assert_eq!(numbers(&logits), numbers(&model.forward(&tokens(), None, &mut NoObserver).unwrap()));
    pick(&logits).backward().unwrap();
    let gradients = sink.lock().unwrap();
    for layer in 0..2 {
        let value = |by| pick(&model.forward(&tokens(), None, &mut shift(layer, by)).unwrap()).to_scalar::<f32>().unwrap();
        let slope = (value(0.02) - value(-0.02)) / 0.04;
        let found = gradients[&layer][&HookPoint::EraseStrength][[1, 4, 0]];
        assert!((slope - found).abs() < 2e-3 * (1.0 + slope.abs()) && slope.abs() > 1e-5, "layer {layer}: {slope} {found}");
    }
}

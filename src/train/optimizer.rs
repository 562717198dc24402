//! AdamW: Adam with decoupled weight decay (arXiv 1711.05101).

use super::TrainError;
use crate::model::Weights;
use candle_core::{Tensor, backprop::GradStore};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWSpec {
    /// Memory of the mean gradient (default 0.9).
    pub beta1: f64,
    /// Memory of the mean squared gradient (default 0.98).
    pub beta2: f64,
    /// Added to the root of the mean square (default 1e-8).
    pub epsilon: f64,
    /// Decay of matrices per unit of learning rate (default 0.01). Vectors (norms, biases, decay rates) do not decay.
    pub weight_decay: f64,
}

impl Default for AdamWSpec {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamWSpec {
    pub(super) fn check(&self) -> Result<(), TrainError> {
        for (setting, beta) in [("optimizer.beta1", self.beta1), ("optimizer.beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(TrainError::setting(setting, beta, "from 0 to below 1"));
            }
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(TrainError::setting("optimizer.epsilon", self.epsilon, "above 0"));
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return Err(TrainError::setting("optimizer.weight_decay", self.weight_decay, "at least 0"));
        }
        Ok(())
    }
}

/// Running means of one parameter's gradient, in the order of its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

/// The optimiser and its state.
#[derive(Clone, Debug)]
pub struct AdamW {
    spec: AdamWSpec,
    /// By name of the parameter.
    pub(super) moments: BTreeMap<String, Moments>,
    /// Updates made so far.
    pub(super) updates: u64,
}

impl AdamW {
    /// An optimiser that has made no update.
    pub fn new(spec: AdamWSpec, weights: &Weights) -> Self {
        let zero = |count| Moments { first: vec![0.0; count], second: vec![0.0; count] };
        let moments = weights.iter().map(|(name, var)| (name.clone(), zero(var.elem_count()))).collect();
        Self { spec, moments, updates: 0 }
    }

    /// One update of all weights; gradients are scaled down to `clip_norm` if their common norm is greater. Returns the norm before.
    /// A norm that is not finite leaves everything as it was.
    pub fn update(&mut self, weights: &Weights, gradients: &GradStore, learning_rate: f64, clip_norm: f64) -> Result<f64, TrainError> {
        let mut found = Vec::new();
        for (name, var) in weights {
            if let Some(gradient) = gradients.get(var.as_tensor()) {
                found.push((name, var, gradient.flatten_all()?.to_vec1::<f32>()?));
            }
        }
        // Summed in order of names: the same bits whatever the threads.
        let squares = found.iter().map(|(_, _, gradient)| gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>());
        let norm = squares.sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        let scale = if norm > clip_norm { clip_norm / norm } else { 1.0 };
        self.updates += 1;
        let step = Step::new(&self.spec, self.updates, learning_rate, scale);
        for (name, var, gradient) in found {
            let moments = self.moments.get_mut(name).expect("moments exist for every weight");
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            let decay = if var.rank() > 1 { learning_rate * self.spec.weight_decay } else { 0.0 };
            values
                .par_iter_mut()
                .zip(&mut moments.first)
                .zip(&mut moments.second)
                .zip(&gradient)
                .with_min_len(4096)
                .for_each(|(((value, first), second), gradient)| step.apply(value, first, second, *gradient, decay as f32));
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        }
        Ok(norm)
    }
}

/// The numbers that all parameters share in one update.
struct Step {
    beta1: f32,
    beta2: f32,
    scale: f32,
    /// Learning rate over the bias of the first mean.
    rate: f32,
    /// 1 / root of the bias of the second mean.
    root: f32,
    epsilon: f32,
}

impl Step {
    fn new(spec: &AdamWSpec, updates: u64, learning_rate: f64, scale: f64) -> Self {
        let bias = |beta: f64| 1.0 - beta.powf(updates as f64);
        Self {
            beta1: spec.beta1 as f32,
            beta2: spec.beta2 as f32,
            scale: scale as f32,
            rate: (learning_rate / bias(spec.beta1)) as f32,
            root: bias(spec.beta2).sqrt().recip() as f32,
            epsilon: spec.epsilon as f32,
        }
    }

    fn apply(&self, value: &mut f32, first: &mut f32, second: &mut f32, gradient: f32, decay: f32) {
        let gradient = gradient * self.scale;
        *first = self.beta1 * *first + (1.0 - self.beta1) * gradient;
        *second = self.beta2 * *second + (1.0 - self.beta2) * gradient * gradient;
        *value -= decay * *value + self.rate * *first / (second.sqrt() * self.root + self.epsilon);
    }
}

//! AdamW: Adam with decoupled weight decay (arXiv 1711.05101).

use super::TrainError;
use crate::model::{Weights, card};
use candle_core::{Device, Tensor, Var, backprop::GradStore};
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

/// Running means of one parameter's gradient and its square, beside the parameter.
#[derive(Clone, Debug)]
pub(super) enum Moments {
    /// In the order of its numbers.
    Host { first: Vec<f32>, second: Vec<f32> },
    /// On a card.
    Card { first: Tensor, second: Tensor },
}

impl Moments {
    /// On the device of their parameter.
    pub fn new(first: Vec<f32>, second: Vec<f32>, device: &Device) -> Result<Self, TrainError> {
        if device.is_cpu() {
            return Ok(Self::Host { first, second });
        }
        Ok(Self::Card { first: Tensor::new(first, device)?, second: Tensor::new(second, device)? })
    }

    /// The numbers of both.
    pub fn numbers(&self) -> Result<[Vec<f32>; 2], TrainError> {
        Ok(match self {
            Self::Host { first, second } => [first.clone(), second.clone()],
            Self::Card { first, second } => [first.to_vec1()?, second.to_vec1()?],
        })
    }
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
    pub fn new(spec: AdamWSpec, weights: &Weights) -> Result<Self, TrainError> {
        let zero = |var: &Var| Moments::new(vec![0.0; var.elem_count()], vec![0.0; var.elem_count()], var.device());
        let moments = weights.iter().map(|(name, var)| Ok((name.clone(), zero(var)?))).collect::<Result<_, TrainError>>()?;
        Ok(Self { spec, moments, updates: 0 })
    }

    /// One update of all weights; gradients are scaled down to `clip_norm` if their common norm is greater. Returns the norm before.
    /// A norm that is not finite leaves everything as it was.
    pub fn update(&mut self, weights: &Weights, gradients: &GradStore, learning_rate: f64, clip_norm: f64) -> Result<f64, TrainError> {
        let mut found = Vec::new();
        for (name, var) in weights {
            if let Some(gradient) = gradients.get(var.as_tensor()) {
                found.push((name, var, gradient.flatten_all()?.contiguous()?));
            }
        }
        let step = Step::new(&self.spec, self.updates + 1, learning_rate);
        let decay = |var: &Var| if var.rank() > 1 { (learning_rate * self.spec.weight_decay) as f32 } else { 0.0 };
        let norm = if found.iter().all(|(_, _, gradient)| gradient.device().is_cpu()) {
            let norm = norm(found.iter().map(|(_, _, gradient)| gradient))?;
            if norm.is_finite() {
                let scale = if norm > clip_norm { (clip_norm / norm) as f32 } else { 1.0 };
                for (name, var, gradient) in found {
                    let Some(Moments::Host { first, second }) = self.moments.get_mut(name) else { return Err(elsewhere(name)) };
                    step.on_host(var, (first, second), &gradient.to_vec1()?, (scale, decay(var)))?;
                }
            }
            norm
        } else {
            let pieces = found.iter().map(|(name, var, gradient)| match self.moments.get(*name) {
                Some(Moments::Card { first, second }) => {
                    Ok(card::Piece { value: var.as_tensor(), moments: [first, second], gradient, decay: decay(var) })
                }
                _ => Err(elsewhere(name)),
            });
            let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
            match card::adamw(&pieces, &step.numbers(clip_norm as f32))? {
                Some(norm) => f64::from(norm.to_vec1::<f32>()?[0]),
                None => 0.0,
            }
        };
        self.updates += u64::from(norm.is_finite());
        Ok(norm)
    }
}

/// Moments that are not where their parameter is.
fn elsewhere(name: &str) -> TrainError {
    candle_core::Error::Msg(format!("the moments of '{name}' are not on the device of its gradient")).into()
}

/// The common norm of gradients on the CPU, summed in their order: the same bits whatever the threads.
fn norm<'a>(gradients: impl Iterator<Item = &'a Tensor>) -> Result<f64, TrainError> {
    let mut squares = 0.0;
    for gradient in gradients {
        squares += gradient.to_vec1::<f32>()?.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
    }
    Ok(squares.sqrt())
}

/// The numbers that all parameters share in one update.
struct Step {
    beta1: f32,
    beta2: f32,
    /// Learning rate over the bias of the first mean.
    rate: f32,
    /// 1 / root of the bias of the second mean.
    root: f32,
    epsilon: f32,
}

impl Step {
    fn new(spec: &AdamWSpec, updates: u64, learning_rate: f64) -> Self {
        let bias = |beta: f64| 1.0 - beta.powf(updates as f64);
        Self {
            beta1: spec.beta1 as f32,
            beta2: spec.beta2 as f32,
            rate: (learning_rate / bias(spec.beta1)) as f32,
            root: bias(spec.beta2).sqrt().recip() as f32,
            epsilon: spec.epsilon as f32,
        }
    }

    /// Scale of the gradient and decay come last.
    fn on_host(
        &self,
        var: &Var,
        (first, second): (&mut Vec<f32>, &mut Vec<f32>),
        gradient: &[f32],
        (scale, decay): (f32, f32),
    ) -> Result<(), TrainError> {
        let mut values = var.flatten_all()?.to_vec1::<f32>()?;
        let numbers = values.par_iter_mut().zip(first).zip(second).zip(gradient).with_min_len(4096);
        numbers.for_each(|(((value, first), second), gradient)| self.apply(value, first, second, *gradient * scale, decay));
        Ok(var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?)
    }

    /// What the kernel on a card takes.
    fn numbers(&self, clip_norm: f32) -> [f32; 6] {
        [self.beta1, self.beta2, self.rate, self.root, self.epsilon, clip_norm]
    }

    fn apply(&self, value: &mut f32, first: &mut f32, second: &mut f32, gradient: f32, decay: f32) {
        *first = self.beta1 * *first + (1.0 - self.beta1) * gradient;
        *second = self.beta2 * *second + (1.0 - self.beta2) * gradient * gradient;
        *value -= decay * *value + self.rate * *first / (second.sqrt() * self.root + self.epsilon);
    }
}

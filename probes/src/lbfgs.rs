//! Limited-memory BFGS with a strong-Wolfe line search (Nocedal and Wright, Numerical Optimization, algorithms 7.4, 3.5, 3.6).

use std::collections::VecDeque;

use crate::linalg::dot;

/// Something to minimise whose value along a line is cheaper than a new gradient.
///
/// The minimiser walks: [`aim`](Objective::aim) sets a direction, [`along`](Objective::along) looks ahead on it,
/// [`advance`](Objective::advance) goes there and returns the gradient.
pub(crate) trait Objective {
    /// Sets the direction to look along.
    fn aim(&mut self, direction: &[f64]);
    /// Value and slope at `step` times the direction.
    fn along(&mut self, step: f64) -> (f64, f64);
    /// Moves by `step` times the direction; the gradient there.
    fn advance(&mut self, step: f64) -> Vec<f64>;
    /// Multiplies by an approximate inverse of the curvature.
    fn precondition(&self, vector: &mut [f64]);
    /// Values closer than this share of themselves may differ by rounding only.
    fn rounding(&self) -> f64;
}

/// Where the minimiser stopped.
pub(crate) struct Outcome {
    pub iterations: usize,
    /// Largest absolute component of the gradient.
    pub gradient_norm: f64,
    pub value: f64,
}

const MEMORY: usize = 10;
const SUFFICIENT_DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

fn add_scaled(to: &mut [f64], scale: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += scale * from;
    }
}

fn largest(vector: &[f64]) -> f64 {
    vector.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()))
}

struct Pair {
    moved: Vec<f64>,
    changed: Vec<f64>,
    inverse_product: f64,
}

/// Minimises from the objective's current point, where it has this value and gradient, until the largest component of the
/// gradient is at most `tolerance`, or no step improves, or after `max_iterations`.
pub(crate) fn minimise(objective: &mut impl Objective, start: (f64, Vec<f64>), tolerance: f64, max_iterations: usize) -> Outcome {
    let (mut value, mut gradient) = start;
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let mut iterations = 0;
    while iterations < max_iterations && largest(&gradient) > tolerance {
        let mut direction = descent(objective, &gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding has spoilt the memory: start it afresh.
            pairs.clear();
            direction = descent(objective, &gradient, &pairs);
            slope = dot(&direction, &gradient);
        }
        objective.aim(&direction);
        let Some((step, new_value)) = wolfe_step(objective, value, slope) else { break };
        let new_gradient = objective.advance(step);
        let changed: Vec<f64> = new_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        for component in &mut direction {
            *component *= step;
        }
        let product = dot(&direction, &changed);
        if product > 1e-12 * dot(&changed, &changed) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { moved: direction, changed, inverse_product: product.recip() });
        }
        value = new_value;
        gradient = new_gradient;
        iterations += 1;
    }
    Outcome { iterations, gradient_norm: largest(&gradient), value }
}

/// Minus the approximate inverse Hessian times the gradient (two-loop recursion).
fn descent(objective: &impl Objective, gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|component| -component).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = pair.inverse_product * dot(&pair.moved, &direction);
        add_scaled(&mut direction, -weight, &pair.changed);
        weights.push(weight);
    }
    objective.precondition(&mut direction);
    if let Some(pair) = pairs.back() {
        // The scale that fits the latest curvature in the preconditioner's metric.
        let mut preconditioned = pair.changed.clone();
        objective.precondition(&mut preconditioned);
        let scale = (pair.inverse_product * dot(&pair.changed, &preconditioned)).recip();
        for component in &mut direction {
            *component *= scale;
        }
    }
    for (pair, weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - pair.inverse_product * dot(&pair.changed, &direction);
        add_scaled(&mut direction, correction, &pair.moved);
    }
    direction
}

/// A point of the line search: step, value, slope.
type Trial = (f64, f64, f64);

/// A step that satisfies the strong Wolfe conditions, and the value there.
fn wolfe_step(objective: &mut impl Objective, value: f64, slope: f64) -> Option<(f64, f64)> {
    // Values closer than this differ by rounding only: near the optimum the slope alone decides.
    let rounding = objective.rounding() * value.abs();
    let decreased = |step: f64, trial: f64| trial <= value + SUFFICIENT_DECREASE * step * slope + rounding;
    let start = (0.0, value, slope);
    let mut previous: Trial = start;
    let mut step = 1.0;
    for round in 0..20 {
        let (trial, trial_slope) = objective.along(step);
        let here = (step, trial, trial_slope);
        if !trial.is_finite() || !decreased(step, trial) || (round > 0 && trial > previous.1 + rounding) {
            return zoom(objective, previous, here, slope, &decreased);
        }
        if trial_slope.abs() <= -CURVATURE * slope {
            return Some((step, trial));
        }
        if trial_slope >= 0.0 {
            return zoom(objective, here, previous, slope, &decreased);
        }
        previous = here;
        step *= 2.0;
    }
    None
}

fn zoom(
    objective: &mut impl Objective,
    mut low: Trial,
    mut high: Trial,
    slope: f64,
    decreased: &dyn Fn(f64, f64) -> bool,
) -> Option<(f64, f64)> {
    for _ in 0..30 {
        let step = between(low, high);
        let (trial, trial_slope) = objective.along(step);
        if !trial.is_finite() || !decreased(step, trial) || trial > low.1 + objective.rounding() * low.1.abs() {
            high = (step, trial, trial_slope);
        } else {
            if trial_slope.abs() <= -CURVATURE * slope {
                return Some((step, trial));
            }
            if trial_slope * (high.0 - low.0) >= 0.0 {
                high = low;
            }
            low = (step, trial, trial_slope);
        }
    }
    // No point satisfies both conditions to rounding: any real decrease will do.
    (low.0 > 0.0 && decreased(low.0, low.1)).then_some((low.0, low.1))
}

/// The minimum of the cubic through both points, kept away from the ends; the middle when there is none.
fn between(low: Trial, high: Trial) -> f64 {
    let (a, fa, da) = low;
    let (b, fb, db) = high;
    let d1 = da + db - 3.0 * (fa - fb) / (a - b);
    let d2 = (b - a).signum() * (d1 * d1 - da * db).sqrt();
    let cubic = b - (b - a) * (db + d2 - d1) / (db - da + 2.0 * d2);
    let (left, right) = (a.min(b), a.max(b));
    let margin = 0.1 * (right - left);
    if cubic.is_finite() { cubic.clamp(left + margin, right - margin) } else { 0.5 * (a + b) }
}

//! The three decay gates, from a layer's pre-activation to a log decay, in plain f64.
//!
//! `rate` is A = exp(A_log) > 0, `u` the pre-activation with its time-step bias, `lower` the bound < 0 of the bounded gates
//! (-5 by default in Erase-then-Delta Attention, arXiv 2606.26560). Retention is `exp` of what they return.

/// ln(1 + exp(u)), without overflow.
pub fn softplus(u: f64) -> f64 {
    u.max(0.0) + (-u.abs()).exp().ln_1p()
}

/// 1 / (1 + exp(-x)).
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Mamba-2 and Gated DeltaNet (arXiv 2412.06464): `g = -A softplus(u)`, unbounded.
pub fn log_gate(rate: f64, u: f64) -> f64 {
    -rate * softplus(u)
}

/// Kimi Delta Attention (arXiv 2510.26692), bounded: `g = lower sigmoid(A u)`, in (lower, 0).
pub fn kda_sigmoid_gate(rate: f64, u: f64, lower: f64) -> f64 {
    lower * sigmoid(rate * u)
}

/// Erase-then-Delta Attention (arXiv 2606.26560): `g = lower + (-lower) exp(-(A / |lower|) softplus(u))`, in (lower, 0].
///
/// Where the decay is weak it is the log gate; the bound sets in smoothly.
pub fn eda_safe_gate(rate: f64, u: f64, lower: f64) -> f64 {
    // The same as above, without cancellation where g is near 0.
    -lower * (-(rate / lower.abs()) * softplus(u)).exp_m1()
}

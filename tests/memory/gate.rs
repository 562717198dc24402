//! The decay gates.

use pentimento::memory::gate::{eda_safe_gate, kda_sigmoid_gate, log_gate, softplus};
use proptest::prelude::*;

#[test]
#[expect(clippy::float_cmp, reason = "these results are exact")]
fn gates_by_hand() {
    let ln_2 = 2.0_f64.ln();
    assert_eq!(softplus(0.0), ln_2);
    assert_eq!(softplus(800.0), 800.0);
    assert!((softplus(-40.0) - (-40.0_f64).exp()).abs() < 1e-30);
    assert_eq!(log_gate(3.0, 0.0), -3.0 * ln_2);
    assert_eq!(kda_sigmoid_gate(1.0, 0.0, -5.0), -2.5);
    // sigmoid(2 * ln(3) / 2) = 3/4
    assert!((kda_sigmoid_gate(2.0, 3.0_f64.ln() / 2.0, -5.0) - -3.75).abs() < 1e-15);
    // exp(-(5 / 5) ln 2) = 1/2
    assert!((eda_safe_gate(5.0, 0.0, -5.0) - -2.5).abs() < 1e-15);
}

proptest! {
    #[test]
    fn bounded_gates_stay_within_their_bounds(rate in 0.01..20.0, u in -50.0..50.0, lower in -10.0..-0.1) {
        for g in [kda_sigmoid_gate(rate, u, lower), eda_safe_gate(rate, u, lower)] {
            prop_assert!((lower..=0.0).contains(&g));
        }
    }

    #[test]
    fn the_safe_gate_is_as_written(rate in 0.01..20.0_f64, u in -5.0..5.0_f64, lower in -10.0..-0.1_f64) {
        let written = lower + (-lower) * (-(rate / lower.abs()) * softplus(u)).exp();
        prop_assert!((eda_safe_gate(rate, u, lower) - written).abs() < 1e-13);
    }

    #[test]
    fn the_safe_gate_is_the_log_gate_where_decay_is_weak(rate in 0.01..20.0, u in -50.0..-20.0) {
        let (safe, log) = (eda_safe_gate(rate, u, -5.0), log_gate(rate, u));
        prop_assert!((safe / log - 1.0).abs() < 1e-6);
    }
}

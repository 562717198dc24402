//! Numbers in sentences.

use super::Interval;

/// `32.8 % [30.1, 35.2]`.
pub(super) fn percent(interval: &Interval) -> String {
    match interval.bounds() {
        Some((low, high)) => format!("{:.1} % [{:.1}, {:.1}]", 100.0 * interval.estimate, 100.0 * low, 100.0 * high),
        None => format!("{:.1} % (one sequence: no interval)", 100.0 * interval.estimate),
    }
}

/// `p = 0.032`, `p < 0.001`.
pub(super) fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "p < 0.001".to_owned(),
        Some(p) => format!("p = {p:.3}"),
        None => "no p-value from so few".to_owned(),
    }
}

/// How an interval lies to a reference.
pub(super) fn against<'a>(interval: &Interval, reference: f64, above: &'a str, below: &'a str, around: &'a str) -> &'a str {
    match interval.bounds() {
        Some((low, _)) if low > reference => above,
        Some((_, high)) if high < reference => below,
        Some(_) => around,
        None => "with no interval to compare",
    }
}

/// `1 sequence`, `2 sequences`.
pub(super) fn sequences(n: usize) -> String {
    if n == 1 { "1 sequence".to_owned() } else { format!("{n} sequences") }
}

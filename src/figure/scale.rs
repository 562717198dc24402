//! Numbers to places along an axis, and the ticks that name them.

use serde::{Deserialize, Serialize};

/// How numbers are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scale")]
pub enum Scale {
    /// Equal steps.
    Linear {
        /// The number at the start.
        from: f64,
        /// The number at the end.
        to: f64,
    },
    /// Equal factors.
    Log {
        /// The number at the start, above zero.
        from: f64,
        /// The number at the end.
        to: f64,
    },
    /// Equal steps of the log-odds: for shares that crowd near 0 and 1.
    Logit {
        /// The number at the start, above 0.
        from: f64,
        /// The number at the end, below 1.
        to: f64,
    },
}

/// A named tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The number.
    pub value: f64,
    /// How it is written.
    pub label: String,
}

/// The ticks of an axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ticks {
    /// Long ticks with labels.
    pub major: Vec<Tick>,
    /// Short ticks without.
    pub minor: Vec<f64>,
}

impl Scale {
    /// A linear axis from `from` to `to`.
    pub const fn linear(from: f64, to: f64) -> Self {
        Self::Linear { from, to }
    }

    /// A linear axis that holds all finite values and ends at round numbers; `always` are values it must hold too.
    pub fn around(values: impl IntoIterator<Item = f64>, always: &[f64]) -> Self {
        let (mut from, mut to) = finite_range(values.into_iter().chain(always.iter().copied())).unwrap_or((0.0, 1.0));
        if to - from <= 1e-12 * from.abs().max(to.abs()).max(1e-12) {
            let room = if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
            (from, to) = (from - room, to + room);
        }
        let step = round_step((to - from) / 10.0);
        Self::Linear { from: (from / step + 1e-9).floor() * step, to: (to / step - 1e-9).ceil() * step }
    }

    /// A logarithmic axis that holds all finite values above zero, ending at 1, 2 or 5 times a power of ten.
    pub fn log_around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = finite_range(values.into_iter().filter(|v| *v > 0.0)).unwrap_or((1.0, 10.0));
        let high = if high <= low { low * 10.0 } else { high };
        let round = |value: f64, up: bool| {
            let decade = 10_f64.powf(value.log10().floor());
            let stops = [1.0, 2.0, 5.0, 10.0].map(|stop| stop * decade);
            if up {
                stops.into_iter().find(|stop| *stop >= value * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
            } else {
                stops.into_iter().rev().find(|stop| *stop <= value * (1.0 + 1e-9)).unwrap_or(decade)
            }
        };
        Self::Log { from: round(low, false), to: round(high, true) }
    }

    /// A log-odds axis that holds all shares between 0 and 1, from 0.001 to 0.999 at most.
    pub fn logit_around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = finite_range(values.into_iter().filter(|v| *v > 0.0 && *v < 1.0)).unwrap_or((0.1, 0.9));
        let stop = |found: Option<f64>, beyond: f64| found.unwrap_or(beyond);
        let from = stop(LOGIT_STOPS.into_iter().rev().find(|stop| *stop <= low), 0.001);
        let to = stop(LOGIT_STOPS.into_iter().find(|stop| *stop >= high && *stop > from), 0.999);
        Self::Logit { from: from.min(0.99), to }
    }

    /// The numbers at the start and at the end.
    pub fn ends(&self) -> (f64, f64) {
        match *self {
            Self::Linear { from, to } | Self::Log { from, to } | Self::Logit { from, to } => (from, to),
        }
    }

    /// Place of `value`, 0 at the start and 1 at the end, kept inside; NaN stays NaN.
    pub fn place(&self, value: f64) -> f64 {
        let place = match *self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value / from).ln() / (to / from).ln(),
            Self::Logit { from, to } => (logit(value.clamp(0.0, 1.0)) - logit(from)) / (logit(to) - logit(from)),
        };
        place.clamp(0.0, 1.0)
    }

    /// The number at `place`, 0 at the start and 1 at the end: what [`place`](Self::place) undoes, also beyond the ends.
    pub fn value(&self, place: f64) -> f64 {
        match *self {
            Self::Linear { from, to } => from + place * (to - from),
            Self::Log { from, to } => from * (to / from).powf(place),
            Self::Logit { from, to } => {
                let odds = (logit(from) + place * (logit(to) - logit(from))).exp();
                odds / (1.0 + odds)
            }
        }
    }

    /// Ticks, about `wanted` of them with labels.
    pub fn ticks(&self, wanted: usize) -> Ticks {
        match *self {
            Self::Linear { from, to } => linear_ticks(from.min(to), from.max(to), wanted.max(2)),
            Self::Log { from, to } => log_ticks(from, to, wanted.max(2)),
            Self::Logit { from, to } => logit_ticks(from, to, wanted.max(2)),
        }
    }
}

fn finite_range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((v.min(low), v.max(high))),
    })
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let decade = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0].into_iter().map(|stop| stop * decade).find(|step| *step >= rough * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
}

fn linear_ticks(from: f64, to: f64, wanted: usize) -> Ticks {
    let count = |step: f64| (to / step + 1e-6).floor() as i64 - (from / step - 1e-6).ceil() as i64 + 1;
    // An axis with one label has no scale.
    let step = (wanted..wanted + 4).map(|wanted| round_step((to - from) / wanted as f64)).find(|step| count(*step) > 1);
    let step = step.unwrap_or_else(|| round_step((to - from) / wanted as f64));
    let multiples = |step: f64| {
        let first = (from / step - 1e-6).ceil() as i64;
        let last = (to / step + 1e-6).floor() as i64;
        (first..=last).map(move |n| n as f64 * step)
    };
    let decimals = (0..12).find(|decimals| is_whole(step * 10_f64.powi(*decimals))).unwrap_or(12) as usize;
    let major: Vec<Tick> = multiples(step).map(|value| Tick { value, label: fixed(value, decimals) }).collect();
    let leading = step / 10_f64.powf((step.log10() + 1e-9).floor());
    let minor = multiples(step / if leading > 2.1 { 5.0 } else { 2.0 }).collect();
    Ticks { major, minor }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6
}

fn log_ticks(from: f64, to: f64, wanted: usize) -> Ticks {
    let (first, last) = ((from.log10() - 1e-9).floor() as i32, (to.log10() + 1e-9).ceil() as i32);
    let inside = |v: f64| v >= from * (1.0 - 1e-9) && v <= to * (1.0 + 1e-9);
    let stops =
        |stops: &'static [f64]| (first..=last).flat_map(move |n| stops.iter().map(move |s| s * 10_f64.powi(n))).filter(move |v| inside(*v));
    let minor: Vec<f64> = stops(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).collect();
    let dense: Vec<f64> = stops(&[1.0, 2.0, 5.0]).collect();
    let decades: Vec<f64> = stops(&[1.0]).collect();
    let named = if decades.len() < 2 || dense.len() <= wanted {
        dense
    } else {
        let every = decades.len().div_ceil(wanted + 1).max(1);
        decades.into_iter().step_by(every).collect()
    };
    let major = named.into_iter().map(|value| Tick { value, label: power_label(value) }).collect();
    Ticks { major, minor }
}

/// Shares that a log-odds axis names.
const LOGIT_STOPS: [f64; 13] = [0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

/// The stops inside, thinned from the crowded middle outwards.
fn logit_ticks(from: f64, to: f64, wanted: usize) -> Ticks {
    let inside: Vec<f64> = LOGIT_STOPS.into_iter().filter(|stop| (from - 1e-9..=to + 1e-9).contains(stop)).collect();
    let sparse: Vec<f64> = inside.iter().copied().filter(|stop| ![0.05, 0.2, 0.3, 0.7, 0.8, 0.95].contains(stop)).collect();
    let named = if inside.len() <= wanted { &inside } else { &sparse };
    let major = named.iter().map(|&value| Tick { value, label: short(value) }).collect();
    Ticks { major, minor: inside }
}

/// As few decimals as say the number, three at most.
fn short(value: f64) -> String {
    let decimals = (1..3).find(|decimals| is_whole(value * 10_f64.powi(*decimals))).unwrap_or(3);
    fixed(value, decimals as usize)
}

/// Plain digits from 0.001 to 10,000, a power of ten beyond.
fn power_label(value: f64) -> String {
    let exponent = (value.log10() + 1e-9).floor() as i32;
    if (-3..=4).contains(&exponent) {
        return if exponent >= 3 { thousands(value) } else { fixed(value, (-exponent).max(0) as usize) };
    }
    let factor = (value / 10_f64.powi(exponent)).round();
    let sign = if exponent < 0 { "−" } else { "" };
    let power = format!("10^{{{sign}{}}}", exponent.abs());
    if factor > 1.5 { format!("{factor}·{power}") } else { power }
}

/// `value` with `decimals` digits after the point, a true minus sign, and no negative zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    if decimals == 0 && value.abs() >= 10_000.0 {
        return thousands(value);
    }
    let digits = format!("{:.decimals$}", value.abs());
    let zero = digits.chars().all(|c| c == '0' || c == '.');
    if value < 0.0 && !zero { format!("−{digits}") } else { digits }
}

/// A whole number with thin groups of three: `12,000`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 && digits != "0" { format!("−{grouped}") } else { grouped }
}

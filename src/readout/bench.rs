//! How fast the readouts are, at the sizes that scikit-learn and PyTorch are measured at.

use std::time::Instant;

use ndarray::Array2;
use pentimento_probes::{LogisticParams, RidgeParams, Selection, Targets};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::ReadoutError;
use crate::task::random;

/// One measured fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeBench {
    /// What was fitted, at which size.
    pub name: String,
    /// The quickest of the repetitions.
    pub milliseconds: f64,
    /// The median of the repetitions.
    pub median_milliseconds: f64,
    /// Logistic: the minimised objective, to compare at equal depth.
    pub objective: Option<f64>,
    /// Logistic: largest component of the gradient there.
    pub gradient_norm: Option<f64>,
    /// Logistic: iterations.
    pub iterations: Option<usize>,
}

/// Samples, channels, targets of the ridge fits.
const RIDGE: [(usize, usize, usize); 2] = [(4096, 1024, 32), (8192, 4096, 128)];
/// Samples, channels, classes of the logistic fits.
const LOGISTIC: [(usize, usize, usize); 2] = [(4096, 1024, 16), (8192, 1024, 64)];

/// Standard normal numbers by Box and Muller.
fn normal(rows: usize, columns: usize, index: u64) -> Array2<f64> {
    let mut random = random::stream(0, "probe bench", index);
    Array2::from_shape_simple_fn((rows, columns), || {
        let (radius, angle): (f64, f64) = (random.random::<f64>().max(f64::MIN_POSITIVE), random.random());
        // As f32 numbers, as a trace holds them.
        f64::from(((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32)
    })
}

fn measure<T>(repetitions: usize, mut work: impl FnMut() -> Result<T, ReadoutError>) -> Result<(T, f64, f64), ReadoutError> {
    let mut times = Vec::with_capacity(repetitions);
    let mut last = None;
    for _ in 0..repetitions.max(1) {
        let start = Instant::now();
        last = Some(work()?);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((last.expect("at least one repetition"), times[0], times[times.len() / 2]))
}

/// Ridge at one penalty, ridge choosing among 16, and logistic, each at the peers' sizes and penalties.
///
/// `report` is called with each row as it is done.
pub fn bench(repetitions: usize, mut report: impl FnMut(&ProbeBench)) -> Result<Vec<ProbeBench>, ReadoutError> {
    let mut rows = Vec::new();
    let mut done = |row: ProbeBench| {
        report(&row);
        rows.push(row);
    };
    for (n, d, m) in RIDGE {
        let x = normal(n, d, 1);
        let y = x.dot(&normal(d, m, 2)) / (d as f64).sqrt() + normal(n, m, 3) * 0.5;
        let groups: Vec<u64> = (0..n as u64).collect();
        let plain = RidgeParams { penalties: vec![10.0 / n as f64], intercept: false, ..RidgeParams::default() };
        let sixteen: Vec<f64> = (0..16).map(|index| 10_f64.powf(-2.0 + 0.4 * f64::from(index)) / n as f64).collect();
        let chosen = |selection| RidgeParams { penalties: sixteen.clone(), selection, intercept: false, ..RidgeParams::default() };
        let mut cases = vec![("one penalty", plain)];
        if d < 2000 {
            cases.push(("16 penalties, generalised cross-validation", chosen(Selection::Generalised)));
            cases.push(("16 penalties, leave one out", chosen(Selection::LeaveOneOut)));
        }
        for (name, params) in cases {
            let ridge = params.check()?;
            let (_, milliseconds, median_milliseconds) = measure(repetitions, || Ok(ridge.fit(&x, &y, &groups)?))?;
            let name = format!("ridge N{n} d{d} m{m}, {name}");
            done(ProbeBench { name, milliseconds, median_milliseconds, objective: None, gradient_norm: None, iterations: None });
        }
    }
    for (n, d, c) in LOGISTIC {
        let x = normal(n, d, 4);
        let scores = x.dot(&normal(d, c, 5)) * (3.0 / (d as f64).sqrt()) + normal(n, c, 6);
        let largest = |row: ndarray::ArrayView1<f64>| (0..c).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        let targets = Targets::classes(scores.rows().into_iter().map(largest).collect(), c)?;
        let groups: Vec<u64> = (0..n as u64).collect();
        // The peers' C = 0.01 on the sum of losses.
        let logistic = LogisticParams { penalties: vec![100.0 / n as f64], ..LogisticParams::default() }.check()?;
        let (fitted, milliseconds, median_milliseconds) = measure(repetitions, || Ok(logistic.fit(&x, &targets, &groups)?))?;
        done(ProbeBench {
            name: format!("logistic N{n} d{d} c{c}"),
            milliseconds,
            median_milliseconds,
            objective: Some(fitted.objective),
            gradient_norm: Some(fitted.gradient_norm),
            iterations: Some(fitted.iterations),
        });
    }
    Ok(rows)
}

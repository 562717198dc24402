//! How fast the readouts are, at the sizes that scikit-learn and PyTorch are measured at, on data that both are given.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use pentimento_probes::{
    Evaluation, LogisticParams, Precision, Readout, RidgeParams, Selection, Targets,
    matrix_free::{EditStream, Reached, SampleAt, StateDesign, Stretch, evaluate_states},
};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::ReadoutError;
use crate::task::random;

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Repetitions of each fit.
    pub rounds: usize,
    /// Only cases whose name contains this.
    pub only: String,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { rounds: 3, only: String::new() }
    }
}

/// One measured fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeBench {
    /// What was fitted, at which size: the same name at the peer.
    pub case: String,
    /// `double`: the result is as exact as f64 makes it. `single`: f32 throughout, as the peers'.
    pub precision: String,
    /// Wall time of every repetition, in order.
    pub milliseconds: Vec<f64>,
    /// Their median.
    pub median_milliseconds: f64,
    /// Processor time of the quickest repetition, all threads together.
    pub cpu_milliseconds: f64,
    /// Largest memory of the process during the first fit, beyond what it held before, in units of 10^6 bytes, where the
    /// system says it.
    pub peak_megabytes: Option<f64>,
    /// The minimised objective in f64, to compare at equal depth; of ridge: mean squared error plus penalty.
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
/// Stretches, steps of each, d_k = d_v, targets of the states that are never formed.
const STATES: (usize, usize, usize, usize) = (32, 128, 64, 8);
/// The peers' alpha, on the sum of squares.
const ALPHA: f64 = 10.0;
/// The peers' C, on the sum of losses.
const C: f64 = 0.01;

/// Standard normal numbers by Box and Muller, as f32 numbers, as a trace holds them.
fn normal(rows: usize, columns: usize, index: u64) -> Array2<f32> {
    let mut random = random::stream(0, "probe bench", index);
    Array2::from_shape_simple_fn((rows, columns), || {
        let (radius, angle): (f64, f64) = (random.random::<f64>().max(f64::MIN_POSITIVE), random.random());
        ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
    })
}

fn ridge_data((n, d, m): (usize, usize, usize)) -> (Array2<f32>, Array2<f32>) {
    let x = normal(n, d, 1);
    let y = x.dot(&normal(d, m, 2)) / (d as f32).sqrt() + normal(n, m, 3) * 0.5;
    (x, y)
}

fn logistic_data((n, d, c): (usize, usize, usize)) -> (Array2<f32>, Vec<usize>) {
    let x = normal(n, d, 4);
    let scores = x.dot(&normal(d, c, 5)) * (3.0 / (d as f32).sqrt()) + normal(n, c, 6);
    let largest = |row: ndarray::ArrayView1<f32>| (0..c).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    (x, scores.rows().into_iter().map(largest).collect())
}

/// Retention, directions (erase, write) and pseudo-values of all stretches below one another, and targets of every step.
fn state_data() -> ([Array2<f32>; 5], Array2<f32>) {
    let (stretches, steps, d, m) = STATES;
    let n = stretches * steps;
    let unit = |index| {
        let mut rows = normal(n, d, index);
        for mut row in rows.rows_mut() {
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
        rows
    };
    let retention = normal(n, d, 10).mapv(|x| 1.0 / (1.0 + (-x - 4.0).exp()));
    ([retention, unit(11), normal(n, d, 12) * 0.1, unit(13), normal(n, d, 14)], normal(n, m, 15))
}

/// Writes the data of every case as `.npy` into a folder, for other tools to fit the same. Returns the files.
pub fn write_data(folder: &Path) -> Result<Vec<PathBuf>, ReadoutError> {
    let fault = |path: &Path, reason: String| ReadoutError::BenchData { path: path.to_path_buf(), reason };
    std::fs::create_dir_all(folder).map_err(|error| fault(folder, error.to_string()))?;
    let mut written = Vec::new();
    let mut save = |name: String, array: &Array2<f32>| {
        let path = folder.join(name);
        write_npy(&path, array).map_err(|error| fault(&path, error.to_string()))?;
        written.push(path);
        Ok::<_, ReadoutError>(())
    };
    for (index, &shape) in RIDGE.iter().enumerate() {
        let (x, y) = ridge_data(shape);
        save(format!("ridge{index}_x.npy"), &x)?;
        save(format!("ridge{index}_y.npy"), &y)?;
    }
    for (index, &shape) in LOGISTIC.iter().enumerate() {
        let (x, labels) = logistic_data(shape);
        save(format!("logistic{index}_x.npy"), &x)?;
        let labels: Vec<f32> = labels.into_iter().map(|label| label as f32).collect();
        save(format!("logistic{index}_labels.npy"), &Array1::from(labels).insert_axis(ndarray::Axis(0)))?;
    }
    let (streams, targets) = state_data();
    for (name, array) in ["retention", "erase_direction", "erase_value", "write_direction", "write_value"].iter().zip(&streams) {
        save(format!("states_{name}.npy"), array)?;
    }
    save("states_y.npy".to_owned(), &targets)?;
    Ok(written)
}

/// Processor time of this process so far, all living threads together, in milliseconds; NaN where the system does not say.
fn processor_milliseconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

/// A line of this process's status, in units of 10^6 bytes.
fn megabytes(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: f64 = status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

struct Timed<T> {
    last: T,
    milliseconds: Vec<f64>,
    cpu: f64,
    peak: Option<f64>,
}

fn measure<T>(rounds: usize, mut work: impl FnMut() -> Result<T, ReadoutError>) -> Result<Timed<T>, ReadoutError> {
    // Once to warm up. 5 makes the system forget the largest memory so far.
    let before = std::fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| megabytes("VmRSS:"));
    let mut last = work()?;
    let peak = megabytes("VmHWM:").zip(before).map(|(largest, before)| largest - before);
    let (mut milliseconds, mut cpu) = (Vec::with_capacity(rounds), f64::INFINITY);
    for _ in 0..rounds.max(1) {
        let (start, used) = (Instant::now(), processor_milliseconds());
        last = work()?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        cpu = cpu.min(processor_milliseconds() - used);
    }
    Ok(Timed { last, milliseconds, cpu, peak })
}

fn row<T>(case: &str, precision: Precision, timed: &Timed<T>) -> ProbeBench {
    let mut sorted = timed.milliseconds.clone();
    sorted.sort_by(f64::total_cmp);
    ProbeBench {
        case: case.to_owned(),
        precision: if precision == Precision::Single { "single" } else { "double" }.to_owned(),
        milliseconds: timed.milliseconds.clone(),
        median_milliseconds: sorted[sorted.len() / 2],
        cpu_milliseconds: timed.cpu,
        peak_megabytes: timed.peak,
        objective: None,
        gradient_norm: None,
        iterations: None,
    }
}

/// Ridge at one penalty, ridge choosing among 16, logistic, and ridge on states that are never formed, each at the peers' sizes
/// and penalties, in the peers' precision and in ours. `report` is called with each row as it is done.
pub fn run(options: &BenchOptions, mut report: impl FnMut(&ProbeBench)) -> Result<Vec<ProbeBench>, ReadoutError> {
    let mut rows = Vec::new();
    let mut done = |row: ProbeBench| {
        report(&row);
        rows.push(row);
    };
    let is_wanted = |case: &str| case.contains(&options.only);
    for shape @ (n, d, m) in RIDGE {
        let name = |what: &str| format!("ridge N{n} d{d} m{m}, {what}");
        let sixteen: Vec<f64> = (0..16).map(|index| 10_f64.powf(-2.0 + 0.4 * f64::from(index)) / n as f64).collect();
        let mut cases = vec![(name("one penalty"), vec![ALPHA / n as f64], Selection::LeaveOneOut)];
        if d < 2000 {
            cases.push((name("16 penalties by exact leave-one-out"), sixteen.clone(), Selection::LeaveOneOut));
            cases.push((name("16 penalties by generalised cross-validation"), sixteen, Selection::Generalised));
        }
        cases.retain(|case| is_wanted(&case.0));
        if cases.is_empty() {
            continue;
        }
        let (x, y) = ridge_data(shape);
        let (x, y) = (x.mapv(f64::from), y.mapv(f64::from));
        let groups: Vec<u64> = (0..n as u64).collect();
        for (case, penalties, selection) in cases {
            for precision in [Precision::Single, Precision::Mixed] {
                let ridge = RidgeParams { penalties: penalties.clone(), selection, intercept: false, precision }.check()?;
                let timed = measure(options.rounds, || Ok(ridge.fit(&x, &y, &groups)?))?;
                let residual = &y - &timed.last.predict(&x);
                let squares = |array: &Array2<f64>| array.iter().map(|value| value * value).sum::<f64>();
                let objective = squares(&residual) / n as f64 + timed.last.penalty * squares(&timed.last.weights);
                done(ProbeBench { objective: Some(objective), ..row(&case, precision, &timed) });
            }
        }
    }
    for shape @ (n, d, c) in LOGISTIC {
        let case = format!("logistic N{n} d{d} c{c}");
        if !is_wanted(&case) {
            continue;
        }
        let (x, labels) = logistic_data(shape);
        let x = x.mapv(f64::from);
        let targets = Targets::classes(labels.clone(), c)?;
        let groups: Vec<u64> = (0..n as u64).collect();
        let penalty = 1.0 / (C * n as f64);
        for precision in [Precision::Single, Precision::Mixed] {
            let params = LogisticParams { penalties: vec![penalty], tolerance: 1e-6, precision, ..LogisticParams::default() };
            let logistic = params.check()?;
            let timed = measure(options.rounds, || Ok(logistic.fit(&x, &targets, &groups)?))?;
            let fitted = &timed.last;
            let (objective, gradient, _) = pentimento_probes::logistic::objective(&x, &labels, &fitted.weights, &fitted.intercept, penalty);
            done(ProbeBench {
                objective: Some(objective),
                gradient_norm: Some(gradient.iter().fold(0.0, |most, value| value.abs().max(most))),
                iterations: Some(fitted.iterations),
                ..row(&case, precision, &timed)
            });
        }
    }
    let (stretches, steps, d, m) = STATES;
    let case = format!("full state N{} d{} m{m}, ridge, two folds", stretches * steps, d * d);
    if is_wanted(&case) {
        let (streams, y) = state_data();
        let of = |stream: usize, index: usize| streams[stream].slice(ndarray::s![index * steps..(index + 1) * steps, ..]).to_owned();
        let made = (0..stretches).map(|index| Stretch {
            initial: None,
            retention: of(0, index),
            edits: vec![
                EditStream { direction: of(1, index), pseudo_value: of(2, index) },
                EditStream { direction: of(3, index), pseudo_value: of(4, index) },
            ],
        });
        let samples: Vec<SampleAt> = (0..stretches * steps)
            .map(|index| SampleAt { stretch: index / steps, step: index % steps, reached: Reached::Edits(2) })
            .collect();
        let groups: Vec<u64> = samples.iter().map(|sample| sample.stretch as u64).collect();
        let design = StateDesign::new(Arc::new(made.collect()), samples)?;
        let targets = [Targets::Vectors(y.mapv(f64::from))];
        let readout = Readout::Ridge(RidgeParams { penalties: vec![1e-2], ..RidgeParams::default() });
        let evaluation = Evaluation { folds: 2, ..Evaluation::default() };
        let timed = measure(options.rounds, || Ok(evaluate_states(&design, &targets, &groups, &readout, &evaluation)?))?;
        done(row(&case, Precision::Single, &timed));
    }
    Ok(rows)
}

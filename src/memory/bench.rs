//! How fast the engine runs here, beside what the machine can do at best.
//!
//! One head-step is one step of one head. Its floors: 6 vector instructions per element of the memory (one product and five
//! fused multiply-adds for the two edits of Erase-then-Delta Attention, arXiv 2606.26560), and, if every memory is recorded,
//! the bytes of one memory at the measured bandwidth of plain filling.

use std::collections::BTreeMap;
use std::time::Instant;

use ndarray::{Array4, ArrayD, IxDyn};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::Serialize;

use super::cpu::{self, InstructionSet, limits};
use super::{Dims, Factors, HookPoint, Phase, RecordOptions, Recurrence, Rule};

/// What to measure.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `shapes` | H 16 d 128 T 256; H 4 d 64 T 1024; H 2 d 32 T 2048 | sizes of one sequence | each at least 1 |
/// | `threads` | 1, 2 | threads at work | at least 1 |
/// | `n_runs` | 7 | timed runs of each, after one untimed | at least 1 |
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Sizes of one sequence.
    pub shapes: Vec<Shape>,
    /// Threads at work.
    pub threads: Vec<usize>,
    /// Timed runs of each.
    pub n_runs: usize,
}

impl Default for BenchOptions {
    fn default() -> Self {
        let shapes =
            vec![Shape { head: 16, d: 128, step: 256 }, Shape { head: 4, d: 64, step: 1024 }, Shape { head: 2, d: 32, step: 2048 }];
        Self { shapes, threads: vec![1, 2], n_runs: 7 }
    }
}

/// One sequence of a layer with square memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Heads.
    pub head: usize,
    /// Key channels and value channels.
    pub d: usize,
    /// Steps.
    pub step: usize,
}

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryBench {
    /// The instruction set that ran.
    pub instructions: &'static str,
    /// Per number of threads.
    pub limits: Vec<Limits>,
    /// Per number of threads and shape.
    pub rows: Vec<BenchRow>,
}

/// What the machine can do at best.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// Threads at work.
    pub threads: usize,
    /// Streaming stores to memory, GB/s (1e9 bytes), median.
    pub fill_gb_per_s: f64,
    /// Bytes read and written in a copy, GB/s, median.
    pub copy_gb_per_s: f64,
    /// Fused multiply-adds from registers, GFLOP/s (two each), median.
    pub multiply_add_gflop_per_s: f64,
}

/// Time of one head-step in microseconds, all threads at work.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timing {
    /// Median over the runs.
    pub median_us: f64,
    /// The fastest run: what an idle machine would take.
    pub fastest_us: f64,
}

/// One shape on a number of threads. Erase-then-Delta Attention, two edits a step.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BenchRow {
    /// Threads at work.
    pub threads: usize,
    /// Sizes.
    pub shape: Shape,
    /// Output and final memory only.
    pub forward: Timing,
    /// 11 floating point operations per element of the memory, at the median.
    pub forward_gflop_per_s: f64,
    /// Median of the forward run over its floor, 6 vector instructions per element.
    pub forward_over_multiply_add_floor: f64,
    /// Every memory after the write kept in f32, arrays reused.
    pub record: Timing,
    /// Bytes of recorded memories at the median.
    pub record_gb_per_s: f64,
    /// Median of the recording run over the time to fill as many bytes.
    pub record_over_fill_floor: f64,
    /// Pseudo-values, and a checkpoint every 64 steps.
    pub trace: Timing,
    /// Every memory after the write again, from that trace.
    pub replay: Timing,
    /// Forward with the tape of its gradient.
    pub forward_with_tape: Timing,
    /// Gradient of all inputs from the tape.
    pub backward: Timing,
}

/// Measures everything, one thing at a time.
///
/// # Panics
/// If the system refuses threads.
pub fn run(options: &BenchOptions) -> MemoryBench {
    let mut bench = MemoryBench { instructions: InstructionSet::best().name(), limits: vec![], rows: vec![] };
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the system grants a few threads");
        pool.install(|| {
            let limits = measure_limits(threads, options.n_runs);
            bench.rows.extend(options.shapes.iter().map(|&shape| measure_shape(shape, &limits, options.n_runs)));
            bench.limits.push(limits);
        });
    }
    bench
}

/// Seconds of each run, sorted.
fn time(n_runs: usize, mut run: impl FnMut()) -> Vec<f64> {
    run();
    let mut seconds: Vec<f64> = (0..n_runs.max(1))
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

fn measure_limits(threads: usize, n_runs: usize) -> Limits {
    let mut streams = limits::Streams::new(1 << 26);
    let bytes = streams.n_bytes() as f64;
    let fill = time(n_runs, || streams.fill());
    let copy = time(n_runs, || streams.copy());
    let mut operations = 0.0;
    let multiply_add = time(n_runs, || operations = limits::multiply_adds(2_000_000));
    let median = |seconds: &[f64]| seconds[seconds.len() / 2];
    Limits {
        threads,
        fill_gb_per_s: bytes / median(&fill) / 1e9,
        copy_gb_per_s: 2.0 * bytes / median(&copy) / 1e9,
        multiply_add_gflop_per_s: operations / median(&multiply_add) / 1e9,
    }
}

fn measure_shape(shape: Shape, limits: &Limits, n_runs: usize) -> BenchRow {
    let recurrence = random_recurrence(shape);
    let head_steps = (shape.head * shape.step) as f64;
    let timing =
        |seconds: Vec<f64>| Timing { median_us: seconds[seconds.len() / 2] / head_steps * 1e6, fastest_us: seconds[0] / head_steps * 1e6 };

    let forward = timing(time(n_runs, || drop(cpu::forward(&recurrence))));
    let dense = RecordOptions { dense: vec![Phase::Write], ..RecordOptions::default() };
    let mut recording = cpu::record(&recurrence, &dense);
    let record = timing(time(n_runs, || cpu::record_into(&recurrence, &dense, &mut recording)));
    let mut memories = recording.dense;

    let traced = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: vec![] };
    let mut recording = cpu::record(&recurrence, &traced);
    let trace = timing(time(n_runs, || cpu::record_into(&recurrence, &traced, &mut recording)));
    let replay = timing(time(n_runs, || cpu::replay_into(&recurrence, &recording, &[Phase::Write], &mut memories)));
    drop(memories);

    let forward_with_tape = timing(time(n_runs, || drop(cpu::forward_with_tape(&recurrence))));
    let (_, tape) = cpu::forward_with_tape(&recurrence);
    let grad_output = Array4::from_elem((1, shape.step, shape.head, shape.d), 0.5);
    let backward = timing(time(n_runs, || drop(cpu::backward_from(&recurrence, &tape, grad_output.view(), None))));

    let elements = (shape.d * shape.d) as f64;
    let instruction_floor_us = 12.0 * elements / (limits.multiply_add_gflop_per_s * 1e3);
    let fill_floor_us = 4.0 * elements / (limits.fill_gb_per_s * 1e3);
    BenchRow {
        threads: limits.threads,
        shape,
        forward,
        forward_gflop_per_s: 11.0 * elements / (forward.median_us * 1e3),
        forward_over_multiply_add_floor: forward.median_us / instruction_floor_us,
        record,
        record_gb_per_s: 4.0 * elements / (record.median_us * 1e3),
        record_over_fill_floor: record.median_us / fill_floor_us,
        trace,
        replay,
        forward_with_tape,
        backward,
    }
}

/// Erase-then-Delta Attention with unit directions and gates as trained models have them.
pub(crate) fn random_recurrence(shape: Shape) -> Recurrence<f32> {
    use HookPoint::{EraseDirection, Query, Retention, Value, WriteDirection};
    let dims = Dims { batch: 1, step: shape.step, key_head: shape.head, head: shape.head, d_k: shape.d, d_v: shape.d };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut arrays = BTreeMap::new();
    for factor in Rule::Eda.factors() {
        let range = match factor {
            Query | WriteDirection(_) | EraseDirection | Value(_) => -1.0..1.0,
            Retention => 0.8..1.0,
            _ => 0.05..0.95_f32,
        };
        let mut values: ArrayD<f32> = ArrayD::from_shape_simple_fn(IxDyn(&factor.shape(&dims)), || rng.random_range(range.clone()));
        if matches!(factor, Query | WriteDirection(_) | EraseDirection) {
            for mut direction in values.lanes_mut(ndarray::Axis(3)) {
                let norm = direction.dot(&direction).sqrt();
                direction.mapv_inplace(|x| x / norm);
            }
        }
        arrays.insert(factor, values);
    }
    Factors::new(Rule::Eda, arrays, None).expect("shapes are the table's").lower()
}

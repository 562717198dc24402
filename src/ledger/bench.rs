//! How long the account of one head takes here.

use std::time::Instant;

use serde::Serialize;

use super::{Account, AccountOptions, HeadRecurrence, NOISE_GRID, account, ceiling, unique_contributions};
use crate::memory::bench::{BenchOptions, Shape, random_recurrence};
use crate::memory::cpu::InstructionSet;

/// What is measured by default: one head of one sequence of Erase-then-Delta Attention (arXiv 2606.26560), 1024 and 4096 steps of
/// 128 channels and 4096 of 64, on 1 and 2 threads, three timed runs of each.
pub fn options() -> BenchOptions {
    let shapes = vec![Shape { head: 1, d: 128, step: 1024 }, Shape { head: 1, d: 128, step: 4096 }, Shape { head: 1, d: 64, step: 4096 }];
    BenchOptions { shapes, threads: vec![1, 2], n_runs: 3 }
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerBench {
    /// The instruction set the kernels ran with.
    pub instructions: &'static str,
    /// By threads, then shape.
    pub rows: Vec<LedgerBenchRow>,
}

/// Median seconds of one shape.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerBenchRow {
    /// Threads at work.
    pub threads: usize,
    /// The head.
    pub shape: Shape,
    /// Removal shares, half-lives and outputs.
    pub account_s: f64,
    /// The same with the orders of attribution, and with every pair of steps: the exact attention, and what each erase took of each write.
    pub account_of_all_pairs_s: f64,
    /// All that `pentimento ledger` computes: that, the account without the erase, and the ceiling.
    pub command_s: f64,
}

/// Measures everything, one thing at a time.
///
/// # Panics
/// If the system refuses threads.
pub fn run(options: &BenchOptions) -> LedgerBench {
    let mut rows = Vec::new();
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the system grants a few threads");
        rows.extend(options.shapes.iter().map(|&shape| pool.install(|| measure_shape(threads, shape, options.n_runs))));
    }
    LedgerBench { instructions: InstructionSet::best().name(), rows }
}

fn measure_shape(threads: usize, shape: Shape, n_runs: usize) -> LedgerBenchRow {
    let head = HeadRecurrence::new(&random_recurrence(shape), 0, 0);
    let all_pairs = AccountOptions { attention: true, erased: true, orders: true, marks: vec![] };
    let command = || {
        let found: Account<f32> = account(&head, &all_pairs);
        let without = account(&head.without_erase(), &AccountOptions::default());
        (unique_contributions(&found.tallies, &without.tallies), ceiling(found.left.view(), &NOISE_GRID))
    };
    LedgerBenchRow {
        threads,
        shape,
        account_s: median(n_runs, || drop(account(&head, &AccountOptions::default()))),
        account_of_all_pairs_s: median(n_runs, || drop(account(&head, &all_pairs))),
        command_s: median(n_runs, || drop(command())),
    }
}

/// Median seconds of some runs, after one that is not timed.
fn median(n_runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..n_runs.max(1)).map(timed).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

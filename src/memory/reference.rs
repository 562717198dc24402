//! The equation in plain f64: slow, short, and the judge of every engine.
//!
//! ```text
//! S^  = diag(alpha) S                      decay
//! for each edit, erases before writes:
//!     a = strength (value - S^T read)      its pseudo-value, from the memory it finds
//!     S <- S + direction a^T
//! o   = S^T q                              read
//! ```
//!
//! For Erase-then-Delta Attention (arXiv 2606.26560) the first edit is the erase (direction and read e, strength gamma, value
//! 0), the second the write (direction and read k, strength beta, value v).

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, Array5, ArrayView1, s};

use super::{Edit, EditKind, Phase, Read, Recurrence};

/// All steps of one head of one sequence.
#[derive(Clone, Debug)]
pub struct HeadRun {
    /// o_t, [step, d_v].
    pub output: Array2<f64>,
    /// Per edit in the order of the update: `a_t`, [step, d_v].
    pub pseudo_values: Vec<Array2<f64>>,
    /// The memory at each phase asked for, [step, d_k, d_v].
    pub memory: BTreeMap<Phase, Array3<f64>>,
    /// The memory after the last step, [d_k, d_v].
    pub final_memory: Array2<f64>,
}

/// All heads of all sequences.
#[derive(Clone, Debug)]
pub struct Run {
    /// o_t, [batch, step, head, d_v].
    pub output: Array4<f64>,
    /// Per edit in the order of the update: `a_t`, [batch, step, head, d_v].
    pub pseudo_values: Vec<Array4<f64>>,
    /// The memory at each phase asked for, [batch, step, head, d_k, d_v].
    pub memory: BTreeMap<Phase, Array5<f64>>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: Array4<f64>,
}

/// Runs one head of one sequence and keeps the memory at the phases asked for.
pub fn run_head(recurrence: &Recurrence<f64>, batch: usize, head: usize, phases: &[Phase]) -> HeadRun {
    let dims = recurrence.dims;
    let mut output = Array2::zeros((dims.step, dims.d_v));
    let mut pseudo_values = vec![Array2::zeros((dims.step, dims.d_v)); recurrence.edits.len()];
    let mut kept: BTreeMap<_, _> = phases.iter().map(|&phase| (phase, Array3::zeros((dims.step, dims.d_k, dims.d_v)))).collect();
    let mut memory = recurrence.initial(batch, head);

    for t in 0..dims.step {
        let mut keep = |phase: Phase, memory: &Array2<f64>| {
            if let Some(kept) = kept.get_mut(&phase) {
                kept.slice_mut(s![t, .., ..]).assign(memory);
            }
        };
        let before = memory.clone();
        keep(Phase::Before, &memory);

        let alpha = recurrence.lane(&recurrence.retention, batch, t, head);
        for (mut row, &alpha) in memory.rows_mut().into_iter().zip(alpha) {
            row.mapv_inplace(|x| alpha * x);
        }
        keep(Phase::Decay, &memory);

        // A rule without erase leaves here the memory after decay.
        keep(Phase::Erase, &memory);
        for (edit, pseudo_values) in recurrence.edits.iter().zip(&mut pseudo_values) {
            let a = pseudo_value(recurrence, edit, (batch, t, head), &before, &memory);
            let direction = recurrence.lane(&edit.direction, batch, t, head);
            for ((i, j), x) in memory.indexed_iter_mut() {
                *x += direction[i] * a[j];
            }
            if edit.kind == EditKind::Erase {
                keep(Phase::Erase, &memory);
            }
            pseudo_values.row_mut(t).assign(&ArrayView1::from(&a));
        }
        keep(Phase::Write, &memory);

        let query = recurrence.lane(&recurrence.query, batch, t, head);
        output.row_mut(t).assign(&memory.t().dot(&query));
    }
    HeadRun { output, pseudo_values, memory: kept, final_memory: memory }
}

/// Runs every head of every sequence and keeps the memory at the phases asked for.
pub fn run(recurrence: &Recurrence<f64>, phases: &[Phase]) -> Run {
    let d = recurrence.dims;
    let stream = Array4::zeros((d.batch, d.step, d.head, d.d_v));
    let mut all = Run {
        output: stream.clone(),
        pseudo_values: vec![stream; recurrence.edits.len()],
        memory: phases.iter().map(|&phase| (phase, Array5::zeros((d.batch, d.step, d.head, d.d_k, d.d_v)))).collect(),
        final_memory: Array4::zeros((d.batch, d.head, d.d_k, d.d_v)),
    };
    for (batch, head) in ndarray::indices((d.batch, d.head)) {
        let one = run_head(recurrence, batch, head, phases);
        all.output.slice_mut(s![batch, .., head, ..]).assign(&one.output);
        for (all, one) in all.pseudo_values.iter_mut().zip(&one.pseudo_values) {
            all.slice_mut(s![batch, .., head, ..]).assign(one);
        }
        for (phase, all) in &mut all.memory {
            all.slice_mut(s![batch, .., head, .., ..]).assign(&one.memory[phase]);
        }
        all.final_memory.slice_mut(s![batch, head, .., ..]).assign(&one.final_memory);
    }
    all
}

/// `a = strength (value - S^T read)` of one edit, where S is the memory it finds, or the memory before the step's decay.
fn pseudo_value(
    recurrence: &Recurrence<f64>,
    edit: &Edit<f64>,
    (batch, t, head): (usize, usize, usize),
    before: &Array2<f64>,
    found: &Array2<f64>,
) -> Vec<f64> {
    let (memory, read) = match &edit.read {
        Read::Nothing => (found, None),
        Read::Direction => (found, Some(&edit.direction)),
        Read::Other(read) => (found, Some(read)),
        Read::BeforeDecay(read) => (before, Some(read)),
    };
    let read = read.map(|read| recurrence.lane(read, batch, t, head));
    let strength = edit.strength.as_ref().map_or(1.0, |strength| strength[[batch, t, head]]);
    (0..recurrence.dims.d_v)
        .map(|j| {
            let value = edit.value.as_ref().map_or(0.0, |value| value[[batch, t, head, j]]);
            let held = read.map_or(0.0, |read| memory.column(j).dot(&read)); // (S^T read)_j
            strength * (value - held)
        })
        .collect()
}

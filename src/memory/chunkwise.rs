//! The chunk-wise parallel form in f64: a second, independent implementation that must agree with [`reference`](super::reference).
//!
//! Inside a chunk every edit of every step is a row (Erase-then-Delta Attention, arXiv 2606.26560, thus doubles the steps:
//! erase row, write row). With R the reads, U the directions, V the values, s the strengths and A the decay between two
//! rows, channel by channel, the pseudo-values of the whole chunk solve one triangular system (the WY, or UT, transform):
//!
//! ```text
//! X = StrictTril(R A U^T)     M = (I + diag(s) X)^-1 diag(s)     pseudo = M V - (M A R) S_in
//! S_out = A_all S_in + (A_to_end U)^T pseudo                      O = (A Q) S_in + Tril(Q A U^T) pseudo
//! ```
//!
//! Reads and directions are kept apart, so the oblique rules are served too. A read before the decay is a row seen one
//! decay, and the edits of its own step, earlier.
//!
//! The usual factoring of A into a quotient of cumulative decays overflows for long chunks with strong decay. Here a decay
//! between two rows is a product of retentions, taken through the start of the reader's sub-chunk when the writer stands
//! before it: products of numbers in [0, 1], which a retention of 0 does not disturb.

use std::ops::Range;

use ndarray::{Array1, Array2, Array4, Array5, s};

use super::{Edit, Read, Recurrence};

/// How steps are grouped. Results depend on it by rounding only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    /// Steps of a chunk; the last may be shorter. At least 1.
    pub chunk: usize,
    /// Steps of a sub-chunk. At least 1.
    pub sub_chunk: usize,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { chunk: 64, sub_chunk: 16 }
    }
}

/// All heads of all sequences.
#[derive(Clone, Debug)]
pub struct ChunkwiseRun {
    /// o_t, [batch, step, head, d_v].
    pub output: Array4<f64>,
    /// Per edit in the order of the update: `a_t`, [batch, step, head, d_v].
    pub pseudo_values: Vec<Array4<f64>>,
    /// The memory found by the first step of each chunk, [batch, chunk, head, d_k, d_v].
    pub checkpoints: Array5<f64>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: Array4<f64>,
}

/// Runs every head of every sequence.
///
/// # Panics
/// If a chunk or sub-chunk has no steps.
pub fn run(recurrence: &Recurrence<f64>, chunking: Chunking) -> ChunkwiseRun {
    assert!(chunking.chunk > 0 && chunking.sub_chunk > 0, "a chunk has at least one step");
    let d = recurrence.dims;
    let stream = Array4::zeros((d.batch, d.step, d.head, d.d_v));
    let mut all = ChunkwiseRun {
        output: stream.clone(),
        pseudo_values: vec![stream; recurrence.edits.len()],
        checkpoints: Array5::zeros((d.batch, d.step.div_ceil(chunking.chunk), d.head, d.d_k, d.d_v)),
        final_memory: Array4::zeros((d.batch, d.head, d.d_k, d.d_v)),
    };
    for (batch, head) in ndarray::indices((d.batch, d.head)) {
        let mut memory = recurrence.initial(batch, head);
        for (index, start) in (0..d.step).step_by(chunking.chunk).enumerate() {
            let steps = start..(start + chunking.chunk).min(d.step);
            all.checkpoints.slice_mut(s![batch, index, head, .., ..]).assign(&memory);
            let chunk = Chunk::new(recurrence, batch, head, steps.clone(), chunking.sub_chunk);
            let pseudo_values = chunk.pseudo_values(&memory);
            all.output.slice_mut(s![batch, steps.clone(), head, ..]).assign(&chunk.output(&memory, &pseudo_values));
            for (edit, all) in all.pseudo_values.iter_mut().enumerate() {
                let rows = pseudo_values.slice(s![edit..; recurrence.edits.len(), ..]);
                all.slice_mut(s![batch, steps.clone(), head, ..]).assign(&rows);
            }
            memory = chunk.final_memory(&memory, &pseudo_values);
        }
        all.final_memory.slice_mut(s![batch, head, .., ..]).assign(&memory);
    }
    all
}

/// What a chunk does to any memory it finds. Built without that memory, so chunks can be built in parallel.
struct Chunk {
    /// M A R, [row, d_k].
    read_of_memory: Array2<f64>,
    /// M V, [row, d_v].
    own_values: Array2<f64>,
    /// A Q, [step, d_k].
    query_of_memory: Array2<f64>,
    /// Tril(Q A U^T), [step, row].
    attention: Array2<f64>,
    /// A_to_end U, [row, d_k].
    directions_at_end: Array2<f64>,
    /// A_all, `[d_k]`.
    retention: Array1<f64>,
}

/// A vector `[d_k]` that meets the chunk's memory after `n_decays` of the chunk's decays and `n_rows` of its rows.
struct Reader {
    vector: Array1<f64>,
    n_decays: usize,
    n_rows: usize,
}

impl Chunk {
    fn new(recurrence: &Recurrence<f64>, batch: usize, head: usize, steps: Range<usize>, sub_chunk: usize) -> Self {
        let dims = recurrence.dims;
        let (n_steps, n_edits) = (steps.len(), recurrence.edits.len());
        let rows = || steps.clone().flat_map(|step| recurrence.edits.iter().map(move |edit| (step, edit)));

        let mut decays = Decays { retention: Array2::zeros((n_steps, dims.d_k)), n_edits, sub_chunk };
        for (mut row, step) in decays.retention.rows_mut().into_iter().zip(steps.clone()) {
            row.assign(&recurrence.lane(&recurrence.retention, batch, step, head));
        }
        let mut directions = Array2::zeros((n_steps * n_edits, dims.d_k));
        let mut values = Array2::zeros((n_steps * n_edits, dims.d_v));
        let mut strengths = Array1::ones(n_steps * n_edits);
        let mut readers = Vec::with_capacity(n_steps * n_edits);
        for (row, (step, edit)) in rows().enumerate() {
            directions.row_mut(row).assign(&recurrence.lane(&edit.direction, batch, step, head));
            if let Some(value) = &edit.value {
                values.row_mut(row).assign(&value.slice(s![batch, step, head, ..]));
            }
            if let Some(strength) = &edit.strength {
                strengths[row] = strength[[batch, step, head]];
            }
            readers.push(reader(recurrence, edit, (batch, step, head), step - steps.start, row));
        }
        let queries: Vec<_> = steps
            .clone()
            .enumerate()
            .map(|(local, step)| Reader {
                vector: recurrence.lane(&recurrence.query, batch, step, head).to_owned(),
                n_decays: local + 1,
                n_rows: (local + 1) * n_edits,
            })
            .collect();

        let interactions = decays.meetings(&readers, &directions);
        let mut read_of_memory = decays.of_memory(&readers, dims.d_k);
        let mut own_values = values;
        solve(&interactions, &strengths, &mut read_of_memory);
        solve(&interactions, &strengths, &mut own_values);
        Self {
            read_of_memory,
            own_values,
            query_of_memory: decays.of_memory(&queries, dims.d_k),
            attention: decays.meetings(&queries, &directions),
            directions_at_end: decays.until(&directions, n_steps),
            retention: decays.between(0, n_steps),
        }
    }

    fn pseudo_values(&self, found: &Array2<f64>) -> Array2<f64> {
        &self.own_values - &self.read_of_memory.dot(found)
    }

    fn output(&self, found: &Array2<f64>, pseudo_values: &Array2<f64>) -> Array2<f64> {
        self.query_of_memory.dot(found) + self.attention.dot(pseudo_values)
    }

    fn final_memory(&self, found: &Array2<f64>, pseudo_values: &Array2<f64>) -> Array2<f64> {
        let kept = found * &self.retention.view().insert_axis(ndarray::Axis(1));
        kept + self.directions_at_end.t().dot(pseudo_values)
    }
}

/// What the edit of a row reads, and when: `local` is its step within the chunk.
fn reader(recurrence: &Recurrence<f64>, edit: &Edit<f64>, (batch, step, head): (usize, usize, usize), local: usize, row: usize) -> Reader {
    let lane = |array| recurrence.lane(array, batch, step, head).to_owned();
    let (vector, n_decays, n_rows) = match &edit.read {
        Read::Nothing => (Array1::zeros(recurrence.dims.d_k), local + 1, row),
        Read::Direction => (lane(&edit.direction), local + 1, row),
        Read::Other(read) => (lane(read), local + 1, row),
        Read::BeforeDecay(read) => (lane(read), local, local * recurrence.edits.len()),
    };
    Reader { vector, n_decays, n_rows }
}

/// `x <- (I + diag(s) X)^-1 diag(s) x`, by forward substitution; X is strictly lower triangular.
fn solve(interactions: &Array2<f64>, strengths: &Array1<f64>, x: &mut Array2<f64>) {
    for row in 0..x.nrows() {
        let before = interactions.slice(s![row, ..row]).dot(&x.slice(s![..row, ..]));
        let mut solved = x.row_mut(row);
        solved -= &before;
        solved *= strengths[row];
    }
}

/// The decays of a chunk. A moment is how many of them have been applied: the rows of step t write at moment t + 1.
struct Decays {
    /// [step, d_k].
    retention: Array2<f64>,
    n_edits: usize,
    sub_chunk: usize,
}

impl Decays {
    /// The decay from one moment to a later one, `[d_k]`.
    fn between(&self, from: usize, to: usize) -> Array1<f64> {
        self.retention.slice(s![from..to, ..]).product_axis(ndarray::Axis(0))
    }

    /// Each reader's vector as it meets the memory found by the chunk, [reader, d_k].
    fn of_memory(&self, readers: &[Reader], d_k: usize) -> Array2<f64> {
        let mut all = Array2::zeros((readers.len(), d_k));
        for (mut row, reader) in all.rows_mut().into_iter().zip(readers) {
            row.assign(&(&reader.vector * &self.between(0, reader.n_decays)));
        }
        all
    }

    /// The directions written before a moment as they stand at it, [row, d_k].
    fn until(&self, directions: &Array2<f64>, moment: usize) -> Array2<f64> {
        let mut decayed = directions.slice(s![..moment * self.n_edits, ..]).to_owned();
        let mut decay = Array1::ones(directions.ncols());
        for step in (0..moment).rev() {
            for mut row in decayed.slice_mut(s![step * self.n_edits..(step + 1) * self.n_edits, ..]).rows_mut() {
                row *= &decay;
            }
            decay *= &self.retention.row(step);
        }
        decayed
    }

    /// How each reader meets each row's direction, 0 for rows it does not see: [reader, row].
    fn meetings(&self, readers: &[Reader], directions: &Array2<f64>) -> Array2<f64> {
        let mut all = Array2::zeros((readers.len(), directions.nrows()));
        for start in (0..=self.retention.nrows()).step_by(self.sub_chunk) {
            // Readers of this sub-chunk meet the rows written before it at its start, in one product of matrices.
            let early = self.until(directions, start);
            let here = |reader: &Reader| (start..start + self.sub_chunk).contains(&reader.n_decays);
            let indices: Vec<_> = (0..readers.len()).filter(|&index| here(&readers[index])).collect();
            let mut vectors = Array2::zeros((indices.len(), directions.ncols()));
            for (mut vector, &index) in vectors.rows_mut().into_iter().zip(&indices) {
                vector.assign(&(&readers[index].vector * &self.between(start, readers[index].n_decays)));
            }
            let meetings = vectors.dot(&early.t());
            for (meetings, &index) in meetings.rows().into_iter().zip(&indices) {
                let reader = &readers[index];
                let n_early = early.nrows().min(reader.n_rows);
                all.slice_mut(s![index, ..n_early]).assign(&meetings.slice(s![..n_early]));
                // The rows of its own sub-chunk it meets one by one.
                for row in n_early..reader.n_rows {
                    let decay = self.between(row / self.n_edits + 1, reader.n_decays);
                    all[[index, row]] = reader.vector.dot(&(&decay * &directions.row(row)));
                }
            }
        }
        all
    }
}

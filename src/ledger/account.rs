//! The whole account of a head: every write followed from the step that made it to the last.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::block::{Block, Closed, Column, Mark};
use super::half_life::decay_only_half_lives;
use super::head::HeadRecurrence;
use super::kernel::{COLUMNS, Precision};
use super::prepared::Prepared;
use super::tally::{Form, Tally};

/// Blocks that share a pass over the steps, so that a chunk of steps is fetched once for all of them.
const GROUP: usize = 8;
/// Steps of a chunk: their factors stay in the second-level cache while the blocks of a group go through them.
const CHUNK: usize = 32;
/// Groups at work at once. Fixed, so that sums are taken in the same order on any machine.
const WAVE: usize = 8;

/// What to keep of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOptions {
    /// Keep the exact attention, [step, write]: T^2 numbers.
    pub attention: bool,
    /// Keep what the erase of each step took of each write, [step, write]: T^2 numbers.
    pub erased: bool,
    /// Average removal over the orders of attribution.
    pub orders: bool,
    /// Tallies to take on the way: the write, and the step after which.
    pub marks: Vec<(usize, usize)>,
}

/// The account of one head of one sequence.
#[derive(Clone, Debug)]
pub struct Account<F: Precision> {
    /// How removal is accounted for.
    pub form: Form,
    /// A_{t,i} = q_t . u_{t,i}, exact and signed: the weight of value v_i in the output o_t. [step, write]; `None` unless asked for.
    pub attention: Option<Array2<F>>,
    /// H_{t,i}: the energy that the erase of each step took of each write, [step, write]; `None` unless asked for.
    pub erased: Option<Array2<F>>,
    /// What the memory before the first step adds to every output, [step, d_v]; `None` if it was zero.
    pub initial_output: Option<Array2<F>>,
    /// sum_i A_{t,i} v_i and the part of the initial memory: the output as the account explains it, [step, d_v].
    pub output: Array2<F>,
    /// Every write after the last step, \[write\].
    pub tallies: Vec<Tally>,
    /// What was in memory before the first step, after the last; `None` if nothing was.
    pub initial_tally: Option<Tally>,
    /// The tallies asked for, in that order. A write that was not made yet has the default tally.
    pub marked: Vec<Tally>,
    /// Steps after which |u| is at most half of what was written, \[write\]; `None` if it never was.
    pub half_life: Vec<Option<usize>>,
    /// The same if nothing but decay had acted.
    pub decay_only_half_life: Vec<Option<usize>>,
    /// The half-life of what was in memory before the first step, in steps from the first.
    pub initial_half_life: Option<usize>,
    /// u_{T-1,i}: what is left of every write after the last step, [write, d_k].
    pub left: Array2<F>,
    /// What is left of the memory before the first step, [d_k, d_v]; `None` if it was zero.
    pub initial_left: Option<Array2<F>>,
}

/// Follows every write of a head from the step that made it to the last one.
///
/// Time O(n_writes T d_k): 16 FLOP for every write, later step and key channel of EDA. Memory O(n_writes d_k), and T^2 only where
/// the attention is kept. Runs on all threads; the same numbers whatever their number.
pub fn account<F: Precision>(head: &HeadRecurrence<F>, options: &AccountOptions) -> Account<F> {
    let prepared = Prepared::new(head);
    let (n_steps, n_writes, d_v) = (head.n_steps(), head.n_writes(), head.d_v());
    let groups = groups(n_writes);
    let matrix = |wanted: bool| wanted.then(|| Array2::zeros((n_steps, n_writes)));
    let (mut attention, mut erased) = (matrix(options.attention), matrix(options.erased));
    let mut sinks: Vec<Sinks<F>> = columns(&mut attention, groups.len())
        .into_iter()
        .zip(columns(&mut erased, groups.len()))
        .map(|(attention, erased)| Sinks { attention, erased })
        .collect();
    let values = head.values();
    let mut output = Array2::zeros((n_steps, d_v));
    let mut closed = Vec::with_capacity(groups.len());
    for (wave, sinks) in groups.chunks(WAVE).zip(sinks.chunks_mut(WAVE)) {
        let parts: Vec<GroupPart<F>> = wave
            .par_iter()
            .zip(sinks)
            .map(|(range, sink)| {
                let blocks = blocks_of_writes(&prepared, range.clone(), options);
                run_group(blocks, n_steps, sink, Some(values.slice(s![range.clone(), ..])))
            })
            .collect();
        for part in parts {
            let first = n_steps - part.output.nrows();
            let mut to = output.slice_mut(s![first.., ..]);
            to += &part.output;
            closed.extend(part.closed);
        }
    }
    drop(sinks);

    let initial = initial_part(&prepared, options.orders);
    if let Some(initial) = &initial {
        output += &initial.output;
    }
    let mut marked = vec![Tally::default(); options.marks.len()];
    let mut left = Array2::zeros((n_writes, head.d_k()));
    let (mut tallies, mut half_life) = (Vec::with_capacity(n_writes), Vec::with_capacity(n_writes));
    for block in closed {
        left.slice_mut(s![tallies.len()..tallies.len() + block.tallies.len(), ..]).assign(&block.last);
        tallies.extend(block.tallies);
        half_life.extend(block.half_life);
        block.marked.into_iter().for_each(|(slot, tally)| marked[slot] = tally);
    }
    let (initial_output, initial_tally, initial_half_life, initial_left) = match initial {
        Some(part) => (Some(part.output), Some(part.tally), part.half_life, Some(part.left)),
        None => (None, None, None, None),
    };
    Account {
        form: if head.is_oblique() { Form::Vector } else { Form::Energy },
        attention,
        erased,
        initial_output,
        output,
        tallies,
        initial_tally,
        marked,
        half_life,
        decay_only_half_life: decay_only_half_lives(head),
        initial_half_life,
        left,
        initial_left,
    }
}

impl<F: Precision> Account<F> {
    /// Surviving, decayed, erased and overwritten share of every write after the last step, [write, 4]; NaN for a write of nothing.
    pub fn shares(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.tallies.len(), 4), |(write, part)| self.tallies[write].shares().map_or(f64::NAN, |shares| shares[part]))
    }

    /// |output as explained - output| / |output| at every step: how much of each read the account leaves unexplained. 0 where both are
    /// zero. `output` is [step, d_v], of the model or of an engine.
    ///
    /// # Panics
    /// If `output` has another shape.
    pub fn residuals(&self, output: ArrayView2<F>) -> Vec<f64> {
        assert_eq!(output.dim(), self.output.dim(), "an output row for every step");
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let row = |(ours, theirs): (ndarray::ArrayView1<F>, ndarray::ArrayView1<F>)| {
            let off = norm(&mut ours.iter().zip(theirs).map(|(a, b)| a.wide() - b.wide()));
            let whole = norm(&mut theirs.iter().map(|x| x.wide()));
            if off == 0.0 { 0.0 } else { off / whole }
        };
        self.output.rows().into_iter().zip(output.rows()).map(row).collect()
    }

    /// The largest distance of a write's four shares from summing to 1.
    pub fn share_residual(&self) -> f64 {
        self.tallies.iter().chain(&self.initial_tally).map(Tally::residual).fold(0.0, f64::max)
    }

    /// The memory after the last step as the account explains it: what is left of the initial one, and sum_i u_i v_i^T. [d_k, d_v].
    pub fn memory(&self, head: &HeadRecurrence<F>) -> Array2<F> {
        let written = self.left.t().dot(&head.values());
        match &self.initial_left {
            Some(initial) => written + initial,
            None => written,
        }
    }
}

/// Ranges of writes, one a group.
fn groups(n_writes: usize) -> Vec<std::ops::Range<usize>> {
    (0..n_writes).step_by(GROUP * COLUMNS).map(|from| from..(from + GROUP * COLUMNS).min(n_writes)).collect()
}

fn blocks_of_writes<'a, F: Precision>(
    prepared: &'a Prepared<'a, F>,
    writes: std::ops::Range<usize>,
    options: &AccountOptions,
) -> Vec<Block<'a, F>> {
    let block = |from: usize| {
        let to = (from + COLUMNS).min(writes.end);
        let marks = options.marks.iter().enumerate().filter(|(_, (write, _))| (from..to).contains(write));
        let marks = marks.map(|(slot, &(write, step))| Mark { step, column: write - from, slot }).collect();
        Block::new(prepared, (from..to).map(Column::Write).collect(), options.orders, marks)
    };
    writes.clone().step_by(COLUMNS).map(block).collect()
}

/// The columns of every group in a matrix that is kept whole.
fn columns<F>(all: &mut Option<Array2<F>>, n_groups: usize) -> Vec<Option<ArrayViewMut2<'_, F>>> {
    match all {
        Some(all) => all.axis_chunks_iter_mut(Axis(1), GROUP * COLUMNS).map(Some).collect(),
        None => (0..n_groups).map(|_| None).collect(),
    }
}

/// The columns of a group in what is kept whole.
struct Sinks<'a, F> {
    attention: Option<ArrayViewMut2<'a, F>>,
    erased: Option<ArrayViewMut2<'a, F>>,
}

/// What the blocks of a group leave.
struct GroupPart<F> {
    /// Their part of the output, for the last steps, [steps from the group's first on, d_v].
    output: Array2<F>,
    closed: Vec<Closed<F>>,
}

/// Takes the blocks of a group through all steps, a chunk at a time. `values` are those of the columns; without them the attention
/// itself is the output.
fn run_group<F: Precision>(mut blocks: Vec<Block<F>>, n_steps: usize, sinks: &mut Sinks<F>, values: Option<ArrayView2<F>>) -> GroupPart<F> {
    let first = blocks.iter().map(Block::first_step).min().unwrap_or(0);
    let n_columns: usize = blocks.iter().map(Block::n_columns).sum();
    let width = values.map_or(n_columns, |values| values.ncols());
    let mut output = Array2::zeros((n_steps - first, width));
    let mut tile = Array2::zeros((CHUNK, n_columns));
    let mut erased = sinks.erased.is_some().then(|| Array2::zeros((CHUNK, n_columns)));
    for start in (first..n_steps).step_by(CHUNK) {
        let steps = start..(start + CHUNK).min(n_steps);
        tile.fill(F::zero());
        if let Some(erased) = &mut erased {
            erased.fill(F::zero());
        }
        let mut column = 0;
        for block in &mut blocks {
            let columns = column..column + block.n_columns();
            column = columns.end;
            let from = steps.start.max(block.first_step());
            if from < steps.end {
                let rows = from - start..steps.len();
                let erased = erased.as_mut().map(|erased| erased.slice_mut(s![rows.clone(), columns.clone()]));
                block.run(from..steps.end, tile.slice_mut(s![rows.clone(), columns.clone()]), erased);
            }
        }
        let tile = tile.slice(s![..steps.len(), ..]);
        if let Some(sink) = &mut sinks.attention {
            sink.slice_mut(s![steps.clone(), ..]).assign(&tile);
        }
        if let (Some(sink), Some(erased)) = (&mut sinks.erased, &erased) {
            sink.slice_mut(s![steps.clone(), ..]).assign(&erased.slice(s![..steps.len(), ..]));
        }
        let mut rows = output.slice_mut(s![start - first..steps.end - first, ..]);
        match values {
            Some(values) => general_mat_mul(F::one(), &tile, &values, F::zero(), &mut rows),
            None => rows.assign(&tile),
        }
    }
    GroupPart { output, closed: blocks.into_iter().map(Block::close).collect() }
}

/// What was in memory before the first step.
pub(super) struct InitialPart<F> {
    pub output: Array2<F>,
    pub tally: Tally,
    pub half_life: Option<usize>,
    pub left: Array2<F>,
}

/// The memory before the first step: each of its columns is decayed and edited as a write is, and read as one.
pub(super) fn initial_part<F: Precision>(prepared: &Prepared<F>, orders: bool) -> Option<InitialPart<F>> {
    let head = prepared.head;
    head.initial_memory.as_ref()?;
    let starts: Vec<usize> = (0..head.d_v()).step_by(COLUMNS).collect();
    let parts: Vec<GroupPart<F>> = starts
        .par_iter()
        .map(|&from| {
            let columns = (from..(from + COLUMNS).min(head.d_v())).map(Column::Initial).collect();
            run_group(
                vec![Block::new(prepared, columns, orders, vec![])],
                head.n_steps(),
                &mut Sinks { attention: None, erased: None },
                None,
            )
        })
        .collect();
    let mut output = Array2::zeros((head.n_steps(), head.d_v()));
    let mut left = Array2::zeros((head.d_k(), head.d_v()));
    let (mut tally, mut energies) = (Tally::default(), vec![0.0; head.n_steps()]);
    for (part, from) in parts.into_iter().zip(starts) {
        let columns = from..from + part.output.ncols();
        output.slice_mut(s![.., columns.clone()]).assign(&part.output);
        for block in part.closed {
            left.slice_mut(s![.., columns.clone()]).assign(&block.last.t());
            block.tallies.iter().for_each(|one| tally.add(one));
            energies.iter_mut().zip(&block.energies).for_each(|(sum, energy)| *sum += energy);
        }
    }
    let half_life = energies.iter().position(|&energy| energy <= tally.written / 4.0).map(|step| step + 1);
    Some(InitialPart { output, tally, half_life, left })
}

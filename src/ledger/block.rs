//! A block of writes through all steps: what is read of each, what is taken of it, and by whom.

use ndarray::{Array2, ArrayViewMut2};

use super::head::HeadRecurrence;
use super::kernel::{COLUMNS, Precision, Row, Update};
use super::orders::{Player, shapley};
use super::prepared::{Mechanism, Prepared, inner, row};
use super::tally::Tally;

/// What a column of a block starts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The write of this number.
    Write(usize),
    /// This column of the memory before the first step.
    Initial(usize),
}

/// A tally asked for: of which column, after which step, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub step: usize,
    pub column: usize,
    pub slot: usize,
}

/// Up to [`COLUMNS`] writes and their accounts so far.
pub(super) struct Block<'a, F: Precision> {
    prepared: &'a Prepared<'a, F>,
    columns: Vec<Column>,
    orders: bool,
    /// \[d_k\] rows of one number a write.
    memory: Vec<Row<F>>,
    /// The columns as they were written; only for oblique rules.
    origin: Vec<Row<F>>,
    energy: Row<F>,
    loss: Row<F>,
    /// What the erase of the step in progress took.
    erased: Row<F>,
    tallies: Vec<Tally>,
    /// A quarter of the energy written: reached when |u| has halved.
    quarter: [f64; COLUMNS],
    half_life: [Option<usize>; COLUMNS],
    /// Sorted by step, the next first to be taken from the end.
    marks: Vec<Mark>,
    pub marked: Vec<(usize, Tally)>,
    /// Energy of all columns together after every step; only for the initial memory.
    pub energies: Vec<f64>,
    scratch: Scratch<'a, F>,
}

/// Room of one step, kept from step to step.
struct Scratch<'a, F> {
    reading: Vec<&'a [F]>,
    sums: Vec<Row<F>>,
    held: Vec<Row<F>>,
    values: Vec<Row<F>>,
    edits: Vec<(&'a [F], Row<F>)>,
}

/// What a block leaves behind.
pub(super) struct Closed<F> {
    pub tallies: Vec<Tally>,
    pub half_life: Vec<Option<usize>>,
    /// [column, d_k].
    pub last: Array2<F>,
    pub marked: Vec<(usize, Tally)>,
    pub energies: Vec<f64>,
}

impl<'a, F: Precision> Block<'a, F> {
    /// `marks` are of this block's columns.
    pub fn new(prepared: &'a Prepared<'a, F>, columns: Vec<Column>, orders: bool, mut marks: Vec<Mark>) -> Self {
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.step));
        let d_k = prepared.head.d_k();
        let mut memory = vec![Row::zero(); d_k];
        let mut tallies = vec![Tally::default(); columns.len()];
        let mut quarter = [0.0; COLUMNS];
        for (c, column) in columns.iter().enumerate() {
            if let (Column::Initial(channel), Some(initial)) = (column, &prepared.head.initial_memory) {
                memory.iter_mut().zip(initial.column(*channel)).for_each(|(row, &x)| row.0[c] = x);
                tallies[c].written = inner(initial.column(*channel), initial.column(*channel));
                quarter[c] = tallies[c].written / 4.0;
            }
        }
        let first = Update { retention: None, edits: &[], loss_weights: row(&prepared.loss_weights, 0) };
        let [energy, loss] = F::update(&mut memory, &first);
        let origin = if prepared.lost.is_some() { memory.clone() } else { vec![] };
        Self {
            prepared,
            columns,
            orders,
            memory,
            origin,
            energy,
            loss,
            erased: Row::zero(),
            tallies,
            quarter,
            half_life: [None; COLUMNS],
            marks,
            marked: vec![],
            energies: vec![],
            scratch: Scratch { reading: vec![], sums: vec![], held: vec![], values: vec![], edits: vec![] },
        }
    }

    /// The first step that concerns the block.
    pub fn first_step(&self) -> usize {
        match self.columns[0] {
            Column::Initial(_) => 0,
            Column::Write(write) => self.prepared.head.place(write).step,
        }
    }

    /// How many columns are in use.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// Goes through these steps; `attention` receives q.u of every step and column, `erased` what the step's erase took of it.
    pub fn run(&mut self, steps: std::ops::Range<usize>, mut attention: ArrayViewMut2<F>, mut erased: Option<ArrayViewMut2<F>>) {
        let start = steps.start;
        for t in steps {
            let mut reads = self.step(t);
            self.births(t, &mut reads);
            let copy = |mut to: ndarray::ArrayViewMut1<F>, from: &Row<F>| to.iter_mut().zip(&from.0).for_each(|(to, &x)| *to = x);
            copy(attention.row_mut(t - start), &reads);
            if let Some(erased) = &mut erased {
                copy(erased.row_mut(t - start), &self.erased);
            }
            self.after(t);
        }
    }

    /// Ends the account.
    pub fn close(mut self) -> Closed<F> {
        for c in 0..self.columns.len() {
            self.tallies[c].surviving = self.surviving(c);
        }
        let mut last = Array2::zeros((self.columns.len(), self.memory.len()));
        for (r, from) in self.memory.iter().enumerate() {
            last.column_mut(r).iter_mut().zip(&from.0).for_each(|(to, &x)| *to = x);
        }
        Closed {
            half_life: self.half_life[..self.columns.len()].to_vec(),
            tallies: self.tallies,
            last,
            marked: self.marked,
            energies: self.energies,
        }
    }

    /// One step on the columns that are there; returns q.u.
    fn step(&mut self, t: usize) -> Row<F> {
        let prepared = self.prepared;
        let mut scratch =
            std::mem::replace(&mut self.scratch, Scratch { reading: vec![], sums: vec![], held: vec![], values: vec![], edits: vec![] });
        let Scratch { reading, sums, held, values, edits } = &mut scratch;
        reading.clear();
        reading.extend(prepared.edits.iter().filter_map(|edit| edit.read.as_ref().map(|read| row(read, t))));
        let n_reads = reading.len();
        reading.push(row(&prepared.query, t));
        sums.resize(n_reads + 1, Row::zero());
        let raw = if self.orders { self.raw_reads(t) } else { vec![] };
        F::read(&self.memory, reading, sums);
        if let Some(lost) = &prepared.lost {
            self.decay_along(row(lost, t));
        }

        held.clear();
        values.clear();
        edits.clear();
        let mut query = sums[n_reads];
        for (edit, own) in prepared.edits.iter().zip(&prepared.head.edits) {
            let mut found = Row::zero();
            let mut value = Row::zero();
            if edit.read.is_some() {
                found = sums[edits.len()];
                for (&coupling, value) in edit.couplings[t].iter().zip(values.iter()) {
                    add(&mut found, F::narrow(coupling), value);
                }
                let strength = F::narrow(-edit.strength[t]);
                value = Row(found.0.map(|held| strength * held));
                add(&mut query, F::narrow(edit.query_coupling[t]), &value);
                edits.push((row(&own.direction, t), value));
            }
            held.push(found);
            values.push(value);
        }
        self.take(t, held, values);
        if self.orders {
            self.average_over_orders(t, &sums[..n_reads], &raw);
        }
        let update = Update { retention: Some(row(&prepared.head.retention, t)), edits, loss_weights: row(&prepared.loss_weights, t + 1) };
        [self.energy, self.loss] = F::update(&mut self.memory, &update);
        self.scratch = scratch;
        query
    }

    /// Notes what decay and every edit took of each column at a step.
    fn take(&mut self, t: usize, held: &[Row<F>], values: &[Row<F>]) {
        let (prepared, d_k) = (self.prepared, self.memory.len() as f64);
        let oblique = prepared.lost.is_some();
        for (c, tally) in self.tallies.iter_mut().enumerate() {
            let (mut found, loss) = (self.energy.0[c].wide(), self.loss.0[c].wide());
            tally.present[0] += found;
            tally.gated[0] += found * prepared.mean_loss[t];
            tally.taken[0] += loss;
            if !oblique {
                tally.decayed += loss;
            }
            found = (found - loss).max(0.0);
            for (edit, held) in prepared.edits.iter().zip(held) {
                let Some(mechanism) = edit.mechanism else { continue };
                let taken = edit.rate[t] * held.0[c].wide().powi(2);
                let m = mechanism as usize;
                tally.present[m] += found;
                tally.gated[m] += found * edit.rate[t] * edit.read_square[t] / d_k;
                tally.taken[m] += taken;
                if mechanism == Mechanism::Erase {
                    self.erased.0[c] = F::narrow(taken);
                }
                if !oblique {
                    *part(tally, mechanism) += taken;
                }
                if !edit.oblique {
                    found = (found - taken).max(0.0);
                }
            }
        }
        if oblique {
            self.take_along(t, values);
        }
    }

    /// Oblique rules: what decay took, along what was written.
    fn decay_along(&mut self, lost: &[F]) {
        let along = F::product(&self.memory, &self.origin, lost);
        self.tallies.iter_mut().zip(&along.0).for_each(|(tally, along)| tally.decayed += along.wide());
    }

    /// Oblique rules: what the edits took, along what was written.
    fn take_along(&mut self, t: usize, values: &[Row<F>]) {
        let prepared = self.prepared;
        let directions: Vec<&[F]> = prepared.head.edits.iter().map(|edit| row(&edit.direction, t)).collect();
        let mut along = vec![Row::zero(); directions.len()];
        F::read(&self.origin, &directions, &mut along);
        for ((edit, value), along) in prepared.edits.iter().zip(values).zip(&along) {
            let Some(mechanism) = edit.mechanism else { continue };
            for (c, tally) in self.tallies.iter_mut().enumerate() {
                *part(tally, mechanism) -= value.0[c].wide() * along.0[c].wide();
            }
        }
    }

    /// c.x of the columns before the step's decay, for every edit that reads.
    fn raw_reads(&self, t: usize) -> Vec<Row<F>> {
        let edits = self.prepared.head.edits.iter();
        let reading: Vec<&[F]> = edits.filter_map(|edit| edit.read_at(t).map(|read| read.to_slice().unwrap_or(&[]))).collect();
        let mut sums = vec![Row::zero(); reading.len()];
        F::read(&self.memory, &reading, &mut sums);
        sums
    }

    fn average_over_orders(&mut self, t: usize, decayed: &[Row<F>], raw: &[Row<F>]) {
        let edits: Vec<_> = self.prepared.edits.iter().filter(|edit| edit.mechanism.is_some()).collect();
        // Couplings among the edits that read: those that only add come last in every rule and take nothing.
        let players: Vec<Player> = edits
            .iter()
            .map(|edit| Player {
                mechanism: edit.mechanism.unwrap_or(Mechanism::Write),
                strength: edit.strength[t],
                rate: edit.rate[t],
                couplings: &edit.couplings[t],
            })
            .collect();
        let [mut after, mut before, mut values] = [0, 1, 2].map(|_| vec![0.0; players.len()]);
        for (c, tally) in self.tallies.iter_mut().enumerate() {
            if self.energy.0[c] == F::zero() {
                continue;
            }
            for n in 0..players.len() {
                (after[n], before[n]) = (decayed[n].0[c].wide(), raw[n].0[c].wide());
            }
            let shares = shapley(self.loss.0[c].wide(), &players, &after, &before, &mut values);
            tally.averaged.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
    }

    /// Puts down the writes that a step makes, and what is read of them at once.
    fn births(&mut self, t: usize, reads: &mut Row<F>) {
        let head = self.prepared.head;
        let each = head.writes_per_step();
        let Some(&Column::Write(first)) = self.columns.first() else { return };
        let from = (t * each).max(first);
        for write in from..((t + 1) * each).min(first + self.columns.len()) {
            let c = write - first;
            let newborn = newborn(head, t, write - t * each);
            let u: Vec<F> = newborn.now.iter().map(|&x| F::narrow(x)).collect();
            for (r, &x) in u.iter().enumerate() {
                self.memory[r].0[c] = x;
            }
            if !self.origin.is_empty() {
                self.origin.iter_mut().zip(&newborn.written).for_each(|(row, &x)| row.0[c] = F::narrow(x));
            }
            let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
            let loss = row(&self.prepared.loss_weights, t + 1);
            self.energy.0[c] = F::narrow(u.iter().map(|x| x.wide().powi(2)).sum());
            self.loss.0[c] = F::narrow(u.iter().zip(loss).map(|(x, w)| w.wide() * x.wide().powi(2)).sum());
            let written = square(&newborn.written);
            self.quarter[c] = written / 4.0;
            let along: f64 = newborn.now.iter().zip(&newborn.written).map(|(now, written)| now * written).sum();
            let overwritten = written - if self.origin.is_empty() { square(&newborn.now) } else { along };
            self.tallies[c] = Tally { written, overwritten, averaged: [0.0, 0.0, overwritten], ..Tally::default() };
            reads.0[c] = F::narrow(head.query.row(t).iter().zip(&newborn.now).map(|(q, x)| q.wide() * x).sum());
        }
    }

    /// Half-lives and marks, once a step is made.
    fn after(&mut self, t: usize) {
        let head = self.prepared.head;
        for (c, column) in self.columns.iter().enumerate() {
            let born = match column {
                Column::Write(write) => head.place(*write).step,
                Column::Initial(_) => 0,
            };
            let is_there = matches!(column, Column::Initial(_)) || born <= t;
            if is_there && self.half_life[c].is_none() && self.quarter[c] > 0.0 && self.energy.0[c].wide() <= self.quarter[c] {
                // The initial memory is as old as the steps made.
                self.half_life[c] = Some(t - born + usize::from(matches!(column, Column::Initial(_))));
            }
        }
        if matches!(self.columns.first(), Some(Column::Initial(_))) {
            self.energies.push(self.energy.0.iter().map(|x| x.wide()).sum());
        }
        while let Some(mark) = self.marks.pop_if(|mark| mark.step <= t) {
            let is_made = match self.columns[mark.column] {
                Column::Write(write) => head.place(write).step <= mark.step,
                Column::Initial(_) => true,
            };
            let tally = Tally { surviving: self.surviving(mark.column), ..self.tallies[mark.column] };
            self.marked.push((mark.slot, if is_made { tally } else { Tally::default() }));
        }
    }

    fn surviving(&self, c: usize) -> f64 {
        if self.origin.is_empty() {
            return self.energy.0[c].wide();
        }
        self.memory.iter().zip(&self.origin).map(|(now, then)| now.0[c].wide() * then.0[c].wide()).sum()
    }
}

/// `to += factor from`.
fn add<F: Precision>(to: &mut Row<F>, factor: F, from: &Row<F>) {
    to.0.iter_mut().zip(&from.0).for_each(|(to, &from)| *to += factor * from);
}

/// A write at the end of the step that makes it.
pub(super) struct Newborn {
    /// strength * direction, as it is put down.
    pub written: Vec<f64>,
    /// What the later edits of the same step leave of it.
    pub now: Vec<f64>,
}

pub(super) fn newborn<F: Precision>(head: &HeadRecurrence<F>, t: usize, number: usize) -> Newborn {
    let mut writes = head.edits.iter().enumerate().filter(|(_, edit)| edit.value.is_some());
    let (index, edit) = writes.nth(number).expect("a step makes as many writes as it has edits with a value");
    let strength = edit.strength[t].wide();
    let written: Vec<f64> = edit.direction.row(t).iter().map(|d| strength * d.wide()).collect();
    let mut now = written.clone();
    for later in &head.edits[index + 1..] {
        // An edit that reads before decay does not see what the step wrote.
        let Some(read) = later.read_now(t) else { continue };
        let found: f64 = read.iter().zip(&now).map(|(c, x)| c.wide() * x).sum();
        let a = -later.strength[t].wide() * found;
        now.iter_mut().zip(later.direction.row(t)).for_each(|(x, d)| *x += d.wide() * a);
    }
    Newborn { written, now }
}

/// The part of a tally that a mechanism takes.
fn part(tally: &mut Tally, mechanism: Mechanism) -> &mut f64 {
    match mechanism {
        Mechanism::Decay => &mut tally.decayed,
        Mechanism::Erase => &mut tally.erased,
        Mechanism::Write => &mut tally.overwritten,
    }
}

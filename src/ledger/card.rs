//! The account on the engine of a device: on a card for long sequences, whose account grows with the square of their length.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Axis, s};
use rayon::prelude::*;

use super::account::{Account, AccountOptions, account, initial_part};
use super::block::{Newborn, newborn};
use super::half_life::decay_only_half_lives;
use super::head::HeadRecurrence;
use super::kernel::Precision;
use super::prepared::{Prepared, row};
use super::tally::{Form, Tally};
use crate::memory::cuda::{Cards, CudaError};
use crate::memory::follow::{FollowLayout, Followed, FollowedEdit, FollowedSums, Following};
use crate::memory::{Device, EditKind};

/// Who takes accounts: the processor, or a card.
#[derive(Clone, Debug)]
pub enum Accountant {
    /// All cores of this machine.
    Cpu,
    /// The first of these cards.
    Cards(Cards),
}

impl Accountant {
    /// Opens a device.
    ///
    /// # Errors
    /// If a card is asked for and there is no driver, or no such card.
    pub fn open(device: &Device) -> Result<Self, CudaError> {
        match device {
            Device::Cpu => Ok(Self::Cpu),
            Device::Cuda(_) => Cards::open(device).map(Self::Cards),
        }
    }

    /// As [`account()`], of which a card's differs by the order of sums alone.
    ///
    /// # Errors
    /// What can go wrong on a card; the processor has none.
    pub fn account<F: Precision>(&self, head: &HeadRecurrence<F>, options: &AccountOptions) -> Result<Account<F>, CudaError> {
        match self {
            Self::Cpu => Ok(account(head, options)),
            Self::Cards(cards) => account_by(head, options, |following| cards.follow(following)),
        }
    }
}

/// The account from whoever follows the writes: a card, or [`follow::run`](crate::memory::follow::run) to test the way there and back.
///
/// # Errors
/// Those of `follow`.
pub fn account_by<F: Precision, E>(
    head: &HeadRecurrence<F>,
    options: &AccountOptions,
    follow: impl Fn(&Following<F>) -> Result<Followed<F>, E>,
) -> Result<Account<F>, E> {
    let prepared = Prepared::new(head);
    let newborns: Vec<Newborn> =
        (0..head.n_writes()).map(|write| head.place(write)).map(|place| newborn(head, place.step, place.number)).collect();
    let mut following = following(&prepared, &newborns, options);
    // A write is followed with two marks at most: those beyond are taken in further rounds.
    let mut rounds = marks_in_rounds(head.n_writes(), &options.marks);
    let first = rounds.remove(0);
    following.marks = first.steps;
    let found = follow(&following)?;
    let births: Vec<Tally> = newborns.iter().map(|newborn| birth(newborn, &following)).collect();
    let mut marked = vec![Tally::default(); options.marks.len()];
    let mut take = |slots: &BTreeMap<usize, [usize; 2]>, found: &Followed<F>| {
        for (&write, slots) in slots {
            for (&slot, sums) in slots.iter().zip(&found.marked[write]) {
                // A write that was not made by then keeps the default, as one that was never asked for.
                let made = options.marks.get(slot).is_some_and(|&(_, step)| step >= head.place(write).step && step < head.n_steps());
                if made {
                    marked[slot] = tally(&births[write], sums, head);
                }
            }
        }
    };
    take(&first.slots, &found);
    for round in rounds {
        let again = Following { marks: round.steps, keeps_seen: false, keeps_erased: false, ..following.clone() };
        take(&round.slots, &follow(&again)?);
    }

    let initial = initial_part(&prepared, options.orders);
    let mut output = found.output;
    if let Some(initial) = &initial {
        output += &initial.output;
    }
    let (initial_output, initial_tally, initial_half_life, initial_left) = match initial {
        Some(part) => (Some(part.output), Some(part.tally), part.half_life, Some(part.left)),
        None => (None, None, None, None),
    };
    Ok(Account {
        form: if head.is_oblique() { Form::Vector } else { Form::Energy },
        attention: found.seen,
        erased: found.erased,
        initial_output,
        output,
        tallies: births.iter().zip(&found.sums).map(|(birth, sums)| tally(birth, sums, head)).collect(),
        initial_tally,
        marked,
        half_life: found.half_life,
        decay_only_half_life: decay_only_half_lives(head),
        initial_half_life,
        left: found.left,
        initial_left,
    })
}

/// What the steps do to every write, and how each starts.
fn following<F: Precision>(prepared: &Prepared<F>, newborns: &[Newborn], options: &AccountOptions) -> Following<F> {
    let head = prepared.head;
    let d_k = head.d_k();
    let reading: Vec<usize> = (0..prepared.edits.len()).filter(|&j| prepared.edits[j].read.is_some()).collect();
    let mut edits: Vec<FollowedEdit> =
        reading.iter().map(|&j| FollowedEdit { kind: head.edits[j].kind, is_oblique: prepared.edits[j].oblique }).collect();
    if edits.is_empty() {
        // Where nothing reads, an edit of strength 0 that finds nothing.
        edits.push(FollowedEdit { kind: EditKind::Write(0), is_oblique: false });
    }
    let is_oblique = edits.iter().any(|edit| edit.is_oblique);
    let layout = FollowLayout { n_edits: edits.len(), orders: options.orders, is_oblique, width: d_k.next_multiple_of(32) };
    let mut rows = Array3::zeros((head.n_steps() + 1, layout.n_rows(), layout.width));
    rows.axis_iter_mut(Axis(0)).into_par_iter().take(head.n_steps()).enumerate().for_each(|(t, mut step)| {
        let mut put = |place: usize, from: &[F]| step.slice_mut(s![place, ..d_k]).iter_mut().zip(from).for_each(|(to, &x)| *to = x);
        put(0, row(&head.retention, t));
        put(1, row(&prepared.loss_weights, t));
        put(2, row(&prepared.query, t));
        if let Some(lost) = &prepared.lost {
            put(layout.lost(), row(lost, t));
        }
        let mut numbers = vec![F::zero(); layout.edit(layout.n_edits)];
        numbers[0] = F::narrow(prepared.mean_loss[t]);
        for (place, &j) in reading.iter().enumerate() {
            let (edit, own) = (&prepared.edits[j], &head.edits[j]);
            if let Some(read) = &edit.read {
                put(layout.read(place), row(read, t));
            }
            put(layout.direction(place), row(&own.direction, t));
            if layout.orders
                && let Some(read) = own.read_at(t)
            {
                put(layout.raw_read(place), read.to_slice().unwrap_or(&[]));
            }
            let at = layout.edit(place);
            let gate = edit.rate[t] * edit.read_square[t] / d_k as f64;
            for (to, x) in [edit.strength[t], edit.rate[t], gate, edit.query_coupling[t]].into_iter().enumerate() {
                numbers[at + to] = F::narrow(x);
            }
            for (earlier, &i) in reading[..place].iter().enumerate() {
                numbers[at + 4 + earlier] = F::narrow(edit.couplings[t][i]);
            }
        }
        for (part, numbers) in numbers.chunks(layout.width).enumerate() {
            step.slice_mut(s![layout.numbers() + part, ..]).iter_mut().zip(numbers).for_each(|(to, &x)| *to = x);
        }
    });
    let matrix =
        |of: fn(&Newborn) -> &[f64], rows: usize| Array2::from_shape_fn((rows, d_k), |(write, r)| F::narrow(of(&newborns[write])[r]));
    let seen = |(write, newborn): (usize, &Newborn)| {
        let query = head.query.row(head.place(write).step);
        F::narrow(query.iter().zip(&newborn.now).map(|(q, x)| q.wide() * x).sum())
    };
    Following {
        d_k,
        edits,
        orders: options.orders,
        rows,
        each: head.writes_per_step(),
        entries: matrix(|newborn| &newborn.now, newborns.len()),
        entry_reads: newborns.iter().enumerate().map(seen).collect(),
        origins: matrix(|newborn| &newborn.written, if is_oblique { newborns.len() } else { 0 }),
        quarter: newborns.iter().map(|newborn| newborn.written.iter().map(|x| x * x).sum::<f64>() / 4.0).collect(),
        values: head.values(),
        marks: vec![],
        keeps_seen: options.attention,
        keeps_erased: options.erased,
    }
}

/// The tally of a write at the end of the step that makes it.
fn birth<F: Precision>(newborn: &Newborn, following: &Following<F>) -> Tally {
    let inner = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let written = inner(&newborn.written, &newborn.written);
    let left = if following.is_oblique() { &newborn.written } else { &newborn.now };
    let overwritten = written - inner(&newborn.now, left);
    Tally { written, overwritten, averaged: [0.0, 0.0, overwritten], ..Tally::default() }
}

fn tally<F: Precision>(birth: &Tally, sums: &FollowedSums, head: &HeadRecurrence<F>) -> Tally {
    let [decayed, erased, overwritten] = if head.is_oblique() { sums.along } else { sums.taken };
    let mut present = sums.present;
    if !head.edits.iter().any(|edit| edit.read_at(0).is_some()) {
        // The edit that stands where nothing reads finds what nobody looks for.
        present[2] = 0.0;
    }
    let mut found = Tally {
        written: birth.written,
        surviving: sums.surviving,
        decayed,
        erased,
        overwritten: birth.overwritten + overwritten,
        averaged: birth.averaged,
        taken: sums.taken,
        present,
        gated: sums.gated,
    };
    found.averaged.iter_mut().zip(sums.averaged).for_each(|(sum, x)| *sum += x);
    found
}

/// Marks of one round: the steps of every write, and where their tallies go.
struct Round {
    steps: Vec<[i32; 2]>,
    slots: BTreeMap<usize, [usize; 2]>,
}

/// At least one round.
fn marks_in_rounds(n_writes: usize, marks: &[(usize, usize)]) -> Vec<Round> {
    let none = || Round { steps: vec![[-1; 2]; n_writes], slots: BTreeMap::new() };
    let mut rounds = vec![none()];
    let mut taken = vec![0; n_writes];
    for (slot, &(write, step)) in marks.iter().enumerate() {
        let (round, place) = (taken[write] / 2, taken[write] % 2);
        taken[write] += 1;
        if round == rounds.len() {
            rounds.push(none());
        }
        rounds[round].steps[write][place] = step as i32;
        rounds[round].slots.entry(write).or_insert([usize::MAX; 2])[place] = slot;
    }
    rounds
}

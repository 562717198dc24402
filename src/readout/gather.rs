//! One pass over a layer's recorded steps: the features of every sample, head and phase.

use std::collections::BTreeMap;

use ndarray::{Array2, Array4, s};
use rayon::prelude::*;

use super::{Feature, ReadoutError, sites::Question};
use crate::{
    memory::{Dims, EditKind, HookPoint, Phase, replay::HeadReplay},
    trace::Trace,
};

/// Which features of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// At a phase of the sample's step.
    At(Phase),
    /// In the memory found by the first step that could know the target.
    BeforeTheWrite,
}

/// Whose memory is read at whose address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// The head's own memory, flattened.
    State,
    /// The head's own memory at its own address.
    Read,
    /// Another head's memory (the next one's) at this head's address.
    WrongRead,
}

/// What is wanted: question number, moment, head, what is seen.
pub(super) type Slot = (usize, Moment, usize, Seen);

/// Features [sample, channel] by slot.
pub(super) type Gathered = BTreeMap<Slot, Array2<f32>>;

/// One look at a memory.
#[derive(Clone, Copy)]
struct Look {
    step: usize,
    phase: Phase,
    question: usize,
    moment: Moment,
    row: usize,
    address_step: Option<usize>,
    query_step: usize,
}

/// How much of the recorded streams to hold at once, in numbers.
const BLOCK_NUMBERS: usize = 1 << 24;

/// Features of these questions in one layer. `heads` in the order in which "the next head" is understood.
pub(super) fn gather(
    trace: &Trace,
    layer: usize,
    heads: &[usize],
    questions: &[Question],
    phases: &[Phase],
    features: &[Feature],
) -> Result<Gathered, ReadoutError> {
    let dims = trace.layer(layer)?.dims;
    let looks = looks_of(questions, phases);
    let seen: Vec<Seen> = features
        .iter()
        .flat_map(|feature| match feature {
            Feature::State => vec![Seen::State],
            Feature::Read if heads.len() > 1 => vec![Seen::Read, Seen::WrongRead],
            Feature::Read => vec![Seen::Read],
        })
        .collect();
    let mut gathered = empty(questions, phases, heads, &seen, &dims);
    let per_sequence = dims.step * dims.head * (dims.d_k + dims.d_v) * 4;
    let block = (BLOCK_NUMBERS / per_sequence.max(1)).clamp(1, 64);
    for start in (0..dims.batch).step_by(block) {
        let batch = start..(start + block).min(dims.batch);
        let last = looks
            .range(batch.clone())
            .flat_map(|(_, looks)| looks.iter().map(|look| look.step.max(look.query_step).max(look.address_step.unwrap_or(0))))
            .max();
        let Some(last) = last else { continue };
        let factors = trace.factors(layer, batch.clone(), 0..last + 1)?;
        let recurrence = factors.lower();
        let mut pseudo_values: Vec<Array4<f32>> = Vec::with_capacity(recurrence.edits.len());
        for edit in &recurrence.edits {
            let array = trace.stream(layer, EditKind::pseudo_value(edit.kind), batch.clone(), 0..last + 1)?;
            pseudo_values.push(array.into_dimensionality().expect("the table says four axes"));
        }
        let directions = factors.channels(HookPoint::WriteDirection(0));
        let queries = factors.channels(HookPoint::Query);
        let jobs: Vec<(usize, usize)> =
            looks.range(batch.clone()).flat_map(|(&sequence, _)| heads.iter().map(move |&head| (sequence, head))).collect();
        let found: Vec<Vec<(Slot, usize, Vec<f32>)>> = jobs
            .into_par_iter()
            .map(|(sequence, head)| {
                let place = heads.iter().position(|&other| other == head).expect("one of the heads");
                let previous = heads[(place + heads.len() - 1) % heads.len()];
                let within = sequence - start;
                let address = |look: &Look, head: usize| {
                    let (array, step) = look.address_step.map_or((&queries, look.query_step), |step| (&directions, step));
                    array.slice(s![within, step, head * array.shape()[2] / dims.head, ..])
                };
                let replay = HeadReplay {
                    recurrence: &recurrence,
                    pseudo_values: pseudo_values.iter().map(|array| array.view()).collect(),
                    batch: within,
                    head,
                };
                let mut wanted = looks[&sequence].clone();
                wanted.sort_by_key(|look| (look.step, look.phase));
                let mut memory = recurrence.initial(within, head);
                let (mut step, mut phase) = (0, Phase::Before);
                let mut found = Vec::new();
                for look in &wanted {
                    while step < look.step {
                        replay.advance(&mut memory, step, phase, Phase::Write);
                        step += 1;
                        phase = Phase::Before;
                    }
                    replay.advance(&mut memory, step, phase, look.phase);
                    phase = look.phase;
                    for &seen in &seen {
                        let (owner, numbers) = match seen {
                            Seen::State => (head, memory.iter().copied().collect()),
                            Seen::Read => (head, memory.t().dot(&address(look, head)).to_vec()),
                            Seen::WrongRead => (previous, memory.t().dot(&address(look, previous)).to_vec()),
                        };
                        found.push(((look.question, look.moment, owner, seen), look.row, numbers));
                    }
                }
                found
            })
            .collect();
        for (slot, row, numbers) in found.into_iter().flatten() {
            let array = gathered.get_mut(&slot).expect("every slot was made");
            array.row_mut(row).assign(&ndarray::ArrayView1::from(&numbers));
        }
    }
    Ok(gathered)
}

/// Every look of every question, by sequence.
fn looks_of(questions: &[Question], phases: &[Phase]) -> BTreeMap<usize, Vec<Look>> {
    let mut looks: BTreeMap<usize, Vec<Look>> = BTreeMap::new();
    for (number, question) in questions.iter().enumerate() {
        for (row, site) in question.sites.iter().enumerate() {
            let look = |step, phase, moment| Look {
                step,
                phase,
                question: number,
                moment,
                row,
                address_step: site.address_step,
                query_step: site.step,
            };
            let of_sequence = looks.entry(site.sequence).or_default();
            of_sequence.extend(phases.iter().map(|&phase| look(site.step, phase, Moment::At(phase))));
            if question.has_before() {
                of_sequence.push(look(site.first_told, Phase::Before, Moment::BeforeTheWrite));
            }
        }
    }
    looks
}

/// Room for the features of every slot.
fn empty(questions: &[Question], phases: &[Phase], heads: &[usize], seen: &[Seen], dims: &Dims) -> Gathered {
    let mut gathered = Gathered::new();
    for (number, question) in questions.iter().enumerate() {
        let moments = phases.iter().map(|&phase| Moment::At(phase)).chain(question.has_before().then_some(Moment::BeforeTheWrite));
        for moment in moments {
            for &head in heads {
                for &seen in seen {
                    let channels = if seen == Seen::State { dims.d_k * dims.d_v } else { dims.d_v };
                    gathered.insert((number, moment, head, seen), Array2::zeros((question.sites.len(), channels)));
                }
            }
        }
    }
    gathered
}

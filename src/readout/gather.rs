//! One pass over a layer's recorded steps: the features of every sample, head and phase.

use std::{collections::BTreeMap, sync::Arc};

use ndarray::{Array2, Array4, ArrayView2, s};
use pentimento_probes::{
    ProbeError,
    linalg::{Eigen, gram},
    matrix_free::{EditStream, Reached, SampleAt, StateDesign, Stretch},
};
use rayon::prelude::*;

use super::{
    Feature, ReadoutError, ReadoutOptions, StateForm,
    features::Features,
    options::DENSE_NUMBERS,
    sites::{Question, Site},
};
use crate::{
    memory::{Dims, EditKind, HookPoint, Phase, Recurrence, Shared4, replay::HeadReplay},
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
    /// The head's own memory in its strongest directions, flattened.
    Singular,
    /// What the layer reads at the sample's step, S^T q.
    Output,
    /// The query q of the sample's step.
    Query,
    /// The address of the read itself, without any memory.
    Address,
}

/// What is wanted: question number, moment, head, what is seen.
pub(super) type Slot = (usize, Moment, usize, Seen);

/// Features by slot.
pub(super) type Gathered = BTreeMap<Slot, Features>;

/// Which features to gather of one layer.
pub(super) struct Wanted<'a> {
    pub layer: usize,
    /// In the order in which "the next head" is understood.
    pub heads: &'a [usize],
    pub phases: &'a [Phase],
    pub options: &'a ReadoutOptions,
    /// Whether outputs and queries are needed.
    pub outputs: bool,
}

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

/// Features of these questions in one layer.
#[expect(clippy::too_many_lines, reason = "one walk over the trace, and every feature that is taken on the way")]
pub(super) fn gather(trace: &Trace, questions: &[Question], wanted: &Wanted) -> Result<Gathered, ReadoutError> {
    let Wanted { layer, heads, phases, options, outputs } = *wanted;
    let dims = trace.layer(layer)?.dims;
    let looks = looks_of(questions, phases);
    let streamed = is_streamed(questions, wanted, &dims);
    let mut seen: Vec<Seen> = options
        .features
        .iter()
        .flat_map(|feature| match feature {
            Feature::State if streamed => vec![],
            Feature::State => vec![Seen::State],
            Feature::Read if heads.len() > 1 => vec![Seen::Read, Seen::Address, Seen::WrongRead],
            Feature::Read => vec![Seen::Read, Seen::Address],
            Feature::Singular => vec![Seen::Singular],
        })
        .collect();
    if outputs {
        seen.extend([Seen::Output, Seen::Query]);
    }
    let rank = options.singular_rank;
    let mut gathered = empty(questions, phases, heads, &seen, &dims);
    let mut stretches: BTreeMap<usize, Vec<Stretch<f32>>> = BTreeMap::new();
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
        if streamed && options.features.contains(&Feature::State) {
            for &head in heads {
                let of_head = looks.range(batch.clone()).map(|(&sequence, looks)| {
                    let steps = 1 + looks.iter().map(|look| look.step).max().unwrap_or(0);
                    stretch(&recurrence, &pseudo_values, sequence - start, head, steps)
                });
                stretches.entry(head).or_default().extend(of_head);
            }
        }
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
                let query = |look: &Look| queries.slice(s![within, look.query_step, head * queries.shape()[2] / dims.head, ..]);
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
                            Seen::Singular => (head, strongest(memory.view(), rank)?),
                            Seen::Output => (head, memory.t().dot(&query(look)).to_vec()),
                            Seen::Query => (head, query(look).to_vec()),
                            Seen::Address => (head, address(look, head).to_vec()),
                        };
                        found.push(((look.question, look.moment, owner, seen), look.row, numbers));
                    }
                }
                Ok(found)
            })
            .collect::<Result<_, ProbeError>>()?;
        for (slot, row, numbers) in found.into_iter().flatten() {
            let array = gathered.get_mut(&slot).expect("every slot was made");
            array.row_mut(row).assign(&ndarray::ArrayView1::from(&numbers));
        }
    }
    let mut gathered: Gathered = gathered.into_iter().map(|(slot, features)| (slot, Features::Formed(features))).collect();
    // How many edits a phase has seen is a question of the rule, not of the numbers.
    let lowered = trace.factors(layer, 0..1, 0..1)?.lower();
    let sequences: Vec<usize> = looks.keys().copied().collect();
    // Every head's stretches are shared by all its designs.
    for (head, stretches) in stretches {
        let stretches = Arc::new(stretches);
        for (number, question) in questions.iter().enumerate() {
            for moment in moments_of(question, phases) {
                let place = |site: &Site| {
                    let (step, phase) = match moment {
                        Moment::At(phase) => (site.step, phase),
                        Moment::BeforeTheWrite => (site.first_told, Phase::Before),
                    };
                    let reached = if phase == Phase::Before { Reached::Before } else { Reached::Edits(lowered.n_edits_at(phase)) };
                    SampleAt { stretch: sequences.partition_point(|&other| other < site.sequence), step, reached }
                };
                let design = StateDesign::new(Arc::clone(&stretches), question.sites.iter().map(place).collect())?;
                gathered.insert((number, moment, head, Seen::State), Features::Streamed(design));
            }
        }
    }
    Ok(gathered)
}

/// Whether the states of a layer are too many to be formed.
fn is_streamed(questions: &[Question], wanted: &Wanted, dims: &Dims) -> bool {
    let samples: usize = questions.iter().map(|question| question.sites.len() * moments_of(question, wanted.phases).len()).sum();
    match wanted.options.state_form {
        StateForm::Auto => samples * wanted.heads.len() * dims.d_k * dims.d_v > DENSE_NUMBERS,
        StateForm::Dense => false,
        StateForm::MatrixFree => true,
    }
}

/// One head's first steps of one sequence.
fn stretch(recurrence: &Recurrence<f32>, pseudo_values: &[Array4<f32>], within: usize, head: usize, steps: usize) -> Stretch<f32> {
    let lanes = |array: &Shared4<f32>| {
        array.slice(s![within, ..steps, head * array.shape()[2] / recurrence.dims.head, ..]).as_standard_layout().into_owned()
    };
    Stretch {
        initial: recurrence.initial_memory.as_ref().map(|_| recurrence.initial(within, head)),
        retention: lanes(&recurrence.retention),
        edits: recurrence
            .edits
            .iter()
            .zip(pseudo_values)
            .map(|(edit, values)| EditStream {
                direction: lanes(&edit.direction),
                pseudo_value: values.slice(s![within, ..steps, head, ..]).as_standard_layout().into_owned(),
            })
            .collect(),
    }
}

/// The best approximation of this rank, flattened.
fn strongest(memory: ArrayView2<f32>, rank: usize) -> Result<Vec<f32>, ProbeError> {
    let memory = memory.mapv(f64::from);
    let eigen = Eigen::new(gram(memory.view()), "the inner products of a memory")?;
    let first = eigen.values.len().saturating_sub(rank);
    let strong = eigen.vectors.slice(s![.., first..]);
    Ok(memory.dot(&strong).dot(&strong.t()).iter().map(|&value| value as f32).collect())
}

fn moments_of(question: &Question, phases: &[Phase]) -> Vec<Moment> {
    phases.iter().map(|&phase| Moment::At(phase)).chain(question.has_before().then_some(Moment::BeforeTheWrite)).collect()
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
fn empty(questions: &[Question], phases: &[Phase], heads: &[usize], seen: &[Seen], dims: &Dims) -> BTreeMap<Slot, Array2<f32>> {
    let mut gathered = BTreeMap::new();
    for (number, question) in questions.iter().enumerate() {
        for moment in moments_of(question, phases) {
            for &head in heads {
                for &seen in seen {
                    let channels = match seen {
                        Seen::State | Seen::Singular => dims.d_k * dims.d_v,
                        Seen::Read | Seen::WrongRead | Seen::Output => dims.d_v,
                        Seen::Query | Seen::Address => dims.d_k,
                    };
                    gathered.insert((number, moment, head, seen), Array2::zeros((question.sites.len(), channels)));
                }
            }
        }
    }
    gathered
}

//! The engine on a card beside the plain f64 reference, phase by phase, on inputs drawn anew each run.

use std::collections::BTreeMap;

use ndarray::{Array, Array4, Array5, ArrayD, Dimension, IxDyn};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

use super::super::{Dims, Edit, Factors, HookPoint, Phase, Read, Recording, Recurrence, Rule, Scalar, cpu, reference};
use super::buffers::{Checkpoints, Targets, Trace};
use super::chunk_parity;
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::parity_record;
use super::upload::{Element, Uploaded};

/// How far a number on the card may be from the reference, relative to the largest of its array.
pub const BOUND: f64 = 2e-5;

/// Everything compared.
#[derive(Clone, Debug, Serialize)]
pub struct Parity {
    /// What all inputs were drawn from.
    pub seed: u64,
    /// What an error may be at most; of runs in chunks 1e-4, their gradients 5e-4, and with bf16 operands 5e-2 and 2e-1.
    pub bound: f64,
    /// Per array, the largest error over all cases.
    pub largest: BTreeMap<String, f64>,
    /// Things that must be true of bits and were not, or launches that failed: empty if all is well.
    pub failures: Vec<String>,
    /// Every case.
    pub cases: Vec<Case>,
}

impl Parity {
    /// Whether every array is within the bound, and nothing failed.
    pub fn holds(&self) -> bool {
        self.failures.is_empty() && self.largest.iter().all(|(name, &error)| error <= chunk_parity::bound(name).unwrap_or(self.bound))
    }
}

/// One rule at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The rule.
    pub rule: String,
    /// Sizes.
    pub dims: Dims,
    /// Whether inputs stand in bf16 on the card.
    pub bf16: bool,
    /// Whether there is an initial memory.
    pub initial: bool,
    /// Largest difference over the largest number of the reference, per array.
    pub errors: BTreeMap<String, f64>,
}

const SIZES: [Dims; 7] = [
    Dims { batch: 2, step: 37, key_head: 2, head: 4, d_k: 64, d_v: 64 },
    Dims { batch: 1, step: 70, key_head: 1, head: 1, d_k: 128, d_v: 128 },
    Dims { batch: 3, step: 19, key_head: 1, head: 3, d_k: 48, d_v: 20 },
    Dims { batch: 1, step: 33, key_head: 2, head: 2, d_k: 7, d_v: 5 },
    Dims { batch: 1, step: 21, key_head: 1, head: 2, d_k: 100, d_v: 72 },
    Dims { batch: 1, step: 18, key_head: 1, head: 1, d_k: 256, d_v: 256 },
    Dims { batch: 1, step: 1, key_head: 1, head: 1, d_k: 32, d_v: 130 },
];

/// Compares every rule at every size with both element types; `quick` takes the first two sizes.
pub fn run(ordinal: usize, seed: u64, quick: bool) -> Result<Parity, CudaError> {
    // Opened once before, so that no card is one error and not one per case.
    Engine::open(ordinal)?;
    let sizes = if quick { &SIZES[..2] } else { &SIZES };
    let rules = Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(4)]);
    let cases: Vec<_> =
        rules.flat_map(|rule| sizes.iter().flat_map(move |&dims| [false, true].map(move |bf16| (rule, dims, bf16)))).enumerate().collect();
    let results: Vec<_> = cases
        .into_par_iter()
        .map(|(index, (rule, dims, bf16))| {
            let initial = index % 3 != 0;
            let what = format!("{rule} {dims:?} bf16={bf16} initial={initial}");
            let mut case = Case { rule: rule.name(), dims, bf16, initial, errors: BTreeMap::new() };
            let mut failures = Vec::new();
            let recurrence = draw(rule, dims, bf16, initial, seed.wrapping_add(index as u64));
            if let Err(error) = compare(ordinal, &recurrence, bf16, seed, &mut case, &mut failures) {
                failures.push(error.to_string());
            }
            (case, failures.into_iter().map(|failure| format!("{what}: {failure}")).collect::<Vec<_>>())
        })
        .collect();
    let failures = parity_record::long(ordinal, seed)?;
    let mut parity = Parity { seed, bound: BOUND, largest: BTreeMap::new(), failures, cases: vec![] };
    for (case, failures) in results {
        for (name, &error) in &case.errors {
            let largest = parity.largest.entry(name.clone()).or_insert(0.0);
            // A number that is not one is beyond every bound.
            *largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
        }
        parity.failures.extend(failures);
        parity.cases.push(case);
    }
    Ok(parity)
}

/// Factors of a rule with unit directions and gates within their ranges, lowered, and rounded if the card gets bf16.
pub(super) fn draw(rule: Rule, dims: Dims, bf16: bool, initial: bool, seed: u64) -> Recurrence<f32> {
    use HookPoint::{EraseDirection, OutputCorrection, Query, Retention, Value, WriteDirection};
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut arrays = BTreeMap::new();
    for factor in rule.factors() {
        let range = match factor {
            Query | WriteDirection(_) | EraseDirection | Value(_) | OutputCorrection => -1.0..1.0,
            Retention if matches!(rule, Rule::LinearAttention | Rule::DeltaNet) => 1.0..1.000_000_1,
            Retention => 0.0..1.0,
            _ => 0.05..0.95_f32,
        };
        let mut values: ArrayD<f32> = ArrayD::from_shape_simple_fn(IxDyn(&factor.shape(&dims)), || rng.random_range(range.clone()));
        if factor == Retention {
            // From strong decay to almost none, and some channels that forget all.
            values.mapv_inplace(|x| if x < 0.02 { 0.0 } else { x.powf(0.2).min(1.0) });
        }
        if matches!(factor, Query | WriteDirection(_) | EraseDirection) {
            for mut direction in values.lanes_mut(ndarray::Axis(3)) {
                let norm = direction.dot(&direction).sqrt();
                direction /= norm;
            }
        }
        arrays.insert(factor, values);
    }
    let memory =
        initial.then(|| Array4::from_shape_simple_fn((dims.batch, dims.head, dims.d_k, dims.d_v), || rng.random_range(-1.0..1.0_f32)));
    let factors = Factors::new(rule, arrays, memory).expect("every factor of the rule was drawn in its shape");
    let lowered = factors.lower();
    if bf16 { map(&lowered, |x| half::bf16::from_f32(x).to_f32(), |x| x) } else { lowered }
}

/// A recurrence with every input, and every number of the initial memory, changed alike.
pub(super) fn map<F: Scalar>(recurrence: &Recurrence<f32>, input: impl Fn(f32) -> F, memory: impl Fn(f32) -> F) -> Recurrence<F> {
    Recurrence {
        dims: recurrence.dims,
        query: recurrence.query.map(|&x| input(x)).into_shared(),
        retention: recurrence.retention.map(|&x| input(x)).into_shared(),
        edits: recurrence
            .edits
            .iter()
            .map(|edit| Edit {
                kind: edit.kind,
                strength: edit.strength.as_ref().map(|strength| strength.map(|&x| input(x)).into_shared()),
                direction: edit.direction.map(|&x| input(x)).into_shared(),
                read: match &edit.read {
                    Read::Nothing => Read::Nothing,
                    Read::Direction => Read::Direction,
                    Read::Other(read) => Read::Other(read.map(|&x| input(x)).into_shared()),
                    Read::BeforeDecay(read) => Read::BeforeDecay(read.map(|&x| input(x)).into_shared()),
                },
                value: edit.value.as_ref().map(|value| value.map(|&x| input(x)).into_shared()),
            })
            .collect(),
        initial_memory: recurrence.initial_memory.as_ref().map(|initial| initial.map(|&x| memory(x)).into_shared()),
    }
}

#[expect(clippy::too_many_lines, reason = "one run, and everything that must agree with it, in the order it is compared")]
fn compare(
    ordinal: usize,
    recurrence: &Recurrence<f32>,
    bf16: bool,
    seed: u64,
    case: &mut Case,
    failures: &mut Vec<String>,
) -> Result<(), CudaError> {
    let engine = Engine::open(ordinal)?;
    let d = recurrence.dims;
    let judge = reference::run(&map(recurrence, f64::from, f64::from), &Phase::ALL);
    let element = if bf16 { Element::Bf16 } else { Element::F32 };
    let uploaded = Uploaded::new(&engine, recurrence, 0..d.batch, element)?;
    let view = uploaded.view();
    let (stream, memory) = ((d.batch, d.step, d.head, d.d_v), (d.batch, d.head, d.d_k, d.d_v));
    let all = (d.batch, d.step, d.head, d.d_k, d.d_v);
    let (n_stream, n_memory) = (d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
    let n_edits = recurrence.edits.len();
    let every = 5;
    let n_checkpoints = d.step.div_ceil(every);
    let poisoned = |len| Output::poisoned(&engine, len);

    // Everything kept at once.
    let mut output = poisoned(n_stream)?;
    let mut final_memory = poisoned(n_memory)?;
    let mut pseudo_values = (0..n_edits).map(|_| poisoned(n_stream)).collect::<Result<Vec<_>, _>>()?;
    let mut residuals = (0..n_edits).map(|_| poisoned(n_stream)).collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = poisoned(n_memory * n_checkpoints)?;
    let mut dense = (0..4).map(|_| poisoned(n_memory * d.step)).collect::<Result<Vec<_>, _>>()?;
    let mut targets = Targets {
        output: Some(output.view_mut()),
        pseudo_values: pseudo_values.iter_mut().map(Output::view_mut).collect(),
        residuals: residuals.iter_mut().map(Output::view_mut).collect(),
        checkpoints: Some(Checkpoints { every, first: 0, count: n_checkpoints, memories: checkpoints.view_mut() }),
        final_memory: Some(final_memory.view_mut()),
        ..Targets::default()
    };
    for (dense, target) in dense.iter_mut().zip(&mut targets.dense) {
        *target = Some(dense.view_mut());
    }
    engine.forward(&view, 0..d.step, &mut targets)?;
    drop(targets);
    engine.wait()?;

    let out = output.read(&engine, stream)?;
    let last = final_memory.read(&engine, memory)?;
    let mut note = |name: &str, error: f64| {
        let worst = case.errors.entry(name.to_owned()).or_insert(0.0);
        *worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
    };
    note("output", error(&out, &judge.output));
    note("final_memory", error(&last, &judge.final_memory));
    let mut kept = Vec::new();
    for (index, (values, edit)) in pseudo_values.iter().zip(&recurrence.edits).enumerate() {
        let values = values.read(&engine, stream)?;
        note(&edit.kind.pseudo_value().name(), error(&values, &judge.pseudo_values[index]));
        kept.push((edit.kind, values));
    }
    let mut recorded = BTreeMap::new();
    for (phase, dense) in Phase::ALL.into_iter().zip(&dense) {
        let dense: Array5<f32> = dense.read(&engine, all)?;
        note(&format!("memory_{phase}"), error(&dense, &judge.memory[&phase]));
        recorded.insert(phase, dense);
    }
    for (name, guarded) in [("output", &output), ("final memory", &final_memory), ("checkpoints", &checkpoints)]
        .into_iter()
        .chain(pseudo_values.iter().map(|array| ("pseudo-values", array)).chain(dense.iter().map(|array| ("memories", array))))
    {
        if !guarded.is_guarded(&engine)? {
            failures.push(format!("{name}: numbers behind the array were written"));
        }
    }

    // The replay on the processor, from what the card left, has the card's bits.
    let recording = Recording {
        output: out.clone(),
        pseudo_values: kept,
        checkpoint_steps: (0..d.step).step_by(every).collect(),
        checkpoints: checkpoints.read(&engine, (d.batch, n_checkpoints, d.head, d.d_k, d.d_v))?,
        dense: BTreeMap::new(),
        final_memory: last.clone(),
    };
    let replayed = cpu::replay(recurrence, &recording, &Phase::ALL);
    for phase in Phase::ALL {
        if !same_bits(&replayed[&phase], &recorded[&phase]) {
            failures.push(format!("memory {phase}: recorded on the card and replayed on the processor differ in their bits"));
        }
    }
    // So has the replay on the card: whole, and of some steps and heads.
    let trace = Trace {
        rows: None,
        pseudo_values: pseudo_values.iter().map(Output::view).collect(),
        checkpoints: Checkpoints { every, first: 0, count: n_checkpoints, memories: checkpoints.view() },
    };
    let mut again = (0..4).map(|_| poisoned(n_memory * d.step)).collect::<Result<Vec<_>, _>>()?;
    {
        let mut to = [None, None, None, None];
        for (again, to) in again.iter_mut().zip(&mut to) {
            *to = Some(again.view_mut());
        }
        engine.replay(&view, &trace, 0..d.step, None, &mut to)?;
    }
    for (phase, again) in Phase::ALL.into_iter().zip(&again) {
        if !same_bits(&again.read(&engine, all)?, &recorded[&phase]) {
            failures.push(format!("memory {phase}: recorded and replayed on the card differ in their bits"));
        }
        if !again.is_guarded(&engine)? {
            failures.push(format!("memory {phase}: the replay wrote behind its array"));
        }
    }
    part_of_replay(&engine, &view, &trace, &recorded, failures)?;
    parity_record::routes(&engine, &view, (&recorded[&Phase::Write], &out), failures)?;
    chunk_parity::compare(&engine, recurrence, &view, &judge, &mut case.errors, failures)?;
    super::parity_gradient::compare(&engine, recurrence, &uploaded, seed, case, failures)?;

    // Output and final memory have the same bits however many columns a thread holds, and if the run stops in between.
    for columns in [1, 2, 4, 8] {
        let engine = engine.with_columns(columns);
        let (mut output, mut half, mut final_memory) = (poisoned(n_stream)?, poisoned(n_memory)?, poisoned(n_memory)?);
        let middle = d.step / 2;
        if middle > 0 {
            let targets = &mut Targets {
                rows: Some(0..d.step),
                output: Some(output.view_mut()),
                final_memory: Some(half.view_mut()),
                ..Targets::default()
            };
            engine.forward(&view, 0..middle, targets)?;
        }
        let mut rest = uploaded.view();
        if middle > 0 {
            rest.initial_memory = Some(half.view());
        }
        let targets = &mut Targets {
            rows: Some(0..d.step),
            output: Some(output.view_mut()),
            final_memory: Some(final_memory.view_mut()),
            ..Targets::default()
        };
        engine.forward(&rest, middle..d.step, targets)?;
        if !same_bits(&output.read(&engine, stream)?, &out) || !same_bits(&final_memory.read(&engine, memory)?, &last) {
            failures.push(format!("{columns} columns a thread, run in two parts: other bits than recorded at once"));
        }
    }
    Ok(())
}

/// Some steps of one head.
fn part_of_replay(
    engine: &Engine,
    view: &super::buffers::CardRecurrence,
    trace: &Trace,
    recorded: &BTreeMap<Phase, Array5<f32>>,
    failures: &mut Vec<String>,
) -> Result<(), CudaError> {
    let d = view.dims;
    let (steps, head) = (d.step / 3..d.step - d.step / 4, d.head - 1);
    let heads = engine.stream().clone_htod(&[head as i32]).map_err(super::driver_error(engine.stream().context(), "copying"))?;
    let mut part = Output::poisoned(engine, d.batch * steps.len() * d.d_k * d.d_v)?;
    engine.replay(view, trace, steps.clone(), Some(&heads.as_view()), &mut [None, None, None, Some(part.view_mut())])?;
    let part = part.read(engine, (d.batch, steps.len(), 1, d.d_k, d.d_v))?;
    let expected = recorded[&Phase::Write].slice(ndarray::s![.., steps, head..=head, .., ..]).to_owned();
    if !same_bits(&part, &expected) {
        failures.push("some steps of one head, replayed alone: other bits".to_owned());
    }
    Ok(())
}

/// Largest difference over the largest number of the reference; NaN if a number of the card's is none.
pub(super) fn error<D: Dimension>(found: &Array<f32, D>, reference: &Array<f64, D>) -> f64 {
    let largest = reference.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let mut difference = 0.0_f64;
    for (&found, &reference) in found.iter().zip(reference) {
        let here = (f64::from(found) - reference).abs();
        if here.is_nan() {
            return f64::NAN;
        }
        difference = difference.max(here);
    }
    if largest == 0.0 { difference } else { difference / largest }
}

pub(super) fn same_bits<D: Dimension>(a: &Array<f32, D>, b: &Array<f32, D>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Runs that were split over several cards beside the same on the first alone: every number has the same bits. Returns what
/// differs.
pub fn cards(device: &super::super::Device, seed: u64) -> Result<Vec<String>, CudaError> {
    use super::super::{Device, RecordOptions};
    let Device::Cuda(numbers) = device else { return Ok(vec![]) };
    let (all, one) = (super::Cards::open(device)?, super::Cards::open(&Device::Cuda(numbers[..1].to_vec()))?);
    let dims = Dims { batch: 5, step: 70, key_head: 2, head: 4, d_k: 64, d_v: 64 };
    let mut failures = Vec::new();
    for (index, rule) in [Rule::Eda, Rule::Kda, Rule::Rwkv7].into_iter().enumerate() {
        let recurrence = draw(rule, dims, false, true, seed.wrapping_add(index as u64));
        let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(16), dense: vec![Phase::Erase, Phase::Write] };
        let (a, b) = (all.record(&recurrence, &options)?, one.record(&recurrence, &options)?);
        let mut same = |what: &str, same: bool| {
            if !same {
                failures.push(format!("{rule}: {what} differs between {device} and one card"));
            }
        };
        same("output", same_bits(&a.output, &b.output));
        same("final memory", same_bits(&a.final_memory, &b.final_memory));
        same("checkpoints", same_bits(&a.checkpoints, &b.checkpoints));
        same("pseudo-values", a.pseudo_values.iter().zip(&b.pseudo_values).all(|(a, b)| same_bits(&a.1, &b.1)));
        same("memories", options.dense.iter().all(|phase| same_bits(&a.dense[phase], &b.dense[phase])));
        let (c, d) = (all.replay(&recurrence, &a, &options.dense)?, one.replay(&recurrence, &b, &options.dense)?);
        same("replay", options.dense.iter().all(|phase| same_bits(&c[phase], &a.dense[phase]) && same_bits(&d[phase], &b.dense[phase])));
        let (c, d) = (all.backward(&recurrence, a.output.view(), None)?, one.backward(&recurrence, b.output.view(), None)?);
        same("gradient", same_bits(&c.query, &d.query) && same_bits(&c.retention, &d.retention));
        same(
            "gradient of edits",
            c.edits.iter().zip(&d.edits).all(|(c, d)| same_bits(&c.strength, &d.strength) && same_bits(&c.direction, &d.direction)),
        );
        // And the recording on the processor is close.
        let judge = cpu::record(&recurrence, &options);
        let far = a.output.iter().zip(&judge.output).any(|(a, b)| (a - b).abs() > 1e-4);
        same("output, from the processor's,", !far);
    }
    Ok(failures)
}

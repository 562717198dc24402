//! The backward pass and the adjoint sweep on a card beside the f64 gradient of the reference.

use std::collections::BTreeMap;

use ndarray::{Array4, s};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::super::{Read, Recurrence, gradient, reference};
use super::adjoint::Query;
use super::buffers::{CardEditGradient, CardGradient, CardTape, Checkpoints, Numbers, Rows, Targets};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::parity::{Case, error, map};
use super::upload::Uploaded;

/// Steps between the tape's checkpoints: small sizes shall have several chunks, and ragged groups.
const EVERY: usize = 10;

/// Gradients of all inputs, and outputs' dependence on every gate.
pub(super) fn compare(
    engine: &Engine,
    recurrence: &Recurrence<f32>,
    uploaded: &Uploaded,
    seed: u64,
    case: &mut Case,
    failures: &mut Vec<String>,
) -> Result<(), CudaError> {
    let d = recurrence.dims;
    let view = uploaded.view();
    let poisoned = |len| Output::poisoned(engine, len);
    let n_stream = d.batch * d.step * d.head * d.d_v;
    let n_memory = d.batch * d.head * d.d_k * d.d_v;
    let count = d.step.div_ceil(EVERY);
    let mut residuals = recurrence.edits.iter().map(|_| poisoned(n_stream)).collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = poisoned(n_memory * count)?;
    let targets = &mut Targets {
        residuals: residuals.iter_mut().map(Output::view_mut).collect(),
        checkpoints: Some(Checkpoints { every: EVERY, first: 0, count, memories: checkpoints.view_mut() }),
        ..Targets::default()
    };
    engine.forward(&view, 0..d.step, targets)?;

    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xb0c2);
    let grad_output = Array4::from_shape_simple_fn((d.batch, d.step, d.head, d.d_v), || rng.random_range(-1.0..1.0_f32));
    let grad_final = Array4::from_shape_simple_fn((d.batch, d.head, d.d_k, d.d_v), || rng.random_range(-1.0..1.0_f32));
    let judge = gradient::backward(
        &map(recurrence, f64::from, f64::from),
        grad_output.mapv(f64::from).view(),
        Some(grad_final.mapv(f64::from).view()),
    );
    let stream = engine.stream();
    let copy = |array: &Array4<f32>| {
        let numbers: Vec<f32> = array.iter().copied().collect();
        stream.clone_htod(&numbers).map_err(driver_error(stream.context(), "copying"))
    };
    let (card_output, card_final) = (copy(&grad_output)?, copy(&grad_final)?);

    // One array per gradient, in the order they are read back below.
    let mut arrays: BTreeMap<String, Output> = BTreeMap::new();
    let mut shapes: BTreeMap<String, Array4<f64>> = BTreeMap::new();
    let mut want = |name: String, reference: &Array4<f64>| -> Result<(), CudaError> {
        arrays.insert(name.clone(), poisoned(reference.len())?);
        shapes.insert(name, reference.clone());
        Ok(())
    };
    want("query".to_owned(), &judge.query)?;
    want("retention".to_owned(), &judge.retention)?;
    want("initial_memory".to_owned(), &judge.initial_memory)?;
    for (j, edit) in judge.edits.iter().enumerate() {
        want(format!("strength{j}"), &edit.strength.clone().insert_axis(ndarray::Axis(3)))?;
        want(format!("direction{j}"), &edit.direction)?;
        if let Some(read) = &edit.read {
            want(format!("read{j}"), read)?;
        }
        if let Some(value) = &edit.value {
            want(format!("value{j}"), value)?;
        }
    }
    let mut views: BTreeMap<&str, _> = arrays.iter_mut().map(|(name, array)| (name.as_str(), array.view_mut())).collect();
    let mut filled = CardGradient {
        query: views.remove("query"),
        retention: views.remove("retention"),
        initial_memory: views.remove("initial_memory"),
        edits: (0..recurrence.edits.len())
            .map(|j| CardEditGradient {
                strength: views.remove(format!("strength{j}").as_str()),
                direction: views.remove(format!("direction{j}").as_str()),
                read: views.remove(format!("read{j}").as_str()),
                value: views.remove(format!("value{j}").as_str()),
            })
            .collect(),
    };
    let tape = CardTape {
        residuals: residuals.iter().map(Output::view).collect(),
        checkpoints: Checkpoints { every: EVERY, first: 0, count, memories: checkpoints.view() },
    };
    let rows = Rows::contiguous(Numbers::F32(card_output.as_view()), d.step, d.head, d.d_v);
    engine.backward(&view, &tape, &rows, Some(&card_final.as_view()), &mut filled)?;
    drop(filled);
    for (name, reference) in &shapes {
        let array = &arrays[name];
        let found = array.read(engine, reference.raw_dim())?;
        let kind = format!("gradient_{}", name.trim_end_matches(char::is_numeric));
        let here = error(&found, reference);
        let worst = case.errors.entry(kind).or_insert(0.0);
        *worst = if here.is_nan() { f64::NAN } else { worst.max(here) };
        if !array.is_guarded(engine)? {
            failures.push(format!("gradient of {name}: numbers behind the array were written"));
        }
    }
    knockouts(engine, recurrence, uploaded, &residuals, case)
}

/// Every single gate set to nothing: the output's change by the adjoint sweep beside that of a whole run without the gate.
fn knockouts(
    engine: &Engine,
    recurrence: &Recurrence<f32>,
    uploaded: &Uploaded,
    residuals: &[Output],
    case: &mut Case,
) -> Result<(), CudaError> {
    let d = recurrence.dims;
    let (batch, head, last) = (d.batch - 1, d.head - 1, d.step - 1);
    let n = recurrence.edits.len();
    let queries = [Query { batch, head, step: last }, Query { batch, head, step: last / 2 }];
    let mut coefficients = Output::poisoned(engine, queries.len() * d.step * n)?;
    let mut adjoints = Output::poisoned(engine, queries.len() * d.step * d.d_k)?;
    engine.adjoint(&uploaded.view(), &queries, &mut coefficients.view_mut(), Some(&mut adjoints.view_mut()))?;
    let coefficients = coefficients.read(engine, (queries.len(), d.step, n))?;
    let adjoints = adjoints.read(engine, (queries.len(), d.step, d.d_k))?;
    if coefficients.iter().chain(&adjoints).any(|x| !x.is_finite()) {
        case.errors.insert("knockout".to_owned(), f64::NAN);
        return Ok(());
    }
    let exact = map(recurrence, f64::from, f64::from);
    let whole = reference::run_head(&exact, batch, head, &[]);
    let largest = whole.output.iter().fold(1e-30_f64, |largest, x| largest.max(x.abs()));
    let stream = (d.batch, d.step, d.head, d.d_v);
    let mut worst = 0.0_f64;
    for (j, residual) in residuals.iter().enumerate() {
        let Some(strength) = &recurrence.edits[j].strength else { continue };
        let residual = residual.read(engine, stream)?;
        for step in (0..=last).step_by((d.step / 4).max(1)) {
            let mut without = exact.clone();
            let mut changed = strength.map(|&x| f64::from(x));
            changed[[batch, step, head]] = 0.0;
            without.edits[j].strength = Some(changed.into_shared());
            let brute = reference::run_head(&without, batch, head, &[]);
            for (index, query) in queries.iter().enumerate() {
                let moves = -f64::from(strength[[batch, step, head]]) * f64::from(coefficients[[index, step, j]]);
                for channel in 0..d.d_v {
                    let exactly = brute.output[[query.step, channel]] - whole.output[[query.step, channel]];
                    let swept = moves * f64::from(residual[[batch, step, head, channel]]);
                    worst = worst.max((swept - exactly).abs() / largest);
                }
            }
        }
    }
    // The adjoint of the memory after a step is how its every number moves the output.
    if !matches!(recurrence.edits[0].read, Read::Nothing) {
        let query = recurrence.query.slice(s![batch, last, head * recurrence.query.shape()[2] / d.head, ..]);
        for (found, &given) in adjoints.slice(s![0, last, ..]).iter().zip(query) {
            worst = worst.max(f64::from((found - given).abs()));
        }
    }
    case.errors.insert("knockout".to_owned(), worst);
    Ok(())
}

//! Every kernel that a recurrence can need, compiled without a card.

use rayon::prelude::*;

use super::super::follow::{FollowedEdit, Following};
use super::super::{EditKind, Read, Recurrence, Scalar};
use super::adjoint::adjoint_kernel;
use super::bench::random_kernel;
use super::bound::Shape;
use super::chunk_gradient::fold_kernel;
use super::chunk_plan::chunk_kernels;
use super::compile::{self, Kernel};
use super::engine::{forward_kernel, replay_kernel};
use super::error::CudaError;
use super::follow::{FollowPlan, follow_kernel, weigh_kernel};
use super::gradient::{finish_kernel, sweep_kernel};
use super::layout::Arguments;
use super::plan::{CardLimits, ForwardPlan, Stores, SweepPlan};
use super::upload::Element;

/// Compiles the kernels of a recurrence for an architecture (`sm_90`), without a card; from the cache what is there: every way
/// they are specialised for what is kept, for the columns of a thread, for one or all phases, for what leaves in bulk. With
/// `sample` one way of each kernel, picked by it. Returns how many.
///
/// # Errors
/// If there is no compiler, or it refuses a kernel.
pub fn compile_kernels(
    recurrence: &Recurrence<f32>,
    element: Element,
    card: CardLimits,
    architecture: &str,
    sample: Option<u64>,
) -> Result<usize, CudaError> {
    let mut kernels = kernels_of(recurrence, element, card)?;
    if let Some(sample) = sample {
        let mut sampled: Vec<Kernel> = Vec::new();
        while let Some(name) = kernels.first().map(|kernel| kernel.name) {
            let (mut family, others): (Vec<_>, Vec<_>) = kernels.into_iter().partition(|kernel| kernel.name == name);
            sampled.push(family.swap_remove((sample % family.len() as u64) as usize));
            kernels = others;
        }
        kernels = sampled;
    }
    kernels.par_iter().map(|kernel| compile::binary(architecture, kernel).map(|_| 1)).sum()
}

fn kernels_of(recurrence: &Recurrence<f32>, element: Element, card: CardLimits) -> Result<Vec<Kernel>, CudaError> {
    let d = recurrence.dims;
    let shape = Shape::of(recurrence, element);
    let mut kernels =
        vec![finish_kernel(&shape), adjoint_kernel(&shape), random_kernel(), fold_kernel(), weigh_kernel::<f32>(), weigh_kernel::<f64>()];
    // Addresses only say what is kept.
    let keeps = |kept: [usize; 3], dense: [u64; 4]| {
        let edits = |is: usize| [is as u64; super::layout::MOST_EDITS];
        Arguments {
            output: kept[0] as u64,
            pseudo_values: edits(kept[1]),
            residuals: edits(kept[2]),
            dense,
            n_steps: d.step as i32,
            checkpoint_every: 64,
            dense_heads: d.head as i32,
            ..Arguments::default()
        }
    };
    let forward = |columns, stores, arguments: &Arguments, aligned| -> Result<Kernel, CudaError> {
        Ok(forward_kernel(&shape, &ForwardPlan::new(&d, shape.form, card, columns, stores)?, arguments, aligned))
    };
    for columns in [1, 2, 4, 8] {
        kernels.push(forward(Some(columns), Stores::Nothing, &keeps([1, 1, 0], [0; 4]), true)?);
        kernels.push(sweep_kernel(&shape, &SweepPlan::new(&d, shape.form, card, Some(columns))?, columns > 1, element as usize | 2));
    }
    kernels.push(forward(None, Stores::Nothing, &keeps([1, 0, 1], [0; 4]), true)?);
    for (stores, dense) in [
        (Stores::InBulk(1), [0, 0, 0, 1]),
        (Stores::InBulk(4), [1; 4]),
        (Stores::ByThreads(1), [0, 0, 0, 1]),
        (Stores::ByThreads(4), [1; 4]),
    ] {
        for aligned in [true, false] {
            if aligned || matches!(stores, Stores::ByThreads(_)) {
                kernels.push(forward(None, stores, &keeps([1, 1, 1], dense), aligned)?);
            }
            kernels.push(replay_kernel(&shape, &d, &mut keeps([0; 3], dense), card, aligned).0);
        }
    }
    follow_kernels::<f32>(recurrence, card, &mut kernels)?;
    follow_kernels::<f64>(recurrence, card, &mut kernels)?;
    // What runs in chunks, where this does.
    let n_edits = recurrence.edits.len();
    let in_itself = recurrence.edits.iter().all(|edit| matches!(edit.read, Read::Direction));
    if in_itself && n_edits <= 2 && recurrence.edits.last().is_some_and(|edit| edit.value.is_some()) {
        kernels.extend(chunk_kernels(&d, n_edits, card));
    }
    Ok(kernels)
}

/// The kernels behind a ledger of this recurrence.
fn follow_kernels<F: Scalar>(recurrence: &Recurrence<f32>, card: CardLimits, kernels: &mut Vec<Kernel>) -> Result<(), CudaError> {
    let reads = recurrence.edits.iter().filter(|edit| !matches!(edit.read, Read::Nothing));
    let mut edits: Vec<_> = reads
        .map(|edit| FollowedEdit { kind: edit.kind, is_oblique: matches!(edit.read, Read::Other(_) | Read::BeforeDecay(_)) })
        .collect();
    if edits.is_empty() {
        edits.push(FollowedEdit { kind: EditKind::Write(0), is_oblique: false });
    }
    for (orders, keeps_erased) in [(false, false), (true, true)] {
        let following = Following::<F>::of(recurrence.dims.d_k, edits.clone(), orders, keeps_erased);
        kernels.push(follow_kernel(&following, FollowPlan::new(&following, card)?));
    }
    Ok(())
}

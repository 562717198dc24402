//! The core: the sums behind targeting of one sequence of one layer, as the model ran and under the nulls.

use ndarray::{Array4, Axis};
use rayon::prelude::*;

use super::{AddressNull, TargetingOptions};
use crate::ledger::{AccountOptions, HeadRecurrence, Targets, account, targets};
use crate::measure::counterfactual::{random_addresses, with_addresses};
use crate::measure::permutation::shuffle;
use crate::measure::source::LayerInfo;
use crate::measure::{MeasureError, Source, Truth};
use crate::memory::{Factors, HookPoint};
use crate::task::random;

/// One sequence of one layer.
pub(super) struct SequencePart {
    pub any_stale: bool,
    /// As the model ran, \[head\]; zeros where nothing goes stale.
    pub model: Vec<Targets>,
    /// Replays of each null that applies, in the order of [`AddressNull::ALL`], \[replay\]\[head\].
    pub nulls: [Vec<Vec<Targets>>; 3],
}

/// Measures one sequence (batch 1).
pub(super) fn sequence_part(
    source: &(impl Source + ?Sized),
    place: usize,
    info: &LayerInfo,
    sequence: usize,
    factors: &Factors<f32>,
    truth: &Truth,
    options: &TargetingOptions,
) -> Result<SequencePart, MeasureError> {
    let n_heads = factors.dims().head;
    let (model, any_stale) = targets_of(factors, sequence, truth);
    let mut part = SequencePart { any_stale, model, nulls: [vec![], vec![], vec![]] };
    if !any_stale || !info.rule.has_erase() {
        part.nulls = AddressNull::ALL.map(|null| {
            let n_replays = if info.rule.has_erase() { n_replays(null, info, options) } else { 0 };
            vec![vec![Targets::default(); n_heads]; n_replays]
        });
        return Ok(part);
    }
    for null in AddressNull::ALL {
        let stream = |replay: usize| {
            let domain = format!("measure/targeting/{null:?}/layer {}/replay {replay}", info.layer);
            random::stream(options.statistics.seed, &domain, sequence as u64)
        };
        let counterfactual = |replay: usize| -> Result<Factors<f32>, MeasureError> {
            Ok(match null {
                AddressNull::RandomDirection => with_addresses(factors, random_addresses(factors, &mut stream(replay))),
                AddressNull::ShuffledDirection => with_addresses(factors, over_tokens(factors, &mut stream(replay))),
                AddressNull::OtherSequence => {
                    let other = source.factors(place, (sequence + 1 + replay) % info.dims.batch)?;
                    with_addresses(factors, other.channels(HookPoint::EraseDirection).to_owned())
                }
            })
        };
        let one = |replay: usize| Ok(targets_of(&counterfactual(replay)?, sequence, truth).0);
        part.nulls[null as usize] = (0..n_replays(null, info, options)).into_par_iter().map(one).collect::<Result<_, MeasureError>>()?;
    }
    Ok(part)
}

/// No more other sequences than there are.
fn n_replays(null: AddressNull, info: &LayerInfo, options: &TargetingOptions) -> usize {
    if null == AddressNull::OtherSequence { options.null_replays.min(info.dims.batch - 1) } else { options.null_replays }
}

/// Targeting of every head, and whether anything goes stale.
fn targets_of(factors: &Factors<f32>, sequence: usize, truth: &Truth) -> (Vec<Targets>, bool) {
    let recurrence = factors.lower();
    let one = |index: usize| {
        let head = HeadRecurrence::new(&recurrence, 0, index);
        let staleness = truth.staleness(sequence, &head);
        if !staleness.any_stale() {
            return (Targets::default(), false);
        }
        let found = account(&head, &AccountOptions { marks: staleness.marks(&head), ..AccountOptions::default() });
        (targets(&head, &found, &staleness), true)
    };
    let heads: Vec<(Targets, bool)> = (0..factors.dims().head).into_par_iter().map(one).collect();
    let any = heads.iter().any(|(_, any)| *any);
    (heads.into_iter().map(|(targets, _)| targets).collect(), any)
}

/// The learned addresses of every head shuffled over its tokens.
fn over_tokens(factors: &Factors<f32>, stream: &mut impl rand::Rng) -> Array4<f32> {
    let learned = factors.channels(HookPoint::EraseDirection);
    let mut shuffled = learned.to_owned();
    for head in 0..factors.dims().key_head {
        let mut order: Vec<usize> = (0..factors.dims().step).collect();
        shuffle(&mut order, stream);
        let from = learned.index_axis(Axis(2), head);
        let mut to = shuffled.index_axis_mut(Axis(2), head);
        for (step, other) in order.into_iter().enumerate() {
            to.index_axis_mut(Axis(1), step).assign(&from.index_axis(Axis(1), other));
        }
    }
    shuffled
}

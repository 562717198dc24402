//! Interventions as factors: what a layer that did otherwise would have computed, where its rule can say it.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Ix3, s};

use super::{InterveneError, Place, Row, apply};
use crate::memory::{EditKind, Factors, HookPoint, Recurrence, Rule, Scalar, Shared4};

/// The factors of a changed memory: they lower to the recurrence that [`apply`] gives, so that every replay of them shows the memory
/// as it was under the interventions.
///
/// What the rule has no factor for is refused ([`InterveneError::NoFactor`]): a write that is retracted, a key that is forgotten, and
/// any change of a rule whose edits are products of factors (GDN-2, RWKV-7, Comba) or without a gate.
pub fn changed_factors<F: Scalar>(factors: &Factors<F>, place: Place, rows: &[Row]) -> Result<Factors<F>, InterveneError> {
    let touched = rows.iter().any(|row| row.interventions.iter().any(|intervention| intervention.at.has_layer(place.layer)));
    if !touched {
        return Ok(factors.clone());
    }
    let changed = apply(factors, place, rows)?;
    let rule = factors.rule();
    let refused = || InterveneError::NoFactor { layer: place.layer, rule };
    let plain = matches!(rule, Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Eda | Rule::GatedDeltaProduct(_));
    let n_own = usize::from(rule.has_erase()) + usize::from(rule.n_writes());
    if !plain || changed.edits.len() != n_own {
        return Err(refused());
    }
    let mut arrays: BTreeMap<HookPoint, ArrayD<F>> = factors.arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    for (point, array) in found(&changed) {
        let wanted = point.shape(&factors.dims());
        arrays.insert(point, narrowed(&array, &wanted).ok_or_else(refused)?);
    }
    Ok(Factors::new(rule, arrays, factors.initial_memory().map(ndarray::ArrayBase::to_owned))?)
}

/// The recurrence's arrays under the names of factors.
fn found<F: Scalar>(recurrence: &Recurrence<F>) -> Vec<(HookPoint, ArrayD<F>)> {
    let mut all = vec![(HookPoint::Retention, recurrence.retention.to_owned().into_dyn())];
    for edit in &recurrence.edits {
        let (direction, strength) = match edit.kind {
            EditKind::Erase => (HookPoint::EraseDirection, HookPoint::EraseStrength),
            EditKind::Write(index) => (HookPoint::WriteDirection(index), HookPoint::WriteStrength(index)),
        };
        all.push((direction, edit.direction.to_owned().into_dyn()));
        all.extend(edit.strength.as_ref().map(|array| (strength, array.to_owned().into_dyn())));
        if let (EditKind::Write(index), Some(value)) = (edit.kind, &edit.value) {
            all.push((HookPoint::Value(index), value.to_owned().into_dyn()));
        }
    }
    all
}

/// The array in the table's shape: directions that were spread over heads become those of key heads again, if they agree.
fn narrowed<F: Scalar>(array: &ArrayD<F>, wanted: &[usize]) -> Option<ArrayD<F>> {
    if array.shape() == wanted {
        return Some(array.clone());
    }
    if array.clone().into_dimensionality::<Ix3>().is_ok() || wanted.len() != 4 || !array.shape()[2].is_multiple_of(wanted[2].max(1)) {
        return None;
    }
    let wide: Shared4<F> = array.clone().into_dimensionality().ok()?.into_shared();
    let group = wide.shape()[2] / wanted[2];
    let first = wide.slice(s![.., .., ..;group, ..]).to_owned();
    let agree = (0..wide.shape()[2]).all(|head| wide.slice(s![.., .., head, ..]) == first.slice(s![.., .., head / group, ..]));
    agree.then(|| first.into_dyn())
}

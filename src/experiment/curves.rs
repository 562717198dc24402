//! Readouts as they are drawn: curves by phase or age, and selectivities.

use crate::figure::selectivity::{Selectivities, Selectivity};
use crate::figure::{Along, Estimate, readout};
use crate::memory::Phase;
use crate::readout::{CardPlace, ControlKind, Feature, LayerHead, Place, ProbeCard, Readouts, Target};

/// One panel per layer and head: what can be read out along phases or ages, with controls and ceilings; `None` if there is nothing to
/// draw a line along.
pub fn curves(readouts: &Readouts, along: Along) -> Option<readout::Readouts> {
    let phases = &readouts.options.phases;
    let drawn = match along {
        Along::Phase => {
            let steps: Vec<(Place, Phase)> = phases.iter().map(|&phase| (Place::Superseding { lag: 0 }, phase)).collect();
            curves_of(readouts, "phase", &steps, phases.iter().map(ToString::to_string).collect())
        }
        Along::Age => {
            let places = readouts.options.places.iter();
            let mut lags: Vec<usize> =
                places.filter_map(|place| if let Place::Superseding { lag } = place { Some(*lag) } else { None }).collect();
            lags.sort_unstable();
            let phase = *phases.iter().max()?;
            let steps: Vec<(Place, Phase)> = lags.iter().map(|&lag| (Place::Superseding { lag }, phase)).collect();
            if steps.len() < 2 {
                return None;
            }
            curves_of(readouts, "steps since it went stale", &steps, lags.iter().map(ToString::to_string).collect())
        }
    };
    (!drawn.panels.is_empty()).then_some(drawn)
}

/// Every head's readouts beside their control tasks: what is stale before the step that supersedes it, what is current after it; `None`
/// if no card has a control task.
pub fn selectivities(readouts: &Readouts) -> Option<Selectivities> {
    let [first, last] = [readouts.options.phases.iter().min()?, readouts.options.phases.iter().max()?];
    let feature = feature_of(readouts);
    let row = |&at: &LayerHead, (target, role, phase): (Target, readout::Role, &Phase)| {
        let card = readouts.cards.iter().find(|card| card.is_at(Place::Superseding { lag: 0 }, target, at, feature, *phase))?;
        let control = card.control(ControlKind::ControlTask)?;
        Some(Selectivity {
            place: format!("layer {} head {}", at.0, at.1),
            target: target_words(target).to_owned(),
            role,
            chance: card.chance,
            score: estimate(&card.score),
            control: estimate(&control.estimate),
            selectivity: estimate(&control.difference?),
        })
    };
    let asked = [(Target::Stale, readout::Role::Stale, first), (Target::Current, readout::Role::Current, last)];
    let heads = heads_of(readouts);
    let rows: Vec<Selectivity> = heads.iter().flat_map(|at| asked.iter().filter_map(move |&asked| row(at, asked))).collect();
    let score = readouts.cards.first().map_or("score", |card| card.metric.name()).to_owned();
    let note = format!("stale value: phase ‘{first}’ of the step that supersedes it; current value: phase ‘{last}’ of that step");
    (!rows.is_empty()).then_some(Selectivities { score, note, rows })
}

const fn target_words(target: Target) -> &'static str {
    match target {
        Target::Stale => "stale value",
        Target::Current => "current value",
        _ => "other",
    }
}

fn heads_of(readouts: &Readouts) -> Vec<LayerHead> {
    let mut heads: Vec<LayerHead> = readouts.cards.iter().filter_map(CardPlace::layer_head).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn feature_of(readouts: &Readouts) -> Feature {
    readouts.options.features.last().copied().unwrap_or(Feature::Read)
}

fn curves_of(readouts: &Readouts, along_what: &str, along: &[(Place, Phase)], names: Vec<String>) -> readout::Readouts {
    let feature = feature_of(readouts);
    let card_at = |target: Target, at: LayerHead, (place, phase): (Place, Phase)| {
        readouts.cards.iter().find(|card| card.is_at(place, target, at, feature, phase))
    };
    let panel = |&at: &LayerHead| {
        let curve = |target: Target, role, label: &str, score: &dyn Fn(&ProbeCard) -> Option<crate::readout::Estimate>| {
            let scores: Vec<_> =
                along.iter().map(|&where_| card_at(target, at, where_).and_then(score).map(|found| estimate(&found))).collect();
            scores.iter().any(Option::is_some).then(|| readout::ReadoutCurve { label: label.to_owned(), role, scores })
        };
        let own = |card: &ProbeCard| Some(card.score);
        let ceiling = |card: &ProbeCard| card.ceiling.map(|ceiling| ceiling.estimate);
        let control = |kind: ControlKind| move |card: &ProbeCard| card.control(kind).map(|control| control.estimate);
        let curves = [
            curve(Target::Stale, readout::Role::Stale, "stale", &own),
            curve(Target::Current, readout::Role::Current, "current", &own),
            curve(Target::Never, readout::Role::NeverWritten, "never written", &own),
            curve(Target::Stale, readout::Role::Ceiling, "ceiling of stale", &ceiling),
            curve(Target::Current, readout::Role::Ceiling, "ceiling of current", &ceiling),
            curve(Target::Stale, readout::Role::Control, "stale, untrained model", &control(ControlKind::UntrainedModel)),
            curve(Target::Stale, readout::Role::Control, "stale, control task", &control(ControlKind::ControlTask)),
            curve(Target::Stale, readout::Role::Control, "stale, before its write", &control(ControlKind::BeforeTheWrite)),
        ];
        let chance = along.iter().find_map(|&where_| card_at(Target::Stale, at, where_)).map(|card| card.chance);
        readout::ReadoutPanel { title: format!("layer {} head {}", at.0, at.1), chance, curves: curves.into_iter().flatten().collect() }
    };
    let metric = readouts.cards.first().map_or("score", |card| card.metric.name());
    readout::Readouts {
        score: metric.to_owned(),
        along: along_what.to_owned(),
        places: names,
        panels: heads_of(readouts).iter().map(panel).filter(|panel| !panel.curves.is_empty()).collect(),
    }
}

fn estimate(estimate: &crate::readout::Estimate) -> Estimate {
    Estimate::new(estimate.value, estimate.low, estimate.high)
}

//! The figures of an experiment.

use std::path::Path;

use crate::figure::accuracy::{Answers, ConditionAnswers};
use crate::figure::{Estimate, Figure, FigureSpec, Labelled, Measured, Options, Rendered, readout, render};
use crate::measure::{Behaviour, DecayAxis, Strength};
use crate::memory::Phase;
use crate::provenance::Provenance;
use crate::readout::{CardPlace, ControlKind, Feature, LayerHead, Place, ProbeCard, Readouts, Target};

use super::run::RunError;
use super::{ModelResults, Results};

/// A figure that was drawn.
pub struct Drawn {
    /// File name without extension, under `figures/`.
    pub stem: String,
    /// What it shows.
    pub figure: Figure,
    /// The model it belongs to; `None` for one that compares models.
    pub model: Option<String>,
    /// The drawing and its words.
    pub rendered: Rendered,
}

/// Draws everything the results have numbers for.
pub fn draw(results: &Results, folder: &Path) -> Result<Vec<Drawn>, RunError> {
    let mut drawn = Vec::new();
    let mut add = |stem: String, model: Option<&ModelResults>, options: Options, measured: Measured| -> Result<(), RunError> {
        let figure = measured.figure();
        let choices = &results.spec.figure;
        let spec = FigureSpec { width: choices.width, formats: choices.formats.clone(), options, ..FigureSpec::new(figure) };
        let provenance = Provenance {
            made_from: model.and_then(|model| model.trace_digest.clone()).into_iter().collect(),
            ..results.provenance.clone()
        };
        let rendered = render(&spec, &measured, &provenance)?;
        rendered.write(folder, &stem, true)?;
        drawn.push(Drawn { stem, figure, model: model.map(|model| model.name.clone()), rendered });
        Ok(())
    };
    let models = &results.models;
    for model in models {
        if let Some(cleanup) = &model.cleanup {
            // The headline first: what the erase alone did, against what decay alone would have kept.
            for strength in [Strength::UniqueContribution, Strength::EraseStrength, Strength::GateShare, Strength::RemovedEnergy] {
                let stem = match strength {
                    Strength::EraseStrength => format!("cleanup-{}", model.name),
                    Strength::GateShare => format!("cleanup-gate-share-{}", model.name),
                    Strength::RemovedEnergy => format!("cleanup-removed-energy-{}", model.name),
                    Strength::UniqueContribution => format!("cleanup-unique-contribution-{}", model.name),
                };
                let decay = if strength == Strength::UniqueContribution { DecayAxis::WindowRetention } else { DecayAxis::MeanRetention };
                let options = Options { strength, decay, ..Options::default() };
                add(stem, Some(model), options, Measured::Cleanup(Box::new(cleanup.clone())))?;
            }
        }
    }
    for model in models {
        add(
            format!("allocation-{}", model.name),
            Some(model),
            Options::default(),
            Measured::Allocation(Box::new(model.allocation.clone())),
        )?;
    }
    let answers = labelled(models, |model| model.behaviour.as_ref().map(answers_of));
    if !answers.is_empty() {
        add("accuracy".to_owned(), None, Options::default(), Measured::Accuracy(answers))?;
    }
    let doses = labelled(models, |model| model.erase_effects.clone());
    if !doses.is_empty() {
        add("dose".to_owned(), None, Options::default(), Measured::Dose(doses))?;
    }
    for model in models.iter().filter(|model| !model.accounts.is_empty()) {
        add(format!("knockout-{}", model.name), Some(model), Options::default(), Measured::Knockout(model.accounts.clone()))?;
    }
    add("fate".to_owned(), None, Options::default(), Measured::Fate(labelled(models, |model| Some(model.fate.clone()))))?;
    let targeting = labelled(models, |model| model.targeting.clone());
    if !targeting.is_empty() {
        add("targeting".to_owned(), None, Options::default(), Measured::Targeting(targeting))?;
    }
    add("capacity".to_owned(), None, Options::default(), Measured::Capacity(labelled(models, |model| Some(model.capacity.clone()))))?;
    let collateral = labelled(models, |model| model.collateral.clone());
    if !collateral.is_empty() {
        add("collateral".to_owned(), None, Options::default(), Measured::Collateral(collateral))?;
    }
    let alignment = labelled(models, |model| model.alignment.clone());
    if !alignment.is_empty() {
        add("alignment".to_owned(), None, Options::default(), Measured::Alignment(alignment))?;
    }
    add("recall".to_owned(), None, Options::default(), Measured::Recall(labelled(models, |model| Some(model.recall.clone()))))?;
    for model in models {
        if let Some(readouts) = &model.readouts {
            let drawing = readouts_of(readouts);
            if !drawing.panels.is_empty() {
                add(format!("readout-{}", model.name), Some(model), Options::default(), Measured::Readout(drawing))?;
            }
            if let Some(drawing) = readouts_by_age(readouts).filter(|drawing| !drawing.panels.is_empty()) {
                add(format!("readout-age-{}", model.name), Some(model), Options::default(), Measured::Readout(drawing))?;
            }
        }
    }
    Ok(drawn)
}

fn labelled<T>(models: &[ModelResults], measured: impl Fn(&ModelResults) -> Option<T>) -> Vec<Labelled<T>> {
    models.iter().filter_map(|model| Some(Labelled::new(&model.name, measured(model)?))).collect()
}

fn answers_of(behaviour: &Behaviour) -> Answers {
    let conditions = behaviour.conditions.iter().map(|row| ConditionAnswers {
        condition: row.condition.map_or(String::new(), |condition| condition.letter().to_string()),
        meaning: row.condition.map_or(String::new(), |condition| condition.name().replace('_', " ")),
        accuracy: Estimate::from(&row.accuracy),
        stale: row.stale_intrusion.as_ref().map(Estimate::from),
        foil: row.matched_foil_rate.as_ref().map(Estimate::from),
    });
    Answers { conditions: conditions.collect() }
}

/// One panel per layer and head: where the content is superseded, by phase, with controls and ceilings.
fn readouts_of(readouts: &Readouts) -> readout::Readouts {
    let phases = &readouts.options.phases;
    let along: Vec<(Place, Phase)> = phases.iter().map(|&phase| (Place::Superseding { lag: 0 }, phase)).collect();
    curves_of(readouts, "phase", &along, phases.iter().map(ToString::to_string).collect())
}

/// The same at the last phase, by how long ago the content went stale; `None` with fewer than two ages.
fn readouts_by_age(readouts: &Readouts) -> Option<readout::Readouts> {
    let mut lags: Vec<usize> =
        readouts.options.places.iter().filter_map(|place| if let Place::Superseding { lag } = place { Some(*lag) } else { None }).collect();
    lags.sort_unstable();
    let phase = *readouts.options.phases.iter().max()?;
    let along: Vec<(Place, Phase)> = lags.iter().map(|&lag| (Place::Superseding { lag }, phase)).collect();
    (lags.len() > 1).then(|| curves_of(readouts, "steps since it went stale", &along, lags.iter().map(ToString::to_string).collect()))
}

fn curves_of(readouts: &Readouts, along_what: &str, along: &[(Place, Phase)], names: Vec<String>) -> readout::Readouts {
    let mut heads: Vec<LayerHead> = readouts.cards.iter().filter_map(CardPlace::layer_head).collect();
    heads.sort_unstable();
    heads.dedup();
    let feature = readouts.options.features.last().copied().unwrap_or(Feature::Read);
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
        panels: heads.iter().map(panel).filter(|panel| !panel.curves.is_empty()).collect(),
    }
}

fn estimate(estimate: &crate::readout::Estimate) -> Estimate {
    Estimate::new(estimate.value, estimate.low, estimate.high)
}

//! The figures of an experiment.

use std::path::Path;

use crate::figure::{Along, Figure, FigureSpec, Labelled, Measured, Options, Rendered, accuracy::Answers, render};
use crate::measure::{DecayAxis, HeadMap, HeadQuantity, MeasuredHeads, Strength};
use crate::provenance::Provenance;

use super::curves::{curves, selectivities};
use super::run::RunError;
use super::{ModelResults, Results};

/// A figure that results have numbers for.
pub struct Drawable {
    /// File name without extension.
    pub stem: String,
    /// The model it belongs to; `None` for one that compares models.
    pub model: Option<String>,
    /// What is drawn.
    pub measured: Measured,
    /// Digests of the traces behind it.
    pub made_from: Vec<String>,
}

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

/// What a report shows, in its order. The headline first: what the erase alone did, against what decay alone would have kept.
pub fn programme() -> Vec<(Figure, Options)> {
    let cleanup = |strength, decay| (Figure::Cleanup, Options { strength, decay, ..Options::default() });
    let mut programme = vec![
        cleanup(Strength::UniqueContribution, DecayAxis::WindowRetention),
        cleanup(Strength::EraseStrength, DecayAxis::MeanRetention),
        cleanup(Strength::GateShare, DecayAxis::MeanRetention),
        cleanup(Strength::RemovedEnergy, DecayAxis::MeanRetention),
    ];
    let quantities = vec![
        HeadQuantity::MeanRetention,
        HeadQuantity::WriteStrength,
        HeadQuantity::EraseStrength,
        HeadQuantity::StaleSurviving,
        HeadQuantity::EffectiveRank,
    ];
    for figure in [
        Figure::Allocation,
        Figure::Accuracy,
        Figure::Dose,
        Figure::Knockout,
        Figure::Fate,
        Figure::Targeting,
        Figure::Capacity,
        Figure::Collateral,
        Figure::Alignment,
        Figure::Recall,
        Figure::Attention,
        Figure::Spectrum,
        Figure::Atlas,
        Figure::Readout,
        Figure::Selectivity,
    ] {
        let quantities = if figure == Figure::Atlas { quantities.clone() } else { Options::default().quantities };
        programme.push((figure, Options { quantities, ..Options::default() }));
    }
    let age = programme.iter().position(|(figure, _)| *figure == Figure::Selectivity).unwrap_or(programme.len());
    programme.insert(age, (Figure::Readout, Options { along: Along::Age, ..Options::default() }));
    programme
}

/// The figures of one kind that there are numbers for: one that compares the models, or one for each.
pub fn drawables(models: &[&ModelResults], figure: Figure, options: &Options) -> Vec<Drawable> {
    let each = |stem: &dyn Fn(&str) -> String, of: &dyn Fn(&ModelResults) -> Option<Measured>| -> Vec<Drawable> {
        let one = |model: &&ModelResults| {
            let made_from = model.trace_digest.clone().into_iter().collect();
            Some(Drawable { stem: stem(&model.name), model: Some(model.name.clone()), measured: of(model)?, made_from })
        };
        models.iter().filter_map(one).collect()
    };
    let plain = |name: &str| format!("{}-{name}", figure.name());
    match figure {
        Figure::Cleanup => each(&|name| cleanup_stem(name, options.strength), &|model| {
            model.cleanup.clone().map(|found| Measured::Cleanup(Box::new(found)))
        }),
        Figure::Allocation => each(&plain, &|model| Some(Measured::Allocation(Box::new(model.allocation.clone())))),
        Figure::Knockout => each(&plain, &|model| (!model.accounts.is_empty()).then(|| Measured::Knockout(model.accounts.clone()))),
        Figure::Readout => {
            let stem = |name: &str| if options.along == Along::Age { format!("readout-age-{name}") } else { plain(name) };
            each(&stem, &|model| model.readouts.as_ref().and_then(|found| curves(found, options.along)).map(Measured::Readout))
        }
        Figure::Selectivity => each(&plain, &|model| model.readouts.as_ref().and_then(selectivities).map(Measured::Selectivity)),
        Figure::Collateral => together(models, |model| model.collateral.clone(), Measured::Collateral),
        Figure::Alignment => together(models, |model| model.alignment.clone(), Measured::Alignment),
        Figure::Fate => together(models, |model| Some(model.fate.clone()), Measured::Fate),
        Figure::Attention => together(models, |model| model.explained.clone(), Measured::Attention),
        Figure::Targeting => together(models, |model| model.targeting.clone(), Measured::Targeting),
        Figure::Dose => together(models, |model| model.erase_effects.clone(), Measured::Dose),
        Figure::Capacity => together(models, |model| Some(model.capacity.clone()), Measured::Capacity),
        Figure::Atlas => {
            let maps = |model: &ModelResults| Some(head_maps(model, &options.quantities)).filter(|maps| !maps.is_empty());
            together(models, maps, Measured::Atlas)
        }
        Figure::Spectrum => together(models, |model| Some(model.spectrum.clone()), Measured::Spectrum),
        Figure::Recall => together(models, |model| Some(model.recall.clone()), Measured::Recall),
        Figure::Accuracy => together(models, |model| model.behaviour.as_ref().map(Answers::from), Measured::Accuracy),
        // Of other runs, and of one place of a trace.
        Figure::Calibration
        | Figure::Training
        | Figure::Life
        | Figure::Read
        | Figure::Weights
        | Figure::Angles
        | Figure::Gates
        | Figure::Memory => Vec::new(),
    }
}

/// Draws everything the results have numbers for.
pub fn draw(results: &Results, folder: &Path) -> Result<Vec<Drawn>, RunError> {
    let models: Vec<&ModelResults> = results.models.iter().collect();
    let choices = &results.spec.figure;
    let mut drawn = Vec::new();
    for (figure, options) in programme() {
        let spec = FigureSpec { width: choices.width, formats: choices.formats.clone(), options, ..FigureSpec::new(figure) };
        for Drawable { stem, model, measured, made_from } in drawables(&models, figure, &spec.options) {
            let rendered = render(&spec, &measured, &Provenance { made_from, ..results.provenance.clone() })?;
            rendered.write(folder, &stem, true)?;
            drawn.push(Drawn { stem, figure, model, rendered });
        }
    }
    Ok(drawn)
}

fn together<T>(
    models: &[&ModelResults],
    of: impl Fn(&ModelResults) -> Option<T>,
    measured: impl Fn(Vec<Labelled<T>>) -> Measured,
) -> Vec<Drawable> {
    let found: Vec<Labelled<T>> = models.iter().filter_map(|model| Some(Labelled::new(&model.name, of(model)?))).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let made_from = models
        .iter()
        .filter(|model| found.iter().any(|part| part.label == model.name))
        .filter_map(|model| model.trace_digest.clone())
        .collect();
    let measured = measured(found);
    vec![Drawable { stem: measured.figure().name().to_owned(), model: None, measured, made_from }]
}

fn cleanup_stem(model: &str, strength: Strength) -> String {
    match strength {
        Strength::EraseStrength => format!("cleanup-{model}"),
        Strength::GateShare => format!("cleanup-gate-share-{model}"),
        Strength::RemovedEnergy => format!("cleanup-removed-energy-{model}"),
        Strength::UniqueContribution => format!("cleanup-unique-contribution-{model}"),
    }
}

/// What was measured of each head, of the quantities asked for.
fn head_maps(model: &ModelResults, quantities: &[HeadQuantity]) -> Vec<HeadMap> {
    let mut measures = vec![
        MeasuredHeads::Allocation(&model.allocation),
        MeasuredHeads::Recall(&model.recall),
        MeasuredHeads::Spectrum(&model.spectrum),
        MeasuredHeads::Fate(&model.fate),
        MeasuredHeads::Capacity(&model.capacity),
    ];
    measures.extend(model.alignment.as_ref().map(MeasuredHeads::Alignment));
    measures.extend(model.collateral.as_ref().map(MeasuredHeads::Collateral));
    measures.extend(model.cleanup.as_ref().map(MeasuredHeads::Cleanup));
    measures.extend(model.targeting.as_ref().map(MeasuredHeads::Targeting));
    measures.extend(model.explained.as_ref().map(MeasuredHeads::Attention));
    quantities.iter().filter_map(|&quantity| measures.iter().find_map(|measure| measure.map(quantity))).collect()
}

//! Readouts as they are drawn: curves by phase or age, and selectivities.

use crate::figure::selectivity::{Selectivities, Selectivity};
use crate::figure::{Along, Estimate, readout};
use crate::memory::Phase;
use crate::readout::{CardPlace, ControlKind, Feature, LayerHead, Place, ProbeCard, Readouts, Target};

/// What of the cards is drawn as curves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CurveChoice {
    /// Along phases or ages.
    pub along: Along,
    /// Where samples were taken, along phases; by default the earliest place after the content went stale, else the question.
    pub place: Option<Place>,
    /// What the readouts saw; by default the last of what was asked for.
    pub feature: Option<Feature>,
    /// What was read out.
    pub targets: Vec<Target>,
    /// The target whose controls are drawn.
    pub controls_of: Target,
    /// Its controls.
    pub controls: Vec<ControlKind>,
    /// Whether the lowest score that would have been told from chance is drawn, for the same target.
    pub detectable: Detectable,
}

/// Whether the minimum detectable effect is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detectable {
    /// A line.
    Shown,
    /// Not drawn.
    Hidden,
}

impl CurveChoice {
    /// What reports draw: values, with the controls of the stale one.
    pub fn of_values(along: Along) -> Self {
        Self {
            along,
            place: None,
            feature: None,
            targets: vec![Target::Stale, Target::Current, Target::Never],
            controls_of: Target::Stale,
            controls: vec![ControlKind::UntrainedModel, ControlKind::ControlTask, ControlKind::BeforeTheWrite],
            detectable: Detectable::Hidden,
        }
    }
}

/// One panel per layer and head: what can be read out along phases or ages, with controls and ceilings; `None` if there is nothing to
/// draw a line along.
pub fn curves(readouts: &Readouts, along: Along) -> Option<readout::Readouts> {
    chosen_curves(readouts, &CurveChoice::of_values(along))
}

/// The same with another choice.
pub fn chosen_curves(readouts: &Readouts, choice: &CurveChoice) -> Option<readout::Readouts> {
    let steps = steps(readouts, choice)?;
    let (along, names) = match choice.along {
        Along::Phase => ("phase", steps.iter().map(|(_, phase)| phase.to_string()).collect()),
        Along::Age => ("steps since it went stale", steps.iter().map(|(place, _)| lag_of(*place).unwrap_or(0).to_string()).collect()),
    };
    let drawn = curves_of(readouts, along, &steps, names, choice);
    (!drawn.panels.is_empty()).then_some(drawn)
}

/// The places and phases that curves run along, in order; `None` where there are too few for a line.
pub fn steps(readouts: &Readouts, choice: &CurveChoice) -> Option<Vec<(Place, Phase)>> {
    let (options, mut phases) = (&readouts.options, readouts.options.phases.clone());
    phases.sort_unstable();
    let mut lags: Vec<usize> = options.places.iter().copied().filter_map(lag_of).collect();
    lags.sort_unstable();
    match choice.along {
        Along::Phase => {
            let earliest = lags.first().map_or(Place::Question, |&lag| Place::Superseding { lag });
            let place = choice.place.unwrap_or(earliest);
            Some(phases.into_iter().map(|phase| (place, phase)).collect())
        }
        Along::Age => {
            let phase = *phases.last()?;
            (lags.len() > 1).then(|| lags.into_iter().map(|lag| (Place::Superseding { lag }, phase)).collect())
        }
    }
}

const fn lag_of(place: Place) -> Option<usize> {
    match place {
        Place::Superseding { lag } => Some(lag),
        Place::Question => None,
    }
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

/// The heads that have cards, in order.
pub fn heads_of(readouts: &Readouts) -> Vec<LayerHead> {
    let mut heads: Vec<LayerHead> = readouts.cards.iter().filter_map(CardPlace::layer_head).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn feature_of(readouts: &Readouts) -> Feature {
    readouts.options.features.last().copied().unwrap_or(Feature::Read)
}

fn curves_of(
    readouts: &Readouts,
    along_what: &str,
    along: &[(Place, Phase)],
    names: Vec<String>,
    choice: &CurveChoice,
) -> readout::Readouts {
    let feature = choice.feature.unwrap_or_else(|| feature_of(readouts));
    let card_at = |target: Target, at: LayerHead, (place, phase): (Place, Phase)| {
        readouts.cards.iter().find(|card| card.is_at(place, target, at, feature, phase))
    };
    let panel = |&at: &LayerHead| {
        let curve = |target: Target, role, label: String, score: &dyn Fn(&ProbeCard) -> Option<Estimate>| {
            let scores: Vec<_> = along.iter().map(|&where_| card_at(target, at, where_).and_then(score)).collect();
            scores.iter().any(Option::is_some).then_some(readout::ReadoutCurve { label, role, scores })
        };
        let of = choice.controls_of;
        let scores = choice.targets.iter().map(|&target| {
            let role = match target {
                Target::Stale => readout::Role::Stale,
                Target::Current => readout::Role::Current,
                Target::Never => readout::Role::NeverWritten,
                Target::Age | Target::IsStale => readout::Role::Other,
            };
            curve(target, role, curve_words(target).to_owned(), &|card| Some(estimate(&card.score)))
        });
        let ceilings = choice.targets.iter().filter(|target| matches!(target, Target::Stale | Target::Current)).map(|&target| {
            let label = format!("ceiling of {}", curve_words(target));
            curve(target, readout::Role::Ceiling, label, &|card| card.ceiling.map(|ceiling| estimate(&ceiling.estimate)))
        });
        let controls = choice.controls.iter().map(|&kind| {
            let label = format!("{}, {}", curve_words(of), control_words(kind));
            curve(of, readout::Role::Control, label, &|card| card.control(kind).map(|control| estimate(&control.estimate)))
        });
        let detectable = (choice.detectable == Detectable::Shown).then(|| {
            let least = |card: &ProbeCard| {
                let found = card.minimum_detectable?;
                Some(Estimate { value: card.chance + found.together.unwrap_or(found.alone), interval: None })
            };
            curve(of, readout::Role::Detectable, format!("{}, least detectable", curve_words(of)), &least)
        });
        let curves: Vec<_> = scores.chain(ceilings).chain(controls).chain(detectable).flatten().collect();
        let chance = along.iter().find_map(|&where_| card_at(of, at, where_)).map(|card| card.chance);
        readout::ReadoutPanel { title: format!("layer {} head {}", at.0, at.1), chance, curves }
    };
    let of_first = |card: &&ProbeCard| {
        choice.targets.iter().any(|target| card.place.iter().any(|(name, value)| name == "target" && *value == target.to_string()))
    };
    let metric = readouts.cards.iter().find(of_first).map_or("score", |card| card.metric.name());
    readout::Readouts {
        score: metric.to_owned(),
        along: along_what.to_owned(),
        places: names,
        panels: heads_of(readouts).iter().map(panel).filter(|panel| !panel.curves.is_empty()).collect(),
    }
}

/// A target as legends say it.
pub const fn curve_words(target: Target) -> &'static str {
    match target {
        Target::Stale => "stale",
        Target::Current => "current",
        Target::Never => "never written",
        Target::Age => "age",
        Target::IsStale => "is stale",
    }
}

const fn control_words(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::BeforeTheWrite => "before its write",
        other => other.name(),
    }
}

fn estimate(estimate: &crate::readout::Estimate) -> Estimate {
    Estimate::new(estimate.value, estimate.low, estimate.high)
}

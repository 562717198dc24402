//! Linear readouts: fitted here, or read from results; and their curves.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress, Weight};
use crate::app::open_results::OpenResults;
use crate::app::open_trace::OpenTrace;
use crate::experiment::{CurveChoice, chosen_curves, curve_words, heads_of, steps};
use crate::figure::readout::Readouts as Drawn;
use crate::memory::Phase;
use crate::readout::{
    CardPlace, Extra, Feature, LayerHead, LogisticParams, Place, ProbeCard, Readout, ReadoutOptions, Readouts, Target, readouts_watched,
};
use crate::trace::Trace;

/// What to read out, as a panel lets one choose it; everything else has the defaults of [`ReadoutOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What a readout says.
    pub targets: Vec<Target>,
    /// What it sees.
    pub features: Vec<Feature>,
    /// Phases of the step.
    pub phases: Vec<Phase>,
    /// Steps after the content went stale; more than one make the curve by age.
    pub lags: Vec<usize>,
    /// At the questions too.
    pub questions: bool,
    /// Which heads.
    pub heads: Heads,
    /// Logistic instead of ridge.
    pub logistic: bool,
    /// Exchanges of targets behind each p-value.
    pub permutations: usize,
    /// What cards carry beside score and controls.
    pub extras: Vec<Extra>,
    /// Of splits, draws and permutations.
    pub seed: u64,
}

/// Which heads are read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heads {
    /// All of all layers.
    #[default]
    All,
    /// All of one layer.
    Layer(usize),
    /// One; without the control "wrong head".
    Head(usize, usize),
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            targets: vec![Target::Stale, Target::Current, Target::Never],
            features: vec![Feature::Read],
            phases: Phase::ALL.to_vec(),
            lags: vec![0, 4, 12],
            questions: false,
            heads: Heads::All,
            logistic: false,
            permutations: 200,
            extras: vec![Extra::Ceiling, Extra::Equivalence],
            seed: 0,
        }
    }
}

impl Asked {
    /// As the readouts take it.
    pub fn options(&self) -> ReadoutOptions {
        let lags = self.lags.iter().map(|&lag| Place::Superseding { lag });
        let (layers, heads) = match self.heads {
            Heads::All => (None, None),
            Heads::Layer(layer) => (Some(vec![layer]), None),
            Heads::Head(layer, head) => (Some(vec![layer]), Some(vec![head])),
        };
        ReadoutOptions {
            layers,
            heads,
            phases: self.phases.clone(),
            features: self.features.clone(),
            targets: self.targets.clone(),
            places: lags.chain(self.questions.then_some(Place::Question)).collect(),
            extras: self.extras.clone(),
            readout: if self.logistic { Readout::Logistic(LogisticParams::default()) } else { Readout::default() },
            permutations: self.permutations,
            seed: self.seed,
            ..ReadoutOptions::default()
        }
    }

    /// How many cards that makes of a trace.
    pub fn n_cards(&self, trace: &Trace) -> usize {
        let heads = match self.heads {
            Heads::All => trace.layers().iter().map(|layer| layer.dims.head).sum(),
            Heads::Layer(only) => trace.layers().iter().filter(|layer| layer.index == only).map(|layer| layer.dims.head).sum(),
            Heads::Head(..) => 1,
        };
        let seen = |target: &Target| {
            if *target == Target::IsStale { self.features.iter().filter(|f| **f == Feature::Read).count() } else { self.features.len() }
        };
        let readouts: usize = self.targets.iter().map(seen).sum();
        // Later ages are read at the last phase only.
        let full = usize::from(!self.lags.is_empty()) + usize::from(self.questions);
        heads * readouts * (full * self.phases.len() + self.lags.len().saturating_sub(1))
    }

    /// The command that does the same.
    pub fn command(&self, trace: &str) -> String {
        let join = |names: Vec<String>| names.join(",");
        let words = |names: &[Target]| join(names.iter().map(ToString::to_string).collect());
        format!(
            "pentimento probe {trace} --target {} --feature {} --phase {}{} --json > cards.json",
            words(&self.targets),
            join(self.features.iter().map(ToString::to_string).collect()),
            join(self.phases.iter().map(ToString::to_string).collect()),
            if self.questions { " --questions" } else { "" },
        )
    }
}

/// The readouts of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadoutsOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The same sequences from a model that was never trained: the control.
    pub untrained: Option<OpenTrace>,
    /// What is read out.
    pub asked: Asked,
}

impl Ask for ReadoutsOf {
    type Answer = Readouts;
    const WEIGHT: Weight = Weight::Long;

    fn title(&self) -> String {
        format!("fitting {} linear readouts of {}", self.asked.n_cards(self.trace.trace()), self.trace.name())
    }

    fn bytes(answer: &Readouts) -> usize {
        answer.cards.len() * 6144 + answer.comparisons.len() * 160 + answer.erasures.len() * 1024
    }

    fn answer(&self, progress: &Progress) -> Result<Readouts, String> {
        let untrained = self.untrained.as_ref().map(OpenTrace::trace);
        let go_on = |share: f64| progress.set(share).is_ok();
        readouts_watched(&[self.trace.trace()], untrained, &self.asked.options(), &go_on).map_err(said)
    }
}

/// Cards, wherever they come from. Equal only if they are the same, not if they say the same.
#[derive(Clone)]
pub enum Cards {
    /// Fitted here.
    Fitted(Arc<Readouts>),
    /// Of one model of open results.
    Opened(OpenResults, usize),
}

impl Cards {
    /// The readouts; `None` if the results have none of that number.
    pub fn get(&self) -> Option<&Readouts> {
        match self {
            Self::Fitted(readouts) => Some(readouts),
            Self::Opened(results, index) => results.readouts().get(*index).map(|(_, readouts)| *readouts),
        }
    }

    fn id(&self) -> (usize, usize) {
        match self {
            Self::Fitted(readouts) => (Arc::as_ptr(readouts) as usize, usize::MAX),
            Self::Opened(results, index) => (std::ptr::from_ref(results.content()) as usize, *index),
        }
    }
}

impl PartialEq for Cards {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Cards {}

impl Hash for Cards {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl std::fmt::Debug for Cards {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cards{:?}", self.id())
    }
}

/// The curves of some cards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CurvesOf {
    /// Whose.
    pub cards: Cards,
    /// Which.
    pub choice: CurveChoice,
}

/// Curves, and the card behind every mark.
#[derive(Clone, Debug)]
pub struct Curves {
    /// As figures draw them.
    pub drawn: Drawn,
    /// The head of each panel.
    pub heads: Vec<LayerHead>,
    /// Places and phases along the axis.
    pub steps: Vec<(Place, Phase)>,
    /// The number of the card of each panel, target of the choice and place along the axis.
    pub cards: Vec<Vec<Vec<Option<usize>>>>,
    /// The target of each curve that has marks, by panel and curve: its number in the choice.
    pub targets: Vec<Vec<Option<usize>>>,
}

impl Ask for CurvesOf {
    type Answer = Option<Curves>;

    fn title(&self) -> String {
        "gathering the curves of the cards".to_owned()
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.as_ref().map_or(0, |curves| curves.heads.len() * curves.steps.len() * 512)
    }

    fn answer(&self, _progress: &Progress) -> Result<Self::Answer, String> {
        let readouts = self.cards.get().ok_or("the results have no such cards")?;
        let (Some(drawn), Some(steps)) = (chosen_curves(readouts, &self.choice), steps(readouts, &self.choice)) else { return Ok(None) };
        let feature = self.choice.feature.or(readouts.options.features.last().copied()).unwrap_or(Feature::Read);
        let named = |at: &LayerHead| format!("layer {} head {}", at.0, at.1);
        // Panels without a curve are left out of the drawing.
        let all = heads_of(readouts);
        let heads: Vec<LayerHead> =
            drawn.panels.iter().filter_map(|panel| all.iter().find(|at| named(at) == panel.title).copied()).collect();
        let number = |at: LayerHead, target: Target, (place, phase): (Place, Phase)| {
            readouts.cards.iter().position(|card: &ProbeCard| card.is_at(place, target, at, feature, phase))
        };
        let cards = heads
            .iter()
            .map(|&at| {
                let of_target = |&target: &Target| steps.iter().map(|&step| number(at, target, step)).collect();
                self.choice.targets.iter().map(of_target).collect()
            })
            .collect();
        let target = |label: &str| self.choice.targets.iter().position(|&target| curve_words(target) == label);
        let targets = drawn.panels.iter().map(|panel| panel.curves.iter().map(|curve| target(&curve.label)).collect()).collect();
        Ok(Some(Curves { drawn, heads, steps, cards, targets }))
    }
}

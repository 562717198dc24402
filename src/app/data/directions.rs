//! Where a head erases, writes and reads.

use ndarray::Array2;

use crate::app::data::{Handle, said};
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{Alignment, AlignmentOptions, DirectionOf, HeadDirections, Superseding, alignment, head_directions};
use crate::task::Example;

/// The directions of one head of one sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirectionsOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The sequence.
    pub sequence: usize,
}

/// Directions, and how they meet the keys that they supersede.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    /// Every step's.
    pub all: Handle<HeadDirections>,
    /// The steps that make facts stale; `None` without a truth table.
    pub superseding: Option<Vec<Superseding>>,
    /// What the angles of the sequence come to.
    pub summary: AngleSummary,
}

/// Means over the steps of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AngleSummary {
    /// Steps that have both directions.
    pub n_steps: usize,
    /// Mean |cos(e, k)|; `None` where no step has both.
    pub mean_absolute: Option<f64>,
    /// Share of the steps outside the band in which 95 of 100 independent directions lie.
    pub beyond: Option<f64>,
    /// At the steps that supersede: mean cosine of the erase and of the write with the superseded key, and how many there are.
    pub superseding: Option<(f64, f64, usize)>,
}

impl AngleSummary {
    fn of(all: &HeadDirections, superseding: Option<&[Superseding]>) -> Self {
        let sizes: Vec<f64> = all.erase_to_write.iter().filter(|cosine| cosine.is_finite()).map(|cosine| cosine.abs()).collect();
        let n_steps = sizes.len();
        let mean = |total: f64| (n_steps > 0).then(|| total / n_steps as f64);
        let outside = sizes.iter().filter(|size| **size > all.reference.bound).count() as f64;
        let of_events = superseding.filter(|events| !events.is_empty()).map(|events| {
            let n = events.len() as f64;
            (events.iter().map(|event| event.erase).sum::<f64>() / n, events.iter().map(|event| event.write).sum::<f64>() / n, events.len())
        });
        Self { n_steps, mean_absolute: mean(sizes.iter().sum()), beyond: mean(outside), superseding: of_events }
    }
}

impl Ask for DirectionsOf {
    type Answer = Directions;

    fn title(&self) -> String {
        format!("reading the directions of layer {} head {}", self.layer, self.head)
    }

    fn bytes(answer: &Directions) -> usize {
        3 * answer.all.write.len() * size_of::<f32>() + answer.all.erase_to_write.len() * size_of::<f64>()
    }

    fn answer(&self, _progress: &Progress) -> Result<Directions, String> {
        let trace = self.trace.trace();
        let all = head_directions(trace, self.layer, self.head, self.sequence).map_err(said)?;
        // A truth table that cannot be read takes nothing from the directions.
        let examples = trace.labels::<Example>().ok().flatten();
        let example = examples.as_ref().and_then(|examples| examples.get(self.sequence)).filter(|example| !example.writes.is_empty());
        let superseding = example.map(|example| all.superseding(example));
        let summary = AngleSummary::of(&all, superseding.as_deref());
        Ok(Directions { all: Handle::new(all), superseding, summary })
    }
}

/// How near every step's directions are to the key of one write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TowardsOf {
    /// Whose.
    pub directions: Handle<HeadDirections>,
    /// The step that writes.
    pub write: usize,
}

/// Signed cosines with one key, each \[step\]; NaN where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Towards {
    /// Of the erase.
    pub erase: Vec<f64>,
    /// Of the write.
    pub write: Vec<f64>,
    /// Of the read.
    pub query: Vec<f64>,
}

impl Ask for TowardsOf {
    type Answer = Towards;

    fn title(&self) -> String {
        format!("angles to the write of step {}", self.write)
    }

    fn bytes(answer: &Towards) -> usize {
        3 * answer.erase.len() * size_of::<f64>()
    }

    fn answer(&self, _progress: &Progress) -> Result<Towards, String> {
        let towards = |whose| self.directions.towards(whose, self.write);
        Ok(Towards { erase: towards(DirectionOf::Erase), write: towards(DirectionOf::Write), query: towards(DirectionOf::Query) })
    }
}

/// The cosines of some steps' directions with the keys of some writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CosinesOf {
    /// Whose.
    pub directions: Handle<HeadDirections>,
    /// Which direction of the steps in the rows.
    pub whose: DirectionOf,
    /// Steps in the rows.
    pub rows: Vec<usize>,
    /// Steps that write, in the columns.
    pub columns: Vec<usize>,
}

impl Ask for CosinesOf {
    type Answer = Array2<f32>;

    fn title(&self) -> String {
        format!("angles between {} and {} directions", self.rows.len(), self.columns.len())
    }

    fn bytes(answer: &Array2<f32>) -> usize {
        answer.len() * size_of::<f32>()
    }

    fn answer(&self, _progress: &Progress) -> Result<Array2<f32>, String> {
        Ok(self.directions.cosines(self.whose, &self.rows, &self.columns))
    }
}

/// Erase-write alignment of the whole trace, with intervals over sequences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlignmentOf {
    /// Of which trace.
    pub trace: OpenTrace,
}

impl Ask for AlignmentOf {
    type Answer = Alignment;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("measuring erase-write alignment of {}", self.trace.name())
    }

    fn bytes(answer: &Alignment) -> usize {
        answer.key_heads.len() * 256
    }

    fn answer(&self, progress: &Progress) -> Result<Alignment, String> {
        alignment(&Watched::new(self.trace.trace(), progress, 1), &AlignmentOptions::default()).map_err(said)
    }
}

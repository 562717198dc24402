//! One number a head, by any measure.

use crate::app::data::fates::truth_of;
use crate::app::data::said;
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{HeadMap, HeadMeasure, StatisticsOptions, head_maps};

/// Every quantity of a measure, of every head of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadMapsOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// By which measure.
    pub measure: HeadMeasure,
}

impl Ask for HeadMapsOf {
    type Answer = Vec<HeadMap>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("measuring every head of {} ({})", self.trace.name(), name(self.measure))
    }

    fn bytes(answer: &Vec<HeadMap>) -> usize {
        answer.iter().map(|map| map.heads.len() * size_of::<crate::measure::HeadValue>()).sum()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<HeadMap>, String> {
        // Raw recall is part of cleanup: it reads every sequence a second time.
        let source = Watched::new(self.trace.trace(), progress, if self.measure == HeadMeasure::Cleanup { 2 } else { 1 });
        head_maps(&source, &truth_of(&self.trace)?, self.measure, &StatisticsOptions::default()).map_err(said)
    }
}

/// The measure, as people say it.
pub const fn name(measure: HeadMeasure) -> &'static str {
    match measure {
        HeadMeasure::Allocation => "gates",
        HeadMeasure::Alignment => "directions",
        HeadMeasure::Collateral => "collateral",
        HeadMeasure::Cleanup => "cleanup",
        HeadMeasure::Recall => "raw recall",
        HeadMeasure::Spectrum => "spectra",
        HeadMeasure::Fate => "fate of writes",
        HeadMeasure::Targeting => "targeting",
        HeadMeasure::Capacity => "capacity",
        HeadMeasure::Attention => "attention maps",
    }
}

//! One number a head, by any measure.

use crate::app::data::fates::truth_of;
use crate::app::data::said;
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, FateOptions, HeadMap, HeadMeasure,
    HeadQuantity, MeasuredHeads, RecallOptions, SpectrumOptions, StatisticsOptions, TargetingOptions, alignment, allocation, capacity,
    cleanup, collateral, explained, fate, recall, spectrum, targeting,
};

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
        let trace = self.trace.trace();
        // Raw recall is part of cleanup: it reads every sequence a second time.
        let source = Watched::new(trace, progress, if self.measure == HeadMeasure::Cleanup { 2 } else { 1 });
        let maps = |found: MeasuredHeads<'_>| {
            let own = HeadQuantity::ALL.into_iter().filter(|quantity| quantity.measure() == self.measure);
            own.filter_map(|quantity| found.map(quantity)).collect::<Vec<_>>()
        };
        Ok(match self.measure {
            HeadMeasure::Allocation => maps(MeasuredHeads::Allocation(&allocation(&source, &AllocationOptions::default()).map_err(said)?)),
            HeadMeasure::Alignment => maps(MeasuredHeads::Alignment(&alignment(&source, &AlignmentOptions::default()).map_err(said)?)),
            HeadMeasure::Collateral => maps(MeasuredHeads::Collateral(&collateral(&source, &CollateralOptions::default()).map_err(said)?)),
            HeadMeasure::Cleanup => maps(MeasuredHeads::Cleanup(&cleanup(&source, &CleanupOptions::default()).map_err(said)?)),
            HeadMeasure::Recall => maps(MeasuredHeads::Recall(&recall(&source, &RecallOptions::default()).map_err(said)?)),
            HeadMeasure::Spectrum => maps(MeasuredHeads::Spectrum(&spectrum(&source, &SpectrumOptions::default()).map_err(said)?)),
            HeadMeasure::Fate => maps(MeasuredHeads::Fate(&fate(&source, &truth_of(&self.trace)?, &FateOptions::default()).map_err(said)?)),
            HeadMeasure::Targeting => {
                let truth = truth_of(&self.trace)?;
                maps(MeasuredHeads::Targeting(&targeting(&source, &truth, &TargetingOptions::default()).map_err(said)?))
            }
            HeadMeasure::Capacity => {
                let truth = truth_of(&self.trace)?;
                maps(MeasuredHeads::Capacity(&capacity(&source, &truth, &CapacityOptions::default()).map_err(said)?))
            }
            HeadMeasure::Attention => maps(MeasuredHeads::Attention(&explained(&source, &StatisticsOptions::default()).map_err(said)?)),
        })
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

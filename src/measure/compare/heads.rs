//! Any measure by head, on both sides and sequence by sequence.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Difference, Draws, difference};
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, FateOptions, HeadId, HeadMap, HeadMeasure,
    HeadQuantity, LayerInfo, MeasureError, MeasuredHeads, RecallOptions, Source, SpectrumOptions, StatisticsOptions, TargetingOptions,
    Truth, alignment, allocation, capacity, cleanup, collateral, explained, fate, recall, spectrum, targeting,
};
use crate::memory::Factors;

/// Every quantity of a measure, of every head that has it.
pub fn head_maps(
    source: &(impl Source + ?Sized),
    truth: &Truth,
    measure: HeadMeasure,
    statistics: &StatisticsOptions,
) -> Result<Vec<HeadMap>, MeasureError> {
    let statistics = *statistics;
    let own = || HeadQuantity::ALL.into_iter().filter(move |quantity| quantity.measure() == measure);
    let take = |found: MeasuredHeads<'_>| own().filter_map(|quantity| found.map(quantity)).collect::<Vec<_>>();
    Ok(match measure {
        HeadMeasure::Allocation => {
            take(MeasuredHeads::Allocation(&allocation(source, &AllocationOptions { statistics, ..AllocationOptions::default() })?))
        }
        HeadMeasure::Alignment => take(MeasuredHeads::Alignment(&alignment(source, &AlignmentOptions { statistics })?)),
        HeadMeasure::Collateral => {
            take(MeasuredHeads::Collateral(&collateral(source, &CollateralOptions { statistics, ..CollateralOptions::default() })?))
        }
        HeadMeasure::Cleanup => {
            take(MeasuredHeads::Cleanup(&cleanup(source, &CleanupOptions { statistics, ..CleanupOptions::default() })?))
        }
        HeadMeasure::Recall => take(MeasuredHeads::Recall(&recall(source, &RecallOptions { statistics, ..RecallOptions::default() })?)),
        HeadMeasure::Spectrum => {
            take(MeasuredHeads::Spectrum(&spectrum(source, &SpectrumOptions { statistics, ..SpectrumOptions::default() })?))
        }
        HeadMeasure::Fate => take(MeasuredHeads::Fate(&fate(source, truth, &FateOptions { statistics, ..FateOptions::default() })?)),
        HeadMeasure::Targeting => {
            take(MeasuredHeads::Targeting(&targeting(source, truth, &TargetingOptions { statistics, ..TargetingOptions::default() })?))
        }
        HeadMeasure::Capacity => {
            take(MeasuredHeads::Capacity(&capacity(source, truth, &CapacityOptions { statistics, ..CapacityOptions::default() })?))
        }
        HeadMeasure::Attention => take(MeasuredHeads::Attention(&explained(source, &statistics)?)),
    })
}

/// A quantity of every head in every sequence, \[sequence\]; `None` where a sequence has nothing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadTable {
    /// Which.
    pub quantity: HeadQuantity,
    /// By head.
    pub heads: BTreeMap<HeadId, Vec<Option<f64>>>,
    /// Sequences.
    pub n_sequences: usize,
}

/// Measures every sequence by itself, so that two tables can be compared sequence by sequence. A quantity that is a ratio is one of
/// sums within the sequence, and its mean over sequences need not be the ratio over all of them.
pub fn head_table(source: &(impl Source + ?Sized), truth: &Truth, quantity: HeadQuantity) -> Result<HeadTable, MeasureError> {
    // Of one sequence there is no interval to draw.
    let statistics = StatisticsOptions { resamples: 0, permutations: 0, ..StatisticsOptions::default() };
    let n_sequences = source.layers().first().map_or(0, |layer| layer.dims.batch);
    let one = |sequence: usize| match head_maps(&One { source, sequence }, &truth.of(sequence), quantity.measure(), &statistics) {
        Ok(maps) => Ok(maps.into_iter().find(|map| map.quantity == quantity)),
        // A sequence in which nothing is stale, or too short for a lag, has none.
        Err(MeasureError::Empty(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let maps: Vec<Option<HeadMap>> = (0..n_sequences).into_par_iter().map(one).collect::<Result<_, _>>()?;
    let mut heads: BTreeMap<HeadId, Vec<Option<f64>>> = BTreeMap::new();
    for (sequence, map) in maps.into_iter().enumerate() {
        for head in map.into_iter().flat_map(|map| map.heads) {
            let found = heads.entry(head.id).or_insert_with(|| vec![None; n_sequences]);
            found[sequence] = Some(head.value.estimate).filter(|value| value.is_finite());
        }
    }
    if heads.is_empty() {
        return Err(MeasureError::Empty("no head has this quantity in any sequence"));
    }
    Ok(HeadTable { quantity, heads, n_sequences })
}

/// One head on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadDifference {
    /// Which.
    pub id: HeadId,
    /// Its numbers.
    pub found: Difference,
}

/// Every head that both tables have, by layer and head.
pub fn head_differences(
    a: &HeadTable,
    b: &HeadTable,
    pairs: &[(usize, usize)],
    options: &StatisticsOptions,
) -> Result<Vec<HeadDifference>, MeasureError> {
    options.check()?;
    let draws = Draws::new([a.n_sequences, b.n_sequences], pairs.len(), options);
    let one = |(id, values): (&HeadId, &Vec<Option<f64>>)| {
        Some(HeadDifference { id: *id, found: difference(values, b.heads.get(id)?, pairs, &draws)? })
    };
    Ok(a.heads.iter().filter_map(one).collect())
}

/// One sequence of a source.
struct One<'a, S: ?Sized> {
    source: &'a S,
    sequence: usize,
}

impl<S: Source + ?Sized> Source for One<'_, S> {
    fn layers(&self) -> Vec<LayerInfo> {
        let one = |info: LayerInfo| LayerInfo { dims: crate::memory::Dims { batch: 1, ..info.dims }, ..info };
        self.source.layers().into_iter().map(one).collect()
    }

    fn factors(&self, place: usize, _sequence: usize) -> Result<Factors<f32>, MeasureError> {
        self.source.factors(place, self.sequence)
    }
}

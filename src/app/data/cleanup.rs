//! Cleanup against decay: the measure with its nulls, and the tokens behind it.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_trace::OpenTrace;
use crate::measure::{Cleanup, CleanupOptions, Part, TokenPoint, cleanup, token_points};

/// Cleanup against decay over a trace or a part of it, with all its nulls and intervals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CleanupOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// Only this layer, or only this head of it.
    pub only: Option<(usize, Option<usize>)>,
}

impl Ask for CleanupOf {
    type Answer = Cleanup;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        let part = match self.only {
            None => String::new(),
            Some((layer, None)) => format!(", layer {layer}"),
            Some((layer, Some(head))) => format!(", layer {layer} head {head}"),
        };
        format!("measuring cleanup against decay and its nulls in {}{part}", self.trace.name())
    }

    fn bytes(answer: &Cleanup) -> usize {
        answer.relations.len() * 16_384 + answer.heads.len() * 4096
    }

    fn answer(&self, progress: &Progress) -> Result<Cleanup, String> {
        // Recall reads every sequence a second time.
        let (trace, options) = (self.trace.trace(), CleanupOptions::default());
        match self.only {
            None => cleanup(&Watched::new(trace, progress, 2), &options),
            Some((layer, head)) => {
                let total = 2 * trace.n_batch();
                cleanup(&Part::new(Watched::of_reads(trace, progress, total), layer, head), &options)
            }
        }
        .map_err(said)
    }
}

/// Every token behind the plot, of one layer or of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PointsOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// Only this layer.
    pub layer: Option<usize>,
}

impl Ask for PointsOf {
    type Answer = Vec<TokenPoint>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("measuring every token of {}", self.trace.name())
    }

    fn bytes(answer: &Vec<TokenPoint>) -> usize {
        answer.len() * size_of::<TokenPoint>()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<TokenPoint>, String> {
        let trace = self.trace.trace();
        let window = CleanupOptions::default().window;
        token_points(&Watched::new(trace, progress, 1), window, |layer| self.layer.is_none_or(|only| only == layer)).map_err(said)
    }
}

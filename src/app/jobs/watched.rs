//! A trace that tells how far a measure has read it, and lets it be stopped.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Progress;
use crate::measure::{LayerInfo, MeasureError, Source};
use crate::memory::Factors;
use crate::trace::Trace;

/// A [`Source`] that every measure takes: its progress is the share of sequences read, of those a measure will read.
pub struct Watched<'a> {
    trace: &'a Trace,
    progress: &'a Progress,
    done: AtomicUsize,
    total: usize,
}

impl<'a> Watched<'a> {
    /// Watches a measure that walks all layers `passes` times.
    pub fn new(trace: &'a Trace, progress: &'a Progress, passes: usize) -> Self {
        Self::of_reads(trace, progress, trace.layers().len() * trace.n_batch() * passes)
    }

    /// Watches a measure that reads this many sequences of a layer.
    pub fn of_reads(trace: &'a Trace, progress: &'a Progress, total: usize) -> Self {
        Self { trace, progress, done: AtomicUsize::new(0), total: total.max(1) }
    }
}

impl Source for Watched<'_> {
    fn layers(&self) -> Vec<LayerInfo> {
        Source::layers(self.trace)
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        let done = self.done.fetch_add(1, Ordering::Relaxed);
        self.progress.set(done as f64 / self.total as f64).map_err(|_| MeasureError::Cancelled)?;
        Source::factors(self.trace, place, sequence)
    }
}

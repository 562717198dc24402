//! How far readouts are, for whoever waits for them, and whether they are still wanted.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::ReadoutError;

/// Told how far the readouts are, from 0 to 1; answers whether to go on.
pub type GoOn<'a> = &'a (dyn Fn(f64) -> bool + Sync);

/// A part of the work: the share of the whole it begins and ends at, and its steps.
pub(super) struct Watch<'a> {
    go_on: GoOn<'a>,
    share: [f64; 2],
    done: AtomicUsize,
    steps: AtomicUsize,
}

impl<'a> Watch<'a> {
    pub fn new(go_on: GoOn<'a>) -> Self {
        Self::of_share(go_on, [0.0, 1.0])
    }

    fn of_share(go_on: GoOn<'a>, share: [f64; 2]) -> Self {
        Self { go_on, share, done: AtomicUsize::new(0), steps: AtomicUsize::new(1) }
    }

    /// The `index`-th of `count` equal parts.
    pub fn part(&self, index: usize, count: usize) -> Self {
        let [from, to] = self.share;
        let at = |index: usize| from + (to - from) * index as f64 / count.max(1) as f64;
        Self::of_share(self.go_on, [at(index), at(index + 1)])
    }

    /// Says how many steps this part has.
    pub fn expect(&self, steps: usize) {
        self.steps.store(steps.max(1), Ordering::Relaxed);
    }

    /// A step is done.
    pub fn step(&self) -> Result<(), ReadoutError> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let [from, to] = self.share;
        let share = from + (to - from) * (done as f64 / self.steps.load(Ordering::Relaxed) as f64).min(1.0);
        if (self.go_on)(share) { Ok(()) } else { Err(ReadoutError::Stopped) }
    }
}

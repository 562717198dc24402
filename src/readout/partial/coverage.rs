//! Which work is done: sequences and steps, in one canonical form.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Consecutive sequences with the same steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// First sequence and the one after the last, numbered over all traces of the work.
    pub sequences: [u64; 2],
    /// First step and the one after the last.
    pub steps: [u64; 2],
}

impl std::fmt::Display for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sequences: [first, end], steps: [from, to] } = self;
        write!(f, "sequences {first}:{end}, steps {from}:{to}")
    }
}

/// A set of steps of sequences. The same set has the same patches, however it was put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    patches: Vec<Patch>,
}

impl Coverage {
    /// Some steps of some sequences.
    pub fn of(sequences: Range<u64>, steps: Range<u64>) -> Self {
        let patch = Patch { sequences: [sequences.start, sequences.end], steps: [steps.start, steps.end] };
        Self { patches: if sequences.is_empty() || steps.is_empty() { vec![] } else { vec![patch] } }
    }

    /// In the order of sequences, then steps.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Work that is in both; one patch of it.
    pub fn overlap(&self, other: &Self) -> Option<Patch> {
        let both = |a: [u64; 2], b: [u64; 2]| [a[0].max(b[0]), a[1].min(b[1])];
        let pairs = self.patches.iter().flat_map(|own| other.patches.iter().map(move |other| (own, other)));
        pairs
            .map(|(own, other)| Patch { sequences: both(own.sequences, other.sequences), steps: both(own.steps, other.steps) })
            .find(|patch| patch.sequences[0] < patch.sequences[1] && patch.steps[0] < patch.steps[1])
    }

    /// Both together. They must not overlap.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        // Cut at every border of either, join steps of the same sequences, then sequences of the same steps.
        let all = || self.patches.iter().chain(&other.patches);
        let mut borders: Vec<u64> = all().flat_map(|patch| patch.sequences).collect();
        borders.sort_unstable();
        borders.dedup();
        let mut steps_of: BTreeMap<(u64, u64), Vec<[u64; 2]>> = BTreeMap::new();
        for slice in borders.windows(2) {
            let mut steps: Vec<[u64; 2]> =
                all().filter(|patch| patch.sequences[0] <= slice[0] && slice[1] <= patch.sequences[1]).map(|patch| patch.steps).collect();
            steps.sort_unstable();
            steps.dedup_by(|next, last| {
                last[1] == next[0] && {
                    last[1] = next[1];
                    true
                }
            });
            if !steps.is_empty() {
                steps_of.insert((slice[0], slice[1]), steps);
            }
        }
        let mut runs: Vec<([u64; 2], Vec<[u64; 2]>)> = Vec::new();
        for ((first, end), steps) in steps_of {
            match runs.last_mut() {
                Some((run, same)) if run[1] == first && *same == steps => run[1] = end,
                _ => runs.push(([first, end], steps)),
            }
        }
        let patches = runs.into_iter().flat_map(|(sequences, steps)| steps.into_iter().map(move |steps| Patch { sequences, steps }));
        Self { patches: patches.collect() }
    }

    /// The smallest single patch around all of it.
    pub fn hull(&self) -> Option<Patch> {
        let hull = |ends: &mut dyn Iterator<Item = [u64; 2]>| ends.reduce(|hull, ends| [hull[0].min(ends[0]), hull[1].max(ends[1])]);
        let sequences = hull(&mut self.patches.iter().map(|patch| patch.sequences))?;
        Some(Patch { sequences, steps: hull(&mut self.patches.iter().map(|patch| patch.steps))? })
    }

    /// The first work inside the hull that is not covered.
    pub fn gap(&self) -> Option<Patch> {
        let hull = self.hull()?;
        let mut at = hull.sequences[0];
        while at < hull.sequences[1] {
            let here: Vec<&Patch> = self.patches.iter().filter(|patch| patch.sequences[0] <= at && at < patch.sequences[1]).collect();
            let Some(first) = here.first() else {
                let next = self.patches.iter().map(|patch| patch.sequences[0]).filter(|&start| start > at).min()?;
                return Some(Patch { sequences: [at, next], steps: hull.steps });
            };
            let mut step = hull.steps[0];
            for patch in &here {
                if patch.steps[0] > step {
                    return Some(Patch { sequences: patch.sequences, steps: [step, patch.steps[0]] });
                }
                step = patch.steps[1];
            }
            if step < hull.steps[1] {
                return Some(Patch { sequences: first.sequences, steps: [step, hull.steps[1]] });
            }
            at = first.sequences[1];
        }
        None
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 3;
        let shown: Vec<String> = self.patches.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = self.patches.len().saturating_sub(SHOWN);
        write!(f, "{}", if shown.is_empty() { "nothing".to_owned() } else { shown.join("; ") })?;
        if more > 0 { write!(f, "; and {more} more") } else { Ok(()) }
    }
}

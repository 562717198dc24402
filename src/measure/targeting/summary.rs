//! From sequences to rows: lifts with intervals over sequences, and the bands of the nulls.

use super::collect::SequencePart;
use super::{AddressNull, Among, HeadTargeting, TargetingNull, TargetingOptions, TargetingRow};
use crate::ledger::{Mechanism, TargetSums, Targets};
use crate::measure::permutation::sign_flip;
use crate::measure::source::LayerParts;
use crate::measure::{Bootstrap, HeadId, Interval, Truth};
use crate::task::Condition;

type Part = LayerParts<SequencePart>;

/// Every mechanism among both kinds of writes, over all conditions and by those in which something goes stale.
pub(super) fn rows(parts: &[Part], truth: &Truth, options: &TargetingOptions, bootstrap: &Bootstrap) -> Vec<TargetingRow> {
    let n = bootstrap.n_sequences();
    let stale = |condition: &Condition| {
        (0..n).any(|sequence| truth.condition(sequence) == Some(*condition) && parts.iter().any(|part| part.sequences[sequence].any_stale))
    };
    let conditions = truth.conditions(n).into_iter().filter(stale).map(Some);
    let heads: Vec<(&Part, usize)> = parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |head| (part, head))).collect();
    std::iter::once(None)
        .chain(conditions)
        .flat_map(|condition| {
            let counts = |sequence: usize| condition.is_none() || truth.condition(sequence) == condition;
            rows_of(&heads, condition, &counts, options, bootstrap)
        })
        .collect()
}

/// Every head.
pub(super) fn heads(parts: &[Part], options: &TargetingOptions, bootstrap: &Bootstrap) -> Vec<HeadTargeting> {
    let heads = parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |head| (part, head)));
    heads
        .map(|(part, head)| HeadTargeting {
            id: HeadId { layer: part.info.layer, head },
            rows: rows_of(&[(part, head)], None, &|_| true, options, bootstrap),
        })
        .collect()
}

fn rows_of(
    heads: &[(&Part, usize)],
    condition: Option<Condition>,
    counts: &dyn Fn(usize) -> bool,
    options: &TargetingOptions,
    bootstrap: &Bootstrap,
) -> Vec<TargetingRow> {
    let mut rows = vec![];
    for among in Among::ALL {
        let pick = |targets: &Targets| if among == Among::Facts { targets.facts } else { targets.all_writes };
        let pooled = |of: &dyn Fn(&SequencePart, usize) -> Option<Targets>| -> Vec<TargetSums> {
            let one = |sequence: usize| {
                let mut sums = TargetSums::default();
                if counts(sequence) {
                    let parts = heads.iter().filter_map(|(part, head)| of(&part.sequences[sequence], *head));
                    parts.for_each(|targets| sums.add(&pick(&targets)));
                }
                sums
            };
            (0..bootstrap.n_sequences()).map(one).collect()
        };
        let model = pooled(&|part, head| part.any_stale.then(|| part.model[head]));
        for mechanism in Mechanism::ALL {
            let row = Sums { sequences: &model, mechanism, bootstrap };
            if row.taken() == 0.0 {
                continue;
            }
            let null = |&null: &AddressNull| {
                // Every layer with an erase has the same number of replays; layers without one have none and stay as they are.
                let n_replays = heads.iter().map(|(part, _)| part.sequences[0].nulls[null as usize].len()).max()?;
                let replay = |replay: usize| {
                    pooled(&|part, head| {
                        let run = part.nulls[null as usize].get(replay).map_or(part.model[head], |heads| heads[head]);
                        part.any_stale.then_some(run)
                    })
                };
                row.null(null, &(0..n_replays).map(replay).collect::<Vec<_>>(), options)
            };
            rows.push(TargetingRow {
                condition,
                mechanism,
                among,
                precision: row.precision(),
                chance: row.chance(),
                lift: row.lift(),
                address_lift: row.address_lift(),
                timing_lift: row.timing_lift(),
                recall: row.recall(),
                nulls: if mechanism == Mechanism::Erase { AddressNull::ALL.iter().filter_map(null).collect() } else { vec![] },
            });
        }
    }
    rows
}

/// One mechanism's sums per sequence.
struct Sums<'a> {
    sequences: &'a [TargetSums],
    mechanism: Mechanism,
    bootstrap: &'a Bootstrap,
}

/// A number of every sequence.
type Column = Vec<f64>;

impl Sums<'_> {
    fn column(sequences: &[TargetSums], of: impl Fn(&TargetSums) -> f64) -> Column {
        sequences.iter().map(of).collect()
    }

    /// Stale and whole: taken, present and gated.
    fn columns(&self, sequences: &[TargetSums]) -> [[Column; 2]; 3] {
        let m = self.mechanism as usize;
        let pair = |stale: fn(&TargetSums) -> &[f64; 3], all: fn(&TargetSums) -> &[f64; 3]| {
            [Self::column(sequences, |sums| stale(sums)[m]), Self::column(sequences, |sums| all(sums)[m])]
        };
        [
            pair(|sums| &sums.stale_taken, |sums| &sums.taken),
            pair(|sums| &sums.stale_present, |sums| &sums.present),
            pair(|sums| &sums.stale_gated, |sums| &sums.gated),
        ]
    }

    fn taken(&self) -> f64 {
        self.sequences.iter().map(|sums| sums.taken[self.mechanism as usize]).sum()
    }

    fn precision(&self) -> Option<Interval> {
        let [[stale, all], ..] = self.columns(self.sequences);
        self.bootstrap.fraction(&stale, &all)
    }

    fn chance(&self) -> Option<Interval> {
        let [_, [stale, all], _] = self.columns(self.sequences);
        self.bootstrap.fraction(&stale, &all)
    }

    fn recall(&self) -> Option<Interval> {
        let [[stale, _], ..] = self.columns(self.sequences);
        self.bootstrap.fraction(&stale, &Self::column(self.sequences, |sums| sums.stale_taken.iter().sum()))
    }

    fn lift(&self) -> Option<Interval> {
        let [taken, present, _] = self.columns(self.sequences);
        self.quotient(&taken, &present)
    }

    fn address_lift(&self) -> Option<Interval> {
        let [taken, _, gated] = self.columns(self.sequences);
        self.quotient(&taken, &gated)
    }

    fn timing_lift(&self) -> Option<Interval> {
        let [_, present, gated] = self.columns(self.sequences);
        self.quotient(&gated, &present)
    }

    /// (a0 / a1) / (b0 / b1).
    fn quotient(&self, above: &[Column; 2], below: &[Column; 2]) -> Option<Interval> {
        let n = above[1].iter().filter(|&&all| all > 0.0).count();
        self.bootstrap.lift(n, [&above[0], &above[1]], [&below[0], &below[1]])
    }

    fn null(&self, null: AddressNull, replays: &[Vec<TargetSums>], options: &TargetingOptions) -> Option<TargetingNull> {
        if replays.is_empty() {
            return None;
        }
        let [taken, present, _] = self.columns(self.sequences);
        let replays: Vec<_> = replays.iter().map(|replay| self.columns(replay)).collect();
        let together = |kind: usize, part: usize| -> Column {
            (0..self.sequences.len()).map(|sequence| replays.iter().map(|replay| replay[kind][part][sequence]).sum()).collect()
        };
        let all: Vec<[Column; 2]> = (0..3).map(|kind| [together(kind, 0), together(kind, 1)]).collect();
        let n = taken[1].iter().filter(|&&all| all > 0.0).count();
        let columns = [&taken, &present, &all[0], &all[1]].map(|pair| [&pair[0][..], &pair[1]]).concat();
        let excess = self.bootstrap.smooth(n, &columns, |sums| Some(quotient(&sums[..4])? - quotient(&sums[4..])?))?;
        // Each sequence's own difference; one without anything stale says nothing.
        let alone = |columns: [&[Column; 2]; 2], sequence: usize| {
            let [above, below] = columns.map(|columns| (columns[1][sequence] > 0.0).then(|| columns[0][sequence] / columns[1][sequence]));
            below.filter(|&below| below > 0.0).and_then(|below| Some(above? / below))
        };
        let differences: Vec<f64> = (0..self.sequences.len())
            .filter_map(|sequence| Some(alone([&taken, &present], sequence)? - alone([&all[0], &all[1]], sequence)?))
            .collect();
        let band = |kind: usize| {
            let runs: Vec<_> = replays.iter().map(|replay| (&replay[0], &replay[kind])).collect();
            self.bootstrap.band_of(n, runs.len(), |run, weights| quotient(&weighted(runs[run].0, runs[run].1, weights)))
        };
        Some(TargetingNull { null, lift: band(1)?, address_lift: band(2)?, excess, p_value: sign_flip(&differences, &options.statistics) })
    }
}

/// (a0 / a1) / (b0 / b1); `None` unless all of a1, b0 and b1 are above 0.
fn quotient(sums: &[f64]) -> Option<f64> {
    (sums[1] > 0.0 && sums[2] > 0.0 && sums[3] > 0.0).then(|| (sums[0] / sums[1]) / (sums[2] / sums[3]))
}

/// a0, a1, b0 and b1 of weighted sequences.
fn weighted(above: &[Column; 2], below: &[Column; 2], weights: &[f32]) -> [f64; 4] {
    [&above[0], &above[1], &below[0], &below[1]]
        .map(|column| column.iter().zip(weights).map(|(value, &weight)| f64::from(weight) * value).sum())
}

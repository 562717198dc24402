//! From sequences to rows: shares, half-lives and the erase's own part with intervals over sequences.

use super::collect::{Lives, RoleSums, SequencePart, Sum};
use super::{AgeShares, FateOptions, FateRow, FateShares, HeadFate};
use crate::ledger::Form;
use crate::measure::source::LayerParts;
use crate::measure::{Bootstrap, HeadId, Interval, Role, Truth};
use crate::task::Condition;

type Part = LayerParts<SequencePart>;

/// Every role, over all conditions and by condition.
pub(super) fn rows(parts: &[Part], truth: &Truth, options: &FateOptions, bootstrap: &Bootstrap) -> Vec<FateRow> {
    let conditions = std::iter::once(None).chain(truth.conditions(bootstrap.n_sequences()).into_iter().map(Some));
    let form = if parts.iter().any(|part| part.info.rule.is_oblique()) { Form::Vector } else { Form::Energy };
    let one = |condition: Option<Condition>, role: Role| {
        let sequence = |sequence: usize| -> Vec<&RoleSums> {
            if condition.is_some() && truth.condition(sequence) != condition {
                return vec![];
            }
            parts.iter().flat_map(|part| part.sequences[sequence].heads.iter().map(|roles| &roles[role as usize])).collect()
        };
        let sums = (0..bootstrap.n_sequences()).map(sequence).collect::<Vec<_>>();
        row(&sums, condition, role, form, options, bootstrap)
    };
    conditions.flat_map(|condition| Role::ALL.map(|role| one(condition, role))).flatten().collect()
}

/// Every head: every role, over all conditions.
pub(super) fn heads(parts: &[Part], options: &FateOptions, bootstrap: &Bootstrap) -> Vec<HeadFate> {
    let one = |part: &Part, head: usize| {
        let form = if part.info.rule.is_oblique() { Form::Vector } else { Form::Energy };
        let of = |role: Role| part.sequences.iter().map(|sequence| vec![&sequence.heads[head][role as usize]]).collect::<Vec<_>>();
        let rows = Role::ALL.into_iter().filter_map(|role| row(&of(role), None, role, form, options, bootstrap));
        HeadFate { id: HeadId { layer: part.info.layer, head }, rows: rows.collect() }
    };
    parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |head| one(part, head))).collect()
}

/// One row, from the sums of each sequence; `None` without a write.
fn row(
    sequences: &[Vec<&RoleSums>],
    condition: Option<Condition>,
    role: Role,
    form: Form,
    options: &FateOptions,
    bootstrap: &Bootstrap,
) -> Option<FateRow> {
    let pooled = |of: &dyn Fn(&RoleSums) -> Sum| -> Vec<Sum> {
        let one = |heads: &Vec<&RoleSums>| {
            let mut sum = Sum::default();
            heads.iter().for_each(|head| sum.add(&of(head)));
            sum
        };
        sequences.iter().map(one).collect()
    };
    let ages = options.ages.iter().enumerate();
    let ages = ages.filter_map(|(index, &age)| Some(AgeShares { age, shares: shares(&pooled(&|role| role.ages[index]), bootstrap)? }));
    let unique = |part: usize| {
        let column = |part: usize| sequences.iter().map(|heads| heads.iter().map(|head| head.unique[part]).sum()).collect::<Vec<f64>>();
        bootstrap.ratio(&column(part), &column(0))
    };
    Some(FateRow {
        condition,
        role,
        n_writes: sequences.iter().flatten().map(|role| role.n_writes).sum::<f64>() as u64,
        form,
        shares: shares(&pooled(&|role| role.shares), bootstrap)?,
        averaged: (options.orders && form == Form::Energy).then(|| shares(&pooled(&|role| role.averaged), bootstrap)).flatten(),
        unique: unique(1),
        compensation: unique(2),
        since_stale: shares(&pooled(&|role| role.since_stale), bootstrap),
        half_life_steps: median(sequences, |role| &role.lives, bootstrap),
        decay_only_half_life_steps: median(sequences, |role| &role.decay_only_lives, bootstrap),
        ages: ages.collect(),
    })
}

fn shares(sums: &[Sum], bootstrap: &Bootstrap) -> Option<FateShares> {
    let weights: Vec<f64> = sums.iter().map(|sum| sum.weight).collect();
    let share = |part: usize| bootstrap.fraction(&sums.iter().map(|sum| sum.shares[part]).collect::<Vec<_>>(), &weights);
    Some(FateShares { surviving: share(0)?, decayed: share(1)?, erased: share(2)?, overwritten: share(3)? })
}

/// More steps than this are counted in classes, so that a resample stays cheap.
const MOST_CLASSES: usize = 512;

/// Median half-life (Kaplan and Meier) with its interval; `None` if more than half last longer than they were followed.
fn median<'a>(sequences: &[Vec<&'a RoleSums>], of: impl Fn(&'a RoleSums) -> &'a Lives, bootstrap: &Bootstrap) -> Option<Interval> {
    let length = |lives: &Lives| lives.reached.len().max(lives.ended.len());
    let longest = sequences.iter().flatten().map(|role| length(of(role))).max()?;
    let width = longest.div_ceil(MOST_CLASSES).max(1);
    let n_classes = longest.div_ceil(width);
    // [sequence][class] of lives that ended by halving, and of those that were cut off.
    let tables: Vec<Vec<[f64; 2]>> = sequences
        .iter()
        .map(|heads| {
            let mut table = vec![[0.0; 2]; n_classes];
            for lives in heads.iter().map(|role| of(role)) {
                lives.reached.iter().enumerate().for_each(|(steps, n)| table[steps / width][0] += n);
                lives.ended.iter().enumerate().for_each(|(steps, n)| table[steps / width][1] += n);
            }
            table
        })
        .collect();
    let n = tables.iter().filter(|table| table.iter().any(|class| class[0] + class[1] > 0.0)).count();
    let survives = |weights: &[f32]| {
        let mut table = vec![[0.0; 2]; n_classes];
        for (one, &weight) in tables.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let weight = f64::from(weight);
            table.iter_mut().zip(one).for_each(|(sum, class)| {
                sum[0] += weight * class[0];
                sum[1] += weight * class[1];
            });
        }
        let mut at_risk: f64 = table.iter().map(|class| class[0] + class[1]).sum();
        let mut surviving = 1.0;
        for (class, [reached, ended]) in table.into_iter().enumerate() {
            if at_risk > 0.0 {
                surviving *= 1.0 - reached / at_risk;
            }
            if surviving <= 0.5 {
                return (class * width) as f64;
            }
            at_risk -= reached + ended;
        }
        longest as f64
    };
    let found = bootstrap.statistic(n, |weights| Some(survives(weights)))?;
    (n > 0 && found.estimate < longest as f64).then_some(found)
}

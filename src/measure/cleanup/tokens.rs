//! The core: what one sequence of one layer says about cleanup and decay.

use ndarray::{Array2, s};
use rayon::prelude::*;

use super::{CleanupOptions, DecayAxis, Null, Strength};
use crate::ledger::{HeadRecurrence, survivals_after};
use crate::measure::allocation::strengths;
use crate::measure::counterfactual::{constant_strength, random_addresses, shuffled_strength, with_addresses};
use crate::measure::gates::Gates;
use crate::measure::rank::spearman;
use crate::measure::replay::{Replay, energy};
use crate::measure::source::LayerInfo;
use crate::memory::{Factors, HookPoint, Recurrence};
use crate::task::random;

/// A number per decay axis and strength, in the order of [`DecayAxis::ALL`] and [`Strength::ALL`].
pub(super) type PerRelation<T> = [[T; 4]; 2];

/// Sum and count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    pub sum: f64,
    pub count: f64,
}

impl Mean {
    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    pub fn value(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    fn of(values: &[f64]) -> Self {
        let mut mean = Self::default();
        for &value in values.iter().filter(|value| value.is_finite()) {
            mean.add(Self { sum: value, count: 1.0 });
        }
        mean
    }
}

/// One run of a sequence, the model's or a null's.
pub(super) struct RunPart {
    /// Spearman's rho over tokens, [head].
    pub rho: Vec<PerRelation<Option<f64>>>,
    /// Mean y over tokens, [head], in the order of [`Strength::ALL`].
    pub strength: Vec<[Mean; 4]>,
    /// Mean y by bin of x over all heads of the layer.
    pub curve: PerRelation<Vec<Mean>>,
}

/// One sequence of one layer.
pub(super) struct SequencePart {
    /// Mean x over tokens, [head], in the order of [`DecayAxis::ALL`].
    pub decay: Vec<[Mean; 2]>,
    /// Mean beta, [head].
    pub write_strength: Vec<Mean>,
    /// As the model ran.
    pub model: RunPart,
    /// Replays of each null, in the order of [`Null::ALL`].
    pub nulls: [Vec<RunPart>; 4],
    /// Every so many-th token of every head for the naive correlation: x by axis, y by strength.
    pub pooled: Vec<([f64; 2], [f64; 4])>,
}

/// Measures one sequence (batch 1).
pub(super) fn sequence_part(
    info: &LayerInfo,
    sequence: usize,
    factors: &Factors<f32>,
    options: &CleanupOptions,
    stride: usize,
) -> SequencePart {
    let gates = Gates::of(factors);
    let decay = [gates.retention.clone(), window_retention(factors, options.window)];
    let without_erase = survivals(&factors.lower(), options.window, HeadRecurrence::without_erase);
    let strengths_of_run = |factors: &Factors<f32>| strengths_of_run(factors, options.window, &without_erase);
    let model_y = strengths_of_run(factors);
    let n_heads = factors.dims().head;

    let stream = |null: Null, replay: usize| {
        let domain = format!("measure/cleanup/{null:?}/layer {}/replay {replay}", info.layer);
        random::stream(options.statistics.seed, &domain, sequence as u64)
    };
    let counterfactual = |null: Null, replay: usize| match null {
        Null::ShuffledStrength => shuffled_strength(factors, &mut stream(null, replay)),
        Null::ConstantStrength => constant_strength(factors),
        Null::RandomDirection => with_addresses(factors, random_addresses(factors, &mut stream(null, replay))),
        Null::ConstantStrengthRandomDirection => {
            with_addresses(&constant_strength(factors), random_addresses(factors, &mut stream(null, replay)))
        }
    };
    let nulls = Null::ALL.map(|null| {
        let n_replays = if null == Null::ConstantStrength { 1 } else { options.null_replays };
        let one = |replay| run_part(&decay, &strengths_of_run(&counterfactual(null, replay)), options);
        (0..n_replays).into_par_iter().map(one).collect()
    });

    let mut pooled = vec![];
    for step in (sequence % stride..factors.dims().step).step_by(stride) {
        for head in 0..n_heads {
            pooled.push((decay.each_ref().map(|x| x[[step, head]]), model_y.each_ref().map(|y| y[[step, head]])));
        }
    }
    let column = |array: &Array2<f64>, head: usize| Mean::of(&array.column(head).to_vec());
    SequencePart {
        decay: (0..n_heads).map(|head| decay.each_ref().map(|x| column(x, head))).collect(),
        write_strength: (0..n_heads).map(|head| column(&gates.write, head)).collect(),
        model: run_part(&decay, &model_y, options),
        nulls,
        pooled,
    }
}

/// y of every token, [step, head] in the order of [`Strength::ALL`]; NaN where there is none. `without_erase` is the survival of
/// every write had the erase not been: the same whatever the erase is.
pub(super) fn strengths_of_run(factors: &Factors<f32>, window: usize, without_erase: &Array2<f64>) -> [Array2<f64>; 4] {
    let dims = factors.dims();
    let gates = Gates::of(factors);
    let share = Array2::from_shape_fn((dims.step, dims.head), |at| {
        let strengths = strengths([gates.retention[at], gates.write[at], gates.erase[at]]);
        let sum: f64 = strengths.iter().sum();
        if sum > 0.0 { strengths[2] / sum } else { f64::NAN }
    });
    let replay = Replay::new(factors);
    let heads: Vec<Vec<f64>> = (0..dims.head)
        .into_par_iter()
        .map(|head| {
            let mut removed = Vec::with_capacity(dims.step);
            replay.visit_decayed(head, false, |step, _, decayed| {
                let energy = energy(decayed);
                removed.push(if energy > 0.0 { replay.removed_energy(step, head, decayed) / energy } else { f64::NAN });
            });
            removed
        })
        .collect();
    let removed = Array2::from_shape_fn((dims.step, dims.head), |(step, head)| heads[head][step]);
    let unique = without_erase - &survivals(replay.recurrence(), window, Clone::clone);
    [gates.erase, share, removed, unique]
}

/// Survival of the write that is one window old at every step, [step, head]; NaN before the first full window, and of a write of
/// nothing.
pub(super) fn survivals(
    recurrence: &Recurrence<f32>,
    window: usize,
    of: impl Fn(&HeadRecurrence<f32>) -> HeadRecurrence<f32> + Sync,
) -> Array2<f64> {
    let dims = recurrence.dims;
    let one = |head| survivals_after(&of(&HeadRecurrence::new(recurrence, 0, head)), window);
    let heads: Vec<Vec<Option<f64>>> = (0..dims.head).into_par_iter().map(one).collect();
    // Rules with an erase write once a step.
    let survival = |step: usize, head: usize| step.checked_sub(window).and_then(|born| heads[head][born]);
    Array2::from_shape_fn((dims.step, dims.head), |(step, head)| survival(step, head).unwrap_or(f64::NAN))
}

/// Correlations, means and curves of one run.
fn run_part(decay: &[Array2<f64>; 2], strength: &[Array2<f64>; 4], options: &CleanupOptions) -> RunPart {
    let n_heads = decay[0].ncols();
    let mut curve: PerRelation<Vec<Mean>> = [0, 1].map(|_| Strength::ALL.map(|_| vec![Mean::default(); options.bins.count]));
    let mut rho = vec![];
    let mut means = vec![];
    for head in 0..n_heads {
        let y = strength.each_ref().map(|y| y.column(head).to_vec());
        means.push(y.each_ref().map(|y| Mean::of(y)));
        rho.push([0, 1].map(|axis| {
            let x = decay[axis].column(head);
            [0, 1, 2, 3].map(|kind| {
                let pairs = || x.iter().zip(&y[kind]).filter(|(x, y)| x.is_finite() && y.is_finite());
                for (&x, &y) in pairs() {
                    curve[axis][kind][options.bins.index(x)].add(Mean { sum: y, count: 1.0 });
                }
                let (x, y): (Vec<f64>, Vec<f64>) = pairs().unzip();
                spearman(&x, &y)
            })
        }));
    }
    RunPart { rho, strength: means, curve }
}

/// What decay alone leaves over the window that ends with the step, averaged over channels, [step, head]; NaN before the first
/// full window.
pub(super) fn window_retention(factors: &Factors<f32>, window: usize) -> Array2<f64> {
    let dims = factors.dims();
    let retention = factors.channels(HookPoint::Retention);
    Array2::from_shape_fn((dims.step, dims.head), |(step, head)| {
        if step + 1 < window {
            return f64::NAN;
        }
        let kept = |channel: usize| {
            let steps = retention.slice(s![0, step + 1 - window..=step, head, channel]);
            steps.iter().map(|&alpha| f64::from(alpha)).product::<f64>()
        };
        (0..dims.d_k).map(kept).sum::<f64>() / dims.d_k as f64
    })
}

/// The place of a strength in [`Strength::ALL`].
pub(super) fn place_of_strength(strength: Strength) -> usize {
    Strength::ALL.iter().position(|&other| other == strength).expect("all strengths are listed")
}

/// The place of an axis in [`DecayAxis::ALL`].
pub(super) fn place_of_axis(axis: DecayAxis) -> usize {
    DecayAxis::ALL.iter().position(|&other| other == axis).expect("all axes are listed")
}

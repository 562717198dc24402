//! Where blocks, groups and chunks meet; single precision; odd sizes.

use pentimento::ledger::{AccountOptions, HeadRecurrence, account};
use pentimento::memory::{Dims, RecordOptions, cpu};

use super::*;

fn long(rule: Rule, step: usize, d_k: usize, starts_filled: bool) -> Factors<f64> {
    let dims = Dims { batch: 1, step, key_head: 1, head: 1, d_k, d_v: 40 };
    let sample = Sample { dims, seed: 11, starts_filled };
    let factors = sample.factors(rule);
    // Decay of a few per cent a step, so that writes live through many blocks.
    let point = pentimento::memory::HookPoint::Retention;
    let scalar = matches!(rule, Rule::Gdn | Rule::GatedDeltaProduct(_) | Rule::Comba);
    let mild =
        if scalar { factors.arrays()[&point].mapv(|_| 0.97) } else { factors.arrays()[&point].mapv(|alpha| 1.0 - 0.05 * (1.0 - alpha)) };
    factors.with(point, mild).unwrap()
}

/// More writes than a group of blocks holds, in single precision, against the same in double.
#[test]
fn single_precision_agrees_with_double_across_blocks_and_chunks() {
    for (rule, step) in [(Rule::Eda, 293), (Rule::Gdn2, 70), (Rule::Rwkv7, 70), (Rule::Comba, 70), (Rule::GatedDeltaProduct(3), 101)] {
        let factors = long(rule, step, 9, true);
        let double = account_of(&factors);
        let single: Factors<f32> = factors.cast();
        let head = HeadRecurrence::new(&single.lower(), 0, 0);
        let found = account(&head, &everything());
        assert!(found.share_residual() < 1e-6, "{rule}: {}", found.share_residual());
        let (a, b) = (found.attention.as_ref().unwrap(), double.attention.as_ref().unwrap());
        assert!(largest_difference(&a.mapv(f64::from), b) < 2e-5, "{rule}");
        assert!(largest_difference(&found.shares(), &double.shares()) < 2e-5, "{rule}");
        assert!(largest_difference(&found.left.mapv(f64::from), &double.left) < 2e-5, "{rule}");
        let recording = cpu::record(&single.lower(), &RecordOptions::default());
        let output = recording.output.slice(ndarray::s![0, .., 0, ..]);
        let residuals = found.residuals(output);
        assert!(residuals.iter().all(|&residual| residual < 2e-5), "{rule}: {:?}", residuals.iter().copied().fold(0.0, f64::max));
        assert!(found.initial_tally.unwrap().residual() < 1e-6);
    }
}

/// Everything that lives through 512 steps with hardly any decay still sums to 1.
#[test]
fn shares_of_writes_that_hardly_fade_sum_to_one_in_single_precision() {
    let factors = long(Rule::Eda, 512, 64, false);
    let point = pentimento::memory::HookPoint::Retention;
    let factors = factors.with(point, factors.arrays()[&point].mapv(|alpha| 1.0 - 0.01 * (1.0 - alpha))).unwrap();
    let faint = factors.arrays()[&pentimento::memory::HookPoint::EraseStrength].mapv(|gamma| 0.05 * gamma);
    let factors = factors.with(pentimento::memory::HookPoint::EraseStrength, faint).unwrap().cast::<f32>();
    let found = account(&HeadRecurrence::new(&factors.lower(), 0, 0), &AccountOptions::default());
    assert!(found.share_residual() < 1e-6, "{}", found.share_residual());
    assert!(found.attention.is_none());
}

/// What a sequence holds at its start is accounted for like a write: column by column the same numbers.
#[test]
fn an_initial_memory_has_an_account_of_its_own() {
    let factors = long(Rule::Eda, 40, 5, true);
    let found = account_of(&factors);
    let tally = found.initial_tally.unwrap();
    assert!(tally.residual() < 1e-12);
    let initial = factors.initial_memory().unwrap();
    assert!((tally.written - initial.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-12);
    let left = found.initial_left.unwrap();
    assert!((tally.surviving - left.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-12);
    assert!(found.initial_half_life.is_some());
}

/// The account does not depend on how many threads work on it.
#[test]
fn one_thread_gives_the_same_bits() {
    let factors: Factors<f32> = long(Rule::Eda, 600, 8, true).cast();
    let head = HeadRecurrence::new(&factors.lower(), 0, 0);
    let many = account(&head, &everything());
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| account(&head, &everything()));
    assert_eq!(many.output, one.output);
    assert_eq!(many.tallies, one.tallies);
    assert_eq!(many.attention, one.attention);
}

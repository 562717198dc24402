//! No group on both sides, ever.

use ndarray::Array2;
use pentimento_probes::{
    Folds, ProbeError, Samples, Scaling, Targets, control,
    split::{Fold, check_disjoint},
};
use proptest::prelude::*;

use crate::{Outcome, close, normal};

proptest! {
    #[test]
    fn folds_partition_samples_and_keep_groups_whole(groups in prop::collection::vec(0_u64..12, 30..80), n_folds in 2_usize..4, seed in any::<u64>()) {
        let folds = Folds::by_group(&groups, n_folds, seed).unwrap();
        let mut tested = vec![0; groups.len()];
        for fold in &folds {
            check_disjoint(&groups, &fold.train, &fold.test).unwrap();
            prop_assert_eq!(fold.train.len() + fold.test.len(), groups.len());
            fold.test.iter().for_each(|&sample| tested[sample] += 1);
        }
        prop_assert!(tested.iter().all(|&times| times == 1));
        prop_assert_eq!(&folds, &Folds::by_group(&groups, n_folds, seed).unwrap());
    }

    #[test]
    fn exchanges_permute_samples_and_move_groups_whole(groups in prop::collection::vec(0_u64..9, 1..40), seed in any::<u64>()) {
        let from = control::exchange_between_groups(&groups, None, seed);
        let mut sorted = from.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..groups.len()).collect::<Vec<_>>());
        for a in 0..groups.len() {
            for b in 0..groups.len() {
                prop_assert_eq!(groups[a] == groups[b], groups[from[a]] == groups[from[b]]);
            }
        }
    }
}

#[test]
fn leakage_is_refused() {
    let leaky = Fold { train: vec![0, 1], test: vec![2] };
    assert!(matches!(Folds::from_folds(vec![leaky], &[4, 5, 4]), Err(ProbeError::GroupLeakage { group: 4 })));
}

#[test]
fn too_few_groups_are_refused() {
    assert!(matches!(Folds::by_group(&[1, 1, 2, 2], 3, 0), Err(ProbeError::TooFewGroups { found: 2, needed: 3, .. })));
    assert!(Folds::by_group(&[1, 2], 1, 0).is_err());
}

#[test]
fn samples_are_checked() {
    let classes = |labels| Targets::classes(labels, 2);
    assert!(matches!(classes(vec![0, 2]), Err(ProbeError::Class { sample: 1, class: 2, n_classes: 2 })));
    let two = || classes(vec![0, 1]).unwrap();
    assert!(matches!(Samples::new(Array2::zeros((3, 1)), two(), vec![0, 1, 2]), Err(ProbeError::Length { .. })));
    assert!(matches!(Samples::new(Array2::zeros((2, 1)), two(), vec![0]), Err(ProbeError::Length { .. })));
    assert!(matches!(Samples::new(Array2::from_elem((2, 1), f64::INFINITY), two(), vec![0, 1]), Err(ProbeError::NotFinite { .. })));
    assert!(matches!(Samples::new(Array2::zeros((0, 1)), classes(vec![]).unwrap(), vec![]), Err(ProbeError::Empty)));
}

#[test]
fn scaling_uses_the_training_part_only() -> Outcome {
    let train = normal(200, 3, 1) * 5.0 + 2.0;
    for scaling in [Scaling::Isotropic, Scaling::Standard, Scaling::Whiten] {
        let fitted = scaling.fit(train.view())?;
        let scaled = fitted.apply(train.view());
        let variance = scaled.var_axis(ndarray::Axis(0), 0.0);
        close(variance.mean().unwrap(), 1.0, 0.01);
        // One sample is scaled by what the training part taught, not by itself.
        let one = fitted.apply(train.slice(ndarray::s![..1, ..]));
        close(one[[0, 2]], scaled[[0, 2]], 1e-12);
    }
    let whitened = Scaling::Whiten.fit(train.view())?.apply(train.view());
    let covariance = whitened.t().dot(&whitened) / 200.0;
    close(covariance[[0, 1]], 0.0, 2e-3);
    Ok(())
}

#[test]
fn a_constant_channel_is_no_error() -> Outcome {
    for scaling in [Scaling::Isotropic, Scaling::Standard, Scaling::Whiten] {
        let scaled = scaling.fit(Array2::ones((5, 2)).view())?.apply(Array2::ones((5, 2)).view());
        assert!(scaled.iter().all(|value| value.abs() < 1e-9));
    }
    Ok(())
}

#[test]
fn a_group_without_a_partner_does_not_keep_its_targets() -> Outcome {
    let targets = Targets::classes(vec![0, 1, 2, 3, 4], 5)?;
    for seed in 0..20 {
        let Targets::Classes { labels, .. } = control::permuted_targets(&targets, &[7, 7, 7, 8, 9], seed) else {
            panic!("classes stay classes")
        };
        assert!(labels[..3].iter().all(|label| *label >= 3), "{labels:?}");
    }
    Ok(())
}

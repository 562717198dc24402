//! A concept is gone after LEACE and nothing else is; a random subspace of the same rank takes little of it.

use ndarray::{Array2, Axis};
use pentimento_probes::{
    Evaluation, Readout, RidgeParams, Targets,
    erasure::{Eraser, Subspace, erase_and_evaluate},
};
use proptest::prelude::*;

use crate::{Outcome, close, normal, planted};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// No covariance is left between features and concept, in the primal and in the dual form; what is erased twice is erased once.
    #[test]
    fn nothing_linear_is_left(n in 6_usize..60, d in 2_usize..40, m in 1_usize..3, seed in 0_u64..1000) {
        let concept = normal(n, m, seed);
        let features = normal(n, d, seed ^ 1) + concept.dot(&normal(m, d, seed ^ 2));
        let eraser = Eraser::leace(features.view(), concept.view()).unwrap();
        let erased = eraser.erase(features.view());
        let centred = &concept - &concept.mean_axis(Axis(0)).unwrap();
        let left = erased.t().dot(&centred) / n as f64;
        let size = (features.t().dot(&centred) / n as f64).iter().fold(1e-3_f64, |most, value| most.max(value.abs()));
        prop_assert!(left.iter().all(|value| value.abs() < 1e-6 * size), "{left}");
        prop_assert!(eraser.rank() <= m);
        let again = eraser.erase(erased.view());
        prop_assert!((again - erased).iter().all(|value| value.abs() < 1e-7));
        let mean = |array: &Array2<f64>| array.mean_axis(Axis(0)).unwrap();
        prop_assert!((mean(&features) - mean(&eraser.erase(features.view()))).iter().all(|value| value.abs() < 1e-9));
    }
}

#[test]
fn leace_moves_less_than_any_other_erasure_we_know() {
    // Orthogonal projection along the class direction erases too, but moves more where channels covary.
    let concept = normal(400, 1, 1);
    let mut features = normal(400, 6, 2) + concept.dot(&normal(1, 6, 3));
    for mut row in features.rows_mut() {
        row[1] = 0.9 * row[0] + 0.1 * row[1];
    }
    let eraser = Eraser::leace(features.view(), concept.view()).unwrap();
    let moved = eraser.change(features.view()).iter().map(|value| value * value).sum::<f64>();
    let centred = &features - &features.mean_axis(Axis(0)).unwrap();
    let direction = centred.t().dot(&concept);
    let unit = &direction / direction.iter().map(|value| value * value).sum::<f64>().sqrt();
    let projected = centred.dot(&unit).iter().map(|value| value * value).sum::<f64>();
    assert!(moved < projected, "{moved} {projected}");
}

#[test]
fn erasing_one_concept_spares_another() -> Outcome {
    let (features, targets, groups) = planted(300, 40, 3, 1.5, 5);
    let (more, other, _) = planted(300, 40, 3, 1.5, 6);
    let features = features + more;
    let readout = Readout::Ridge(RidgeParams { penalties: vec![0.1], ..RidgeParams::default() });
    let found = erase_and_evaluate(&features, &targets, &[targets.clone(), other], &groups, &readout, &Evaluation::default())?;
    let [concept, random] = &found;
    assert_eq!((concept.subspace, random.subspace), (Subspace::Concept, Subspace::Random));
    close(concept.rank, 2.0, 1e-12);
    close(random.rank, 2.0, 1e-12);
    let score = |list: &[pentimento_probes::Evaluated], task: usize| list[task].score().value();
    assert!(score(&concept.refitted, 0) < 0.45 && score(&concept.frozen, 0) < 0.45, "{}", score(&concept.refitted, 0));
    assert!(score(&concept.refitted, 1) > 0.85, "{}", score(&concept.refitted, 1));
    assert!(score(&random.refitted, 0) > 0.85 && score(&random.frozen, 0) > 0.8, "{}", score(&random.frozen, 0));
    assert!(concept.change.iter().any(|value| value.abs() > 0.1));
    Ok(())
}

#[test]
fn a_concept_that_fills_the_features_is_known_as_such() -> Outcome {
    let (features, targets, _) = planted(200, 3, 8, 1.0, 1);
    let eraser = Eraser::leace(features.view(), targets.as_vectors().view())?;
    assert_eq!((eraser.rank(), eraser.n_dimensions()), (3, 3));
    // Then its leading direction alone is compared with one random direction.
    let groups: Vec<u64> = (0..200).map(|sample| sample / 2).collect();
    let [concept, random] =
        erase_and_evaluate(&features, &targets, std::slice::from_ref(&targets), &groups, &Readout::default(), &Evaluation::default())?;
    assert!(concept.is_partial && random.is_partial);
    close(concept.rank, 1.0, 1e-12);
    // What the leading direction takes of the classes no random direction takes on average.
    let indicators = targets.as_vectors();
    let centred = &indicators - &indicators.mean_axis(Axis(0)).unwrap();
    let left = |eraser: &Eraser| eraser.erase(features.view()).t().dot(&centred).iter().map(|value| value * value).sum::<f64>();
    let leading = left(&Eraser::leading(features.view(), indicators.view(), 1)?);
    let mut others = 0.0;
    for seed in 0..20 {
        others += left(&Eraser::random(features.view(), 1, seed)?) / 20.0;
    }
    assert!(leading < 0.9 * others, "{leading} {others}");
    assert!(Targets::classes(vec![0], 1).is_ok());
    Ok(())
}

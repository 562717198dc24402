//! Collateral against theory.

use super::*;

fn options() -> CollateralOptions {
    CollateralOptions { statistics: quick(), ..CollateralOptions::default() }
}

/// One step from random memories.
fn random_memories() -> Vec<(usize, Factors<f32>)> {
    let dims = Dims { batch: 64, step: 1, key_head: 4, head: 4, d_k: 32, d_v: 256 };
    let mut stream = random::stream(2, "tests/memories", 0);
    let initial = Array4::from_shape_fn((dims.batch, dims.head, dims.d_k, dims.d_v), |_| normal(&mut stream) as f32);
    let arrays = factors(Rule::Eda, dims, 1).arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    vec![(0, Factors::new(Rule::Eda, arrays, Some(initial)).unwrap())]
}

#[test]
fn random_addresses_on_random_memories_give_what_theory_says() {
    let report = collateral(&random_memories(), &options()).unwrap();
    for address in [Address::Learned, Address::Random, Address::HeadShuffled, Address::WriteDirection] {
        for trajectory in [Trajectory::FullReplay, Trajectory::LocalStep] {
            let row = report.global_at(address, trajectory).unwrap();
            // |delta o| / |o| = gamma |q.e| |S^T e| / |S^T q|; reads of a wide random memory are equally long.
            let wanted = 0.5 * random_absolute_cosine(32);
            assert!((row.perturbation.estimate / wanted - 1.0).abs() < 0.15, "{address:?}: {} against {wanted}", row.perturbation);
            near(row.erase_strength.estimate, 0.5);
            near(row.random_energy_reference, 1.0 / 32.0);
            assert!((row.energy_at_address.unwrap().estimate * 32.0 - 1.0).abs() < 0.1);
            assert!((row.removed_energy.unwrap().estimate * 32.0 / 0.75 - 1.0).abs() < 0.1);
        }
    }
    assert!(report.headline().contains("random"));
}

#[test]
fn an_erase_at_the_query_takes_its_strength_from_the_read() {
    let (layer, plain) = random_memories().remove(0);
    let query = plain.arrays()[&HookPoint::Query].to_owned();
    let report = collateral(&vec![(layer, plain.with(HookPoint::EraseDirection, query).unwrap())], &options()).unwrap();
    let learned = report.global_at(Address::Learned, Trajectory::FullReplay).unwrap();
    near(learned.perturbation.estimate, 0.5);
    near(learned.ratio_of_sums.estimate, 0.5);
    near(learned.query_overlap.estimate, 1.0);
    near(learned.relative_content.estimate, 1.0);
    near(learned.fold.unwrap().estimate, 1.0);
    let random = report.layers[0].addresses.iter().find(|row| row.address == Address::Random).unwrap();
    assert!(random.fold.unwrap().estimate < 0.2);
}

#[test]
fn an_erase_at_the_key_is_the_same_as_asking_for_it() {
    let plain = factors(Rule::Eda, SMALL, 1);
    let keys = plain.arrays()[&HookPoint::WriteDirection(0)].to_owned();
    let at_key = collateral(&vec![(0, plain.with(HookPoint::EraseDirection, keys).unwrap())], &options()).unwrap();
    let asked = collateral(&vec![(0, plain)], &options()).unwrap();
    let learned = at_key.global_at(Address::Learned, Trajectory::FullReplay).unwrap().perturbation;
    assert_eq!(asked.global_at(Address::WriteDirection, Trajectory::FullReplay).unwrap().perturbation, learned);
    // Later states differ, so the local step does too.
    assert_ne!(asked.global_at(Address::WriteDirection, Trajectory::LocalStep).unwrap().perturbation, learned);
}

#[test]
fn one_key_head_has_nothing_to_shuffle_and_says_so() {
    let dims = Dims { key_head: 1, ..SMALL };
    let report = collateral(&vec![(0, factors(Rule::Eda, dims, 1))], &options()).unwrap();
    assert!(report.global_at(Address::HeadShuffled, Trajectory::FullReplay).is_none());
    assert!(report.remarks[0].contains("nothing to shuffle"));
    let rotated = CollateralOptions { head_shuffle: HeadShuffle::Rotation, ..options() };
    let report = collateral(&vec![(0, factors(Rule::Rwkv7, SMALL, 1))], &rotated).unwrap();
    assert!(report.global_at(Address::HeadShuffled, Trajectory::FullReplay).unwrap().n_tokens > 0);
    assert!(report.remarks[0].contains("rwkv7"));
}

#[test]
fn reports_survive_json() {
    let report = collateral(&vec![(0, factors(Rule::Eda, SMALL, 1))], &options()).unwrap();
    assert_eq!(serde_json::from_str::<Collateral>(&serde_json::to_string(&report).unwrap()).unwrap(), report);
}

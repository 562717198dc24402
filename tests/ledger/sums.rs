//! Energies by mechanism: what was found, what was taken, what chance would take.

use pentimento::ledger::Mechanism;
use proptest::prelude::*;

use super::*;

proptest! {
    /// Oblique edits: the squared size of the vector taken, and the vectors themselves, from whole matrices.
    #[test]
    fn vector_shares_are_projections_of_what_was_taken(sample in samples()) {
        for rule in [Rule::Gdn2, Rule::Comba] {
            let factors = sample.factors(rule);
            let found = account_of(&factors);
            let dims = sample.dims;
            let retention = factors.channels(pentimento::memory::HookPoint::Retention);
            for (write, life) in brute::left(&factors).iter().enumerate() {
                let origin = &life[0];
                let (mut decayed, mut overwritten, mut taken) = (0.0, 0.0, 0.0);
                for (age, pair) in life.windows(2).enumerate() {
                    let alpha = retention.slice(ndarray::s![dims.batch - 1, write + age + 1, dims.head - 1, ..]);
                    let kept = &pair[0] * &alpha;
                    decayed += origin.dot(&(&pair[0] - &kept));
                    let gone = &kept - &pair[1];
                    overwritten += origin.dot(&gone);
                    taken += gone.dot(&gone);
                }
                let tally = found.tallies[write];
                prop_assert!((tally.decayed - decayed).abs() < 1e-12 && (tally.overwritten - overwritten).abs() < 1e-12, "{rule}");
                prop_assert!((tally.surviving - origin.dot(life.last().unwrap())).abs() < 1e-12);
                prop_assert!((tally.taken_by(Mechanism::Write) - taken).abs() < 1e-12 * (1.0 + taken));
            }
        }
    }

    /// What decay finds of a write is its energy at the start of each step; the erase finds what decay leaves, the write what both leave.
    #[test]
    fn each_mechanism_finds_what_those_before_it_left(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let found = account_of(&factors);
        for (tally, life) in found.tallies.iter().zip(brute::left(&factors)) {
            let present: f64 = life[..life.len() - 1].iter().map(|u| u.dot(u)).sum();
            prop_assert!((tally.present[0] - present).abs() < 1e-12 * (1.0 + present));
            prop_assert!((tally.present[1] - (tally.present[0] - tally.taken[0])).abs() < 1e-11);
            prop_assert!((tally.present[2] - (tally.present[1] - tally.taken[1])).abs() < 1e-11);
            prop_assert!(tally.taken.iter().zip(tally.present).all(|(taken, present)| *taken <= present + 1e-12));
        }
    }
}

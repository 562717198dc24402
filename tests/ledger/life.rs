//! One write's life against the account of all writes.

use pentimento::ledger::{Mechanism, life};
use proptest::prelude::*;

use super::*;

proptest! {
    /// Shares after every step, half-lives and form are those of the account, for every rule and write.
    #[test]
    fn a_life_is_the_account_of_one_write_at_every_age(sample in samples(), rule in rules()) {
        let head = head_of(&sample.factors(rule));
        let each = head.writes_per_step();
        let marks: Vec<(usize, usize)> =
            (0..head.n_writes()).flat_map(|write| (write / each..head.n_steps()).map(move |step| (write, step))).collect();
        let found = account(&head, &AccountOptions { marks: marks.clone(), ..AccountOptions::default() });
        for ((write, step), tally) in marks.into_iter().zip(&found.marked) {
            let life = life(&head, write).unwrap();
            let (shares, wanted) = (life.shares[step - life.born], tally.shares().unwrap());
            for (share, wanted) in shares.iter().zip(wanted) {
                prop_assert!((share - wanted).abs() < 1e-10 * wanted.abs().max(1.0), "write {write} step {step}: {shares:?}, {wanted:?}");
            }
            prop_assert_eq!(life.form, found.form);
            prop_assert_eq!(life.half_life, found.half_life[write]);
            prop_assert_eq!(life.decay_only_half_life, found.decay_only_half_life[write]);
            prop_assert!(life.residual() < 1e-10);
        }
    }

    /// What single steps took adds up to the shares, and the strongest come first.
    #[test]
    fn removals_add_up_and_are_sorted(sample in samples()) {
        let head = head_of(&sample.factors(Rule::Eda));
        let life = life(&head, 0).unwrap();
        let removals = life.removals(&Mechanism::ALL);
        let total: f64 = removals.iter().map(|removal| removal.share).sum();
        let last = life.shares[life.shares.len() - 1];
        prop_assert!((total - (1.0 - last[0])).abs() < 1e-10, "{total} {last:?}");
        prop_assert!(removals.windows(2).all(|pair| pair[0].share.abs() >= pair[1].share.abs()));
        let erased: f64 = life.removals(&[Mechanism::Erase]).iter().map(|removal| removal.share).sum();
        prop_assert!((erased - last[2]).abs() < 1e-10);
    }
}

#[test]
fn a_write_of_nothing_has_no_life() {
    use pentimento::memory::HookPoint;
    let sample = Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 3, key_head: 1, head: 1, d_k: 2, d_v: 2 },
        seed: 1,
        starts_filled: false,
    };
    let factors = sample.factors(Rule::Eda);
    let none = factors.arrays()[&HookPoint::WriteStrength(0)].mapv(|_| 0.0);
    assert_eq!(life(&head_of(&factors.with(HookPoint::WriteStrength(0), none).unwrap()), 1), None);
}

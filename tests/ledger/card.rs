//! The account that a card takes: the way there and back, with the plain form in the card's place.

use std::convert::Infallible;

use pentimento::ledger::{Accountant, account_by};
use pentimento::memory::{Device, Dims, follow};
use proptest::prelude::*;

use super::*;

proptest! {
    /// Every number of an account, for every rule, with several marks on one write.
    #[test]
    fn follows_every_write_as_the_processor_does(sample in samples(), rule in rules(), orders in any::<bool>()) {
        let factors = sample.factors(rule);
        let head = head_of(&factors);
        let last = head.n_steps() - 1;
        let marks = (0..head.n_writes()).flat_map(|write| [(write, last / 2), (write, last), (write, last / 3), (write, last + 5)]).collect();
        let options = AccountOptions { attention: true, erased: true, orders: orders && !head.is_oblique(), marks };
        let found = account_by(&head, &options, |following| Ok::<_, Infallible>(follow::run(following))).unwrap();
        let wanted = account(&head, &options);
        for (name, difference) in found.differences(&wanted) {
            prop_assert!(difference < 1e-12, "{rule}: {name} {difference}");
        }
        prop_assert_eq!(&found.half_life, &wanted.half_life);
        prop_assert_eq!(&found.decay_only_half_life, &wanted.decay_only_half_life);
        prop_assert_eq!(found.initial_tally, wanted.initial_tally);
        prop_assert_eq!(found.initial_output, wanted.initial_output);
    }
}

#[test]
fn the_processor_is_an_accountant_too() {
    let dims = Dims { batch: 1, step: 9, key_head: 1, head: 1, d_k: 4, d_v: 3 };
    let factors = Sample { dims, seed: 1, starts_filled: false }.factors(Rule::Eda);
    let head = head_of(&factors);
    let found = Accountant::open(&Device::Cpu).unwrap().account(&head, &everything()).unwrap();
    assert_eq!(found.tallies, account(&head, &everything()).tallies);
}

/// Weights of the average over orders: of three players by hand, and a player who is not there has none.
#[test]
fn orders_weigh_as_shapley_says() {
    let weights = |mechanism, all| (0..8).map(|set| follow::order_weight(mechanism, set, all)).collect::<Vec<_>>();
    let [third, sixth] = [1.0 / 3.0, 1.0 / 6.0];
    assert_eq!(weights(0, 0b111), [-third, third, -sixth, sixth, -sixth, sixth, -third, third]);
    assert_eq!(weights(2, 0b101), [-0.5, -0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    assert_eq!(weights(1, 0b101), [0.0; 8]);
    assert_eq!(weights(0, 0b001), [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

/// Wherever the blocks of writes begin that the processor goes through together.
#[test]
fn a_write_that_is_not_made_yet_has_nothing_to_its_account() {
    let dims = Dims { batch: 1, step: 80, key_head: 1, head: 1, d_k: 3, d_v: 2 };
    let factors = Sample { dims, seed: 7, starts_filled: false }.factors(Rule::Eda);
    let head = head_of(&factors);
    let marks = (0..80).map(|write| (write, 40)).collect();
    let options = AccountOptions { marks, ..AccountOptions::default() };
    let found = account(&head, &options);
    for (write, tally) in found.marked.iter().enumerate() {
        assert_eq!(tally.written > 0.0, write <= 40, "write {write}: {tally:?}");
    }
    let again = account_by(&head, &options, |following| Ok::<_, Infallible>(follow::run(following))).unwrap();
    assert!(again.differences(&found)["ledger_marked"] < 1e-12);
}

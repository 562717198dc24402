//! Removal shares: the four parts of every write, their limits, and the erase's own part.

use ndarray::{Array2, s};
use pentimento::ledger::{Form, Mechanism, decay_only_survivals, erased_at, survivals_after, unique_contributions};
use pentimento::memory::HookPoint;
use proptest::prelude::*;

use super::*;
use crate::memory::naive;
use crate::memory::sample::{as_rule, per_head};

proptest! {
    #[test]
    fn shares_sum_to_one_and_are_shares_where_energy_has_a_law(sample in samples(), rule in rules()) {
        let found = account_of(&sample.factors(rule));
        prop_assert_eq!(found.form, if rule.is_oblique() { Form::Vector } else { Form::Energy });
        prop_assert!(found.share_residual() < 1e-12, "{}", found.share_residual());
        for tally in &found.tallies {
            let shares = tally.shares().unwrap();
            if found.form == Form::Energy {
                prop_assert!(shares.iter().all(|share| (-1e-14..=1.0 + 1e-12).contains(share)), "{shares:?}");
                let averaged: f64 = tally.averaged_shares().unwrap().iter().sum();
                prop_assert!((averaged - 1.0).abs() < 1e-12);
            }
        }
    }

    /// Step by step with whole matrices D, E and W: analysis, section 2.
    #[test]
    fn each_part_is_what_its_matrix_takes(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let found = account_of(&factors);
        let dims = sample.dims;
        let (batch, head) = (dims.batch - 1, dims.head - 1);
        let (erase, write) = (per_head(&factors, HookPoint::EraseDirection), per_head(&factors, HookPoint::WriteDirection(0)));
        let (gamma, beta) = (factors.per_head(HookPoint::EraseStrength), factors.per_head(HookPoint::WriteStrength(0)));
        let retention = factors.channels(HookPoint::Retention);
        let householder = |direction: ndarray::ArrayView1<f64>, strength: f64| {
            let d = direction.to_owned();
            Array2::eye(dims.d_k) - strength * naive::outer(&d, &d)
        };
        for born in 0..dims.step {
            let mut x = naive::written(&factors, batch, born, head)[0].0.clone();
            let (whole, mut parts) = (x.dot(&x), [0.0; 3]);
            for t in born + 1..dims.step {
                let phases = [
                    Array2::from_diag(&retention.slice(s![batch, t, head, ..])),
                    householder(erase.slice(s![batch, t, head, ..]), gamma[[batch, t, head]]),
                    householder(write.slice(s![batch, t, head, ..]), beta[[batch, t, head]]),
                ];
                for (part, phase) in parts.iter_mut().zip(phases) {
                    let after = phase.dot(&x);
                    *part += x.dot(&x) - after.dot(&after);
                    x = after;
                }
            }
            let tally = found.tallies[born];
            let wanted = [x.dot(&x), parts[0], parts[1], parts[2]];
            for (found, wanted) in [tally.surviving, tally.decayed, tally.erased, tally.overwritten].iter().zip(wanted) {
                prop_assert!((found - wanted).abs() < 1e-12 * whole.max(1.0), "write {born}: {tally:?}, wanted {wanted:?}");
            }
        }
    }

    /// What every single erase took from every write adds up to the write's erased part; none takes from a later write.
    #[test]
    fn erase_events_add_up_to_the_erased_part(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let (head, found) = (head_of(&factors), account_of(&factors));
        let mut taken = vec![0.0; head.n_writes()];
        for step in 0..sample.dims.step {
            let event = erased_at(&head, step).unwrap();
            prop_assert_eq!(event.energy.len(), step);
            let row = found.erased.as_ref().unwrap().row(step).to_vec();
            prop_assert!(row[step..].iter().all(|&energy| energy == 0.0));
            prop_assert!(row.iter().zip(&event.energy).all(|(a, b)| (a - b).abs() < 1e-13));
            taken.iter_mut().zip(&event.energy).for_each(|(sum, energy)| *sum += energy);
        }
        for (tally, taken) in found.tallies.iter().zip(taken) {
            prop_assert!((tally.erased - taken).abs() < 1e-12 && (tally.taken_by(Mechanism::Erase) - taken).abs() < 1e-12);
        }
    }

    #[test]
    fn with_a_closed_gate_eda_keeps_the_accounts_of_kda(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let closed = factors.arrays()[&HookPoint::EraseStrength].mapv(|_| 0.0);
        let eda = account_of(&factors.with(HookPoint::EraseStrength, closed).unwrap());
        let kda = account_of(&as_rule(&factors, Rule::Kda, []));
        let without = account(&head_of(&factors).without_erase(), &everything());
        for other in [&kda, &without] {
            prop_assert!(largest_difference(&eda.shares(), &other.shares()) < 1e-13);
            prop_assert_eq!(&eda.half_life, &other.half_life);
        }
        prop_assert!(eda.tallies.iter().all(|tally| tally.erased == 0.0));
    }

    /// The unique contribution against survival from products of matrices, with and without the erase.
    #[test]
    fn unique_contribution_is_survival_without_the_erase_less_survival_with_it(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let (with, without) = (account_of(&factors), account(&head_of(&factors).without_erase(), &everything()));
        let closed = factors.with(HookPoint::EraseStrength, factors.arrays()[&HookPoint::EraseStrength].mapv(|_| 0.0)).unwrap();
        let survival = |life: &Vec<ndarray::Array1<f64>>| life.last().unwrap().dot(life.last().unwrap()) / life[0].dot(&life[0]);
        let unique = unique_contributions(&with.tallies, &without.tallies);
        for (((unique, tally), open), shut) in unique.iter().zip(&with.tallies).zip(brute::left(&factors)).zip(brute::left(&closed)) {
            let unique = unique.unwrap();
            prop_assert!((unique.unique - (survival(&shut) - survival(&open))).abs() < 1e-12);
            prop_assert!((unique.unique + unique.compensation - tally.shares().unwrap()[2]).abs() < 1e-14);
        }
    }

    #[test]
    fn half_lives_are_first_passages_of_the_norm(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let found = account_of(&factors);
        let norm = |u: &ndarray::Array1<f64>| u.dot(u).sqrt();
        let head = head_of(&factors);
        let (each, retention) = (head.writes_per_step(), factors.channels(HookPoint::Retention));
        for (write, life) in brute::left(&factors).iter().enumerate() {
            let whole = norm(&head.written().row(write).to_owned());
            let wanted = life.iter().position(|u| norm(u) <= whole / 2.0);
            prop_assert_eq!(found.half_life[write], wanted);
            let mut u = head.written().row(write).to_owned();
            let mut wanted = None;
            for t in write / each + 1..sample.dims.step {
                u *= &retention.slice(s![sample.dims.batch - 1, t, sample.dims.head - 1, ..]);
                if wanted.is_none() && norm(&u) <= whole / 2.0 {
                    wanted = Some(t - write / each);
                }
            }
            prop_assert_eq!(found.decay_only_half_life[write], wanted);
        }
    }

    /// Followed for a few steps only, a write survives as it does in the account cut off there; without edits as decay alone leaves it.
    #[test]
    fn survival_after_a_few_steps_is_that_of_the_account(sample in samples(), rule in rules(), age in 0..6_usize) {
        let factors = sample.factors(rule);
        let head = head_of(&factors);
        let each = head.writes_per_step();
        let marks = (0..head.n_writes()).map(|write| (write, write / each + age)).filter(|(_, step)| *step < sample.dims.step).collect();
        let found = account(&head, &AccountOptions { marks, ..AccountOptions::default() });
        let after = survivals_after(&head, age);
        for (write, survival) in after.iter().enumerate() {
            match (survival, found.marked.get(write)) {
                (Some(survival), Some(tally)) => prop_assert!((survival - tally.survival().unwrap()).abs() < 1e-12),
                (survival, mark) => prop_assert!(survival.is_none() && mark.is_none()),
            }
        }
        if rule == Rule::Gla {
            for (ours, decay) in after.iter().zip(decay_only_survivals(&head, age)) {
                prop_assert!((ours.unwrap_or(0.0) - decay.unwrap_or(0.0)).abs() < 1e-12);
            }
        }
    }

    /// A tally taken on the way is the tally of the sequence cut off there.
    #[test]
    fn a_mark_is_the_account_of_the_sequence_cut_off_there(sample in samples(), rule in rules(), at in 0.0..1.0) {
        let head = head_of(&sample.factors(rule));
        let step = (at * sample.dims.step as f64) as usize;
        let made = (step + 1) * head.writes_per_step();
        let marks = (0..made).rev().map(|write| (write, step)).collect();
        let found = account(&head, &AccountOptions { marks, ..everything() });
        let cut = account(&head.first_steps(step + 1), &everything());
        for (mark, write) in found.marked.iter().zip((0..made).rev()) {
            prop_assert_eq!(mark, &cut.tallies[write]);
        }
    }
}

/// Two equal mechanisms at one address: the model's order charges the first, the average charges both alike.
#[test]
fn the_average_over_orders_shares_what_two_would_take() {
    let sample = Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 2, key_head: 1, head: 1, d_k: 3, d_v: 2 },
        seed: 5,
        starts_filled: false,
    };
    let factors = sample.factors(Rule::Eda);
    let half = factors.arrays()[&HookPoint::EraseStrength].mapv(|_| 0.5);
    let factors = factors.with(HookPoint::EraseStrength, half.clone()).unwrap().with(HookPoint::WriteStrength(0), half).unwrap();
    let key = factors.arrays()[&HookPoint::WriteDirection(0)].index_axis(ndarray::Axis(1), 0).insert_axis(ndarray::Axis(1)).to_owned();
    let same = ndarray::concatenate(ndarray::Axis(1), &[key.view(), key.view()]).unwrap();
    let factors = factors.with(HookPoint::WriteDirection(0), same.clone()).unwrap().with(HookPoint::EraseDirection, same).unwrap();
    let factors = factors.with(HookPoint::Retention, factors.arrays()[&HookPoint::Retention].mapv(|_| 1.0)).unwrap();
    let tally = account_of(&factors).tallies[0];
    // The erase leaves a quarter of the energy, the write a quarter of that.
    let near = |found: [f64; 4], wanted: [f64; 4]| assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
    near(tally.shares().unwrap(), [1.0 / 16.0, 0.0, 0.75, 3.0 / 16.0]);
    near(tally.averaged_shares().unwrap(), [1.0 / 16.0, 0.0, 15.0 / 32.0, 15.0 / 32.0]);
}

/// gamma = 1 at the address of the write leaves nothing of it, and nothing else has a part in that.
#[test]
fn a_full_erase_at_the_address_of_a_write_takes_it_whole() {
    let sample = Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 3, key_head: 1, head: 1, d_k: 4, d_v: 2 },
        seed: 9,
        starts_filled: false,
    };
    let factors = sample.factors(Rule::Eda);
    let mut gamma = factors.arrays()[&HookPoint::EraseStrength].mapv(|_| 0.0);
    gamma[[0, 1, 0]] = 1.0;
    let mut erase = factors.arrays()[&HookPoint::EraseDirection].to_owned();
    erase.slice_mut(s![0, 1, 0, ..]).assign(&factors.arrays()[&HookPoint::WriteDirection(0)].slice(s![0, 0, 0, ..]));
    let factors = factors.with(HookPoint::EraseStrength, gamma).unwrap().with(HookPoint::EraseDirection, erase).unwrap();
    let factors = factors.with(HookPoint::Retention, factors.arrays()[&HookPoint::Retention].mapv(|_| 1.0)).unwrap();
    let found = account_of(&factors);
    let [surviving, decayed, erased, overwritten] = found.tallies[0].shares().unwrap();
    assert!(surviving < 1e-30 && (erased - 1.0).abs() < 1e-14 && decayed == 0.0 && overwritten < 1e-30);
    assert_eq!((found.half_life[0], found.decay_only_half_life[0]), (Some(1), None));
}

//! Rules that coincide, and what the erase does and does not do (arXiv 2606.26560).

use ndarray::{Array3, Array4, ArrayD, Axis, s};
use pentimento::memory::{Factors, HookPoint, Phase, Rule, reference::run};
use proptest::prelude::*;

use super::sample::{as_rule, largest_difference, per_head, samples};
use HookPoint::{EraseDirection, EraseStrength, Query, ReadGate, Retention, Value, ValueGate, WriteDirection, WriteStrength};

/// Output and memory after every step agree.
fn agree(a: &Factors<f64>, b: &Factors<f64>) -> Result<(), TestCaseError> {
    let (a, b) = (run(&a.lower(), &[Phase::Write]), run(&b.lower(), &[Phase::Write]));
    prop_assert!(largest_difference(&a.output, &b.output) < 1e-12);
    prop_assert!(largest_difference(&a.memory[&Phase::Write], &b.memory[&Phase::Write]) < 1e-12);
    Ok(())
}

fn no_erase(factors: &Factors<f64>) -> ArrayD<f64> {
    ArrayD::zeros(factors.per_head(EraseStrength).shape())
}

proptest! {
    #[test]
    fn eda_without_erase_is_kda(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        agree(&as_rule(&eda, Rule::Eda, [(EraseStrength, no_erase(&eda))]), &as_rule(&eda, Rule::Kda, []))?;
    }

    #[test]
    fn eda_without_erase_and_with_one_decay_per_head_is_gdn(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        let retention = sample.retention_per_head();
        let simplified = as_rule(&eda, Rule::Eda, [(EraseStrength, no_erase(&eda)), (Retention, retention.clone())]);
        agree(&simplified, &as_rule(&eda, Rule::Gdn, [(Retention, retention)]))?;
    }

    #[test]
    fn eda_without_erase_and_decay_is_deltanet(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        let retention = ArrayD::ones(eda.arrays()[&Retention].shape());
        let simplified = as_rule(&eda, Rule::Eda, [(EraseStrength, no_erase(&eda)), (Retention, retention.clone())]);
        agree(&simplified, &as_rule(&eda, Rule::DeltaNet, [(Retention, retention)]))?;
    }

    #[test]
    fn eda_that_erases_where_it_writes_is_kda_with_other_strength_and_value(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        let (beta, gamma) = (eda.per_head(WriteStrength(0)), eda.per_head(EraseStrength));
        let key = eda.arrays()[&WriteDirection(0)].to_owned();
        let same_place = as_rule(&eda, Rule::Eda, [(EraseDirection, key)]);
        let strength: Array3<f64> = &beta + &gamma - &beta * &gamma;
        let share = (&beta / &strength).insert_axis(Axis(3));
        let value: Array4<f64> = &eda.channels(Value(0)) * &share;
        let kda = as_rule(&eda, Rule::Kda, [(WriteStrength(0), strength.clone().into_dyn()), (Value(0), value.into_dyn())]);
        agree(&same_place, &kda)?;

        // With the value left as it was the write is another one.
        let other = as_rule(&eda, Rule::Kda, [(WriteStrength(0), strength.into_dyn())]);
        let (a, b) = (run(&same_place.lower(), &[]), run(&other.lower(), &[]));
        prop_assert!(largest_difference(&a.final_memory, &b.final_memory) > 1e-9);
    }

    #[test]
    fn eda_is_kda_on_twice_the_steps(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        let zeros = |point: HookPoint| ArrayD::zeros(eda.arrays()[&point].shape());
        let of = |point: HookPoint| eda.arrays()[&point].to_owned();
        let doubled = [
            (Query, interleave(&zeros(Query), &of(Query))),
            (WriteDirection(0), interleave(&of(EraseDirection), &of(WriteDirection(0)))),
            (Value(0), interleave(&zeros(Value(0)), &of(Value(0)))),
            (WriteStrength(0), interleave(&of(EraseStrength), &of(WriteStrength(0)))),
            (Retention, interleave(&of(Retention), &ArrayD::ones(eda.arrays()[&Retention].shape()))),
        ];
        let kda = Factors::new(Rule::Kda, doubled.into_iter().collect(), eda.initial_memory().map(ndarray::ArrayBase::to_owned)).unwrap();
        let (single, double) = (run(&eda.lower(), &[Phase::Erase, Phase::Write]), run(&kda.lower(), &[Phase::Write]));
        prop_assert!(largest_difference(&single.output, &double.output.slice(s![.., 1..; 2, .., ..]).to_owned()) < 1e-12);
        let halves = &double.memory[&Phase::Write];
        prop_assert!(largest_difference(&single.memory[&Phase::Erase], &halves.slice(s![.., ..; 2, .., .., ..]).to_owned()) < 1e-12);
        prop_assert!(largest_difference(&single.memory[&Phase::Write], &halves.slice(s![.., 1..; 2, .., .., ..]).to_owned()) < 1e-12);
    }

    #[test]
    fn an_erase_of_strength_one_leaves_nothing_at_its_direction(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        let full = as_rule(&eda, Rule::Eda, [(EraseStrength, ArrayD::ones(eda.per_head(EraseStrength).shape()))]);
        let erased = &run(&full.lower(), &[Phase::Erase]).memory[&Phase::Erase];
        let direction = per_head(&eda, EraseDirection);
        for ((batch, step, head), _) in eda.per_head(EraseStrength).indexed_iter() {
            let left = erased.slice(s![batch, step, head, .., ..]).t().dot(&direction.slice(s![batch, step, head, ..]));
            prop_assert!(left.iter().all(|x| x.abs() < 1e-13));
        }
    }

    #[test]
    fn an_erase_orthogonal_to_the_query_leaves_the_read_unchanged(sample in samples()) {
        let eda = sample.factors(Rule::Eda);
        // Queries with their part along the erase direction taken out.
        let direction = eda.channels(EraseDirection);
        let along = (&eda.channels(Query) * &direction).sum_axis(Axis(3)).insert_axis(Axis(3));
        let query = &eda.channels(Query) - &(&direction * &along);
        let orthogonal = as_rule(&eda, Rule::Eda, [(Query, query.into_owned().into_dyn())]);
        let query = per_head(&orthogonal, Query);
        let phases = run(&orthogonal.lower(), &[Phase::Decay, Phase::Erase]).memory;
        for ((batch, step, head), _) in eda.per_head(EraseStrength).indexed_iter() {
            let read = |phase| phases[&phase].slice(s![batch, step, head, .., ..]).t().dot(&query.slice(s![batch, step, head, ..]));
            let change = read(Phase::Erase) - read(Phase::Decay);
            prop_assert!(change.iter().all(|x| x.abs() < 1e-13));
        }
    }

    #[test]
    fn gdn2_with_both_gates_at_the_write_strength_is_kda(sample in samples()) {
        let kda = sample.factors(Rule::Kda);
        let strength = kda.per_head(WriteStrength(0)).insert_axis(Axis(3));
        let gate = |point: HookPoint| (point, strength.broadcast(point.shape(&sample.dims)).unwrap().to_owned());
        agree(&as_rule(&kda, Rule::Gdn2, [gate(ReadGate), gate(ValueGate)]), &kda)?;
    }

    #[test]
    fn gated_deltaproduct_with_one_write_is_gdn(sample in samples()) {
        let gdn = sample.factors(Rule::Gdn);
        agree(&as_rule(&gdn, Rule::GatedDeltaProduct(1), []), &gdn)?;
    }

    #[test]
    fn gated_deltaproduct_is_deltanet_on_its_writes_as_steps(sample in samples()) {
        // Two writes a step: DeltaNet on twice the steps when nothing decays.
        let product = sample.factors(Rule::GatedDeltaProduct(2));
        let product = as_rule(&product, product.rule(), [(Retention, ArrayD::ones(product.arrays()[&Retention].shape()))]);
        let of = |point: HookPoint| product.arrays()[&point].to_owned();
        let doubled = [
            (Query, interleave(&of(Query), &of(Query))),
            (WriteDirection(0), interleave(&of(WriteDirection(0)), &of(WriteDirection(1)))),
            (Value(0), interleave(&of(Value(0)), &of(Value(1)))),
            (WriteStrength(0), interleave(&of(WriteStrength(0)), &of(WriteStrength(1)))),
            (Retention, interleave(&of(Retention), &of(Retention))),
        ];
        let deltanet = Factors::new(Rule::DeltaNet, doubled.into_iter().collect(), product.initial_memory().map(ndarray::ArrayBase::to_owned)).unwrap();
        let (single, double) = (run(&product.lower(), &[]), run(&deltanet.lower(), &[]));
        prop_assert!(largest_difference(&single.output, &double.output.slice(s![.., 1..; 2, .., ..]).to_owned()) < 1e-12);
    }

    #[test]
    fn comba_without_feedback_is_retnet_and_with_feedback_alpha_is_gdn(sample in samples()) {
        let comba = sample.factors(Rule::Comba);
        let dims = sample.dims;
        let filled = |x: f64| ArrayD::from_elem(vec![dims.batch, dims.step, dims.head], x);
        let strength = comba.per_head(WriteStrength(0));
        let value: Array4<f64> = &comba.channels(Value(0)) * &strength.clone().insert_axis(Axis(3));
        let deaf = as_rule(&comba, Rule::Comba, [(HookPoint::Feedback, filled(0.0))]);
        agree(&deaf, &as_rule(&comba, Rule::RetNet, [(Value(0), value.into_dyn())]))?;

        // GDN reads alpha S where Comba reads S, so feedback alpha makes them one.
        let alpha = comba.channels(Retention).index_axis(Axis(3), 0).to_owned();
        let same = as_rule(&comba, Rule::Comba, [(HookPoint::Feedback, alpha.into_dyn()), (HookPoint::OutputCorrection, filled(0.0))]);
        agree(&same, &as_rule(&comba, Rule::Gdn, []))?;
    }

    #[test]
    fn rwkv7_without_removal_is_gla(sample in samples()) {
        let rwkv7 = sample.factors(Rule::Rwkv7);
        let idle = as_rule(&rwkv7, Rule::Rwkv7, [(HookPoint::EraseGate, ArrayD::zeros(rwkv7.arrays()[&HookPoint::EraseGate].shape()))]);
        agree(&idle, &as_rule(&rwkv7, Rule::Gla, []))?;
    }
}

/// Two arrays in turns along the step axis: a0, b0, a1, b1 and so on.
fn interleave(a: &ArrayD<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
    let steps: Vec<_> = (0..a.shape()[1]).flat_map(|step| [a, b].map(|array| array.slice_axis(Axis(1), (step..=step).into()))).collect();
    ndarray::concatenate(Axis(1), &steps).unwrap()
}

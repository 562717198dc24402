//! Attention maps held to the output they are said to explain.

use pentimento::measure::{AttentionMap, Explained, explained, random_heads};

use super::*;

const HEADS: Dims = Dims { batch: 6, step: 40, key_head: 2, head: 2, d_k: 8, d_v: 8 };

fn of(rule: Rule) -> Explained {
    explained(&random_heads(rule, HEADS, 1).unwrap(), &quick()).unwrap()
}

fn error(found: &Explained, map: AttentionMap) -> (f64, f64) {
    let row = found.global.iter().find(|row| row.map == map).unwrap();
    (row.relative_error.estimate, row.scaled_error.estimate)
}

#[test]
fn the_exact_map_explains_every_rule() {
    for rule in [Rule::LinearAttention, Rule::RetNet, Rule::Gla, Rule::DeltaNet, Rule::Gdn, Rule::Kda, Rule::Rwkv7, Rule::Eda] {
        let found = of(rule);
        let (plain, scaled) = error(&found, AttentionMap::Exact);
        assert!(plain < 1e-5 && scaled <= plain, "{rule}: {plain} {scaled}");
        assert_eq!((found.heads.len(), found.heads[1].maps.len()), (2, 3));
    }
}

#[test]
fn the_gated_linear_map_is_exact_without_key_removal_and_only_then() {
    for rule in [Rule::RetNet, Rule::Gla] {
        assert!(error(&of(rule), AttentionMap::GatedLinear).0 < 1e-5, "{rule}");
    }
    for rule in [Rule::DeltaNet, Rule::Gdn, Rule::Kda, Rule::Eda] {
        let (plain, scaled) = error(&of(rule), AttentionMap::GatedLinear);
        assert!(plain > 0.05 && scaled <= plain, "{rule}: {plain}");
    }
}

#[test]
fn the_rectified_map_loses_signs_and_scale() {
    for rule in [Rule::Rwkv7, Rule::Eda] {
        let (plain, scaled) = error(&of(rule), AttentionMap::Rectified);
        assert!(plain > 0.3 && scaled > 0.2 && scaled <= 1.0, "{rule}: {plain} {scaled}");
    }
}

#[test]
fn three_tokens_by_hand() {
    // One channel: reads 1 everywhere, keeps half, writes 1 then -1 at half strength, then nothing.
    let dims = Dims { batch: 1, step: 3, key_head: 1, head: 1, d_k: 1, d_v: 1 };
    let ones = |point: HookPoint| ArrayD::<f32>::ones(point.shape(&dims));
    let numbers = |values: [f32; 3]| ArrayD::from_shape_vec(vec![1, 3, 1], values.to_vec()).unwrap();
    let arrays = BTreeMap::from([
        (HookPoint::Query, ones(HookPoint::Query)),
        (HookPoint::WriteDirection(0), ones(HookPoint::WriteDirection(0))),
        (HookPoint::Value(0), ArrayD::from_shape_vec(vec![1, 3, 1, 1], vec![1.0, -1.0, 0.0]).unwrap()),
        (HookPoint::Retention, ones(HookPoint::Retention) * 0.5),
        (HookPoint::WriteStrength(0), numbers([0.5, 0.5, 0.0])),
    ]);
    let layers = vec![(0, Factors::new(Rule::Kda, arrays, None).unwrap())];
    let found = explained(&layers, &quick()).unwrap();
    // Outputs: 0.5; 0.125 - 0.5 = -0.375; -0.1875. Without removal the first write would stand twice as high: 0.25 and 0.125.
    let output = 0.25_f64 + 0.375 * 0.375 + 0.1875 * 0.1875;
    let linear = ((0.125_f64 * 0.125 + 0.0625 * 0.0625) / output).sqrt();
    near(error(&found, AttentionMap::GatedLinear).0, linear);
    // Rectified rows are (1), (0.2, 0.8), (0.2, 0.8, 0): reads 1, -0.6, -0.6.
    let rectified = ((0.25_f64 + 0.225 * 0.225 + 0.4125 * 0.4125) / output).sqrt();
    near(error(&found, AttentionMap::Rectified).0, rectified);
}

#[test]
fn rules_for_which_the_maps_are_not_defined_are_refused() {
    let found = explained(&random_heads(Rule::Comba, HEADS, 1).unwrap(), &quick());
    assert!(found.unwrap_err().to_string().contains("not defined"));
}

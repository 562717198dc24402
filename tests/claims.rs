//! Claims are judged by the rule that stands in the program, over models of several seeds.

use pentimento::experiment::{Claim, Side, Verdict};
use pentimento::measure::{Unit, over_models};

fn claim(side: Side, value: f64) -> Claim {
    Claim {
        text: "more is more".to_owned(),
        reported: String::new(),
        quantity: "allocation.global.erase".to_owned(),
        minus: None,
        family: "EDA".to_owned(),
        than: None,
        side,
        value,
    }
}

#[test]
fn three_models_give_the_interval_of_student() {
    let found = over_models(&[1.0, 2.0, 3.0], 0.95).unwrap();
    // 2 +- 4.3027 * 1 / sqrt(3)
    assert!((found.low.unwrap() - (2.0 - 2.4841)).abs() < 1e-3 && (found.high.unwrap() - (2.0 + 2.4841)).abs() < 1e-3, "{found:?}");
    assert!(found.unit == Unit::Model && found.n == 3 && (found.estimate - 2.0).abs() < 1e-12);
    assert!(over_models(&[1.0], 0.95).unwrap().bounds().is_none());
    assert!(over_models(&[], 0.95).is_none());
}

#[test]
fn a_claim_is_confirmed_only_if_the_whole_interval_lies_on_its_side() {
    let found = over_models(&[0.9, 1.0, 1.1], 0.95).unwrap();
    let (low, high) = found.bounds().unwrap();
    assert_eq!(claim(Side::Above, low - 0.01).verdict(Some(&found)), Verdict::Confirmed);
    assert_eq!(claim(Side::Above, low + 0.01).verdict(Some(&found)), Verdict::Undecided);
    assert_eq!(claim(Side::Above, high + 0.01).verdict(Some(&found)), Verdict::NotConfirmed);
    assert_eq!(claim(Side::Below, high + 0.01).verdict(Some(&found)), Verdict::Confirmed);
    assert_eq!(claim(Side::Below, low - 0.01).verdict(Some(&found)), Verdict::NotConfirmed);
    // One model decides nothing.
    assert_eq!(claim(Side::Above, 0.0).verdict(over_models(&[1.0], 0.95).as_ref()), Verdict::Undecided);
    assert_eq!(claim(Side::Above, 0.0).verdict(None), Verdict::Undecided);
}

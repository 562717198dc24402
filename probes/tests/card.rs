//! Verdicts and tables.

use pentimento_probes::{ControlKind, ControlResult, Estimate, IntervalMethod, Metric, ProbeCard, Verdict, card};

fn estimate(value: f64) -> Estimate {
    Estimate { value, low: value - 0.1, high: value + 0.1, level: 0.95, method: IntervalMethod::Bca }
}

fn example(controls: Vec<ControlResult>) -> ProbeCard {
    ProbeCard {
        estimand: "accuracy of the superseded value".to_owned(),
        place: vec![("layer".to_owned(), "0".to_owned()), ("phase".to_owned(), "erase".to_owned())],
        readout: "ridge".to_owned(),
        metric: Metric::Accuracy,
        n_samples: 40,
        n_groups: 20,
        n_channels: 16,
        n_classes: Some(4),
        n_folds: 5,
        penalties: vec![0.1; 5],
        score: estimate(0.8),
        chance: 0.25,
        p_value: 0.001,
        adjusted_p_value: None,
        bits: None,
        controls,
        alarms: Vec::new(),
    }
}

#[test]
fn a_significant_negative_control_is_shouted() {
    let leaking = ControlResult::new(ControlKind::NeverWritten, estimate(0.6), None, Some(0.0005));
    let mut cards = [example(vec![leaking])];
    card::judge(&mut cards, 0.01);
    assert_eq!(cards[0].controls[0].verdict, Verdict::Alarm);
    assert_eq!(cards[0].alarms.len(), 1);
    assert!(cards[0].to_markdown().starts_with("> **ALARM**"));
}

#[test]
fn many_negative_controls_do_not_cry_wolf() {
    let control = |p| ControlResult::new(ControlKind::LabelPermutation, estimate(0.25), None, Some(p));
    let mut cards: Vec<ProbeCard> = (0..20).map(|index| example(vec![control(if index == 0 { 0.005 } else { 0.5 })])).collect();
    card::judge(&mut cards, 0.01);
    assert!(cards.iter().all(|card| card.alarms.is_empty()));
}

#[test]
fn a_baseline_is_beaten_or_not() {
    let with = |difference| ControlResult::new(ControlKind::NormOnly, estimate(0.3), Some(estimate(difference)), None);
    let mut cards = [example(vec![with(0.5), with(0.05)])];
    card::judge(&mut cards, 0.01);
    assert_eq!(cards[0].controls[0].verdict, Verdict::Passed);
    assert_eq!(cards[0].controls[1].verdict, Verdict::NotBeaten);
    assert!(cards[0].alarms.is_empty());
}

#[test]
fn tables_have_a_cell_under_every_heading() {
    let card = example(vec![ControlResult::new(ControlKind::Majority, estimate(0.3), None, None)]);
    for table in [card.table(), card::summary("all", std::slice::from_ref(&card))] {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        assert_eq!(table.to_markdown().lines().count(), table.rows.len() + 4);
    }
}

//! Verdicts and tables.

use pentimento_probes::{
    Ceiling, CodeLength, ControlKind, ControlResult, Equivalence, Estimate, IntervalMethod, Metric, MinimumDetectable, ProbeCard, Standing,
    Verdict,
    card::{self, OverModels},
    render::Ink,
};

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
        minimum_detectable: None,
        information: None,
        description_length: None,
        ceiling: None,
        equivalence: None,
        over_models: None,
        controls,
        alarms: Vec::new(),
        remarks: Vec::new(),
        answers: None,
    }
}

#[test]
fn a_significant_negative_control_is_shouted() {
    let leaking = ControlResult::new(ControlKind::NeverWritten, estimate(0.6), None, Some(0.0005));
    let mut cards = [example(vec![leaking])];
    card::judge(&mut cards, 0.01);
    assert_eq!(cards[0].controls[0].verdict, Verdict::Alarm);
    assert_eq!(cards[0].alarms.len(), 1);
    assert_eq!(cards[0].standing(), Standing::Red);
    let drawn = [cards[0].to_terminal(Ink::Plain), cards[0].to_markdown(), cards[0].to_html(), cards[0].to_latex()];
    for (text, mark) in drawn.iter().zip(["RED: the negative", "> 🟥 **RED**", "class=\"card red\"", "\\fcolorbox{red}"]) {
        assert!(text.contains(mark) && text.contains("never-written") && text.contains("It may mean"), "{text}");
    }
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
fn a_score_above_its_ceiling_turns_the_card_red() {
    let ceiling = |excess| Ceiling { estimate: estimate(0.5), excess: estimate(excess), mean_r2: 0.4, noise: 1e-6 };
    let mut cards =
        [ProbeCard { ceiling: Some(ceiling(0.3)), ..example(vec![]) }, ProbeCard { ceiling: Some(ceiling(0.05)), ..example(vec![]) }];
    card::judge(&mut cards, 0.01);
    assert_eq!(cards[0].standing(), Standing::Red);
    assert!(cards[0].alarms[0].contains("above its ceiling"));
    assert_eq!(cards[1].standing(), Standing::Supported);
}

#[test]
fn what_the_address_alone_reaches_is_explained_and_no_alarm() {
    let ceiling = Ceiling { estimate: estimate(0.5), excess: estimate(0.3), mean_r2: 0.4, noise: 1e-6 };
    let address = |difference, p| ControlResult::new(ControlKind::AddressOnly, estimate(0.8), Some(estimate(difference)), Some(p));
    let with = |control| ProbeCard { ceiling: Some(ceiling), ..example(vec![control]) };
    let mut cards = [with(address(-0.5, 0.001)), with(address(0.5, 0.001)), with(address(-0.5, 0.4))];
    card::judge(&mut cards, 0.01);
    assert_eq!(cards[0].standing(), Standing::NotBeyondControls);
    assert!(cards[0].remarks[0].contains("address alone"), "{:?}", cards[0].remarks);
    assert!(cards[0].to_markdown().contains("not read out of memory"));
    assert!(cards[1..].iter().all(|card| card.standing() == Standing::Red));
}

#[test]
fn a_card_says_in_one_word_what_it_is_worth() {
    let with = |difference| ControlResult::new(ControlKind::NormOnly, estimate(0.3), Some(estimate(difference)), None);
    let mut cards = [example(vec![with(0.5)]), example(vec![with(0.0)]), ProbeCard { p_value: 0.4, ..example(vec![with(0.5)]) }];
    card::judge(&mut cards, 0.01);
    let standings: Vec<Standing> = cards.iter().map(ProbeCard::standing).collect();
    assert_eq!(standings, [Standing::Supported, Standing::NotBeyondControls, Standing::NotFound]);
}

/// A card with everything on it.
fn full() -> ProbeCard {
    let control = |kind, value, difference, p| ControlResult::new(kind, estimate(value), Some(estimate(difference)), Some(p));
    let mut cards = [ProbeCard {
        adjusted_p_value: Some(0.004),
        minimum_detectable: Some(MinimumDetectable { level: 0.05, power: 0.8, alone: 0.06, together: Some(0.09) }),
        information: Some(estimate(1.25)),
        description_length: Some(CodeLength {
            bits: 0.9,
            bits_by_shares: 1.99,
            bits_uniform: 2.0,
            bits_of_control: Some(2.1),
            n_blocks: 5,
        }),
        ceiling: Some(Ceiling { estimate: estimate(0.95), excess: estimate(-0.15), mean_r2: 0.7, noise: 1e-7 }),
        equivalence: Some(Equivalence { difference: estimate(0.55), margin: 0.05, level: 0.05, p_value: 1.0 }),
        over_models: Some(OverModels { estimate: estimate(0.7), n_models: 3 }),
        ..example(vec![
            control(ControlKind::LabelPermutation, 0.26, 0.54, 0.4),
            control(ControlKind::BeforeTheWrite, 0.6, 0.2, 0.0001),
            control(ControlKind::ControlTask, 0.3, 0.5, 0.2),
        ])
    }];
    card::judge(&mut cards, 0.01);
    let [card] = cards;
    card
}

#[test]
fn every_rendering_is_as_it_was() {
    let card = full();
    let json = serde_json::to_string_pretty(&card).unwrap();
    let drawn = [
        ("card.txt", card.to_terminal(Ink::Plain)),
        ("card.md", card.to_markdown()),
        ("card.html", card.to_html()),
        ("card.tex", card.to_latex()),
        ("card.json", json.clone() + "\n"),
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, text) in drawn {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}: if the change is meant, run again with UPDATE_GOLDEN=1");
    }
    assert_eq!(serde_json::from_str::<ProbeCard>(&json).unwrap(), card);
    assert!(card.to_terminal(Ink::Colour).contains("\x1b[1;31m"));
}

#[test]
fn tables_have_a_cell_under_every_heading() {
    let card = example(vec![ControlResult::new(ControlKind::Majority, estimate(0.3), None, None)]);
    for table in [card.sheet().controls, card::summary("all", std::slice::from_ref(&card))] {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        assert_eq!(table.to_markdown().lines().count(), table.rows.len() + 4);
    }
}

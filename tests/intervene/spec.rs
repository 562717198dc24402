//! The one type: typed, written, said.

use pentimento::intervene::{Address, Change, Intervention, Replacement, Steps, Where};

#[derive(serde::Deserialize, serde::Serialize)]
struct File {
    intervention: Vec<Intervention>,
}

fn all() -> Vec<Intervention> {
    let at = |steps| Where { layers: Some(vec![1]), heads: Some(vec![0, 2]), steps };
    let of = |change, steps| Intervention { change, at: at(steps) };
    let addresses = [Address::Write, Address::Random, Address::ShuffledSteps, Address::ShuffledHeads, Address::Query, Address::Superseded];
    let mut all: Vec<_> = addresses.into_iter().map(|address| of(Change::EraseAddress { address }, Steps::Range(3, 9))).collect();
    all.extend([
        Intervention::everywhere(Change::NoDecay),
        of(Change::ScaleErase { factor: 0.5 }, Steps::Chosen(vec![4, 7])),
        Intervention::without_erase(0, 1, 20),
        of(Change::RemoveWrite, Steps::Range(5, usize::MAX)),
        of(Change::Retract { write: 2 }, Steps::Chosen(vec![6])),
        of(Change::ForgetKey { write: 2, ridge: 0.125 }, Steps::Chosen(vec![6])),
        of(Change::ReplaceValue { write: 2, value: Replacement::OfStep(3) }, Steps::All),
        of(Change::ReplaceValue { write: 2, value: Replacement::Given(vec![1.0, -0.5]) }, Steps::All),
    ]);
    all
}

#[test]
fn every_intervention_survives_toml_and_json_and_has_its_own_words() {
    let file = File { intervention: all() };
    let text = toml::to_string(&file).unwrap();
    let back: File = toml::from_str(&text).unwrap();
    assert_eq!(back.intervention, file.intervention, "{text}");
    let json = serde_json::to_string(&file.intervention).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Intervention>>(&json).unwrap(), file.intervention);
    let mut words: Vec<String> = file.intervention.iter().map(ToString::to_string).collect();
    assert!(words.contains(&"layer 0 head 1 step 20: no erase (gamma := 0)".to_owned()), "{words:?}");
    words.sort();
    words.dedup();
    assert_eq!(words.len(), file.intervention.len());
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let refused = |text: &str, part: &str| {
        let error = toml::from_str::<Intervention>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    refused("do = 'scale_erase'", "needs `factor`");
    refused("do = 'scale_erase'\nfactor = -1.0", "at least 0");
    refused("do = 'remove_erase'\nfactor = 1.0", "takes no `factor`");
    refused("do = 'erase_adress'\naddress = 'random'", "known are scale_erase");
    refused("do = 'remove_erase'\nstep = [3]", "unknown field `step`");
    refused("do = 'retract'\nwrite = 5\nsteps = [4]", "not before step 5");
    refused("do = 'retract'\nwrite = 5", "the one step");
    refused("do = 'replace_value'\nwrite = 5", "one of them");
    refused("do = 'no_decay'\nsteps = [1]\nto = 4", "not both");
    refused("do = 'forget_key'\nwrite = 1\nsteps = [2]\nridge = 0.0", "above 0");
}

#[test]
fn the_example_file_is_what_it_says() {
    let file: File = toml::from_str(include_str!("../../examples/interventions.toml")).unwrap();
    let words: Vec<String> = file.intervention.iter().map(ToString::to_string).collect();
    assert_eq!(words[0], "layer 1: erase strength times 0.5");
    assert_eq!(words[3], "step 20: what is left of the write of step 12 is taken out");
}

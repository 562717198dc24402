//! Experiments over several models: models that are not here, numbers by family, and answers given elsewhere.

use std::fs;

use pentimento::evaluate::AnswersSpec;
use pentimento::experiment::{Plan, Results, Spec, run};
use pentimento::measure::StatisticsOptions;
use pentimento::model::open_model;
use serde_json::Value;

use super::cli::{does, fails};

const SMALL: &str = r#"
name = "small"
seed = 3
sequences = 2

[task]
name = "stale_facts"

[[models]]
name = "eda"
checkpoint = "bundled:eda-stale-facts"
family = "EDA"
seed = 1

[[models]]
name = "kda"
checkpoint = "bundled:kda-stale-facts"
family = "KDA"
seed = 1

[[answers]]
name = "facts"
sequences = 3
lengths = [64, 80]
[answers.task]
name = "stale_facts"
"#;

/// One more model, which is not there.
const GONE: &str = r#"
[[models]]
name = "gone"
checkpoint = "no/such/folder"
family = "EDA"
seed = 2
"#;

fn spec(parts: &[&str]) -> Spec {
    toml::from_str(&parts.concat()).unwrap()
}

fn refused(spec: Spec) -> String {
    Plan::new(spec).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_model_that_is_not_here_stops_the_work_unless_the_spec_lets_it_go() {
    assert!(refused(spec(&[SMALL, GONE])).contains("model 'gone'"));
    let plan = Plan::new(spec(&[SMALL, GONE, "missing = \"skip\"\n"])).unwrap();
    assert_eq!(plan.left_out, ["gone"]);
    assert_eq!(plan.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["eda", "kda"]);
    assert_eq!(plan.published_spec().models.len(), 2, "what is published is what is run");
    // A misspelt bundled name is no model that is elsewhere, but it is not here either: only `skip` lets it go.
    let misspelt = SMALL.replace("bundled:kda-stale-facts", "bundled:kda-stale-fact");
    assert!(refused(spec(&[&misspelt])).contains("Did you mean 'bundled:kda-stale-facts'?"));
    let alone = SMALL[..SMALL.find("[[models]]").unwrap()].to_owned();
    assert!(refused(spec(&[&alone, GONE, "missing = \"skip\"\n"])).contains("none of its models is here: gone"));
}

/// Numbers of a model where places in its results lead, read by hand.
fn accuracies(results: &Results, family: &str, length: usize) -> Vec<f64> {
    let own = results.models.iter().filter(|model| model.family.as_deref() == Some(family));
    let answer = |model: &pentimento::experiment::ModelResults| {
        let answers = model.answers.iter().find(|answers| answers.length == length).unwrap();
        answers.behaviour.all.accuracy.estimate
    };
    own.map(answer).collect()
}

#[test]
fn quantities_are_means_over_the_models_of_a_family_and_measured_answers_are_those_given_here() {
    const QUANTITIES: &str = r#"
[[models]]
name = "eda-again"
checkpoint = "bundled:eda-stale-facts"
family = "EDA"
seed = 2

[[quantities]]
text = "accuracy at 80"
place = "answers[name=facts,length=80].behaviour.all.accuracy"

[[quantities]]
text = "erase at weak decay"
place = "collateral.global[address=random].fold"

[[quantities]]
text = "nowhere"
place = "answers[name=other].behaviour.all.accuracy"
"#;
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let typed = spec(&[SMALL, QUANTITIES]);
    let here = run(&Plan::new(typed.clone()).unwrap(), &out("here"), false, |_| ()).unwrap();

    let shown: Vec<(&str, &str)> = here.families.iter().map(|found| (found.text.as_str(), found.family.as_str())).collect();
    // KDA has no erase, and nobody answers a task of that name: what a family does not have is left out.
    assert_eq!(shown, [("accuracy at 80", "EDA"), ("accuracy at 80", "KDA"), ("erase at weak decay", "EDA")]);
    let eda = accuracies(&here, "EDA", 80);
    assert_eq!((here.families[0].models.as_slice(), eda.len()), (eda.as_slice(), 2));
    assert!((here.families[0].found.estimate - eda.iter().sum::<f64>() / 2.0).abs() < 1e-12);
    assert_eq!(here.families[1].models, accuracies(&here, "KDA", 80));

    // The same answers, given by `evaluate`, one line for each model.
    fs::write(out("small.toml"), [SMALL, QUANTITIES].concat()).unwrap();
    let said = does(folder.path(), "evaluate small.toml -o answers.jsonl");
    assert!(said.contains("eda-again") && said.contains("80 tokens"), "{said}");
    let text = fs::read_to_string(out("answers.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["seed"], lines[2]["answers"].as_array().unwrap().len()), (3, &3.into(), 2));
    let mut elsewhere = typed.clone();
    elsewhere.answers[0].measured = Some(out("answers.jsonl").display().to_string());
    for model in &here.models {
        let opened = open_model(&model.checkpoint, 0).unwrap();
        let read = |spec: &AnswersSpec| {
            spec.run(&opened.model, opened.vocabulary.as_ref(), 3, &StatisticsOptions::default(), |_| panic!("read, not run"))
        };
        let as_json = |answers: &[pentimento::evaluate::Answers]| serde_json::to_value(answers).unwrap();
        assert_eq!(as_json(&read(&elsewhere.answers[0]).unwrap()), as_json(&model.answers), "{}", model.name);
        let longer = AnswersSpec { lengths: vec![64, 96], ..elsewhere.answers[0].clone() };
        assert!(read(&longer).unwrap_err().to_string().contains("it holds lengths [64, 80], the spec asks for [64, 96]"));
    }
    // A file with the answers of other models only.
    fs::write(out("other.jsonl"), text.lines().nth(1).unwrap()).unwrap();
    elsewhere.answers[0].measured = Some(out("other.jsonl").display().to_string());
    let opened = open_model("bundled:eda-stale-facts", 0).unwrap();
    let refused = elsewhere.answers[0].run(&opened.model, opened.vocabulary.as_ref(), 3, &StatisticsOptions::default(), |_| ());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("other.jsonl") && refused.contains("evaluate that model"), "{refused}");
}

#[test]
fn evaluate_says_what_is_wrong_before_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("small.toml"), SMALL).unwrap();
    fs::write(here.join("silent.toml"), &SMALL[..SMALL.find("[[answers]]").unwrap()]).unwrap();
    fs::write(here.join("there.jsonl"), "kept").unwrap();
    fails(here, 1, "evaluate small.toml --task fact -o x.jsonl", &["names no 'fact'", "it names facts"]);
    fails(here, 1, "evaluate small.toml --models gdn -o x.jsonl", &["names no 'gdn'", "eda, kda"]);
    fails(here, 1, "evaluate silent.toml -o x.jsonl", &["no [[answers]]"]);
    fails(here, 1, "evaluate small.toml -o there.jsonl", &["there.jsonl", "--force"]);
    assert!(!here.join("x.jsonl").exists());
    assert_eq!(fs::read_to_string(here.join("there.jsonl")).unwrap(), "kept");
    does(here, "evaluate small.toml --models kda --set seed=4 -o there.jsonl --force");
    assert_eq!(fs::read_to_string(here.join("there.jsonl")).unwrap().lines().count(), 1);
}

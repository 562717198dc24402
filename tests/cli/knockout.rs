//! `pentimento knockout`: from one erase event to one prediction.

use super::{does, fails, json, with_trace};

#[test]
fn one_erase_is_followed_to_one_answer() {
    let folder = with_trace(6);
    let here = folder.path();
    let said = does(here, "knockout a.trace.zarr --layer 1 --head 0 --step 40 --top 2");
    assert!(said.contains("  1. Layer 1 head 0, step ") && said.contains("the erase (gamma ") && said.contains("--model"), "{said}");
    let reads = json(&does(here, "knockout a.trace.zarr --question 0 --batch 1 --json"));
    assert_eq!((reads["events"].as_array().unwrap().len(), reads["heads"].as_array().unwrap().len()), (5, 4));

    let decays = json(&does(here, "knockout a.trace.zarr --step 30 --gate decay --top 3 --json"));
    assert_eq!((decays.as_array().unwrap().len(), &decays[0]["gate"]), (3, &"decay".into()));
    assert!(does(here, "knockout a.trace.zarr --step 30 --gate write").contains("write strength"));

    let answer = "knockout a.trace.zarr --batch 2 --answer 1 --model bundled:eda-stale-facts";
    let said = does(here, answer);
    assert!(said.contains("The model says") && said.contains("Without it the model, run again: p(right)"), "{said}");
    let account = json(&does(here, &format!("{answer} --json")));
    assert_eq!(account["n_replayed"], account["n_events"]);
    assert!(account["events"][0]["total"]["gold"].is_f64() && account["interaction"]["gold"].is_f64());

    std::fs::write(here.join("mine.toml"), "[[intervention]]\ndo = 'scale_erase'\nfactor = 0.5\nlayers = [1]\n").unwrap();
    let said = does(here, &format!("{answer} --do mine.toml"));
    assert!(said.contains("layer 1: erase strength times 0.5") && said.contains("p under it"), "{said}");
    assert!(does(here, "knockout a.trace.zarr --question 0 --do mine.toml").contains("change of the read"));
    let all = json(&does(here, "knockout a.trace.zarr --model bundled:eda-stale-facts --resamples 20 --json"));
    assert_eq!((&all["n_sequences"], all["runs"].as_array().unwrap().len()), (&6.into(), 6 + 3 + 2 + 4));
}

#[test]
fn what_cannot_be_knocked_out_is_said_before_work() {
    let folder = with_trace(2);
    let here = folder.path();
    fails(here, 1, "knockout a.trace.zarr", &["--step", "--question", "--model"]);
    fails(here, 1, "knockout a.trace.zarr --step 900", &["step 900", "steps 0 to 63"]);
    fails(here, 1, "knockout a.trace.zarr --question 99", &["question 99", "questions 0 to"]);
    fails(here, 1, "knockout a.trace.zarr --step 9 --layer 7", &["layer 7"]);
    fails(here, 1, "knockout a.trace.zarr --step 9 --head 7", &["head 7"]);
    fails(here, 1, "knockout a.trace.zarr --question 0 --batch 9", &["sequence 9"]);
    fails(here, 1, "knockout a.trace.zarr --question 0 --model bundled:kda-stale-facts", &["recorded from weights", "--model"]);
    std::fs::write(here.join("bad.toml"), "[[intervention]]\ndo = 'scale_erase'\n").unwrap();
    fails(here, 1, "knockout a.trace.zarr --question 0 --do bad.toml", &["needs `factor`", "bad.toml"]);
}

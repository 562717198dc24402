//! Truth tables are true: an independent replayer reads the tokens and must come to the same answers.

use pentimento::task::{Condition, Example, Split, StaleFacts, Task, TaskError, TaskSpec, TokenClass, Vocabulary};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

fn stale_facts(change: impl FnOnce(&mut StaleFacts)) -> Task {
    let mut spec = StaleFacts::default();
    change(&mut spec);
    TaskSpec::StaleFacts(spec).build().expect("possible parameters")
}

/// What an independent reader of the symbolic language finds.
#[derive(Debug, PartialEq)]
struct Replayed {
    /// (position, key, value)
    writes: Vec<(usize, u32, u32)>,
    /// (position, asked, gold, stale)
    questions: Vec<(usize, u32, u32, HashSet<u32>)>,
}

/// Reads tokens as a person would: nothing of the generator is used but the words.
fn replay(vocabulary: &Vocabulary, tokens: &[u32], role_size: usize) -> Replayed {
    let word = |token: u32| vocabulary.word(token).to_owned();
    let number = |word: &str| word[1..].parse::<usize>().expect("a numbered word");
    let role = |word: &str| if word.starts_with('r') { number(word) } else { number(word) / role_size };
    let mut holder: HashMap<usize, (String, u32)> = HashMap::new();
    let mut former: HashMap<usize, HashSet<u32>> = HashMap::new();
    let mut replayed = Replayed { writes: vec![], questions: vec![] };
    let mut step = 0;
    while step < tokens.len() {
        let first = word(tokens[step]);
        if first.starts_with('f') {
            step += 1;
            continue;
        }
        let second = word(tokens[step + 1]);
        if first == "Q" {
            let role = role(&second);
            let gold = match holder.get(&role) {
                Some((key, value)) if second.starts_with('r') || *key == second => *value,
                _ => vocabulary.token("NONE").expect("a word"),
            };
            let mut stale = former.get(&role).cloned().unwrap_or_default();
            stale.remove(&gold);
            replayed.questions.push((step + 1, tokens[step + 1], gold, stale));
        } else if first.starts_with('k') && second == "DEL" {
            let (_, value) = holder.remove(&role(&first)).expect("only what is there is deleted");
            former.entry(role(&first)).or_default().insert(value);
        } else if first.starts_with('k') {
            assert!(second.starts_with('v'), "{first} {second} is no write");
            replayed.writes.push((step + 1, tokens[step], tokens[step + 1]));
            if let Some((_, value)) = holder.insert(role(&first), (first.clone(), tokens[step + 1]))
                && value != tokens[step + 1]
            {
                former.entry(role(&first)).or_default().insert(value);
            }
        } else {
            assert!(first.starts_with('v') && second.starts_with('k'), "{first} {second} is no event");
        }
        step += 2;
    }
    replayed
}

fn table(example: &Example) -> Replayed {
    Replayed {
        writes: example.writes.iter().map(|write| (write.position, write.key, write.value)).collect(),
        questions: example.questions.iter().map(|q| (q.position, q.key, q.gold, q.stale.iter().copied().collect())).collect(),
    }
}

/// What must hold of every example with keys and values.
fn assert_sound(vocabulary: &Vocabulary, example: &Example) {
    let mut value_of: HashMap<u32, Vec<u32>> = HashMap::new();
    for (index, write) in example.writes.iter().enumerate() {
        assert_eq!(write.id as usize, index);
        assert_eq!(vocabulary.class(write.key), Some(TokenClass::Key));
        assert_eq!(vocabulary.class(write.value), Some(TokenClass::Value));
        assert_eq!(example.tokens[write.position], write.value);
        assert_eq!(example.tokens[write.key_position], write.key);
        value_of.entry(write.value).or_default().push(write.key);
        assert_eq!(write.superseded_at.is_some(), write.superseded_by.is_some());
        if let Some(by) = write.superseded_by {
            assert_eq!(write.superseded_at, Some(example.writes[by as usize].position));
            assert_ne!(write.value, example.writes[by as usize].value);
        }
    }
    if example.condition != Condition::Refresh {
        assert!(value_of.values().all(|keys| keys.len() == 1), "a value was written twice");
    }
    let present: HashSet<u32> = example.tokens.iter().copied().collect();
    for question in &example.questions {
        assert_eq!(example.tokens[question.position], question.key);
        assert!(!question.stale.contains(&question.gold));
        assert!(question.foils.iter().all(|foil| !present.contains(foil) && vocabulary.class(*foil) == Some(TokenClass::Value)));
        assert!(question.rivals.iter().all(|rival| present.contains(rival) && *rival != question.gold && !question.stale.contains(rival)));
        for (value, &id) in question.stale.iter().zip(&question.stale_writes) {
            assert_eq!(example.writes[id as usize].value, *value);
            assert!(example.writes[id as usize].is_stale(question.position));
        }
        if let Some(gold) = question.gold_write {
            let gold = &example.writes[gold as usize];
            assert_eq!(gold.value, question.gold);
            assert!(gold.is_current(question.position));
            assert_eq!(question.age, Some(question.position - gold.position));
        }
    }
}

/// How many tokens of each class.
fn histogram(vocabulary: &Vocabulary, example: &Example) -> BTreeMap<TokenClass, usize> {
    let mut counts = BTreeMap::new();
    for &token in &example.tokens {
        *counts.entry(vocabulary.class(token).expect("a known token")).or_default() += 1;
    }
    counts
}

prop_compose! {
    fn any_stale_facts()(
        pairs in 1_usize..9, updates in 0_usize..9, changes in 1_usize..4, questions in 1_usize..9, middle_questions in 0_usize..5,
        spare in 0_usize..60, role_share in 0.0..1.0, former_share in 0.0..1.0, extra in 0_usize..3,
    ) -> StaleFacts {
        let (updates, questions, role_size) = (updates.min(pairs), questions.min(pairs), changes + 1 + extra);
        StaleFacts {
            pairs, updates, changes, questions, middle_questions, role_size, role_share, former_share,
            keys: role_size * (pairs + updates * changes + extra),
            values: pairs + updates * changes + 4 + extra,
            length: 2 * (pairs + updates * changes + questions + middle_questions) + updates * changes + spare,
            ..StaleFacts::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn stale_facts_are_what_a_reader_of_the_tokens_finds(spec in any_stale_facts(), seed: u64, index in 0_u64..1000) {
        let role_size = spec.role_size;
        let length = spec.length;
        let task = TaskSpec::StaleFacts(spec).build().expect("possible parameters");
        for condition in &Condition::ALL[1..] {
            let example = task.generate_twin(seed, Split::Train, index, *condition).expect("a possible condition");
            prop_assert_eq!(example.len(), length);
            prop_assert_eq!(table(&example), replay(task.vocabulary(), &example.tokens, role_size));
            assert_sound(task.vocabulary(), &example);
        }
    }

    #[test]
    fn conditions_a_and_b_match_in_everything_but_the_first_key(seed: u64, index in 0_u64..1000) {
        let task = stale_facts(|_| ());
        let twin = |condition| task.generate_twin(seed, Split::Train, index, condition).expect("a possible condition");
        let (overwrite, fresh) = (twin(Condition::Overwrite), twin(Condition::FreshKey));
        prop_assert_eq!(histogram(task.vocabulary(), &overwrite), histogram(task.vocabulary(), &fresh));
        for (left, right) in overwrite.tokens.iter().zip(&fresh.tokens) {
            let class = |token: &u32| task.vocabulary().class(*token);
            prop_assert_eq!(class(left), class(right));
            prop_assert!(left == right || matches!(class(left), Some(TokenClass::Key | TokenClass::Role)));
        }
        prop_assert!(fresh.questions.iter().all(|question| question.stale.is_empty()));
        prop_assert!(fresh.writes.iter().all(|write| write.stale_at().is_none()));
        let places = |example: &Example| example.questions.iter().map(|question| question.position).collect::<Vec<_>>();
        prop_assert_eq!(places(&overwrite), places(&fresh));
    }
}

#[test]
fn every_condition_makes_stale_what_it_says() {
    let task = stale_facts(|spec| (spec.role_share, spec.former_share, spec.middle_questions) = (0.0, 0.0, 0));
    for index in 0..50 {
        for condition in &Condition::ALL[1..] {
            let example = task.generate_twin(1, Split::Test, index, *condition).expect("a possible condition");
            let stale: usize = example.questions.iter().map(|question| question.stale.len()).sum();
            let rivals: usize = example.questions.iter().map(|question| question.rivals.len()).sum();
            let unanswered = example.questions.iter().filter(|question| question.gold_write.is_none()).count();
            let expected = match condition.letter() {
                'A' | 'D' => (3, 0, 0),
                'C' => (3, 0, 3),
                'B' | 'F' => (0, 3, 0),
                _ => (0, 0, 0),
            };
            assert_eq!((stale, rivals, unanswered), expected, "{condition}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_data_and_another_seed_split_or_index_does_not() {
    let task = stale_facts(|_| ());
    let example = task.generate(3, Split::Train, 5);
    assert_eq!(example, task.generate(3, Split::Train, 5));
    let mut seen = HashSet::new();
    for seed in 0..3 {
        for split in [Split::Train, Split::Validation, Split::Test] {
            for index in 0..300 {
                assert!(seen.insert(task.generate(seed, split, index).tokens), "{seed} {split:?} {index} stood before");
            }
        }
    }
}

#[test]
fn impossible_parameters_are_named_before_anything_is_generated() {
    let message = |change: fn(&mut StaleFacts)| {
        let mut spec = StaleFacts::default();
        change(&mut spec);
        TaskSpec::StaleFacts(spec).build().err().expect("impossible parameters").to_string()
    };
    assert!(message(|spec| spec.pairs = 20).starts_with("parameter 'keys' is 32, but must be at least 46"));
    assert!(message(|spec| spec.values = 8).starts_with("parameter 'values' is 8, but must be at least 13"));
    assert!(message(|spec| spec.length = 20).starts_with("parameter 'length' is 20"));
    assert!(message(|spec| spec.updates = 7).contains("no more than there are pairs"));
    assert!(message(|spec| spec.role_share = f64::NAN).contains("role_share"));
    assert!(message(|spec| spec.changes = 2).contains("condition D"));
    assert!(message(|spec| spec.conditions.refresh = -1.0).contains("conditions.refresh"));
}

#[test]
fn an_unknown_name_or_key_says_what_was_meant() {
    let Err(TaskError::UnknownTask { nearest, .. }) = TaskSpec::named("stale-fact") else { panic!("an unknown task") };
    assert_eq!(nearest.as_deref(), Some("stale_facts"));
    let error = TaskSpec::from_toml("name = \"stale_facts\"\nlenght = 64").expect_err("a misspelt key");
    assert!(error.to_string().contains("did you mean `length`?"), "{error}");
}

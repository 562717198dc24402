//! Truth tables are true: an independent replayer reads the tokens and must come to the same answers.

use pentimento::task::{Condition, Example, Metrics, Split, StaleFacts, Task, TaskError, TaskSpec, TokenClass, Vocabulary};
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

fn told(example: &Example) -> Replayed {
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
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stale_facts_are_what_a_reader_of_the_tokens_finds(spec in any_stale_facts(), seed: u64, index in 0_u64..1000) {
        let role_size = spec.role_size;
        let length = spec.length;
        let task = TaskSpec::StaleFacts(spec).build().expect("possible parameters");
        for condition in &Condition::ALL[1..] {
            let example = task.generate_twin(seed, Split::Train, index, *condition).expect("a possible condition");
            prop_assert_eq!(example.len(), length);
            prop_assert_eq!(told(&example), replay(task.vocabulary(), &example.tokens, role_size));
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

fn easy(name: &str) -> Task {
    TaskSpec::named(name).and_then(|spec| spec.build()).expect("a task with an easy setting")
}

/// All tasks that generate on their own.
fn drawn() -> Vec<TaskSpec> {
    TaskSpec::all().into_iter().filter(|spec| spec.name() != "text").collect()
}

#[test]
fn every_task_fills_its_length_with_known_tokens_and_asks_in_order() {
    for spec in drawn() {
        let task = spec.build().expect("easy settings are possible");
        assert_eq!(TaskSpec::named(&spec.name().replace('_', "-")).expect("a known name"), spec);
        for index in 0..200 {
            let example = task.generate(11, Split::Validation, index);
            assert_eq!(example.len(), spec.length(), "{}", spec.name());
            assert!(example.tokens.iter().all(|&token| (token as usize) < task.vocabulary().len()));
            assert!(!example.questions.is_empty());
            assert!(example.questions.is_sorted_by(|left, right| left.position < right.position));
            assert!(example.writes.is_sorted_by(|left, right| left.position < right.position));
            assert_eq!(example.targets().iter().flatten().count(), example.questions.len());
        }
    }
}

#[test]
fn the_classes_of_a_vocabulary_are_disjoint_ranges() {
    for spec in drawn() {
        let task = spec.build().expect("easy settings are possible");
        let vocabulary = task.vocabulary();
        let classes: Vec<TokenClass> = (0..vocabulary.len() as u32).map(|token| vocabulary.class(token).expect("a token")).collect();
        let mut begun = HashSet::new();
        for (token, class) in classes.iter().enumerate() {
            assert!(token > 0 && classes[token - 1] == *class || begun.insert(*class), "{}: {class:?} in two places", spec.name());
        }
    }
}

#[test]
fn many_updates_and_mqar_are_what_a_reader_of_the_tokens_finds() {
    for name in ["many_updates", "mqar"] {
        let task = easy(name);
        for index in 0..200 {
            let example = task.generate(5, Split::Test, index);
            assert_eq!(told(&example), replay(task.vocabulary(), &example.tokens, 1));
            assert_sound(task.vocabulary(), &example);
        }
    }
    let most = easy("many_updates").generate(5, Split::Test, 0).writes.iter().map(|write| write.later_writes).max();
    assert!(most >= Some(2));
}

#[test]
fn variables_hold_what_a_reader_of_the_tokens_computes() {
    let task = easy("variable_tracking");
    let (mut copies, mut stale) = (0, 0);
    for index in 0..300 {
        let example = task.generate(5, Split::Test, index);
        let word = |step: usize| task.vocabulary().word(example.tokens[step]).to_owned();
        let mut holds: HashMap<String, Vec<u32>> = HashMap::new();
        let (mut writes, mut questions) = (vec![], vec![]);
        for step in 0..example.len() {
            if word(step) == "=" {
                let last = word(step + 1);
                let value = if last.starts_with('x') { *holds[&last].last().expect("assigned") } else { example.tokens[step + 1] };
                holds.entry(word(step - 1)).or_default().push(value);
                writes.push((step + 1, value));
            } else if word(step) == "Q" {
                let history = &holds[&word(step + 1)];
                let (gold, old) = history.split_last().expect("assigned");
                questions.push((step + 1, *gold, old.iter().copied().collect::<HashSet<_>>()));
            }
        }
        assert_eq!(writes, example.writes.iter().map(|write| (write.position, write.value)).collect::<Vec<_>>());
        let told = example.questions.iter().map(|q| (q.position, q.gold, q.stale.iter().copied().collect()));
        assert_eq!(questions, told.collect::<Vec<_>>());
        for write in &example.writes {
            if let Some(source) = write.copied_from {
                copies += 1;
                let source = &example.writes[source as usize];
                assert_eq!((source.value, true), (write.value, source.is_current(write.position)));
                assert_eq!(example.tokens[write.position], source.key);
            }
        }
        assert!(example.questions.iter().all(|question| !question.stale.contains(&question.gold)));
        stale += example.questions.iter().map(|question| question.stale.len()).sum::<usize>();
    }
    assert!(copies > 500 && stale > 1000, "{copies} copies, {stale} stale values");
}

#[test]
fn variable_tracking_reaches_128k_tokens() {
    let spec = TaskSpec::from_toml("name = 'variable_tracking'\nlength = 131072\nassignments = 2000\nvalues = 2004\nvariables = 32")
        .expect("a spec");
    let example = spec.build().expect("possible parameters").generate(1, Split::Test, 0);
    assert_eq!((example.len(), example.writes.len()), (131_072, 2000));
}

/// Reads the English sentences with string operations only.
fn assert_facts_are_read_right(task: &Task, example: &Example, titled: bool) {
    let text = task.vocabulary().text(&example.tokens);
    let mut place_of: HashMap<String, (String, String)> = HashMap::new();
    let mut former: HashMap<String, HashSet<String>> = HashMap::new();
    let mut questions = example.questions.iter();
    for sentence in text.split_inclusive(['.', '?']).map(str::trim) {
        let words: Vec<&str> = sentence.split(' ').collect();
        // (role, name) of a person beginning at a word.
        let person = |at: usize| (words[at].to_owned(), if titled { words[at + 1] } else { words[at] }.to_owned());
        let moved = usize::from(titled) + 1;
        if words.get(moved) == Some(&"moved") {
            let (role, name) = person(0);
            let place = words[moved + 2].to_owned();
            if let Some((_, old)) = place_of.insert(role.clone(), (name, place.clone()))
                && old != place
            {
                former.entry(role).or_default().insert(old);
            }
        } else if words.get(moved) == Some(&"left") {
            let (role, _) = person(0);
            let (_, old) = place_of.remove(&role).expect("only who is somewhere leaves");
            former.entry(role).or_default().insert(old);
        } else if words[0] == "where" {
            let question = questions.next().expect("a question in the table");
            let (role, name) = if words[2] == "the" { (words[3].to_owned(), None) } else { (person(2).0, Some(person(2).1)) };
            let gold = match place_of.get(&role) {
                Some((bearer, place)) if name.is_none_or(|name| name == *bearer) => place.as_str(),
                _ => "unknown",
            };
            assert_eq!(task.vocabulary().word(question.gold), gold, "{text}");
            assert_eq!(task.vocabulary().word(example.tokens[question.position]), "?");
            let stale: HashSet<String> = question.stale.iter().map(|&value| task.vocabulary().word(value).to_owned()).collect();
            let mut expected = former.get(&role).cloned().unwrap_or_default();
            expected.remove(gold);
            assert_eq!(stale, expected, "{text}");
        }
    }
    assert!(questions.next().is_none());
    for write in &example.writes {
        assert_eq!((example.tokens[write.position], example.tokens[write.key_position]), (write.value, write.key));
    }
}

#[test]
fn english_facts_are_what_a_reader_of_the_sentences_finds() {
    for (titled, spec) in
        [(true, "name = 'facts'"), (false, "name = 'facts'\nrole_size = 1\nrole_share = 0\n[conditions]\nsuperseded_elsewhere = 0")]
    {
        let task = TaskSpec::from_toml(spec).and_then(|spec| spec.build()).expect("possible parameters");
        for index in 0..100 {
            for condition in task.conditions() {
                let example = task.generate_twin(2, Split::Test, index, condition).expect("a possible condition");
                assert_eq!(example.len(), 128);
                assert_facts_are_read_right(&task, &example, titled);
            }
            let twin = |condition| task.generate_twin(2, Split::Test, index, condition).expect("a possible condition");
            let (overwrite, fresh) = (twin(Condition::Overwrite), twin(Condition::FreshKey));
            assert_eq!(histogram(task.vocabulary(), &overwrite), histogram(task.vocabulary(), &fresh));
        }
    }
}

#[test]
fn selective_copy_repeats_the_contents_in_order() {
    let task = easy("selective-copy");
    for index in 0..100 {
        let example = task.generate(0, Split::Train, index);
        let contents: Vec<u32> =
            example.tokens.iter().copied().filter(|&t| task.vocabulary().class(t) == Some(TokenClass::Value)).collect();
        assert_eq!(contents, example.questions.iter().map(|question| question.gold).collect::<Vec<_>>());
        assert!(example.tokens[56..].iter().all(|&token| task.vocabulary().word(token) == "NEXT"));
    }
}

#[test]
fn parity_and_products_of_permutations_are_tracked_by_hand() {
    let task = easy("parity");
    let example = task.generate(0, Split::Train, 3);
    for question in &example.questions {
        let ones = example.tokens[..=question.position].iter().filter(|&&token| task.vocabulary().word(token) == "1").count();
        assert_eq!(task.vocabulary().word(question.gold), if ones % 2 == 0 { "even" } else { "odd" });
    }
    // S3 in lexicographic order: p1 swaps the last two, p2 the first two; p2 after p1 sends 0, 1, 2 to 1, 2, 0, which is p3.
    let s3 = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let task = easy("s3");
    for index in 0..50 {
        let example = task.generate(0, Split::Train, index);
        for question in &example.questions {
            let image = |start: usize| example.tokens[..=question.position].iter().fold(start, |thing, &token| s3[token as usize][thing]);
            assert_eq!(s3[question.gold as usize], [image(0), image(1), image(2)]);
        }
    }
    assert_eq!(easy("s5").vocabulary().len(), 120);
}

#[test]
fn text_becomes_words_and_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text.txt");
    std::fs::write(&path, "The cat sat. The cat didn't see: the dog!").expect("written");
    let spec = |rest: &str| TaskSpec::from_toml(&format!("name = 'text'\npath = '{}'\n{rest}", path.display())).expect("a spec");
    let task = spec("length = 4").build().expect("a readable text");
    assert_eq!(task.count(Split::Train), Some(3));
    let window = |index| task.vocabulary().text(&task.generate(0, Split::Train, index).tokens);
    assert_eq!([window(0), window(1), window(2), window(3)], ["The cat sat .", "The cat didn't see", ": the dog !", "The cat sat ."]);
    let few = spec("length = 4\nmax_words = 3\nlowercase = true").build().expect("a readable text");
    assert_eq!(few.vocabulary().words(), ["<unk>", "the", "cat"]);
    let message = spec("length = 40").build().err().expect("too short").to_string();
    assert!(message.contains("has 12 words, a sequence 40"), "{message}");
    assert!(TaskSpec::named("text").expect("a name").build().err().expect("no path").to_string().contains("'path'"));
}

#[test]
fn a_task_speaks_the_vocabulary_of_another() {
    let mut merged = Vocabulary::new();
    for name in ["parity", "mqar", "stale_facts"] {
        merged.merge(easy(name).vocabulary());
    }
    let merged: Vocabulary = serde_json::from_str(&serde_json::to_string(&merged).expect("serialises")).expect("reads");
    let (own, foreign) = (easy("stale_facts"), easy("stale_facts").in_vocabulary(&merged).expect("all words are known"));
    let (left, right) = (own.generate(0, Split::Train, 0), foreign.generate(0, Split::Train, 0));
    assert_eq!(own.vocabulary().text(&left.tokens), foreign.vocabulary().text(&right.tokens));
    assert_ne!(left.tokens, right.tokens);
    assert_eq!(own.vocabulary().word(left.questions[0].gold), foreign.vocabulary().word(right.questions[0].gold));
    assert!(easy("facts").in_vocabulary(&merged).is_err());
}

#[test]
fn metrics_count_intrusions_against_foils() {
    let task = stale_facts(|spec| (spec.role_share, spec.former_share) = (0.0, 0.0));
    let example = task.generate_twin(1, Split::Test, 0, Condition::Overwrite).expect("a possible condition");
    let stale = example.questions.iter().filter(|question| !question.stale.is_empty()).count() as u64;
    let mut metrics = Metrics::default();
    let right: Vec<u32> = example.questions.iter().map(|question| question.gold).collect();
    metrics.add(&example, &right);
    let old: Vec<u32> = example.questions.iter().map(|question| question.stale.first().copied().unwrap_or(question.foils[0])).collect();
    metrics.add(&example, &old);
    let counts = metrics.by_condition[&Condition::Overwrite];
    assert_eq!((counts.questions, counts.correct), (16, 8));
    assert_eq!((counts.stale_questions, counts.stale_hits, counts.matched_foil_hits), (2 * stale, stale, 0));
    assert_eq!((counts.foil_hits, counts.foils_listed), (8 - stale, 64));
    assert_eq!(counts.stale_intrusion(), Some(0.5));
    assert_eq!(metrics.total(), counts);
}

/// The bytes of the data are part of the format: a change here is a change of every result ever published with a seed.
#[test]
fn the_data_of_a_seed_never_change() {
    let digest = |spec: &TaskSpec| {
        let task = spec.build().expect("easy settings are possible");
        let examples: Vec<Example> = (0..8).map(|index| task.generate(2026, Split::Test, index)).collect();
        blake3::hash(&serde_json::to_vec(&examples).expect("serialises")).to_hex()[..16].to_owned()
    };
    let found: Vec<(&str, String)> = drawn().iter().map(|spec| (spec.name(), digest(spec))).collect();
    let pinned = [
        ("stale_facts", "8e0471104f43704d"),
        ("facts", "19b7157d03b90c4b"),
        ("many_updates", "40eb8c2e54bc354c"),
        ("variable_tracking", "71f28805acb6aa6b"),
        ("mqar", "87932cbae57d8f7f"),
        ("selective_copy", "b3ab97b588e64a61"),
        ("parity", "601fcd80de68d323"),
        ("s3", "60fbfda9b13ac4e5"),
        ("s5", "8dd79682e3ecaa16"),
    ];
    assert_eq!(found, pinned.map(|(name, digest)| (name, digest.to_owned())));
}

#[test]
fn examples_come_back_from_json() {
    for spec in drawn() {
        let task = spec.build().expect("easy settings are possible");
        let examples: Vec<Example> = (0..20).map(|index| task.generate(1, Split::Test, index)).collect();
        let json = serde_json::to_string(&examples).expect("serialises");
        assert_eq!(serde_json::from_str::<Vec<Example>>(&json).expect("reads"), examples);
    }
}

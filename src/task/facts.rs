//! `stale_facts` in English, for people to read on screen.
//!
//! "Mayor Alice moved to Paris . ... Mayor Alice moved to Rome . where is Mayor Alice ?" -> Rome. The keys are names, the values
//! places, the roles titles: a title is borne by whoever bore it last, so when "Mayor Bob moved to Rome ." follows, "where is the
//! Mayor ?" asks for Rome, and where Mayor Alice is has become "unknown". With `role_size = 1` the titles are left out: "Alice
//! moved to Paris ." The conditions, and what is stale in each, are those of `stale_facts`; a delete is "Mayor Alice left the town
//! .", a distractor "Rome wrote to Mayor Alice .". The answer is due at the question mark.

use super::error::in_range;
use super::ledger::{Asked, Ledger};
use super::stale_facts::{Plot, StaleFacts};
use super::symbols::Event;
use super::{Condition, ConditionWeights, Draw, Example, Generator, TaskError, TokenClass, Vocabulary};
use serde::{Deserialize, Serialize};

const NAMES: [&str; 32] = [
    "Alice", "Bob", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Mary", "Nick", "Olga", "Paul",
    "Quinn", "Rosa", "Sam", "Tina", "Uma", "Victor", "Wendy", "Xavier", "Yara", "Zeno", "Anna", "Boris", "Celia", "Dora", "Edgar", "Fiona",
];
const PLACES: [&str; 40] = [
    "Paris", "Rome", "London", "Madrid", "Berlin", "Vienna", "Prague", "Lisbon", "Athens", "Oslo", "Dublin", "Warsaw", "Cairo", "Tokyo",
    "Delhi", "Lima", "Quito", "Boston", "Chicago", "Denver", "Havana", "Moscow", "Kyiv", "Riga", "Turin", "Milan", "Naples", "Geneva",
    "Zurich", "Lyon", "Nice", "Porto", "Seville", "Krakow", "Bergen", "Malmo", "Tallinn", "Vilnius", "Sofia", "Zagreb",
];
const TITLES: [&str; 16] = [
    "Mayor", "Doctor", "Captain", "Judge", "Chef", "Pilot", "Painter", "Teacher", "Baker", "Sailor", "Singer", "Gardener", "Poet",
    "Farmer", "Clerk", "Smith",
];
/// Sentences that tell nothing of anyone. Two and three tokens make up any length from two on.
const FILLER: [&str; 8] = [
    "silence .",
    "rain fell .",
    "night came .",
    "birds sang outside .",
    "somewhere bells rang .",
    "clouds drifted slowly by .",
    "one more day went by .",
    "snow covered all roads again .",
];
/// Fills a single place.
const PAUSE: &str = "...";

/// Parameters of the `facts` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// Tokens of a sequence (default 128).
    pub length: usize,
    /// Names in the vocabulary (default 32, at most 32), a multiple of `role_size`.
    pub names: usize,
    /// Names that may bear one title (default 2); 1 leaves the titles out, and condition D with them. At most 16 titles.
    pub role_size: usize,
    /// Places in the vocabulary (default 40, at most 40).
    pub places: usize,
    /// Facts told first (default 5).
    pub pairs: usize,
    /// Facts that are updated (default 3).
    pub updates: usize,
    /// Updates of each of them (default 1).
    pub changes: usize,
    /// Questions at the end, about different facts, updated ones first (default 4).
    pub questions: usize,
    /// Questions in the middle (default 1).
    pub middle_questions: usize,
    /// Share of questions that ask by title instead of by name (default 0.25; 0 without titles).
    pub role_share: f64,
    /// Share of questions that ask for the former bearer of the name, where there is one (default 0.25).
    pub former_share: f64,
    /// Places never named that are listed with each question (default 4).
    pub foils: usize,
    /// How often each condition is drawn.
    pub conditions: ConditionWeights,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            length: 128,
            names: NAMES.len(),
            role_size: 2,
            places: PLACES.len(),
            pairs: 5,
            updates: 3,
            changes: 1,
            questions: 4,
            middle_questions: 1,
            role_share: 0.25,
            former_share: 0.25,
            foils: 4,
            conditions: ConditionWeights::default(),
        }
    }
}

impl Facts {
    /// Tokens of a sentence: "Alice moved to Paris ." or "Mayor Alice moved to Paris .".
    fn sentence(&self) -> usize {
        if self.role_size > 1 { 6 } else { 5 }
    }

    /// The same facts in symbols: what happens is drawn there, and the bounds are checked there.
    fn symbolic(&self) -> StaleFacts {
        StaleFacts {
            length: usize::MAX,
            keys: self.names,
            role_size: self.role_size,
            values: self.places,
            filler_words: 1,
            pairs: self.pairs,
            updates: self.updates,
            changes: self.changes,
            questions: self.questions,
            middle_questions: self.middle_questions,
            role_share: self.role_share,
            former_share: self.former_share,
            foils: self.foils,
            conditions: self.conditions.clone(),
        }
    }

    fn check(&self) -> Result<(), TaskError> {
        in_range("names", self.names, 1, NAMES.len(), "that many names are known")?;
        in_range("places", self.places, 1, PLACES.len(), "that many places are known")?;
        in_range("role_size", self.role_size, 1, usize::MAX, "")?;
        if self.role_size > 1 && self.names / self.role_size > TITLES.len() {
            return Err(TaskError::parameter(
                "role_size",
                self.role_size,
                format!("at least {}: {} titles are known", self.names.div_ceil(TITLES.len()), TITLES.len()),
            ));
        }
        self.symbolic().check().map_err(|error| match error {
            TaskError::Parameter { parameter, found, wanted } => {
                let parameter = match parameter.as_str() {
                    "keys" => "names".to_owned(),
                    "values" => "places".to_owned(),
                    _ => parameter,
                };
                TaskError::Parameter { parameter, found, wanted }
            }
            other => other,
        })?;
        let told = (self.pairs + self.updates * self.changes) * self.sentence();
        let asked = (self.questions + self.middle_questions) * (self.sentence() - 1);
        in_range("length", self.length, told + asked, usize::MAX, "all sentences and questions")
    }
}

/// The generator of checked parameters.
pub(super) struct EnglishFacts {
    spec: Facts,
    symbolic: StaleFacts,
    vocabulary: Vocabulary,
    names: Vec<u32>,
    titles: Vec<u32>,
    places: Vec<u32>,
    unknown: u32,
    filler: Vec<Vec<u32>>,
    pause: u32,
    word: Grammar,
}

/// The words between names and places.
struct Grammar {
    stop: u32,
    question_mark: u32,
    moved: u32,
    to: u32,
    left: u32,
    the: u32,
    town: u32,
    wrote: u32,
    where_word: u32,
    is: u32,
}

impl EnglishFacts {
    pub fn new(spec: Facts) -> Result<Self, TaskError> {
        spec.check()?;
        let mut vocabulary = Vocabulary::new();
        let mut marker = |word| vocabulary.add(word, TokenClass::Marker);
        let word = Grammar {
            stop: marker("."),
            question_mark: marker("?"),
            moved: marker("moved"),
            to: marker("to"),
            left: marker("left"),
            the: marker("the"),
            town: marker("town"),
            wrote: marker("wrote"),
            where_word: marker("where"),
            is: marker("is"),
        };
        let unknown = marker("unknown");
        let pause = vocabulary.add(PAUSE, TokenClass::Filler);
        let filler =
            FILLER.iter().map(|sentence| sentence.split(' ').map(|word| vocabulary.add(word, TokenClass::Filler)).collect()).collect();
        let mut add = |words: &[&str], class| words.iter().map(|&word| vocabulary.add(word, class)).collect::<Vec<_>>();
        let names = add(&NAMES[..spec.names], TokenClass::Key);
        let titles = if spec.role_size > 1 { add(&TITLES[..spec.names / spec.role_size], TokenClass::Role) } else { vec![] };
        let places = add(&PLACES[..spec.places], TokenClass::Value);
        Ok(Self { symbolic: spec.symbolic(), spec, vocabulary, names, titles, places, unknown, filler, pause, word })
    }

    /// Sentences of together `length` tokens.
    fn filler(&self, draw: &mut Draw, mut length: usize) -> Vec<&[u32]> {
        let mut sentences = Vec::new();
        while length > 1 {
            let fitting: Vec<&Vec<u32>> =
                self.filler.iter().filter(|sentence| sentence.len() == length || sentence.len() + 2 <= length).collect();
            let sentence = fitting[draw.below(fitting.len())];
            length -= sentence.len();
            sentences.push(sentence.as_slice());
        }
        if length == 1 {
            sentences.push(std::slice::from_ref(&self.pause));
        }
        sentences
    }

    /// The words of one event. Name and place stand where the account expects them: see [`Self::spell`].
    fn sentence(&self, event: &Event) -> Vec<u32> {
        let (key, word) = (event.key(), &self.word);
        let title = self.titles.get(key / self.spec.role_size).copied();
        let person: Vec<u32> = title.into_iter().chain([self.names[key]]).collect();
        match *event {
            Event::Write { value, .. } => [&person[..], &[word.moved, word.to, self.places[value], word.stop]].concat(),
            Event::Delete { .. } => [&person[..], &[word.left, word.the, word.town, word.stop]].concat(),
            Event::Reversed { value, .. } => [&[self.places[value], word.wrote, word.to], &person[..], &[word.stop]].concat(),
            Event::Ask { by_role, .. } => {
                let asked = match title {
                    Some(title) if by_role => vec![word.the, title],
                    _ => person,
                };
                [&[word.where_word, word.is], &asked[..], &[word.question_mark]].concat()
            }
        }
    }

    fn spell(&self, draw: &mut Draw, plot: &Plot) -> Example {
        let sentences: Vec<Vec<u32>> = plot.events.iter().map(|event| self.sentence(event)).collect();
        let filler = self.filler(draw, self.spec.length - sentences.iter().map(Vec::len).sum::<usize>());
        let gaps = draw.scatter(filler.len(), sentences.len() + 1);
        let mut filler = filler.into_iter();
        let mut tokens = Vec::with_capacity(self.spec.length);
        let mut ledger = Ledger::default();
        for ((event, sentence), gap) in plot.events.iter().zip(&sentences).zip(gaps) {
            filler.by_ref().take(gap).for_each(|sentence| tokens.extend(sentence));
            let (start, key) = (tokens.len(), event.key());
            tokens.extend(sentence);
            let (role, name) = ((key / self.spec.role_size) as u32, self.names[key]);
            // The place, or "town", is the last word before the full stop.
            let last_word = tokens.len() - 2;
            match *event {
                Event::Write { value, .. } => {
                    ledger.write(role, name, self.places[value], start + usize::from(!self.titles.is_empty()), last_word);
                }
                Event::Delete { .. } => ledger.delete(role, name, last_word),
                Event::Reversed { .. } => {}
                Event::Ask { by_role, .. } => {
                    let place = |&value: &usize| self.places[value];
                    let candidates = plot.rivals.get(ledger.questions.len());
                    let asked = if by_role { Asked::Role } else { Asked::Key(name) };
                    let question = ledger.ask(role, &asked, tokens[last_word], self.unknown, tokens.len() - 1);
                    question.set_controls(candidates.into_iter().flatten().map(place), plot.foils.iter().map(place));
                }
            }
        }
        filler.for_each(|sentence| tokens.extend(sentence));
        Example { tokens, writes: ledger.writes, questions: ledger.questions, condition: plot.condition }
    }
}

impl Generator for EnglishFacts {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn conditions(&self) -> Vec<Condition> {
        self.spec.conditions.possible()
    }

    fn generate(&self, draw: &mut Draw, condition: Option<Condition>) -> Example {
        let plot = self.symbolic.plot(draw, condition);
        self.spell(draw, &plot)
    }
}

//! Free text, word by word: no truth table, for recording what a model does with real language.
//!
//! Words are separated at white space; punctuation marks are words of their own; case is kept unless `lowercase`. Sequence `i` is
//! the `i`-th window of `length` words (after the last window the first comes again), whatever the seed.

use super::error::in_range;
use super::{Example, Split, TaskError, TokenClass, Vocabulary};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The word that stands for all words that are not in the vocabulary.
pub const UNKNOWN_WORD: &str = "<unk>";

/// Parameters of the `text` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Text {
    /// The text file (UTF-8).
    pub path: String,
    /// Words of a sequence (default 256).
    pub length: usize,
    /// Turn everything into lower case (default false).
    pub lowercase: bool,
    /// Most words in the vocabulary made from the text, the most frequent ones, `<unk>` included (default 50,000).
    pub max_words: usize,
    /// A vocabulary to use instead: a file with one word a line (none by default). Must contain `<unk>` if the text has other words.
    pub vocabulary: Option<String>,
    /// Share of the text, at its end, that is kept for validation, and as much again for testing (default 0: every split is the
    /// whole text).
    pub held_out: f64,
}

impl Default for Text {
    fn default() -> Self {
        Self { path: String::new(), length: 256, lowercase: false, max_words: 50_000, vocabulary: None, held_out: 0.0 }
    }
}

impl Text {
    /// The same with the last parts of its paths only.
    #[must_use]
    pub fn without_folders(self) -> Self {
        let last = |path: String| Path::new(&path).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Self { path: last(self.path), vocabulary: self.vocabulary.map(last), ..self }
    }
}

/// The words of `text`.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|chunk| {
        // Apostrophes and hyphens belong to their word; all other marks stand alone.
        let mut rest = chunk;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let inside = |character: char| character.is_alphanumeric() || matches!(character, '\'' | '’' | '-' | '_');
            let end = if inside(first) { rest.find(|character| !inside(character)).unwrap_or(rest.len()) } else { first.len_utf8() };
            let (word, tail) = rest.split_at(end);
            rest = tail;
            Some(word)
        })
    })
}

/// The generator of a text that was read.
pub(super) struct Windows {
    spec: Text,
    vocabulary: Vocabulary,
    tokens: Vec<u32>,
}

impl Windows {
    pub fn new(spec: Text) -> Result<Self, TaskError> {
        in_range("length", spec.length, 1, usize::MAX, "")?;
        in_range("max_words", spec.max_words, 2, usize::MAX, "")?;
        if !(0.0..=0.4).contains(&spec.held_out) {
            return Err(TaskError::parameter("held_out", spec.held_out, "0 to 0.4: it is taken twice"));
        }
        if spec.path.is_empty() {
            return Err(TaskError::parameter("path", "empty", "the path of a text file"));
        }
        let text = read(&spec.path)?;
        let text = if spec.lowercase { text.to_lowercase() } else { text };
        let vocabulary = match &spec.vocabulary {
            Some(path) => listed(&read(path)?),
            None => frequent(&text, spec.max_words),
        };
        let unknown = vocabulary.token(UNKNOWN_WORD);
        let token = |word: &str| vocabulary.token(word).or(unknown).ok_or_else(|| TaskError::UnknownWord(word.to_owned()));
        let tokens = words(&text).map(token).collect::<Result<Vec<_>, _>>()?;
        let windows = Self { spec, vocabulary, tokens };
        for split in [Split::Train, Split::Validation, Split::Test] {
            let found = windows.part(split).len();
            if found < windows.spec.length {
                let (length, path) = (windows.spec.length, windows.spec.path);
                return Err(TaskError::ShortText { part: split.name(), words: found, length, path });
            }
        }
        Ok(windows)
    }

    /// The tokens of one split.
    fn part(&self, split: Split) -> &[u32] {
        let held = (self.tokens.len() as f64 * self.spec.held_out) as usize;
        let end = self.tokens.len();
        match split {
            _ if held == 0 => &self.tokens,
            Split::Train => &self.tokens[..end - 2 * held],
            Split::Validation => &self.tokens[end - 2 * held..end - held],
            Split::Test => &self.tokens[end - held..],
        }
    }
}

fn read(path: &str) -> Result<String, TaskError> {
    std::fs::read_to_string(path).map_err(|error| TaskError::Text { reason: error.to_string(), path: path.to_owned() })
}

/// One word a line.
fn listed(lines: &str) -> Vocabulary {
    let mut vocabulary = Vocabulary::new();
    for word in lines.lines().map(str::trim).filter(|word| !word.is_empty()) {
        vocabulary.add(word, if word == UNKNOWN_WORD { TokenClass::Marker } else { TokenClass::Value });
    }
    vocabulary
}

/// The most frequent words, in order of frequency, ties in order of first occurrence.
fn frequent(text: &str, most: usize) -> Vocabulary {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (place, word) in words(text).enumerate() {
        counts.entry(word).or_insert((0, place)).0 += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_unstable_by_key(|&(_, (count, place))| (std::cmp::Reverse(count), place));
    let mut vocabulary = Vocabulary::new();
    vocabulary.add(UNKNOWN_WORD, TokenClass::Marker);
    for (word, _) in ranked.into_iter().take(most - 1) {
        vocabulary.add(word, TokenClass::Value);
    }
    vocabulary
}

impl Windows {
    /// Its words.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// `vocabulary`'s token for each word: its own, else `<unk>`. A word that never occurs (this text's own `<unk>`, mostly) needs none.
    pub fn translation_to(&self, vocabulary: &Vocabulary) -> Result<Vec<u32>, TaskError> {
        let unknown = vocabulary.token(UNKNOWN_WORD);
        let occurring: HashSet<u32> = self.tokens.iter().copied().collect();
        let token = |own: u32| {
            let word = self.vocabulary.word(own);
            let found = vocabulary.token(word).or(unknown);
            found.or((!occurring.contains(&own)).then_some(0)).ok_or_else(|| TaskError::UnknownWord(word.to_owned()))
        };
        (0..self.vocabulary.len() as u32).map(token).collect()
    }

    /// How many windows a split has.
    pub fn count(&self, split: Split) -> u64 {
        (self.part(split).len() / self.spec.length) as u64
    }

    /// Window `index` of a split.
    pub fn window(&self, split: Split, index: u64) -> Example {
        let start = (index % self.count(split)) as usize * self.spec.length;
        Example { tokens: self.part(split)[start..start + self.spec.length].to_vec(), ..Example::default() }
    }
}

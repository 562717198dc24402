//! Tokens and their words.

use super::TaskError;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a token is for. In the vocabulary of a single task each class is one range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenClass {
    /// Grammar: question mark, delete, the answer "none".
    Marker,
    /// Carries nothing.
    Filler,
    /// An address that can be written.
    Key,
    /// A name for whichever key of a group was written last.
    Role,
    /// Content.
    Value,
}

/// A vocabulary: token `i` is `words[i]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    classes: Vec<TokenClass>,
    index: HashMap<String, u32>,
}

impl Vocabulary {
    /// No word.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a word, if it is new; returns its token.
    pub fn add(&mut self, word: impl Into<String>, class: TokenClass) -> u32 {
        let word = word.into();
        if let Some(&token) = self.index.get(&word) {
            return token;
        }
        let token = self.words.len() as u32;
        self.index.insert(word.clone(), token);
        self.words.push(word);
        self.classes.push(class);
        token
    }

    /// Adds `prefix0`, `prefix1` ... and returns the first token: the others follow it.
    pub(super) fn add_numbered(&mut self, prefix: &str, count: usize, class: TokenClass) -> u32 {
        let first = self.words.len() as u32;
        for number in 0..count {
            self.add(format!("{prefix}{number}"), class);
        }
        first
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, by token.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The word of `token`; `?` for one the vocabulary does not have.
    pub fn word(&self, token: u32) -> &str {
        self.words.get(token as usize).map_or("?", String::as_str)
    }

    /// The token of `word`.
    pub fn token(&self, word: &str) -> Option<u32> {
        self.index.get(word).copied()
    }

    /// What `token` is for.
    pub fn class(&self, token: u32) -> Option<TokenClass> {
        self.classes.get(token as usize).copied()
    }

    /// All tokens of a class, ascending.
    pub fn tokens_of(&self, class: TokenClass) -> Vec<u32> {
        (0..self.len() as u32).filter(|&token| self.classes[token as usize] == class).collect()
    }

    /// The words of `tokens`, with spaces between.
    pub fn text(&self, tokens: &[u32]) -> String {
        tokens.iter().map(|&token| self.word(token)).collect::<Vec<_>>().join(" ")
    }

    /// Adds all words of `other`; returns this vocabulary's token for each token of `other`.
    pub fn merge(&mut self, other: &Self) -> Vec<u32> {
        other.words.iter().zip(&other.classes).map(|(word, &class)| self.add(word.clone(), class)).collect()
    }

    /// This vocabulary's token for each token of `other`, all of whose words must be known.
    pub fn translation_of(&self, other: &Self) -> Result<Vec<u32>, TaskError> {
        other.words.iter().map(|word| self.token(word).ok_or_else(|| TaskError::UnknownWord(word.clone()))).collect()
    }
}

/// On disk: words and classes; the index is made again on reading.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    words: Vec<String>,
    classes: Vec<TokenClass>,
}

impl Serialize for Vocabulary {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { words: self.words.clone(), classes: self.classes.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        if stored.words.len() != stored.classes.len() {
            return Err(serde::de::Error::custom("a vocabulary needs one class for each word"));
        }
        let mut vocabulary = Self::new();
        for (word, class) in stored.words.iter().zip(stored.classes) {
            let expected = vocabulary.len() as u32;
            if vocabulary.add(word.as_str(), class) != expected {
                return Err(serde::de::Error::custom(format!("the word '{word}' stands twice in the vocabulary")));
            }
        }
        Ok(vocabulary)
    }
}

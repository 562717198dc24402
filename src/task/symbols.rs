//! The symbolic language of the key-value tasks, and how events become tokens.
//!
//! A write is two adjacent tokens `KEY VALUE`, a delete `KEY DEL`, a question `Q KEY` or `Q ROLE`; the logits at the last token of
//! a question must give the value, or `NONE` when nothing is true. `VALUE KEY` (the reverse order) is no write. Filler stands
//! anywhere between events, never inside one, and always before an update.

use super::ledger::{Asked, Ledger};
use super::{Condition, Draw, Example, TokenClass, Vocabulary};

/// The words of a symbolic task and where each class begins. Key `k` belongs to role `k / role_size`.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    pub vocabulary: Vocabulary,
    pub question: u32,
    pub delete: u32,
    pub none: u32,
    filler: u32,
    key: u32,
    role: u32,
    value: u32,
    filler_words: usize,
    role_size: usize,
}

impl Symbols {
    pub fn new(filler_words: usize, keys: usize, role_size: usize, values: usize) -> Self {
        let mut vocabulary = Vocabulary::new();
        let question = vocabulary.add("Q", TokenClass::Marker);
        let delete = vocabulary.add("DEL", TokenClass::Marker);
        let none = vocabulary.add("NONE", TokenClass::Marker);
        let filler = vocabulary.add_numbered("f", filler_words, TokenClass::Filler);
        let key = vocabulary.add_numbered("k", keys, TokenClass::Key);
        let role = vocabulary.add_numbered("r", if role_size > 1 { keys / role_size } else { 0 }, TokenClass::Role);
        let value = vocabulary.add_numbered("v", values, TokenClass::Value);
        Self { vocabulary, question, delete, none, filler, key, role, value, filler_words, role_size }
    }

    pub fn key(&self, index: usize) -> u32 {
        self.key + index as u32
    }

    pub fn value(&self, index: usize) -> u32 {
        self.value + index as u32
    }

    fn role_of(&self, key: usize) -> usize {
        key / self.role_size
    }
}

/// One thing that happens. Keys and values are indices within their classes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Write { key: usize, value: usize },
    Delete { key: usize },
    Reversed { key: usize, value: usize },
    Ask { key: usize, by_role: bool },
}

impl Event {
    pub fn key(&self) -> usize {
        match *self {
            Self::Write { key, .. } | Self::Delete { key } | Self::Reversed { key, .. } | Self::Ask { key, .. } => key,
        }
    }
}

/// Where filler goes: how many before each event (and, last, after all), and its words.
pub(super) struct Padding {
    pub gaps: Vec<usize>,
    pub words: Vec<u32>,
}

impl Symbols {
    /// Draws the filler that fills `events` (two tokens each) up to `length`; `forced[i]` fillers stand before event `i` at least.
    pub fn padding(&self, draw: &mut Draw, forced: &[usize], length: usize) -> Padding {
        let total = length - 2 * forced.len();
        let mut gaps = draw.scatter(total - forced.iter().sum::<usize>(), forced.len() + 1);
        for (gap, &least) in gaps.iter_mut().zip(forced) {
            *gap += least;
        }
        let words = (0..total).map(|_| self.filler + draw.below(self.filler_words) as u32).collect();
        Padding { gaps, words }
    }

    /// Spells `events` and keeps the account. `rivals` gives, for each question in order, the candidates for its rivals (those that
    /// are right or stale are left out); `foils` are values that stand nowhere.
    pub fn spell(&self, condition: Condition, events: &[Event], padding: &Padding, rivals: &[Vec<usize>], foils: &[usize]) -> Example {
        let mut tokens = Vec::new();
        let mut ledger = Ledger::default();
        let mut words = padding.words.iter().copied();
        for (event, &gap) in events.iter().zip(&padding.gaps) {
            tokens.extend(words.by_ref().take(gap));
            let position = tokens.len() + 1;
            let key = event.key();
            let (role, key_token) = (self.role_of(key) as u32, self.key(key));
            match *event {
                Event::Write { value, .. } => {
                    let value = self.value(value);
                    tokens.extend([key_token, value]);
                    ledger.write(role, key_token, value, position - 1, position);
                }
                Event::Delete { .. } => {
                    tokens.extend([key_token, self.delete]);
                    ledger.delete(role, key_token, position);
                }
                Event::Reversed { value, .. } => tokens.extend([self.value(value), key_token]),
                Event::Ask { by_role, .. } => {
                    let (asked, token) = if by_role { (Asked::Role, self.role + role) } else { (Asked::Key(key_token), key_token) };
                    tokens.extend([self.question, token]);
                    let candidates = rivals.get(ledger.questions.len());
                    let question = ledger.ask(role, &asked, token, self.none, position);
                    question.set_controls(
                        candidates.into_iter().flatten().map(|&value| self.value(value)),
                        foils.iter().map(|&foil| self.value(foil)),
                    );
                }
            }
        }
        tokens.extend(words);
        Example { tokens, writes: ledger.writes, questions: ledger.questions, condition }
    }
}

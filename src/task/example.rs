//! One sequence and its truth table.

use super::Condition;
use serde::{Deserialize, Serialize};

/// One sequence with everything that is true about it. Positions are 0-based steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Token ids, in the order the model reads them.
    pub tokens: Vec<u32>,
    /// What was written, in order of position; `writes[i].id == i`.
    pub writes: Vec<Write>,
    /// What is asked, in order of position.
    pub questions: Vec<Question>,
    /// The condition under which the sequence was made.
    pub condition: Condition,
}

/// How a write relates to what its key held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteKind {
    /// Nothing current is replaced.
    Fresh,
    /// The same key held another value.
    Overwrite,
    /// Another key of the same role held a value, which goes stale by this write.
    Superseding,
    /// The key held the same value already.
    Refresh,
}

impl WriteKind {
    /// All kinds; the index is the code in stored tables.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Overwrite, Self::Superseding, Self::Refresh];
}

/// One fact: from `position` on, `key` holds `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Index in [`Example::writes`].
    pub id: u32,
    /// Step at which the key is read.
    pub key_position: usize,
    /// Step at which key and value are both known (the last token of the two).
    pub position: usize,
    /// Token of the key.
    pub key: u32,
    /// Token of the value.
    pub value: u32,
    /// Relation to what was there before.
    pub kind: WriteKind,
    /// The write whose value was copied, when the sequence names a source instead of the value itself.
    pub copied_from: Option<u32>,
    /// Step from which another value stands in this one's place.
    pub superseded_at: Option<usize>,
    /// The write that took this one's place.
    pub superseded_by: Option<u32>,
    /// Step from which an explicit delete has removed the value.
    pub deleted_at: Option<usize>,
    /// Number of later writes with the same key.
    pub later_writes: u32,
}

impl Write {
    /// Step from which the value is no longer true, if it ever ceases to be.
    pub fn stale_at(&self) -> Option<usize> {
        self.superseded_at.into_iter().chain(self.deleted_at).min()
    }

    /// Whether the value is written, and no longer true, once `step` has been read.
    pub fn is_stale(&self, step: usize) -> bool {
        self.stale_at().is_some_and(|stale_at| stale_at <= step)
    }

    /// Whether the value is true once `step` has been read.
    pub fn is_current(&self, step: usize) -> bool {
        self.position <= step && !self.is_stale(step)
    }
}

/// One question: the logits at `position` must give `gold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Step whose logits must give the answer.
    pub position: usize,
    /// Token that is asked about: a key, or a role.
    pub key: u32,
    /// The right answer.
    pub gold: u32,
    /// The write that holds the right answer (none after a delete).
    pub gold_write: Option<u32>,
    /// The latest write at what is asked about, true or not.
    pub asked_write: Option<u32>,
    /// Steps from the latest write to the question.
    pub age: Option<usize>,
    /// Values that were true of what is asked about and are no longer; never the gold answer.
    pub stale: Vec<u32>,
    /// The writes that held the stale values, in the order of `stale`.
    pub stale_writes: Vec<u32>,
    /// Values that stand in the sequence where stale ones stand in its twins of other conditions, without being stale here or right:
    /// the matched control of `stale`.
    pub rivals: Vec<u32>,
    /// Values that stand nowhere in the sequence.
    pub foils: Vec<u32>,
}

impl Question {
    /// The foils that stand beside the stale values: as many, and one where nothing is stale.
    pub fn matched_foils(&self) -> &[u32] {
        &self.foils[..self.stale.len().max(1).min(self.foils.len())]
    }

    /// Notes the controls: of `candidates`, those that are neither right nor stale become the rivals.
    pub(super) fn set_controls(&mut self, candidates: impl Iterator<Item = u32>, foils: impl Iterator<Item = u32>) {
        self.rivals = candidates.filter(|value| *value != self.gold && !self.stale.contains(value)).collect();
        self.foils = foils.collect();
    }
}

impl Example {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The same as far as it is true before step `n_steps`: later tokens, writes and questions, and what they make stale, are not there.
    #[must_use]
    pub fn up_to(&self, n_steps: usize) -> Self {
        let mut writes: Vec<Write> = self.writes.iter().filter(|write| write.position < n_steps).cloned().collect();
        for write in &mut writes {
            let later = |step: &usize| *step < n_steps;
            write.superseded_at = write.superseded_at.filter(later);
            write.superseded_by = write.superseded_by.filter(|_| write.superseded_at.is_some());
            write.deleted_at = write.deleted_at.filter(later);
        }
        let keys: Vec<u32> = writes.iter().map(|write| write.key).collect();
        for (place, write) in writes.iter_mut().enumerate() {
            write.later_writes = keys[place + 1..].iter().filter(|key| **key == write.key).count() as u32;
        }
        let questions = self.questions.iter().filter(|question| question.position < n_steps).cloned().collect();
        let tokens = self.tokens[..n_steps.min(self.tokens.len())].to_vec();
        Self { tokens, writes, questions, condition: self.condition }
    }

    /// The gold token at each question's position, none elsewhere: the target of training, \[step\].
    pub fn targets(&self) -> Vec<Option<u32>> {
        let mut targets = vec![None; self.tokens.len()];
        for question in &self.questions {
            targets[question.position] = Some(question.gold);
        }
        targets
    }

    /// The same example in another vocabulary: token `i` becomes `map[i]`.
    #[must_use]
    pub fn translated(mut self, map: &[u32]) -> Self {
        let translate = |token: &mut u32| *token = map[*token as usize];
        self.tokens.iter_mut().for_each(translate);
        for write in &mut self.writes {
            translate(&mut write.key);
            translate(&mut write.value);
        }
        for question in &mut self.questions {
            translate(&mut question.key);
            translate(&mut question.gold);
            question.stale.iter_mut().for_each(translate);
            question.rivals.iter_mut().for_each(translate);
            question.foils.iter_mut().for_each(translate);
        }
        self
    }
}

//! How well predicted answers match the truth: exact counts, by condition. Intervals are made where the sequences are known.

use super::{Condition, Example};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Counts over questions. Hits of stale values, rivals and foils are comparable per opportunity: a question that lists three foils
/// offers three opportunities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Questions.
    pub questions: u64,
    /// Answered with the gold answer.
    pub correct: u64,
    /// Questions with a non-empty stale set.
    pub stale_questions: u64,
    /// Answered with a value of the stale set.
    pub stale_hits: u64,
    /// Stale values listed, over all questions.
    pub stale_listed: u64,
    /// Among the questions with a stale set: answered with one of as many foils as there are stale values (all foils, if fewer).
    pub matched_foil_hits: u64,
    /// Foils so matched, over all questions with a stale set.
    pub matched_foils: u64,
    /// Answered with a foil.
    pub foil_hits: u64,
    /// Foils listed, over all questions.
    pub foils_listed: u64,
    /// Answered with a rival.
    pub rival_hits: u64,
    /// Rivals listed, over all questions.
    pub rivals_listed: u64,
}

fn rate(hits: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| hits as f64 / of as f64)
}

impl Counts {
    /// Share of questions answered right; none without a question.
    pub fn accuracy(&self) -> Option<f64> {
        rate(self.correct, self.questions)
    }

    /// Stale-intrusion rate: P(the answer is in the stale set), over the questions that have one.
    pub fn stale_intrusion(&self) -> Option<f64> {
        rate(self.stale_hits, self.stale_questions)
    }

    /// What the stale-intrusion rate is to be compared with: P(the answer is in an equally large set of never-written values), over
    /// the same questions.
    pub fn matched_foil_rate(&self) -> Option<f64> {
        rate(self.matched_foil_hits, self.stale_questions)
    }

    /// P(the answer is a given foil).
    pub fn rate_per_foil(&self) -> Option<f64> {
        rate(self.foil_hits, self.foils_listed)
    }

    /// P(the answer is a given stale value).
    pub fn rate_per_stale_value(&self) -> Option<f64> {
        rate(self.stale_hits, self.stale_listed)
    }

    /// P(the answer is a given rival).
    pub fn rate_per_rival(&self) -> Option<f64> {
        rate(self.rival_hits, self.rivals_listed)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.questions += other.questions;
        self.correct += other.correct;
        self.stale_questions += other.stale_questions;
        self.stale_hits += other.stale_hits;
        self.stale_listed += other.stale_listed;
        self.matched_foil_hits += other.matched_foil_hits;
        self.matched_foils += other.matched_foils;
        self.foil_hits += other.foil_hits;
        self.foils_listed += other.foils_listed;
        self.rival_hits += other.rival_hits;
        self.rivals_listed += other.rivals_listed;
    }
}

/// Counts by condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// The counts of each condition that occurred.
    pub by_condition: BTreeMap<Condition, Counts>,
}

impl Metrics {
    /// The counts of one sequence: `answers[i]` is the token predicted at question `i` (as many as there are questions).
    pub fn of_example(example: &Example, answers: &[u32]) -> Counts {
        assert_eq!(answers.len(), example.questions.len(), "one answer for each question");
        let mut counts = Counts::default();
        for (question, answer) in example.questions.iter().zip(answers) {
            let stale = question.stale.len();
            let matched = &question.foils[..stale.min(question.foils.len())];
            counts += Counts {
                questions: 1,
                correct: u64::from(*answer == question.gold),
                stale_questions: u64::from(stale > 0),
                stale_hits: u64::from(question.stale.contains(answer)),
                stale_listed: stale as u64,
                matched_foil_hits: u64::from(matched.contains(answer)),
                matched_foils: matched.len() as u64,
                foil_hits: u64::from(question.foils.contains(answer)),
                foils_listed: question.foils.len() as u64,
                rival_hits: u64::from(question.rivals.contains(answer)),
                rivals_listed: question.rivals.len() as u64,
            };
        }
        counts
    }

    /// Adds one sequence's answers.
    pub fn add(&mut self, example: &Example, answers: &[u32]) {
        *self.by_condition.entry(example.condition).or_default() += Self::of_example(example, answers);
    }

    /// The counts over all conditions.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for &counts in self.by_condition.values() {
            total += counts;
        }
        total
    }
}

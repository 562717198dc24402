//! What a trace's sequences say: their tokens as words, their truth table, what the model answered.

use serde::{Deserialize, Serialize};

use crate::task::Example;
use crate::trace::{Answer, Trace, TraceError};

/// What is known of a trace's sequences.
#[derive(Clone, Debug, Default)]
pub struct SequenceText {
    /// Words by sequence and step; token numbers where no words are known; empty without tokens.
    pub words: Vec<Vec<String>>,
    /// The truth table by sequence.
    pub examples: Option<Vec<Example>>,
    /// What the model answered, by sequence and question.
    pub answers: Option<Vec<Vec<Answer>>>,
    /// Why the truth table or the answers are not there although they should be.
    pub remark: Option<String>,
}

impl SequenceText {
    /// The word of a token; its step where no word is known.
    pub fn word(&self, sequence: usize, step: usize) -> &str {
        self.words.get(sequence).and_then(|words| words.get(step)).map_or("", String::as_str)
    }

    /// The word of a token number, by where it stands in any sequence.
    pub fn word_of(&self, sequence: usize, token: u32) -> String {
        let stands = |(row, example): (usize, &Example)| {
            example.tokens.iter().position(|other| *other == token).map(|step| self.word(row, step).to_owned())
        };
        let examples = self.examples.as_deref().unwrap_or_default();
        let here = examples.get(sequence).and_then(|example| stands((sequence, example)));
        here.or_else(|| examples.iter().enumerate().find_map(stands)).filter(|word| !word.is_empty()).unwrap_or_else(|| format!("#{token}"))
    }

    /// What stands at a step, in a few words: the fact that is complete there, the key whose value is to come, or the token.
    pub fn step_words(&self, sequence: usize, step: usize) -> String {
        let writes = self.example(sequence).map_or(&[][..], |example| &example.writes);
        if let Some(write) = writes.iter().find(|write| write.position == step) {
            return format!("{} = {}", self.word_of(sequence, write.key), self.word_of(sequence, write.value));
        }
        let question = self.example(sequence).and_then(|example| example.questions.iter().find(|question| question.position == step));
        if let Some(question) = question {
            return format!("{}?", self.word_of(sequence, question.key));
        }
        self.word(sequence, step).to_owned()
    }

    /// One sequence, as figures of it need it.
    pub fn of_sequence(&self, sequence: usize) -> SequenceWords {
        let n_steps = self.words.get(sequence).map_or(0, Vec::len);
        let example = self.example(sequence);
        let fact = |write: &crate::task::Write| FactSteps { step: write.position, stale_from: write.stale_at() };
        SequenceWords {
            steps: (0..n_steps).map(|step| self.step_words(sequence, step)).collect(),
            facts: example.map_or_else(Vec::new, |example| example.writes.iter().map(fact).collect()),
            questions: example.map_or_else(Vec::new, |example| example.questions.iter().map(|question| question.position).collect()),
        }
    }

    /// The truth table of a sequence.
    pub fn example(&self, sequence: usize) -> Option<&Example> {
        self.examples.as_ref()?.get(sequence)
    }

    /// Reads the text of a trace: all sequences, as far as it was recorded.
    pub fn of_trace(trace: &Trace) -> Result<Self, TraceError> {
        let words = if let Some(words) = trace.token_str()? {
            words.outer_iter().map(|row| row.to_vec()).collect()
        } else {
            let number = |token: &i32| if *token < 0 { String::new() } else { token.to_string() };
            let tokens = trace.tokens()?;
            tokens.map(|tokens| tokens.outer_iter().map(|row| row.iter().map(number).collect()).collect()).unwrap_or_default()
        };
        let mut text = SequenceText { words, ..SequenceText::default() };
        // Tables of another program may lack what a truth table needs: the tokens can be looked at all the same.
        let examples = match trace.labels::<Example>() {
            Ok(examples) => examples,
            Err(error) => {
                text.remark = Some(format!("The truth table cannot be read: {error}"));
                None
            }
        };
        if let Some(examples) = &examples {
            match Answer::of_trace(trace, examples) {
                Ok(answers) => text.answers = answers,
                Err(error) => text.remark = Some(format!("The answers cannot be read: {error}")),
            }
        }
        text.examples =
            examples.filter(|examples| examples.iter().any(|example| !example.writes.is_empty() || !example.questions.is_empty()));
        Ok(text)
    }
}

/// One sequence in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SequenceWords {
    /// What stands at each step, \[step\]; empty without tokens.
    pub steps: Vec<String>,
    /// Its facts.
    pub facts: Vec<FactSteps>,
    /// The steps at which something is asked.
    pub questions: Vec<usize>,
}

/// When a fact is written and when it goes stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactSteps {
    /// The step at which it is complete.
    pub step: usize,
    /// From which step on it is stale.
    pub stale_from: Option<usize>,
}

impl SequenceWords {
    /// What stands at a step; empty where no words are known.
    pub fn at(&self, step: usize) -> &str {
        self.steps.get(step).map_or("", String::as_str)
    }

    /// From which step on what was written at this step is stale.
    pub fn stale_from(&self, step: usize) -> Option<usize> {
        self.facts.iter().find(|fact| fact.step == step)?.stale_from
    }
}

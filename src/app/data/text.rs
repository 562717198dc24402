//! What a sequence says: its tokens as words, its truth table, what the model answered.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::task::Example;
use crate::trace::Answer;

/// The text of a trace: all sequences, as far as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextOf {
    /// Of which trace.
    pub trace: OpenTrace,
}

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

    /// The truth table of a sequence.
    pub fn example(&self, sequence: usize) -> Option<&Example> {
        self.examples.as_ref()?.get(sequence)
    }
}

impl Ask for TextOf {
    type Answer = SequenceText;

    fn title(&self) -> String {
        format!("reading the tokens of {}", self.trace.name())
    }

    fn bytes(answer: &SequenceText) -> usize {
        let words = answer.words.iter().flatten().map(|word| word.len() + size_of::<String>()).sum::<usize>();
        words + answer.examples.iter().flatten().map(|example| example.tokens.len() * 8 + example.writes.len() * 96).sum::<usize>()
    }

    fn answer(&self, _progress: &Progress) -> Result<SequenceText, String> {
        let trace = self.trace.trace();
        let words = if let Some(words) = trace.token_str().map_err(said)? {
            words.outer_iter().map(|row| row.to_vec()).collect()
        } else {
            let number = |token: &i32| if *token < 0 { String::new() } else { token.to_string() };
            let tokens = trace.tokens().map_err(said)?;
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

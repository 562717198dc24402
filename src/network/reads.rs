//! What layers read where questions are answered: taken out of a run, and put back changed.
//!
//! A readout shows what a read tells, not what the model makes of it. With the part that tells something taken out of the read inside
//! the forward pass, the answers show what it was used for.

use std::error::Error;

use ndarray::{Array3, s};

use super::run::{Asked, scores};
use super::{NetworkError, NetworkReplay};
use crate::intervene::Scores;
use crate::memory::{Factors, RecordOptions, Recording, cpu};
use crate::model::{Intervene, Observer};
use crate::record::TOKENS_PER_CALL;

/// The reads of one layer at the questions of many sequences.
#[derive(Clone, Debug)]
pub struct QuestionReads {
    /// The layer's number in the model.
    pub layer: usize,
    /// S^T q of every question of every sequence, in order, [question, head, d_v].
    pub reads: Array3<f32>,
}

/// Changes of one layer's reads at questions.
#[derive(Clone, Copy, Debug)]
pub struct ReadEdits<'a> {
    /// The layer's number in the model.
    pub layer: usize,
    /// What is added at every question of every sequence, in order, [question, head, d_v].
    pub changes: &'a Array3<f32>,
}

impl NetworkReplay<'_> {
    /// What every layer with a memory reads at the questions of these sequences, and what the model answers.
    pub fn question_reads(&self, asked: &[Asked]) -> Result<(Vec<QuestionReads>, Vec<Vec<Scores>>), NetworkError> {
        let mut reads: Vec<QuestionReads> = Vec::new();
        let scores = self.in_calls(asked, None, &mut reads)?;
        Ok((reads, scores))
    }

    /// What the model answers when one layer reads something else at all questions of a sequence: total effects, layers above and
    /// later questions included.
    pub fn scores_with_reads(&self, asked: &[Asked], edits: ReadEdits) -> Result<Vec<Vec<Scores>>, NetworkError> {
        self.in_calls(asked, Some(edits), &mut Vec::new())
    }

    fn in_calls(
        &self,
        asked: &[Asked],
        edits: Option<ReadEdits>,
        reads: &mut Vec<QuestionReads>,
    ) -> Result<Vec<Vec<Scores>>, NetworkError> {
        let mut all = Vec::with_capacity(asked.len());
        let (mut rest, mut first) = (asked, 0);
        while !rest.is_empty() {
            let longest = rest.iter().map(Asked::n_steps).max().unwrap_or(1);
            let (now, later) = rest.split_at((TOKENS_PER_CALL / longest.max(1)).clamp(1, rest.len()));
            let mut observer = AtQuestions { asked: now, first, edits, reads: Vec::new() };
            all.extend(self.answers(now, &mut observer, &|question, log_probabilities| scores(question, &log_probabilities))?);
            for found in observer.reads {
                match reads.iter_mut().find(|known| known.layer == found.layer) {
                    Some(known) => known.reads.append(ndarray::Axis(0), found.reads.view()).expect("a layer keeps its shape"),
                    None => reads.push(found),
                }
            }
            first += now.iter().map(|asked| asked.questions.len()).sum::<usize>();
            rest = later;
        }
        Ok(all)
    }
}

/// Looks at reads where questions stand, or changes them.
struct AtQuestions<'a> {
    asked: &'a [Asked<'a>],
    /// Number of the first question of this call among all.
    first: usize,
    edits: Option<ReadEdits<'a>>,
    reads: Vec<QuestionReads>,
}

impl AtQuestions<'_> {
    /// Row and step of every question of the call.
    fn places(&self) -> Vec<(usize, usize)> {
        let of_row =
            |(row, asked): (usize, &Asked)| asked.questions.iter().map(move |question| (row, question.position)).collect::<Vec<_>>();
        self.asked.iter().enumerate().flat_map(of_row).collect()
    }
}

impl Intervene for AtQuestions<'_> {
    fn run(
        &mut self,
        layer: usize,
        position: usize,
        factors: &Factors<f32>,
        options: &RecordOptions,
    ) -> Result<Recording, Box<dyn Error + Send + Sync>> {
        let mut recording = cpu::record(&factors.lower(), options);
        let (places, shape) = (self.places(), recording.output.dim());
        let mut reads = Array3::zeros((places.len(), shape.2, shape.3));
        for (question, (row, step)) in places.into_iter().enumerate() {
            // A call runs whole sequences, so every question is in it.
            let mut read = recording.output.slice_mut(s![row, step - position, .., ..]);
            match &self.edits {
                Some(edits) => read += &edits.changes.slice(s![self.first + question, .., ..]),
                None => reads.slice_mut(s![question, .., ..]).assign(&read),
            }
        }
        if self.edits.is_none() {
            self.reads.push(QuestionReads { layer, reads });
        }
        Ok(recording)
    }
}

impl Observer for AtQuestions<'_> {
    fn intervention(&mut self, layer: usize) -> Option<&mut dyn Intervene> {
        self.edits.as_ref().is_none_or(|edits| edits.layer == layer).then_some(self)
    }
}

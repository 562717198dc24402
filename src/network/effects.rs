//! A list of interventions over many sequences.

use super::run::{Asked, Path, Run};
use super::{NetworkError, NetworkReplay};
use crate::intervene::{InterveneError, Intervention, SequenceScores};
use crate::task::Example;
use crate::trace::Trace;

/// Sequences between two reports of progress.
const TOGETHER: usize = 16;

impl NetworkReplay<'_> {
    /// What the model says to every question of a trace, as it is and under each list of interventions, as many for every sequence
    /// (total effects). `progress` is told how many sequences are done, of how many.
    pub fn effects(
        &self,
        trace: &Trace,
        lists: impl Fn(&Example) -> Vec<Vec<Intervention>>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Vec<SequenceScores>, NetworkError> {
        let examples: Vec<Example> = trace.labels()?.ok_or(InterveneError::NoTruth { needs: "an effect on answers" })?;
        let mut all = Vec::with_capacity(examples.len());
        for (block, examples_of) in examples.chunks(TOGETHER).enumerate() {
            let first = block * TOGETHER;
            let lists: Vec<Vec<Vec<Intervention>>> = examples_of.iter().map(&lists).collect();
            let mut runs = Vec::new();
            for ((place, example), lists) in examples_of.iter().enumerate().zip(&lists) {
                let asked = Asked::all(example, (first + place) as u64);
                runs.push(Run { asked, interventions: &[], path: Path::Total });
                runs.extend(lists.iter().map(|interventions| Run { asked, interventions, path: Path::Total }));
            }
            let mut scores = self.scores(&runs)?.into_iter();
            for ((place, example), lists) in examples_of.iter().enumerate().zip(&lists) {
                let mut of_sequence = scores.by_ref().take(1 + lists.len());
                all.push(SequenceScores {
                    batch: first + place,
                    condition: example.condition,
                    as_it_is: of_sequence.next().unwrap_or_default(),
                    gold: example.questions.iter().map(|question| question.gold).collect(),
                    stale: example.questions.iter().map(|question| question.stale.clone()).collect(),
                    runs: of_sequence.collect(),
                });
            }
            progress(first + examples_of.len(), examples.len());
        }
        Ok(all)
    }
}

//! Many runs of a model at once, each with its own sequence and its own interventions.

use std::error::Error;

use candle_core::Tensor;
use ndarray::s;

use super::NetworkError;
use crate::intervene::{Intervention, Place, Row, Scores, Superseded, apply, superseded};
use crate::memory::{Factors, RecordOptions, Recording, cpu};
use crate::model::{Intervene, LanguageModel, Observer};
use crate::record::{TOKENS_PER_CALL, log_softmax, padded_tokens};
use crate::task::{Example, Question, Vocabulary};
use crate::trace::{Answer, Trace};

/// A log-probability of the trace may differ from the model's by this much (nats): rounding on another machine.
const TOLERANCE: f64 = 0.01;

/// A model that can be run again under interventions.
#[derive(Clone, Copy)]
pub struct NetworkReplay<'m> {
    pub(super) model: &'m LanguageModel,
    /// Words of the model's tokens, for those that a trace never spells.
    pub vocabulary: Option<&'m Vocabulary>,
    /// Seed of random addresses and exchanges.
    pub seed: u64,
    /// Told what share of a list of runs is done; gives whether to go on ([`NetworkError::Cancelled`] if not).
    pub watch: Option<&'m (dyn Fn(f64) -> bool + Sync)>,
}

/// One run of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The sequence.
    pub asked: Asked<'a>,
    /// What is changed, in this order.
    pub interventions: &'a [Intervention],
    /// How the change travels.
    pub path: Path,
}

/// A sequence and those of its questions that matter.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The sequence.
    pub example: &'a Example,
    /// Its number, for random streams.
    pub sequence: u64,
    /// Which questions are scored.
    pub questions: &'a [Question],
}

/// How the change of a memory reaches the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Through everything: all later reads, all layers above.
    Total,
    /// Only through what the changed layers read at this step.
    Direct(usize),
}

impl<'m> NetworkReplay<'m> {
    /// Of any model.
    pub const fn new(model: &'m LanguageModel, seed: u64) -> Self {
        Self { model, vocabulary: None, seed, watch: None }
    }

    /// Of the model that a trace was recorded from; refuses one with other weights, and one that no longer gives the trace's answers.
    pub fn of_trace(model: &'m LanguageModel, trace: &Trace, seed: u64) -> Result<Self, NetworkError> {
        let recorded = trace.attributes().provenance.weights_digest.clone().ok_or(NetworkError::UnknownWeights)?;
        let own = model.weights_digest()?;
        if recorded != own {
            return Err(NetworkError::OtherWeights { trace: recorded, model: own });
        }
        let replay = Self::new(model, seed);
        let examples: Vec<Example> = trace.labels()?.unwrap_or_default();
        // The first sequence stands for all: the weights are the same.
        if let (Some(example), Some(answers)) = (examples.first(), Answer::of_trace(trace, &examples)?) {
            let run = Run { asked: Asked::all(example, 0), interventions: &[], path: Path::Total };
            let found = replay.scores(&[run])?;
            let differences = found[0].iter().zip(&answers[0]).map(|(found, answer)| (found.gold - answer.gold_log_probability).abs());
            let difference = differences.fold(0.0, f64::max);
            if difference > TOLERANCE {
                return Err(NetworkError::OtherAnswers { difference });
            }
        }
        Ok(replay)
    }

    /// What the model says to the questions of each run, \[run\]\[question\]. Runs may be of different sequences.
    pub fn scores(&self, runs: &[Run]) -> Result<Vec<Vec<Scores>>, NetworkError> {
        self.read(runs, |question, log_probabilities| scores(question, &log_probabilities))
    }

    /// The log-probabilities of every token at the questions of each run, \[run\]\[question\]\[token\].
    pub fn log_probabilities(&self, runs: &[Run]) -> Result<Vec<Vec<Vec<f64>>>, NetworkError> {
        self.read(runs, |_, log_probabilities| log_probabilities)
    }

    /// What `take` makes of the log-probabilities at each question, \[run\]\[question\], as few runs together as a call may hold.
    fn read<T>(&self, runs: &[Run], take: impl Fn(&Question, Vec<f64>) -> T) -> Result<Vec<Vec<T>>, NetworkError> {
        let mut all = Vec::with_capacity(runs.len());
        let mut rest = runs;
        while !rest.is_empty() {
            let longest = rest.iter().map(Run::n_steps).max().unwrap_or(1);
            let (now, later) = rest.split_at((TOKENS_PER_CALL / longest.max(1)).clamp(1, rest.len()));
            all.extend(self.together(now, &take)?);
            rest = later;
            if self.watch.is_some_and(|watch| !watch(all.len() as f64 / runs.len() as f64)) {
                return Err(NetworkError::Cancelled);
            }
        }
        Ok(all)
    }

    /// The runs of one call of the model.
    fn together<T>(&self, runs: &[Run], take: &impl Fn(&Question, Vec<f64>) -> T) -> Result<Vec<Vec<T>>, NetworkError> {
        let steps = runs.iter().map(Run::n_steps).max().unwrap_or(0);
        if steps == 0 {
            return Ok(runs.iter().map(|_| Vec::new()).collect());
        }
        let stale: Vec<Vec<Superseded>> = runs.iter().map(|run| superseded(run.asked.example)).collect();
        let mut changed = Intervened::new(runs.iter().zip(&stale).map(|(run, stale)| (run.row(stale), run.path)).collect(), self.seed);
        self.answers(&runs.iter().map(|run| run.asked).collect::<Vec<_>>(), &mut changed, take)
    }

    /// What `take` makes of what the model says to the questions of each sequence while somebody watches or intervenes, in one call.
    pub(super) fn answers<T>(
        &self,
        asked: &[Asked],
        observer: &mut impl Observer,
        take: &impl Fn(&Question, Vec<f64>) -> T,
    ) -> Result<Vec<Vec<T>>, NetworkError> {
        let steps = asked.iter().map(Asked::n_steps).max().unwrap_or(0);
        let examples: Vec<&Example> = asked.iter().map(|asked| asked.example).collect();
        let tokens = padded_tokens(&examples, 0..steps)?;
        let hidden = self.model.hidden(&tokens, None, observer)?;
        let rows =
            asked.iter().enumerate().flat_map(|(row, asked)| asked.questions.iter().map(move |question| row * steps + question.position));
        let rows: Vec<u32> = rows.map(|row| row as u32).collect();
        let picked = hidden.index_select(&Tensor::from_vec(rows.clone(), rows.len(), hidden.device())?, 0)?;
        let mut logits = self.model.logits(&picked)?.to_vec2::<f32>()?.into_iter();
        let of_one = |asked: &Asked| {
            asked.questions.iter().zip(&mut logits).map(|(question, logits)| take(question, log_softmax(&logits))).collect()
        };
        Ok(asked.iter().map(of_one).collect())
    }
}

impl<'a> Asked<'a> {
    /// A sequence with all its questions.
    pub fn all(example: &'a Example, sequence: u64) -> Self {
        Self { example, sequence, questions: &example.questions }
    }

    /// Steps up to the last question.
    pub(super) fn n_steps(&self) -> usize {
        self.questions.iter().map(|question| question.position + 1).max().unwrap_or(0)
    }
}

impl<'a> Run<'a> {
    fn n_steps(&self) -> usize {
        self.asked.n_steps()
    }

    fn row(&self, superseded: &'a [Superseded]) -> Row<'a> {
        Row { interventions: self.interventions, sequence: self.asked.sequence, superseded }
    }
}

/// What log-probabilities of all tokens say to a question.
pub fn scores(question: &Question, log_probabilities: &[f64]) -> Scores {
    let together = |tokens: &[u32]| {
        let probability: f64 = tokens.iter().map(|&token| log_probabilities[token as usize].exp()).sum();
        (!tokens.is_empty()).then(|| probability.ln())
    };
    let predicted = (0..log_probabilities.len()).max_by(|&a, &b| log_probabilities[a].total_cmp(&log_probabilities[b])).unwrap_or(0);
    Scores {
        predicted: predicted as u32,
        gold: log_probabilities[question.gold as usize],
        stale: together(&question.stale),
        foil: together(question.matched_foils()),
    }
}

/// Runs the memories of a model under interventions, one row per sequence of the call.
pub(super) struct Intervened<'a> {
    rows: Vec<(Row<'a>, Path)>,
    seed: u64,
}

impl<'a> Intervened<'a> {
    pub fn new(rows: Vec<(Row<'a>, Path)>, seed: u64) -> Self {
        Self { rows, seed }
    }

    /// The rows on one kind of path, the others without interventions.
    fn on(&self, wanted: impl Fn(Path) -> bool) -> Vec<Row<'a>> {
        self.rows.iter().map(|(row, path)| if wanted(*path) { *row } else { Row { interventions: &[], ..*row } }).collect()
    }
}

impl Intervene for Intervened<'_> {
    fn run(
        &mut self,
        layer: usize,
        position: usize,
        factors: &Factors<f32>,
        options: &RecordOptions,
    ) -> Result<Recording, Box<dyn Error + Send + Sync>> {
        let place = Place { layer, position, seed: self.seed };
        let mut recording = cpu::record(&apply(factors, place, &self.on(|path| path == Path::Total))?, options);
        if self.rows.iter().any(|(_, path)| *path != Path::Total) {
            let changed = cpu::forward(&apply(factors, place, &self.on(|path| path != Path::Total))?);
            for (batch, (_, path)) in self.rows.iter().enumerate() {
                let Path::Direct(step) = *path else { continue };
                let here = step.checked_sub(position).filter(|&here| here < factors.dims().step);
                if let Some(here) = here {
                    recording.output.slice_mut(s![batch, here, .., ..]).assign(&changed.output.slice(s![batch, here, .., ..]));
                }
            }
        }
        Ok(recording)
    }
}

impl Observer for Intervened<'_> {
    fn intervention(&mut self, layer: usize) -> Option<&mut dyn Intervene> {
        let touched = self.rows.iter().any(|(row, _)| row.interventions.iter().any(|intervention| intervention.at.has_layer(layer)));
        touched.then_some(self)
    }
}

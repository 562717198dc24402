//! From one erase to one answer: accounts, exact replays under any interventions, and what a trace alone can say.

use crate::app::data::{Handle, Model, said};
use crate::app::jobs::{Ask, Progress, Weight};
use crate::app::open_trace::OpenTrace;
use crate::intervene::{
    AccountOptions, AnswerAccount, Change, EraseEvent, HeadRead, Intervention, ReadChange, ScoreChange, Scores, SequenceWords, Where,
    ranked, read_change,
};
use crate::network::{Asked, Path, Run, scores};
use crate::task::{Example, Question};

/// Events told in full.
const TOP: usize = 12;
/// Writes named per event.
const WRITES: usize = 4;
/// Events among which pairs are looked at.
const PAIRED: usize = 6;
/// Seed of random directions: the command line's default, so that it gives the same numbers.
pub const SEED: u64 = 0;

/// Interventions in a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edits(String);

impl Edits {
    /// In this order.
    pub fn new(interventions: &[Intervention]) -> Self {
        Self(serde_json::to_string(interventions).unwrap_or_default())
    }

    /// The interventions again.
    pub fn list(&self) -> Result<Vec<Intervention>, String> {
        serde_json::from_str(&self.0).map_err(said)
    }
}

/// A sequence of a trace with its words and its truth table.
pub struct Sequence {
    /// The trace.
    pub trace: OpenTrace,
    /// Its place in the trace.
    pub index: usize,
    /// Words and truth.
    pub words: SequenceWords,
}

impl Sequence {
    /// The truth table; an error that says what is missing where there is none.
    pub fn example(&self) -> Result<&Example, String> {
        self.words.example.as_ref().ok_or_else(|| "the trace holds no truth table".to_owned())
    }

    fn question(&self, number: usize) -> Result<&Question, String> {
        self.words.question(number).map_err(said)
    }

    /// The sequence with one of its questions, for a replay.
    fn asked(&self, question: usize) -> Result<Asked<'_>, String> {
        let question = std::slice::from_ref(self.question(question)?);
        Ok(Asked { example: self.example()?, sequence: self.index as u64, questions: question })
    }
}

/// A sequence by its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceOf {
    /// Of which trace.
    pub trace: OpenTrace,
    /// Which.
    pub index: usize,
}

impl Ask for SequenceOf {
    type Answer = Handle<Sequence>;

    fn title(&self) -> String {
        format!("reading sequence {} of {}", self.index, self.trace.name())
    }

    fn bytes(answer: &Handle<Sequence>) -> usize {
        answer.words.example.as_ref().map_or(0, |example| example.tokens.len() * 64 + example.writes.len() * 96)
    }

    fn answer(&self, _progress: &Progress) -> Result<Handle<Sequence>, String> {
        let words = SequenceWords::of_trace(self.trace.trace(), self.index).map_err(said)?;
        Ok(Handle::new(Sequence { trace: self.trace.clone(), index: self.index, words }))
    }
}

/// The erase events behind one answer, with the rest of the network run again without each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountOf {
    /// The model that the trace was recorded from.
    pub model: Handle<Model>,
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The question's number.
    pub question: usize,
}

impl Ask for AccountOf {
    type Answer = AnswerAccount;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("running the network again without each erase before question {}", self.question)
    }

    fn bytes(answer: &AnswerAccount) -> usize {
        answer.map.len() * 80 + answer.events.len() * 1024
    }

    fn answer(&self, progress: &Progress) -> Result<AnswerAccount, String> {
        let watch = |share: f64| progress.set(share).is_ok();
        let options = AccountOptions { top: TOP, writes: WRITES, paired: PAIRED, ..AccountOptions::default() };
        let replay = self.model.replay(SEED, &watch);
        replay.account(self.sequence.trace.trace(), self.sequence.index, self.question, &options).map_err(said)
    }
}

/// What one erase does to every answer that comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServedOf {
    /// The model that the trace was recorded from.
    pub model: Handle<Model>,
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The step of the erase.
    pub step: usize,
}

/// What one erase does to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// The question's number.
    pub question: usize,
    /// As it is.
    pub as_it_is: Scores,
    /// Without the erase, minus as it is: total effect.
    pub total: ScoreChange,
}

impl Ask for ServedOf {
    type Answer = Vec<Served>;

    fn title(&self) -> String {
        format!("running the network again without the erase of step {}", self.step)
    }

    fn bytes(answer: &Vec<Served>) -> usize {
        answer.len() * size_of::<Served>()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<Served>, String> {
        let example = self.sequence.example()?;
        let later: Vec<(usize, Question)> =
            example.questions.iter().cloned().enumerate().filter(|(_, question)| question.position >= self.step).collect();
        let questions: Vec<Question> = later.iter().map(|(_, question)| question.clone()).collect();
        let asked = Asked { example, sequence: self.sequence.index as u64, questions: &questions };
        let without = [Intervention::without_erase(self.layer, self.head, self.step)];
        let runs = [Run { asked, interventions: &[], path: Path::Total }, Run { asked, interventions: &without, path: Path::Total }];
        let watch = |share: f64| progress.set(share).is_ok();
        let found = self.model.replay(SEED, &watch).scores(&runs).map_err(said)?;
        let [as_it_is, changed] = &found[..] else { return Ok(Vec::new()) };
        let each = later.iter().zip(as_it_is).zip(changed);
        Ok(each.map(|(((question, _), &as_it_is), run)| Served { question: *question, as_it_is, total: run.minus(&as_it_is) }).collect())
    }
}

/// An answer under interventions, beside the same answer undisturbed: exact replays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WhatIfOf {
    /// The model that the trace was recorded from.
    pub model: Handle<Model>,
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The question's number.
    pub question: usize,
    /// What is changed.
    pub edits: Edits,
}

/// What a model says to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The right answer, the stale and the never-written ones.
    pub scores: Scores,
    /// Log-probabilities of every token.
    pub log_probabilities: Vec<f64>,
}

/// An answer as it is and otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// Undisturbed.
    pub as_it_is: Said,
    /// Under the interventions, the rest of the network run again.
    pub total: Said,
    /// Under the interventions, but only through what is read at the question's own step.
    pub direct: Said,
}

impl WhatIf {
    /// The `most` tokens that are likeliest in either, likeliest first.
    pub fn likeliest(&self, most: usize) -> Vec<u32> {
        let best = |said: &Said| {
            let mut order: Vec<usize> = (0..said.log_probabilities.len()).collect();
            order.sort_by(|&a, &b| said.log_probabilities[b].total_cmp(&said.log_probabilities[a]));
            order.truncate(most);
            order
        };
        let mut tokens = best(&self.as_it_is);
        tokens.extend(best(&self.total));
        let highest = |token: &usize| self.as_it_is.log_probabilities[*token].max(self.total.log_probabilities[*token]);
        tokens.sort_by(|a, b| highest(b).total_cmp(&highest(a)).then(a.cmp(b)));
        tokens.dedup();
        tokens.truncate(most);
        tokens.into_iter().map(|token| token as u32).collect()
    }
}

impl Ask for WhatIfOf {
    type Answer = WhatIf;

    fn title(&self) -> String {
        "running the network again".to_owned()
    }

    fn bytes(answer: &WhatIf) -> usize {
        3 * (answer.total.log_probabilities.len() * 8 + 64)
    }

    fn answer(&self, progress: &Progress) -> Result<WhatIf, String> {
        let (asked, edits) = (self.sequence.asked(self.question)?, self.edits.list()?);
        let question = &asked.questions[0];
        let runs = [
            Run { asked, interventions: &[], path: Path::Total },
            Run { asked, interventions: &edits, path: Path::Total },
            Run { asked, interventions: &edits, path: Path::Direct(question.position) },
        ];
        let watch = |share: f64| progress.set(share).is_ok();
        let found = self.model.replay(SEED, &watch).log_probabilities(&runs).map_err(said)?;
        let mut said =
            found.into_iter().flatten().map(|log_probabilities| Said { scores: scores(question, &log_probabilities), log_probabilities });
        match (said.next(), said.next(), said.next()) {
            (Some(as_it_is), Some(total), Some(direct)) => Ok(WhatIf { as_it_is, total, direct }),
            _ => Err("the model gave no answer".to_owned()),
        }
    }
}

/// Which erases a slider is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One step of one head.
    Event {
        /// The layer's number in the model.
        layer: usize,
        /// The head.
        head: usize,
        /// The step.
        step: usize,
    },
    /// All steps of one head.
    Head {
        /// The layer's number in the model.
        layer: usize,
        /// The head.
        head: usize,
    },
    /// Every erase of the model.
    All,
}

impl Target {
    /// The same for interventions.
    pub fn place(self) -> Where {
        match self {
            Self::Event { layer, head, step } => Where::event(layer, head, step),
            Self::Head { layer, head } => Where::head(layer, head),
            Self::All => Where::default(),
        }
    }

    /// gamma := factor * gamma there.
    pub fn scaled(self, factor: f64) -> Intervention {
        Intervention { change: Change::ScaleErase { factor }, at: self.place() }
    }
}

/// An answer at every dose of some erases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DoseOf {
    /// The model that the trace was recorded from.
    pub model: Handle<Model>,
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The question's number.
    pub question: usize,
    /// What is changed beside.
    pub beside: Edits,
    /// Whose erase strength is scaled.
    pub target: Target,
}

/// Factors of a dose curve: 0 to 2 in twentieths of the way.
const DOSES: usize = 20;

impl Ask for DoseOf {
    /// The factor and what the model says under it.
    type Answer = Vec<(f64, Scores)>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        "running the network again at every dose".to_owned()
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.len() * size_of::<(f64, Scores)>()
    }

    fn answer(&self, progress: &Progress) -> Result<Self::Answer, String> {
        let (asked, beside) = (self.sequence.asked(self.question)?, self.beside.list()?);
        let factors: Vec<f64> = (0..=DOSES).map(|dose| 2.0 * dose as f64 / DOSES as f64).collect();
        let lists: Vec<Vec<Intervention>> =
            factors.iter().map(|&factor| beside.iter().cloned().chain([self.target.scaled(factor)]).collect()).collect();
        let runs: Vec<Run> = lists.iter().map(|interventions| Run { asked, interventions, path: Path::Total }).collect();
        let watch = |share: f64| progress.set(share).is_ok();
        let found = self.model.replay(SEED, &watch).scores(&runs).map_err(said)?;
        Ok(factors.into_iter().zip(found.into_iter().flatten()).collect())
    }
}

/// The erase events behind what every head reads at a step: from the trace alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadsOf {
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The step that reads.
    pub step: usize,
}

impl Ask for ReadsOf {
    /// Those that change a read most, most first.
    type Answer = Vec<EraseEvent>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("leaving out each erase before the read of step {}", self.step)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.len() * 1024
    }

    fn answer(&self, progress: &Progress) -> Result<Self::Answer, String> {
        let (trace, index) = (self.sequence.trace.trace(), self.sequence.index);
        let layers: Vec<usize> = trace.layers().iter().filter(|layer| layer.rule.has_erase()).map(|layer| layer.index).collect();
        let mut events: Vec<EraseEvent> = Vec::new();
        for (place, &layer) in layers.iter().enumerate() {
            progress.set(place as f64 / layers.len() as f64)?;
            let reads = HeadRead::of_trace(trace, index, self.step, Some(&[layer]), None).map_err(said)?;
            for (read, step, _) in ranked(&reads).into_iter().take(TOP) {
                events.push(reads[read].event(step, WRITES, &self.sequence.words).map_err(said)?);
            }
        }
        events.sort_by(|a, b| b.read_change.total_cmp(&a.read_change));
        events.truncate(TOP);
        Ok(events)
    }
}

/// One erase event, as the read of a later step meets it: from the trace alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventOf {
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The step of the erase.
    pub step: usize,
    /// The step that reads.
    pub read: usize,
}

impl Ask for EventOf {
    type Answer = EraseEvent;

    fn title(&self) -> String {
        format!("asking the ledger what the erase of step {} removed", self.step)
    }

    fn bytes(_answer: &EraseEvent) -> usize {
        1024
    }

    fn answer(&self, _progress: &Progress) -> Result<EraseEvent, String> {
        let (trace, index) = (self.sequence.trace.trace(), self.sequence.index);
        let reads = HeadRead::of_trace(trace, index, self.read, Some(&[self.layer]), Some(&[self.head])).map_err(said)?;
        let read = reads.first().ok_or_else(|| "the head has no erase".to_owned())?;
        read.event(self.step, WRITES, &self.sequence.words).map_err(said)
    }
}

/// What an erase does to what its head reads at every later question: from the trace alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadServedOf {
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// The step of the erase.
    pub step: usize,
}

impl Ask for ReadServedOf {
    /// The question's number, and the length of the change of its read over the read's own.
    type Answer = Vec<(usize, f64)>;

    fn title(&self) -> String {
        format!("leaving out the erase of step {}", self.step)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.len() * 16
    }

    fn answer(&self, progress: &Progress) -> Result<Self::Answer, String> {
        let (trace, index) = (self.sequence.trace.trace(), self.sequence.index);
        let questions = self.sequence.example()?.questions.iter().enumerate().filter(|(_, question)| question.position >= self.step);
        let mut found = Vec::new();
        for (number, question) in questions {
            progress.set(0.0)?;
            let reads = HeadRead::of_trace(trace, index, question.position, Some(&[self.layer]), Some(&[self.head])).map_err(said)?;
            found.extend(reads.first().map(|read| (number, read.read_changes()[self.step])));
        }
        Ok(found)
    }
}

/// What any interventions change of what every head reads at a step: from the trace alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadChangesOf {
    /// The sequence.
    pub sequence: Handle<Sequence>,
    /// The step that reads.
    pub step: usize,
    /// What is changed.
    pub edits: Edits,
}

impl Ask for ReadChangesOf {
    type Answer = Vec<ReadChange>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        "running the memories again".to_owned()
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.len() * size_of::<ReadChange>()
    }

    fn answer(&self, _progress: &Progress) -> Result<Self::Answer, String> {
        let edits = self.edits.list()?;
        read_change(self.sequence.trace.trace(), self.sequence.index, self.step, None, None, &edits, SEED).map_err(said)
    }
}

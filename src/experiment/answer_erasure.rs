//! From what a read tells to what the model answers: a concept is erased inside the forward pass.
//!
//! A readout shows that the stale value is decodable where a question is answered, not that the answer uses it. Here the part of a
//! layer's read that linearly tells it (LEACE, arXiv 2306.03819) is taken out while the model runs, and everything above goes on from
//! there: if that part matters to the answer, log-probabilities move more than without a random subspace of the same rank. The right
//! value's part is taken out in the same way, as a positive control: that must hurt the right answer.
//!
//! Erasers are fitted on other sequences than those they are applied to. All questions of a sequence are changed at once.

use ndarray::{Array2, Array3, Axis, s};
use pentimento_probes::{
    AnswerChange, ErasedAnswers, Estimate, Evaluation, IntervalMethod, Table, Targets,
    erasure::{Changes, held_out_changes},
};
use serde::{Deserialize, Serialize};

use super::RunError;
use crate::intervene::Scores;
use crate::measure::{Bootstrap, Interval, StatisticsOptions};
use crate::memory::Phase;
use crate::network::{Asked, NetworkReplay, QuestionReads, ReadEdits};
use crate::readout::{CardPlace, Feature, ReadoutError, Readouts, Target};
use crate::task::{Example, Question};

/// Random subspaces beside the concept's.
const N_RANDOM: usize = 3;

/// A concept erased from the reads of one layer, or of one of its heads, and what the model then answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerErasure {
    /// The layer's number in the model.
    pub layer: usize,
    /// The head; `None`: all heads of the layer together.
    pub head: Option<usize>,
    /// What was erased: the stale value, or the current one (the positive control).
    pub concept: Target,
    /// Questions about something stale that has a current value.
    pub n_questions: usize,
    /// Sequences they are of.
    pub n_sequences: usize,
    /// Whether only the leading directions of the concept were erased, because whole it fills more than half of the dimensions.
    pub is_partial: bool,
    /// What came of it.
    pub answers: ErasedAnswers,
}

/// A question that something is erased at.
struct Sample {
    sequence: usize,
    stale: u32,
    gold: u32,
}

/// Erases the stale and the current value from the reads of every layer and head at the questions, and asks again.
pub fn erase_from_answers(
    replay: &NetworkReplay,
    examples: &[Example],
    evaluation: &Evaluation,
    statistics: &StatisticsOptions,
) -> Result<Vec<AnswerErasure>, RunError> {
    let told = |example: &Example| -> Vec<Question> {
        let has_both = |question: &&Question| !question.stale_writes.is_empty() && question.gold_write.is_some();
        example.questions.iter().filter(has_both).cloned().collect()
    };
    let chosen: Vec<(usize, Vec<Question>)> =
        examples.iter().enumerate().map(|(index, example)| (index, told(example))).filter(|(_, questions)| !questions.is_empty()).collect();
    if chosen.len() < 4 * evaluation.folds {
        return Ok(Vec::new());
    }
    let asked: Vec<Asked> =
        chosen.iter().map(|(index, questions)| Asked { example: &examples[*index], sequence: *index as u64, questions }).collect();
    let samples: Vec<Sample> = chosen
        .iter()
        .enumerate()
        .flat_map(|(sequence, (index, questions))| {
            questions.iter().map(move |question| {
                let stale = question.stale_writes.last().map_or(question.gold, |&write| examples[*index].writes[write as usize].value);
                Sample { sequence, stale, gold: question.gold }
            })
        })
        .collect();
    let (reads, as_it_is) = replay.question_reads(&asked)?;
    let groups: Vec<u64> = samples.iter().map(|sample| sample.sequence as u64).collect();
    let run =
        Run { replay, asked: &asked, as_it_is: &as_it_is, groups: &groups, evaluation, bootstrap: Bootstrap::new(asked.len(), statistics) };
    let stale = classes(samples.iter().map(|sample| sample.stale))?;
    let gold = classes(samples.iter().map(|sample| sample.gold))?;
    let mut found = Vec::new();
    for layer in &reads {
        found.push(run.erase(layer, None, Target::Stale, &stale)?);
        found.push(run.erase(layer, None, Target::Current, &gold)?);
        for head in 0..layer.reads.shape()[1] {
            found.push(run.erase(layer, Some(head), Target::Stale, &stale)?);
        }
    }
    Ok(found)
}

/// Tokens as classes.
fn classes(tokens: impl Iterator<Item = u32>) -> Result<Targets, RunError> {
    let tokens: Vec<u32> = tokens.collect();
    let mut distinct = tokens.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let labels = tokens.iter().map(|token| distinct.partition_point(|other| other < token)).collect();
    Ok(Targets::classes(labels, distinct.len()).map_err(ReadoutError::from)?)
}

struct Run<'a> {
    replay: &'a NetworkReplay<'a>,
    asked: &'a [Asked<'a>],
    as_it_is: &'a [Vec<Scores>],
    groups: &'a [u64],
    evaluation: &'a Evaluation,
    bootstrap: Bootstrap,
}

/// A kind of answer: its name, and its log-probability.
type Kind = (&'static str, fn(&Scores) -> Option<f64>);

const KINDS: [Kind; 4] = [
    ("right", |scores| Some(scores.gold)),
    ("stale", |scores| scores.stale),
    ("never written", |scores| scores.foil),
    ("stale above never written", |scores| Some(scores.stale? - scores.foil?)),
];

impl Run<'_> {
    fn erase(&self, layer: &QuestionReads, head: Option<usize>, concept: Target, targets: &Targets) -> Result<AnswerErasure, RunError> {
        let (n, heads, d_v) = layer.reads.dim();
        let of_heads = head.map_or(0..heads, |head| head..head + 1);
        let reads = layer.reads.slice(s![.., of_heads.clone(), ..]);
        let features =
            Array2::from_shape_fn((n, of_heads.len() * d_v), |(row, channel)| f64::from(reads[[row, channel / d_v, channel % d_v]]));
        let Changes { concept: own, random, rank, n_dimensions, is_partial } =
            held_out_changes(&features, targets, self.groups, N_RANDOM, self.evaluation).map_err(ReadoutError::from)?;
        let ask = |change: &Array2<f64>| -> Result<Vec<Vec<Scores>>, RunError> {
            let mut changes = Array3::<f32>::zeros((n, heads, d_v));
            for ((row, channel), &value) in change.indexed_iter() {
                changes[[row, of_heads.start + channel / d_v, channel % d_v]] = value as f32;
            }
            Ok(self.replay.scores_with_reads(self.asked, ReadEdits { layer: layer.layer, changes: &changes })?)
        };
        let without_concept = vec![ask(&own)?];
        let without_random = random.iter().map(ask).collect::<Result<Vec<_>, _>>()?;
        let changes = KINDS.iter().filter_map(|kind| self.change(*kind, &without_concept, &without_random)).collect();
        Ok(AnswerErasure {
            layer: layer.layer,
            head,
            concept,
            n_questions: features.len_of(Axis(0)),
            n_sequences: self.asked.len(),
            is_partial,
            answers: ErasedAnswers { rank, n_dimensions, n_random: N_RANDOM, changes },
        })
    }

    fn change(&self, (answer, of): Kind, concept: &[Vec<Vec<Scores>>], random: &[Vec<Vec<Scores>>]) -> Option<AnswerChange> {
        let sums = |runs: &[Vec<Vec<Scores>>]| -> Vec<f64> {
            let of_sequence = |sequence: usize| {
                let before = self.as_it_is[sequence].iter();
                let one = |run: &Vec<Vec<Scores>>| -> f64 {
                    before.clone().zip(&run[sequence]).filter_map(|(before, after)| Some(of(after)? - of(before)?)).sum()
                };
                runs.iter().map(one).sum::<f64>() / runs.len() as f64
            };
            (0..self.asked.len()).map(of_sequence).collect()
        };
        let known: Vec<f64> =
            self.as_it_is.iter().map(|scores| scores.iter().filter(|scores| of(scores).is_some()).count() as f64).collect();
        let (concept, random) = (sums(concept), sums(random));
        let beyond: Vec<f64> = concept.iter().zip(&random).map(|(concept, random)| concept - random).collect();
        let mean = |sums: &[f64]| self.bootstrap.ratio(sums, &known).and_then(estimate);
        Some(AnswerChange {
            answer: answer.to_owned(),
            without_concept: mean(&concept)?,
            without_random: mean(&random)?,
            difference: mean(&beyond)?,
        })
    }
}

fn estimate(interval: Interval) -> Option<Estimate> {
    let (low, high) = interval.bounds()?;
    Some(Estimate { value: interval.estimate, low, high, level: interval.level, method: IntervalMethod::Studentised })
}

impl AnswerErasure {
    /// One line per answer.
    pub fn table(erasures: &[Self]) -> Table {
        let columns = [
            "layer",
            "head",
            "erased",
            "rank of dimensions",
            "answer",
            "without the concept",
            "without a random subspace",
            "concept minus random",
        ];
        let rows = erasures.iter().flat_map(|erasure| {
            let start = [
                erasure.layer.to_string(),
                erasure.head.map_or_else(|| "all".to_owned(), |head| head.to_string()),
                erasure.concept.to_string(),
                format!(
                    "{:.0} of {:.0}{}",
                    erasure.answers.rank,
                    erasure.answers.n_dimensions,
                    if erasure.is_partial { " (leading)" } else { "" }
                ),
            ];
            erasure.answers.changes.iter().map(move |change| {
                let cells = [
                    change.answer.clone(),
                    change.without_concept.to_string(),
                    change.without_random.to_string(),
                    change.difference.to_string(),
                ];
                start.iter().cloned().chain(cells).collect::<Vec<String>>()
            })
        });
        Table {
            title: "Answers (change of log-probability, nats) without what a layer's read tells of a value at the questions, beside random subspaces of the same rank".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }
    }

    /// What was found, in a sentence or two; empty without erasures.
    pub fn headline(erasures: &[Self]) -> String {
        let of = |erasure: &Self, answer: &str| {
            erasure.answers.changes.iter().find(|change| change.answer == answer).map(|change| change.difference)
        };
        let layers = |concept: Target| erasures.iter().filter(move |erasure| erasure.head.is_none() && erasure.concept == concept);
        let strongest = |concept: Target, answer: &'static str| {
            let found = layers(concept).filter_map(|erasure| Some((erasure, of(erasure, answer)?)));
            found.reduce(|most, next| if next.1.value.abs() > most.1.value.abs() { next } else { most })
        };
        let (Some((stale, change)), Some((gold, hurt))) = (strongest(Target::Stale, "stale"), strongest(Target::Current, "right")) else {
            return String::new();
        };
        let verdict = |estimate: &Estimate| if estimate.excludes(0.0) { "beyond" } else { "not told from" };
        format!(
            "Erasing what layer {}'s read tells of the stale value at the question moves its log-probability by {change} nats more than a random subspace of the same rank ({} it; {} sequences); erasing what layer {}'s read tells of the right value moves the right answer by {hurt} nats more ({} it).",
            stale.layer,
            verdict(&change),
            stale.n_sequences,
            gold.layer,
            verdict(&hurt)
        )
    }

    /// Puts each head's erasure on its cards about the stale value, at the last phase.
    pub fn put_on_cards(erasures: &[Self], readouts: &mut Readouts) {
        let Some(last) = readouts.options.phases.iter().max().copied() else { return };
        let places = readouts.options.places.clone();
        for erasure in erasures.iter().filter(|erasure| erasure.concept == Target::Stale) {
            let Some(head) = erasure.head else { continue };
            for card in &mut readouts.cards {
                let is_here = |feature: Feature, phase: Phase| {
                    places.iter().any(|&place| card.is_at(place, Target::Stale, (erasure.layer, head), feature, phase))
                };
                if [Feature::Read, Feature::State].into_iter().any(|feature| is_here(feature, last)) {
                    card.answers = Some(erasure.answers.clone());
                }
            }
        }
    }
}

//! Answers of two models to the same questions.

use super::{Difference, Draws, difference, share_difference};
use crate::measure::StatisticsOptions;
use crate::task::{Condition, Example, Metrics};
use crate::trace::Answer;

/// Answers in one condition, on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerDifference {
    /// Which; `None` for all together.
    pub condition: Option<Condition>,
    /// Sequences of the first and of the second.
    pub n_sequences: [usize; 2],
    /// Share of a sequence's questions answered right, mean over sequences.
    pub accuracy: Difference,
    /// Share of a sequence's questions, where something is stale, answered with a stale value; `None` where nothing ever is.
    pub stale_intrusion: Option<Difference>,
    /// Mean log-probability of the right answer (nats).
    pub gold_log_probability: Difference,
    /// Mean log-probability of the stale values together (nats); `None` where nothing ever is.
    pub stale_log_probability: Option<Difference>,
}

/// Compares the answers: all conditions together first, then each that both have. The numbers of a sequence are means over its questions,
/// and sequences count alike.
pub fn answer_differences(
    [first, second]: [(&[Example], &[Vec<Answer>]); 2],
    pairs: &[(usize, usize)],
    options: &StatisticsOptions,
) -> Vec<AnswerDifference> {
    let mut conditions: Vec<Condition> = first.0.iter().map(|example| example.condition).collect();
    conditions.sort_unstable();
    conditions.dedup();
    std::iter::once(None)
        .chain(conditions.into_iter().map(Some))
        .filter_map(|wanted| of_condition([first, second], wanted, pairs, options))
        .collect()
}

fn of_condition(
    [first, second]: [(&[Example], &[Vec<Answer>]); 2],
    wanted: Option<Condition>,
    pairs: &[(usize, usize)],
    options: &StatisticsOptions,
) -> Option<AnswerDifference> {
    let is_in = |example: &Example| wanted.is_none_or(|wanted| example.condition == wanted);
    let inside: Vec<(usize, usize)> = pairs.iter().copied().filter(|&(a, _)| first.0.get(a).is_some_and(is_in)).collect();
    let columns = |(examples, answers): (&[Example], &[Vec<Answer>])| Columns::of(examples, answers, is_in);
    let (a, b) = (columns(first), columns(second));
    let draws = Draws::new([a.accuracy.len(), b.accuracy.len()], inside.len(), options);
    let compare = |of: fn(&Columns) -> &[Option<f64>]| difference(of(&a), of(&b), &inside, &draws);
    let shares = |of: fn(&Columns) -> &[Option<f64>]| share_difference(of(&a), of(&b), &inside, &draws);
    Some(AnswerDifference {
        condition: wanted,
        n_sequences: [a.count(), b.count()],
        accuracy: shares(|columns| &columns.accuracy)?,
        stale_intrusion: shares(|columns| &columns.intrusion),
        gold_log_probability: compare(|columns| &columns.gold)?,
        stale_log_probability: compare(|columns| &columns.stale),
    })
}

/// Means over a sequence's questions, \[sequence\].
struct Columns {
    accuracy: Vec<Option<f64>>,
    intrusion: Vec<Option<f64>>,
    gold: Vec<Option<f64>>,
    stale: Vec<Option<f64>>,
}

impl Columns {
    fn of(examples: &[Example], answers: &[Vec<Answer>], is_in: impl Fn(&Example) -> bool) -> Self {
        let mut columns = Self { accuracy: Vec::new(), intrusion: Vec::new(), gold: Vec::new(), stale: Vec::new() };
        for (example, answers) in examples.iter().zip(answers) {
            let said: Vec<u32> = answers.iter().map(|answer| answer.predicted).collect();
            let counts = Metrics::of_example(example, &said);
            let share = |hits: u64, of: u64| (is_in(example) && of > 0).then(|| hits as f64 / of as f64);
            let mean = |of: &dyn Fn(&Answer) -> Option<f64>| {
                let found: Vec<f64> = answers.iter().filter_map(of).filter(|value| value.is_finite()).collect();
                (is_in(example) && !found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
            };
            columns.accuracy.push(share(counts.correct, counts.questions));
            columns.intrusion.push(share(counts.stale_hits, counts.stale_questions));
            columns.gold.push(mean(&|answer| Some(answer.gold_log_probability)));
            columns.stale.push(mean(&|answer| answer.stale_log_probability));
        }
        columns
    }

    fn count(&self) -> usize {
        self.accuracy.iter().flatten().count()
    }
}

//! What the model answers: accuracy by condition, and whether stale values intrude more often than never-written ones.
//!
//! A stale intrusion is an answer that was true once and is no longer. A poor model hits stale values by chance, so the rate stands
//! beside the rate at which an equally large set of never-written values (the matched foils) is answered at the same questions.

use serde::{Deserialize, Serialize};

use super::{Bootstrap, Interval, StatisticsOptions};
use crate::task::{Condition, Counts, Example, Metrics};
use crate::trace::Answer;

/// Behaviour on a task, over all conditions and in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Intervals.
    pub options: StatisticsOptions,
    /// All conditions together.
    pub all: ConditionBehaviour,
    /// Each condition that occurred, A first.
    pub conditions: Vec<ConditionBehaviour>,
}

/// Behaviour in one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionBehaviour {
    /// Which; `None` for all together.
    pub condition: Option<Condition>,
    /// Sequences.
    pub n_sequences: usize,
    /// Questions.
    pub n_questions: u64,
    /// Share of questions answered right.
    pub accuracy: Interval,
    /// P(the answer is stale), over questions where something is; `None` where nothing ever is.
    pub stale_intrusion: Option<Interval>,
    /// P(the answer is one of as many never-written values), over the same questions.
    pub matched_foil_rate: Option<Interval>,
    /// Stale intrusion minus the matched foil rate, resampled together.
    pub intrusion_above_foils: Option<Interval>,
    /// Mean log-probability of the gold answer (nats).
    pub gold_log_probability: Interval,
    /// Mean log-probability of all stale values together minus that of as many foils (nats), where something is stale.
    pub stale_above_foil_log_probability: Option<Interval>,
}

/// Measures the answers to the questions of `examples`: `answers[i][j]` is the answer to question `j` of example `i`.
///
/// `None` if no example has a question.
pub fn behaviour(examples: &[Example], answers: &[Vec<Answer>], options: &StatisticsOptions) -> Option<Behaviour> {
    let of = |condition: Option<Condition>| {
        let chosen: Vec<_> =
            examples.iter().zip(answers).filter(|(example, _)| condition.is_none_or(|wanted| example.condition == wanted)).collect();
        of_condition(condition, &chosen, options)
    };
    let mut present: Vec<Condition> = examples.iter().map(|example| example.condition).collect();
    present.sort_unstable();
    present.dedup();
    Some(Behaviour {
        options: *options,
        all: of(None)?,
        conditions: present.into_iter().filter_map(|condition| of(Some(condition))).collect(),
    })
}

fn of_condition(
    condition: Option<Condition>,
    chosen: &[(&Example, &Vec<Answer>)],
    options: &StatisticsOptions,
) -> Option<ConditionBehaviour> {
    let bootstrap = Bootstrap::new(chosen.len(), options);
    let counts: Vec<Counts> = chosen
        .iter()
        .map(|(example, answers)| Metrics::of_example(example, &answers.iter().map(|answer| answer.predicted).collect::<Vec<_>>()))
        .collect();
    let column = |field: fn(&Counts) -> u64| counts.iter().map(|counts| field(counts) as f64).collect::<Vec<_>>();
    let questions = column(|counts| counts.questions);
    let stale_questions = column(|counts| counts.stale_questions);
    let stale_hits = column(|counts| counts.stale_hits);
    let foil_hits = column(|counts| counts.matched_foil_hits);
    let above: Vec<f64> = stale_hits.iter().zip(&foil_hits).map(|(stale, foil)| stale - foil).collect();
    let gold: Vec<f64> = chosen.iter().map(|(_, answers)| answers.iter().map(|answer| answer.gold_log_probability).sum()).collect();
    let differences = |answers: &[Answer]| {
        let each = answers.iter().filter_map(|answer| Some(answer.stale_log_probability? - answer.foil_log_probability?));
        each.fold((0.0, 0.0), |(sum, n), difference| (sum + difference, n + 1.0))
    };
    let (difference, n_differences): (Vec<f64>, Vec<f64>) = chosen.iter().map(|(_, answers)| differences(answers)).unzip();
    let mut intrusion_above_foils = bootstrap.ratio(&above, &stale_questions);
    if let Some(excess) = intrusion_above_foils.as_mut().filter(|_| stale_hits.iter().chain(&foil_hits).all(|&hits| hits == 0.0)) {
        // Neither was ever answered: each may be as frequent as that many sequences allow.
        excess.high = bootstrap.unseen(excess.n);
        excess.low = excess.high.map(|unseen| -unseen);
    }
    Some(ConditionBehaviour {
        condition,
        n_sequences: chosen.len(),
        n_questions: counts.iter().map(|counts| counts.questions).sum(),
        accuracy: bootstrap.share(&column(|counts| counts.correct), &questions)?,
        stale_intrusion: bootstrap.share(&stale_hits, &stale_questions),
        matched_foil_rate: bootstrap.share(&foil_hits, &stale_questions),
        intrusion_above_foils,
        gold_log_probability: bootstrap.ratio(&gold, &questions)?,
        stale_above_foil_log_probability: bootstrap.ratio(&difference, &n_differences),
    })
}

impl Behaviour {
    /// What was found, in a sentence or two.
    pub fn headline(&self) -> String {
        let accuracy = format!("Answers {} of {} questions right.", self.all.accuracy, self.all.n_questions);
        let Some((above, (low, high))) = self.all.intrusion_above_foils.and_then(|above| Some((above, above.bounds()?))) else {
            return accuracy;
        };
        let intrusion = if low > 0.0 {
            format!("Stale values intrude more often than never-written ones (by {above}).")
        } else if high < 0.0 {
            format!("Stale values are answered less often than never-written ones (by {above}).")
        } else {
            format!("No difference was found between stale and never-written values as wrong answers ({above}).")
        };
        format!("{accuracy} {intrusion}")
    }
}

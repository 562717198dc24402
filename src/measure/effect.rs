//! What erases do to answers, over many sequences: log-probabilities of the right, the stale and a never-written answer with the
//! erase scaled, moved, or left out head by head.
//!
//! These are total effects: the model was run again under each intervention. Two controls stand beside every number. The
//! never-written foils say what any disturbance does to any wrong answer; the erase at random addresses with the same gates says
//! what the strength does without the aim. A model without its erase is a model it was not trained to be: an effect shows what the
//! answers rest on, not what another training would have given.

use serde::{Deserialize, Serialize};

use super::words::{against, p_value, sequences};
use super::{Bootstrap, HeadId, Interval, LayerInfo, StatisticsOptions};
use crate::intervene::{Address, Change, Intervention, Scores, SequenceScores, Steps, Where};
use crate::task::{Condition, Example};

/// What is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EraseEffectOptions {
    /// Factors c of gamma := c * gamma; 1 is the model as it is and need not be named.
    pub doses: Vec<f64>,
    /// Other addresses under the same gates.
    pub addresses: Vec<Address>,
    /// Answers that are told in full, by condition: the first such question of the first sequences.
    pub examples: Vec<Condition>,
    /// Intervals and p-values.
    pub statistics: StatisticsOptions,
}

impl Default for EraseEffectOptions {
    fn default() -> Self {
        Self {
            doses: vec![0.0, 0.25, 0.5, 0.75, 1.25, 1.5],
            addresses: vec![Address::Random, Address::ShuffledSteps, Address::Write],
            examples: vec![Condition::Overwrite, Condition::ExplicitDelete, Condition::SupersededElsewhere],
            statistics: StatisticsOptions::default(),
        }
    }
}

/// One way in which the erases differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseRun {
    /// gamma := c * gamma everywhere.
    Dose(f64),
    /// Erases elsewhere, with the same gates.
    Address(Address),
    /// gamma := 0 at the steps where questions are asked: there an erase shapes the very read that answers.
    AtQuestions,
    /// gamma := 0 at every other step: there it can only change what is kept.
    AwayFromQuestions,
    /// gamma := 0 in one head.
    WithoutHead(HeadId),
    /// Interventions of the user's own, of any kind.
    Own(Vec<Intervention>),
}

/// What erases do to answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EraseEffects {
    /// What was run.
    pub options: EraseEffectOptions,
    /// Sequences.
    pub n_sequences: usize,
    /// Share of questions answered right as the model is.
    pub accuracy: Interval,
    /// One per run, in the order of [`EraseRun::all`].
    pub runs: Vec<RunEffect>,
}

/// What one run does to answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEffect {
    /// How the erases differ.
    pub run: EraseRun,
    /// Over all conditions.
    pub all: AnswerEffect,
    /// In each condition that occurs.
    pub conditions: Vec<AnswerEffect>,
}

/// Changes of log-probabilities (nats) under the run, minus as it is: means over questions, the sequence as the unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerEffect {
    /// Which; `None` for all together.
    pub condition: Option<Condition>,
    /// Sequences.
    pub n_sequences: usize,
    /// Of the right answer.
    pub gold: Interval,
    /// Of the stale values together, where something is stale.
    pub stale: Option<Interval>,
    /// Of as many never-written foils, at the same questions.
    pub foil: Option<Interval>,
    /// Stale minus foil, resampled together: what the run does to stale values beyond what it does to any wrong answer.
    pub stale_above_foil: Option<Interval>,
    /// Two-sided p of `stale_above_foil` against 0, by exchange of signs of whole sequences.
    pub p_value: Option<f64>,
    /// Share of questions answered right under the run.
    pub accuracy: Interval,
    /// P(the answer is stale) under the run, where something is.
    pub stale_intrusion: Option<Interval>,
}

impl EraseRun {
    /// Every run of some options on some layers.
    pub fn all(options: &EraseEffectOptions, layers: &[LayerInfo]) -> Vec<Self> {
        let key_heads = layers.iter().filter(|layer| layer.rule.has_erase()).map(|layer| layer.dims.key_head).min().unwrap_or(0);
        let doses = options.doses.iter().map(|&dose| Self::Dose(dose));
        let addresses = options.addresses.iter().filter(|address| **address != Address::ShuffledHeads || key_heads > 1);
        let heads = layers
            .iter()
            .filter(|layer| layer.rule.has_erase())
            .flat_map(|info| (0..info.dims.head).map(|head| Self::WithoutHead(HeadId { layer: info.layer, head })));
        let split = [Self::AtQuestions, Self::AwayFromQuestions];
        doses.chain(addresses.map(|&address| Self::Address(address))).chain(split).chain(heads).collect()
    }

    /// The interventions of the run in one sequence.
    pub fn interventions(&self, example: &Example) -> Vec<Intervention> {
        let none_at = |steps: Vec<usize>| {
            let at = Where { steps: Steps::Chosen(steps), ..Where::default() };
            vec![Intervention { change: Change::RemoveErase, at }]
        };
        let is_asked = |step: &usize| example.questions.iter().any(|question| question.position == *step);
        match self {
            Self::AtQuestions => none_at((0..example.len()).filter(is_asked).collect()),
            Self::AwayFromQuestions => none_at((0..example.len()).filter(|step| !is_asked(step)).collect()),
            Self::Dose(factor) => vec![Intervention::everywhere(Change::ScaleErase { factor: *factor })],
            Self::Address(address) => vec![Intervention::everywhere(Change::EraseAddress { address: *address })],
            Self::WithoutHead(at) => vec![Intervention { change: Change::RemoveErase, at: Where::head(at.layer, at.head) }],
            Self::Own(interventions) => interventions.clone(),
        }
    }

    /// In a table and on an axis.
    pub fn label(&self) -> String {
        match self {
            Self::Dose(factor) if *factor == 0.0 => "no erase".to_owned(),
            Self::Dose(factor) => format!("{factor} × γ"),
            Self::Address(address) => format!("erases {}", address.words()),
            Self::AtQuestions => "no erase where questions stand".to_owned(),
            Self::AwayFromQuestions => "no erase anywhere else".to_owned(),
            Self::WithoutHead(at) => format!("no erase in {at}"),
            Self::Own(interventions) => interventions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }
}

/// Measures what runs did to answers; `sequences[i].runs[j]` belongs to `runs[j]`. `None` if no sequence has a question.
pub fn erase_effects(runs: &[EraseRun], sequences: &[SequenceScores], options: &EraseEffectOptions) -> Option<EraseEffects> {
    let mut present: Vec<Condition> = sequences.iter().map(|sequence| sequence.condition).collect();
    present.sort_unstable();
    present.dedup();
    let everyone: Vec<&SequenceScores> = sequences.iter().collect();
    let all = Sample::new(None, everyone, options);
    let by_condition: Vec<Sample> = present
        .into_iter()
        .map(|condition| {
            let chosen = sequences.iter().filter(|sequence| sequence.condition == condition).collect();
            Sample::new(Some(condition), chosen, options)
        })
        .collect();
    let of_run = |(index, run): (usize, &EraseRun)| {
        Some(RunEffect {
            run: run.clone(),
            all: all.effect(index)?,
            conditions: by_condition.iter().filter_map(|sample| sample.effect(index)).collect(),
        })
    };
    Some(EraseEffects {
        options: options.clone(),
        n_sequences: sequences.len(),
        accuracy: all.accuracy(|sequence| &sequence.as_it_is)?,
        runs: runs.iter().enumerate().map(of_run).collect::<Option<_>>()?,
    })
}

/// Sequences of one condition and their resamples.
struct Sample<'a> {
    condition: Option<Condition>,
    sequences: Vec<&'a SequenceScores>,
    bootstrap: Bootstrap,
}

impl<'a> Sample<'a> {
    fn new(condition: Option<Condition>, sequences: Vec<&'a SequenceScores>, options: &EraseEffectOptions) -> Self {
        let bootstrap = Bootstrap::new(sequences.len(), &options.statistics);
        Self { condition, sequences, bootstrap }
    }

    fn effect(&self, run: usize) -> Option<AnswerEffect> {
        let change = |of: &dyn Fn(&Scores, &Scores) -> Option<f64>| -> (Vec<f64>, Vec<f64>) {
            let of_sequence = |sequence: &&SequenceScores| {
                let pairs = sequence.runs[run].iter().zip(&sequence.as_it_is);
                let found = pairs.filter_map(|(now, before)| of(now, before));
                found.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0))
            };
            self.sequences.iter().map(of_sequence).unzip()
        };
        let mean = |(sum, n): &(Vec<f64>, Vec<f64>)| self.bootstrap.ratio(sum, n);
        let stale = |now: &Scores, before: &Scores| Some(now.stale? - before.stale?);
        let foil = |now: &Scores, before: &Scores| Some(now.foil? - before.foil?);
        let beyond = change(&|now, before| Some(stale(now, before)? - foil(now, before)?));
        Some(AnswerEffect {
            condition: self.condition,
            n_sequences: self.sequences.len(),
            gold: mean(&change(&|now, before| Some(now.gold - before.gold)))?,
            stale: mean(&change(&stale)),
            foil: mean(&change(&|now, before| now.stale.and_then(|_| foil(now, before)))),
            stale_above_foil: mean(&beyond),
            p_value: self.bootstrap.p_value(&beyond.0, &beyond.1, 0.0),
            accuracy: self.accuracy(|sequence| &sequence.runs[run])?,
            stale_intrusion: self.stale_intrusion(|sequence| &sequence.runs[run]),
        })
    }

    fn accuracy(&self, scores: impl Fn(&'a SequenceScores) -> &'a Vec<Scores>) -> Option<Interval> {
        let of = |sequence: &&'a SequenceScores| {
            let right = scores(sequence).iter().zip(&sequence.gold).filter(|(scores, gold)| scores.predicted == **gold).count();
            (right as f64, sequence.gold.len() as f64)
        };
        let (right, asked): (Vec<f64>, Vec<f64>) = self.sequences.iter().map(of).unzip();
        self.bootstrap.share(&right, &asked)
    }

    fn stale_intrusion(&self, scores: impl Fn(&'a SequenceScores) -> &'a Vec<Scores>) -> Option<Interval> {
        let of = |sequence: &&'a SequenceScores| {
            let asked = scores(sequence).iter().zip(&sequence.stale).filter(|(_, stale)| !stale.is_empty());
            asked.fold((0.0, 0.0), |(hits, n), (scores, stale)| (hits + f64::from(u8::from(stale.contains(&scores.predicted))), n + 1.0))
        };
        let (hits, asked): (Vec<f64>, Vec<f64>) = self.sequences.iter().map(of).unzip();
        self.bootstrap.share(&hits, &asked)
    }
}

impl EraseEffects {
    /// The effect of one run.
    pub fn run(&self, run: &EraseRun) -> Option<&RunEffect> {
        self.runs.iter().find(|found| found.run == *run)
    }

    /// The dose-response: factor and effect over all conditions, in order of the factor, the model as it is left out.
    pub fn doses(&self) -> Vec<(f64, &AnswerEffect)> {
        let dose = |run: &'_ EraseRun| if let EraseRun::Dose(factor) = run { Some(*factor) } else { None };
        let mut doses: Vec<_> = self.runs.iter().filter_map(|effect| Some((dose(&effect.run)?, &effect.all))).collect();
        doses.sort_by(|a, b| a.0.total_cmp(&b.0));
        doses
    }

    /// The head without whose erases the right answer loses most.
    pub fn strongest_head(&self) -> Option<(HeadId, &AnswerEffect)> {
        let heads = self.runs.iter().filter_map(|effect| match &effect.run {
            EraseRun::WithoutHead(at) => Some((*at, &effect.all)),
            _ => None,
        });
        heads.min_by(|a, b| a.1.gold.estimate.total_cmp(&b.1.gold.estimate))
    }

    /// What was found, in a few sentences.
    pub fn headline(&self) -> String {
        let Some(none) = self.run(&EraseRun::Dose(0.0)).map(|run| &run.all) else {
            return "Erases were not left out, so their effect is not known.".to_owned();
        };
        let mut said = format!(
            "Without any erase the right answer's log-probability changes by {} nats and accuracy goes from {} to {}",
            none.gold, self.accuracy, none.accuracy
        );
        if let Some(beyond) = &none.stale_above_foil {
            let verdict = against(
                beyond,
                0.0,
                "stale values gain more than never-written ones",
                "stale values gain less than never-written ones",
                "no difference was found between stale and never-written values",
            );
            said.push_str(&format!("; {verdict} (by {beyond} nats, {})", p_value(none.p_value)));
        }
        // A small dose leaves the model close to what it was trained to be.
        let mild = self.doses().into_iter().rev().find(|(factor, _)| *factor < 1.0 && *factor > 0.0);
        if let Some((factor, effect)) = mild
            && let Some(beyond) = &effect.stale_above_foil
        {
            said.push_str(&format!(
                ". At {factor} times its strength {} ({beyond} nats, {})",
                against(
                    beyond,
                    0.0,
                    "stale values gain more than never-written ones",
                    "stale values gain less than never-written ones",
                    "the two do not differ"
                ),
                p_value(effect.p_value)
            ));
        }
        if let Some(random) = self.run(&EraseRun::Address(Address::Random)).map(|run| &run.all) {
            said.push_str(&format!(". At random addresses with the same gates: {} nats, accuracy {}", random.gold, random.accuracy));
        }
        let gold = |run: &EraseRun| self.run(run).map(|run| run.all.gold);
        if let (Some(at), Some(away)) = (gold(&EraseRun::AtQuestions), gold(&EraseRun::AwayFromQuestions)) {
            said.push_str(&format!(
                ". Left out only where questions stand, where an erase shapes the very read that answers: {at} nats; only elsewhere, where it can but clean: {away} nats"
            ));
        }
        if let Some((at, effect)) = self.strongest_head() {
            said.push_str(&format!(". The erases of {at} carry most ({} nats without them)", effect.gold));
        }
        format!("{said}. Total effects over {}; a model without its erase is one it was not trained to be.", sequences(self.n_sequences))
    }
}

//! From erase events to one answer: which mattered, what they removed, and what the model would have said without them.
//!
//! Accounts are made where the model can be run again (`network`); here they are plain data with their words.

use serde::{Deserialize, Serialize};

use super::{EraseEvent, ScoreChange, Scores, StepWords};

/// What an account holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountOptions {
    /// Layers; `None` is all with an erase.
    pub layers: Option<Vec<usize>>,
    /// Heads; `None` is all.
    pub heads: Option<Vec<usize>>,
    /// Events that are told in full.
    pub top: usize,
    /// Writes named per event.
    pub writes: usize,
    /// Events among which pairs are looked at for interactions.
    pub paired: usize,
    /// Tokens the model may run for single knockouts: where all events fit, all are replayed; else those of the largest gradient. Without
    /// it as many as make 10^11 parameter-tokens: half a million for a model of 200,000 parameters.
    pub tokens: Option<usize>,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self { layers: None, heads: None, top: 5, writes: 3, paired: 4, tokens: None }
    }
}

/// The erase events behind one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerAccount {
    /// The sequence's place in the trace.
    pub batch: usize,
    /// The question's number in the sequence.
    pub question: usize,
    /// Step whose logits answer.
    pub step: usize,
    /// What is asked about.
    pub asked: String,
    /// The right answer.
    pub gold: String,
    /// The stale values; empty when nothing is stale.
    pub stale: String,
    /// The never-written foils beside them.
    pub foil: String,
    /// What the model answers.
    pub predicted: String,
    /// What the model says as it is.
    pub as_it_is: Scores,
    /// The facts before the answer.
    pub facts: Vec<StepWords>,
    /// Erase events up to the answer, in the layers and heads looked at.
    pub n_events: usize,
    /// Of these, how many were replayed one by one.
    pub n_replayed: usize,
    /// The events that change the margin most, most first.
    pub events: Vec<EventEffect>,
    /// Total effect of every single event that was replayed, by layer, head and step.
    pub map: Vec<EventTotal>,
    /// Every erase of the layers and heads looked at left out at once.
    pub all_erases: ScoreChange,
    /// The sum of the single knockouts that were replayed.
    pub sum_of_singles: ScoreChange,
    /// `all_erases` beyond the sum: what the events do only together. Only where every event was replayed.
    pub interaction: Option<ScoreChange>,
    /// All erases of one head left out.
    pub heads: Vec<HeadEffect>,
    /// Pairs of the top events: what two do beyond the sum of each.
    pub pairs: Vec<Interaction>,
}

/// An erase event and what the answer would be without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventEffect {
    /// The event, and what it removed.
    pub event: EraseEvent,
    /// Change of the margin without it, to first order (the gradient through the whole network); it only ranks.
    pub margin_estimate: Option<f64>,
    /// Without the event, the rest of the network run again.
    pub total: ScoreChange,
    /// Without the event in what the layer reads at the question's step alone.
    pub direct: ScoreChange,
    /// What the model would answer without it.
    pub predicted_without: String,
}

/// Total effect of one event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTotal {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// Step.
    pub step: usize,
    /// Without the event.
    pub total: ScoreChange,
}

/// All erases of one head left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadEffect {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// Without them.
    pub total: ScoreChange,
}

/// What two events do only together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// Places of the two in [`AnswerAccount::events`].
    pub events: (usize, usize),
    /// Both left out, minus each left out alone.
    pub interaction: ScoreChange,
}

impl AnswerAccount {
    /// The question and its answer in a sentence.
    pub fn headline(&self) -> String {
        let rival = if self.stale.is_empty() { String::new() } else { format!(", once {}", self.stale) };
        format!(
            "Sequence {}, question {}: {} ? at step {}. Right: {}{rival}. The model says {} (p(right) {}).",
            self.batch,
            self.question,
            self.asked,
            self.step,
            self.gold,
            self.predicted,
            probability(self.as_it_is.gold)
        )
    }

    /// The events, most important first, each in three sentences: what it removed, what the read would be without it, and the answer.
    pub fn events_told(&self) -> Vec<[String; 3]> {
        self.events.iter().map(|effect| [effect.event.what(), effect.event.without(), self.answer_without(effect)]).collect()
    }

    /// What all erases do together, in a sentence or two.
    pub fn together(&self) -> String {
        let all = &self.all_erases;
        let parts = match &self.interaction {
            Some(interaction) => format!(
                "One by one they would change the log-odds by {:+.2} in sum, together they do by {:+.2}: {:+.2} is interaction.",
                self.sum_of_singles.margin(),
                all.margin(),
                interaction.margin()
            ),
            None => format!("{} of them were replayed one by one, those of the largest gradient.", self.n_replayed),
        };
        format!("All {} erases left out at once: {}. {parts}", self.n_events, self.change(all))
    }

    /// The events and what they do together, a few sentences each.
    pub fn sentences(&self) -> Vec<String> {
        self.events_told().into_iter().map(|parts| parts.join(" ")).chain([self.together()]).collect()
    }

    fn answer_without(&self, effect: &EventEffect) -> String {
        let answer = if effect.predicted_without == self.predicted {
            String::new()
        } else {
            format!(" The answer would be {}.", effect.predicted_without)
        };
        let against = if self.as_it_is.stale.is_some() { "stale" } else { "never written" };
        format!(
            "Without it the model, run again: {}. Log-odds of right against {against}: {:+.2}, of which {:+.2} through this layer's read at the question alone.{answer}",
            self.change(&effect.total),
            effect.total.margin(),
            effect.direct.margin()
        )
    }

    /// `p(right) 0.93 -> 0.41, p(stale) 0.01 -> 0.52, p(foil) 0.00 -> 0.00`.
    fn change(&self, change: &ScoreChange) -> String {
        let as_it_is = &self.as_it_is;
        let moved = |name: &str, from: Option<f64>, by: Option<f64>| {
            Some(format!("p({name}) {} -> {} ({:+.2} nats)", probability(from?), probability(from? + by?), by?))
        };
        let parts = [
            moved("right", Some(as_it_is.gold), Some(change.gold)),
            moved("stale", as_it_is.stale, change.stale),
            moved("never written", as_it_is.foil, change.foil),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// A probability to three digits, from its logarithm.
pub fn probability(log: f64) -> String {
    let p = log.exp();
    if p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}

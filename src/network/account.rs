//! From erase events to one answer: which mattered, what they removed, and what the model would have said without them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::{Asked, Path, Run};
use super::{NetworkError, NetworkReplay};
use crate::intervene::{Change, EraseEvent, HeadRead, Intervention, ScoreChange, Scores, SequenceWords, Where};
use crate::task::Question;
use crate::trace::Trace;

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
    /// Tokens the model may run for single knockouts: where all events fit, all are replayed; else those of the largest gradient.
    pub tokens: usize,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self { layers: None, heads: None, top: 5, writes: 3, paired: 4, tokens: 1 << 19 }
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

impl NetworkReplay<'_> {
    /// The erase events behind one answer of a trace's sequence.
    pub fn account(&self, trace: &Trace, batch: usize, question: usize, options: &AccountOptions) -> Result<AnswerAccount, NetworkError> {
        let words = SequenceWords::of_trace(trace, batch)?;
        let asked_about = words.question(question)?.clone();
        let example = words.example.clone().unwrap_or_default();
        let asked = Asked { example: &example, sequence: batch as u64, questions: std::slice::from_ref(&asked_about) };
        let reads = HeadRead::of_trace(trace, batch, asked_about.position, options.layers.as_deref(), options.heads.as_deref())?;
        let gradients = self.margin_gradients(asked, 0)?;
        let mut events: Vec<(usize, usize)> =
            (0..reads.len()).flat_map(|place| (0..=asked_about.position).map(move |step| (place, step))).collect();
        let estimate = |&(place, step): &(usize, usize)| -> Option<f64> {
            let read: &HeadRead = &reads[place];
            let gradient = gradients.get(&read.layer)?.get((step, read.head)).copied()?;
            Some(-read.tape.strength(read.erase, step) * gradient)
        };
        let n_events = events.len();
        let affordable = options.tokens / (asked_about.position + 1);
        if affordable < n_events {
            events.sort_by(|a, b| estimate(b).unwrap_or(0.0).abs().total_cmp(&estimate(a).unwrap_or(0.0).abs()));
            events.truncate(affordable.max(options.top));
        }
        let without = |&(place, step): &(usize, usize)| Intervention::without_erase(reads[place].layer, reads[place].head, step);
        let singles = Scored::new(self, asked, events.iter().map(|event| vec![without(event)]).collect(), Path::Total)?;
        let totals: BTreeMap<(usize, usize), ScoreChange> = events.iter().copied().zip(singles.changes()).collect();
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by(|&a, &b| totals[&events[b]].margin().abs().total_cmp(&totals[&events[a]].margin().abs()));
        let top: Vec<usize> = order.into_iter().take(options.top).collect();
        let direct = top.iter().map(|&index| vec![without(&events[index])]).collect();
        let direct = Scored::new(self, asked, direct, Path::Direct(asked_about.position))?.changes();

        let everywhere = Intervention {
            change: Change::RemoveErase,
            at: Where { layers: Some(layers_of(&reads)), heads: options.heads.clone(), ..Where::default() },
        };
        let heads = reads.iter().map(|read| vec![Intervention { change: Change::RemoveErase, at: Where::head(read.layer, read.head) }]);
        let joint: Vec<Vec<Intervention>> = std::iter::once(vec![everywhere]).chain(heads).collect();
        let joint = Scored::new(self, asked, joint, Path::Total)?.changes();

        let paired = top.len().min(options.paired);
        let pairs: Vec<(usize, usize)> = (0..paired).flat_map(|a| (a + 1..paired).map(move |b| (a, b))).collect();
        let both = pairs.iter().map(|&(a, b)| vec![without(&events[top[a]]), without(&events[top[b]])]).collect();
        let both = Scored::new(self, asked, both, Path::Total)?.changes();
        let interaction = |(&(a, b), both): (&(usize, usize), ScoreChange)| {
            let parts = totals[&events[top[a]]].plus(&totals[&events[top[b]]]);
            Interaction { events: (a, b), interaction: both.beyond(&parts) }
        };

        let as_it_is = singles.as_it_is;
        let sum_of_singles = ScoreChange::sum(totals.values(), &as_it_is);
        let told = top.iter().zip(direct).map(|(&index, direct)| {
            let (place, step) = events[index];
            Ok(EventEffect {
                event: reads[place].event(step, options.writes, &words)?,
                margin_estimate: estimate(&events[index]),
                total: totals[&events[index]],
                direct,
                predicted_without: words.word(singles.runs[index].predicted),
            })
        });
        let map =
            totals.iter().map(|(&(place, step), &total)| EventTotal { layer: reads[place].layer, head: reads[place].head, step, total });
        Ok(AnswerAccount {
            batch,
            question,
            step: asked_about.position,
            asked: words.word(asked_about.key),
            gold: words.word(asked_about.gold),
            stale: words.any_of(&asked_about.stale),
            foil: words.any_of(asked_about.matched_foils()),
            predicted: words.word(as_it_is.predicted),
            as_it_is,
            n_events,
            n_replayed: events.len(),
            events: told.collect::<Result<_, NetworkError>>()?,
            map: map.collect(),
            all_erases: joint[0],
            sum_of_singles,
            interaction: (events.len() == n_events).then(|| joint[0].beyond(&sum_of_singles)),
            heads: reads.iter().zip(&joint[1..]).map(|(read, &total)| HeadEffect { layer: read.layer, head: read.head, total }).collect(),
            pairs: pairs.iter().zip(both).map(interaction).collect(),
        })
    }

    /// What a list of interventions does to one question: total effect, and the direct one through the question's own read.
    pub fn effect(
        &self,
        asked: Asked,
        interventions: &[Intervention],
        question: &Question,
    ) -> Result<(Scores, ScoreChange, ScoreChange), NetworkError> {
        let asked = Asked { questions: std::slice::from_ref(question), ..asked };
        let total = Scored::new(self, asked, vec![interventions.to_vec()], Path::Total)?;
        let direct = Scored::new(self, asked, vec![interventions.to_vec()], Path::Direct(question.position))?;
        Ok((total.as_it_is, total.changes()[0], direct.changes()[0]))
    }
}

fn layers_of(reads: &[HeadRead]) -> Vec<usize> {
    let mut layers: Vec<usize> = reads.iter().map(|read| read.layer).collect();
    layers.dedup();
    layers
}

/// One question under several lists of interventions.
struct Scored {
    as_it_is: Scores,
    runs: Vec<Scores>,
}

impl Scored {
    fn new(replay: &NetworkReplay, asked: Asked, lists: Vec<Vec<Intervention>>, path: Path) -> Result<Self, NetworkError> {
        let as_it_is = Run { asked, interventions: &[], path: Path::Total };
        let runs: Vec<Run> =
            std::iter::once(as_it_is).chain(lists.iter().map(|interventions| Run { asked, interventions, path })).collect();
        let mut scores = replay.scores(&runs)?.into_iter().filter_map(|scores| scores.into_iter().next());
        let as_it_is = scores.next().expect("one question was asked");
        Ok(Self { as_it_is, runs: scores.collect() })
    }

    fn changes(&self) -> Vec<ScoreChange> {
        self.runs.iter().map(|run| run.minus(&self.as_it_is)).collect()
    }
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

    /// The events, a sentence or two each, most important first; then what all do together.
    pub fn sentences(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.events.iter().map(|effect| self.sentence(effect)).collect();
        let all = &self.all_erases;
        lines.push(format!(
            "All {} erases left out at once: {}.{}",
            self.n_events,
            self.change(all),
            match &self.interaction {
                Some(interaction) => format!(
                    " Single knockouts add up to a change of the log-odds of {:+.2}, together they make {:+.2}: {:+.2} is interaction.",
                    self.sum_of_singles.margin(),
                    all.margin(),
                    interaction.margin()
                ),
                None => format!(" {} of the events were replayed one by one, those of the largest gradient.", self.n_replayed),
            }
        ));
        lines
    }

    fn sentence(&self, effect: &EventEffect) -> String {
        let answer = if effect.predicted_without == self.predicted {
            String::new()
        } else {
            format!(" The answer would be {}.", effect.predicted_without)
        };
        format!(
            "{}. Without it, the rest of the network run again: {}; through the question's own read alone, log p(right) {:+.3}.{answer}",
            effect.event,
            self.change(&effect.total),
            effect.direct.gold
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
fn probability(log: f64) -> String {
    let p = log.exp();
    if p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}

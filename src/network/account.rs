//! The account of one answer: ranked by one gradient, confirmed by replays.

use std::collections::BTreeMap;

use super::run::{Asked, Path, Run};
use super::{NetworkError, NetworkReplay};
use crate::intervene::{
    AccountOptions, AnswerAccount, Change, EventEffect, EventTotal, HeadEffect, HeadRead, Interaction, Intervention, ScoreChange, Scores,
    SequenceWords, Where,
};
use crate::task::Question;
use crate::trace::Trace;

/// Work that single knockouts of one answer may take where nothing else is said: parameters times tokens.
const PARAMETER_TOKENS: usize = 100_000_000_000;

impl NetworkReplay<'_> {
    /// The erase events behind one answer of a trace's sequence.
    pub fn account(&self, trace: &Trace, batch: usize, question: usize, options: &AccountOptions) -> Result<AnswerAccount, NetworkError> {
        let words = SequenceWords::of_trace(trace, batch)?;
        let words = match self.vocabulary {
            Some(vocabulary) => words.with_vocabulary(vocabulary),
            None => words,
        };
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
        let tokens = match options.tokens {
            Some(tokens) => tokens,
            None => PARAMETER_TOKENS / self.model.config().count()?.active.max(1),
        };
        let affordable = tokens / (asked_about.position + 1);
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
            facts: (0..=asked_about.position).map(|step| words.step(step)).filter(|step| step.fact.is_some()).collect(),
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

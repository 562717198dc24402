//! Facts that go stale: the headline task, under six conditions that share length, layout and token statistics.
//!
//! A sequence writes `pairs` facts. `updates` of them are then updated `changes` times, and what the update is depends on the
//! sequence's condition (K the key that is asked about at the end, V1 and V2 different values, for one change):
//!
//! | | condition | first | update | asked K | asked role | stale |
//! |---|---|---|---|---|---|---|
//! | A | overwrite | `K V1` | `K V2` | V2 | V2 | V1 |
//! | B | fresh key | `K' V1` | `K V2` | V2 | V2 | nothing (rival: V1) |
//! | C | explicit delete | `K V1` | `K DEL` | NONE | NONE | V1 |
//! | D | superseded elsewhere | `L V1` | `K V2` | V2 (L: NONE) | V2 | V1 |
//! | E | refresh | `K V1` | `K V1` | V1 | V1 | nothing |
//! | F | distractor | `K V1` | `V2 K` | V1 | V1 | nothing (rival: V2) |
//!
//! In D, L and K are two keys of one role (key `k` belongs to role `k / role_size`, in every sequence). A role is held by the key
//! of it that was written last, so the content of L goes stale when K is written, at another address. `Q ROLE` asks for the
//! value of whichever key holds the role. In the other conditions no two keys of a sequence share a role.
//!
//! The same index under another condition gives the twin: the same layout, keys, values and questions, differing only where the
//! table does.

use super::error::{in_range, is_share};
use super::interleave::{Slot, interleave};
use super::symbols::{Event, Symbols};
use super::{Condition, ConditionWeights, Draw, Example, Generator, TaskError, Vocabulary};
use serde::{Deserialize, Serialize};

/// Parameters of the `stale_facts` task. The default is the easy setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaleFacts {
    /// Tokens of a sequence (default 64).
    pub length: usize,
    /// Keys in the vocabulary (default 32), a multiple of `role_size`.
    pub keys: usize,
    /// Keys of one role (default 2): at least `changes + 1` when condition D can be drawn.
    pub role_size: usize,
    /// Values in the vocabulary (default 32).
    pub values: usize,
    /// Different filler words (default 8).
    pub filler_words: usize,
    /// Facts written first (default 6).
    pub pairs: usize,
    /// Facts that are updated (default 3).
    pub updates: usize,
    /// Updates of each of them (default 1).
    pub changes: usize,
    /// Questions at the end, about different facts, updated ones first (default 6).
    pub questions: usize,
    /// Questions in the middle (default 2).
    pub middle_questions: usize,
    /// Share of questions that ask by role instead of by key (default 0.25).
    pub role_share: f64,
    /// Share of questions that ask for the fact's former key, where it has one (default 0.25).
    pub former_share: f64,
    /// Never-written values listed with each question (default 4).
    pub foils: usize,
    /// How often each condition is drawn.
    pub conditions: ConditionWeights,
}

impl Default for StaleFacts {
    fn default() -> Self {
        Self {
            length: 64,
            keys: 32,
            role_size: 2,
            values: 32,
            filler_words: 8,
            pairs: 6,
            updates: 3,
            changes: 1,
            questions: 6,
            middle_questions: 2,
            role_share: 0.25,
            former_share: 0.25,
            foils: 4,
            conditions: ConditionWeights::default(),
        }
    }
}

impl StaleFacts {
    fn events(&self) -> usize {
        self.pairs + self.updates * self.changes + self.questions + self.middle_questions
    }

    pub(super) fn check(&self) -> Result<(), TaskError> {
        in_range("filler_words", self.filler_words, 1, usize::MAX, "")?;
        in_range("role_size", self.role_size, 1, usize::MAX, "")?;
        in_range("changes", self.changes, 1, usize::MAX, "")?;
        in_range("pairs", self.pairs, 1, usize::MAX, "")?;
        in_range("updates", self.updates, 0, self.pairs, "no more than there are pairs")?;
        in_range("questions", self.questions, 1, self.pairs, "each end question asks about another of the pairs")?;
        is_share("role_share", self.role_share)?;
        is_share("former_share", self.former_share)?;
        self.conditions.check()?;
        if !self.keys.is_multiple_of(self.role_size) {
            return Err(TaskError::parameter("keys", self.keys, format!("a multiple of role_size = {}", self.role_size)));
        }
        if self.role_share > 0.0 && self.role_size == 1 {
            return Err(TaskError::parameter("role_share", self.role_share, "0 when role_size is 1, for then there are no roles"));
        }
        if self.conditions.superseded_elsewhere > 0.0 && self.role_size <= self.changes {
            let wanted = format!("at least {} for condition D: one key of the role for each write of the fact", self.changes + 1);
            return Err(TaskError::parameter("role_size", self.role_size, wanted));
        }
        let fresh = if self.conditions.fresh_key > 0.0 { self.updates * self.changes } else { 0 };
        let why = "pairs, and in condition B a fresh key for each update, each in a role of its own";
        in_range("keys", self.keys, (self.pairs + fresh) * self.role_size, usize::MAX, why)?;
        let values = self.pairs + self.updates * self.changes + self.foils;
        in_range("values", self.values, values, usize::MAX, "all values of a sequence differ, and the foils are never written")?;
        let tokens = 2 * self.events() + self.updates * self.changes;
        in_range("length", self.length, tokens, usize::MAX, "two tokens an event and one filler before each update")
    }
}

/// The generator of checked parameters.
pub(super) struct SymbolicFacts {
    spec: StaleFacts,
    symbols: Symbols,
}

impl SymbolicFacts {
    pub fn new(spec: StaleFacts) -> Result<Self, TaskError> {
        spec.check()?;
        let symbols = Symbols::new(spec.filler_words, spec.keys, spec.role_size, spec.values);
        Ok(Self { spec, symbols })
    }
}

impl Generator for SymbolicFacts {
    fn vocabulary(&self) -> &Vocabulary {
        &self.symbols.vocabulary
    }

    fn conditions(&self) -> Vec<Condition> {
        self.spec.conditions.possible()
    }

    fn generate(&self, draw: &mut Draw, condition: Option<Condition>) -> Example {
        let plot = self.spec.plot(draw, condition);
        let padding = self.symbols.padding(draw, &plot.forced, self.spec.length);
        self.symbols.spell(plot.condition, &plot.events, &padding, &plot.rivals, &plot.foils)
    }
}

/// What happens in one sequence, before it is put into words.
pub(super) struct Plot {
    pub condition: Condition,
    pub events: Vec<Event>,
    /// How many fillers must stand before each event at least.
    pub forced: Vec<usize>,
    /// For each question: the values of the fact that stand in the sequence by then.
    pub rivals: Vec<Vec<usize>>,
    /// Values that stand nowhere.
    pub foils: Vec<usize>,
}

/// A fact and its history.
struct Chain {
    /// The keys of the fact's role, the one asked about last.
    members: Vec<usize>,
    /// Keys of other roles, for the earlier writes in condition B.
    fresh: Vec<usize>,
    values: Vec<usize>,
}

impl Chain {
    /// Write or update `step` (0: the first write) as the condition has it.
    fn event(&self, condition: Condition, step: usize) -> Event {
        let last = self.values.len() - 1;
        let (key, value) = (*self.members.last().expect("a role has a key"), self.values[step]);
        match condition {
            Condition::FreshKey if step < last => Event::Write { key: self.fresh[step], value },
            Condition::ExplicitDelete if step > 0 && step == last => Event::Delete { key },
            Condition::SupersededElsewhere => Event::Write { key: self.members[self.members.len() - 1 - (last - step)], value },
            Condition::Refresh => Event::Write { key, value: self.values[0] },
            Condition::Distractor if step > 0 => Event::Reversed { key, value },
            _ => Event::Write { key, value },
        }
    }

    /// The values that stand in the sequence after `steps` writes and updates.
    fn seen(&self, condition: Condition, steps: usize) -> Vec<usize> {
        let value = |step| match self.event(condition, step) {
            Event::Write { value, .. } | Event::Reversed { value, .. } => Some(value),
            Event::Delete { .. } | Event::Ask { .. } => None,
        };
        (0..steps).filter_map(value).collect()
    }
}

impl StaleFacts {
    /// Draws what happens. Every draw is made in the same order whatever the condition is: that makes the twins.
    pub(super) fn plot(&self, draw: &mut Draw, condition: Option<Condition>) -> Plot {
        let drawn = self.conditions.draw(draw);
        let condition = condition.unwrap_or(drawn);
        let (chains, foils) = self.draw_chains(draw);
        let lengths: Vec<usize> = chains.iter().map(|chain| chain.values.len()).collect();
        // Updated facts come first among the chains: they are asked about before the others are.
        let slots = interleave(draw, &lengths, self.middle_questions, (0..self.questions).collect());
        let mut plot = Plot { condition, events: vec![], forced: vec![], rivals: vec![], foils };
        for slot in slots {
            match slot {
                Slot::Step { history, step } => {
                    plot.events.push(chains[history].event(condition, step));
                    plot.forced.push(usize::from(step > 0));
                }
                Slot::Ask { history, steps } => {
                    let (by_role, former) = (draw.chance(self.role_share), draw.chance(self.former_share));
                    let step = if former && !by_role { steps.saturating_sub(2) } else { steps - 1 };
                    plot.events.push(Event::Ask { key: chains[history].event(condition, step).key(), by_role });
                    plot.forced.push(0);
                    plot.rivals.push(chains[history].seen(condition, steps));
                }
            }
        }
        plot
    }

    fn draw_chains(&self, draw: &mut Draw) -> (Vec<Chain>, Vec<usize>) {
        let Self { keys, role_size, values, pairs, updates, changes, foils, .. } = *self;
        let roles = keys / role_size;
        // Without condition B there may be fewer roles than it would need.
        let fresh = (updates * changes).min(roles - pairs);
        let mut role = draw.distinct(pairs + fresh, roles).into_iter();
        let own: Vec<usize> = role.by_ref().take(pairs).collect();
        let mut fresh = role.map(|role| (role, draw.below(role_size))).collect::<Vec<_>>().into_iter();
        let mut value = draw.distinct(pairs + updates * changes + foils, values).into_iter();
        let chains = own.into_iter().enumerate().map(|(chain, role)| {
            let changes = if chain < updates { changes } else { 0 };
            let members = draw.distinct(role_size, role_size).into_iter().map(|member| role * role_size + member).collect();
            let fresh = fresh.by_ref().take(changes).map(|(role, member)| role * role_size + member).collect();
            Chain { members, fresh, values: value.by_ref().take(changes + 1).collect() }
        });
        let chains = chains.collect();
        (chains, value.collect())
    }
}

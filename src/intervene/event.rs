//! Erase events: what each took away, and what a later read would be without it.

use serde::{Deserialize, Serialize};

use super::knockout::{Knockouts, Query, dot, knockouts, norm};
use super::words::{SequenceWords, StepWords};
use super::{HeadTape, InterveneError};
use crate::ledger::{HeadRecurrence, erased_at};
use crate::memory::{EditKind, Recurrence, Rule};
use crate::trace::Trace;

/// Steps between two memories kept of a tape.
const CHECKPOINT_EVERY: usize = 64;

/// One erase event, as one read meets it. All of it is exact, inside the layer with its inputs fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EraseEvent {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// Where it happened.
    pub at: StepWords,
    /// Steps from the event to the read; 0: it stands in the reading step itself, and shapes this very read.
    pub steps_before_read: usize,
    /// gamma; 1 for a rule whose erase has no strength of its own (RWKV-7).
    pub strength: f64,
    /// Length of the change of the read without the event, over the length of the read. In the layer's own output, before its norm.
    pub read_change: f64,
    /// What it removed, most first.
    pub removed: Vec<RemovedWrite>,
}

/// What an erase event took of one earlier write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovedWrite {
    /// The write.
    pub at: StepWords,
    /// Its part of all the event removed, by the ledger's removal energy (for an oblique erase: the energy of the vector taken away),
    /// in \[0, 1\].
    pub share: f64,
    /// How much of what was left of the write the event removed (squared length); below 0 where an oblique erase adds.
    pub removed: f64,
    /// The read's exact attention to the write as it is.
    pub attention: f64,
    /// The same without the event.
    pub attention_without: f64,
}

/// One head of one sequence of a trace up to a step, in f64, with every single-gate knockout of the read at that step.
pub struct HeadRead {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// The run.
    pub tape: HeadTape<f64>,
    /// The same head as the ledger reads it.
    ledger: HeadRecurrence<f64>,
    /// Of the output at the last step of the tape.
    pub knockouts: Knockouts<f64>,
    /// The erase among the edits.
    pub erase: usize,
}

impl HeadRead {
    /// Of chosen layers and heads that have an erase; each tape ends with `step`.
    pub fn of_trace(
        trace: &Trace,
        batch: usize,
        step: usize,
        layers: Option<&[usize]>,
        heads: Option<&[usize]>,
    ) -> Result<Vec<Self>, InterveneError> {
        if step >= trace.n_steps() {
            let available = format!("steps 0 to {}", trace.n_steps().saturating_sub(1));
            return Err(InterveneError::OutOfRange { what: "step", index: step, available });
        }
        for &layer in layers.unwrap_or_default() {
            let found = trace.layer(layer)?;
            if !found.rule.has_erase() {
                return Err(InterveneError::NoErase { layer, rule: found.rule });
            }
        }
        let mut reads = Vec::new();
        for layer in trace.layers().iter().filter(|layer| layer.rule.has_erase()) {
            if layers.is_some_and(|layers| !layers.contains(&layer.index)) {
                continue;
            }
            let recurrence = trace.factors(layer.index, batch..batch + 1, 0..step + 1)?.cast::<f64>().lower();
            let all: Vec<usize> = (0..layer.dims.head).collect();
            for &head in heads.unwrap_or(&all) {
                reads.push(Self::new(layer.index, (layer.rule, head), &recurrence, step)?);
            }
        }
        match (reads.is_empty(), trace.layers().first()) {
            (true, Some(layer)) => Err(InterveneError::NoErase { layer: layer.index, rule: layer.rule }),
            _ => Ok(reads),
        }
    }

    /// Of one head of a recurrence of one sequence, for the output at a step.
    pub fn new(layer: usize, (rule, head): (Rule, usize), recurrence: &Recurrence<f64>, step: usize) -> Result<Self, InterveneError> {
        let tape = HeadTape::new(recurrence, 0, head, CHECKPOINT_EVERY)?;
        let erase = tape.edit(EditKind::Erase).ok_or(InterveneError::NoErase { layer, rule })?;
        let knockouts = knockouts(&tape, &[Query::output(&tape, step)])?.remove(0);
        Ok(Self { layer, head, ledger: HeadRecurrence::new(recurrence, 0, head), tape, knockouts, erase })
    }

    /// The step that reads.
    pub const fn step(&self) -> usize {
        self.knockouts.query.step
    }

    /// For every step up to the read's, the length of its change without that step's erase, over its own length.
    pub fn read_changes(&self) -> Vec<f64> {
        let length = norm(self.tape.output(self.step())).max(f64::MIN_POSITIVE);
        self.knockouts.knockout_norms(&self.tape, self.erase).into_iter().map(|change| change / length).collect()
    }

    /// One event in full, with at most `n_writes` of what it removed.
    pub fn event(&self, step: usize, n_writes: usize, words: &SequenceWords) -> Result<EraseEvent, InterveneError> {
        let read_change = *self.read_changes().get(step).ok_or_else(|| InterveneError::OutOfRange {
            what: "step",
            index: step,
            available: format!("steps 0 to {}, as what comes later cannot change this read", self.step()),
        })?;
        Ok(EraseEvent {
            layer: self.layer,
            head: self.head,
            at: words.step(step),
            steps_before_read: self.step() - step,
            strength: self.tape.strength(self.erase, step),
            read_change,
            removed: self.removed(step, n_writes, words),
        })
    }

    /// What the erase of a step removed, by the ledger.
    fn removed(&self, step: usize, n_writes: usize, words: &SequenceWords) -> Vec<RemovedWrite> {
        let Some(taken) = erased_at(&self.ledger, step) else { return Vec::new() };
        let total: f64 = taken.energy.iter().sum();
        if total == 0.0 {
            return Vec::new();
        }
        let writes: Vec<usize> = (0..self.tape.edits().len()).filter(|&edit| edit != self.erase).collect();
        let mut order: Vec<usize> = (0..taken.read.len()).collect();
        order.sort_by(|&a, &b| taken.energy[b].total_cmp(&taken.energy[a]).then(a.cmp(&b)));
        let strength = self.tape.strength(self.erase, step);
        let reach = self.knockouts.edits[self.erase].reach[step];
        let direction = self.tape.direction(self.erase, step);
        let written = order.into_iter().take(n_writes).map(|write| {
            let place = self.ledger.place(write);
            let (edit, at, held) = (writes[place.number], place.step, taken.read[write]);
            let left = self.left_before_erase(edit, at, step);
            let lost: Vec<f64> = direction.iter().map(|&d| strength * held * d).collect();
            let energy = dot(&left, &left);
            let removed = 2.0 * dot(&left, &lost) - dot(&lost, &lost);
            let attention = self.knockouts.attention(&self.tape, edit, at);
            RemovedWrite {
                at: words.step(at),
                share: taken.energy[write] / total,
                removed: if energy > 0.0 { removed / energy } else { 0.0 },
                attention,
                attention_without: attention + strength * reach * held,
            }
        });
        written.collect()
    }

    /// What is left of a write when the erase of a step finds it, \[d_k\].
    fn left_before_erase(&self, edit: usize, write: usize, step: usize) -> Vec<f64> {
        let tape = &self.tape;
        let strength = tape.strength(edit, write);
        let mut left: Vec<f64> = tape.direction(edit, write).iter().map(|x| strength * x).collect();
        let mut before = vec![0.0; left.len()];
        for at in write..=step {
            if at > write {
                before.clone_from(&left);
                left.iter_mut().zip(tape.retention(at)).for_each(|(x, alpha)| *x *= alpha);
            }
            if at == step {
                break;
            }
            for number in (if at == write { edit + 1 } else { 0 })..tape.edits.len() {
                let Some(read) = tape.read(number, at) else { continue };
                let held = dot(if tape.reads_before_decay(number) { &before } else { &left }, read);
                let scale = tape.strength(number, at) * held;
                left.iter_mut().zip(tape.direction(number, at)).for_each(|(x, &d)| *x -= scale * d);
            }
        }
        left
    }
}

/// The events that change a read most, of some heads: (place in `reads`, step, change of the read), most first.
pub fn ranked(reads: &[HeadRead]) -> Vec<(usize, usize, f64)> {
    let each = reads
        .iter()
        .enumerate()
        .flat_map(|(place, read)| read.read_changes().into_iter().enumerate().map(move |(step, change)| (place, step, change)));
    let mut all: Vec<_> = each.collect();
    all.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    all
}

impl EraseEvent {
    /// What the event removed, in a sentence.
    pub fn what(&self) -> String {
        let Self { layer, head, at, strength, .. } = self;
        let mut said = format!("Layer {layer} head {head}, {at}: the erase (gamma {strength:.2})");
        let Some(first) = self.removed.first() else { return said + " found nothing to remove." };
        said += &format!(" removed {} of what was left of the write of {}", percent(first.removed), first.at);
        for other in self.removed.iter().skip(1).filter(|other| other.share >= 0.1).take(2) {
            said += &format!("; {} of {}", percent(other.removed), other.at);
        }
        said + "."
    }

    /// What the read would be without it, in a sentence.
    pub fn without(&self) -> String {
        let moved = percent(self.read_change);
        let own = if self.steps_before_read == 0 { "It stands in the reading step itself: it shapes this very read. " } else { "" };
        match self.removed.first() {
            None => format!("{own}Without it the head's read would move by {moved} of its length."),
            Some(first) => format!(
                "{own}Without it the head's read would move by {moved} of its length; its attention to the write of step {} would be {:+.3} instead of {:+.3}.",
                first.at.step, first.attention_without, first.attention
            ),
        }
    }
}

impl std::fmt::Display for EraseEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what(), self.without())
    }
}

fn percent(share: f64) -> String {
    if share.abs() < 0.0005 {
        "under 0.1 %".to_owned()
    } else if share.abs() < 0.0995 {
        format!("{:.1} %", 100.0 * share)
    } else {
        format!("{:.0} %", 100.0 * share)
    }
}

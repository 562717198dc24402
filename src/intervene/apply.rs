//! Interventions made: factors of a layer become the recurrence that the changed memory runs.
//!
//! Everything is still "a decay, then an ordered list of corrective rank-one edits", so the engines run it as they run any rule:
//! a write that is retracted or a key that is forgotten is one more edit at its step.

use ndarray::{Array3, Array4, s};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::carry::{carry, unit};
use super::forget::least_change;
use super::{Address, Change, InterveneError, Intervention, Replacement};
use crate::memory::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Rule, Scalar, Shared3, Shared4};
use crate::task::random::stream;

/// One sequence among those of some factors: what is changed in it, and what is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// What is changed, in this order.
    pub interventions: &'a [Intervention],
    /// The sequence's number: random addresses and exchanges depend on it, on the layer, the head and the seed, on nothing else.
    pub sequence: u64,
    /// Which writes went stale and when, for [`Address::Superseded`].
    pub superseded: &'a [Superseded],
}

/// A write that is no longer true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// Step of the write.
    pub write: usize,
    /// Step from which it is stale.
    pub from: usize,
}

/// Which layer, from which step on, under which seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The layer's number in the model.
    pub layer: usize,
    /// Step of the sequences at which the factors start.
    pub position: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// The recurrence of a layer whose memory is changed, one [`Row`] per sequence of the factors. Without interventions on this layer
/// it is `factors.lower()`.
///
/// Exchanges between steps stay within the block of steps given.
pub fn apply<F: Scalar>(factors: &Factors<F>, place: Place, rows: &[Row]) -> Result<Recurrence<F>, InterveneError> {
    let dims = factors.dims();
    if rows.len() != dims.batch {
        return Err(InterveneError::Rows { found: rows.len(), wanted: dims.batch });
    }
    let mut changed = Changed { factors, place, recurrence: factors.lower() };
    for (batch, row) in rows.iter().enumerate() {
        for intervention in row.interventions.iter().filter(|intervention| intervention.at.has_layer(place.layer)) {
            intervention.check()?;
            if let Some(head) = intervention.at.heads.iter().flatten().find(|&&head| head >= dims.head) {
                let available = format!("heads 0 to {} of layer {}", dims.head - 1, place.layer);
                return Err(InterveneError::OutOfRange { what: "head", index: *head, available });
            }
            if intervention.change.needs_erase() && !factors.rule().has_erase() {
                if intervention.at.layers.is_some() {
                    return Err(InterveneError::NoErase { layer: place.layer, rule: factors.rule() });
                }
                continue;
            }
            for head in (0..dims.head).filter(|&head| intervention.at.has_head(head)) {
                changed.make(intervention, row, batch, head)?;
            }
        }
    }
    Ok(changed.recurrence)
}

struct Changed<'a, F: Scalar> {
    factors: &'a Factors<F>,
    place: Place,
    recurrence: Recurrence<F>,
}

impl<F: Scalar> Changed<'_, F> {
    fn make(&mut self, intervention: &Intervention, row: &Row, batch: usize, head: usize) -> Result<(), InterveneError> {
        let position = self.place.position;
        let n_steps = self.recurrence.dims.step;
        let steps: Vec<usize> = (0..n_steps).filter(|step| intervention.at.has_step(position + step)).collect();
        match &intervention.change {
            Change::ScaleErase { factor } => self.scale(EditKind::is_erase, *factor, batch, head, &steps),
            Change::RemoveErase => self.scale(EditKind::is_erase, 0.0, batch, head, &steps),
            Change::RemoveWrite => self.scale(|kind| !kind.is_erase(), 0.0, batch, head, &steps),
            Change::NoDecay => {
                widen(&mut self.recurrence.retention, self.recurrence.dims.head);
                for &step in &steps {
                    self.recurrence.retention.slice_mut(s![batch, step, head, ..]).fill(F::one());
                }
            }
            Change::EraseAddress { address } => self.redirect(*address, row, batch, head, &steps)?,
            Change::Retract { write } => {
                for &step in &steps {
                    let write = self.here(*write, step)?;
                    self.retract(write, step, batch, head);
                }
            }
            Change::ForgetKey { write, ridge } => {
                for &step in &steps {
                    let write = self.here(*write, step)?;
                    self.forget(write, step, *ridge, batch, head);
                }
            }
            Change::ReplaceValue { write, value } => {
                if (position..position + n_steps).contains(write) {
                    self.replace(write - position, value, batch, head)?;
                }
            }
        }
        Ok(())
    }

    /// The step of a write within this block.
    fn here(&self, write: usize, step: usize) -> Result<usize, InterveneError> {
        write.checked_sub(self.place.position).ok_or(InterveneError::EarlierBlock { write, step: self.place.position + step })
    }

    /// Multiplies the strengths of some edits.
    fn scale(&mut self, wanted: impl Fn(EditKind) -> bool, factor: f64, batch: usize, head: usize, steps: &[usize]) {
        let dims = self.recurrence.dims;
        let factor = F::from(factor).expect("floats convert to floats");
        for edit in self.recurrence.edits.iter_mut().filter(|edit| wanted(edit.kind)) {
            let strength = edit.strength.get_or_insert_with(|| Array3::ones((dims.batch, dims.step, dims.head)).into_shared());
            for &step in steps {
                strength[[batch, step, head]] *= factor;
            }
        }
    }

    /// Moves the erase to other places.
    fn redirect(&mut self, address: Address, row: &Row, batch: usize, head: usize, steps: &[usize]) -> Result<(), InterveneError> {
        let dims = self.recurrence.dims;
        let learned = self.factors.channels(HookPoint::EraseDirection);
        let key_head = dims.key_head_of(head);
        let own = |step: usize, key_head: usize| learned.slice(s![batch, step, key_head, ..]).iter().map(to_f64).collect::<Vec<_>>();
        let domain = |what: &str| format!("intervene/{what}/{}/{head}", self.place.layer);
        let mut order: Vec<usize> = (0..dims.step).collect();
        if address == Address::ShuffledSteps {
            order.shuffle(&mut stream(self.place.seed, &domain("steps"), row.sequence));
        }
        if address == Address::ShuffledHeads && dims.key_head < 2 {
            let reason = format!("layer {} has one key head: there is no other to take directions from", self.place.layer);
            return Err(InterveneError::Spec(reason));
        }
        let mut moved = Vec::with_capacity(steps.len());
        for &step in steps {
            // One stream per step, so that a sequence run in blocks draws what it would draw in one.
            let mut random = stream(self.place.seed, &domain("address"), (row.sequence << 32) + (self.place.position + step) as u64);
            let key = |step: usize| {
                let keys = self.factors.channels(HookPoint::WriteDirection(0));
                unit(keys.slice(s![batch, step, key_head, ..]).iter().map(to_f64).collect())
            };
            moved.push(match address {
                Address::Write => key(step),
                Address::Query => unit(self.recurrence.lane(&self.recurrence.query, batch, step, head).iter().map(to_f64).collect()),
                Address::Random => unit((0..dims.d_k).map(|_| normal(&mut random)).collect()),
                Address::ShuffledSteps => own(order[step], key_head),
                Address::ShuffledHeads => own(step, (key_head + random.random_range(1..dims.key_head)) % dims.key_head),
                Address::Superseded => {
                    let at = self.place.position + step;
                    let latest = row.superseded.iter().filter(|stale| stale.from <= at).max_by_key(|stale| (stale.from, stale.write));
                    match latest {
                        None => own(step, key_head),
                        Some(stale) => key(stale
                            .write
                            .checked_sub(self.place.position)
                            .ok_or(InterveneError::EarlierBlock { write: stale.write, step: at })?),
                    }
                }
            });
        }
        // RWKV-7 lands at its removal key gated per channel, and reads at the key itself.
        let gate = (self.factors.rule() == Rule::Rwkv7).then(|| self.factors.channels(HookPoint::EraseGate));
        let edit = self.recurrence.edits.iter_mut().find(|edit| edit.kind.is_erase()).expect("the rule has an erase");
        widen(&mut edit.direction, dims.head);
        if let Read::Other(read) | Read::BeforeDecay(read) = &mut edit.read {
            widen(read, dims.head);
        }
        for (&step, direction) in steps.iter().zip(moved) {
            for (channel, x) in direction.into_iter().enumerate() {
                let at = [batch, step, head, channel];
                let x = F::from(x).expect("floats convert to floats");
                edit.direction[at] = gate.as_ref().map_or(x, |gate| gate[at] * x);
                if let Read::Other(read) | Read::BeforeDecay(read) = &mut edit.read {
                    read[at] = x;
                }
            }
        }
        Ok(())
    }

    /// One more edit for each write of the step: `S <- S - u v^T`.
    fn retract(&mut self, write: usize, step: usize, batch: usize, head: usize) {
        let writes: Vec<usize> =
            (0..self.recurrence.edits.len()).filter(|&edit| is_write(&self.recurrence.edits[edit]) && !is_added(edit, self)).collect();
        for edit in writes {
            let left = carry(&self.recurrence, (batch, head), (write, edit), step);
            let Some(value) = self.recurrence.edits[edit].value.clone() else { continue };
            let value: Vec<F> = self.recurrence.lane(&value, batch, write, head).to_vec();
            let direction: Vec<f64> = left.into_iter().map(|x| -x).collect();
            self.add(batch, step, head, &direction, None, Some(&value));
        }
    }

    /// One more edit that leaves nothing at a key.
    fn forget(&mut self, write: usize, step: usize, ridge: f64, batch: usize, head: usize) {
        let own_edits = 0..self.n_own_edits();
        let key = |edit: usize, at: usize| -> Vec<f64> {
            self.recurrence.lane(&self.recurrence.edits[edit].direction, batch, at, head).iter().map(to_f64).collect()
        };
        let writes: Vec<usize> = own_edits.filter(|&edit| is_write(&self.recurrence.edits[edit])).collect();
        let forgotten: Vec<Vec<f64>> = writes.iter().map(|&edit| key(edit, write)).collect();
        let others: Vec<Vec<f64>> = (0..=step)
            .filter(|&at| at != write)
            .flat_map(|at| writes.iter().map(move |&edit| (edit, at)))
            .map(|(e, at)| key(e, at))
            .collect();
        for forgotten in forgotten {
            let direction: Vec<f64> = least_change(&forgotten, &others, ridge);
            self.add(batch, step, head, &direction, Some(&forgotten), None);
        }
    }

    fn replace(&mut self, write: usize, value: &Replacement, batch: usize, head: usize) -> Result<(), InterveneError> {
        let dims = self.recurrence.dims;
        for index in 0..self.factors.rule().n_writes() {
            let values = self.factors.channels(HookPoint::Value(index));
            let new: Vec<F> = match value {
                Replacement::OfStep(other) => {
                    let available = || format!("steps {} to {}", self.place.position, self.place.position + dims.step - 1);
                    let here = other.checked_sub(self.place.position).filter(|&other| other < dims.step);
                    let here = here.ok_or_else(|| InterveneError::OutOfRange { what: "step", index: *other, available: available() })?;
                    values.slice(s![batch, here, head, ..]).to_vec()
                }
                Replacement::Given(value) if value.len() == dims.d_v => {
                    value.iter().map(|&x| F::from(x).expect("floats convert to floats")).collect()
                }
                Replacement::Given(value) => {
                    return Err(InterveneError::Spec(format!("`value` has {} numbers, but a value has {}", value.len(), dims.d_v)));
                }
            };
            let gate = (self.factors.rule() == Rule::Gdn2).then(|| self.factors.channels(HookPoint::ValueGate));
            let kind = EditKind::Write(index);
            let edit = self.recurrence.edits.iter_mut().find(|edit| edit.kind == kind).expect("the rule has this write");
            let written = edit.value.as_mut().expect("every write has a value");
            for (channel, x) in new.into_iter().enumerate() {
                let at = [batch, write, head, channel];
                written[at] = gate.as_ref().map_or(x, |gate| gate[at] * x);
            }
        }
        Ok(())
    }

    /// Edits of the rule itself; those after them were added by interventions.
    fn n_own_edits(&self) -> usize {
        usize::from(self.factors.rule().has_erase()) + usize::from(self.factors.rule().n_writes())
    }

    /// Puts an edit at the end of one step of one head, into a slot that is still free there, or a new one.
    fn add(&mut self, batch: usize, step: usize, head: usize, direction: &[f64], read: Option<&[f64]>, value: Option<&[F]>) {
        let dims = self.recurrence.dims;
        let at = [batch, step, head];
        let first = self.n_own_edits();
        let is_free = |edit: &Edit<F>| {
            edit.strength.as_ref().is_some_and(|strength| strength[at] == F::zero()) && edit.value.is_some() == value.is_some()
        };
        // The edits of a step are made in order: a free slot counts only behind the last one taken.
        let edits = &self.recurrence.edits;
        let taken = (first..edits.len()).rev().find(|&index| edits[index].strength.as_ref().is_some_and(|x| x[at] != F::zero()));
        let from = taken.map_or(first, |taken| taken + 1);
        let slot = (from..edits.len()).find(|&index| is_free(&edits[index])).unwrap_or_else(|| {
            let zeros = |width: usize| -> Shared4<F> { Array4::zeros((dims.batch, dims.step, dims.head, width)).into_shared() };
            let none: Shared3<F> = Array3::zeros((dims.batch, dims.step, dims.head)).into_shared();
            self.recurrence.edits.push(Edit {
                kind: EditKind::Write((self.recurrence.edits.len() - first) as u8 + self.factors.rule().n_writes()),
                strength: Some(none),
                direction: zeros(dims.d_k),
                read: if read.is_some() { Read::Other(zeros(dims.d_k)) } else { Read::Nothing },
                value: value.is_some().then(|| zeros(dims.d_v)),
            });
            self.recurrence.edits.len() - 1
        });
        let edit = &mut self.recurrence.edits[slot];
        if let Some(strength) = &mut edit.strength {
            strength[at] = F::one();
        }
        put(&mut edit.direction, at, direction.iter().map(|&x| F::from(x).expect("floats convert to floats")));
        if let (Read::Other(array), Some(read)) = (&mut edit.read, read) {
            put(array, at, read.iter().map(|&x| F::from(x).expect("floats convert to floats")));
        }
        if let (Some(array), Some(value)) = (&mut edit.value, value) {
            put(array, at, value.iter().copied());
        }
    }
}

impl EditKind {
    fn is_erase(self) -> bool {
        self == Self::Erase
    }
}

fn is_write<F: Scalar>(edit: &Edit<F>) -> bool {
    !edit.kind.is_erase()
}

fn is_added<F: Scalar>(edit: usize, changed: &Changed<F>) -> bool {
    edit >= changed.n_own_edits()
}

fn put<F: Scalar>(array: &mut Shared4<F>, [batch, step, head]: [usize; 3], lane: impl Iterator<Item = F>) {
    array.slice_mut(s![batch, step, head, ..]).iter_mut().zip(lane).for_each(|(to, x)| *to = x);
}

/// One entry per head where there was one per key head.
fn widen<F: Scalar>(array: &mut Shared4<F>, n_heads: usize) {
    let (batch, step, found, width) = array.dim();
    if found != n_heads {
        let wide = Array4::from_shape_fn((batch, step, n_heads, width), |(b, t, h, c)| array[[b, t, h * found / n_heads, c]]);
        *array = wide.into_shared();
    }
}

fn to_f64<F: Scalar>(x: &F) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

/// A standard normal number (Box and Muller).
fn normal(stream: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - stream.random::<f64>(), stream.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

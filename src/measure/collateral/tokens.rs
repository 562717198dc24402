//! The core: what the erase does to the reads of one sequence of one layer.

use ndarray::{Array2, Array4, ArrayView1};
use rayon::prelude::*;

use super::{Address, CollateralOptions, Trajectory};
use crate::measure::counterfactual::{random_addresses, shuffled_addresses, with_addresses};
use crate::measure::gates::Gates;
use crate::measure::replay::{Replay, dot, energy, read, square};
use crate::measure::source::LayerInfo;
use crate::memory::{Factors, HookPoint, Read, Recurrence};
use crate::task::random;

/// Every address on every trajectory, in the order of a report.
pub(super) const VARIANTS: [(Address, Trajectory); 8] = [
    (Address::Learned, Trajectory::FullReplay),
    (Address::Random, Trajectory::FullReplay),
    (Address::HeadShuffled, Trajectory::FullReplay),
    (Address::WriteDirection, Trajectory::FullReplay),
    (Address::Learned, Trajectory::LocalStep),
    (Address::Random, Trajectory::LocalStep),
    (Address::HeadShuffled, Trajectory::LocalStep),
    (Address::WriteDirection, Trajectory::LocalStep),
];

/// The place of a variant in [`VARIANTS`].
pub(super) fn place_of(address: Address, trajectory: Trajectory) -> usize {
    VARIANTS.iter().position(|&variant| variant == (address, trajectory)).expect("all variants are listed")
}

/// Sums over tokens.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub n_tokens: f64,
    /// |delta o| / |o|.
    pub perturbation: f64,
    /// |delta o|.
    pub change: f64,
    /// |o|.
    pub read: f64,
    /// gamma.
    pub strength: f64,
    /// |q.e|.
    pub overlap: f64,
    /// |S^^T e| / |S^^T q|.
    pub content: f64,
    /// Tokens that find energy.
    pub n_energies: f64,
    pub energy_at_address: f64,
    pub removed_energy: f64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.n_tokens += other.n_tokens;
        self.perturbation += other.perturbation;
        self.change += other.change;
        self.read += other.read;
        self.strength += other.strength;
        self.overlap += other.overlap;
        self.content += other.content;
        self.n_energies += other.n_energies;
        self.energy_at_address += other.energy_at_address;
        self.removed_energy += other.removed_energy;
    }
}

/// The sums of one sequence (batch 1), one per head; variants that do not exist (a shuffle of one key head) stay empty.
pub(super) fn sequence(
    info: &LayerInfo,
    sequence: usize,
    factors: &Factors<f32>,
    options: &CollateralOptions,
) -> Vec<[Tally; VARIANTS.len()]> {
    let stream = |address: Address| {
        let domain = format!("measure/collateral/{address:?}/layer {}", info.layer);
        random::stream(options.statistics.seed, &domain, sequence as u64)
    };
    let directions = |address: Address| -> Option<Array4<f32>> {
        match address {
            Address::Learned => Some(factors.channels(HookPoint::EraseDirection).to_owned()),
            Address::Random => Some(random_addresses(factors, &mut stream(address))),
            Address::HeadShuffled => shuffled_addresses(factors, options.head_shuffle, &mut stream(address)),
            Address::WriteDirection => Some(factors.channels(HookPoint::WriteDirection(0)).to_owned()),
        }
    };
    let erases: Vec<(Address, Erase)> =
        Address::ALL.into_iter().filter_map(|address| Some((address, Erase::new(with_addresses(factors, directions(address)?))))).collect();
    let head = |head: usize| {
        let mut tallies = [Tally::default(); VARIANTS.len()];
        for (address, erase) in &erases {
            // A counterfactual run is also looked at where it drives its own states; the model's run is looked at by all.
            let observers = [(*address, erase)];
            let (observers, trajectory) = if *address == Address::Learned {
                (erases.iter().map(|(address, erase)| (*address, erase)).collect::<Vec<_>>(), Trajectory::LocalStep)
            } else {
                (observers.to_vec(), Trajectory::FullReplay)
            };
            erase.replay.visit_decayed(head, erase.reads_before_decay(), |step, before, decayed| {
                let found = Found::new(erase, head, step, before, decayed);
                for (address, observer) in &observers {
                    tallies[place_of(*address, trajectory)].add(&observer.tally(head, step, &found));
                }
            });
        }
        // At its own address the model's trajectory is the replay.
        tallies[place_of(Address::Learned, Trajectory::FullReplay)] = tallies[place_of(Address::Learned, Trajectory::LocalStep)];
        tallies
    };
    (0..info.dims.head).into_par_iter().map(head).collect()
}

/// The memory just before an erase, and the read there.
struct Found<'a> {
    before: &'a Array2<f32>,
    decayed: &'a Array2<f32>,
    /// |S^|_F^2.
    energy: f64,
    /// |S^^T q|.
    read: f64,
}

impl<'a> Found<'a> {
    fn new(erase: &Erase, head: usize, step: usize, before: &'a Array2<f32>, decayed: &'a Array2<f32>) -> Self {
        let recurrence = erase.replay.recurrence();
        let output = read(decayed, recurrence.lane(&recurrence.query, 0, step, head));
        Self { before, decayed, energy: energy(decayed), read: square(&output).sqrt() }
    }
}

/// The erases of one sequence at one kind of address.
struct Erase {
    replay: Replay,
    /// gamma, [step, head].
    strength: Array2<f64>,
    /// e, [1, step, key_head, d_k].
    direction: Array4<f32>,
}

impl Erase {
    fn new(factors: Factors<f32>) -> Self {
        let direction = factors.channels(HookPoint::EraseDirection).to_owned();
        Self { replay: Replay::new(&factors), strength: Gates::of(&factors).erase, direction }
    }

    fn recurrence(&self) -> &Recurrence<f32> {
        self.replay.recurrence()
    }

    fn reads_before_decay(&self) -> bool {
        let erase = self.replay.erase().expect("the layer has an erase");
        matches!(self.recurrence().edits[erase].read, Read::BeforeDecay(_))
    }

    /// What this erase does to the memory found.
    fn tally(&self, head: usize, step: usize, found: &Found) -> Tally {
        let recurrence = self.recurrence();
        let edit = &recurrence.edits[self.replay.erase().expect("the layer has an erase")];
        let lane = |array| recurrence.lane(array, 0, step, head);
        let landing = lane(&edit.direction); // u
        let (memory, at) = match &edit.read {
            Read::Direction | Read::Nothing => (found.decayed, landing),
            Read::Other(read) => (found.decayed, lane(read)),
            Read::BeforeDecay(read) => (found.before, lane(read)),
        };
        let held = read(memory, at); // S^T c
        let strength = edit.strength.as_ref().map_or(1.0, |strength| f64::from(strength[[0, step, head]]));
        let content = square(&held).sqrt();
        let query = lane(&recurrence.query);
        let change = strength * dot(query, landing).abs() * content; // |delta o| = strength |q.u| |S^T c|

        let mut tally = Tally::default();
        if found.read > 0.0 {
            let direction = self.direction.slice(ndarray::s![0, step, head * self.direction.shape()[2] / recurrence.dims.head, ..]);
            tally = Tally {
                n_tokens: 1.0,
                perturbation: change / found.read,
                change,
                read: found.read,
                strength: self.strength[[step, head]],
                overlap: dot(query, direction).abs(),
                content: content / found.read,
                ..tally
            };
        }
        let at_square = square(at);
        if found.energy > 0.0 && at_square > 0.0 {
            tally.n_energies = 1.0;
            tally.energy_at_address = content * content / (at_square * found.energy);
            tally.removed_energy = removed(strength, landing, &held, &edit.read, found.decayed) / found.energy;
        }
        tally
    }
}

/// |S^|^2 - |S^ + u a^T|^2 with a = -strength held.
fn removed(strength: f64, landing: ArrayView1<f32>, held: &[f32], reads: &Read<f32>, decayed: &Array2<f32>) -> f64 {
    // 2 a.(S^^T u) + |u|^2 |a|^2, and S^^T u is what was read where an erase lands where it reads.
    let across = match reads {
        Read::Direction => square(held),
        _ => dot(ArrayView1::from(held), ArrayView1::from(&read(decayed, landing))),
    };
    2.0 * strength * across - square(landing) * strength * strength * square(held)
}

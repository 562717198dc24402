//! One memory at one step, in every phase, for a person who looks at it.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::MeasureError;
use crate::memory::Phase;
use crate::trace::Trace;

/// The memory of one head at one step, in the order of [`Phase::ALL`], each [d_k, d_v].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMemories {
    /// Before, after decay, after the erase, after the write.
    pub phases: [Array2<f32>; 4],
    /// |S|_F of each phase.
    pub norms: [f64; 4],
}

impl StepMemories {
    /// The memory in a phase.
    pub fn phase(&self, phase: Phase) -> &Array2<f32> {
        &self.phases[place(phase)]
    }

    /// What a phase changed: the memory in it minus the memory in the phase before. Nothing happens before the first.
    pub fn change(&self, phase: Phase) -> Array2<f32> {
        match place(phase) {
            0 => Array2::zeros(self.phases[0].dim()),
            index => &self.phases[index] - &self.phases[index - 1],
        }
    }

    /// |S|_F in a phase.
    pub fn norm(&self, phase: Phase) -> f64 {
        self.norms[place(phase)]
    }
}

/// Root mean square by row and by column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profiles {
    /// By key channel, \[d_k\].
    pub rows: Vec<f64>,
    /// By value channel, \[d_v\].
    pub columns: Vec<f64>,
    /// The largest absolute entry that is finite; 0 if there is none.
    pub largest: f64,
    /// Entries that are not finite.
    pub not_finite: usize,
}

/// Reads or replays a memory in all four phases of a step.
pub fn step_memories(trace: &Trace, layer: usize, head: usize, sequence: usize, step: usize) -> Result<StepMemories, MeasureError> {
    let phases = trace.memories_of_step(layer, head, sequence, step)?;
    let norms = phases.each_ref().map(|memory| memory.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt());
    Ok(StepMemories { phases, norms })
}

/// Profiles of a memory, or of a difference of two.
pub fn profiles(memory: &Array2<f32>) -> Profiles {
    let finite = |x: &&f32| x.is_finite();
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let rms = |lane: ndarray::ArrayView1<f32>| {
        let n = lane.iter().filter(finite).count().max(1);
        (lane.iter().filter(finite).map(square).sum::<f64>() / n as f64).sqrt()
    };
    Profiles {
        rows: memory.rows().into_iter().map(rms).collect(),
        columns: memory.columns().into_iter().map(rms).collect(),
        largest: memory.iter().filter(finite).map(|x| f64::from(x.abs())).fold(0.0, f64::max),
        not_finite: memory.iter().filter(|x| !x.is_finite()).count(),
    }
}

fn place(phase: Phase) -> usize {
    Phase::ALL.iter().position(|other| *other == phase).expect("all phases are listed")
}

//! Any memory in any phase, replayed from the nearest checkpoint, bit for bit as the engine had it.

use std::ops::Range;

use ndarray::{Array2, Array5, ArrayView2, Ix2, s};

use super::landing::{Landing, landings};
use super::{Trace, TraceError};
use crate::memory::{EditKind, Factors, HookPoint, Phase, Recording, replay};

/// What a replay of some steps of one head needs.
pub(super) struct HeadSteps {
    /// [step, d_k].
    retention: Array2<f32>,
    /// In the order of the update: direction [step, d_k] and pseudo-value [step, d_v].
    edits: Vec<(EditKind, Array2<f32>, Array2<f32>)>,
}

impl HeadSteps {
    /// From a block in memory; `steps` count from the block's start.
    pub fn of_block(
        factors: &Factors<f32>,
        recording: &Recording,
        landings: &[Landing],
        batch: usize,
        head: usize,
        steps: Range<usize>,
    ) -> Self {
        let key_head = factors.dims().key_head_of(head);
        let lanes = |point: HookPoint| {
            let array = factors.channels(point);
            let head = if array.shape()[2] == factors.dims().head { head } else { key_head };
            array.slice(s![batch, steps.clone(), head, ..]).to_owned()
        };
        let edits = landings.iter().filter_map(|landing| {
            let pseudo = &recording.pseudo_values.iter().find(|(kind, _)| *kind == landing.kind)?.1;
            let direction = lanes(landing.direction);
            let direction = landing.gate.map_or_else(|| direction.clone(), |gate| &direction * &lanes(gate));
            Some((landing.kind, direction, pseudo.slice(s![batch, steps.clone(), head, ..]).to_owned()))
        });
        Self { edits: edits.collect(), retention: lanes(HookPoint::Retention) }
    }

    /// From a trace.
    fn of_trace(trace: &Trace, layer: usize, head: usize, batch: usize, steps: Range<usize>) -> Result<Self, TraceError> {
        let rule = trace.layer(layer)?.rule;
        let lanes = |point: HookPoint| trace.lanes(layer, point, head, batch, steps.clone());
        let mut edits = Vec::new();
        for landing in landings(rule) {
            let mut direction = lanes(landing.direction)?;
            if let Some(gate) = landing.gate {
                direction *= &lanes(gate)?;
            }
            edits.push((landing.kind, direction, lanes(landing.kind.pseudo_value())?));
        }
        Ok(Self { retention: lanes(HookPoint::Retention)?, edits })
    }

    /// Takes a memory from one phase of a step to a later phase of it.
    pub fn advance(&self, memory: &mut Array2<f32>, step: usize, from: Phase, to: Phase) {
        if from == Phase::Before && to > Phase::Before {
            replay::decay(memory.view_mut(), self.retention.row(step));
        }
        for (kind, direction, pseudo_value) in &self.edits {
            let phase = if *kind == EditKind::Erase { Phase::Erase } else { Phase::Write };
            if from < phase && phase <= to {
                replay::edit(memory.view_mut(), direction.row(step), pseudo_value.row(step));
            }
        }
    }
}

/// The memories found before these steps of a block, [batch, checkpoint, head, d_k, d_v], replayed from the block's own
/// checkpoints.
pub(super) fn checkpoints(factors: &Factors<f32>, recording: &Recording, steps: &[usize]) -> Array5<f32> {
    let dims = factors.dims();
    let landings = landings(factors.rule());
    let mut all = Array5::zeros((dims.batch, steps.len(), dims.head, dims.d_k, dims.d_v));
    for (slot, &step) in steps.iter().enumerate() {
        let nearest = recording.checkpoint_steps.partition_point(|&start| start <= step) - 1;
        let from = recording.checkpoint_steps[nearest];
        for batch in 0..dims.batch {
            for head in 0..dims.head {
                let mut memory = recording.checkpoints.slice(s![batch, nearest, head, .., ..]).to_owned();
                let read = HeadSteps::of_block(factors, recording, &landings, batch, head, from..step);
                for step in 0..step - from {
                    read.advance(&mut memory, step, Phase::Before, Phase::Write);
                }
                all.slice_mut(s![batch, slot, head, .., ..]).assign(&memory);
            }
        }
    }
    all
}

impl Trace {
    /// The memory [d_k, d_v] of a head at a phase of a step: read where it is stored, replayed elsewhere.
    pub fn memory(&self, layer: usize, head: usize, batch: usize, step: usize, phase: Phase) -> Result<Array2<f32>, TraceError> {
        self.check(layer, head, batch, step..step + 1)?;
        if let Some(stored) = self.dense(layer, head, batch, step, phase)? {
            return Ok(stored);
        }
        let (index, start) = self.checkpoint_before(layer, step)?;
        if phase == Phase::Before && start == step {
            return self.checkpoint(layer, head, batch, index);
        }
        let mut last = None;
        self.states(layer, head, batch, step..step + 1, phase, |_, memory| last = Some(memory.to_owned()))?;
        Ok(last.expect("one step was visited"))
    }

    /// The memory [d_k, d_v] of a head in every phase of a step, in the order of [`Phase::ALL`]; one replay for all four.
    pub fn memories_of_step(&self, layer: usize, head: usize, batch: usize, step: usize) -> Result<[Array2<f32>; 4], TraceError> {
        self.check(layer, head, batch, step..step + 1)?;
        let mut memory = self.memory(layer, head, batch, step, Phase::Before)?;
        let read = HeadSteps::of_trace(self, layer, head, batch, step..step + 1)?;
        let mut from = Phase::Before;
        let mut last = |to: Phase| {
            read.advance(&mut memory, 0, from, to);
            from = to;
            memory.clone()
        };
        Ok(Phase::ALL.map(&mut last))
    }

    /// Visits the memory of a head at a phase of each of these steps in order, holding one at a time.
    pub fn states(
        &self,
        layer: usize,
        head: usize,
        batch: usize,
        steps: Range<usize>,
        phase: Phase,
        mut visit: impl FnMut(usize, ArrayView2<f32>),
    ) -> Result<(), TraceError> {
        self.check(layer, head, batch, steps.clone())?;
        if steps.is_empty() {
            return Ok(());
        }
        let (index, start) = self.checkpoint_before(layer, steps.start)?;
        let mut memory = self.checkpoint(layer, head, batch, index)?;
        // Read a few chunks at a time: enough to be quick, little enough to forget.
        let mut from = start;
        while from < steps.end {
            let to = (from + 256).min(steps.end);
            let read = HeadSteps::of_trace(self, layer, head, batch, from..to)?;
            for step in from..to {
                if step < steps.start {
                    read.advance(&mut memory, step - from, Phase::Before, Phase::Write);
                } else {
                    read.advance(&mut memory, step - from, Phase::Before, phase);
                    visit(step, memory.view());
                    read.advance(&mut memory, step - from, phase, Phase::Write);
                }
            }
            from = to;
        }
        Ok(())
    }

    /// The memory found before a checkpoint's step, replayed from the checkpoint before it: to be compared with what is stored.
    pub(super) fn replayed_checkpoint(&self, layer: usize, head: usize, batch: usize, index: usize) -> Result<Array2<f32>, TraceError> {
        let steps = &self.layer(layer)?.checkpoint_steps;
        let (from, to) = (steps[index - 1], steps[index]);
        let mut memory = self.checkpoint(layer, head, batch, index - 1)?;
        let read = HeadSteps::of_trace(self, layer, head, batch, from..to)?;
        for step in 0..to - from {
            read.advance(&mut memory, step, Phase::Before, Phase::Write);
        }
        Ok(memory)
    }

    /// A factor or pseudo-value of one head, [step, channels].
    fn lanes(&self, layer: usize, point: HookPoint, head: usize, batch: usize, steps: Range<usize>) -> Result<Array2<f32>, TraceError> {
        let array = self.head_stream(layer, point, head, batch, steps)?;
        Ok(array.into_dimensionality::<Ix2>().expect("the table says one channel axis"))
    }
}

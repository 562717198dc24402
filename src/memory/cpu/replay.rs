//! Dense memories again, from checkpoints and pseudo-values: no dot product, and every chunk between two checkpoints alone.

use std::collections::BTreeMap;

use ndarray::Array5;
use rayon::prelude::*;

use super::super::{Phase, Recording, Recurrence};
use super::buffer::{Scratch, Shared};
use super::fit;
use super::instructions::InstructionSet;
use super::layer::Layer;
use super::prepare::Prepared;
use super::run::{Blocks, Chunk, MOST_VECTORS, Targets, fence};

impl InstructionSet {
    /// [`super::replay_into`] with this instruction set.
    ///
    /// # Panics
    /// As [`super::replay`]; and if the machine lacks it.
    pub fn replay_into(
        self,
        recurrence: &Recurrence<f32>,
        recording: &Recording,
        phases: &[Phase],
        memories: &mut BTreeMap<Phase, Array5<f32>>,
    ) {
        assert!(self.is_available(), "this machine has no {} instructions", self.name());
        let d = recurrence.dims;
        let steps = &recording.checkpoint_steps;
        let n_checkpoints = steps.len();
        assert!(d.step == 0 || steps.first() == Some(&0), "a replay needs a checkpoint before step 0");
        assert!(steps.is_sorted() && steps.last().is_none_or(|&last| last < d.step), "checkpoints {steps:?} do not fit {} steps", d.step);
        assert_eq!(recording.checkpoints.shape(), [d.batch, n_checkpoints, d.head, d.d_k, d.d_v], "checkpoints: shape");
        assert_eq!(recording.pseudo_values.len(), recurrence.edits.len(), "a replay needs the pseudo-values of every edit");
        let checkpoints = recording.checkpoints.as_standard_layout();
        let checkpoints = checkpoints.as_slice().expect("standard layout");
        let pseudo_values: Vec<_> = recording
            .pseudo_values
            .iter()
            .map(|(kind, values)| {
                assert_eq!(values.shape(), [d.batch, d.step, d.head, d.d_v], "pseudo-values of {kind:?}: shape");
                values.as_standard_layout()
            })
            .collect();
        let given: Vec<_> = pseudo_values.iter().map(|values| values.as_slice().expect("standard layout")).collect();

        memories.retain(|phase, _| phases.contains(phase));
        let mut targets = Targets::default();
        for &phase in phases {
            let memory = memories.entry(phase).or_insert_with(|| Array5::zeros((0, 0, 0, 0, 0)));
            fit(memory, (d.batch, d.step, d.head, d.d_k, d.d_v));
            targets.dense[phase as usize] = Some(Shared::of(memory));
        }

        let layer = &Layer::new(recurrence);
        let blocks = Blocks::new(MOST_VECTORS, &d);
        let n_erases = recurrence.n_edits_at(Phase::Erase);
        (0..d.batch * n_checkpoints * d.head).into_par_iter().for_each_init(Scratch::default, |scratch, index| {
            let (batch, checkpoint, head) = (index / d.head / n_checkpoints, index / d.head % n_checkpoints, index % d.head);
            let start = steps[checkpoint];
            let end = steps.get(checkpoint + 1).copied().unwrap_or(d.step);
            let mut prepared = Prepared::default();
            prepared.gather(layer, batch, head, start, end);
            let chunk = Chunk {
                instructions: self,
                layer,
                blocks,
                n_erases,
                targets: &targets,
                prepared: &prepared,
                batch,
                head,
                start,
                given: Some(&given),
            };
            for block in 0..blocks.count() {
                let memory = scratch.zeros(blocks.size());
                // SAFETY: the instruction set is there, shapes were checked, and no two tasks have the same steps of a head.
                unsafe {
                    blocks.copy_in(&checkpoints[index * d.d_k * d.d_v..][..d.d_k * d.d_v], block, memory);
                    chunk.run(block, memory);
                }
            }
            fence();
        });
    }
}

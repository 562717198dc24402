//! A recording of buffers that stand on a card: what was asked for leaves it, dense memories through the ring.

use std::collections::BTreeMap;

use ndarray::{Array5, s};

use super::super::{Phase, RecordOptions, Recording};
use super::buffers::{CardRead, CardRecurrence, Checkpoints, Targets, Trace};
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::plan::{Form, padded};
use super::ring::Ring;
use super::room::{self, Inputs, Keep};

/// Steps between the checkpoints that dense memories are replayed from, where none are asked for.
const REPLAY_EVERY: usize = 64;

/// What a run keeps so that dense memories can be replayed from it. They never stand on the card themselves.
pub(super) fn without_dense(options: &RecordOptions) -> RecordOptions {
    if options.dense.is_empty() {
        return options.clone();
    }
    RecordOptions { pseudo_values: true, checkpoint_every: Some(options.checkpoint_every.unwrap_or(REPLAY_EVERY)), dense: vec![] }
}

impl CardRecurrence<'_> {
    /// The form of its steps.
    pub(super) fn form(&self) -> Form {
        let elsewhere = |read: &CardRead| matches!(read, CardRead::Other(_) | CardRead::BeforeDecay(_));
        Form {
            n_edits: self.edits.len(),
            n_elsewhere: self.edits.iter().filter(|edit| elsewhere(&edit.read)).count(),
            n_values: self.edits.iter().filter(|edit| edit.value.is_some()).count(),
            padded: padded(self.dims.d_k),
        }
    }
}

impl Engine {
    /// Refuses to record what does not fit into the free memory of the card, before anything is reserved.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], with the bytes needed and free and what would fit.
    pub fn check_recording(&self, recurrence: &CardRecurrence, options: &RecordOptions) -> Result<(), CudaError> {
        let (free, _) = self.memory()?;
        let card = self.stream().context().ordinal();
        room::check_room(&recurrence.dims, recurrence.form(), &Keep::Recording(without_dense(options)), Inputs::OnCard, card, free)
    }

    /// Runs all steps of all heads and keeps what `options` asks for, on the host. Dense memories are replayed and leave through
    /// the ring a few steps at a time, so that the card needs no room for them.
    ///
    /// Output, last memory, checkpoints and pseudo-values have the bits of [`Engine::forward`], dense memories those of
    /// [`replay`](mod@super::super::replay).
    pub fn record(&self, recurrence: &CardRecurrence, options: &RecordOptions, ring: &mut Ring) -> Result<Recording, CudaError> {
        let d = recurrence.dims;
        let (n_stream, n_memory) = (d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
        let raw = |len| Output::raw(self, len);
        let kept = without_dense(options);
        let every = kept.checkpoint_every;
        let count = every.map_or(0, |every| d.step.div_ceil(every));
        let (mut output, mut last, mut checkpoints) = (raw(n_stream)?, raw(n_memory)?, raw(count * n_memory)?);
        let n_kept = if kept.pseudo_values { recurrence.edits.len() } else { 0 };
        let mut pseudo_values = (0..n_kept).map(|_| raw(n_stream)).collect::<Result<Vec<_>, _>>()?;
        let targets = &mut Targets {
            output: Some(output.view_mut()),
            pseudo_values: pseudo_values.iter_mut().map(Output::view_mut).collect(),
            checkpoints: every.map(|every| Checkpoints { every, first: 0, count, memories: checkpoints.view_mut() }),
            final_memory: Some(last.view_mut()),
            ..Targets::default()
        };
        self.forward(recurrence, 0..d.step, targets)?;
        let mut dense: BTreeMap<Phase, Array5<f32>> =
            options.dense.iter().map(|&phase| (phase, Array5::zeros((d.batch, d.step, d.head, d.d_k, d.d_v)))).collect();
        if let (Some(every), false) = (every, dense.is_empty()) {
            let trace = Trace {
                rows: None,
                pseudo_values: pseudo_values.iter().map(Output::view).collect(),
                checkpoints: Checkpoints { every, first: 0, count, memories: checkpoints.view() },
            };
            let phases: Vec<Phase> = dense.keys().copied().collect();
            self.stream_memories(recurrence, &trace, 0..d.step, &phases, None, ring, |block, memories| {
                let Some(array) = dense.get_mut(&block.phase) else { return Ok::<(), CudaError>(()) };
                let mut to = array.slice_mut(s![block.batch, block.steps.clone(), .., .., ..]);
                if let Some(to) = to.as_slice_mut() {
                    to.copy_from_slice(memories);
                }
                Ok(())
            })?;
        }
        let stream = (d.batch, d.step, d.head, d.d_v);
        let n_kept = if options.pseudo_values { n_kept } else { 0 };
        let count = if options.checkpoint_every.is_some() { count } else { 0 };
        Ok(Recording {
            output: output.read(self, stream)?,
            pseudo_values: recurrence
                .edits
                .iter()
                .zip(&pseudo_values)
                .take(n_kept)
                .map(|(edit, values)| Ok((edit.kind, values.read(self, stream)?)))
                .collect::<Result<_, CudaError>>()?,
            checkpoint_steps: options.checkpoint_every.map_or(vec![], |every| (0..d.step).step_by(every).collect()),
            checkpoints: if count > 0 {
                checkpoints.read(self, (d.batch, count, d.head, d.d_k, d.d_v))?
            } else {
                Array5::zeros((d.batch, 0, d.head, d.d_k, d.d_v))
            },
            dense,
            final_memory: last.read(self, (d.batch, d.head, d.d_k, d.d_v))?,
        })
    }
}

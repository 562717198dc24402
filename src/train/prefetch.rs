//! Batches are made ahead of the steps that take them, on a thread of their own.

use super::batch::{Batch, Mixture};
use super::{TrainError, TrainSpec};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Batches that wait, at most.
const AHEAD: usize = 3;

/// The batches of all steps from some step on. Their contents do not depend on who makes them, or when.
pub(super) struct Prefetch {
    step: u64,
    batches: Receiver<Batch>,
}

impl Prefetch {
    /// Begins to make the batches from `step` on. The thread ends when nobody waits any more.
    pub fn from(spec: &TrainSpec, stages: &Arc<Vec<Mixture>>, step: u64) -> Result<Self, TrainError> {
        let (sender, batches) = sync_channel(AHEAD);
        let (spec, stages) = (spec.clone(), stages.clone());
        let work = move || {
            for step in step..spec.steps() {
                if sender.send(stages[spec.stage_at(step)].batch(spec.seed, step)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("batches".to_owned()).spawn(work);
        thread.map_err(TrainError::file("cannot start the thread that makes batches", std::path::Path::new("-")))?;
        Ok(Self { step, batches })
    }

    /// The batch of the next step, which must be `step`.
    pub fn take(&mut self, step: u64) -> Option<Batch> {
        if step != self.step {
            return None;
        }
        self.step += 1;
        self.batches.recv().ok()
    }
}

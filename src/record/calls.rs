//! Calls of a model, or of several copies of it side by side, whose results are taken in order.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use super::{Collector, RecordError, Said, padded_tokens, said};
use crate::memory::{Factors, RecordOptions, Recording};
use crate::model::{LanguageModel, ModelError};
use crate::task::Example;

/// What one call leaves.
pub(super) struct Block {
    /// What every layer did that was asked for.
    pub layers: Vec<(usize, Factors<f32>, Recording)>,
    /// What was said to the questions.
    pub said: Vec<Said>,
}

/// One call: whole sequences of at most `steps` tokens.
fn call(model: &LanguageModel, examples: &[Example], options: &BTreeMap<usize, RecordOptions>, steps: usize) -> Result<Block, RecordError> {
    let mut collector = Collector { options: options.clone(), layers: Vec::new() };
    let rows = model.hidden(&padded_tokens(examples, 0..steps)?, None, &mut collector)?;
    Ok(Block { said: said(model, &rows, examples, &(0..steps))?, layers: collector.layers })
}

/// Makes every call, and hands what each leaves to `take`, in their order. One model on the processor makes them one after the other; a
/// card, and each of several copies, makes the next call while an earlier one's block is taken.
pub(super) fn in_order(
    models: &[LanguageModel],
    calls: &[&[Example]],
    options: &BTreeMap<usize, RecordOptions>,
    steps: usize,
    mut take: impl FnMut(usize, Block) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    if let [model] = models
        && model.device().is_cpu()
    {
        return calls.iter().enumerate().try_for_each(|(number, examples)| take(number, call(model, examples, options, steps)?));
    }
    for model in models {
        // Each thread has a stream of its own: what was copied in this one must be there before the others begin.
        model.device().synchronize().map_err(ModelError::from)?;
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = models
            .iter()
            .enumerate()
            .map(|(first, model)| {
                // One block waits at most: that, and the one under way, is all that is held.
                let (sender, blocks) = sync_channel(1);
                scope.spawn(move || {
                    for examples in calls.iter().skip(first).step_by(models.len()) {
                        // Nobody waits any more after an error.
                        if sender.send(call(model, examples, options, steps)).is_err() {
                            break;
                        }
                    }
                });
                blocks
            })
            .collect();
        for number in 0..calls.len() {
            let block = workers[number % models.len()].recv().map_err(|_| RecordError::Empty("a card's thread ended early"))?;
            take(number, block?)?;
        }
        Ok(())
    })
}

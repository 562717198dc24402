//! Calls of a model, or of several copies of it side by side, whose results are taken in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::{Collector, RecordError, Said, padded_tokens, said};
use crate::memory::{Factors, RecordOptions, Recording};
use crate::model::{LanguageModel, ModelError, State};
use crate::task::Example;

/// What one call leaves.
pub(super) struct Block {
    /// What every layer did that was asked for.
    pub layers: Vec<(usize, Factors<f32>, Recording)>,
    /// What was said to the questions.
    pub said: Vec<Said>,
}

impl Block {
    /// The same steps of other sequences, one after the other; the first of each part is the row that stands beside it.
    fn concatenate(parts: Vec<(usize, Self)>) -> Self {
        let mut said = Vec::new();
        let mut layers: BTreeMap<usize, (Vec<Factors<f32>>, Vec<Recording>)> = BTreeMap::new();
        for (first, part) in parts {
            said.extend(part.said.into_iter().map(|said| Said { row: first + said.row, ..said }));
            for (layer, factors, recording) in part.layers {
                let (all_factors, recordings) = layers.entry(layer).or_default();
                all_factors.push(factors);
                recordings.push(recording);
            }
        }
        let joined = |(layer, (factors, recordings)): (_, (Vec<_>, _))| {
            Some((layer, Factors::concatenate(&factors)?, Recording::concatenate(recordings)?))
        };
        Self { layers: layers.into_iter().filter_map(joined).collect(), said }
    }
}

/// One call: these steps of sequences, which follow those `state` has read.
fn call(
    model: &LanguageModel,
    examples: &[Example],
    options: &BTreeMap<usize, RecordOptions>,
    steps: &Range<usize>,
    state: Option<&mut State>,
) -> Result<Block, RecordError> {
    let mut collector = Collector { options: options.clone(), layers: Vec::new() };
    let rows = model.hidden(&padded_tokens(examples, steps.clone())?, state, &mut collector)?;
    Ok(Block { said: said(model, &rows, examples, steps)?, layers: collector.layers })
}

/// Records whole sequences of at most `steps` tokens, a call for each of `calls`, and hands what each leaves to `take`, in their order.
/// One model on the processor makes them one after the other; a card, and each of several copies, makes the next call while an earlier
/// one's block is taken.
pub(super) fn in_order(
    models: &[LanguageModel],
    calls: &[&[Example]],
    options: &BTreeMap<usize, RecordOptions>,
    steps: usize,
    mut take: impl FnMut(usize, Block) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let one = |model, examples| call(model, examples, options, &(0..steps), None);
    if let Some(model) = alone_on_the_processor(models) {
        return calls.iter().enumerate().try_for_each(|(number, examples)| take(number, one(model, examples)?));
    }
    synchronize(models)?;
    std::thread::scope(|scope| {
        let one = &one;
        let share = |(first, model)| calls.iter().skip(first).step_by(models.len()).map(move |examples| one(model, examples));
        let workers: Vec<_> = models.iter().enumerate().map(|of| ahead(scope, share(of))).collect();
        (0..calls.len()).try_for_each(|number| take(number, next(&workers[number % models.len()])?))
    })
}

/// Records long sequences in blocks of steps, and hands every block of all sequences to `take`. Each of several copies reads a share of
/// the sequences.
pub(super) fn in_blocks(
    models: &[LanguageModel],
    examples: &[Example],
    options: &BTreeMap<usize, RecordOptions>,
    blocks: &[Range<usize>],
    mut take: impl FnMut(&Range<usize>, Block) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let reading = |model: &LanguageModel, share: &[Example]| {
        let (model, share, mut state) = (model.clone(), share.to_vec(), model.state());
        blocks.iter().map(move |steps| call(&model, &share, options, steps, Some(&mut state)))
    };
    if let Some(model) = alone_on_the_processor(models) {
        return blocks.iter().zip(reading(model, examples)).try_for_each(|(steps, block)| take(steps, block?));
    }
    synchronize(models)?;
    std::thread::scope(|scope| {
        let n = models.len().min(examples.len());
        let shares = models.iter().zip((0..n).map(|part| examples.len() * part / n..examples.len() * (part + 1) / n));
        let workers: Vec<_> = shares.map(|(model, rows)| (rows.start, ahead(scope, reading(model, &examples[rows])))).collect();
        blocks.iter().try_for_each(|steps| {
            let parts = workers.iter().map(|(first, worker)| Ok((*first, next(worker)?))).collect::<Result<_, RecordError>>()?;
            take(steps, Block::concatenate(parts))
        })
    })
}

/// The model where there is but one, and nothing to gain from reading ahead.
fn alone_on_the_processor(models: &[LanguageModel]) -> Option<&LanguageModel> {
    match models {
        [model] if model.device().is_cpu() => Some(model),
        _ => None,
    }
}

/// Each thread has a stream of its own: what was copied in this one must be there before the others begin.
fn synchronize(models: &[LanguageModel]) -> Result<(), ModelError> {
    models.iter().try_for_each(|model| Ok(model.device().synchronize()?))
}

/// Does `work` on a thread of its own. One block waits at most: that, and the one under way, is all that is held.
fn ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl Iterator<Item = Result<Block, RecordError>> + Send + 'scope,
) -> Receiver<Result<Block, RecordError>> {
    let (sender, blocks) = sync_channel(1);
    scope.spawn(move || {
        for block in work {
            // Nobody waits any more after an error.
            if sender.send(block).is_err() {
                break;
            }
        }
    });
    blocks
}

fn next(worker: &Receiver<Result<Block, RecordError>>) -> Result<Block, RecordError> {
    worker.recv().map_err(|_| RecordError::Empty("a card's thread ended early"))?
}

//! What a model answers, without a trace: for tasks of which only the answers are wanted, at any length.

use std::ops::Range;

use super::RecordError;
use crate::model::{LanguageModel, ModelError, NoObserver, rows_of, token_tensor};
use crate::task::{Example, Question, Split, Task};
use crate::trace::Answer;

/// Tokens that one call of the model takes, at most (but always one sequence): on the CPU and on a card.
const TOKENS_PER_CALL: [usize; 2] = [16_384, 524_288];

/// Lets `model` answer the questions of these sequences of a task that speaks its vocabulary: the sequences, and the answer to each of
/// their questions. `progress` is told how many sequences are done.
pub fn answers(
    model: &LanguageModel,
    task: &Task,
    seed: u64,
    split: Split,
    sequences: Range<u64>,
    mut progress: impl FnMut(usize),
) -> Result<(Vec<Example>, Vec<Vec<Answer>>), RecordError> {
    let examples: Vec<Example> = sequences.map(|index| task.generate(seed, split, index)).collect();
    let steps = examples.iter().map(Example::len).max().unwrap_or(0);
    if steps == 0 {
        return Err(RecordError::Empty("there are no sequences, or they have no tokens"));
    }
    let most = TOKENS_PER_CALL[usize::from(!model.device().is_cpu())];
    let mut answers = Vec::with_capacity(examples.len());
    for block in examples.chunks((most / steps).max(1)) {
        answers.extend(of_block(model, block)?);
        progress(answers.len());
    }
    Ok((examples, answers))
}

/// Sequences of one length in one call.
fn of_block(model: &LanguageModel, examples: &[Example]) -> Result<Vec<Vec<Answer>>, ModelError> {
    let tokens: Vec<Vec<u32>> = examples.iter().map(|example| example.tokens.clone()).collect();
    let hidden = model.hidden(&token_tensor(&tokens)?, None, &mut NoObserver)?;
    let steps = tokens[0].len();
    let asked = examples.iter().enumerate().flat_map(|(row, example)| example.questions.iter().map(move |question| (row, question)));
    let rows: Vec<u32> = asked.map(|(row, question)| (row * steps + question.position) as u32).collect();
    if rows.is_empty() {
        return Ok(vec![vec![]; examples.len()]);
    }
    let logits: Vec<Vec<f32>> = model.logits(&rows_of(&hidden, &rows)?)?.to_vec2()?;
    let mut logits = logits.iter();
    let mut of = |question: &Question| logits.next().map(|logits| answer(question, logits));
    Ok(examples.iter().map(|example| example.questions.iter().filter_map(&mut of).collect()).collect())
}

/// The answer that logits give to a question.
fn answer(question: &Question, logits: &[f32]) -> Answer {
    let log_probabilities = super::log_softmax(logits);
    let together = |tokens: &[u32]| {
        let probability: f64 = tokens.iter().map(|&token| log_probabilities[token as usize].exp()).sum();
        (!tokens.is_empty()).then(|| probability.ln())
    };
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(b.cmp(&a))).unwrap_or(0);
    Answer {
        predicted: best as u32,
        gold_log_probability: log_probabilities[question.gold as usize],
        stale_log_probability: together(&question.stale),
        foil_log_probability: together(&question.foils[..question.stale.len().max(1).min(question.foils.len())]),
    }
}

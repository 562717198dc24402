//! A sequence recorded while it is read under interventions: a trace of what the memories did then.

use std::error::Error;
use std::path::Path as FilePath;

use ndarray::Array2;
use serde_json::json;

use super::run::{Intervened, Path};
use super::{LiveReplay, NetworkError};
use crate::intervene::{Change, InterveneError, Intervention, Place, Row, changed_factors};
use crate::memory::{Factors, RecordOptions, Recording};
use crate::model::{Intervene, ModelError, Observer, token_tensor};
use crate::provenance::{Provenance, digest};
use crate::record::{AnswerTables, log_softmax};
use crate::task::Example;
use crate::trace::{OnExisting, Table, TraceSpec, TraceWriter, label_tables};

/// Steps read at once, where no intervention reaches back further.
const BLOCK: usize = 256;

/// What a recording is called, and the words of its tokens.
pub struct Words<'a> {
    /// The model's name.
    pub model: &'a str,
    /// What the sequence is: a text of a user's own, or a task with its seed and number.
    pub run: serde_json::Value,
    /// A token's word.
    pub word: &'a dyn Fn(u32) -> String,
}

impl LiveReplay<'_> {
    /// Reads a sequence from its first token and records it at `path` (what is there is replaced if it is a trace). Gives the
    /// log-probabilities of every token of the vocabulary after each step, \[step\]\[token\].
    ///
    /// The trace's factors are those under the interventions, so that every replay of it shows the memories as they were;
    /// interventions that no factors can say are refused. `watch` is told what share is done and gives whether to go on.
    pub fn record(
        &mut self,
        example: &Example,
        words: &Words,
        path: &FilePath,
        watch: &dyn Fn(f64) -> bool,
    ) -> Result<Vec<Vec<f32>>, NetworkError> {
        let n_steps = example.len();
        let spec = self.trace_spec(words)?;
        let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(spec.checkpoint_every), dense: Vec::new() };
        let mut writer = TraceWriter::create(path, &spec)?;
        let mut answers = AnswerTables::new(1, example.questions.len());
        let mut said = Vec::with_capacity(n_steps);
        let block = if self.interventions.iter().any(reaches_back) { n_steps.max(1) } else { BLOCK };
        for from in (0..n_steps).step_by(block) {
            if !watch(from as f64 / n_steps as f64) {
                return Err(NetworkError::Cancelled);
            }
            let steps = from..(from + block).min(n_steps);
            let tokens = &example.tokens[steps.clone()];
            let row = Row { interventions: &self.interventions, sequence: self.sequence, superseded: &self.superseded };
            let place = Place { layer: 0, position: from, seed: self.seed };
            let intervened = Intervened::new(vec![(row, Path::Total)], self.seed);
            let mut watching = Watching { intervened, row, place, options: options.clone(), layers: Vec::new() };
            let hidden = self.model.hidden(&token_tensor(&[tokens.to_vec()])?, Some(&mut self.state), &mut watching).map_err(unwrapped)?;
            for (layer, factors, recording) in watching.layers {
                writer.append_layer(layer, &factors, recording)?;
            }
            answers.read(self.model, &hidden, std::slice::from_ref(example), 0, &steps)?;
            for logits in self.model.logits(&hidden)?.to_vec2::<f32>()? {
                said.push(log_softmax(&logits).into_iter().map(|x| x as f32).collect());
            }
            let shape = (1, tokens.len());
            writer.append(Table::tokens(Array2::from_shape_fn(shape, |(_, step)| tokens[step] as i32)))?;
            writer.append(Table::token_str(Array2::from_shape_fn(shape, |(_, step)| (words.word)(tokens[step]))))?;
            writer.commit()?;
        }
        for table in answers.tables().into_iter().chain(label_tables(std::slice::from_ref(example))) {
            writer.set(table)?;
        }
        writer.finish()?;
        Ok(said)
    }

    fn trace_spec(&self, words: &Words) -> Result<TraceSpec, NetworkError> {
        let weights = self.model.weights_digest()?;
        let provenance = Provenance {
            seed: Some(self.seed),
            config_digest: Some(digest(self.model.config())),
            weights_digest: Some(weights.clone()),
            ..Provenance::here("view: live model")
        };
        Ok(TraceSpec {
            model: json!({ "description": { "name": words.model }, "config": self.model.config(), "weights_digest": weights }),
            run: json!({ "live": words.run, "interventions": self.interventions }),
            on_existing: OnExisting::Replace,
            ..TraceSpec::new(provenance)
        })
    }
}

/// What kept an intervention from being recorded, out of what the model says of its observer.
fn unwrapped(error: ModelError) -> NetworkError {
    match error {
        ModelError::Observer { layer, source } => match source.downcast::<InterveneError>() {
            Ok(error) => NetworkError::Intervene(*error),
            Err(source) => ModelError::Observer { layer, source }.into(),
        },
        error => error.into(),
    }
}

/// Whether an intervention needs what was read before its own block.
fn reaches_back(intervention: &Intervention) -> bool {
    use crate::intervene::Address::{ShuffledSteps, Superseded};
    match &intervention.change {
        Change::Retract { .. } | Change::ForgetKey { .. } | Change::ReplaceValue { .. } => true,
        Change::EraseAddress { address } => matches!(address, ShuffledSteps | Superseded),
        _ => false,
    }
}

/// Runs the memories under interventions, and keeps what they were made of.
struct Watching<'a> {
    intervened: Intervened<'a>,
    row: Row<'a>,
    place: Place,
    options: RecordOptions,
    layers: Vec<(usize, Factors<f32>, Recording)>,
}

impl Observer for Watching<'_> {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        Some(self.options.clone())
    }

    fn layer(&mut self, layer: usize, factors: Factors<f32>, recording: Recording) -> Result<(), Box<dyn Error + Send + Sync>> {
        let factors = changed_factors(&factors, Place { layer, ..self.place }, &[self.row])?;
        self.layers.push((layer, factors, recording));
        Ok(())
    }

    fn intervention(&mut self, layer: usize) -> Option<&mut dyn Intervene> {
        self.intervened.intervention(layer)
    }
}

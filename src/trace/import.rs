//! Factors computed by other programs become a trace: the engine runs them and keeps what it always keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;

use ndarray::{Array4, ArrayD, Axis, Ix2, Ix4, IxDyn};
use serde::Serialize;
use serde_json::json;

use super::tensors::Tensors;
use super::{OnExisting, Table, TraceError, TraceSpec, TraceWriter};
use crate::memory::{Device, Dims, Factors, HookPoint, MemoryError, NormSummary, Phase, RecordOptions, Recorder, Recording, Rule};
use crate::provenance::Provenance;

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Who does it.
    pub provenance: Provenance,
    /// What to do if the output exists.
    pub on_existing: OnExisting,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// Phases of which every memory is stored.
    pub dense: Vec<Phase>,
    /// What runs the recurrence.
    pub device: Device,
}

impl ImportOptions {
    /// A checkpoint every 64 steps, nothing dense, nothing overwritten.
    pub fn new(provenance: Provenance) -> Self {
        Self { provenance, on_existing: OnExisting::Refuse, checkpoint_every: 64, dense: Vec::new(), device: Device::Cpu }
    }
}

/// What was imported.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// Every layer of the file.
    pub layers: Vec<ImportedLayer>,
}

/// What was imported of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedLayer {
    /// Its number: 0 for names without a prefix.
    pub layer: usize,
    /// Its rule.
    pub rule: Rule,
    /// Its sizes.
    pub dims: Dims,
    /// L2 norms of the directions as given, by name.
    pub norms: BTreeMap<String, NormSummary>,
    /// Directions that the rule takes to be unit vectors, but which stray by more than 2 %.
    pub far_from_unit: BTreeSet<String>,
    /// If the file has `output`: the largest absolute difference from what the factors give here.
    pub max_output_difference: Option<f32>,
}

/// One layer's tensors in the file.
struct Source {
    layer: usize,
    prefix: String,
    dims: Dims,
    decay: Decay,
    has_initial: bool,
    has_output: bool,
}

/// What the file says of the decay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decay {
    Retention,
    Logarithm,
    /// The rule has none.
    One,
}

/// Imports a safetensors file of factors: one layer under the names of [`HookPoint`], or several under `layer_00.` and so on.
///
/// Shapes are those of the table ([batch, step, head, dim]). The decay is `retention` or `log_decay`, per channel or per head
/// ([batch, step, head] or [.., 1]). Optional: `initial_memory` [batch, head, d_k, d_v], `tokens` [batch, step], `output`
/// (compared, not stored). f32, f64, bf16 and f16 are read. Directions are taken as given; values outside the equation's
/// ranges are refused with their place.
pub fn import(factors: impl AsRef<Path>, rule: Rule, out: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, TraceError> {
    let mut tensors = Tensors::open(factors.as_ref())?;
    let sources = sources(&tensors, rule)?;
    let (n_batch, n_steps) = (sources[0].dims.batch, sources[0].dims.step);
    if let Some(other) = sources.iter().find(|source| (source.dims.batch, source.dims.step) != (n_batch, n_steps)) {
        let (batch, step) = (other.dims.batch, other.dims.step);
        return Err(tensors.bad(format!(
            "layer {} has {batch} sequences of {step} steps, layer {} has {n_batch} of {n_steps}",
            other.layer, sources[0].layer
        )));
    }
    // Many short sequences are appended by sequences, long ones by steps.
    let by_sequences = n_batch > 32 && n_steps <= 1024;
    let base = if by_sequences { TraceSpec::of_sequences(options.provenance.clone()) } else { TraceSpec::new(options.provenance.clone()) };
    let commit_every = if by_sequences { base.commit_every } else { TraceSpec::steps_of_a_commit(256, options.checkpoint_every) };
    let file_name = factors.as_ref().file_name().map(|name| name.to_string_lossy().into_owned());
    let spec = TraceSpec {
        model: json!({"rule": rule.name(), "layers": sources.iter().map(|source| source.layer).collect::<Vec<_>>()}),
        run: json!({"imported_from": file_name}),
        checkpoint_every: options.checkpoint_every,
        commit_every,
        on_existing: options.on_existing,
        ..base
    };
    // Everything is looked at before the output is made: a bad value must not cost the trace that was there.
    let mut imported: Vec<ImportedLayer> = sources.iter().map(|source| ImportedLayer::empty(source, rule)).collect();
    let blocks = blocks(n_batch, n_steps, commit_every, by_sequences);
    for (source, layer) in sources.iter().zip(&mut imported) {
        for (batch, steps) in &blocks {
            layer.look_at(&read_block(&mut tensors, source, rule, batch.clone(), steps.clone(), None)?, batch.start, steps.start)?;
        }
    }
    let recorder = Recorder::open(&options.device)?;
    let mut writer = TraceWriter::create(out, &spec)?;
    let record = RecordOptions { pseudo_values: true, checkpoint_every: Some(options.checkpoint_every), dense: options.dense.clone() };
    // The writer has a thread of its own: while it stores one block the next is read and run. One waits between them at most.
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Part>(1);
        let stored = scope.spawn(move || {
            for part in receiver {
                match part {
                    Part::Layer(layer, ran) => {
                        let (factors, recording) = *ran;
                        writer.append_layer(layer, &factors, recording)?;
                    }
                    Part::Tokens(table) => writer.append(table)?,
                    Part::Commit => writer.commit()?,
                }
            }
            Ok::<_, TraceError>(writer)
        });
        let mut memories: Vec<Option<Array4<f32>>> = vec![None; sources.len()];
        let run = || -> Result<(), TraceError> {
            // A writer that is gone has an error to tell; sending to it just ends.
            for (batch, steps) in blocks {
                for ((source, layer), memory) in sources.iter().zip(&mut imported).zip(&mut memories) {
                    let carried = memory.take().filter(|_| steps.start > 0);
                    let factors = read_block(&mut tensors, source, rule, batch.clone(), steps.clone(), carried)?;
                    let recording = recorder.record(&factors.lower(), &record)?;
                    if source.has_output {
                        layer.compare(
                            &tensors.read(&format!("{}output", source.prefix), batch.clone(), Some(steps.clone()))?,
                            &recording.output.view().into_dyn(),
                        );
                    }
                    *memory = Some(recording.final_memory.clone());
                    if sender.send(Part::Layer(source.layer, Box::new((factors, recording)))).is_err() {
                        return Ok(());
                    }
                }
                if tensors.by_name().contains_key("tokens") {
                    let tokens = tensors.read_whole_numbers("tokens", batch, steps)?;
                    let table = Table::tokens(tokens.into_dimensionality::<Ix2>().expect("its shape was checked"));
                    if sender.send(Part::Tokens(table)).is_err() {
                        return Ok(());
                    }
                }
                if sender.send(Part::Commit).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        let ran = run();
        drop(sender);
        let writer = stored.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        ran?;
        writer.finish()
    })?;
    Ok(Imported { layers: imported })
}

/// What the writer is handed, in the order it stores it.
enum Part {
    Layer(usize, Box<(Factors<f32>, Recording)>),
    Tokens(Table),
    Commit,
}

/// Parts of the whole that are read at once.
fn blocks(n_batch: usize, n_steps: usize, size: usize, by_sequences: bool) -> Vec<(Range<usize>, Range<usize>)> {
    if by_sequences {
        (0..n_batch).step_by(size).map(|from| (from..(from + size).min(n_batch), 0..n_steps)).collect()
    } else {
        (0..n_steps).step_by(size).map(|from| (0..n_batch, from..(from + size).min(n_steps))).collect()
    }
}

/// The layers of the file; refuses names it does not know and factors the rule needs but does not find.
fn sources(tensors: &Tensors, rule: Rule) -> Result<Vec<Source>, TraceError> {
    let mut layers: BTreeMap<(usize, String), BTreeSet<String>> = BTreeMap::new();
    for name in tensors.by_name().keys().filter(|name| *name != "tokens") {
        let prefixed =
            name.strip_prefix("layer_").and_then(|rest| rest.split_once('.')).and_then(|(index, rest)| Some((index.parse().ok()?, rest)));
        let (layer, plain) = prefixed.unwrap_or((0, name));
        let prefix = name[..name.len() - plain.len()].to_owned();
        layers.entry((layer, prefix)).or_default().insert(plain.to_owned());
    }
    if layers.is_empty() {
        return Err(tensors.bad("the file has no factors".to_owned()));
    }
    layers.into_iter().map(|((layer, prefix), names)| source(tensors, rule, layer, prefix, &names)).collect()
}

fn source(tensors: &Tensors, rule: Rule, layer: usize, prefix: String, names: &BTreeSet<String>) -> Result<Source, TraceError> {
    let has = |name: &str| names.contains(name);
    let extras = ["log_decay", "initial_memory", "output"];
    let wanted: Vec<String> = rule.factors().into_iter().map(HookPoint::name).collect();
    for name in names {
        if !wanted.contains(name) && !extras.contains(&name.as_str()) {
            let Some(point) = HookPoint::from_name(name) else {
                let known = wanted.iter().map(String::as_str).chain(extras);
                let nearest = known.map(|known| (strsim::jaro_winkler(known, name), known)).max_by(|a, b| a.0.total_cmp(&b.0));
                let hint = nearest
                    .filter(|(likeness, _)| *likeness > 0.8)
                    .map_or_else(String::new, |(_, known)| format!("; was '{known}' meant?"));
                return Err(tensors.bad(format!("tensor '{prefix}{name}' is not a factor of rule {rule}{hint}")));
            };
            return Err(MemoryError::UnexpectedFactor { rule, factor: point }.into());
        }
    }
    let decay = match (has("retention"), has("log_decay")) {
        (true, true) => return Err(tensors.bad(format!("'{prefix}retention' and '{prefix}log_decay' are both there: give one"))),
        (true, false) => Decay::Retention,
        (false, true) => Decay::Logarithm,
        (false, false) if matches!(rule, Rule::DeltaNet | Rule::LinearAttention) => Decay::One,
        (false, false) => {
            return Err(tensors.bad(format!("rule {rule} needs '{prefix}retention' or '{prefix}log_decay', and neither is there")));
        }
    };
    for factor in rule.factors().into_iter().filter(|factor| *factor != HookPoint::Retention) {
        if !has(&factor.name()) {
            let is_erase = matches!(factor, HookPoint::EraseDirection | HookPoint::EraseStrength);
            if rule == Rule::Eda && is_erase && !has("erase_direction") && !has("erase_strength") {
                return Err(tensors.bad(format!("rule eda needs '{prefix}{factor}', which is missing: factors without erase are rule kda (or gdn, with one decay per head)")));
            }
            return Err(MemoryError::MissingFactor { rule, factor }.into());
        }
    }
    let shape = |name: &str, n_axes: usize| -> Result<Vec<usize>, TraceError> {
        let shape = tensors.tensor(&format!("{prefix}{name}"))?.shape;
        if shape.len() == n_axes {
            Ok(shape)
        } else {
            Err(tensors.bad(format!("tensor '{prefix}{name}' has shape {shape:?}, but {n_axes} axes are needed")))
        }
    };
    let (query, value) = (shape("query", 4)?, shape("value", 4)?);
    let dims = Dims { batch: query[0], step: query[1], key_head: query[2], head: value[2], d_k: query[3], d_v: value[3] };
    if dims.batch == 0 || dims.step == 0 {
        return Err(tensors.bad(format!("'{prefix}query' has shape {query:?}: there is no step to import")));
    }
    let source = Source { layer, decay, dims, has_initial: has("initial_memory"), has_output: has("output"), prefix };
    source.check_shapes(tensors, rule)?;
    Ok(source)
}

impl Source {
    /// Every tensor must have the shape that `query` and `value` imply; numbers per head may have a last axis of 1.
    fn check_shapes(&self, tensors: &Tensors, rule: Rule) -> Result<(), TraceError> {
        let Dims { batch, step, head, d_k, d_v, .. } = self.dims;
        let expect = |name: &str, allowed: &[Vec<usize>]| -> Result<(), TraceError> {
            let found = tensors.tensor(name)?.shape;
            let wanted: Vec<String> = allowed.iter().map(|shape| format!("{shape:?}")).collect();
            if allowed.contains(&found) {
                Ok(())
            } else {
                Err(tensors.bad(format!("tensor '{name}' has shape {found:?}, but {} is needed", wanted.join(" or "))))
            }
        };
        let per_head = vec![vec![batch, step, head], vec![batch, step, head, 1]];
        for factor in rule.factors().into_iter().filter(|factor| *factor != HookPoint::Retention) {
            let shape = factor.shape(&self.dims);
            let allowed = if shape.len() == 3 { per_head.clone() } else { vec![shape] };
            expect(&format!("{}{factor}", self.prefix), &allowed)?;
        }
        let decay = [vec![vec![batch, step, head, d_k]], per_head].concat();
        match self.decay {
            Decay::Retention => expect(&format!("{}retention", self.prefix), &decay)?,
            Decay::Logarithm => expect(&format!("{}log_decay", self.prefix), &decay)?,
            Decay::One => {}
        }
        if self.has_initial {
            expect(&format!("{}initial_memory", self.prefix), &[vec![batch, head, d_k, d_v]])?;
        }
        if self.has_output {
            expect(&format!("{}output", self.prefix), &[vec![batch, step, head, d_v]])?;
        }
        if tensors.by_name().contains_key("tokens") {
            expect("tokens", &[vec![batch, step]])?;
        }
        Ok(())
    }
}

/// Part of a layer's factors; `carried` is the memory the block before left.
fn read_block(
    tensors: &mut Tensors,
    source: &Source,
    rule: Rule,
    batch: Range<usize>,
    steps: Range<usize>,
    carried: Option<Array4<f32>>,
) -> Result<Factors<f32>, TraceError> {
    let mut read = |name: &str, steps: Option<Range<usize>>| tensors.read(&format!("{}{name}", source.prefix), batch.clone(), steps);
    let dims = Dims { batch: batch.len(), step: steps.len(), ..source.dims };
    let mut arrays = BTreeMap::new();
    for point in rule.factors() {
        let shape = point.shape(&dims);
        let array = match (point, source.decay) {
            (HookPoint::Retention, Decay::One) => ArrayD::ones(IxDyn(&shape)),
            (HookPoint::Retention, Decay::Retention) => per_channel(read("retention", Some(steps.clone()))?, &shape),
            (HookPoint::Retention, Decay::Logarithm) => per_channel(read("log_decay", Some(steps.clone()))?.mapv_into(f32::exp), &shape),
            _ => {
                let array = read(&point.name(), Some(steps.clone()))?;
                if array.ndim() == shape.len() + 1 { array.index_axis_move(Axis(shape.len()), 0) } else { array }
            }
        };
        arrays.insert(point, array);
    }
    let initial = match carried {
        Some(memory) => Some(memory),
        None if source.has_initial && steps.start == 0 => {
            Some(read("initial_memory", None)?.into_dimensionality::<Ix4>().expect("its shape was checked"))
        }
        None => None,
    };
    Ok(Factors::new(rule, arrays, initial)?)
}

/// One decay per head becomes the same on every channel.
fn per_channel(array: ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let array = if array.ndim() + 1 == shape.len() { array.insert_axis(Axis(shape.len() - 1)) } else { array };
    array.broadcast(IxDyn(shape)).expect("its shape was checked").to_owned()
}

impl ImportedLayer {
    fn empty(source: &Source, rule: Rule) -> Self {
        let (norms, far_from_unit) = (BTreeMap::new(), BTreeSet::new());
        Self { layer: source.layer, rule, dims: source.dims, norms, far_from_unit, max_output_difference: None }
    }

    /// Refuses values outside their ranges, naming their place in the file, and gathers the norms.
    fn look_at(&mut self, factors: &Factors<f32>, first_batch: usize, first_step: usize) -> Result<(), TraceError> {
        let found = factors.check_values().map_err(|error| match error {
            MemoryError::OutOfRange { factor, value, mut index, range } => {
                index[0] += first_batch;
                if !matches!(factor, HookPoint::Memory(_)) {
                    index[1] += first_step;
                }
                MemoryError::OutOfRange { factor, value, index, range }
            }
            other => other,
        })?;
        self.far_from_unit.extend(found.far_from_unit(0.02).into_iter().map(|(name, _)| name.to_owned()));
        let part = (factors.dims().batch * factors.dims().step) as f64 / (self.dims.batch * self.dims.step) as f64;
        for (name, norms) in found.by_name() {
            let all = self.norms.entry(name.clone()).or_insert(NormSummary { min: f64::INFINITY, mean: 0.0, max: 0.0 });
            *all = NormSummary { min: all.min.min(norms.min), mean: all.mean + part * norms.mean, max: all.max.max(norms.max) };
        }
        Ok(())
    }

    fn compare(&mut self, theirs: &ArrayD<f32>, ours: &ndarray::ArrayViewD<'_, f32>) {
        let largest = theirs.iter().zip(ours).map(|(a, b)| (a - b).abs()).fold(self.max_output_difference.unwrap_or(0.0), f32::max);
        self.max_output_difference = Some(largest);
    }
}

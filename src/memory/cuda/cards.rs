//! The engine on one or several cards for arrays of the host, as [`cpu`](super::super::cpu) is for the processor.
//!
//! Several cards split the sequences; results are those of one card, bit for bit.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::CudaSlice;
use ndarray::{Array, Array3, Array4, Array5, ArrayView4, Axis, Dimension, RemoveAxis, Slice, concatenate};

use super::super::cpu::{EditGradient, ForwardOutput, RecurrenceGradient};
use super::super::{Device, Dims, Phase, Read, RecordOptions, Recording, Recurrence};
use super::adjoint::Query;
use super::buffers::{CardEditGradient, CardGradient, CardTape, Checkpoints, Numbers, Rows, Targets, Trace};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::recording::without_dense;
use super::ring::{Ring, RingOptions};
use super::room::{self, Inputs, Keep};
use super::upload::{Element, Uploaded};

/// Steps between the checkpoints of a tape.
const TAPE_EVERY: usize = 64;

/// One or several cards.
#[derive(Clone, Debug)]
pub struct Cards {
    engines: Vec<Engine>,
    /// One of each card, through which dense memories leave it.
    rings: Vec<Arc<Mutex<Ring>>>,
}

impl Cards {
    /// Opens the cards a device names.
    ///
    /// # Errors
    /// If there is no driver or no such card; and for the processor, which is not a card.
    pub fn open(device: &Device) -> Result<Self, CudaError> {
        match device {
            Device::Cpu => Err(CudaError::Unsupported("the processor is not a card".to_owned())),
            Device::Cuda(numbers) => {
                let engines = numbers.iter().map(|&number| Engine::open(number)).collect::<Result<Vec<_>, _>>()?;
                let ring = |engine| Ring::new(engine, RingOptions::default()).map(|ring| Arc::new(Mutex::new(ring)));
                let rings = engines.iter().map(ring).collect::<Result<_, _>>()?;
                Ok(Self { engines, rings })
            }
        }
    }

    /// The first of them.
    pub(super) fn first(&self) -> &Engine {
        &self.engines[0]
    }

    /// Runs all steps of all heads.
    pub fn forward(&self, recurrence: &Recurrence<f32>) -> Result<ForwardOutput, CudaError> {
        let recording = self.record(recurrence, &RecordOptions::default())?;
        Ok(ForwardOutput { output: recording.output, final_memory: recording.final_memory })
    }

    /// Runs all steps of all heads and keeps what `options` asks for. Dense memories are replayed and copied to the host a few
    /// steps at a time, so that the card needs no room for them.
    pub fn record(&self, recurrence: &Recurrence<f32>, options: &RecordOptions) -> Result<Recording, CudaError> {
        // Dense memories never stand on the card: they leave it through the ring.
        let keep = Keep::Recording(without_dense(options));
        let parts = self.each(recurrence, &keep, |(engine, ring), uploaded, _| {
            engine.record(&uploaded.view(), options, &mut ring.lock().unwrap_or_else(PoisonError::into_inner))
        })?;
        let mut phases = options.dense.clone();
        phases.sort_unstable();
        phases.dedup();
        let d = recurrence.dims;
        Ok(Recording {
            output: join(parts.iter().map(|part| part.output.view()).collect())?,
            pseudo_values: recurrence
                .edits
                .iter()
                .enumerate()
                .take(if options.pseudo_values { recurrence.edits.len() } else { 0 })
                .map(|(j, edit)| Ok((edit.kind, join(parts.iter().map(|part| part.pseudo_values[j].1.view()).collect())?)))
                .collect::<Result<_, CudaError>>()?,
            checkpoint_steps: options.checkpoint_every.map_or(vec![], |every| (0..d.step).step_by(every).collect()),
            checkpoints: join(parts.iter().map(|part| part.checkpoints.view()).collect())?,
            dense: phases
                .iter()
                .map(|phase| Ok((*phase, join(parts.iter().map(|part| part.dense[phase].view()).collect())?)))
                .collect::<Result<_, CudaError>>()?,
            final_memory: join(parts.iter().map(|part| part.final_memory.view()).collect())?,
        })
    }

    /// The memory at each of these phases of every step from a recording, with the bits of [`cpu::replay`](super::super::cpu::replay).
    /// Checkpoints must stand at equal distances from step 0 on.
    pub fn replay(
        &self,
        recurrence: &Recurrence<f32>,
        recording: &Recording,
        phases: &[Phase],
    ) -> Result<BTreeMap<Phase, Array5<f32>>, CudaError> {
        let every = match recording.checkpoint_steps[..] {
            [0] => recurrence.dims.step.max(1),
            [0, second, ..] if recording.checkpoint_steps.iter().enumerate().all(|(index, &step)| step == index * second) => second,
            _ => {
                return Err(CudaError::Shape(
                    "a replay on a card needs checkpoints at equal distances, the first before step 0".to_owned(),
                ));
            }
        };
        let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(every), dense: phases.to_vec() };
        let parts = self.each(recurrence, &Keep::Recording(options), |(engine, _), uploaded, sequences| {
            replay(engine, uploaded, recurrence.dims, recording, every, phases, sequences)
        })?;
        let phase = |phase: &Phase| Ok((*phase, join(parts.iter().map(|part| part[phase].view()).collect())?));
        phases.iter().map(phase).collect()
    }

    /// Gradient of a number with respect to all inputs, from dL/do_t [batch, step, head, d_v] and dL/dS after the last step.
    pub fn backward(
        &self,
        recurrence: &Recurrence<f32>,
        grad_output: ArrayView4<f32>,
        grad_final_memory: Option<ArrayView4<f32>>,
    ) -> Result<RecurrenceGradient, CudaError> {
        let d = recurrence.dims;
        if grad_output.shape() != [d.batch, d.step, d.head, d.d_v] {
            return Err(CudaError::Shape(format!("gradient of the output: shape {:?}", grad_output.shape())));
        }
        let parts = self.each(recurrence, &Keep::Gradient { every: TAPE_EVERY }, |(engine, _), uploaded, sequences| {
            let part =
                |array: ArrayView4<f32>| array.slice_axis(Axis(0), Slice::from(sequences.clone())).iter().copied().collect::<Vec<_>>();
            backward(engine, uploaded, recurrence, &part(grad_output.view()), grad_final_memory.map(part).as_deref())
        })?;
        Ok(RecurrenceGradient {
            query: join(parts.iter().map(|part| part.query.view()).collect())?,
            retention: join(parts.iter().map(|part| part.retention.view()).collect())?,
            initial_memory: join(parts.iter().map(|part| part.initial_memory.view()).collect())?,
            edits: (0..recurrence.edits.len())
                .map(|j| {
                    let optional = |pick: fn(&EditGradient) -> Option<&Array4<f32>>| -> Result<_, CudaError> {
                        let found: Option<Vec<_>> = parts.iter().map(|part| pick(&part.edits[j]).map(|array| array.view())).collect();
                        found.map(join).transpose()
                    };
                    Ok(EditGradient {
                        strength: join(parts.iter().map(|part| part.edits[j].strength.view()).collect())?,
                        direction: join(parts.iter().map(|part| part.edits[j].direction.view()).collect())?,
                        read: optional(|edit| edit.read.as_ref())?,
                        value: optional(|edit| edit.value.as_ref())?,
                    })
                })
                .collect::<Result<_, CudaError>>()?,
        })
    }

    /// How each output asked for depends on every gate before it, exactly: x with `do_t / dstrength_{j,s} = x residual_{j,s}`,
    /// [query, step, edit], on the first card.
    pub fn adjoint(&self, recurrence: &Recurrence<f32>, queries: &[Query]) -> Result<Array3<f32>, CudaError> {
        let d = recurrence.dims;
        let engine = &self.engines[0];
        let uploaded = Uploaded::new(engine, recurrence, 0..d.batch, Element::F32)?;
        let shape = (queries.len(), d.step, recurrence.edits.len());
        let mut coefficients = Output::raw(engine, shape.0 * shape.1 * shape.2)?;
        engine.adjoint(&uploaded.view(), queries, &mut coefficients.view_mut(), None)?;
        coefficients.read(engine, shape)
    }

    /// Every card's sequences on that card, all cards at once.
    fn each<T: Send>(
        &self,
        recurrence: &Recurrence<f32>,
        keep: &Keep,
        run: impl Fn((&Engine, &Mutex<Ring>), &Uploaded, Range<usize>) -> Result<T, CudaError> + Sync,
    ) -> Result<Vec<T>, CudaError> {
        let d = recurrence.dims;
        let form = room::form_of(recurrence);
        let n = self.engines.len();
        let cards = self.engines.iter().zip(&self.rings).enumerate();
        let parts: Vec<_> = cards.map(|(i, (engine, ring))| (engine, &**ring, d.batch * i / n..d.batch * (i + 1) / n)).collect();
        // Every card is asked before any is used.
        for (engine, _, sequences) in &parts {
            let (free, _) = engine.memory()?;
            room::check_room(&Dims { batch: sequences.len(), ..d }, form, keep, Inputs::OnHost, engine.stream().context().ordinal(), free)?;
        }
        std::thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = parts
                .into_iter()
                .filter(|(_, _, sequences)| !sequences.is_empty() || n == 1)
                .map(|(engine, ring, sequences)| {
                    scope.spawn(move || {
                        let uploaded = Uploaded::new(engine, recurrence, sequences.clone(), Element::F32)?;
                        run((engine, ring), &uploaded, sequences)
                    })
                })
                .collect();
            let gone = || CudaError::Shape("a card's thread ended early".to_owned());
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(gone()))).collect()
        })
    }
}

/// Parts of an array, one after the other.
fn join<D: Dimension + RemoveAxis>(parts: Vec<ndarray::ArrayView<f32, D>>) -> Result<Array<f32, D>, CudaError> {
    match &parts[..] {
        [one] => Ok(one.to_owned()),
        _ => concatenate(Axis(0), &parts).map_err(|error| CudaError::Shape(error.to_string())),
    }
}

fn copy(engine: &Engine, numbers: &[f32]) -> Result<CudaSlice<f32>, CudaError> {
    engine.stream().clone_htod(numbers).map_err(driver_error(engine.stream().context(), "copying inputs to it"))
}

fn replay(
    engine: &Engine,
    uploaded: &Uploaded,
    whole: Dims,
    recording: &Recording,
    every: usize,
    phases: &[Phase],
    sequences: Range<usize>,
) -> Result<BTreeMap<Phase, Array5<f32>>, CudaError> {
    let d = Dims { batch: sequences.len(), ..whole };
    let part = |numbers: Vec<f32>| copy(engine, &numbers);
    let sequences = Slice::from(sequences);
    let checkpoints = part(recording.checkpoints.slice_axis(Axis(0), sequences).iter().copied().collect())?;
    let pseudo_values = recording
        .pseudo_values
        .iter()
        .map(|(_, values)| part(values.slice_axis(Axis(0), sequences).iter().copied().collect()))
        .collect::<Result<Vec<_>, _>>()?;
    let trace = Trace {
        rows: None,
        pseudo_values: pseudo_values.iter().map(CudaSlice::as_view).collect(),
        checkpoints: Checkpoints { every, first: 0, count: recording.checkpoint_steps.len(), memories: checkpoints.as_view() },
    };
    let mut memories = BTreeMap::new();
    for &phase in phases {
        memories.insert(phase, Output::raw(engine, d.batch * d.step * d.head * d.d_k * d.d_v)?);
    }
    {
        let mut dense = [None, None, None, None];
        for (phase, array) in &mut memories {
            dense[*phase as usize] = Some(array.view_mut());
        }
        engine.replay(&uploaded.view(), &trace, 0..d.step, None, &mut dense)?;
    }
    let read = |(phase, array): (&Phase, &Output)| Ok((*phase, array.read(engine, (d.batch, d.step, d.head, d.d_k, d.d_v))?));
    memories.iter().map(read).collect()
}

fn backward(
    engine: &Engine,
    uploaded: &Uploaded,
    recurrence: &Recurrence<f32>,
    grad_output: &[f32],
    grad_final_memory: Option<&[f32]>,
) -> Result<RecurrenceGradient, CudaError> {
    let view = uploaded.view();
    let d = view.dims;
    let (n_stream, n_memory) = (d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
    let raw = |len| Output::raw(engine, len);
    let count = d.step.div_ceil(TAPE_EVERY);
    let mut residuals = recurrence.edits.iter().map(|_| raw(n_stream)).collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = raw(n_memory * count)?;
    let targets = &mut Targets {
        residuals: residuals.iter_mut().map(Output::view_mut).collect(),
        checkpoints: Some(Checkpoints { every: TAPE_EVERY, first: 0, count, memories: checkpoints.view_mut() }),
        ..Targets::default()
    };
    engine.forward(&view, 0..d.step, targets)?;

    let rows = |array: &ndarray::ArcArray<f32, ndarray::Ix4>| (d.batch, d.step, array.shape()[2], array.shape()[3]);
    let size = |(a, b, c, e): (usize, usize, usize, usize)| a * b * c * e;
    let (query, retention) = (rows(&recurrence.query), rows(&recurrence.retention));
    let (mut of_query, mut of_retention, mut of_initial) = (raw(size(query))?, raw(size(retention))?, raw(n_memory)?);
    let mut edits = Vec::new();
    for edit in &recurrence.edits {
        let read = match &edit.read {
            Read::Other(read) | Read::BeforeDecay(read) => Some(raw(size(rows(read)))?),
            Read::Nothing | Read::Direction => None,
        };
        let value = edit.value.as_ref().map(|value| raw(size(rows(value)))).transpose()?;
        edits.push((raw(d.batch * d.step * d.head)?, raw(size(rows(&edit.direction)))?, read, value));
    }
    let filled = &mut CardGradient {
        query: Some(of_query.view_mut()),
        retention: Some(of_retention.view_mut()),
        initial_memory: Some(of_initial.view_mut()),
        edits: edits
            .iter_mut()
            .map(|(strength, direction, read, value)| CardEditGradient {
                strength: Some(strength.view_mut()),
                direction: Some(direction.view_mut()),
                read: read.as_mut().map(Output::view_mut),
                value: value.as_mut().map(Output::view_mut),
            })
            .collect(),
    };
    let (grad_output, grad_final) = (copy(engine, grad_output)?, grad_final_memory.map(|numbers| copy(engine, numbers)).transpose()?);
    let grad_output = Rows::contiguous(Numbers::F32(grad_output.as_view()), d.step, d.head, d.d_v);
    let tape = CardTape {
        residuals: residuals.iter().map(Output::view).collect(),
        checkpoints: Checkpoints { every: TAPE_EVERY, first: 0, count, memories: checkpoints.view() },
    };
    engine.backward(&view, &tape, &grad_output, grad_final.as_ref().map(CudaSlice::as_view).as_ref(), filled)?;
    Ok(RecurrenceGradient {
        query: of_query.read(engine, query)?,
        retention: of_retention.read(engine, retention)?,
        initial_memory: of_initial.read(engine, (d.batch, d.head, d.d_k, d.d_v))?,
        edits: edits
            .iter()
            .zip(&recurrence.edits)
            .map(|((strength, direction, read, value), edit)| {
                Ok(EditGradient {
                    strength: strength.read(engine, (d.batch, d.step, d.head))?,
                    direction: direction.read(engine, rows(&edit.direction))?,
                    read: match (&edit.read, read) {
                        (Read::Other(shape) | Read::BeforeDecay(shape), Some(read)) => Some(read.read(engine, rows(shape))?),
                        _ => None,
                    },
                    value: edit.value.as_ref().zip(value.as_ref()).map(|(shape, value)| value.read(engine, rows(shape))).transpose()?,
                })
            })
            .collect::<Result<_, CudaError>>()?,
    })
}

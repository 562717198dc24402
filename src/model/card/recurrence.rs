//! With the `cuda` feature: the engine on a model's buffers. It runs on the model's own stream, so that everything is in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, CudaViewMut};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Device, Layout, Storage, Tensor};

use crate::memory::cuda::{
    CHUNK_STEPS, CardEdit, CardEditGradient, CardGradient, CardRead, CardRecurrence, CardTape, Checkpoints, ChunkTape, CudaError, Engine,
    Numbers, Precision, Ring, RingOptions, Rows, Targets, Trace,
};
use crate::memory::{Dims, EditKind, HookPoint, RecordOptions, Recording, Rule, Shared4};

use super::super::ModelError;
use super::{CardLayer, Packed, with_storages};

/// Steps between the checkpoints of a tape of a run step by step.
const TAPE_EVERY: usize = 64;

/// What a forward pass keeps for the backward one.
pub struct Tape {
    /// In chunks: pseudo-values of every edit; step by step: residuals.
    values: Vec<CudaSlice<f32>>,
    checkpoints: CudaSlice<f32>,
    /// In chunks only: the memory after the last step.
    last: Option<CudaSlice<f32>>,
}

/// The outputs of a layer, and with `keep` what its gradient needs.
pub fn forward(layer: &CardLayer, storage: &CudaStorage, layout: &Layout, keep: bool) -> Result<(CudaStorage, Option<Tape>), ModelError> {
    let device = storage.device().clone();
    let engine = engine(&device)?;
    let numbers = floats(storage, layout)?;
    let retention = all_kept(layer, &device)?;
    let recurrence = recurrence(layer, &numbers, retention.as_ref(), None);
    let d = layer.dims;
    let (n_stream, n_memory) = (d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
    // SAFETY (and below): the kernels write all that is read.
    let mut output = unsafe { device.alloc::<f32>(n_stream) }?;
    if !keep {
        let targets = &mut Targets { output: Some(output.as_view_mut()), ..Targets::default() };
        engine.forward(&recurrence, 0..d.step, targets)?;
        return Ok((CudaStorage::wrap_cuda_slice(output, device), None));
    }
    let in_chunks = engine.runs_in_chunks(&recurrence);
    let every = if in_chunks { CHUNK_STEPS } else { TAPE_EVERY };
    let count = d.step.div_ceil(every);
    let mut values = recurrence.edits.iter().map(|_| unsafe { device.alloc::<f32>(n_stream) }).collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = unsafe { device.alloc::<f32>(count * n_memory) }?;
    let mut last = if in_chunks { Some(unsafe { device.alloc::<f32>(n_memory) }?) } else { None };
    let kept: Vec<CudaViewMut<f32>> = values.iter_mut().map(CudaSlice::as_view_mut).collect();
    let (pseudo_values, residuals) = if in_chunks { (kept, vec![]) } else { (vec![], kept) };
    let targets = &mut Targets {
        output: Some(output.as_view_mut()),
        pseudo_values,
        residuals,
        checkpoints: Some(Checkpoints { every, first: 0, count, memories: checkpoints.as_view_mut() }),
        final_memory: last.as_mut().map(CudaSlice::as_view_mut),
        ..Targets::default()
    };
    if in_chunks {
        engine.forward_in_chunks(&recurrence, 0..d.step, targets, Precision::Split)?;
    } else {
        engine.forward(&recurrence, 0..d.step, targets)?;
    }
    Ok((CudaStorage::wrap_cuda_slice(output, device), Some(Tape { values, checkpoints, last })))
}

/// The gradient of the packed arrays from that of the outputs.
pub fn backward(layer: &CardLayer, packed: &Tensor, tape: Tape, grad: &Tensor) -> Result<Tensor, ModelError> {
    let (packed, grad) = (packed.contiguous()?, grad.contiguous()?);
    let found = with_storages([&packed, &grad], |[packed, grad]| gradient(layer, packed, &tape, grad).map_err(candle_core::Error::wrap))?;
    Ok(Tensor::from_storage(Storage::Cuda(found), packed.shape(), BackpropOp::none(), false))
}

fn gradient(
    layer: &CardLayer,
    packed: (&CudaStorage, &Layout),
    tape: &Tape,
    grad: (&CudaStorage, &Layout),
) -> Result<CudaStorage, ModelError> {
    let device = packed.0.device().clone();
    let engine = engine(&device)?;
    let (numbers, grad) = (floats(packed.0, packed.1)?, floats(grad.0, grad.1)?);
    let retention = all_kept(layer, &device)?;
    let recurrence = recurrence(layer, &numbers, retention.as_ref(), None);
    let d = layer.dims;
    let mut found = if layer.arrays.iter().map(|array| array.len).sum::<usize>() == numbers.len() {
        unsafe { device.alloc::<f32>(numbers.len()) }?
    } else {
        // What pads the arrays is not written.
        device.alloc_zeros::<f32>(numbers.len())?
    };
    let grad = Rows::contiguous(Numbers::F32(grad), d.step, d.head, d.d_v);
    let count = |every: usize| d.step.div_ceil(every);
    let checkpoints = |every: usize| Checkpoints { every, first: 0, count: count(every), memories: tape.checkpoints.as_view() };
    let values = tape.values.iter().map(CudaSlice::as_view).collect();
    each_array(found.as_view_mut(), &layer.arrays, Vec::new(), |mut arrays| {
        let mut take = |point: HookPoint| {
            let place = arrays.iter().position(|(found, _)| *found == point)?;
            Some(arrays.swap_remove(place).1)
        };
        let write = CardEditGradient {
            strength: take(HookPoint::WriteStrength(0)),
            direction: take(HookPoint::WriteDirection(0)),
            read: take(HookPoint::ReadGate),
            value: take(HookPoint::Value(0)),
        };
        let erase = take(HookPoint::EraseDirection).map(|direction| CardEditGradient {
            direction: Some(direction),
            strength: take(HookPoint::EraseStrength),
            ..Default::default()
        });
        let mut to = CardGradient {
            query: take(HookPoint::Query),
            retention: take(HookPoint::Retention),
            initial_memory: None,
            edits: erase.into_iter().chain([write]).collect(),
        };
        if let Some(last) = &tape.last {
            let trace = Trace { rows: None, pseudo_values: values, checkpoints: checkpoints(CHUNK_STEPS) };
            let tape = ChunkTape { trace, final_memory: last.as_view() };
            engine.backward_in_chunks(&recurrence, 0..d.step, &tape, (&grad, None), &mut to, Precision::Split)
        } else {
            let tape = CardTape { residuals: values, checkpoints: checkpoints(TAPE_EVERY) };
            engine.backward(&recurrence, &tape, &grad, None, &mut to)
        }
    })?;
    Ok(CudaStorage::wrap_cuda_slice(found, device))
}

/// What `options` ask for of a layer, from any memory, computed where its arrays stand.
pub fn record(
    layer: &CardLayer,
    packed: &Tensor,
    initial: Option<&Shared4<f32>>,
    options: &RecordOptions,
) -> Result<Recording, ModelError> {
    let packed = packed.contiguous()?;
    let (storage, layout) = packed.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        return Err(ModelError::Config("the card's recurrence was called on the CPU".to_owned()));
    };
    let device = storage.device();
    let engine = engine(device)?;
    let numbers = floats(storage, layout)?;
    let retention = all_kept(layer, device)?;
    let initial = initial.map(|memory| device.clone_htod(&memory.iter().copied().collect::<Vec<f32>>())).transpose()?;
    let recurrence = recurrence(layer, &numbers, retention.as_ref(), initial.as_ref());
    engine.check_recording(&recurrence, options)?;
    let ring = ring(&engine)?;
    let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(engine.record(&recurrence, options, &mut ring)?)
}

/// The engine on the stream of a model.
fn engine(device: &CudaDevice) -> Result<Engine, CudaError> {
    Engine::on(device.cuda_stream())
}

/// The ring through which dense memories leave a card: one for all models there, since page-locking takes longer than filling.
fn ring(engine: &Engine) -> Result<Arc<Mutex<Ring>>, CudaError> {
    static RINGS: OnceLock<Mutex<HashMap<usize, Arc<Mutex<Ring>>>>> = OnceLock::new();
    let mut rings = RINGS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let card = engine.stream().context().ordinal();
    if let Some(ring) = rings.get(&card) {
        return Ok(ring.clone());
    }
    let ring = Arc::new(Mutex::new(Ring::new(engine, RingOptions::default())?));
    rings.insert(card, ring.clone());
    Ok(ring)
}

fn floats<'a>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, f32>, ModelError> {
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| ModelError::Config("the recurrence needs contiguous tensors".to_owned()))?;
    Ok(storage.as_cuda_slice::<f32>()?.slice(start..end))
}

/// Where an array stands, if the rule has it.
fn array(layer: &CardLayer, point: HookPoint) -> Option<&Packed> {
    layer.arrays.iter().find(|array| array.point == point)
}

/// The retention of a rule without decay: one row of ones, for every step and head.
fn all_kept(layer: &CardLayer, device: &CudaDevice) -> Result<Option<CudaSlice<f32>>, ModelError> {
    if array(layer, HookPoint::Retention).is_some() {
        return Ok(None);
    }
    Ok(Some(device.clone_htod(&vec![1.0_f32; layer.dims.d_k])?))
}

/// A layer's arrays as the engine takes them.
fn recurrence<'a>(
    layer: &CardLayer,
    numbers: &CudaView<'a, f32>,
    all_kept: Option<&'a CudaSlice<f32>>,
    initial: Option<&'a CudaSlice<f32>>,
) -> CardRecurrence<'a> {
    let Dims { step, .. } = layer.dims;
    let rows = |point: HookPoint| {
        let &Packed { first, len, heads, width, .. } = array(layer, point)?;
        Some(Rows::contiguous(Numbers::F32(numbers.slice(first..first + len)), step, heads, width))
    };
    let needed = |point: HookPoint| rows(point).expect("every mixer has it");
    let ones = |ones: &'a CudaSlice<f32>| Rows { numbers: Numbers::F32(ones.as_view()), heads: 1, strides: [0; 3] };
    let retention = rows(HookPoint::Retention).or_else(|| all_kept.map(ones)).expect("a retention, or ones in its place");
    let erase = rows(HookPoint::EraseDirection).map(|direction| CardEdit {
        kind: EditKind::Erase,
        strength: rows(HookPoint::EraseStrength),
        direction,
        read: CardRead::Direction,
        value: None,
    });
    let write = CardEdit {
        kind: EditKind::Write(0),
        strength: rows(HookPoint::WriteStrength(0)),
        direction: needed(HookPoint::WriteDirection(0)),
        read: if layer.rule == Rule::Gdn2 { CardRead::Other(needed(HookPoint::ReadGate)) } else { CardRead::Direction },
        value: rows(HookPoint::Value(0)),
    };
    CardRecurrence {
        dims: layer.dims,
        query: needed(HookPoint::Query),
        retention,
        edits: erase.into_iter().chain([write]).collect(),
        initial_memory: initial.map(CudaSlice::as_view),
    }
}

/// Hands every array of a packed one to `then`. (A view can be split in two only, and lives as long as the view it was split from.)
fn each_array<R>(
    mut rest: CudaViewMut<'_, f32>,
    places: &[Packed],
    found: Vec<(HookPoint, CudaViewMut<'_, f32>)>,
    then: impl FnOnce(Vec<(HookPoint, CudaViewMut<'_, f32>)>) -> R,
) -> R {
    let Some((place, more)) = places.split_first() else { return then(found) };
    let mut found: Vec<(HookPoint, CudaViewMut<'_, f32>)> = found;
    // What is left behind an array pads it.
    let next = more.first().map_or(place.first + place.len, |next| next.first);
    let (mut padded, rest) = rest.split_at_mut(next - place.first);
    let (array, _) = padded.split_at_mut(place.len);
    found.push((place.point, array));
    each_array(rest, more, found, then)
}

/// Freed memory stays with a card's pool, so that every call finds it again. Where that cannot be had, calls are only slower.
pub fn keep_freed_memory(device: &Device) {
    if let Device::Cuda(device) = device
        && let Ok(engine) = engine(device)
    {
        engine.keep_freed_memory();
    }
}

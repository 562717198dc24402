//! The recurrence on a card, for training and long evaluation: the rules that are a decay, at most one erase and one delta write.
//!
//! What is special to a rule is done with differentiable operations before the kernel: GDN-2's gates become the place the write
//! reads and the value it writes, and heads that share a key get a copy each.

use std::sync::Mutex;

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Error, Layout, Result, Shape, Storage, Tensor, op::BackpropOp};

use crate::memory::{Dims, HookPoint, Shared4};

use super::{
    ModelError,
    card::{self, Launch, Number, int},
    memory_op::{Pack, Part},
};

/// What the kernel takes, in the order of its arguments.
const SLOTS: [HookPoint; 8] = [
    HookPoint::Query,
    HookPoint::WriteDirection(0),
    HookPoint::Value(0),
    HookPoint::Retention,
    HookPoint::WriteStrength(0),
    HookPoint::EraseDirection,
    HookPoint::EraseStrength,
    // GDN-2's place to read stands where its gate would.
    HookPoint::ReadGate,
];

/// An argument of the kernel for a part that the rule does not have.
const ABSENT: Number = Number::Int(u32::MAX);

/// The outputs [batch * step, head * d_v] of a layer from a memory of zeros; differentiable.
pub(super) fn outputs(pack: &Pack, tensors: &[Tensor]) -> std::result::Result<Tensor, ModelError> {
    let (layer, packed) = CardLayer::new(pack, tensors)?;
    let differentiable = packed.track_op();
    Ok(packed.apply_op1(CardMemoryOp { layer, differentiable, tape: Mutex::new(None) })?)
}

/// The same from any memory, without gradient, and the memory [batch, head, d_k, d_v] after the last step.
pub(super) fn outputs_after(
    pack: &Pack,
    tensors: &[Tensor],
    initial: Option<&Shared4<f32>>,
) -> std::result::Result<(Tensor, Shared4<f32>), ModelError> {
    let (layer, packed) = CardLayer::new(pack, tensors)?;
    let Dims { batch, step, head, d_k, d_v, .. } = layer.dims;
    let memory = match initial {
        Some(memory) => Tensor::from_iter(memory.iter().copied(), packed.device())?,
        None => packed.narrow(0, 0, 1)?,
    };
    let scalars = layer.scalars(&[int(initial.is_some().into()), int(0)]);
    let shapes: [&[usize]; 5] = [&[batch * step, head * d_v], &[batch * head * d_k * d_v], &[1], &[1], &[1]];
    let [output, last, ..] = card::on_tensors(layer.forward(&scalars), &[&packed, &memory], shapes)?;
    let last = ndarray::Array4::from_shape_vec((batch, head, d_k, d_v), last.to_vec1()?).map_err(Error::wrap)?;
    Ok((output, last.into_shared()))
}

/// Where everything stands in a packed tensor.
struct CardLayer {
    dims: Dims,
    /// First number of each slot.
    places: [Option<usize>; SLOTS.len()],
    retention_channels: usize,
    kernels: (&'static str, &'static str),
}

impl CardLayer {
    /// The layer, and its parts laid end to end.
    fn new(pack: &Pack, tensors: &[Tensor]) -> std::result::Result<(Self, Tensor), ModelError> {
        let dims = pack.dims;
        let kernels = match (dims.d_k, dims.d_v) {
            (32, 32) => ("memory_forward_32", "memory_backward_32_1"),
            (64, 64) => ("memory_forward_64", "memory_backward_64_2"),
            (128, 128) => ("memory_forward_128", "memory_backward_128_4"),
            (d_k, d_v) => {
                return Err(ModelError::Config(format!(
                    "memories of {d_k} x {d_v} cannot run on a card: d_k and d_v must both be 32, 64 or 128; or use --device cpu"
                )));
            }
        };
        let mut layer = Self { dims, places: [None; SLOTS.len()], retention_channels: dims.d_k, kernels };
        let full = |point: HookPoint| {
            let (part, tensor) = pack.parts.iter().zip(tensors).find(|(part, _)| part.point == point)?;
            Some(for_all_heads(&dims, part, tensor).map(|tensor| (part.channels, tensor)))
        };
        let mut flat = Vec::new();
        let mut len = 0;
        for (slot, point) in SLOTS.into_iter().enumerate() {
            let Some((channels, mut tensor)) = full(point).transpose()? else { continue };
            let other = match point {
                HookPoint::ReadGate => full(HookPoint::WriteDirection(0)),
                HookPoint::Value(0) => full(HookPoint::ValueGate),
                _ => None,
            };
            if let Some((_, other)) = other.transpose()? {
                tensor = (tensor * other)?;
            }
            if point == HookPoint::Retention {
                layer.retention_channels = channels;
            }
            layer.places[slot] = Some(len);
            len += tensor.elem_count();
            flat.push(tensor.flatten_all()?);
        }
        Ok((layer, Tensor::cat(&flat, 0)?))
    }

    /// The arguments of a kernel, and some more.
    fn scalars(&self, more: &[Number]) -> Vec<Number> {
        let Dims { step, head, d_v, .. } = self.dims;
        let places = self.places.iter().map(|place| place.map_or(ABSENT, int));
        let sizes = [int(step), int(head), int(d_v)];
        sizes.into_iter().chain(places).chain([int(self.retention_channels)]).chain(more.iter().copied()).collect()
    }

    fn launch<'a>(&self, kernel: &'static str, shared: usize, scalars: &'a [Number]) -> Launch<'a> {
        Launch { kernel, blocks: self.dims.batch * self.dims.head, threads: self.dims.d_v, shared, scalars }
    }

    fn forward<'a>(&self, scalars: &'a [Number]) -> Launch<'a> {
        self.launch(self.kernels.0, 0, scalars)
    }

    /// Shared memory as `memory.cu` lays it out.
    fn backward<'a>(&self, scalars: &'a [Number]) -> Launch<'a> {
        const ROW_VECTORS: usize = 5;
        const AHEAD: usize = 4;
        let Dims { d_k, d_v, .. } = self.dims;
        let warps = d_v / 32;
        let states = if d_k > 64 { 2 } else { 3 };
        let numbers = 2 * AHEAD * ROW_VECTORS * d_k + states * d_k * (d_v + 4) + warps * ROW_VECTORS * d_k + 2 * warps;
        self.launch(self.kernels.1, numbers * size_of::<f32>(), scalars)
    }
}

/// [rows, heads of the part * channels], a copy for each head that shares it.
fn for_all_heads(dims: &Dims, part: &Part, tensor: &Tensor) -> Result<Tensor> {
    if part.heads == dims.head {
        return Ok(tensor.clone());
    }
    let (rows, group) = (dims.batch * dims.step, dims.head / part.heads);
    let shape = (rows, part.heads, group, part.channels);
    tensor.reshape((rows, part.heads, 1, part.channels))?.broadcast_as(shape)?.contiguous()?.reshape((rows, dims.head * part.channels))
}

/// What the forward pass keeps for the backward one: the memory every step found, and a row of the residual and one of what the
/// erase read, per step and head.
type Tape = [Tensor; 3];

struct CardMemoryOp {
    layer: CardLayer,
    differentiable: bool,
    tape: Mutex<Option<Tape>>,
}

impl CustomOp1 for CardMemoryOp {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn cpu_fwd(&self, _storage: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg("the card's recurrence was called on the CPU".to_owned()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let Dims { batch, step, head, d_k, d_v, .. } = self.layer.dims;
        let n_rows = batch * step * head;
        let scalars = self.layer.scalars(&[int(0), int(self.differentiable.into())]);
        let kept = |len: usize| if self.differentiable { len } else { 1 };
        let lens = [n_rows * d_v, batch * head * d_k * d_v, kept(n_rows * d_k * d_v), kept(n_rows * d_v), kept(n_rows * d_v)];
        // Without an initial memory its place is never read.
        let inputs = [(storage, layout), (storage, layout)];
        let [output, _last, states, residuals, removed] = card::on_storages(self.layer.forward(&scalars), &inputs, lens)?;
        if self.differentiable {
            let tensor = |storage, len: usize| Tensor::from_storage(Storage::Cuda(storage), len, BackpropOp::none(), false);
            let tape = [tensor(states, lens[2]), tensor(residuals, lens[3]), tensor(removed, lens[4])];
            *self.tape.lock().expect("nobody panics while holding it") = Some(tape);
        }
        Ok((output, (batch * step, head * d_v).into()))
    }

    fn bwd(&self, packed: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        // Taken, so that the memories' room is free again as soon as they were used.
        let tape = self.tape.lock().expect("nobody panics while holding it").take();
        let [states, residuals, removed] = tape.ok_or_else(|| Error::Msg("the memory's backward ran before its forward".to_owned()))?;
        let scalars = self.layer.scalars(&[]);
        let inputs = [packed, grad, &states, &residuals, &removed];
        let [grad] = card::on_tensors(self.layer.backward(&scalars), &inputs, [packed.dims()])?;
        Ok(Some(grad))
    }
}

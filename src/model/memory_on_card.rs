//! The recurrence on a card: the engine's kernels ([`crate::memory::cuda`]) on the model's own buffers.
//!
//! Without a gradient to come, a layer goes step by step, observed or not, and its bits do not depend on who looks. With a gradient
//! it goes in chunks on tensor cores where rule and card allow that, and step by step elsewhere; the two differ by rounding.
//!
//! Of the kernels' arguments only GDN-2's are made here with differentiable operations: its gates become the place the write
//! reads and the value it writes.

use std::sync::Mutex;

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};

use crate::memory::{Dims, Factors, HookPoint, RecordOptions, Recording, Shared4};

use super::{
    ModelError,
    card::{
        CardLayer, Packed,
        recurrence::{self, Tape},
    },
    graph,
    memory_op::{self, Pack},
};

/// The arrays of a layer in the order in which they are packed: wide rows first, so that these begin where vector loads may.
const SLOTS: [HookPoint; 8] = [
    HookPoint::Query,
    HookPoint::WriteDirection(0),
    HookPoint::Value(0),
    HookPoint::Retention,
    HookPoint::EraseDirection,
    // GDN-2's place to read stands where its gate would.
    HookPoint::ReadGate,
    HookPoint::WriteStrength(0),
    HookPoint::EraseStrength,
];

/// Numbers that vector loads take at once.
const VECTOR: usize = 4;

/// The outputs [batch * step, head * d_v] of a layer from a memory of zeros; differentiable.
pub(super) fn outputs(pack: &Pack, tensors: &[Tensor]) -> std::result::Result<Tensor, ModelError> {
    let (layer, packed) = packed(pack, tensors)?;
    let differentiable = graph::is_recording() || packed.track_op();
    Ok(graph::apply1(&packed, CardMemoryOp { layer, differentiable, tape: Mutex::new(None) })?)
}

/// The same from any memory, without gradient, with what `options` ask for. The factors leave the card only if they are asked for.
pub(super) fn recorded(
    pack: &Pack,
    tensors: &[Tensor],
    initial: Option<&Shared4<f32>>,
    options: Option<&RecordOptions>,
) -> std::result::Result<(Tensor, Recording, Option<Factors<f32>>), ModelError> {
    let (layer, packed) = packed(pack, tensors)?;
    let Dims { batch, step, head, d_v, .. } = layer.dims;
    let nothing = RecordOptions::default();
    let recording = recurrence::record(&layer, &packed, initial, options.unwrap_or(&nothing))?;
    let output = Tensor::from_iter(recording.output.iter().copied(), packed.device())?.reshape((batch * step, head * d_v))?;
    let factors = options.map(|_| memory_op::factors(pack, tensors, initial)).transpose()?;
    Ok((output, recording, factors))
}

/// A layer's parts laid end to end, and where they are.
fn packed(pack: &Pack, tensors: &[Tensor]) -> std::result::Result<(CardLayer, Tensor), ModelError> {
    let dims = pack.dims;
    let mut layer = CardLayer { rule: pack.rule, dims, arrays: Vec::new() };
    let part_of = |point: HookPoint| pack.parts.iter().zip(tensors).find(|(part, _)| part.point == point);
    let mut flat = Vec::new();
    let mut first = 0;
    for point in SLOTS {
        let Some((part, tensor)) = part_of(point) else { continue };
        let width = point.shape(&dims).get(3).copied().unwrap_or(1);
        let mut tensor = if part.channels == width { tensor.clone() } else { graph::for_all_channels(tensor, part.heads, width)? };
        let other = match point {
            HookPoint::ReadGate => part_of(HookPoint::WriteDirection(0)),
            HookPoint::Value(0) => part_of(HookPoint::ValueGate),
            _ => None,
        };
        if let Some((_, other)) = other {
            tensor = graph::mul(&tensor, other)?;
        }
        let len = tensor.elem_count();
        layer.arrays.push(Packed { point, first, len, heads: part.heads, width });
        flat.push(tensor.clone());
        let padding = len.next_multiple_of(VECTOR) - len;
        if padding > 0 {
            flat.push(Tensor::zeros(padding, tensor.dtype(), tensor.device())?);
        }
        first += len + padding;
    }
    Ok((layer, graph::join(&flat)?))
}

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
        let Dims { batch, step, head, d_v, .. } = self.layer.dims;
        let (output, tape) = recurrence::forward(&self.layer, storage, layout, self.differentiable).map_err(Error::wrap)?;
        *self.tape.lock().expect("nobody panics while holding it") = tape;
        Ok((output, (batch * step, head * d_v).into()))
    }

    fn bwd(&self, packed: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        // Taken, so that its room is free again as soon as it was used.
        let tape = self.tape.lock().expect("nobody panics while holding it").take();
        let tape = tape.ok_or_else(|| Error::Msg("the memory's backward ran before its forward".to_owned()))?;
        recurrence::backward(&self.layer, packed, tape, grad).map(Some).map_err(Error::wrap)
    }
}

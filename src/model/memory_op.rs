//! The recurrence as one differentiable operation on a packed tensor.
//!
//! The factors of a layer, flattened and laid end to end, go in; the outputs come out. Forward and backward are those of
//! [`crate::memory::cpu`].

use std::{collections::BTreeMap, sync::Mutex};

use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Tensor};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Zip};

use crate::memory::{Dims, Factors, HookPoint, MemoryError, Recurrence, Rule, Scalar, Shared4, cpu};

use super::{
    GradientSink, ModelError, card, graph,
    kernel::{floats, with_floats},
    memory_on_card,
};

/// What a mixer computes for one factor: [batch, step, heads, channels]. Where a factor of the table has more heads, each entry
/// serves a contiguous group of them; where it has more channels, one number serves all.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The factor.
    pub point: HookPoint,
    /// Entries of the head axis.
    pub heads: usize,
    /// Entries of the channel axis; 1 where there is none.
    pub channels: usize,
}

/// Which parts stand where in a packed tensor.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The rule they belong to.
    pub rule: Rule,
    /// Sizes of the recurrence.
    pub dims: Dims,
    /// In the order of the tensor.
    pub parts: Vec<Part>,
}

impl Pack {
    fn len(&self, part: &Part) -> usize {
        self.dims.batch * self.dims.step * part.heads * part.channels
    }

    /// Factors of the table from the numbers of each part. Without a part for it, the retention is 1: all is kept.
    pub fn factors<F: Scalar>(&self, slices: &[&[F]], initial_memory: Option<&Shared4<F>>) -> std::result::Result<Factors<F>, MemoryError> {
        let mut arrays = BTreeMap::new();
        for (part, slice) in self.parts.iter().zip(slices) {
            arrays.insert(part.point, self.widen(part, slice));
        }
        arrays.entry(HookPoint::Retention).or_insert_with(|| ArrayD::from_elem(HookPoint::Retention.shape(&self.dims), F::one()));
        Factors::new(self.rule, arrays, initial_memory.map(ndarray::ArrayBase::to_owned))
    }

    fn widen<F: Scalar>(&self, part: &Part, slice: &[F]) -> ArrayD<F> {
        let wanted = part.point.shape(&self.dims);
        let mut wide = if slice.len() == wanted.iter().product::<usize>() {
            return ArrayD::from_shape_vec(wanted, slice.to_vec()).expect("as many numbers as the shape has");
        } else {
            ArrayD::from_elem(wanted, F::zero())
        };
        let groups = self.groups(part);
        let narrow = ArrayView::from_shape(self.narrow_shape(part), slice).expect("as many numbers as the part has");
        let mut grouped = wide.view_mut().into_shape_with_order(groups).expect("heads are a multiple");
        grouped.assign(&narrow);
        wide
    }

    /// The gradient of a part from that of its factor: the sum over everything it serves.
    fn narrow(&self, part: &Part, grad: ArrayViewD<'_, f32>, out: &mut [f32]) {
        let grad = grad.as_standard_layout();
        if grad.len() == out.len() {
            out.copy_from_slice(grad.as_slice().expect("standard layout"));
            return;
        }
        let grouped = grad.view().into_shape_with_order(self.groups(part)).expect("heads are a multiple");
        let mut sum = grouped.sum_axis(Axis(3));
        if part.channels == 1 {
            sum = sum.sum_axis(Axis(3)).insert_axis(Axis(3));
        }
        for (out, sum) in out.iter_mut().zip(&sum) {
            *out = *sum;
        }
    }

    /// [batch, step, heads of the part, heads served by each, channels].
    fn groups(&self, part: &Part) -> Vec<usize> {
        let shape = part.point.shape(&self.dims);
        let channels = shape.get(3).copied().unwrap_or(1);
        vec![shape[0], shape[1], part.heads, shape[2] / part.heads, channels]
    }

    fn narrow_shape(&self, part: &Part) -> Vec<usize> {
        vec![self.dims.batch, self.dims.step, part.heads, 1, part.channels]
    }
}

/// The outputs [batch * step, head * d_v] of a layer whose parts are `tensors`, from a memory of zeros; differentiable.
pub fn outputs(pack: Pack, tensors: &[Tensor]) -> std::result::Result<Tensor, ModelError> {
    outputs_with_sink(pack, tensors, None)
}

/// The same; a gradient that flows back hands those of the factors to the sink (on the CPU only).
pub(super) fn outputs_with_sink(pack: Pack, tensors: &[Tensor], sink: Option<GradientSink>) -> std::result::Result<Tensor, ModelError> {
    if tensors.first().is_some_and(card::holds) {
        if sink.is_some() {
            return Err(ModelError::Config("gradients of a layer's factors are taken on the CPU only: use --device cpu".to_owned()));
        }
        return memory_on_card::outputs(&pack, tensors);
    }
    let packed = graph::join(tensors)?;
    let differentiable = graph::is_recording() || packed.track_op();
    Ok(graph::apply1(&packed, MemoryOp { pack, differentiable, sink, saved: Mutex::new(None) })?)
}

/// The factors of a layer whose parts are `tensors`, starting from any memory; no gradient.
pub(super) fn factors(
    pack: &Pack,
    tensors: &[Tensor],
    initial_memory: Option<&Shared4<f32>>,
) -> std::result::Result<Factors<f32>, ModelError> {
    let numbers = |tensor: &Tensor| with_floats([&tensor.to_device(&Device::Cpu)?], |[values]| Ok(values.to_vec()));
    let tensors: Vec<Vec<f32>> = tensors.iter().map(numbers).collect::<Result<_>>()?;
    let slices: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
    Ok(pack.factors(&slices, initial_memory)?)
}

/// What the forward pass leaves for the backward one.
type Saved = (Factors<f32>, Recurrence<f32>, cpu::Tape);

/// The factors are kept between forward and backward, so that they are copied out of the packed tensor once.
struct MemoryOp {
    pack: Pack,
    differentiable: bool,
    sink: Option<GradientSink>,
    saved: Mutex<Option<Saved>>,
}

impl CustomOp1 for MemoryOp {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut rest = floats(storage, layout)?;
        let mut slices = Vec::with_capacity(self.pack.parts.len());
        for part in &self.pack.parts {
            let (slice, tail) = rest.split_at(self.pack.len(part));
            slices.push(slice);
            rest = tail;
        }
        let factors = self.pack.factors(&slices, None).map_err(Error::wrap)?;
        let recurrence = factors.lower();
        let output = if self.differentiable {
            let (forward, tape) = cpu::forward_with_tape(&recurrence);
            *self.saved.lock().expect("nobody panics while holding it") = Some((factors, recurrence, tape));
            forward.output
        } else {
            cpu::forward(&recurrence).output
        };
        let Dims { batch, step, head, d_v, .. } = self.pack.dims;
        // The engine's arrays may start inside their allocation.
        let numbers = output.len();
        let output = match output.into_raw_vec_and_offset() {
            (output, Some(0)) if output.len() == numbers => output,
            (output, offset) => output[offset.unwrap_or(0)..][..numbers].to_vec(),
        };
        Ok((CpuStorage::F32(output), (batch * step, head * d_v).into()))
    }

    fn bwd(&self, packed: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let saved = self.saved.lock().expect("nobody panics while holding it");
        let (factors, recurrence, tape) =
            saved.as_ref().ok_or_else(|| Error::Msg("the memory's backward ran before its forward".to_owned()))?;
        let Dims { batch, step, head, d_v, .. } = self.pack.dims;
        let gradients = with_floats([grad], |[grad]| {
            let grad = ArrayView::from_shape((batch, step, head, d_v), grad).map_err(Error::wrap)?;
            Ok(by_factor(factors, cpu::backward_from(recurrence, tape, grad, None)))
        })?;
        if let Some(sink) = &self.sink {
            sink(&gradients);
        }
        let mut out = vec![0.0; packed.elem_count()];
        let mut rest = out.as_mut_slice();
        for part in &self.pack.parts {
            let (slice, tail) = rest.split_at_mut(self.pack.len(part));
            self.pack.narrow(part, gradients[&part.point].view(), slice);
            rest = tail;
        }
        Ok(Some(Tensor::from_vec(out, packed.shape(), packed.device())?))
    }
}

/// Gradients of a rule's factors from those of the decay and edits they lower to.
fn by_factor(factors: &Factors<f32>, gradient: cpu::RecurrenceGradient) -> BTreeMap<HookPoint, ArrayD<f32>> {
    use HookPoint::{EraseDirection, EraseStrength, Query, ReadGate, Retention, Value, ValueGate, WriteDirection, WriteStrength};
    let mut all = BTreeMap::from([(Query, gradient.query.into_dyn()), (Retention, gradient.retention.into_dyn())]);
    let mut edits = gradient.edits;
    let write = edits.pop().expect("every rule of a mixer writes");
    let grad_value = write.value.expect("every write has a value");
    if let Some(erase) = edits.pop() {
        all.insert(EraseDirection, erase.direction.into_dyn());
        all.insert(EraseStrength, erase.strength.into_dyn());
    }
    if factors.rule() == Rule::Gdn2 {
        // The write reads at (read gate * key) and writes (value gate * value).
        let dims = factors.dims();
        let grad_read = write.read.expect("GDN-2 reads at another place");
        let (key, read_gate) = (factors.channels(WriteDirection(0)), factors.channels(ReadGate));
        let mut grad_gate = grad_read.clone();
        let mut grad_key = write.direction;
        for head in 0..dims.head {
            let key_head = dims.key_head_of(head);
            let mut gate = grad_gate.index_axis_mut(Axis(2), head);
            gate *= &key.index_axis(Axis(2), key_head);
            let mut grad_key = grad_key.index_axis_mut(Axis(2), key_head);
            Zip::from(&mut grad_key)
                .and(grad_read.index_axis(Axis(2), head))
                .and(read_gate.index_axis(Axis(2), head))
                .for_each(|sum, grad, gate| *sum += grad * gate);
        }
        all.insert(ReadGate, grad_gate.into_dyn());
        all.insert(WriteDirection(0), grad_key.into_dyn());
        all.insert(ValueGate, (&grad_value * &factors.channels(Value(0))).into_dyn());
        all.insert(Value(0), (grad_value * factors.channels(ValueGate)).into_dyn());
    } else {
        all.insert(WriteDirection(0), write.direction.into_dyn());
        all.insert(WriteStrength(0), write.strength.into_dyn());
        all.insert(Value(0), grad_value.into_dyn());
    }
    all
}

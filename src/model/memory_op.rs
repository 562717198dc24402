//! The recurrence as one differentiable operation on a packed tensor.
//!
//! The factors of a layer, flattened and laid end to end, go in; the outputs come out. Forward and backward are those of
//! [`crate::memory::cpu`].

use std::{collections::BTreeMap, sync::Mutex};

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis};

use crate::memory::{Dims, Factors, HookPoint, MemoryError, RecordOptions, Recording, Recurrence, Rule, Shared4, cpu};

use super::{
    ModelError,
    kernel::{floats, with_floats},
};

/// What a mixer computes for one factor: [batch, step, heads, channels]. Where a factor of the table has more heads, each entry
/// serves a contiguous group of them; where it has more channels, one number serves all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub point: HookPoint,
    pub heads: usize,
    pub channels: usize,
}

/// Which parts stand where in a packed tensor.
#[derive(Clone, Debug)]
pub(super) struct Pack {
    pub rule: Rule,
    pub dims: Dims,
    pub parts: Vec<Part>,
}

impl Pack {
    fn len(&self, part: &Part) -> usize {
        self.dims.batch * self.dims.step * part.heads * part.channels
    }

    /// Factors of the table from the numbers of each part. A rule whose mixer computes no retention keeps all.
    fn factors(&self, slices: &[&[f32]], initial_memory: Option<&Shared4<f32>>) -> std::result::Result<Factors<f32>, MemoryError> {
        let mut arrays = BTreeMap::new();
        for (part, slice) in self.parts.iter().zip(slices) {
            arrays.insert(part.point, self.widen(part, slice));
        }
        arrays.entry(HookPoint::Retention).or_insert_with(|| ArrayD::ones(HookPoint::Retention.shape(&self.dims)));
        Factors::new(self.rule, arrays, initial_memory.map(|memory| memory.to_owned()))
    }

    fn widen(&self, part: &Part, slice: &[f32]) -> ArrayD<f32> {
        let wanted = part.point.shape(&self.dims);
        let mut wide = if slice.len() == wanted.iter().product::<usize>() {
            return ArrayD::from_shape_vec(wanted, slice.to_vec()).expect("as many numbers as the shape has");
        } else {
            ArrayD::zeros(wanted)
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
pub(super) fn outputs(pack: Pack, tensors: &[Tensor]) -> std::result::Result<Tensor, ModelError> {
    let flat = tensors.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?;
    let packed = Tensor::cat(&flat, 0)?;
    Ok(packed.apply_op1(MemoryOp { pack, saved: Mutex::new(None) })?)
}

/// The same from any memory, keeping what `options` ask for; no gradient. The output is in the recording.
pub(super) fn record(
    pack: &Pack,
    tensors: &[Tensor],
    initial_memory: Option<&Shared4<f32>>,
    options: &RecordOptions,
) -> std::result::Result<(Factors<f32>, Recording), ModelError> {
    let tensors: Vec<Vec<f32>> =
        tensors.iter().map(|tensor| with_floats([tensor], |[values]| Ok(values.to_vec()))).collect::<Result<_>>()?;
    let slices: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
    let factors = pack.factors(&slices, initial_memory)?;
    let recording = cpu::record(&factors.lower(), options);
    Ok((factors, recording))
}

/// The factors are kept between forward and backward, so that they are copied out of the packed tensor once.
struct MemoryOp {
    pack: Pack,
    saved: Mutex<Option<(Factors<f32>, Recurrence<f32>)>>,
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
        let output = cpu::forward(&recurrence).output;
        *self.saved.lock().expect("nobody panics while holding it") = Some((factors, recurrence));
        let Dims { batch, step, head, d_v, .. } = self.pack.dims;
        let (output, offset) = output.into_raw_vec_and_offset();
        debug_assert_eq!(offset.unwrap_or(0), 0);
        Ok((CpuStorage::F32(output), (batch * step, head * d_v).into()))
    }
}

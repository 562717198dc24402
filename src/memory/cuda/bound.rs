//! Arguments of a launch, checked against the sizes of the recurrence.

use std::ops::Range;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DevicePtr, DevicePtrMut, SyncOnDrop};

use super::super::{Dims, Edit, EditKind, Read, Recurrence};
use super::buffers::{CardEdit, CardRead, CardRecurrence, Numbers, Rows, Targets, Trace};
use super::error::CudaError;
use super::layout::{Arguments, EditArgument, MOST_EDITS, RowsArgument};
use super::plan::{self, Form};
use super::upload::Element;

/// What kernels are compiled for.
pub(super) struct Shape {
    pub form: Form,
    pub n: usize,
    reads: usize,
    values: usize,
    /// Sizes and formats of the arrays: kernels are compiled for them.
    formats: [(&'static str, usize); 7],
}

impl Shape {
    /// Of a recurrence that was copied to a card, which needs none.
    pub fn of(recurrence: &Recurrence<f32>, element: Element) -> Self {
        let d = recurrence.dims;
        let flags = |width: usize| usize::from(element == Element::Bf16) | usize::from(width.is_multiple_of(4)) << 1;
        let edits = || recurrence.edits.iter().enumerate();
        let kind = |read: &Read<f32>| match read {
            Read::Nothing => 0,
            Read::Direction => 1,
            Read::Other(_) => 2,
            Read::BeforeDecay(_) => 3,
        };
        let fold = |of: &dyn Fn(&Edit<f32>) -> usize| edits().fold(0, |bits, (j, edit)| bits | of(edit) << (2 * j));
        let n_elsewhere = recurrence.edits.iter().filter(|edit| kind(&edit.read) >= 2).count();
        let n_values = recurrence.edits.iter().filter(|edit| edit.value.is_some()).count();
        Self {
            form: Form { n_edits: recurrence.edits.len(), n_elsewhere, n_values, padded: plan::padded(d.d_k) },
            n: recurrence.edits.len(),
            reads: fold(&|edit| kind(&edit.read)),
            values: edits().fold(0, |bits, (j, edit)| bits | usize::from(edit.value.is_some()) << j),
            formats: [
                ("D_K", d.d_k),
                ("D_V", d.d_v),
                ("F_QUERY", flags(d.d_k)),
                ("F_RETENTION", flags(d.d_k)),
                ("F_DIRECTION", fold(&|_| flags(d.d_k))),
                ("F_READ", fold(&|edit| if kind(&edit.read) >= 2 { flags(d.d_k) } else { 0 })),
                ("F_VALUE", fold(&|edit| if edit.value.is_some() { flags(d.d_v) } else { 0 })),
            ],
        }
    }

    pub fn defines(&self, more: &[(&'static str, usize)]) -> Vec<(&'static str, usize)> {
        let mut defines = vec![("N", self.n), ("DK", self.form.padded), ("READS", self.reads), ("VALUES", self.values)];
        defines.extend(self.formats);
        defines.extend(more);
        defines
    }
}

/// Arguments of a launch, and what keeps their buffers in order with other streams.
pub(super) struct Bound<'a> {
    stream: &'a CudaStream,
    pub arguments: Arguments,
    guards: Vec<SyncOnDrop<'a>>,
}

impl<'a> Bound<'a> {
    pub fn new(stream: &'a CudaStream) -> Self {
        Self { stream, arguments: Arguments::default(), guards: Vec::new() }
    }

    /// The inputs, checked against the sizes.
    pub fn recurrence(&mut self, recurrence: &'a CardRecurrence, steps: &Range<usize>) -> Result<Shape, CudaError> {
        let d = recurrence.dims;
        let n = recurrence.edits.len();
        if !(1..=MOST_EDITS).contains(&n) {
            return Err(CudaError::Unsupported(format!("the card's kernels take 1 to {MOST_EDITS} edits a step, this rule has {n}")));
        }
        if d.d_k.max(d.d_v) > plan::MOST_CHANNELS || d.d_k.min(d.d_v) == 0 {
            return Err(CudaError::Unsupported(format!(
                "the card's kernels take memories of 1 to {} channels a side, this one has {} by {}",
                plan::MOST_CHANNELS,
                d.d_k,
                d.d_v
            )));
        }
        if d.key_head == 0 || !d.head.is_multiple_of(d.key_head) {
            return Err(CudaError::Shape(format!("{} heads cannot be served by {} key heads", d.head, d.key_head)));
        }
        if steps.end > d.step {
            return Err(CudaError::Shape(format!("steps {steps:?} of a recurrence of {} steps", d.step)));
        }
        let arguments = Arguments {
            batch: d.batch as i32,
            head: d.head as i32,
            d_k: d.d_k as i32,
            d_v: d.d_v as i32,
            first_step: steps.start as i32,
            n_steps: steps.len() as i32,
            n_erases: recurrence.edits.iter().filter(|edit| edit.kind == EditKind::Erase).count() as i32,
            checkpoint_every: 1,
            dense_heads: d.head as i32,
            chunks_per_run: 1,
            progress_every: 1,
            query: self.rows("query", &recurrence.query, &d, d.d_k)?,
            retention: self.rows("retention", &recurrence.retention, &d, d.d_k)?,
            initial: self.optional("initial memory", recurrence.initial_memory.as_ref(), d.batch * d.head * d.d_k * d.d_v)?,
            ..Arguments::default()
        };
        self.arguments = arguments;
        let mut shape = Shape {
            form: Form { n_edits: n, n_elsewhere: 0, n_values: 0, padded: plan::padded(d.d_k) },
            n,
            reads: 0,
            values: 0,
            formats: Default::default(),
        };
        for (j, edit) in recurrence.edits.iter().enumerate() {
            let (argument, kind) = self.edit(edit, &d)?;
            self.arguments.edits[j] = argument;
            shape.reads |= kind << (2 * j);
            shape.values |= usize::from(edit.value.is_some()) << j;
            shape.form.n_values += usize::from(edit.value.is_some());
            shape.form.n_elsewhere += usize::from(kind >= 2);
        }
        let arguments = &self.arguments;
        let each = |rows: fn(&EditArgument) -> &RowsArgument| {
            arguments.edits.iter().take(n).enumerate().fold(0, |bits, (j, edit)| bits | (rows(edit).flags as usize) << (2 * j))
        };
        shape.formats = [
            ("D_K", d.d_k),
            ("D_V", d.d_v),
            ("F_QUERY", arguments.query.flags as usize),
            ("F_RETENTION", arguments.retention.flags as usize),
            ("F_DIRECTION", each(|edit| &edit.direction)),
            ("F_READ", each(|edit| &edit.read)),
            ("F_VALUE", each(|edit| &edit.value)),
        ];
        Ok(shape)
    }

    fn edit(&mut self, edit: &'a CardEdit, d: &Dims) -> Result<(EditArgument, usize), CudaError> {
        let (read, kind) = match &edit.read {
            CardRead::Nothing => (RowsArgument::default(), 0),
            CardRead::Direction => (RowsArgument::default(), 1),
            CardRead::Other(read) => (self.rows("read", read, d, d.d_k)?, 2),
            CardRead::BeforeDecay(read) => (self.rows("read", read, d, d.d_k)?, 3),
        };
        let strength = edit.strength.as_ref().map(|strength| self.rows("strength", strength, d, 1)).transpose()?;
        let value = edit.value.as_ref().map(|value| self.rows("value", value, d, d.d_v)).transpose()?;
        let direction = self.rows("direction", &edit.direction, d, d.d_k)?;
        Ok((EditArgument { strength: strength.unwrap_or_default(), direction, read, value: value.unwrap_or_default() }, kind))
    }

    pub fn rows(&mut self, name: &str, rows: &'a Rows, d: &Dims, width: usize) -> Result<RowsArgument, CudaError> {
        let [batch, step, head] = rows.strides;
        if rows.heads == 0 || !d.head.is_multiple_of(rows.heads) {
            return Err(CudaError::Shape(format!("{name}: {} heads for the memory's {}", rows.heads, d.head)));
        }
        let last = (d.batch - 1) * batch + (d.step - 1) * step + (rows.heads - 1) * head + width;
        if last > rows.numbers.len() {
            return Err(CudaError::Shape(format!("{name}: {last} numbers are needed, the array has {}", rows.numbers.len())));
        }
        let (data, guard, size) = match &rows.numbers {
            Numbers::F32(view) => {
                let (data, guard) = view.device_ptr(self.stream);
                (data, guard, 4)
            }
            Numbers::Bf16(view) => {
                let (data, guard) = view.device_ptr(self.stream);
                (data, guard, 2)
            }
        };
        self.guards.push(guard);
        let aligned = data.is_multiple_of(4 * size) && [batch, step, head, width].iter().all(|stride| stride.is_multiple_of(4));
        Ok(RowsArgument {
            data,
            batch_stride: batch as i64,
            step_stride: step as i64,
            head_stride: head as i64,
            heads: rows.heads as i32,
            flags: i32::from(size == 2) | i32::from(aligned) << 1,
        })
    }

    /// The address of an array of at least `len` numbers.
    pub fn array(&mut self, name: &str, array: &'a CudaView<f32>, len: usize) -> Result<u64, CudaError> {
        check(name, array.len(), len)?;
        let (address, guard) = array.device_ptr(self.stream);
        self.guards.push(guard);
        Ok(address)
    }

    pub fn optional(&mut self, name: &str, array: Option<&'a CudaView<f32>>, len: usize) -> Result<u64, CudaError> {
        array.map_or(Ok(0), |array| self.array(name, array, len))
    }

    /// The address of an array of at least `len` numbers that the kernel fills.
    pub fn array_mut(&mut self, name: &str, array: &'a mut CudaViewMut<f32>, len: usize) -> Result<u64, CudaError> {
        check(name, array.len(), len)?;
        let (address, guard) = array.device_ptr_mut(self.stream);
        self.guards.push(guard);
        Ok(address)
    }

    /// Where a forward run writes. Returns whether memories are stored in vectors.
    pub fn forward_targets(&mut self, d: &Dims, steps: &Range<usize>, targets: &'a mut Targets) -> Result<bool, CudaError> {
        let memory = d.d_k * d.d_v;
        let rows = targets.rows.clone().unwrap_or_else(|| steps.clone());
        if rows.start > steps.start || rows.end < steps.end {
            return Err(CudaError::Shape(format!("rows of steps {rows:?} for a run of steps {steps:?}")));
        }
        let stream = d.batch * rows.len() * d.head * d.d_v;
        let mut arguments = self.arguments;
        (arguments.out_first, arguments.out_steps) = (rows.start as i32, rows.len() as i32);
        if let Some(output) = &mut targets.output {
            arguments.output = self.array_mut("output", output, stream)?;
        }
        for (name, arrays, addresses) in [
            ("pseudo-values", &mut targets.pseudo_values, &mut arguments.pseudo_values),
            ("residuals", &mut targets.residuals, &mut arguments.residuals),
        ] {
            let n_edits = self.arguments.edits.iter().take_while(|edit| edit.direction.data != 0).count();
            if !arrays.is_empty() && arrays.len() != n_edits {
                return Err(CudaError::Shape(format!("{name} of {} edits of {n_edits}: all are kept or none", arrays.len())));
            }
            for (array, address) in arrays.iter_mut().zip(addresses) {
                *address = self.array_mut(name, array, stream)?;
            }
        }
        let mut addresses = Vec::new();
        if let Some(checkpoints) = &mut targets.checkpoints {
            let needed = steps.start.div_ceil(checkpoints.every)..steps.end.div_ceil(checkpoints.every);
            if !needed.is_empty() && (needed.start < checkpoints.first || needed.end > checkpoints.first + checkpoints.count) {
                return Err(CudaError::Shape(format!(
                    "checkpoints {needed:?} are taken, the array has {:?}",
                    checkpoints.first..checkpoints.first + checkpoints.count
                )));
            }
            arguments.checkpoint_every = checkpoints.every as i32;
            (arguments.checkpoint_first, arguments.n_checkpoints) = (checkpoints.first as i32, checkpoints.count as i32);
            arguments.checkpoints =
                self.array_mut("checkpoints", &mut checkpoints.memories, d.batch * checkpoints.count * d.head * memory)?;
            addresses.push(arguments.checkpoints);
        }
        (arguments.dense_first, arguments.dense_steps) = (steps.start as i32, steps.len() as i32);
        for (dense, address) in targets.dense.iter_mut().zip(&mut arguments.dense) {
            if let Some(dense) = dense {
                *address = self.array_mut("memories", dense, d.batch * steps.len() * d.head * memory)?;
                addresses.push(*address);
            }
        }
        if let Some(final_memory) = &mut targets.final_memory {
            arguments.final_memory = self.array_mut("final memory", final_memory, d.batch * d.head * memory)?;
            addresses.push(arguments.final_memory);
        }
        self.arguments = arguments;
        Ok(d.d_v.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16)))
    }

    /// What a replay reads and writes. Returns whether rows go in vectors.
    pub fn replay_arrays(
        &mut self,
        d: &Dims,
        steps: &Range<usize>,
        trace: &'a Trace,
        heads: Option<&'a CudaView<i32>>,
        dense: &'a mut [Option<CudaViewMut<f32>>; 4],
    ) -> Result<bool, CudaError> {
        let memory = d.d_k * d.d_v;
        let checkpoints = &trace.checkpoints;
        let rows = trace.rows.clone().unwrap_or(0..d.step);
        let chunks = plan::chunks(steps, checkpoints.every);
        if chunks.start < checkpoints.first || chunks.end > checkpoints.first + checkpoints.count {
            return Err(CudaError::Shape(format!("a replay of steps {steps:?} needs checkpoints {chunks:?}")));
        }
        if rows.start > chunks.start * checkpoints.every || rows.end < steps.end {
            return Err(CudaError::Shape(format!("a replay of steps {steps:?} from pseudo-values of steps {rows:?}")));
        }
        if trace.pseudo_values.len() < self.arguments.edits.iter().take_while(|edit| edit.direction.data != 0).count() {
            return Err(CudaError::Shape("a replay needs the pseudo-values of every edit".to_owned()));
        }
        let n_heads = heads.map_or(d.head, CudaView::len);
        let mut arguments = self.arguments;
        (arguments.out_first, arguments.out_steps) = (rows.start as i32, rows.len() as i32);
        let mut addresses = Vec::new();
        for (array, address) in trace.pseudo_values.iter().zip(&mut arguments.pseudo_values) {
            *address = self.array("pseudo-values", array, d.batch * rows.len() * d.head * d.d_v)?;
            addresses.push(*address);
        }
        let given = self.array("checkpoints", &checkpoints.memories, d.batch * checkpoints.count * d.head * memory)?;
        // The kernel counts chunks from the first it replays.
        arguments.checkpoints = given + 4 * ((chunks.start - checkpoints.first) * d.head * memory) as u64;
        arguments.checkpoint_every = checkpoints.every as i32;
        (arguments.checkpoint_first, arguments.n_checkpoints) = (chunks.start as i32, checkpoints.count as i32);
        if let Some(heads) = heads {
            let (address, guard) = heads.device_ptr(self.stream);
            self.guards.push(guard);
            arguments.dense_head = address;
        }
        arguments.dense_heads = n_heads as i32;
        (arguments.dense_first, arguments.dense_steps) = (steps.start as i32, steps.len() as i32);
        for (dense, address) in dense.iter_mut().zip(&mut arguments.dense) {
            if let Some(dense) = dense {
                *address = self.array_mut("memories", dense, d.batch * steps.len() * n_heads * memory)?;
                addresses.push(*address);
            }
        }
        self.arguments = arguments;
        Ok(d.d_v.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16)))
    }
}

pub(super) fn check(name: &str, found: usize, needed: usize) -> Result<(), CudaError> {
    if found < needed {
        return Err(CudaError::Shape(format!("{name}: {needed} numbers are needed, the array has {found}")));
    }
    Ok(())
}

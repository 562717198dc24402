//! How fast the engine runs on a card, beside what the card can do at best, measured in the same run.
//!
//! Sizes are those for which the peers' times are known: 16 heads of 128 by 128 channels, and the shape of training.

mod chunks;

use std::io::Write as _;

use cudarc::driver::{CudaSlice, CudaView, DevicePtr, DevicePtrMut, DeviceRepr, LaunchConfig, PushKernelArg, result};
use half::bf16;
use serde::Serialize;

use super::super::{Dims, EditKind, Phase};
use super::buffers::{
    CardEdit, CardEditGradient, CardGradient, CardRead, CardRecurrence, CardTape, Checkpoints, Numbers, Rows, Targets, Trace,
};
use super::compile::Kernel;
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::measure::median_ms;
use super::output::{Output, fill};
use super::ring::{Ring, RingOptions};
use super::route::Route;
use super::upload::Element;

/// What a card does.
#[derive(Clone, Debug, Serialize)]
pub struct GpuBench {
    /// Name of the card.
    pub card: String,
    /// What it can do at best.
    pub limits: GpuLimits,
    /// Every measurement.
    pub rows: Vec<GpuRow>,
}

/// What a card can do at best, GB/s (1e9 bytes), medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GpuLimits {
    /// Writing.
    pub fill_gb_per_s: f64,
    /// Read and written.
    pub copy_gb_per_s: f64,
    /// To page-locked memory of the host.
    pub to_host_gb_per_s: f64,
    /// From page-locked memory of the host.
    pub from_host_gb_per_s: f64,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct GpuRow {
    /// What ran.
    pub work: String,
    /// Sizes.
    pub dims: Dims,
    /// Whether inputs are bf16.
    pub bf16: bool,
    /// Columns of a thread, if they were chosen by hand.
    pub columns: Option<usize>,
    /// Why it could not be measured; the numbers are then 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Median of one run, by the card's events.
    pub ms: f64,
    /// Microseconds of one step of all sequences and heads.
    pub us_per_step: f64,
    /// Bytes of memories written, over the time, if memories are kept.
    pub written_gb_per_s: Option<f64>,
    /// That, over the measured fill bandwidth.
    pub share_of_fill: Option<f64>,
}

/// Measures everything on one card; `quick` leaves out what takes long.
pub fn run(ordinal: usize, quick: bool) -> Result<GpuBench, CudaError> {
    let engine = Engine::open(ordinal)?;
    let context = engine.stream().context().clone();
    let card = context.name().map_err(driver_error(&context, "asking for its name"))?;
    let mut bench = GpuBench { card, limits: limits(&engine)?, rows: vec![] };
    let square = |batch, step, head, d| Dims { batch, step, key_head: head, head, d_k: d, d_v: d };
    let (wide, long) = (square(8, 4096, 16, 128), square(1, 16_384, 16, 128));
    let every = [(wide, Element::F32), (wide, Element::Bf16), (long, Element::F32), (long, Element::Bf16)];
    // Between the two: where the routes of a recording cross.
    let between = [(square(4, 4096, 16, 128), Element::F32), (square(2, 4096, 16, 128), Element::F32)];
    for (dims, element) in every.into_iter().chain(between).take(if quick { 1 } else { 6 }) {
        let inputs = Inputs::draw(&engine, dims, element)?;
        bench.attempt(&engine, "sequences of this size", &inputs, |bench| shape(&engine, &inputs, bench));
        if quick {
            continue;
        }
        if dims == long && element == Element::F32 {
            bench.attempt(&engine, "memories through the ring", &inputs, |bench| stream(&engine, &inputs, bench));
        }
        if dims == wide || dims == long {
            columns(&engine, &inputs, &mut bench);
        }
    }
    for dims in [square(4, 16_384, 16, 128), square(64, 512, 4, 64)].into_iter().take(if quick { 0 } else { 2 }) {
        let inputs = Inputs::draw(&engine, dims, Element::Bf16)?;
        bench.attempt(&engine, "forward", &inputs, |bench| forward(&engine, &inputs, bench));
        bench.attempt(&engine, "trace", &inputs, |bench| trace(&engine, &inputs, bench).map(drop));
        bench.attempt(&engine, "gradient", &inputs, |bench| gradient(&engine, &inputs, bench));
        if engine.runs_in_chunks(&inputs.view()) {
            bench.attempt(&engine, "trace in chunks", &inputs, |bench| chunks::trace(&engine, &inputs, bench));
            bench.attempt(&engine, "gradient in chunks", &inputs, |bench| chunks::gradient(&engine, &inputs, bench));
        }
        if dims.d_k == 64 {
            columns(&engine, &inputs, &mut bench);
        }
    }
    Ok(bench)
}

/// The forward pass with columns of a thread chosen by hand.
fn columns(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) {
    for columns in [1, 2, 4, 8] {
        let engine = engine.with_columns(columns);
        bench.attempt(&engine, "forward", inputs, |bench| forward(&engine, inputs, bench));
    }
}

fn limits(engine: &Engine) -> Result<GpuLimits, CudaError> {
    let stream = engine.stream();
    let fail = driver_error(stream.context(), "measuring its limits");
    let n = 1_usize << 30;
    let n_bytes = 4.0 * n as f64;
    // SAFETY: nothing is read before it is filled.
    let (mut a, mut b) = unsafe { (stream.alloc::<f32>(n).map_err(&fail)?, stream.alloc::<f32>(n).map_err(&fail)?) };
    let fill = median_ms(engine, 200.0, || fill(stream, &mut a, 1).map_err(&fail))?;
    let copy = median_ms(engine, 200.0, || stream.memcpy_dtod(&a, &mut b).map_err(&fail))?;
    let part = n / 8;
    // SAFETY: nothing is read before it is filled.
    let mut pinned = unsafe { stream.context().alloc_pinned_with_flags::<f32>(part, 0) }.map_err(&fail)?;
    pinned.as_mut_slice().map_err(&fail)?.fill(0.0);
    let host = pinned.as_mut_ptr().map_err(&fail)?;
    let to_host = median_ms(engine, 200.0, || {
        let (address, _guard) = a.device_ptr(stream);
        // SAFETY: both sides have as many numbers, and the host's are not touched until all is done.
        unsafe { result::memcpy_dtoh_async(std::slice::from_raw_parts_mut(host, part), address, stream.cu_stream()) }.map_err(&fail)
    })?;
    let from_host = median_ms(engine, 200.0, || {
        let (address, _guard) = b.device_ptr_mut(stream);
        // SAFETY: as above.
        unsafe { result::memcpy_htod_async(address, std::slice::from_raw_parts(host, part), stream.cu_stream()) }.map_err(&fail)
    })?;
    let rate = |bytes: f64, ms: f64| bytes / ms / 1e6;
    Ok(GpuLimits {
        fill_gb_per_s: rate(n_bytes, fill),
        copy_gb_per_s: rate(2.0 * n_bytes, copy),
        to_host_gb_per_s: rate(n_bytes / 8.0, to_host),
        from_host_gb_per_s: rate(n_bytes / 8.0, from_host),
    })
}

/// What the kernel `random` takes.
#[derive(Clone, Copy)]
#[repr(C)]
struct Drawn {
    to: u64,
    rows: u64,
    width: i32,
    bf16: i32,
    unit: i32,
    pad: i32,
    low: f32,
    high: f32,
    seed: u64,
}

// SAFETY: plain numbers in C's layout, passed by value.
unsafe impl DeviceRepr for Drawn {}

/// Inputs of Erase-then-Delta Attention, drawn on the card: unit directions, gates as trained models have them.
struct Inputs {
    dims: Dims,
    element: Element,
    /// Query, write direction, erase direction, value, retention, write strength, erase strength.
    arrays: Vec<Array>,
}

enum Array {
    F32(CudaSlice<f32>),
    Bf16(CudaSlice<bf16>),
}

impl Array {
    fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::F32(numbers) => Numbers::F32(numbers.as_view()),
            Self::Bf16(numbers) => Numbers::Bf16(numbers.as_view()),
        }
    }
}

impl Inputs {
    fn draw(engine: &Engine, dims: Dims, element: Element) -> Result<Self, CudaError> {
        let key = (dims.d_k, true, -1.0, 1.0);
        // Retention stays f32: products of many roundings would be other decays.
        let kinds =
            [key, key, key, (dims.d_v, false, -1.0, 1.0), (dims.d_k, false, 0.8, 1.0), (1, false, 0.05, 0.95), (1, false, 0.05, 0.95)];
        let arrays = kinds
            .into_iter()
            .enumerate()
            .map(|(index, (width, unit, low, high))| {
                let element = if index < 4 { element } else { Element::F32 };
                draw(engine, dims.batch * dims.step * dims.head, width, unit, (low, high), element, index as u64)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { dims, element, arrays })
    }

    fn view(&self) -> CardRecurrence<'_> {
        let d = self.dims;
        let rows = |index: usize, width| Rows::contiguous(self.arrays[index].numbers(), d.step, d.head, width);
        let edit = |kind, strength, direction, value: Option<usize>| CardEdit {
            kind,
            strength: Some(rows(strength, 1)),
            direction: rows(direction, d.d_k),
            read: CardRead::Direction,
            value: value.map(|value| rows(value, d.d_v)),
        };
        CardRecurrence {
            dims: d,
            query: rows(0, d.d_k),
            retention: rows(4, d.d_k),
            edits: vec![edit(EditKind::Erase, 6, 2, None), edit(EditKind::Write(0), 5, 1, Some(3))],
            initial_memory: None,
        }
    }
}

fn draw(
    engine: &Engine,
    n_rows: usize,
    width: usize,
    unit: bool,
    (low, high): (f32, f32),
    element: Element,
    seed: u64,
) -> Result<Array, CudaError> {
    let stream = engine.stream();
    let fail = driver_error(stream.context(), "drawing inputs");
    // SAFETY: the kernel fills all of it.
    let array = unsafe {
        match element {
            Element::F32 => Array::F32(stream.alloc(n_rows * width).map_err(&fail)?),
            Element::Bf16 => Array::Bf16(stream.alloc(n_rows * width).map_err(&fail)?),
        }
    };
    let to = match &array {
        Array::F32(numbers) => numbers.device_ptr(stream).0,
        Array::Bf16(numbers) => numbers.device_ptr(stream).0,
    };
    let drawn = Drawn {
        to,
        rows: n_rows as u64,
        width: width as i32,
        bf16: i32::from(element == Element::Bf16),
        unit: i32::from(unit),
        pad: 0,
        low,
        high,
        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    let kernel = random_kernel();
    let function = engine.function(&kernel)?;
    let grid = LaunchConfig { grid_dim: (n_rows.div_ceil(8) as u32, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments have the kernel's layout and the array has all rows.
    unsafe { stream.launch_builder(&function).arg(&drawn).launch(grid) }.map_err(&fail)?;
    engine.wait()?;
    Ok(array)
}

pub(super) fn random_kernel() -> Kernel {
    let defines = vec![("N", 1), ("DK", 32), ("READS", 0), ("VALUES", 0)];
    Kernel { name: "random", source: include_str!("random.cu"), defines, shared_bytes: 0 }
}

impl GpuBench {
    /// Measures something; if it cannot be, that is a row too, and the others follow.
    fn attempt(&mut self, engine: &Engine, work: &str, inputs: &Inputs, measure: impl FnOnce(&mut Self) -> Result<(), CudaError>) {
        if let Err(error) = measure(self) {
            self.push(engine, work, inputs, 0.0, None);
            if let Some(row) = self.rows.last_mut() {
                row.error = Some(error.to_string());
            }
        }
    }

    fn push(&mut self, engine: &Engine, work: &str, inputs: &Inputs, ms: f64, written: Option<usize>) {
        let rate = written.map(|numbers| 4.0 * numbers as f64 / ms / 1e6);
        self.rows.push(GpuRow {
            work: work.to_owned(),
            dims: inputs.dims,
            bf16: inputs.element == Element::Bf16,
            columns: engine.columns(),
            error: None,
            ms,
            us_per_step: ms * 1e3 / inputs.dims.step as f64,
            written_gb_per_s: rate,
            share_of_fill: rate.map(|rate| rate / self.limits.fill_gb_per_s),
        });
    }
}

/// Output and last memory only.
fn forward(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let mut output = Output::raw(engine, d.batch * d.step * d.head * d.d_v)?;
    let mut last = Output::raw(engine, d.batch * d.head * d.d_k * d.d_v)?;
    let ms = median_ms(engine, 100.0, || {
        let targets = &mut Targets { output: Some(output.view_mut()), final_memory: Some(last.view_mut()), ..Targets::default() };
        engine.forward(&view, 0..d.step, targets)
    })?;
    bench.push(engine, "forward", inputs, ms, None);
    Ok(())
}

const EVERY: usize = 64;

/// What a run leaves for replays.
struct Kept {
    output: Output,
    pseudo_values: Vec<Output>,
    checkpoints: Output,
}

impl Kept {
    fn new(engine: &Engine, d: Dims) -> Result<Self, CudaError> {
        let stream = d.batch * d.step * d.head * d.d_v;
        Ok(Self {
            output: Output::raw(engine, stream)?,
            pseudo_values: vec![Output::raw(engine, stream)?, Output::raw(engine, stream)?],
            checkpoints: Output::raw(engine, d.batch * d.step.div_ceil(EVERY) * d.head * d.d_k * d.d_v)?,
        })
    }

    fn targets(&mut self, d: Dims) -> Targets<'_> {
        Targets {
            output: Some(self.output.view_mut()),
            pseudo_values: self.pseudo_values.iter_mut().map(Output::view_mut).collect(),
            checkpoints: Some(Checkpoints { every: EVERY, first: 0, count: d.step.div_ceil(EVERY), memories: self.checkpoints.view_mut() }),
            ..Targets::default()
        }
    }

    fn trace(&self, d: Dims) -> Trace<'_> {
        Trace {
            rows: None,
            pseudo_values: self.pseudo_values.iter().map(Output::view).collect::<Vec<CudaView<f32>>>(),
            checkpoints: Checkpoints { every: EVERY, first: 0, count: d.step.div_ceil(EVERY), memories: self.checkpoints.view() },
        }
    }
}

/// Output, pseudo-values and a checkpoint every 64 steps.
fn trace(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<Kept, CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let mut kept = Kept::new(engine, d)?;
    let ms = median_ms(engine, 100.0, || engine.forward(&view, 0..d.step, &mut kept.targets(d)))?;
    bench.push(engine, "pseudo-values and checkpoints every 64", inputs, ms, None);
    Ok(kept)
}

/// Everything there is to measure at one size where whole memories fit the card.
fn shape(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    forward(engine, inputs, bench)?;
    let mut kept = trace(engine, inputs, bench)?;
    let n_dense = d.batch * d.step * d.head * d.d_k * d.d_v;
    let mut dense = Output::raw(engine, n_dense)?;
    let ms = median_ms(engine, 200.0, || {
        engine.replay(&view, &kept.trace(d), 0..d.step, None, &mut [None, None, None, Some(dense.view_mut())])
    })?;
    bench.push(engine, "replay of every memory", inputs, ms, Some(n_dense));
    for (route, work) in [(Route::StepByStep, "step by step"), (Route::SideBySide, "trace and replay side by side")] {
        let ms = median_ms(engine, 200.0, || {
            let output = Some(kept.output.view_mut());
            let targets = &mut Targets { output, dense: [None, None, None, Some(dense.view_mut())], ..Targets::default() };
            engine.record_on_card(&view, 0..d.step, targets, route)
        })?;
        bench.push(engine, &format!("record every memory, {work}"), inputs, ms, Some(n_dense));
    }
    if engine.runs_in_chunks(&view) {
        bench.attempt(engine, "trace in chunks", inputs, |bench| chunks::trace(engine, inputs, bench));
    }
    Ok(())
}

/// Forward with the tape of its gradient, and backward from it.
fn gradient(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let mut kept = Kept::new(engine, d)?;
    let mut gradients = Gradients::new(engine, d)?;
    let grad_output = draw(engine, d.batch * d.step * d.head, d.d_v, false, (-1.0, 1.0), inputs.element, 77)?;
    let forward = |kept: &mut Kept| {
        let targets = &mut kept.targets(d);
        targets.residuals = std::mem::take(&mut targets.pseudo_values);
        engine.forward(&view, 0..d.step, targets)
    };
    let ms = median_ms(engine, 100.0, || forward(&mut kept))?;
    bench.push(engine, "forward with tape", inputs, ms, None);
    let rows = Rows::contiguous(grad_output.numbers(), d.step, d.head, d.d_v);
    let mut backward = |kept: &Kept| {
        let trace = kept.trace(d);
        let tape = CardTape { residuals: trace.pseudo_values, checkpoints: trace.checkpoints };
        engine.backward(&view, &tape, &rows, None, &mut gradients.targets())
    };
    let ms = median_ms(engine, 100.0, || backward(&kept))?;
    bench.push(engine, "backward from the tape", inputs, ms, None);
    let ms = median_ms(engine, 100.0, || {
        forward(&mut kept)?;
        backward(&kept)
    })?;
    bench.push(engine, "forward with tape and backward", inputs, ms, None);
    Ok(())
}

/// Every memory of a few sequences' first steps through the ring, to nowhere and to a file; by the clock on the wall.
fn stream(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let mut kept = Kept::new(engine, d)?;
    engine.forward(&view, 0..d.step, &mut kept.targets(d))?;
    let steps = 0..(4096 / d.batch).min(d.step);
    let numbers = d.batch * steps.len() * d.head * d.d_k * d.d_v;
    let mut ring = Ring::new(engine, RingOptions::default())?;
    let mut run = |take: &mut dyn FnMut(&[f32]) -> std::io::Result<()>| -> Result<f64, CudaError> {
        let start = std::time::Instant::now();
        engine.stream_memories(&view, &kept.trace(d), steps.clone(), &[Phase::Write], None, &mut ring, |_, memories| {
            take(memories).map_err(|error| CudaError::Shape(format!("writing a temporary file: {error}")))
        })?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    run(&mut |_| Ok(()))?;
    let ms = run(&mut |_| Ok(()))?;
    bench.push(engine, "memories to the host through the ring (wall)", inputs, ms, Some(numbers));
    let file = tempfile::tempfile().map_err(|error| CudaError::Shape(format!("making a temporary file: {error}")))?;
    let ms = run(&mut |memories| (&file).write_all(bytemuck::cast_slice(memories)))?;
    bench.push(engine, "memories to a file through the ring (wall)", inputs, ms, Some(numbers));
    Ok(())
}

/// Arrays for the gradients of Erase-then-Delta Attention.
struct Gradients {
    keys: Vec<Output>,
    value: Output,
    strengths: Vec<Output>,
}

impl Gradients {
    fn new(engine: &Engine, d: Dims) -> Result<Self, CudaError> {
        let rows = d.batch * d.step * d.head;
        let raw = |n: usize, width: usize| (0..n).map(|_| Output::raw(engine, rows * width)).collect::<Result<Vec<_>, _>>();
        Ok(Self { keys: raw(4, d.d_k)?, value: Output::raw(engine, rows * d.d_v)?, strengths: raw(2, 1)? })
    }

    fn targets(&mut self) -> CardGradient<'_> {
        let mut keys = self.keys.iter_mut().map(Output::view_mut);
        let mut strengths = self.strengths.iter_mut().map(Output::view_mut);
        let (query, retention) = (keys.next(), keys.next());
        let mut edit = |value| CardEditGradient { strength: strengths.next(), direction: keys.next(), read: None, value };
        let edits = vec![edit(None), edit(Some(self.value.view_mut()))];
        CardGradient { query, retention, initial_memory: None, edits }
    }
}

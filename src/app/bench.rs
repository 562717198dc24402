//! What the window costs: opening a large trace, a frame of each panel, a scrub.

use std::path::Path;
use std::time::{Duration, Instant};

use ndarray::Array2;
use serde::Serialize;

use super::action::Action;
use super::core::{Core, Folders};
use super::layout::Preset;
use super::open_trace::{OpenTrace, TraceSource};
use super::panel::PanelKind;
use super::settings::Settings;
use crate::measure::random_heads;
use crate::memory::{Dims, RecordOptions, Rule, cpu};
use crate::provenance::Provenance;
use crate::trace::{Table, TraceSpec, TraceWriter};

/// Sizes of the trace that is opened.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BenchOptions {
    /// Layers.
    pub layers: usize,
    /// Sizes of each.
    pub dims: Dims,
    /// Sizes of the trace whose headline is brushed: so many points as it has tokens times heads times layers.
    pub brushed: Dims,
    /// Frames of every median.
    pub frames: usize,
}

impl Default for BenchOptions {
    /// 8 layers of 16 heads of 64 by 64, 4096 steps; a million points to brush.
    fn default() -> Self {
        Self {
            layers: 8,
            dims: Dims { batch: 1, step: 4096, key_head: 4, head: 16, d_k: 64, d_v: 64 },
            brushed: Dims { batch: 8, step: 1024, key_head: 4, head: 16, d_k: 8, d_v: 8 },
            frames: 60,
        }
    }
}

/// What was measured, in milliseconds. A frame is layout and tessellation on the processor, without the graphics driver.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// Sizes.
    pub options: BenchOptions,
    /// Bytes of the trace on disk.
    pub trace_bytes: u64,
    /// Opening it: until its attributes and where to look first are known.
    pub open_milliseconds: f64,
    /// From the order to open until memory, timeline and details show the first step.
    pub first_picture_milliseconds: f64,
    /// Median frame of each panel alone, with nothing under way.
    pub panels: Vec<PanelCost>,
    /// The window with timeline, memory and details.
    pub window: Cost,
    /// The same while every frame shows another step.
    pub scrub: Cost,
    /// The headline of very many points under the pointer.
    pub brush: Brush,
    /// Share of scrubbed frames whose memory had arrived when the next frame began.
    pub scrub_kept_up: f64,
}

/// A rectangle drawn over the headline's points, and what is in it picked.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Brush {
    /// Points of the plot.
    pub points: usize,
    /// Tokens that were picked.
    pub picked: usize,
    /// Frames while the pointer draws the rectangle.
    pub drag: Cost,
    /// The slower of the two frames that pick the tokens and light them up.
    pub pick_milliseconds: f64,
}

/// A panel's frame.
#[derive(Clone, Debug, Serialize)]
pub struct PanelCost {
    /// Which.
    pub panel: PanelKind,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What frames cost, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Median.
    pub median_milliseconds: f64,
    /// 99th percentile.
    pub slowest_milliseconds: f64,
}

/// What keeps the benchmark from being run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The trace could not be made.
    #[error(transparent)]
    Trace(#[from] crate::trace::TraceError),
    /// Its factors could not be drawn.
    #[error(transparent)]
    Measure(#[from] crate::measure::MeasureError),
    /// There is no room for it.
    #[error("no folder for the benchmark's trace ({0})")]
    Folder(#[from] std::io::Error),
    /// The app did not come to rest.
    #[error("the app met errors: {0}")]
    Met(String),
}

/// Runs the benchmark on a trace of its own, which is removed afterwards. `told` hears what is being done.
pub fn bench(options: &BenchOptions, told: impl Fn(&str)) -> Result<Bench, BenchError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.trace.zarr");
    told("writing a large trace");
    write_trace(&path, options)?;
    let trace_bytes = crate::trace::info(&path)?.bytes;

    told("opening it");
    let start = Instant::now();
    drop(OpenTrace::open(&path, TraceSource::Path(path.clone()))?);
    let open_milliseconds = milliseconds(start);

    let mut window = Headless::new();
    let start = Instant::now();
    window.core.act(Action::Arrange(Preset::OneMemory));
    window.core.act(Action::Open(vec![path]));
    window.settle()?;
    let first_picture_milliseconds = milliseconds(start);

    told("drawing");
    let of_window = window.cost(options.frames, |_, _| {});
    let mut arrived = 0;
    let scrub = window.cost(options.frames, |core, frame| {
        arrived += usize::from(core.jobs.is_idle());
        core.act(Action::SelectStep(1000 + frame));
    });
    told("brushing");
    let brush = brush(&folder.path().join("brushed.trace.zarr"), options)?;
    let mut panels = Vec::new();
    // Measures of so large a trace take minutes: what they show is drawn from a small one.
    let small = folder.path().join("small.trace.zarr");
    write_trace(
        &small,
        &BenchOptions { layers: 2, dims: Dims { batch: 8, step: 64, key_head: 2, head: 4, d_k: 32, d_v: 32 }, ..*options },
    )?;
    let mut window = Headless::new();
    window.core.act(Action::Open(vec![small]));
    window.settle()?;
    for panel in PanelKind::ALL {
        told(panel.title());
        window.core.act(Action::ShowAlone(panel));
        window.settle()?;
        panels.push(PanelCost { panel, cost: window.cost(options.frames, |_, _| {}) });
    }
    Ok(Bench {
        options: *options,
        trace_bytes,
        open_milliseconds,
        first_picture_milliseconds,
        panels,
        window: of_window,
        scrub,
        brush,
        scrub_kept_up: arrived as f64 / options.frames.max(1) as f64,
    })
}

/// Draws a rectangle over the headline of a trace of its own, from its upper left to beyond its middle.
fn brush(path: &Path, options: &BenchOptions) -> Result<Brush, BenchError> {
    write_trace(path, &BenchOptions { dims: options.brushed, ..*options })?;
    let mut window = Headless::new();
    window.core.act(Action::Open(vec![path.to_path_buf()]));
    window.core.act(Action::ShowAlone(PanelKind::Cleanup));
    window.settle()?;
    let (from, to) = (egui::pos2(120.0, 180.0), egui::pos2(1100.0, 720.0));
    let button =
        |pos, pressed| egui::Event::PointerButton { pos, button: egui::PointerButton::Primary, pressed, modifiers: egui::Modifiers::NONE };
    window.events = vec![egui::Event::PointerMoved(from)];
    window.draw();
    window.events = vec![button(from, true)];
    window.draw();
    let mut times = Vec::new();
    for frame in 1..=options.frames.max(2) {
        window.events = vec![egui::Event::PointerMoved(from + (to - from) * frame as f32 / options.frames.max(2) as f32)];
        let start = Instant::now();
        window.draw();
        times.push(milliseconds(start));
    }
    window.events = vec![button(to, false)];
    let mut pick_milliseconds = 0.0_f64;
    for _ in 0..2 {
        let start = Instant::now();
        window.draw();
        pick_milliseconds = pick_milliseconds.max(milliseconds(start));
    }
    let picked = window.core.session.selection().steps.len();
    if picked == 0 {
        return Err(BenchError::Met("the brush picked nothing".to_owned()));
    }
    let Dims { batch, step, head, .. } = options.brushed;
    Ok(Brush { points: batch * step * head * options.layers, picked, drag: Cost::of(times), pick_milliseconds })
}

impl Cost {
    /// Of single frames, in milliseconds.
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        Self { median_milliseconds: at(0.5), slowest_milliseconds: at(0.99) }
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn write_trace(path: &Path, options: &BenchOptions) -> Result<(), BenchError> {
    let dims = options.dims;
    let spec = TraceSpec { memory_norms: false, ..TraceSpec::new(Provenance::here("bench app")) };
    let mut writer = TraceWriter::create(path, &spec)?;
    for layer in 0..options.layers {
        let (_, factors) = random_heads(Rule::Eda, dims, layer as u64)?.remove(0);
        let recorded = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: Vec::new() };
        let recording = cpu::record(&factors.lower(), &recorded);
        writer.append_layer(layer, &factors, recording)?;
    }
    writer.append(Table::tokens(Array2::from_shape_fn((dims.batch, dims.step), |(row, step)| ((row + step * 7) % 91) as i32)))?;
    writer.commit()?;
    writer.finish()?;
    Ok(())
}

/// The window without a screen.
struct Headless {
    context: egui::Context,
    core: Core,
    frame: f64,
    /// What the next frame hears of pointer and keys.
    events: Vec<egui::Event>,
}

impl Headless {
    fn new() -> Self {
        let context = egui::Context::default();
        let core = Core::new(&context, Settings::default(), Folders::default());
        Self { context, core, frame: 0.0, events: Vec::new() }
    }

    fn draw(&mut self) {
        self.frame += 1.0;
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1440.0, 900.0));
        let events = std::mem::take(&mut self.events);
        let input = egui::RawInput { screen_rect: Some(screen), time: Some(self.frame / 60.0), events, ..egui::RawInput::default() };
        let output = self.context.run_ui(input, |ui| self.core.ui(ui));
        std::hint::black_box(self.context.tessellate(output.shapes, output.pixels_per_point));
    }

    fn settle(&mut self) -> Result<(), BenchError> {
        let mut quiet = 0;
        while quiet < 4 {
            self.draw();
            if !self.core.jobs.settle(Duration::from_mins(5)) {
                return Err(BenchError::Met("work does not end".to_owned()));
            }
            quiet = if self.core.jobs.is_idle() { quiet + 1 } else { 0 };
        }
        match self.core.errors() {
            errors if errors.is_empty() => Ok(()),
            errors => Err(BenchError::Met(errors.join("; "))),
        }
    }

    /// Frames at sixty a second; what is left of a frame's time belongs to the workers.
    fn cost(&mut self, frames: usize, mut before: impl FnMut(&mut Core, usize)) -> Cost {
        let mut times = Vec::with_capacity(frames);
        for frame in 0..frames.max(1) {
            before(&mut self.core, frame);
            let start = Instant::now();
            self.draw();
            let took = start.elapsed();
            times.push(took.as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_micros(16_667).saturating_sub(took));
        }
        Cost::of(times)
    }
}

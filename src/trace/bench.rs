//! How fast recordings reach the disk and how soon one memory comes back.

use std::path::Path;
use std::time::Instant;

use ndarray::Array4;
use rand::RngExt;
use serde::Serialize;

use super::{Trace, TraceError, TraceSpec, TraceWriter};
use crate::memory::{Dims, Factors, HookPoint, Phase, RecordOptions, Recording, Rule, cpu};
use crate::provenance::Provenance;
use crate::task::random::stream;

/// Sizes of the benchmark.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BenchOptions {
    /// Sizes of the layer that is recorded.
    pub dims: Dims,
    /// Random memories that are read.
    pub reads: usize,
}

impl Default for BenchOptions {
    /// 16 heads of 128 by 128, 512 steps: half a gigabyte of memories.
    fn default() -> Self {
        Self { dims: Dims { batch: 1, step: 512, key_head: 16, head: 16, d_k: 128, d_v: 128 }, reads: 64 }
    }
}

/// What was measured. Bytes are those of the arrays before compression; a gigabyte is 10^9.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// Sizes.
    pub options: BenchOptions,
    /// Every memory after the write, to disk, committed: gigabytes a second.
    pub dense_gb_per_second: f64,
    /// Factors, pseudo-values, scalars and checkpoints, to disk, committed: gigabytes a second.
    pub streams_gb_per_second: f64,
    /// The same without memory norms, which need a replay of every step.
    pub streams_without_norms_gb_per_second: f64,
    /// One stored memory at random, median microseconds.
    pub read_dense_microseconds: f64,
    /// One memory at random by replay from its checkpoint (at most 63 steps), median microseconds.
    pub read_replayed_microseconds: f64,
    /// Bytes on disk for each byte of the streams.
    pub streams_compression: f64,
}

/// Records a random EDA layer into traces under `folder`, reads memories back at random and removes the traces.
pub fn bench(folder: impl AsRef<Path>, options: &BenchOptions) -> Result<Bench, TraceError> {
    let folder = folder.as_ref();
    let place = tempfile::tempdir_in(folder).map_err(TraceError::io("create a folder in", folder))?;
    let factors = random_factors(options.dims)?;
    let record =
        |dense: Vec<Phase>| cpu::record(&factors.lower(), &RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense });
    let write = |name: &str, memory_norms: bool, recording: Recording| -> Result<f64, TraceError> {
        let spec = TraceSpec { memory_norms, ..TraceSpec::new(Provenance::here("bench")) };
        let start = Instant::now();
        let mut writer = TraceWriter::create(place.path().join(name), &spec)?;
        writer.append_layer(0, &factors, recording)?;
        writer.commit()?;
        let seconds = start.elapsed().as_secs_f64();
        writer.finish()?;
        Ok(seconds)
    };
    let plain = record(vec![]);
    let d = options.dims;
    let floats = factors.arrays().values().map(|array| array.shape().iter().product::<usize>()).sum::<usize>()
        + plain.output.len() * (1 + plain.pseudo_values.len())
        + plain.checkpoints.len();
    let stream_bytes = floats as f64 * 4.0;
    let streams = write("streams", true, plain.clone())?;
    let streams_without_norms = write("streams_without_norms", false, plain)?;
    let dense = write("dense", false, record(vec![Phase::Write]))?;
    let dense_bytes = (d.batch * d.step * d.head * d.d_k * d.d_v) as f64 * 4.0;
    let on_disk = super::info(place.path().join("streams_without_norms"))?.bytes as f64;
    Ok(Bench {
        options: *options,
        // Streams go along with the dense memories: their own time is taken off.
        dense_gb_per_second: dense_bytes / (dense - streams_without_norms).max(1e-9) / 1e9,
        streams_gb_per_second: stream_bytes / streams / 1e9,
        streams_without_norms_gb_per_second: stream_bytes / streams_without_norms / 1e9,
        read_dense_microseconds: read_at_random(&place.path().join("dense"), options)?,
        read_replayed_microseconds: read_at_random(&place.path().join("streams"), options)?,
        streams_compression: on_disk / stream_bytes,
    })
}

/// Median time to read one memory, in microseconds.
fn read_at_random(path: &Path, options: &BenchOptions) -> Result<f64, TraceError> {
    let trace = Trace::open(path)?;
    let mut random = stream(2, "bench reads", 0);
    let mut times = Vec::with_capacity(options.reads);
    for _ in 0..options.reads.max(1) {
        let d = options.dims;
        let (head, batch, step) = (random.random_range(0..d.head), random.random_range(0..d.batch), random.random_range(0..d.step));
        let start = Instant::now();
        std::hint::black_box(trace.memory(0, head, batch, step, Phase::Write)?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Unit directions and gates inside their ranges.
fn random_factors(dims: Dims) -> Result<Factors<f32>, TraceError> {
    let array = |point: HookPoint| {
        let mut random = stream(1, &point.name(), 0);
        let range = match point {
            HookPoint::Retention => 0.9..1.0,
            HookPoint::WriteStrength(_) | HookPoint::EraseStrength => 0.05..0.95,
            _ => -1.0..1.0_f32,
        };
        let mut array = ndarray::ArrayD::from_shape_simple_fn(point.shape(&dims), || random.random_range(range.clone()));
        if matches!(point, HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection) {
            for mut lane in array.lanes_mut(ndarray::Axis(3)) {
                let norm = lane.iter().map(|x| x * x).sum::<f32>().sqrt();
                lane /= norm;
            }
        }
        (point, array)
    };
    Ok(Factors::new(Rule::Eda, Rule::Eda.factors().into_iter().map(array).collect(), None::<Array4<f32>>)?)
}

//! Factors of any rule, recorded by the engine, and a folder for a trace.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use ndarray::{Array2, Array4, ArrayD, Axis, IxDyn, Slice};
use pentimento::memory::{Dims, Factors, HookPoint, Phase, RecordOptions, Recording, Rule, cpu};
use pentimento::provenance::Provenance;
use pentimento::task::random::stream;
use pentimento::trace::{Table, TraceSpec, TraceWriter};
use rand::RngExt;

pub const SMALL: Dims = Dims { batch: 2, step: 300, key_head: 1, head: 2, d_k: 8, d_v: 6 };

/// A folder that goes away with the test, and the trace's path in it.
pub fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.trace.zarr");
    (folder, path)
}

pub fn uniform(seed: u64, name: &str, shape: &[usize], low: f32, high: f32) -> ArrayD<f32> {
    let mut random = stream(seed, name, 0);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || random.random_range(low..high))
}

/// Unit directions, gates inside their ranges.
pub fn factors(rule: Rule, dims: Dims, seed: u64, starts_filled: bool) -> Factors<f32> {
    let array = |point: HookPoint| {
        let (name, shape) = (point.name(), point.shape(&dims));
        match point {
            HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection => {
                let mut array = uniform(seed, &name, &shape, -1.0, 1.0);
                for mut lane in array.lanes_mut(Axis(3)) {
                    let norm = lane.iter().map(|x| x * x).sum::<f32>().sqrt();
                    lane /= norm;
                }
                array
            }
            HookPoint::Value(_) | HookPoint::OutputCorrection => uniform(seed, &name, &shape, -1.0, 1.0),
            HookPoint::Retention => {
                let mut array = uniform(seed, &name, &shape, 0.9, 1.0);
                if matches!(rule, Rule::RetNet | Rule::Gdn | Rule::GatedDeltaProduct(_) | Rule::Comba) {
                    for mut lane in array.lanes_mut(Axis(3)) {
                        let of_the_head = lane[0];
                        lane.fill(of_the_head);
                    }
                }
                array
            }
            _ => uniform(seed, &name, &shape, 0.05, 0.95),
        }
    };
    let arrays: BTreeMap<_, _> = rule.factors().into_iter().map(|point| (point, array(point))).collect();
    let initial = uniform(seed, "initial", &[dims.batch, dims.head, dims.d_k, dims.d_v], -1.0, 1.0);
    Factors::new(rule, arrays, starts_filled.then(|| initial.into_dimensionality().unwrap())).unwrap()
}

/// Everything an engine can keep of a run of these factors.
pub fn record(factors: &Factors<f32>, dense: &[Phase]) -> Recording {
    let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: dense.to_vec() };
    cpu::record(&factors.lower(), &options)
}

/// A part along one axis, which starts from `initial`.
pub fn part(factors: &Factors<f32>, axis: usize, range: Range<usize>, initial: Option<Array4<f32>>) -> Factors<f32> {
    let cut = |array: &ndarray::ArcArray<f32, IxDyn>| array.slice_axis(Axis(axis), Slice::from(range.clone())).to_owned();
    let arrays = factors.arrays().iter().map(|(&point, array)| (point, cut(array))).collect();
    Factors::new(factors.rule(), arrays, initial).unwrap()
}

pub fn tokens(dims: Dims) -> Array2<i32> {
    Array2::from_shape_fn((dims.batch, dims.step), |(batch, step)| (batch * 1000 + step) as i32)
}

pub fn spec() -> TraceSpec {
    TraceSpec::new(Provenance::here("test"))
}

/// Appends one layer step block by step block, carrying the memory, and tokens with it; commits each.
pub fn append_blocks(writer: &mut TraceWriter, factors: &Factors<f32>, block: usize, dense: &[Phase]) {
    let dims = factors.dims();
    let mut memory = factors.initial_memory().cloned().map(ndarray::ArrayBase::into_owned);
    for from in (0..dims.step).step_by(block) {
        let steps = from..(from + block).min(dims.step);
        let block = part(factors, 1, steps.clone(), memory);
        let recording = record(&block, dense);
        memory = Some(recording.final_memory.clone());
        writer.append_layer(0, &block, recording).unwrap();
        writer.append(Table::tokens(tokens(dims).slice(ndarray::s![.., steps]).to_owned())).unwrap();
        writer.commit().unwrap();
    }
}

/// A finished trace of one layer.
pub fn write(path: &PathBuf, factors: &Factors<f32>, block: usize, dense: &[Phase]) {
    let mut writer = TraceWriter::create(path, &spec()).unwrap();
    append_blocks(&mut writer, factors, block, dense);
    writer.finish().unwrap();
}

//! Plain Python reads what Rust wrote, and Rust what Python wrote.
//!
//! The test makes a virtual environment below the target directory once, from `examples/python/requirements.txt`; set
//! `PENTIMENTO_PYTHON` to a python that has those packages to use it instead. The exporter is run on numpy arrays
//! (`--numpy`): torch would be most of a gigabyte to install for the same function.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray_npy::ReadNpyExt;
use pentimento::memory::{Dims, HookPoint, Phase, Rule};
use pentimento::provenance::{Provenance, digest_bytes};
use pentimento::trace::{ImportOptions, Table, Trace, TraceWriter, import};

use super::sample::{self, SMALL, place};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python")
}

/// A python with the packages of `requirements.txt`.
fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("PENTIMENTO_PYTHON") {
        return python.into();
    }
    let requirements = examples().join("requirements.txt");
    let digest = digest_bytes(&fs::read(&requirements).unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{}", &digest[..8]));
    let (python, ready) = (folder.join("bin/python"), folder.join("ready"));
    // Tests run at once: the first makes the environment, the others wait.
    let lock = fs::File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("python.lock")).unwrap();
    lock.lock().unwrap();
    if !ready.exists() {
        let help = "this test needs python3 with venv and pip (Debian: apt-get install python3-venv), or PENTIMENTO_PYTHON";
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status().expect(help);
        assert!(made.success(), "{help}");
        let installed = Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements).status().expect(help);
        assert!(installed.success(), "{help}");
        fs::write(ready, "").unwrap();
    }
    python
}

fn run(script: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new(python());
    command.arg("-c").arg(script).args(arguments).env("PYTHONPATH", examples()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const READ: &str = "
import sys
import numpy as np
from pentimento_trace import Trace
path, out = sys.argv[1:3]
trace = Trace(path)
assert trace.status == 'complete'
memories = [trace.memory(0, head, step, batch=1, phase=phase)
    for phase in ('before', 'decay', 'erase', 'write') for head in (0, 1) for step in (0, 63, 64, 299)]
np.save(out, np.stack(memories))
states = list(trace.states(0, 1, range(100, 110)))
assert (states[3] == trace.memory(0, 1, 103)).all()
frame = trace.scalars(0)
assert len(frame) == 2 * 300 * 2 and frame['memory_norm'].notna().all()
assert trace.dataset(0)['query'].dims == ('batch', 'step', 'key_head', 'd_k')
";

#[test]
fn the_python_reader_replays_what_rust_replays() {
    for rule in [Rule::Eda, Rule::Rwkv7, Rule::GatedDeltaProduct(2)] {
        let (folder, path) = place();
        sample::write(&path, &sample::factors(rule, SMALL, 51, true), 300, &[]);
        let out = folder.path().join("memories.npy");
        run(READ, &[&path, &out]);
        let theirs = ndarray::Array3::<f32>::read_npy(fs::File::open(out).unwrap()).unwrap();
        let trace = Trace::open(&path).unwrap();
        let mut index = 0;
        let mut different = 0;
        for phase in Phase::ALL {
            for head in [0, 1] {
                for step in [0, 63, 64, 299] {
                    let ours = trace.memory(0, head, 1, step, phase).unwrap();
                    for (a, b) in ours.iter().zip(theirs.index_axis(ndarray::Axis(0), index)) {
                        assert!((a - b).abs() <= 1e-6, "{rule} {phase} head {head} step {step}: {a} {b}");
                        different += usize::from(a.to_bits() != b.to_bits());
                    }
                    index += 1;
                }
            }
        }
        // Ties of double rounding, one in about 10^8.
        assert!(different <= 2, "{rule}: {different} numbers differ in their last bit");
    }
}

const XARRAY: &str = "
import sys
import numpy as np
import xarray as xr
import zarr
path, out = sys.argv[1:3]
root = xr.open_zarr(path)
assert root['tokens'].dims == ('batch', 'step') and root['tokens'].dtype == np.int32
assert root.attrs['status'] == 'complete'
layer = xr.open_zarr(path, group='layer_00')
assert layer.attrs['rule'] == 'eda'
assert layer['retention'].dims == ('batch', 'step', 'head', 'd_k')
assert bool(layer['value'].notnull().all())
checkpoint = xr.open_zarr(path, group='layer_00/checkpoint')
assert checkpoint['memory'].dims == ('batch', 'checkpoint', 'head', 'd_k', 'd_v')
assert float(abs(checkpoint['replay_error']).max()) == 0
assert list(checkpoint['step'].values) == [0, 64, 128, 192, 256, 300]
words = xr.open_zarr(path, group='text')['token_str']
assert words.values[1, 7] == 'word 7 of 1', words.values[1, 7]
tree = xr.open_datatree(path, engine='zarr')
assert 'memory_norm' in tree['layer_00/scalars']
dense = zarr.open_group(path, mode='r')['layer_00/dense/all/memory_after_write']
np.save(out, dense[:])
np.save(out.replace('.npy', '.value.npy'), layer['value'].values)
";

#[test]
fn xarray_opens_a_trace_without_our_code() {
    let (folder, path) = place();
    let factors = sample::factors(Rule::Eda, SMALL, 52, false);
    let recording = sample::record(&factors, &[Phase::Write]);
    let dense = recording.dense[&Phase::Write].clone();
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    writer.append_layer(0, &factors, recording).unwrap();
    writer.append(Table::tokens(sample::tokens(SMALL))).unwrap();
    let words = ndarray::Array2::from_shape_fn((SMALL.batch, SMALL.step), |(batch, step)| format!("word {step} of {batch}"));
    writer.append(Table::token_str(words)).unwrap();
    writer.finish().unwrap();
    let out = folder.path().join("dense.npy");
    run(XARRAY, &[&path, &out]);
    let read = |path: &Path| ndarray::ArrayD::<f32>::read_npy(fs::File::open(path).unwrap()).unwrap();
    assert_eq!(read(&out), dense.into_dyn());
    assert_eq!(read(&out.with_extension("value.npy")), *factors.arrays()[&HookPoint::Value(0)]);
}

#[test]
fn python_reads_the_committed_prefix_of_a_recording() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, Dims { step: 600, ..SMALL }, 53, false);
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    sample::append_blocks(&mut writer, &factors, 300, &[]);
    let script = "
import sys
from pentimento_trace import Trace
trace = Trace(sys.argv[1])
assert trace.status == 'recording' and trace.n_steps == 512, (trace.status, trace.n_steps)
assert trace.memory(0, 1, 511).shape == (8, 6)
assert trace.tokens().shape == (2, 512)
";
    run(script, &[&path]);
}

#[test]
fn the_exporters_file_imports() {
    let (folder, path) = place();
    let file = folder.path().join("factors.safetensors");
    let exported = Command::new(python()).arg(examples().join("export_factors.py")).arg(&file).arg("--numpy").output().unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let report = import(&file, Rule::Eda, &path, &ImportOptions::new(Provenance::here("import"))).unwrap();
    assert_eq!(report.layers.iter().map(|layer| layer.layer).collect::<Vec<_>>(), [0, 3]);
    assert!(report.layers.iter().all(|layer| layer.far_from_unit.is_empty()));
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.tokens().unwrap().unwrap()[[0, 127]], 127);
    assert!(trace.require_complete().is_ok());
}

//! A recording that is killed, or finds the disk full, is an exact prefix of itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ndarray::{Array2, Array4, s};
use pentimento::memory::{Dims, Factors, Phase, Rule};
use pentimento::task::random::stream;
use pentimento::trace::{Status, Table, Trace, TraceError, TraceWriter, repair, verify};
use rand::RngExt;

use super::sample;

const PLACE: &str = "PENTIMENTO_TEST_RECORD_INTO";
const BLOCKS: &str = "PENTIMENTO_TEST_BLOCKS";
const DIMS: Dims = Dims { batch: 1, step: 256, key_head: 1, head: 2, d_k: 8, d_v: 8 };

/// The block of that number: the same in the child that records and in the test that checks.
fn block(number: usize, memory: Option<Array4<f32>>) -> (Factors<f32>, Array2<i32>) {
    let factors = sample::factors(Rule::Eda, DIMS, number as u64, false);
    let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    let tokens = Array2::from_shape_fn((DIMS.batch, DIMS.step), |(_, step)| (number * DIMS.step + step) as i32);
    (Factors::new(Rule::Eda, arrays, memory).unwrap(), tokens)
}

/// Not a test of its own: the tests below run it in a child process and kill it. Without its variable it does nothing.
#[test]
fn recorder() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let n_blocks: usize = std::env::var(BLOCKS).unwrap().parse().unwrap();
    let mut writer = TraceWriter::create(PathBuf::from(path), &sample::spec()).unwrap();
    let mut memory = None;
    for number in 0..n_blocks {
        let (factors, tokens) = block(number, memory);
        let recording = sample::record(&factors, &[]);
        memory = Some(recording.final_memory.clone());
        writer.append_layer(0, &factors, recording).unwrap();
        writer.append(Table::tokens(tokens)).unwrap();
        writer.commit().unwrap();
    }
    writer.finish().unwrap();
    std::thread::sleep(Duration::from_mins(1));
}

/// The trace must hold whole blocks, each as it was recorded.
fn expect_exact_prefix(path: &Path) -> usize {
    let trace = Trace::open(path).unwrap();
    assert_eq!(trace.n_steps() % DIMS.step, 0);
    let n_blocks = trace.n_steps() / DIMS.step;
    if n_blocks == 0 {
        return 0;
    }
    let (read, tokens) = (trace.factors(0, 0..1, 0..trace.n_steps()).unwrap(), trace.tokens().unwrap().unwrap());
    let mut memory = None;
    for number in 0..n_blocks {
        let (factors, expected) = block(number, memory);
        let steps = number * DIMS.step..(number + 1) * DIMS.step;
        assert_eq!(tokens.slice(s![.., steps.clone()]), expected);
        for (point, array) in factors.arrays() {
            assert_eq!(read.arrays()[point].slice_axis(ndarray::Axis(1), steps.clone().into()), array, "{point}");
        }
        memory = Some(sample::record(&factors, &[]).final_memory);
    }
    let last = trace.memory(0, 1, 0, trace.n_steps() - 1, Phase::Write).unwrap();
    assert_eq!(last, memory.unwrap().slice(s![0, 1, .., ..]));
    n_blocks
}

#[test]
fn a_recording_killed_at_any_moment_opens_as_an_exact_prefix() {
    let mut random = stream(1, "moments to kill", 0);
    let (mut most, mut completed) = (0, 0);
    for round in 0..24 {
        let (_folder, path) = sample::place();
        // Every other one is short, so that some are killed while they finish.
        let n_blocks = if round % 2 == 0 { 1000 } else { 1 + round / 4 };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trace::killed::recorder"])
            .env(PLACE, &path)
            .env(BLOCKS, n_blocks.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !path.join("zarr.json").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..120_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let found = expect_exact_prefix(&path);
        most = most.max(found);
        let checked = verify(&path).unwrap();
        assert!(checked.is_sound(), "{:?}", checked.problems());
        match Trace::open(&path).unwrap().status() {
            // It had really finished.
            Status::Complete => {
                completed += 1;
                assert_eq!(found, n_blocks);
            }
            status => {
                assert_eq!(status, Status::Recording);
                assert!(Trace::open(&path).unwrap().require_complete().is_err());
                if found > 0 {
                    assert_eq!(repair(&path).unwrap().status, Status::Repaired);
                    assert_eq!(expect_exact_prefix(&path), found);
                    let checked = verify(&path).unwrap();
                    assert!(checked.is_sound() && checked.leftovers.is_empty(), "{:?} {:?}", checked.problems(), checked.leftovers);
                }
            }
        }
    }
    assert!(most > 0, "no child lived long enough to commit a block");
    assert!(completed < 24);
}

const FULL: &str = "PENTIMENTO_TEST_FULL_DISK";

/// Not a test of its own: the test below runs it where files cannot grow beyond a limit.
#[test]
fn recorder_without_space() {
    let Some(path) = std::env::var_os(FULL).map(PathBuf::from) else { return };
    let dims = Dims { batch: 4, d_k: 64, d_v: 4, ..DIMS };
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    // Constant factors compress to little, random ones do not fit.
    let constant = sample::factors(Rule::Kda, Dims { step: 1, ..dims }, 1, false);
    let spread = |array: &ndarray::ArcArray<f32, ndarray::IxDyn>| {
        let mut shape = array.shape().to_vec();
        shape[1] = dims.step;
        array.broadcast(shape).unwrap().to_owned()
    };
    let arrays = constant.arrays().iter().map(|(&point, array)| (point, spread(array))).collect();
    let small = Factors::new(Rule::Kda, arrays, None).unwrap();
    let mut recording = sample::record(&small, &[]);
    recording.pseudo_values.iter_mut().for_each(|(_, array)| array.fill(0.0));
    recording.output.fill(0.0);
    writer.append_layer(0, &small, recording).unwrap();
    writer.commit().unwrap();
    let large = sample::factors(Rule::Kda, dims, 2, false);
    let error = writer.append_layer(0, &large, sample::record(&large, &[])).unwrap_err();
    assert!(matches!(error, TraceError::NoSpace { committed_steps: 256, .. }), "{error}");
    drop(writer);
    let trace = Trace::open(&path).unwrap();
    assert_eq!((trace.status(), trace.n_steps()), (Status::Aborted, 256));
    assert_eq!(trace.factors(0, 0..4, 0..256).unwrap().arrays(), small.arrays());
}

#[cfg(unix)]
#[test]
fn without_space_the_committed_prefix_stays() {
    let (_folder, path) = sample::place();
    // A limit on the size of files, its signal ignored, fails a write as a full disk does.
    let limited = r#"trap "" XFSZ; ulimit -f 160; exec "$@""#;
    let output = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "trace::killed::recorder_without_space", "--nocapture"])
        .env(FULL, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(Trace::open(&path).unwrap().n_steps(), 256);
}

//! The bytes on disk follow the format's promises.

use std::fs;

use pentimento::memory::{Dims, Phase, Rule};
use pentimento::trace::{DenseSelection, Trace, TraceSpec, TraceWriter};
use serde_json::Value;

use super::sample::{self, SMALL, place};

fn root(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path.join("zarr.json")).unwrap()).unwrap()
}

#[test]
fn streams_and_memories_have_their_chunks_and_codecs() {
    let (_folder, path) = place();
    let dims = Dims { step: 600, ..SMALL };
    sample::write(&path, &sample::factors(Rule::Eda, dims, 21, false), 600, &[]);
    let root = root(&path);
    let codecs = |name: &str| root["consolidated_metadata"]["metadata"][name]["codecs"][0]["configuration"].clone();
    let shard = |name: &str| root["consolidated_metadata"]["metadata"][name]["chunk_grid"]["configuration"]["chunk_shape"].clone();
    assert_eq!(codecs("layer_00/value")["chunk_shape"], serde_json::json!([1, 64, 1, 6]));
    assert_eq!(shard("layer_00/value"), serde_json::json!([2, 256, 2, 6]));
    let names: Vec<_> = codecs("layer_00/value")["codecs"].as_array().unwrap().iter().map(|codec| codec["name"].clone()).collect();
    assert_eq!(names, ["bytes", "blosc", "crc32c"]);
    assert_eq!(codecs("layer_00/checkpoint/memory")["chunk_shape"], serde_json::json!([1, 1, 1, 8, 6]));
    let names: Vec<_> =
        codecs("layer_00/checkpoint/memory")["codecs"].as_array().unwrap().iter().map(|codec| codec["name"].clone()).collect();
    assert_eq!(names, ["bytes", "crc32c"]);
    assert_eq!(root["consolidated_metadata"]["metadata"]["layer_00/value"]["fill_value"], "NaN");
}

#[test]
fn matrices_lie_raw_and_aligned_so_that_a_shard_can_be_mapped() {
    let (_folder, path) = place();
    let dims = Dims { step: 256, d_k: 5, d_v: 3, ..SMALL };
    sample::write(&path, &sample::factors(Rule::Eda, dims, 22, true), 256, &[]);
    let bytes = fs::read(path.join("layer_00/checkpoint/memory/c/0/0/0/0/0")).unwrap();
    let n_chunks = 2 * 4 * 2;
    let table = &bytes[bytes.len() - 4 - n_chunks * 16..bytes.len() - 4];
    let number = |part: &[u8]| u64::from_le_bytes(part.try_into().unwrap()) as usize;
    let trace = Trace::open(&path).unwrap();
    for (index, entry) in table.chunks_exact(16).enumerate() {
        let (offset, length) = (number(&entry[..8]), number(&entry[8..]));
        assert_eq!((offset % 64, length), (0, 5 * 3 * 4 + 4));
        let values: Vec<f32> = bytes[offset..offset + 60].chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
        let stored = trace.checkpoint(0, index % 2, index / 8, index / 2 % 4).unwrap();
        assert_eq!(values, stored.iter().copied().collect::<Vec<_>>());
    }
}

#[test]
fn chosen_heads_and_rounded_mantissas_are_stored_as_asked() {
    let (_folder, path) = place();
    let dims = Dims { step: 20, head: 4, ..SMALL };
    let factors = sample::factors(Rule::Kda, dims, 23, false);
    let recording = sample::record(&factors, &[Phase::Write]);
    let spec =
        TraceSpec { dense: vec![DenseSelection { name: "two".to_owned(), heads: Some(vec![1, 3]) }], bitround: Some(8), ..sample::spec() };
    let mut writer = TraceWriter::create(&path, &spec).unwrap();
    writer.append_layer(0, &factors, recording.clone()).unwrap();
    writer.finish().unwrap();
    let trace = Trace::open(&path).unwrap();
    let stored = trace.read_all_f32("layer_00/dense/two/memory_after_write").unwrap();
    assert_eq!(stored.shape(), [2, 20, 2, 8, 6]);
    for ((batch, step, head, i, j), &exact) in recording.dense[&Phase::Write].indexed_iter() {
        if head % 2 == 1 {
            let rounded = stored[[batch, step, head / 2, i, j]];
            assert!((rounded - exact).abs() <= exact.abs() / 512.0);
            assert_eq!(rounded.to_bits() & ((1 << 15) - 1), 0);
        }
    }
    let exact = recording.dense[&Phase::Write].slice(ndarray::s![1, 19, 3, .., ..]);
    assert_eq!(trace.memory(0, 3, 1, 19, Phase::Write).unwrap(), exact, "a memory is exact although the dense copy is rounded");
}

#[test]
fn blocks_of_any_length_give_the_same_trace() {
    let dims = Dims { step: 320, ..SMALL };
    let factors = sample::factors(Rule::Eda, dims, 24, false);
    let digests: Vec<String> = [64, 100, 1, 320]
        .into_iter()
        .map(|block| {
            let (_folder, path) = place();
            sample::write(&path, &factors, block, &[]);
            Trace::open(&path).unwrap().digest().unwrap().to_owned()
        })
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_block_that_does_not_fit_is_refused() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, SMALL, 25, false);
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    let mut bare = sample::record(&factors, &[]);
    bare.pseudo_values.clear();
    assert!(writer.append_layer(0, &factors, bare).unwrap_err().to_string().contains("lacks 'erase_value'"));
    let mut writer = TraceWriter::create(path.with_file_name("b"), &sample::spec()).unwrap();
    writer.append_layer(0, &factors, sample::record(&factors, &[])).unwrap();
    let other = sample::factors(Rule::Eda, Dims { d_v: 3, ..SMALL }, 25, false);
    assert!(writer.append_layer(0, &other, sample::record(&other, &[])).unwrap_err().to_string().contains("first block"));
    writer.append(pentimento::trace::Table::tokens(ndarray::Array2::zeros((2, 5)))).unwrap();
    assert!(writer.commit().unwrap_err().to_string().contains("has 5"));
}

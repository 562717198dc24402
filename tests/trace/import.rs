//! Factors from other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, s};
use pentimento::memory::{Dims, HookPoint, Phase, Rule};
use pentimento::provenance::Provenance;
use pentimento::trace::{ImportOptions, Trace, import};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use super::sample::{self, SMALL};

/// Tensors on their way into a file.
#[derive(Default)]
struct File(BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl File {
    fn of(rule: Rule, dims: Dims, prefix: &str) -> Self {
        let mut file = Self::default();
        for (point, array) in sample::factors(rule, dims, 41, false).arrays() {
            file.put(&format!("{prefix}{point}"), &array.to_owned());
        }
        file
    }

    fn put(&mut self, name: &str, array: &ArrayD<f32>) {
        let bytes = array.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.insert(name.to_owned(), (Dtype::F32, array.shape().to_vec(), bytes));
    }

    fn save(&self) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (file, out) = (folder.path().join("factors.safetensors"), folder.path().join("out.trace.zarr"));
        let views = self.0.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        serialize_to_file(views, None, &file).unwrap();
        (folder, file, out)
    }

    fn refused(&self, rule: Rule) -> String {
        let (_folder, file, out) = self.save();
        let error = import(&file, rule, &out, &options()).unwrap_err().to_string();
        assert!(!out.exists(), "nothing is made of a bad file");
        error
    }
}

fn options() -> ImportOptions {
    ImportOptions::new(Provenance::here("import"))
}

fn imported(file: &Path, rule: Rule, out: &Path) -> Trace {
    import(file, rule, out, &options()).unwrap();
    Trace::open(out).unwrap()
}

#[test]
fn a_layer_becomes_the_trace_its_factors_give() {
    let factors = sample::factors(Rule::Eda, SMALL, 41, false);
    let (_folder, file, out) = File::of(Rule::Eda, SMALL, "").save();
    let trace = imported(&file, Rule::Eda, &out);
    let whole = sample::record(&factors, &[Phase::Erase]);
    assert_eq!(trace.memory(0, 1, 1, 299, Phase::Erase).unwrap(), whole.dense[&Phase::Erase].slice(s![1, 299, 1, .., ..]));
    assert_eq!(trace.stream(0, HookPoint::Output, 0..2, 0..300).unwrap(), whole.output.into_dyn());
}

#[test]
fn several_layers_tokens_initial_memory_and_output_are_read() {
    let mut file = File::of(Rule::Kda, SMALL, "layer_02.");
    file.0.extend(File::of(Rule::Kda, SMALL, "layer_07.").0);
    let initial = sample::uniform(5, "initial", &[2, 2, 8, 6], -1.0, 1.0);
    file.put("layer_07.initial_memory", &initial);
    file.put("layer_02.output", &sample::record(&sample::factors(Rule::Kda, SMALL, 41, false), &[]).output.into_dyn());
    let tokens = sample::tokens(SMALL);
    file.0.insert("tokens".to_owned(), (Dtype::I64, vec![2, 300], tokens.iter().flat_map(|&x| i64::from(x).to_le_bytes()).collect()));
    let (_folder, path, out) = file.save();
    let report = import(&path, Rule::Kda, &out, &options()).unwrap();
    assert_eq!(report.layers[0].max_output_difference, Some(0.0));
    assert!(report.layers[0].far_from_unit.is_empty());
    assert!((report.layers[0].norms["write_direction"].mean - 1.0).abs() < 1e-5);
    let trace = Trace::open(&out).unwrap();
    assert_eq!(trace.layers().iter().map(|layer| layer.index).collect::<Vec<_>>(), [2, 7]);
    assert_eq!(trace.tokens().unwrap().unwrap(), tokens);
    assert_eq!(trace.memory(7, 0, 1, 0, Phase::Before).unwrap().into_dyn(), initial.slice(s![1, 0, .., ..]).to_owned().into_dyn());
}

#[test]
fn many_short_sequences_are_read_too() {
    let dims = Dims { batch: 40, step: 12, ..SMALL };
    let (_folder, path, out) = File::of(Rule::Gdn2, dims, "").save();
    let trace = imported(&path, Rule::Gdn2, &out);
    assert_eq!((trace.n_batch(), trace.n_steps()), (40, 12));
    let dense = sample::record(&sample::factors(Rule::Gdn2, dims, 41, false), &[Phase::Write]).dense.remove(&Phase::Write).unwrap();
    assert_eq!(trace.memory(0, 1, 39, 11, Phase::Write).unwrap(), dense.slice(s![39, 11, 1, .., ..]));
}

#[test]
fn a_decay_per_head_and_a_log_decay_are_understood() {
    for shape in [vec![2, 300, 2], vec![2, 300, 2, 1]] {
        let mut file = File::of(Rule::Gdn, SMALL, "");
        file.0.remove("retention");
        let log_decay = sample::uniform(6, "log_decay", &shape, -0.5, 0.0);
        file.put("log_decay", &log_decay);
        let (_folder, path, out) = file.save();
        let retention = imported(&path, Rule::Gdn, &out).stream(0, HookPoint::Retention, 1..2, 7..8).unwrap();
        let wanted = log_decay.iter().nth((300 + 7) * 2 + 1).unwrap().exp();
        assert!(retention.slice(s![0, 0, 1, ..]).iter().all(|&alpha| alpha == wanted));
    }
    let mut file = File::of(Rule::DeltaNet, SMALL, "");
    file.0.remove("retention");
    let (_folder, path, out) = file.save();
    assert!(imported(&path, Rule::DeltaNet, &out).stream(0, HookPoint::Retention, 0..1, 0..5).unwrap().iter().all(|&alpha| alpha == 1.0));
}

/// Its name in the file, how it is written, and what is left of a number.
type Precision = (Dtype, fn(f32) -> Vec<u8>, fn(f32) -> f32);

#[test]
fn half_precision_and_double_precision_are_widened_or_rounded() {
    let array = sample::factors(Rule::Kda, SMALL, 41, false).arrays()[&HookPoint::Value(0)].to_owned();
    let encode: [Precision; 3] = [
        (Dtype::F64, |x| f64::from(x).to_le_bytes().to_vec(), |x| x),
        (Dtype::BF16, |x| half::bf16::from_f32(x).to_le_bytes().to_vec(), |x| half::bf16::from_f32(x).to_f32()),
        (Dtype::F16, |x| half::f16::from_f32(x).to_le_bytes().to_vec(), |x| half::f16::from_f32(x).to_f32()),
    ];
    for (dtype, to_bytes, seen) in encode {
        let mut file = File::of(Rule::Kda, SMALL, "");
        file.0.insert("value".to_owned(), (dtype, array.shape().to_vec(), array.iter().flat_map(|&x| to_bytes(x)).collect()));
        let (_folder, path, out) = file.save();
        let value = imported(&path, Rule::Kda, &out).stream(0, HookPoint::Value(0), 0..2, 0..300).unwrap();
        assert_eq!(value, array.mapv(seen), "{dtype:?}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let without = |rule: Rule, names: &[&str]| {
        let mut file = File::of(rule, SMALL, "");
        file.0.retain(|name, _| !names.contains(&name.as_str()));
        file
    };
    let erase = without(Rule::Eda, &["erase_direction", "erase_strength"]).refused(Rule::Eda);
    assert!(erase.contains("kda"), "{erase}");
    let surplus = File::of(Rule::Eda, SMALL, "").refused(Rule::Kda);
    assert!(surplus.contains("rule kda has no factor 'erase_direction'"), "{surplus}");
    let missing = without(Rule::Kda, &["write_strength"]).refused(Rule::Kda);
    assert!(missing.contains("needs the factor 'write_strength'"), "{missing}");
    let decay = without(Rule::Kda, &["retention"]).refused(Rule::Kda);
    assert!(decay.contains("'retention' or 'log_decay'"), "{decay}");
    let mut misspelt = without(Rule::Kda, &["write_direction"]);
    misspelt.put("write_directoin", &ArrayD::zeros(vec![2, 300, 1, 8]));
    let misspelt = misspelt.refused(Rule::Kda);
    assert!(misspelt.contains("was 'write_direction' meant?"), "{misspelt}");
    let mut shape = without(Rule::Kda, &["write_strength"]);
    shape.put("write_strength", &ArrayD::from_elem(vec![2, 300, 3], 0.5));
    let shape = shape.refused(Rule::Kda);
    assert!(shape.contains("[2, 300, 3], but [2, 300, 2] or [2, 300, 2, 1] is needed"), "{shape}");
}

#[test]
fn bad_values_are_refused_with_their_place() {
    for (name, value, wanted) in
        [("value", f32::NAN, "'value' is NaN at [1, 270, 1, 3]"), ("write_strength", 1.5, "'write_strength' is 1.5 at [1, 270, 1]")]
    {
        let mut file = File::of(Rule::Kda, SMALL, "");
        let mut array = sample::factors(Rule::Kda, SMALL, 41, false).arrays()[&HookPoint::from_name(name).unwrap()].to_owned();
        let index: &[usize] = if array.ndim() == 4 { &[1, 270, 1, 3] } else { &[1, 270, 1] };
        array[index] = value;
        file.put(name, &array);
        let error = file.refused(Rule::Kda);
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("factors.safetensors");
    std::fs::write(&path, "not tensors at all").unwrap();
    assert!(import(&path, Rule::Eda, folder.path().join("out"), &options()).unwrap_err().to_string().contains("not a safetensors file"));
    let (_folder, good, out) = File::of(Rule::Eda, SMALL, "").save();
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(&good, &bytes[..bytes.len() - 100]).unwrap();
    assert!(import(&good, Rule::Eda, &out, &options()).unwrap_err().to_string().contains("truncated"));
}

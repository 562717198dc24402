//! Tables and arrays for other programs: nothing is lost on the way, and every file says where it comes from.

use std::fs;

use ndarray::{Array3, ArrayD, IxDyn};
use ndarray_npy::NpzReader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, RowAccessor};
use pentimento::export::{
    ArrayForm, ExportError, NamedArray, Table, TableForm, Value, Values, trace_arrays, trace_scalars, write_arrays, write_table,
};
use pentimento::memory::{HookPoint, Rule};
use pentimento::provenance::Provenance;
use pentimento::trace::{Trace, TraceWriter};
use safetensors::SafeTensors;

use crate::trace::sample;

fn table() -> Table {
    let mut table = Table::new("Two heads & a share", &["name", "lag [steps]", "r2"]);
    table.push(vec!["a, \"b\"".into(), 3_usize.into(), 0.1_f32.into()]);
    table.push(vec!["rho_1".into(), 40_usize.into(), Value::Missing]);
    table
}

#[test]
fn csv_quotes_names_and_leaves_gaps_empty() {
    assert_eq!(table().csv(), "name,lag [steps],r2\n\"a, \"\"b\"\"\",3,0.1\nrho_1,40,\n");
}

#[test]
fn csv_brings_every_float_back() {
    let values: Vec<f32> = (0..2000_u32).map(|n| f32::from_bits(n.wrapping_mul(2_147_467)).abs()).filter(|v| v.is_finite()).collect();
    let mut table = Table::new("floats", &["single", "double"]);
    for value in &values {
        table.push(vec![(*value).into(), (f64::from(*value) / 3.0).into()]);
    }
    for (line, value) in table.csv().lines().skip(1).zip(&values) {
        let (single, double) = line.split_once(',').unwrap();
        assert_eq!(single.parse::<f32>().unwrap().to_bits(), value.to_bits());
        assert_eq!(double.parse::<f64>().unwrap().to_bits(), (f64::from(*value) / 3.0).to_bits());
    }
}

#[test]
fn markdown_aligns_numbers_and_rounds_them() {
    let text = table().markdown(2);
    assert!(text.contains("| name | lag [steps] | r2 |\n| --- | ---: | ---: |\n"), "{text}");
    assert!(text.contains("| 3 | 0.10 |") && text.contains("| rho_1 | 40 | – |"), "{text}");
}

#[test]
fn latex_has_booktabs_and_no_bare_specials() {
    let text = table().latex(3);
    assert!(text.contains("\\toprule") && text.contains("\\begin{tabular}{lrr}"), "{text}");
    assert!(text.contains("Two heads \\& a share") && text.contains("rho\\_1") && text.contains("0.100"), "{text}");
}

#[test]
fn an_interval_stands_in_its_estimate_s_cell() {
    let mut table = Table::new("shares", &["model", "share", "share_low", "share_high", "empty", "p_value"]);
    table.push(vec!["EDA".into(), (-0.25).into(), (-0.3).into(), (-0.004).into(), Value::Missing, 1e-7.into()]);
    table.push(vec!["KDA".into(), 0.5.into(), Value::Missing, Value::Missing, Value::Missing, Value::Missing]);
    assert_eq!(
        table.markdown(2),
        "**shares**\n\n| model | share | p value |\n| --- | ---: | ---: |\n| EDA | -0.25 [-0.30, 0.00] | 1.0e-7 |\n| KDA | 0.50 | – |\n"
    );
    let latex = table.latex(2);
    assert!(latex.contains("EDA & $-0.25$ {\\scriptsize [$-0.30$, 0.00]} & $1.0\\times10^{-7}$ \\\\"), "{latex}");
    assert!(table.csv().starts_with("model,share,share_low,share_high,empty,p_value\n"), "a program gets every column");
}

#[test]
fn latex_has_no_character_that_plain_latex_lacks() {
    let mut table = Table::new("ᾱ, γ < β & |δo| ≥ 0.5 – R² “said” → 50 % of λ·σ", &["ρ ± τ", "n"]);
    table.push(vec!["a_1 {b} $5 #2 ~ ^ \\ …".into(), 3_usize.into()]);
    let latex = table.latex(3);
    assert!(latex.is_ascii(), "{latex}");
    assert!(
        latex.contains("$\\bar{\\alpha}$, $\\gamma$ $<$ $\\beta$ \\& $|$$\\delta$o$|$ $\\geq$ 0.5 -- R$^2$ ``said'' $\\to$ 50 \\%"),
        "{latex}"
    );
}

#[test]
fn a_wide_latex_table_is_shrunk_to_the_text() {
    let columns: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new("wide", &columns);
    table.push((0..9_usize).map(Value::from).collect());
    let latex = table.latex(3);
    assert!(latex.starts_with("% \\usepackage{booktabs,graphicx}") && latex.contains("\\resizebox{\\linewidth}{!}{%\n"), "{latex}");
}

#[test]
fn a_table_has_its_provenance_beside_it_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables/recall.csv");
    let provenance = Provenance::here("pentimento table recall");
    let [file, beside] = write_table(&table(), TableForm::Csv, &path, false, &provenance).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), table().csv());
    let about: serde_json::Value = serde_json::from_str(&fs::read_to_string(&beside).unwrap()).unwrap();
    assert_eq!(about["provenance"]["command"], "pentimento table recall");
    assert_eq!(about["columns"][1]["unit"], "steps");
    assert!(matches!(write_table(&table(), TableForm::Csv, &path, false, &provenance), Err(ExportError::Exists(_))));
    write_table(&table(), TableForm::Markdown(3), &path, true, &provenance).unwrap();
}

#[test]
fn parquet_brings_back_types_gaps_and_who_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let provenance = Provenance::here("export");
    write_table(&table(), TableForm::Parquet, &path, false, &provenance).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let about = reader.metadata().file_metadata();
    let said = |key: &str| about.key_value_metadata().unwrap().iter().find(|entry| entry.key == key).unwrap().value.clone().unwrap();
    assert_eq!(said("pentimento.title"), "Two heads & a share");
    assert_eq!(said("pentimento.columns"), r#"[{"name":"name","unit":""},{"name":"lag","unit":"steps"},{"name":"r2","unit":""}]"#);
    assert_eq!(serde_json::from_str::<Provenance>(&said("pentimento.provenance")).unwrap(), provenance);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!((rows[0].get_string(0).unwrap().as_str(), rows[0].get_long(1).unwrap()), ("a, \"b\"", 3));
    assert_eq!(rows[0].get_float(2).unwrap().to_bits(), 0.1_f32.to_bits());
    assert_eq!(rows[1].get_column_iter().nth(2).unwrap().1, &Field::Null, "what was not measured is null");
    assert_eq!(rows.len(), 2);

    // Whole and broken numbers in one column are doubles; numbers among names are names; nothing at all are doubles.
    let mut mixed = Table::new("mixed", &["number", "name", "nothing"]);
    mixed.push(vec![2_usize.into(), "a".into(), Value::Missing]);
    mixed.push(vec![f64::NAN.into(), 0.5.into(), Value::Missing]);
    write_table(&mixed, TableForm::Parquet, &path, true, &provenance).unwrap();
    let bytes = fs::read(&path).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let rows: Vec<Vec<Field>> = rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect()).collect();
    assert_eq!(rows[0], [Field::Double(2.0), Field::Str("a".to_owned()), Field::Null]);
    assert!(matches!(rows[1][0], Field::Double(value) if value.is_nan()), "a number that is none is not a gap");
    assert_eq!(rows[1][1], Field::Str("0.5".to_owned()));
    write_table(&mixed, TableForm::Parquet, &path, true, &provenance).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes, "same table, same bytes");
}

#[test]
fn arrays_come_back_from_npz_and_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let single = ArrayD::from_shape_fn(IxDyn(&[2, 3]), |at| at[0] as f32 - 0.1 * at[1] as f32);
    let double = ArrayD::from_elem(IxDyn(&[2]), 1.0 / 3.0);
    let named = [NamedArray::f32("layer_00/value", &["step", "d_v"], single.clone()), NamedArray::f64("share", &["write"], double.clone())];
    let provenance = Provenance::here("test");

    let npz = folder.path().join("a.npz");
    write_arrays(&named, ArrayForm::Npz, &npz, false, &provenance).unwrap();
    let mut reader = NpzReader::new(fs::File::open(&npz).unwrap()).unwrap();
    let back: ArrayD<f32> = reader.by_name("layer_00/value").unwrap();
    assert_eq!(back, single);
    let back: ArrayD<f64> = reader.by_name("share").unwrap();
    assert_eq!(back, double);

    let safe = folder.path().join("a.safetensors");
    let [_, beside] = write_arrays(&named, ArrayForm::Safetensors, &safe, false, &provenance).unwrap();
    let bytes = fs::read(&safe).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let value = tensors.tensor("layer_00.value").unwrap();
    assert_eq!(value.shape(), [2, 3]);
    let expected: Vec<u8> = single.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(value.data(), expected);
    assert!(fs::read_to_string(beside).unwrap().contains("\"d_v\""));

    write_arrays(&named, ArrayForm::Safetensors, &safe, true, &provenance).unwrap();
    assert_eq!(fs::read(&safe).unwrap(), bytes, "same arrays, same bytes");
}

#[test]
fn a_trace_gives_its_streams_and_a_row_per_head_and_step() {
    let (_folder, path) = sample::place();
    let factors = sample::factors(Rule::Eda, sample::SMALL, 7, false);
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    sample::append_blocks(&mut writer, &factors, 128, &[]);
    writer.finish().unwrap();
    let trace = Trace::open(&path).unwrap();

    let streams = trace_arrays(&trace, &[]).unwrap();
    let retention = streams.iter().find(|array| array.name == "layer_00/retention").unwrap();
    assert_eq!(retention.axes, ["batch", "step", "head", "d_k"]);
    assert!(matches!(&retention.values, Values::F32(values) if *values == *factors.arrays()[&HookPoint::Retention]));
    assert!(streams.iter().all(|array| !array.name.contains("checkpoint")));
    assert_eq!(trace_arrays(&trace, &["erase_strength".to_owned()]).unwrap().len(), 1);
    let fault = trace_arrays(&trace, &["erase_strenght".to_owned()]).unwrap_err().to_string();
    assert!(fault.contains("erase_strenght") && fault.contains("erase_strength"), "{fault}");

    let table = trace_scalars(&trace).unwrap();
    let dims = sample::SMALL;
    assert_eq!(table.rows.len(), dims.batch * dims.step * dims.head);
    let column = table.columns.iter().position(|column| column.name == "erase_strength").unwrap();
    let gamma: Array3<f32> = factors.arrays()[&HookPoint::EraseStrength].to_owned().into_dimensionality().unwrap();
    assert_eq!(table.rows[3][column], Value::Single(gamma[[0, 1, 1]]));
    assert!(table.columns.iter().any(|column| column.name == "mean_retention"));
}

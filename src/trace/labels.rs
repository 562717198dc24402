//! The task's truth table as arrays: one record a sequence becomes one column a field.

use std::collections::BTreeSet;

use ndarray::{ArrayD, IxDyn};
use serde::Serialize;
use serde_json::Value;

use super::Table;

/// Where each record stands whole, as JSON.
pub(super) const JSON: &str = "labels/json";

/// One record per sequence (a task's example with its writes and questions) as arrays under `labels/`.
///
/// Whole numbers become int32 \[batch\], filled with -1 where absent; words become strings \[batch\]. A field that is a list of
/// records (`writes`, `questions`) becomes a group with a dimension of that name and one array per column, padded with
/// -1; lists of numbers get a dimension of their own. `labels/json` holds every record whole, so that reading gives back
/// exactly what was written.
///
/// The field `tokens` is left to the trace's own `tokens`.
pub fn label_tables<T: Serialize>(records: &[T]) -> Vec<Table> {
    let records: Vec<Value> = records.iter().map(|record| serde_json::to_value(record).expect("plain data serialises")).collect();
    let json = records.iter().map(ToString::to_string).collect();
    let json = ArrayD::from_shape_vec(IxDyn(&[records.len()]), json).expect("one string a record");
    let mut tables = vec![Table::new(JSON, &["batch"], json)];
    for name in field_names(records.iter()) {
        if name == "tokens" {
            continue;
        }
        let column: Vec<&Value> = records.iter().map(|record| &record[&name]).collect();
        if column.iter().all(|value| is_record_list(value))
            && column.iter().any(|value| value.as_array().is_some_and(|list| !list.is_empty()))
        {
            let longest = column.iter().map(|value| value.as_array().map_or(0, Vec::len)).max().unwrap_or(0);
            for inner in field_names(column.iter().flat_map(|value| value.as_array().into_iter().flatten())) {
                let cells: Vec<&Value> = column.iter().flat_map(|list| (0..longest).map(|index| &list[index][&inner])).collect();
                tables.extend(column_table(&format!("labels/{name}/{inner}"), &[("batch", records.len()), (&name, longest)], &cells));
            }
        } else {
            tables.extend(column_table(&format!("labels/{name}"), &[("batch", records.len())], &column));
        }
    }
    tables
}

/// The fields of all records in a fixed order.
fn field_names<'a>(records: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let names: BTreeSet<String> = records.filter_map(Value::as_object).flat_map(serde_json::Map::keys).cloned().collect();
    names.into_iter().collect()
}

fn is_record_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_object))
}

/// One column as an array, if its cells are numbers, lists of numbers or words; other kinds stand in the JSON only.
fn column_table(path: &str, dims: &[(&str, usize)], cells: &[&Value]) -> Option<Table> {
    let shape: Vec<usize> = dims.iter().map(|dim| dim.1).collect();
    let names: Vec<&str> = dims.iter().map(|dim| dim.0).collect();
    let number = |value: &Value| value.as_i64().or_else(|| value.as_bool().map(i64::from)).and_then(|number| i32::try_from(number).ok());
    let is_absent = |value: &&&Value| value.is_null();
    let present: Vec<&&Value> = cells.iter().filter(|value| !is_absent(value)).collect();
    if present.is_empty() {
        return None;
    }
    if present.iter().all(|value| number(value).is_some()) {
        let column: Vec<i32> = cells.iter().map(|value| number(value).unwrap_or(-1)).collect();
        return Some(Table::new(path, &names, ArrayD::from_shape_vec(IxDyn(&shape), column).ok()?));
    }
    if present.iter().all(|value| value.is_string()) {
        let column: Vec<String> = cells.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
        return Some(Table::new(path, &names, ArrayD::from_shape_vec(IxDyn(&shape), column).ok()?));
    }
    let lists: Option<Vec<&Vec<Value>>> = present.iter().map(|value| value.as_array()).collect();
    let longest = lists?.iter().map(|list| list.len()).max().filter(|&longest| longest > 0)?;
    let column: Option<Vec<i32>> =
        cells.iter().flat_map(|list| (0..longest).map(|index| list.get(index).map_or(Some(-1), &number))).collect();
    let last = path.rsplit('/').next().unwrap_or(path);
    let (shape, names) = ([shape, vec![longest]].concat(), [names, vec![last]].concat());
    Some(Table::new(path, &names, ArrayD::from_shape_vec(IxDyn(&shape), column?).ok()?))
}

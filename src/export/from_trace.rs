//! What a trace holds, as arrays and as one long table.

use ndarray::{Array3, ArrayD, Ix3};

use super::{ExportError, NamedArray, Table, Value, Values};
use crate::memory::HookPoint;
use crate::trace::Trace;

/// The streams of a trace as arrays: every factor, pseudo-value, output and scalar of every layer, and the tokens.
///
/// `wanted` chooses by name (`retention`, `scalars/...`) or by path (`layer_00/retention`); empty takes all. Memories are not
/// streams: replay them with [`Trace::memory`].
pub fn trace_arrays(trace: &Trace, wanted: &[String]) -> Result<Vec<NamedArray>, ExportError> {
    let streams: Vec<&str> = trace.array_names().filter(|path| is_stream(path)).collect();
    let named = |path: &str, name: &str| path == name || stream_name(path) == name;
    if let Some(name) = wanted.iter().find(|name| !streams.iter().any(|path| named(path, name))) {
        let mut known: Vec<&str> = streams.iter().map(|path| stream_name(path)).collect();
        known.sort_unstable();
        known.dedup();
        return Err(ExportError::UnknownStream { name: name.clone(), known: known.join(", ") });
    }
    let chosen = streams.into_iter().filter(|path| wanted.is_empty() || wanted.iter().any(|name| named(path, name)));
    chosen
        .map(|path| {
            let axes = trace.array_dims(path)?.into_iter().map(|(axis, _)| axis).collect();
            let values = if path == TOKENS { Values::I32(trace.read_all_i32(path)?) } else { Values::F32(trace.read_all_f32(path)?) };
            Ok(NamedArray { name: path.to_owned(), axes, values })
        })
        .collect()
}

/// Every number a trace holds per head and step as one table: a row per layer, sequence, step and head; a column per gate and
/// scalar, and the mean over channels of the retention.
pub fn trace_scalars(trace: &Trace) -> Result<Table, ExportError> {
    let mut layers: Vec<(usize, Vec<ScalarColumn>)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for layer in trace.layers() {
        let mut columns = Vec::new();
        let group = format!("{}/", layer.group());
        for path in trace.array_names().filter(|path| path.starts_with(&group) && is_stream(path)) {
            let name = stream_name(path);
            let axes = trace.array_dims(path)?;
            let is_mean = name == HookPoint::Retention.name();
            if axes.len() != 3 && !is_mean {
                continue;
            }
            let values = trace.read_all_f32(path)?;
            let column = if is_mean { format!("mean_{name}") } else { name.replace('/', "_") };
            columns.push((column, mean_over_channels(values)));
        }
        for (name, _) in &columns {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        layers.push((layer.index, columns));
    }
    let header: Vec<&str> = ["layer", "batch", "step", "head"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("Gates and scalars by head and step", &header);
    for (layer, columns) in &layers {
        let Some((_, first)) = columns.first() else { continue };
        for (at, _) in first.indexed_iter() {
            let mut row: Vec<Value> = [*layer, at.0, at.1, at.2].into_iter().map(Value::from).collect();
            let value = |name: &String| columns.iter().find(|(column, _)| column == name).and_then(|(_, values)| values.get(at)).copied();
            row.extend(names.iter().map(|name| Value::from(value(name))));
            table.push(row);
        }
    }
    Ok(table)
}

/// A column's name, and its values [batch, step, head].
type ScalarColumn = (String, Array3<f32>);

const TOKENS: &str = "tokens";

fn is_stream(path: &str) -> bool {
    path == TOKENS || path.split_once('/').is_some_and(|(layer, name)| layer.starts_with("layer_") && is_stream_name(name))
}

fn is_stream_name(name: &str) -> bool {
    name.starts_with("scalars/") || (!name.contains('/') && HookPoint::from_name(name).is_some())
}

/// The path without its layer.
fn stream_name(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, name)| name)
}

/// [batch, step, head] as it is; a further axis of channels is averaged.
fn mean_over_channels(values: ArrayD<f32>) -> Array3<f32> {
    let values = if values.ndim() > 3 { values.mean_axis(ndarray::Axis(3)).expect("a head has channels") } else { values };
    values.into_dimensionality::<Ix3>().expect("three axes are left")
}

//! A table as Parquet: a column per column, what was not measured is null, who made it stands in the file's metadata.

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::{ExportError, Table, Value};
use crate::provenance::Provenance;

/// Rows of a row group: readers take them one group at a time.
const ROWS: usize = 1 << 20;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Single,
    Double,
    Text,
}

impl Kind {
    /// The narrowest that holds every value of a column; a column without any is one of numbers.
    fn of(table: &Table, column: usize) -> Self {
        let mut kind = None;
        for value in table.rows.iter().map(|row| &row[column]) {
            let this = match value {
                Value::Integer(_) => Self::Integer,
                Value::Single(_) => Self::Single,
                Value::Double(_) => Self::Double,
                Value::Text(_) => Self::Text,
                Value::Missing => continue,
            };
            kind = match (kind, this) {
                (None, this) => Some(this),
                (Some(kind), this) if kind == this => Some(kind),
                (Some(Self::Text), _) | (_, Self::Text) => Some(Self::Text),
                _ => Some(Self::Double),
            };
        }
        kind.unwrap_or(Self::Double)
    }

    const fn physical(self) -> Physical {
        match self {
            Self::Integer => Physical::INT64,
            Self::Single => Physical::FLOAT,
            Self::Double => Physical::DOUBLE,
            Self::Text => Physical::BYTE_ARRAY,
        }
    }
}

/// The whole file. Units stand in its metadata under `pentimento.columns`, the title and the provenance beside them. Every column may
/// hold nulls, so that tables of several traces have one schema.
pub(super) fn bytes(table: &Table, provenance: &Provenance) -> Result<Vec<u8>, ExportError> {
    write(table, provenance).map_err(|error| ExportError::Form { form: "Parquet", reason: error.to_string() })
}

fn write(table: &Table, provenance: &Provenance) -> Result<Vec<u8>, ParquetError> {
    let kinds: Vec<Kind> = (0..table.columns.len()).map(|column| Kind::of(table, column)).collect();
    let field = |(kind, column): (&Kind, &super::Column)| {
        let text = (*kind == Kind::Text).then_some(LogicalType::String);
        let builder = Type::primitive_type_builder(&column.name, kind.physical()).with_repetition(Repetition::OPTIONAL);
        Ok(builder.with_logical_type(text).build()?.into())
    };
    let fields = kinds.iter().zip(&table.columns).map(field).collect::<Result<_, ParquetError>>()?;
    let schema = Type::group_type_builder("table").with_fields(fields).build()?;
    let about = vec![
        KeyValue::new("pentimento.title".to_owned(), Some(table.title.clone())),
        KeyValue::new("pentimento.columns".to_owned(), Some(json(&table.columns))),
        KeyValue::new("pentimento.provenance".to_owned(), Some(json(provenance))),
    ];
    let properties = WriterProperties::builder()
        .set_created_by(concat!("pentimento ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(about))
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into())?;
    for rows in table.rows.chunks(ROWS) {
        let mut group = file.next_row_group()?;
        for (column, kind) in kinds.iter().enumerate() {
            let values = rows.iter().map(|row| &row[column]);
            match kind {
                Kind::Integer => put::<Int64Type>(&mut group, values, integer)?,
                Kind::Single => put::<FloatType>(&mut group, values, single)?,
                Kind::Double => put::<DoubleType>(&mut group, values, number)?,
                Kind::Text => put::<ByteArrayType>(&mut group, values, text)?,
            }
        }
        group.close()?;
    }
    file.into_inner()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}

const fn integer(value: &Value) -> Option<i64> {
    if let Value::Integer(value) = value { Some(*value) } else { None }
}

const fn single(value: &Value) -> Option<f32> {
    if let Value::Single(value) = value { Some(*value) } else { None }
}

fn text(value: &Value) -> Option<ByteArray> {
    (*value != Value::Missing).then(|| ByteArray::from(value.exact().into_bytes()))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Single(value) => Some(f64::from(*value)),
        Value::Double(value) => Some(*value),
        Value::Text(_) | Value::Missing => None,
    }
}

/// The next column of a row group.
fn put<'a, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: impl Iterator<Item = &'a Value>,
    of: impl Fn(&Value) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = values.map(of).collect();
    let is_there: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns than the table".to_owned()));
    };
    let writer: &mut ColumnWriterImpl<'_, T> = column.typed::<T>();
    writer.write_batch(&values, Some(&is_there), None)?;
    column.close()
}

//! A table: columns with units, rows of values; as CSV, Parquet, Markdown and LaTeX.

use pentimento_markup::{latex, markdown};
use serde::{Deserialize, Serialize};

use super::page::{self, Page, small_interval};

/// Columns and rows. Every figure has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// One line that says what the rows are.
    pub title: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

/// A column's name and unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, in lower case with underscores.
    pub name: String,
    /// Its unit; empty for names and plain ratios.
    pub unit: String,
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A number in double precision.
    Double(f64),
    /// A number in single precision, written with as many digits as bring back the same bits.
    Single(f32),
    /// A name.
    Text(String),
    /// Nothing was measured.
    Missing,
}

impl Table {
    /// An empty table; a column is `name` or `name [unit]`.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self { title: title.into(), columns: columns.iter().map(|column| Column::parse(column)).collect(), rows: Vec::new() }
    }

    /// Add a row.
    ///
    /// # Panics
    /// When the row is not as long as the columns.
    pub fn push(&mut self, row: Vec<Value>) {
        assert_eq!(row.len(), self.columns.len(), "a row of `{}` has another length than its columns", self.title);
        self.rows.push(row);
    }

    /// As a Markdown table under its title, numbers with `digits` significant digits. An estimate and the ends of its interval
    /// share a cell; columns in which nothing was measured are left out.
    pub fn markdown(&self, digits: usize) -> String {
        let page = Page::of(self, digits);
        let rows: Vec<Vec<String>> =
            page.rows.into_iter().map(|row| row.into_iter().map(|cell| cell.joined(str::to_owned)).collect()).collect();
        markdown::table(&self.title, &page.sides, &page.header, &rows)
    }

    /// As a LaTeX `table` with the rules of the booktabs package, laid out as [`markdown`](Self::markdown) is; intervals stand in
    /// smaller type.
    pub fn latex(&self, digits: usize) -> String {
        let page = Page::of(self, digits);
        let header: Vec<String> = page.header.iter().map(|name| latex::escape(name)).collect();
        let rows: Vec<Vec<String>> =
            page.rows.into_iter().map(|row| row.into_iter().map(|cell| cell.joined(latex::number)).collect()).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(small_interval).collect()).collect();
        latex::captioned(&self.title, &latex::tabular(&page.sides, &header, &rows))
    }

    /// Its header and its cells as [`markdown`](Self::markdown) has them, for a window.
    pub fn cells(&self, digits: usize) -> (Vec<String>, Vec<Vec<String>>) {
        let page = Page::of(self, digits);
        let rows = page.rows.into_iter().map(|row| row.into_iter().map(|cell| cell.joined(str::to_owned)).collect()).collect();
        (page.header, rows)
    }

    /// Whether a column holds names rather than numbers.
    pub(super) fn is_text(&self, column: usize) -> bool {
        self.rows.iter().any(|row| matches!(row[column], Value::Text(_)))
    }

    /// As CSV (RFC 4180, line feeds): one header line, numbers in the shortest form that reads back to the same bits,
    /// nothing where nothing was measured.
    pub fn csv(&self) -> String {
        let header = self.columns.iter().map(|column| quote(&column.header()));
        let mut text = header.collect::<Vec<_>>().join(",") + "\n";
        for row in &self.rows {
            let line: Vec<String> = row.iter().map(|value| quote(&value.exact())).collect();
            text.push_str(&line.join(","));
            text.push('\n');
        }
        text
    }
}

impl Column {
    /// `name` or `name [unit]`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(" [") {
            Some((name, unit)) => Self { name: name.to_owned(), unit: unit.trim_end_matches(']').to_owned() },
            None => Self { name: text.to_owned(), unit: String::new() },
        }
    }

    /// `name` or `name [unit]`.
    pub fn header(&self) -> String {
        if self.unit.is_empty() { self.name.clone() } else { format!("{} [{}]", self.name, self.unit) }
    }
}

impl Value {
    /// The shortest text that reads back to the same value; empty when missing or not finite.
    pub fn exact(&self) -> String {
        match self {
            Self::Integer(value) => value.to_string(),
            Self::Double(value) if value.is_finite() => value.to_string(),
            Self::Single(value) if value.is_finite() => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::Double(_) | Self::Single(_) | Self::Missing => String::new(),
        }
    }
}

impl Value {
    /// Text for people: numbers with `digits` significant digits, a dash where nothing was measured.
    pub fn rounded(&self, digits: usize) -> String {
        match self {
            Self::Double(value) => page::significant(*value, digits),
            Self::Single(value) => page::significant(f64::from(*value), digits),
            Self::Missing => "–".to_owned(),
            Self::Integer(_) | Self::Text(_) => self.exact(),
        }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Single(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(value as i64)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

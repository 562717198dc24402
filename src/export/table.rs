//! A table: columns with units, rows of values; as CSV, Markdown and LaTeX.

use serde::{Deserialize, Serialize};

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

    /// As a Markdown table under its title, numbers with `digits` significant digits.
    pub fn markdown(&self, digits: usize) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let escape = |text: String| text.replace('|', "\\|");
        let mut text = format!("**{}**\n\n", self.title);
        text.push_str(&line(self.columns.iter().map(|column| escape(column.header())).collect()));
        text.push_str(&line((0..self.columns.len()).map(|n| if self.is_text(n) { "---" } else { "---:" }.to_owned()).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|value| escape(value.rounded(digits))).collect()));
        }
        text
    }

    /// As a LaTeX `table` with the rules of the booktabs package, numbers with `digits` significant digits.
    pub fn latex(&self, digits: usize) -> String {
        let alignment: String = (0..self.columns.len()).map(|n| if self.is_text(n) { 'l' } else { 'r' }).collect();
        let line = |cells: Vec<String>| format!("    {} \\\\\n", cells.join(" & "));
        let mut text =
            format!("% \\usepackage{{booktabs}}\n\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n", latex_escape(&self.title));
        text += &["  \\begin{tabular}{", &alignment, "}\n    \\toprule\n"].concat();
        text.push_str(&line(self.columns.iter().map(|column| latex_escape(&column.header())).collect()));
        text.push_str("    \\midrule\n");
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|value| latex_escape(&value.rounded(digits))).collect()));
        }
        text + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
    }

    /// Whether a column holds names rather than numbers.
    fn is_text(&self, column: usize) -> bool {
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
            Self::Double(value) => significant(*value, digits),
            Self::Single(value) => significant(f64::from(*value), digits),
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

/// `value` with `digits` significant digits, as decimals between 0.0001 and a million, else with an exponent.
fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = digits.max(1);
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..6).contains(&magnitude) {
        let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
        return format!("{value:.decimals$}");
    }
    format!("{value:.*e}", digits - 1)
}

fn latex_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '–' => escaped.push_str("--"),
            '−' => escaped.push_str("$-$"),
            'α' => escaped.push_str("$\\alpha$"),
            'β' => escaped.push_str("$\\beta$"),
            'γ' => escaped.push_str("$\\gamma$"),
            'ρ' => escaped.push_str("$\\rho$"),
            'ᾱ' => escaped.push_str("$\\bar{\\alpha}$"),
            _ => escaped.push(c),
        }
    }
    escaped
}

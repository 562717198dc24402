//! A table laid out for people: estimates with their intervals in one cell, names without underscores, no empty columns.

use pentimento_markup::Side;

use super::table::{Table, Value};

/// What stands on a page of a table.
pub(super) struct Page {
    pub header: Vec<String>,
    pub sides: Vec<Side>,
    pub rows: Vec<Vec<Cell>>,
}

/// A cell: a word, a number, or an estimate with the ends of its interval.
#[derive(Clone)]
pub(super) struct Cell {
    value: String,
    ends: Option<[String; 2]>,
}

impl Page {
    pub fn of(table: &Table, digits: usize) -> Self {
        let mut page = Self { header: Vec::new(), sides: Vec::new(), rows: vec![Vec::new(); table.rows.len()] };
        let mut column = 0;
        while column < table.columns.len() {
            let has_ends = ends_follow(table, column);
            let is_empty = !table.rows.is_empty() && table.rows.iter().all(|row| matches!(row[column], Value::Missing));
            if !is_empty {
                let name = table.columns[column].header().replace('_', " ");
                page.header.push(name);
                page.sides.push(if table.is_text(column) { Side::Left } else { Side::Right });
                for (row, cells) in table.rows.iter().zip(&mut page.rows) {
                    cells.push(if has_ends { Cell::estimate(&row[column..column + 3], digits) } else { Cell::plain(&row[column], digits) });
                }
            }
            column += if has_ends { 3 } else { 1 };
        }
        page
    }
}

impl Cell {
    fn plain(value: &Value, digits: usize) -> Self {
        Self { value: value.rounded(digits), ends: None }
    }

    /// An estimate and both ends, all with the decimals that the largest of them needs for `digits` significant ones.
    fn estimate(values: &[Value], digits: usize) -> Self {
        let number = |value: &Value| match value {
            Value::Double(value) if value.is_finite() => Some(*value),
            Value::Single(value) if value.is_finite() => Some(f64::from(*value)),
            _ => None,
        };
        let [Some(value), Some(low), Some(high)] = [&values[0], &values[1], &values[2]].map(number) else {
            return Self::plain(&values[0], digits);
        };
        let largest = [value, low, high].into_iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
        let written = |number: f64| beside(number, largest, digits);
        Self { value: written(value), ends: Some([written(low), written(high)]) }
    }

    /// As one text, each number through `number`.
    pub fn joined(self, number: impl Fn(&str) -> String) -> String {
        match self.ends {
            Some([low, high]) => format!("{} [{}, {}]", number(&self.value), number(&low), number(&high)),
            None => number(&self.value),
        }
    }
}

/// The interval of a LaTeX cell in smaller type.
pub(super) fn small_interval(cell: String) -> String {
    match cell.split_once(" [") {
        Some((value, ends)) if ends.ends_with(']') => format!("{value} {{\\scriptsize [{ends}}}"),
        _ => cell,
    }
}

/// Whether the two columns after this one are the ends of its interval: `x low` and `x high`, `x_low` and `x_high`, or `low` and
/// `high`.
fn ends_follow(table: &Table, column: usize) -> bool {
    let Some([value, low, high]) = table.columns.get(column..column + 3) else { return false };
    let named = |name: &str, end: &str| {
        name == end || [" ", "_"].iter().any(|join| name.strip_suffix(end).and_then(|stem| stem.strip_suffix(join)) == Some(&value.name))
    };
    named(&low.name, "low") && named(&high.name, "high") && !table.is_text(column)
}

/// `value` with `digits` significant digits, as decimals between 0.0001 and a million, else with an exponent.
pub(super) fn significant(value: f64, digits: usize) -> String {
    if value.is_finite() { beside(value, value.abs(), digits) } else { "–".to_owned() }
}

/// `value` with the decimals that give `largest` so many significant digits.
fn beside(value: f64, largest: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let magnitude = if largest == 0.0 { 0 } else { largest.log10().floor() as i32 };
    if (-4..6).contains(&magnitude) {
        let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
        let text = format!("{value:.decimals$}");
        // No negative zero.
        return if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        };
    }
    format!("{value:.*e}", digits - 1)
}

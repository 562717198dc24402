//! A card on a terminal.

use super::Sheet;
use crate::{Table, card::Standing};

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Letters only.
    Plain,
    /// Colours (ANSI).
    Colour,
}

/// Columns of a line.
const WIDTH: usize = 110;
/// Columns of the names of facts.
const NAMES: usize = 26;

pub(super) fn draw(sheet: &Sheet, ink: Ink) -> String {
    let (start, end) = match (ink, sheet.standing) {
        (Ink::Plain, _) => ("", ""),
        (Ink::Colour, Standing::Red) => ("\x1b[1;31m", "\x1b[0m"),
        (Ink::Colour, Standing::Supported) => ("\x1b[1;32m", "\x1b[0m"),
        (Ink::Colour, Standing::NotBeyondControls) => ("\x1b[1;33m", "\x1b[0m"),
        (Ink::Colour, Standing::NotFound) => ("\x1b[1m", "\x1b[0m"),
    };
    let rule = if sheet.standing == Standing::Red { "!" } else { "─" }.repeat(WIDTH);
    let mut text = format!("{start}{rule}\n{}\n{}{end}\n", sheet.title, sheet.standing.name());
    for alarm in &sheet.alarms {
        for line in wrapped(&format!("RED: {alarm}"), WIDTH) {
            text += &format!("{start}{line}{end}\n");
        }
    }
    for line in wrapped(&sheet.estimand, WIDTH) {
        text += &format!("{line}\n");
    }
    for (name, value) in &sheet.facts {
        for (index, line) in wrapped(value, WIDTH - NAMES).into_iter().enumerate() {
            text += &format!("{:NAMES$}{line}\n", if index == 0 { name.as_str() } else { "" });
        }
    }
    text + &table(&sheet.controls)
}

pub(super) fn table(table: &Table) -> String {
    let width = |column: usize| {
        table.rows.iter().map(|row| &row[column]).chain([&table.columns[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("  {}\n", padded.join("  ").trim_end())
    };
    line(&table.columns) + &table.rows.iter().map(|row| line(row)).collect::<String>()
}

/// Lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

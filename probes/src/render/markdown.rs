//! A card as Markdown.

use super::Sheet;
use crate::{Table, card::Standing};

pub(super) fn draw(sheet: &Sheet) -> String {
    let mut text = format!("### {}\n\n", sheet.title);
    for alarm in &sheet.alarms {
        text += &format!("> 🟥 **RED**: {alarm}\n\n");
    }
    let mark = if sheet.standing == Standing::Red { "🟥 " } else { "" };
    text += &format!("{mark}**{}** — {}\n\n", sheet.standing.name(), sheet.estimand);
    for (name, value) in &sheet.facts {
        text += &format!("- {name}: {value}\n");
    }
    text + "\n" + &table(&sheet.controls)
}

pub(super) fn table(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
    let mut text = format!("**{}**\n\n{}", table.title, line(&table.columns));
    text += &format!("|{}\n", "---|".repeat(table.columns.len()));
    text.extend(table.rows.iter().map(|row| line(row)));
    text
}

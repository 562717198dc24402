//! A card as Markdown.

use pentimento_markup::{Side, markdown};

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
    markdown::table(&table.title, &vec![Side::Left; table.columns.len()], &table.columns, &table.rows)
}

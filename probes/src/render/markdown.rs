//! A card as Markdown.

use super::Sheet;
use crate::card::Standing;

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
    text + "\n" + &sheet.controls.to_markdown()
}

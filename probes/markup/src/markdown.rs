//! Markdown with pipe tables.

use super::Side;

/// A table under a title; cells are plain text.
pub fn table(title: &str, sides: &[Side], header: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
    let rule = sides.iter().map(|side| if *side == Side::Left { "---" } else { "---:" });
    let mut text = format!("**{title}**\n\n{}| {} |\n", line(header), rule.collect::<Vec<_>>().join(" | "));
    text.extend(rows.iter().map(|row| line(row)));
    text
}

//! A card as an HTML element.

use pentimento_markup::xml::escape;

use super::Sheet;
use crate::{Table, card::Standing};

/// The style of cards, for the page they stand in.
pub const STYLE: &str = "
.card { border: 1px solid var(--line, #d9dce2); border-left-width: 6px; border-radius: 4px; padding: .6rem 1rem; margin: 1rem 0; }
.card.red { border-color: #b3261e; background: rgba(179, 38, 30, .08); }
.card.supported { border-left-color: #1b7f4b; }
.card.not-beyond-controls { border-left-color: #b7791f; }
.card h4 { margin: 0 0 .2rem; font-size: 1rem; }
.card .standing { font-weight: 600; margin: 0 0 .4rem; }
.card.red .standing, .card .why { color: #b3261e; }
.card dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .1rem 1rem; margin: .4rem 0; font-size: .88rem; }
.card dt { color: var(--soft, #6a7280); } .card dd { margin: 0; }
";

pub(super) fn draw(sheet: &Sheet) -> String {
    let class = match sheet.standing {
        Standing::Red => "red",
        Standing::Supported => "supported",
        Standing::NotBeyondControls => "not-beyond-controls",
        Standing::NotFound => "not-found",
    };
    let mut text = format!(
        "<section class=\"card {class}\">\n<h4>{}</h4>\n<p class=\"standing\">{}</p>\n",
        escape(&sheet.title),
        escape(sheet.standing.name())
    );
    for alarm in &sheet.alarms {
        text += &format!("<p class=\"why\" role=\"alert\"><strong>Red.</strong> {}</p>\n", escape(alarm));
    }
    text += &format!("<p>{}</p>\n<dl>\n", escape(&sheet.estimand));
    for (name, value) in &sheet.facts {
        text += &format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
    }
    text + "</dl>\n" + &table(&sheet.controls) + "</section>\n"
}

pub(super) fn table(table: &Table) -> String {
    let mut text = format!("<table>\n<caption>{}</caption>\n<thead><tr>", escape(&table.title));
    text.extend(table.columns.iter().map(|cell| format!("<th>{}</th>", escape(cell))));
    text += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        text += "<tr>";
        text.extend(row.iter().map(|cell| format!("<td>{}</td>", escape(cell))));
        text += "</tr>\n";
    }
    text + "</tbody>\n</table>\n"
}

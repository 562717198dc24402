//! A report as data: what it says, before it becomes HTML or Markdown.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::export::Table;
use crate::readout::{ProbeCard, Standing, render::HTML_STYLE};

/// A report.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// One part of a report.
#[derive(Clone, Debug)]
pub enum Block {
    /// A section's title.
    Section(String),
    /// Plain text.
    Paragraph(String),
    /// Findings, one a line.
    Findings(Vec<String>),
    /// What must not be overlooked: a control that failed.
    Alarm(String),
    /// A table; the file beside the report that holds it in full precision.
    Table(Table, String),
    /// A drawing: path without extension, SVG text, caption.
    Figure {
        /// Path beside the report, without extension.
        path: String,
        /// The drawing.
        svg: String,
        /// What is seen, and what it is not.
        caption: String,
    },
    /// A probe card.
    Card(Box<ProbeCard>),
    /// Something to read later, folded away in HTML: title and text.
    Details(String, String),
}

const DIGITS: usize = 3;
/// Longer tables are folded away in HTML.
const LONGEST_OPEN_TABLE: usize = 16;

impl Document {
    /// As Markdown; figures are linked.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", self.title);
        for block in &self.blocks {
            text.push('\n');
            text.push_str(&match block {
                Block::Section(title) => format!("## {title}\n"),
                Block::Paragraph(words) => format!("{words}\n"),
                Block::Findings(lines) => lines.iter().map(|line| format!("- {line}\n")).collect(),
                Block::Alarm(words) => format!("> **ALARM.** {words}\n"),
                Block::Table(table, path) => format!("{}\n[All digits]({path})\n", table.markdown(DIGITS)),
                Block::Figure { path, caption, .. } => {
                    format!("![{caption}]({path}.png)\n\n*{caption}* ([SVG]({path}.svg), [PDF]({path}.pdf), [data]({path}.csv))\n")
                }
                Block::Card(card) => card.to_markdown(),
                Block::Details(title, words) => format!("### {title}\n\n```\n{}\n```\n", words.trim_end()),
            });
        }
        text
    }

    /// As one HTML page that needs nothing but itself.
    pub fn html(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) (PreEscaped(HTML_STYLE)) }
                }
                body { main {
                    h1 { (self.title) }
                    @for block in &self.blocks { (block_html(block)) }
                } }
            }
        }
        .into_string()
    }
}

fn block_html(block: &Block) -> Markup {
    html! {
        @match block {
            Block::Section(title) => h2 { (title) },
            Block::Paragraph(words) => p { (words) },
            Block::Findings(lines) => ul.findings { @for (lead, rest) in lines.iter().map(|line| led(line)) { li { strong { (lead) } (rest) } } },
            Block::Alarm(words) => p.alarm role="alert" { strong { "Alarm. " } (words) },
            Block::Table(table, path) if table.rows.len() > LONGEST_OPEN_TABLE => details { summary { (table.title) " (" (table.rows.len()) " rows)" } (table_block(table, path)) },
            Block::Table(table, path) => (table_block(table, path)),
            Block::Figure { path, svg, caption } => figure {
                (PreEscaped(svg.trim_start_matches(|c| c != '<')))
                figcaption { (caption) " " a href={ (path) ".svg" } { "SVG" } " " a href={ (path) ".pdf" } { "PDF" } " " a href={ (path) ".png" } { "PNG" } " " a href={ (path) ".csv" } { "data" } }
            },
            // A card that is red stands open.
            Block::Card(card) => details open[card.standing() == Standing::Red] { summary { (card.place_name()) " — " (card.standing().name()) } (PreEscaped(card.to_html())) },
            Block::Details(title, words) => details { summary { (title) } pre { (words) } },
        }
    }
}

fn table_block(table: &Table, path: &str) -> Markup {
    html! { div.table { (table_html(table)) p.note { a href=(path) { "All digits (CSV)" } } } }
}

fn table_html(table: &Table) -> Markup {
    html! {
        table {
            caption { (table.title) }
            thead { tr { @for column in &table.columns { th { (column.header()) } } } }
            tbody { @for row in &table.rows { tr { @for value in row { td { (value.rounded(DIGITS)) } } } } }
        }
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fdfdfb; --soft: #6a7280; --line: #d9dce2; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --paper: #15181d; --soft: #9aa2af; --line: #343a44; --alarm: #ff8a80; } figure svg { background: #fff; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
ul.findings { padding-left: 1.2rem; } ul.findings li { margin: .35rem 0; }
.alarm { border-left: 4px solid var(--alarm); padding: .4rem .9rem; color: var(--alarm); }
.table { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { text-align: left; padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
figure { margin: 1.6rem 0; } figure svg { max-width: 100%; height: auto; border-radius: 4px; }
figcaption, .note { color: var(--soft); font-size: .88rem; }
details { margin: 1rem 0; } pre { overflow-x: auto; font-size: .8rem; }
";

/// A finding's short headline, up to the first stop outside brackets, and the rest of it.
fn led(line: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, letter) in line.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ':' | ';' | '.' if depth == 0 && line[at + 1..].starts_with(' ') => return line.split_at(at + 1),
            _ => {}
        }
    }
    (line, "")
}

//! A card as LaTeX.

use super::Sheet;
use crate::{Table, card::Standing};

pub(super) fn draw(sheet: &Sheet) -> String {
    let colour = if sheet.standing == Standing::Red { "red" } else { "black" };
    let (title, standing, estimand) = (escaped(&sheet.title), escaped(sheet.standing.name()), escaped(&sheet.estimand));
    let mut text = "% \\usepackage{booktabs,tabularx,xcolor}\n\\begin{table}\n  \\centering\\small\n".to_owned();
    text += &format!("  \\caption{{{title}. \\textcolor{{{colour}}}{{\\textbf{{{standing}}}}}. {estimand}.}}\n");
    for alarm in &sheet.alarms {
        let alarm = escaped(alarm);
        text += &format!("  \\noindent\\fcolorbox{{red}}{{red!8}}{{\\parbox{{0.95\\linewidth}}{{\\textbf{{RED.}} {alarm}}}}}\\par\n");
    }
    text += "  \\begin{tabularx}{\\linewidth}{lX}\n    \\toprule\n";
    for (name, value) in &sheet.facts {
        text += &format!("    {} & {} \\\\\n", escaped(name), escaped(value));
    }
    text + "    \\bottomrule\n  \\end{tabularx}\n\n" + &table(&sheet.controls) + "\\end{table}\n"
}

/// A table of its own.
pub(super) fn captioned(of: &Table) -> String {
    let caption = escaped(&of.title);
    format!("% \\usepackage{{booktabs}}\n\\begin{{table}}\n  \\centering\n  \\caption{{{caption}}}\n{}\\end{{table}}\n", table(of))
}

fn table(table: &Table) -> String {
    let line = |cells: &[String]| format!("    {} \\\\\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & "));
    let mut text = format!("  \\begin{{tabular}}{{{}}}\n    \\toprule\n", "l".repeat(table.columns.len()));
    text += &line(&table.columns);
    text += "    \\midrule\n";
    text.extend(table.rows.iter().map(|row| line(row)));
    text + "    \\bottomrule\n  \\end{tabular}\n"
}

fn escaped(text: &str) -> String {
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
            _ => escaped.push(c),
        }
    }
    escaped
}

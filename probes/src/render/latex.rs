//! A card as LaTeX.

use super::Sheet;
use crate::card::Standing;

pub(super) fn draw(sheet: &Sheet) -> String {
    let (colour, standing) = (if sheet.standing == Standing::Red { "red" } else { "black" }, escaped(sheet.standing.name()));
    let mut text = format!(
        "% \\usepackage{{booktabs,tabularx,xcolor}}\n\\begin{{table}}\n  \\centering\\small\n  \\caption{{{}. \\textcolor{{{colour}}}{{\\textbf{{{standing}}}}}. {}.}}\n",
        escaped(&sheet.title),
        escaped(&sheet.estimand)
    );
    for alarm in &sheet.alarms {
        text += &format!(
            "  \\noindent\\fcolorbox{{red}}{{red!8}}{{\\parbox{{0.95\\linewidth}}{{\\textbf{{RED.}} {}}}}}\\par\n",
            escaped(alarm)
        );
    }
    text += "  \\begin{tabularx}{\\linewidth}{lX}\n    \\toprule\n";
    for (name, value) in &sheet.facts {
        text += &format!("    {} & {} \\\\\n", escaped(name), escaped(value));
    }
    text += &format!(
        "    \\bottomrule\n  \\end{{tabularx}}\n\n  \\begin{{tabular}}{{{}}}\n    \\toprule\n",
        "l".repeat(sheet.controls.columns.len())
    );
    let line = |cells: &[String]| format!("    {} \\\\\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & "));
    text += &line(&sheet.controls.columns);
    text += "    \\midrule\n";
    text.extend(sheet.controls.rows.iter().map(|row| line(row)));
    text + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
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

//! A card as LaTeX.

use pentimento_markup::Side;
use pentimento_markup::latex::{captioned as table_with_caption, escape, number, tabular};

use super::Sheet;
use crate::{Table, card::Standing};

pub(super) fn draw(sheet: &Sheet) -> String {
    let colour = if sheet.standing == Standing::Red { "red" } else { "black" };
    let (title, standing, estimand) = (escape(&sheet.title), escape(sheet.standing.name()), escape(&sheet.estimand));
    let mut text = "% \\usepackage{booktabs,tabularx,xcolor}\n\\begin{table}\n  \\centering\\small\n".to_owned();
    text += &format!("  \\caption{{{title}. \\textcolor{{{colour}}}{{\\textbf{{{standing}}}}}. {estimand}.}}\n");
    for alarm in &sheet.alarms {
        let alarm = escape(alarm);
        text += &format!("  \\noindent\\fcolorbox{{red}}{{red!8}}{{\\parbox{{0.95\\linewidth}}{{\\textbf{{RED.}} {alarm}}}}}\\par\n");
    }
    text += "  \\begin{tabularx}{\\linewidth}{lX}\n    \\toprule\n";
    for (name, value) in &sheet.facts {
        text += &format!("    {} & {} \\\\\n", escape(name), escape(value));
    }
    text + "    \\bottomrule\n  \\end{tabularx}\n\n" + &table(&sheet.controls) + "\\end{table}\n"
}

/// A table of its own.
pub(super) fn captioned(of: &Table) -> String {
    table_with_caption(&of.title, &table(of))
}

fn table(table: &Table) -> String {
    let header: Vec<String> = table.columns.iter().map(|cell| escape(cell)).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(|cell| number(cell)).collect()).collect();
    tabular(&vec![Side::Left; table.columns.len()], &header, &rows)
}

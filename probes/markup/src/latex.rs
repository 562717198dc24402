//! LaTeX with the rules of the booktabs package.
//!
//! What is written compiles in a plain `article` with `\usepackage{booktabs}`, under pdfLaTeX too: Greek letters, signs and dashes
//! become commands.

use super::Side;

/// Text with everything LaTeX would read as a command, or has no glyph for, written as commands.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // A letter with a combining macron is a mean.
        if rest.peek() == Some(&'\u{304}') {
            rest.next();
            escaped.push_str(&format!("$\\bar{{{}}}$", math(c).map_or_else(|| c.to_string(), str::to_owned)));
            continue;
        }
        match (c, math(c)) {
            (_, Some(command)) => {
                escaped.push('$');
                escaped.push_str(command);
                escaped.push('$');
            }
            ('&' | '%' | '$' | '#' | '_' | '{' | '}', _) => {
                escaped.push('\\');
                escaped.push(c);
            }
            ('\\', _) => escaped.push_str("\\textbackslash{}"),
            ('~', _) => escaped.push_str("\\textasciitilde{}"),
            ('^', _) => escaped.push_str("\\textasciicircum{}"),
            ('–', _) => escaped.push_str("--"),
            ('—', _) => escaped.push_str("---"),
            ('…', _) => escaped.push_str("\\ldots{}"),
            ('’', _) => escaped.push('\''),
            ('‘', _) => escaped.push('`'),
            ('“', _) => escaped.push_str("``"),
            ('”' | '"', _) => escaped.push_str("''"),
            ('\u{a0}', _) => escaped.push('~'),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// What stands in math mode for a character.
const fn math(c: char) -> Option<&'static str> {
    Some(match c {
        'ᾱ' => "\\bar{\\alpha}",
        'α' => "\\alpha",
        'β' => "\\beta",
        'γ' => "\\gamma",
        'δ' => "\\delta",
        'ε' => "\\varepsilon",
        'λ' => "\\lambda",
        'μ' | 'µ' => "\\mu",
        'ρ' => "\\rho",
        'σ' => "\\sigma",
        'τ' => "\\tau",
        'φ' => "\\varphi",
        'Δ' => "\\Delta",
        'Σ' => "\\Sigma",
        '−' => "-",
        '±' => "\\pm",
        '×' => "\\times",
        '·' => "\\cdot",
        '≤' => "\\leq",
        '≥' => "\\geq",
        '≈' => "\\approx",
        '≠' => "\\neq",
        '→' => "\\to",
        '∞' => "\\infty",
        '²' => "^2",
        '³' => "^3",
        // The default encoding of text has other glyphs in their places.
        '<' => "<",
        '>' => ">",
        '|' => "|",
        _ => return None,
    })
}

/// A number as text, its exponent as a power of ten and its minus sign as one.
pub fn number(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, ""));
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    if exponent.is_empty() && text.starts_with('-') && is_number(text) {
        return format!("${text}$");
    }
    if is_number(digits) && exponent.parse::<i32>().is_ok() { format!("${digits}\\times10^{{{exponent}}}$") } else { escape(text) }
}

/// A `tabular`; header and cells are LaTeX already.
pub fn tabular(sides: &[Side], header: &[String], rows: &[Vec<String>]) -> String {
    let columns: String = sides.iter().map(|side| if *side == Side::Left { 'l' } else { 'r' }).collect();
    let line = |cells: &[String]| format!("    {} \\\\\n", cells.join(" & "));
    let mut text = format!("  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{}    \\midrule\n", line(header));
    text.extend(rows.iter().map(|row| line(row)));
    text + "    \\bottomrule\n  \\end{tabular}\n"
}

/// Columns beyond which a table is shrunk to the width of the text.
const MOST_COLUMNS: usize = 6;

/// A floating table of its own; `caption` is plain text. A wide one is shrunk to the width of the text (package graphicx).
pub fn captioned(caption: &str, tabular: &str) -> String {
    let caption = escape(caption);
    let columns = tabular.lines().find(|line| line.ends_with("\\\\")).map_or(1, |line| 1 + line.matches(" & ").count());
    let (packages, tabular) = if columns > MOST_COLUMNS {
        (
            "booktabs,graphicx",
            format!("  \\resizebox{{\\linewidth}}{{!}}{{%\n{}  }}\n", tabular.replace("\\end{tabular}\n", "\\end{tabular}%\n")),
        )
    } else {
        ("booktabs", tabular.to_owned())
    };
    format!("% \\usepackage{{{packages}}}\n\\begin{{table}}\n  \\centering\\small\n  \\caption{{{caption}}}\n{tabular}\\end{{table}}\n")
}

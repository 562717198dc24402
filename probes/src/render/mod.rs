//! A probe card for people: one sheet, drawn for the terminal, as Markdown, as HTML and as LaTeX.
//!
//! What a sheet says is decided once, here; the files below only know how their medium writes it. A red card is red in each.

mod terminal;
mod markdown;
mod html;
mod latex;

use crate::{
    ProbeCard, Table,
    card::{ControlResult, Standing},
};

pub use html::STYLE as HTML_STYLE;
pub use terminal::Ink;

/// What a card says, before it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Where it was read.
    pub title: String,
    /// What it estimates.
    pub estimand: String,
    /// What it says in one word.
    pub standing: Standing,
    /// Why it is red.
    pub alarms: Vec<String>,
    /// Names and values, in order.
    pub facts: Vec<(String, String)>,
    /// The score and every control.
    pub controls: Table,
}

impl Table {
    /// For a terminal.
    pub fn to_terminal(&self) -> String {
        format!("{}\n{}", self.title, terminal::table(self))
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::table(self)
    }

    /// As an HTML table.
    pub fn to_html(&self) -> String {
        html::table(self)
    }

    /// As a LaTeX table with the rules of booktabs.
    pub fn to_latex(&self) -> String {
        latex::captioned(self)
    }
}

impl ProbeCard {
    /// The sheet of this card.
    pub fn sheet(&self) -> Sheet {
        Sheet {
            title: self.place_name(),
            estimand: self.estimand.clone(),
            standing: self.standing(),
            alarms: self.alarms.clone(),
            facts: facts(self),
            controls: controls(self),
        }
    }

    /// For a terminal.
    pub fn to_terminal(&self, ink: Ink) -> String {
        terminal::draw(&self.sheet(), ink)
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        markdown::draw(&self.sheet())
    }

    /// As an HTML element, to stand in a page with [`HTML_STYLE`].
    pub fn to_html(&self) -> String {
        html::draw(&self.sheet())
    }

    /// As LaTeX for a document with the packages booktabs, tabularx and xcolor.
    pub fn to_latex(&self) -> String {
        latex::draw(&self.sheet())
    }
}

/// A p-value below this is not written as 0.
const SMALLEST: f64 = 0.0001;

fn facts(card: &ProbeCard) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
    let metric = card.metric.name();
    say(
        metric,
        format!("{} ({:.0} % interval, cluster bootstrap over sequences, readouts as fitted)", card.score, 100.0 * card.score.level),
    );
    let adjusted = card.adjusted_p_value.map_or_else(String::new, |p| format!(", adjusted for all places tested (max-T) {p:.4}"));
    say("chance", format!("{:.3}; p = {:.4}{adjusted}", card.chance, card.p_value));
    if let Some(least) = card.minimum_detectable {
        let together = least.together.map_or_else(String::new, |together| format!(", {together:.3} adjusted for all places"));
        say("minimum detectable excess", format!("{:.3} alone{together} (level {}, power {})", least.alone, least.level, least.power));
    }
    say("samples", format!("{} in {} sequences, {} channels{}", card.n_samples, card.n_groups, card.n_channels, classes(card)));
    let penalties: Vec<String> = card.penalties.iter().map(|penalty| format!("{penalty:e}")).collect();
    say("readout", format!("{}; penalty by nested choice within training folds: {}", card.readout, penalties.join(", ")));
    say(
        "splits",
        format!(
            "{} folds by sequence; no sequence on both sides of one (asserted); scaling and penalty from the training part only",
            card.n_folds
        ),
    );
    if let Some(selectivity) = card.selectivity() {
        say("selectivity", format!("{selectivity} (score minus control task)"));
    }
    if let Some(bits) = card.information {
        say("V-information", format!("{bits} bits a sample (linear logistic readouts)"));
    }
    if let Some(code) = card.description_length {
        let control = code.bits_of_control.map_or_else(String::new, |bits| format!(", control task {bits:.3}"));
        say(
            "description length",
            format!(
                "{:.3} bits a sample online (class shares alone {:.3}, uniform {:.3}{control}); compression {:.2}",
                code.bits,
                code.bits_by_shares,
                code.bits_uniform,
                code.compression()
            ),
        );
    }
    if let Some(ceiling) = card.ceiling {
        say(
            "ceiling",
            format!(
                "{} at noise {:.1e} (mean R2 {:.3}); score minus ceiling {}; a reference where values depend on addresses",
                ceiling.estimate, ceiling.noise, ceiling.mean_r2, ceiling.excess
            ),
        );
    }
    if let Some(equivalence) = card.equivalence {
        say("nothing left?", equivalence.words("what is asked"));
    }
    if let Some(answers) = &card.answers {
        let each = answers.changes.iter().map(|change| {
            format!(
                "{} {} nats (random {}; difference {})",
                change.answer, change.without_concept, change.without_random, change.difference
            )
        });
        say(
            "answers without it",
            format!(
                "{}; {:.0} of {:.0} dimensions erased from this head's read at questions, {} random subspaces of that rank beside",
                each.collect::<Vec<_>>().join("; "),
                answers.rank,
                answers.n_dimensions,
                answers.n_random
            ),
        );
    }
    card.remarks.iter().for_each(|remark| say("remark", remark.clone()));
    if let Some(over) = card.over_models {
        say(
            "over models",
            format!(
                "{} (mean of {} models, Student's t over them; heads matched by number, which models trained apart need not share)",
                over.estimate, over.n_models
            ),
        );
    }
    facts
}

fn classes(card: &ProbeCard) -> String {
    card.n_classes.map_or_else(String::new, |classes| format!(", {classes} classes"))
}

fn controls(card: &ProbeCard) -> Table {
    let p = |p: Option<f64>| p.map_or_else(String::new, |p| if p < SMALLEST { format!("< {SMALLEST}") } else { format!("{p:.4}") });
    let row = |control: &ControlResult| {
        vec![
            control.kind.name().to_owned(),
            control.estimate.to_string(),
            control.difference.map_or_else(String::new, |difference| difference.to_string()),
            p(control.p_value),
            p(control.adjusted_p_value),
            control.verdict.name().to_owned(),
        ]
    };
    Table {
        title: "Controls".to_owned(),
        columns: ["control", card.metric.name(), "score minus control", "p", "adjusted p", "verdict"].map(str::to_owned).to_vec(),
        rows: card.controls.iter().map(row).collect(),
    }
}

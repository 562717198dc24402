//! What was found, in words: the report, and its short form on the terminal.

use super::document::{Block, Document};
use super::figures::Drawn;
use super::tables::Tabled;
use super::{ModelResults, Results};
use crate::export::{Table, Value};
use crate::figure::Figure;
use crate::measure::ALLOCATION_NOTICE;
use crate::readout::{ProbeCard, Readouts, Standing};

/// The report of an experiment.
#[expect(clippy::too_many_lines, reason = "the report's sections in the order they are read")]
pub(super) fn document(results: &Results, drawn: &[Drawn], tabled: &[Tabled]) -> Document {
    let mut blocks = Vec::new();
    if !results.spec.question.is_empty() {
        blocks.push(Block::Paragraph(results.spec.question.clone()));
    }
    if let Some(claims) = tabled.iter().find(|tabled| tabled.stem == "claims") {
        blocks.push(Block::Section("Claims".to_owned()));
        blocks.push(Block::Paragraph(CLAIMS.to_owned()));
        blocks.push(table(claims));
        blocks.extend(tabled.iter().filter(|tabled| tabled.stem == "families").map(table));
    }
    blocks.push(Block::Section("How to read this".to_owned()));
    blocks.push(Block::Paragraph(READING.replace("{level}", &format!("{:.0}", 100.0 * results.spec.measure.allocation.statistics.level))));
    for model in &results.models {
        blocks.push(Block::Section(format!("{}: what was found", model.name)));
        blocks.push(Block::Paragraph(described(model)));
        blocks.extend(model.alarms().into_iter().map(Block::Alarm));
        blocks.push(Block::Findings(model.findings()));
    }
    let mut part = |title: &str, words: &str, figures: &[Figure], tables: &[&str]| {
        let figures = drawn.iter().filter(|drawn| figures.contains(&drawn.figure)).map(figure);
        let tables = tabled.iter().filter(|tabled| tables.contains(&tabled.stem)).map(table);
        let parts: Vec<Block> = figures.chain(tables).collect();
        if !parts.is_empty() {
            blocks.push(Block::Section(title.to_owned()));
            blocks.push(Block::Paragraph(words.to_owned()));
            blocks.extend(parts);
        }
    };
    part(
        "Cleanup strength against decay",
        "Does a memory clean more actively where it forgets less? The first figure is the headline: what the erase alone removed of a write one window old (its survival without the erase less its survival with it, exact), against what decay alone would have kept of it; what decay or the next write would have removed anyway does not count. Grey bands are replays in which the erase knows nothing of decay: only what leaves them is a finding. Intervals and p-values count sequences, not tokens; within heads and between heads stand apart.",
        &[Figure::Cleanup],
        &["cleanup"],
    );
    part(
        "Fate of a write",
        "What becomes of what a memory was told: every write of every head is followed exactly to the end of its sequence, and what is gone is charged to decay, erase or a later write, in the model's own order (averaged over the orders beside it in the table). A fact goes stale when another takes its place or it is deleted. Diamonds: what the erase alone removed.",
        &[Figure::Fate],
        &["fate"],
    );
    part(
        "Does removal hit what is stale?",
        "The lift of a mechanism is the share of what it took that was stale, over the share of what it found that was. It is the product of where the mechanism points and when it opens. Grey bands: the same sequences replayed with random erase addresses, the head's own addresses shuffled over tokens, and those of another sequence.",
        &[Figure::Targeting],
        &["targeting"],
    );
    part(
        "Capacity",
        "Of how many values a linear readout could make how much at best, and how much of that is spent on what is stale. The ceiling takes values for independent of addresses: in deep layers it is a reference, not a bound.",
        &[Figure::Capacity],
        &["capacity"],
    );
    part(
        "Behaviour",
        "Right answers by condition, and wrong answers that were true once beside equally many values that were never written.",
        &[Figure::Accuracy],
        &["behaviour", "answers"],
    );
    part("Gate-strength allocation", ALLOCATION_NOTICE, &[Figure::Allocation], &["gates"]);
    part(
        "Erase addresses",
        "How much the erase changes the read that follows it, at its learned address and at counterfactual ones under the same gates; and how near erase and write directions are. A small perturbation may only mean that there was nothing at the address.",
        &[Figure::Collateral, Figure::Alignment],
        &["addresses"],
    );
    part(
        "From erases to answers",
        "What the model would answer if erases had been weaker, stronger, elsewhere, or absent: the whole network run again, so these are total effects. Never-written foils stand beside stale values, and random addresses under the same gates beside the dose. A model without its erase is one it was not trained to be: this shows what its answers rest on, not what another training would give.",
        &[Figure::Dose, Figure::Knockout],
        &["erase-effects", "erase-events"],
    );
    part(
        "Raw write-key recall",
        "What can still be read back at its own write key. It stands beside every claim of cleanup: a memory may look clean because it forgets.",
        &[Figure::Recall],
        &["recall"],
    );
    part(
        "Linear readouts",
        "What a linear readout of the memory says of the stale, the current and a never-written value at each phase of the step in which the stale one is superseded, and some steps later. Dotted: what a linear readout could reach at best, if values did not depend on addresses (in deep layers a reference, not a bound). Bands: controls that a score must leave behind. Splits are by sequence; every number has its controls on its probe card. A readout shows what is decodable, not what the model uses: for that, what tells the stale value is erased from memory, beside a random subspace of the same rank.",
        &[Figure::Readout, Figure::Selectivity],
        &["phases", "erasure", "answers_erased", "readouts"],
    );
    part(
        "Heads and memories",
        "What each head does, how many directions its memory uses, and what attention maps leave unexplained of its output: the exact one, and those that other tools document.",
        &[Figure::Atlas, Figure::Spectrum, Figure::Attention],
        &[],
    );
    blocks.extend(example_answers(results));
    for model in &results.models {
        if let Some(readouts) = &model.readouts {
            let shown = shown_cards(readouts);
            if !shown.is_empty() {
                blocks.push(Block::Section(format!("{}: probe cards", model.name)));
                blocks.push(Block::Paragraph(format!(
                    "{} of {} cards: the red ones, and the best supported of each target. All of them, with every number, are in results.json.",
                    shown.len(),
                    readouts.cards.len()
                )));
                blocks.extend(shown.into_iter().map(|card| Block::Card(Box::new(card.clone()))));
            }
        }
    }
    blocks.push(Block::Section("How this was made".to_owned()));
    blocks.push(Block::Details("Provenance".to_owned(), serde_json::to_string_pretty(&results.provenance).expect("plain data serialises")));
    blocks
        .push(Block::Details("Spec, with every default".to_owned(), toml::to_string(&results.spec).expect("a spec that was TOML is TOML")));
    Document { title: results.spec.name.clone(), blocks }
}

/// The erase events behind the example answers, in words.
fn example_answers(results: &Results) -> Vec<Block> {
    let mut blocks = Vec::new();
    for model in results.models.iter().filter(|model| !model.accounts.is_empty()) {
        blocks.push(Block::Section(format!("{}: the erase events behind example answers", model.name)));
        blocks.push(Block::Paragraph(
            "One answer per condition, chosen before anything was known of it: the first question about something stale in the first sequence that has one. What an event removed is exact inside its layer; what the answer would be without it comes from running the rest of the network again. right, stale and never written are the answers of the truth table."
                .to_owned(),
        ));
        for account in &model.accounts {
            blocks.push(Block::Paragraph(account.headline()));
            blocks.push(Block::Findings(account.sentences()));
        }
    }
    blocks
}

const READING: &str = "A layer's memory is a matrix per head. At every token it decays (retention: the share kept, 1 keeps all), then, where the rule has one, an erase of strength gamma takes away part of what stands at one address, then a write of strength beta puts a value at a key. A fact is stale from the token on that overwrites, deletes or reassigns it; a never-written value is one that its sequence never gave to that key, and shows what chance gives. Numbers in brackets are {level} % intervals over sequences: other sequences of the same task would mostly give a number between them. A null is the same measure on replays that know nothing of what is asked; only what leaves every null on the same side is called a finding. rho is Spearman's rank correlation; R2 the share of variance explained (0: no better than the mean value); nats are differences of log-probability (-0.7 halves a probability).";

const CLAIMS: &str = "The rule stands in the program and was fixed before anything was measured: the interval is that of the mean over models of different seeds (Student's t; the sequences of a model are nested in it), differences are taken between twins of one seed; a claim is confirmed if the whole interval lies on the claimed side, not confirmed if it lies on the other, undecided otherwise. Each claim stands for itself: nothing is corrected for their number.";

/// The red cards (at most a handful, the rest is counted in the alarms) and the best supported card of each target.
fn shown_cards(readouts: &Readouts) -> Vec<&ProbeCard> {
    const MOST_RED: usize = 4;
    let mut shown: Vec<&ProbeCard> = readouts.cards.iter().filter(|card| card.standing() == Standing::Red).take(MOST_RED).collect();
    for &target in &readouts.options.targets {
        let name = target.to_string();
        let of_target = readouts.cards.iter().filter(|card| card.place.iter().any(|(what, value)| what == "target" && *value == name));
        let sound = of_target.filter(|card| card.standing() != Standing::Red);
        let rank = |card: &ProbeCard| (card.standing() == Standing::Supported, card.score.value - card.chance);
        shown.extend(sound.reduce(|best, next| if rank(next) > rank(best) { next } else { best }));
    }
    shown
}

fn described(model: &ModelResults) -> String {
    let rules: Vec<String> = model.rules.iter().map(ToString::to_string).collect();
    format!(
        "{} ({} parameters; memories: {}). {} sequences. Weights {}, trace {}.",
        model.checkpoint,
        model.parameters,
        rules.join(", "),
        model.behaviour.as_ref().map_or(0, |behaviour| behaviour.all.n_sequences),
        shortened(&model.weights_digest),
        model.trace_digest.as_deref().map_or("without digest", shortened),
    )
}

/// The first letters of a digest, enough to tell it from others; the whole stands in results.json.
fn shortened(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn figure(drawn: &Drawn) -> Block {
    let model = drawn.model.as_ref().map_or(String::new(), |model| format!("{model}. "));
    Block::Figure {
        path: format!("figures/{}", drawn.stem),
        svg: drawn.rendered.svg.clone(),
        caption: format!("{}: {model}{}", drawn.figure.title(), capitalised(&drawn.rendered.summary)),
    }
}

/// As a sentence begins.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn table(tabled: &Tabled) -> Block {
    Block::Table(for_people(&tabled.table), format!("tables/{}.csv", tabled.stem))
}

/// Estimate and interval in one cell: columns `x`, `x low`, `x high` become one.
fn for_people(table: &Table) -> Table {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let is_estimate = |index: usize| names.get(index + 1).is_some_and(|next| *next == format!("{} low", names[index]));
    let is_end = |name: &str| names.iter().any(|other| name == format!("{other} low") || name == format!("{other} high"));
    let kept: Vec<usize> = (0..names.len()).filter(|&index| !is_end(names[index])).collect();
    let cell = |row: &[Value], index: usize| match (&row[index], is_estimate(index)) {
        (Value::Missing, _) | (_, false) => row[index].clone(),
        (value, true) if matches!(row[index + 1], Value::Missing) => value.clone(),
        (value, true) => Value::Text(format!("{} [{}, {}]", value.rounded(3), row[index + 1].rounded(3), row[index + 2].rounded(3))),
    };
    Table {
        title: table.title.clone(),
        columns: kept.iter().map(|&index| table.columns[index].clone()).collect(),
        rows: table.rows.iter().map(|row| kept.iter().map(|&index| cell(row, index)).collect()).collect(),
    }
}

/// What was found, for a terminal: a heading and a few sentences per model, alarms first.
pub fn summary(results: &Results) -> String {
    let mut text = format!("{}\n", results.spec.name);
    for judged in &results.claims {
        let found = judged.found.map_or("nothing".to_owned(), |found| found.to_string());
        text.push_str(&format!("  {}: {} (found {found})\n", judged.claim.text, judged.verdict));
    }
    for model in &results.models {
        text.push_str(&format!("\n{} ({}):\n", model.name, model.checkpoint));
        for alarm in model.alarms() {
            text.push_str(&format!("  ALARM: {alarm}\n"));
        }
        for finding in model.findings() {
            text.push_str(&format!("  - {finding}\n"));
        }
    }
    text
}

//! The tables of an experiment: each as CSV in full precision, Markdown and LaTeX.

use std::path::Path;

use crate::export::{Table, Value};
use crate::measure::Interval;
use crate::readout;

use super::run::{RunError, write as write_text};
use super::{ModelResults, Results};

const DIGITS: usize = 3;

/// A table and its file name without extension, under `tables/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tabled {
    /// File name without extension.
    pub stem: &'static str,
    /// The table.
    pub table: Table,
}

/// Every table that has a row.
pub fn tables(results: &Results) -> Vec<Tabled> {
    let models = &results.models;
    let tables = [
        ("claims", claims(results)),
        ("families", families(results)),
        ("behaviour", behaviour(models)),
        ("answers", answers(models)),
        ("gates", gates(models)),
        ("addresses", addresses(models)),
        ("cleanup", cleanup(models)),
        ("fate", fate(models)),
        ("targeting", targeting(models)),
        ("capacity", capacity(models)),
        ("recall", recall(models)),
        ("erase-effects", erase_effects(models)),
        ("erase-events", erase_events(models)),
        ("readouts", readouts(models, readout::Readouts::summary)),
        ("phases", readouts(models, readout::Readouts::comparison_table)),
        ("erasure", readouts(models, readout::Readouts::erasure_table)),
        ("answers_erased", answers_erased(models)),
    ];
    tables.into_iter().filter(|(_, table)| !table.rows.is_empty()).map(|(stem, table)| Tabled { stem, table }).collect()
}

/// Writes every table in every form.
pub(super) fn write(results: &Results, folder: &Path) -> Result<Vec<Tabled>, RunError> {
    let tables = tables(results);
    for Tabled { stem, table } in &tables {
        write_text(&folder.join(format!("{stem}.csv")), &table.csv())?;
        write_text(&folder.join(format!("{stem}.md")), &table.markdown(DIGITS))?;
        write_text(&folder.join(format!("{stem}.tex")), &table.latex(DIGITS))?;
    }
    Ok(tables)
}

/// Estimate, lower and upper end.
fn cells(interval: Option<&Interval>) -> [Value; 3] {
    [
        interval.map(|interval| interval.estimate).into(),
        interval.and_then(|interval| interval.low).into(),
        interval.and_then(|interval| interval.high).into(),
    ]
}

fn row(names: Vec<Value>, intervals: &[Option<&Interval>]) -> Vec<Value> {
    names.into_iter().chain(intervals.iter().flat_map(|interval| cells(*interval))).collect()
}

fn text(words: impl ToString) -> Value {
    Value::Text(words.to_string())
}

/// Columns `name`, `name low`, `name high` for every interval, each with its unit, after the plain ones.
fn columns(plain: &[&str], intervals: &[&str]) -> Vec<String> {
    let end = |name: &str, end: &str| match name.split_once(" [") {
        Some((name, unit)) => format!("{name} {end} [{unit}"),
        None => format!("{name} {end}"),
    };
    let ends = intervals.iter().flat_map(|name| [(*name).to_owned(), end(name, "low"), end(name, "high")]);
    plain.iter().map(|&name| name.to_owned()).chain(ends).collect()
}

fn table(title: &str, plain: &[&str], intervals: &[&str]) -> Table {
    let columns = columns(plain, intervals);
    Table::new(title, &columns.iter().map(String::as_str).collect::<Vec<_>>())
}

fn behaviour(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Answers by condition",
        &["model", "condition", "sequences", "questions"],
        &["accuracy", "stale intrusion", "matched foil rate", "intrusion above foils"],
    );
    for model in models {
        let Some(found) = &model.behaviour else { continue };
        for part in found.conditions.iter().chain([&found.all]) {
            let condition = part
                .condition
                .map_or("all".to_owned(), |condition| format!("{} {}", condition.letter(), condition.name().replace('_', " ")));
            let names =
                vec![text(&model.name), text(condition), Value::Integer(part.n_sequences as i64), Value::Integer(part.n_questions as i64)];
            let intervals =
                [Some(&part.accuracy), part.stale_intrusion.as_ref(), part.matched_foil_rate.as_ref(), part.intrusion_above_foils.as_ref()];
            table.push(row(names, &intervals));
        }
    }
    table
}

fn claims(results: &Results) -> Table {
    let mut table = table(
        "Claims: confirmed if the whole interval over models lies on the claimed side, not confirmed if on the other, else undecided",
        &["claim", "reported", "models", "side", "value", "verdict"],
        &["found"],
    );
    for judged in &results.claims {
        let claim = &judged.claim;
        let models = claim.than.as_ref().map_or(claim.family.clone(), |than| format!("{} - {than}", claim.family));
        let side = match claim.side {
            super::Side::Above => "above",
            super::Side::Below => "below",
        };
        let names = vec![
            text(&claim.text),
            text(&claim.reported),
            text(format!("{models}, {}", judged.models.len())),
            text(side),
            Some(claim.value).into(),
            text(judged.verdict),
        ];
        table.push(row(names, &[judged.found.as_ref()]));
    }
    table
}

fn families(results: &Results) -> Table {
    let mut table = table("Families: means over models of different seeds", &["quantity", "family", "models"], &["mean"]);
    for part in &results.families {
        let names = vec![text(&part.text), text(&part.family), Value::Integer(part.models.len() as i64)];
        table.push(row(names, &[Some(&part.found)]));
    }
    table
}

fn answers(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Answers to the further tasks",
        &["model", "task", "length [tokens]", "condition", "questions"],
        &["accuracy", "stale intrusion", "matched foil rate"],
    );
    for model in models {
        for found in &model.answers {
            for part in found.behaviour.conditions.iter().chain([&found.behaviour.all]) {
                let condition = part.condition.map_or("all".to_owned(), |condition| condition.name().replace('_', " "));
                let names = vec![
                    text(&model.name),
                    text(&found.name),
                    Value::Integer(found.length as i64),
                    text(condition),
                    Value::Integer(part.n_questions as i64),
                ];
                table.push(row(names, &[Some(&part.accuracy), part.stale_intrusion.as_ref(), part.matched_foil_rate.as_ref()]));
            }
        }
    }
    table
}

fn gates(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Gate-strength allocation by retention bin: an allocation of gates, not removed energy",
        &["model", "mean retention", "tokens"],
        &["decay share", "write share", "erase share", "write strength", "erase strength"],
    );
    for model in models {
        let allocation = &model.allocation;
        let bins = allocation.bins.iter().filter_map(|bin| Some((format!("{:.1} to {:.1}", bin.low, bin.high), bin.gates.as_ref()?)));
        for (bin, gates) in bins.chain([("all".to_owned(), &allocation.global)]) {
            let names = vec![text(&model.name), text(bin), Value::Integer(gates.n_tokens as i64)];
            let intervals = [&gates.decay, &gates.write, &gates.erase, &gates.write_strength, &gates.erase_strength].map(Some);
            table.push(row(names, &intervals));
        }
    }
    table
}

fn addresses(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Erase addresses: collateral perturbation by layer, and alignment with the write",
        &["model", "layer", "address", "trajectory"],
        &["ratio_of_sums", "perturbation", "fold"],
    );
    for model in models {
        let Some(collateral) = &model.collateral else { continue };
        for layer in &collateral.layers {
            for address in &layer.addresses {
                let names = vec![
                    text(&model.name),
                    Value::Integer(layer.layer as i64),
                    text(address.address.label()),
                    text(address.trajectory.label()),
                ];
                table.push(row(names, &[Some(&address.ratio_of_sums), Some(&address.perturbation), address.fold.as_ref()]));
            }
        }
    }
    table
}

fn cleanup(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Cleanup strength against decay: Spearman's rho, and its excess over each null (unit: sequence)",
        &["model", "strength", "decay", "relation", "null", "p"],
        &["rho", "null rho", "excess"],
    );
    for model in models {
        let Some(cleanup) = &model.cleanup else { continue };
        for relation in &cleanup.relations {
            for (name, correlation) in [("within heads", &relation.within_heads), ("between heads", &relation.between_heads)] {
                let Some(correlation) = correlation else { continue };
                let names = |null: &str, p: Option<f64>| {
                    vec![text(&model.name), text(relation.strength.label()), text(relation.decay.label()), text(name), text(null), p.into()]
                };
                table.push(row(names("none", correlation.p_value), &[Some(&correlation.rho), None, None]));
                for null in &correlation.nulls {
                    table
                        .push(row(names(null.null.label(), null.p_value), &[Some(&correlation.rho), Some(&null.band), Some(&null.excess)]));
                }
            }
        }
    }
    table
}

fn erase_effects(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Answers with erases scaled, moved or left out: changes of log-probabilities [nats], total effects",
        &["model", "under", "condition", "sequences", "p of stale beyond"],
        &["right", "stale", "never written", "stale beyond never written", "accuracy", "stale intrusion"],
    );
    for model in models {
        for run in model.erase_effects.iter().flat_map(|effects| &effects.runs) {
            for effect in std::iter::once(&run.all).chain(&run.conditions) {
                let condition = effect
                    .condition
                    .map_or("all".to_owned(), |condition| format!("{} {}", condition.letter(), condition.name().replace('_', " ")));
                let names = vec![
                    text(&model.name),
                    text(run.run.label()),
                    text(condition),
                    Value::Integer(effect.n_sequences as i64),
                    effect.p_value.into(),
                ];
                let intervals = [
                    Some(&effect.gold),
                    effect.stale.as_ref(),
                    effect.foil.as_ref(),
                    effect.stale_above_foil.as_ref(),
                    Some(&effect.accuracy),
                    effect.stale_intrusion.as_ref(),
                ];
                table.push(row(names, &intervals));
            }
        }
    }
    table
}

fn erase_events(models: &[ModelResults]) -> Table {
    let columns = [
        "model",
        "sequence",
        "question",
        "layer",
        "head",
        "step",
        "erase strength",
        "read change",
        "right [nats]",
        "stale [nats]",
        "never written [nats]",
        "log-odds [nats]",
        "direct log-odds [nats]",
        "first order [nats]",
    ];
    let mut table = Table::new("The strongest erase events of the example answers: changes without the event", &columns);
    for model in models {
        for account in &model.accounts {
            for effect in &account.events {
                let whole = |n: usize| Value::Integer(n as i64);
                let (event, total) = (&effect.event, &effect.total);
                table.push(vec![
                    text(&model.name),
                    whole(account.batch),
                    whole(account.question),
                    whole(event.layer),
                    whole(event.head),
                    whole(event.at.step),
                    event.strength.into(),
                    event.read_change.into(),
                    total.gold.into(),
                    total.stale.into(),
                    total.foil.into(),
                    total.margin().into(),
                    effect.direct.margin().into(),
                    effect.margin_estimate.into(),
                ]);
            }
        }
    }
    table
}

fn condition_of(condition: Option<crate::task::Condition>) -> Value {
    text(condition.map_or("all".to_owned(), |condition| format!("{} {}", condition.letter(), condition.name().replace('_', " "))))
}

fn fate(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Fate of a write: shares of what was written at the end of the sequence (averaged: over orders of attribution)",
        &["model", "writes", "condition", "n"],
        &[
            "surviving",
            "decayed",
            "erased",
            "overwritten",
            "erased, averaged",
            "uniquely erased",
            "compensation",
            "half-life [steps]",
            "half-life by decay alone [steps]",
        ],
    );
    for model in models {
        for row_of in &model.fate.rows {
            let names =
                vec![text(&model.name), text(row_of.role.label()), condition_of(row_of.condition), Value::Integer(row_of.n_writes as i64)];
            let [surviving, decayed, erased, overwritten] = row_of.shares.as_array().map(Some);
            let averaged = row_of.averaged.as_ref().map(|shares| &shares.erased);
            let rest = [averaged, row_of.unique.as_ref(), row_of.compensation.as_ref()];
            let lives = [row_of.half_life_steps.as_ref(), row_of.decay_only_half_life_steps.as_ref()];
            table.push(row(names, &[&[surviving, decayed, erased, overwritten][..], &rest, &lives].concat()));
        }
    }
    table
}

fn targeting(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Does removal hit what is stale? Lift is precision over chance; address and timing multiply to it",
        &["model", "mechanism", "among", "condition", "run", "p"],
        &["precision", "chance", "lift", "address lift", "timing lift", "recall"],
    );
    for model in models {
        let Some(found) = &model.targeting else { continue };
        for of in &found.rows {
            let names = |run: &str, p: Option<f64>| {
                vec![text(&model.name), text(of.mechanism), text(of.among.label()), condition_of(of.condition), text(run), p.into()]
            };
            let numbers = [&of.precision, &of.chance, &of.lift, &of.address_lift, &of.timing_lift, &of.recall].map(Option::as_ref);
            table.push(row(names("model", None), &numbers));
            for null in &of.nulls {
                let numbers = [None, None, Some(&null.lift), Some(&null.address_lift), None, None];
                table.push(row(names(null.null.label(), null.p_value), &numbers));
            }
        }
    }
    table
}

fn capacity(models: &[ModelResults]) -> Table {
    let mut table = table(
        "Capacity at the end of the sequence: effective degrees of freedom, and who holds them",
        &["model", "condition", "noise", "writes"],
        &["degrees of freedom", "share of capacity", "share of writes", "ceiling R2"],
    );
    for model in models {
        for of in &model.capacity.rows {
            for share in &of.shares {
                let names = vec![text(&model.name), condition_of(of.condition), of.noise.into(), text(share.role.label())];
                let numbers = [&of.degrees_of_freedom, &share.share, &share.share_of_writes, &share.mean_r2].map(Some);
                table.push(row(names, &numbers));
            }
        }
    }
    table
}

fn recall(models: &[ModelResults]) -> Table {
    let mut table = table("Raw write-key recall: R2 of the read at an older key against its value", &["model", "lag [steps]"], &["R2"]);
    for model in models {
        for lag in &model.recall.global {
            table.push(row(vec![text(&model.name), Value::Integer(lag.lag as i64)], &[lag.r2.as_ref()]));
        }
    }
    table
}

fn readouts(models: &[ModelResults], of: fn(&readout::Readouts) -> readout::Table) -> Table {
    joined(models, |model| model.readouts.as_ref().map(of))
}

fn answers_erased(models: &[ModelResults]) -> Table {
    joined(models, |model| (!model.answer_erasures.is_empty()).then(|| super::AnswerErasure::table(&model.answer_erasures)))
}

/// The tables of all models below one another.
fn joined(models: &[ModelResults], of: impl Fn(&ModelResults) -> Option<readout::Table>) -> Table {
    let mut joined: Option<Table> = None;
    for model in models {
        let Some(found) = of(model) else { continue };
        let table = joined.get_or_insert_with(|| {
            let columns: Vec<&str> = std::iter::once("model").chain(found.columns.iter().map(String::as_str)).collect();
            Table::new(found.title.clone(), &columns)
        });
        for cells in found.rows {
            table.push(std::iter::once(model.name.clone()).chain(cells).map(Value::Text).collect());
        }
    }
    joined.unwrap_or_else(|| Table::new("Linear readouts", &["model"]))
}

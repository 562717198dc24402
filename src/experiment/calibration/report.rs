//! What a calibration found: figure, tables, and in words.

use std::path::Path;

use super::{Calibrated, Calibration, Fault, Rate, Standing};
use crate::experiment::FigureChoices;
use crate::experiment::document::{Block, Document};
use crate::experiment::run::{RunError, write};
use crate::export::{Table, Value};
use crate::figure::calibration::{ErrorRate, Errors};
use crate::figure::{Estimate, Figure, FigureSpec, Measured, render};

const STEM: &str = "calibration";
const DIGITS: usize = 3;

/// Draws the figure, writes the tables, and makes the report.
pub(super) fn document(found: &Calibration, choices: &FigureChoices, out: &Path) -> Result<Document, RunError> {
    let measured = Measured::Calibration(errors(found));
    let spec = FigureSpec { width: choices.width, formats: choices.formats.clone(), ..FigureSpec::new(Figure::Calibration) };
    let rendered = render(&spec, &measured, &found.provenance)?;
    rendered.write(&out.join("figures"), STEM, true)?;
    let (errors, power) = (error_table(found), power_table(found));
    for (stem, table) in [(STEM, &errors), ("power", &power)] {
        write(&out.join(format!("tables/{stem}.csv")), &table.csv())?;
        write(&out.join(format!("tables/{stem}.md")), &table.markdown(DIGITS))?;
        write(&out.join(format!("tables/{stem}.tex")), &table.latex(DIGITS))?;
    }
    let mut blocks = Vec::new();
    if !found.question.is_empty() {
        blocks.push(Block::Paragraph(found.question.clone()));
    }
    blocks.push(Block::Section("What was found".to_owned()));
    blocks.extend(found.too_liberal().map(|rate| Block::Alarm(liberal(rate))));
    blocks.push(Block::Findings(findings(found)));
    let caption = format!("{}: {}", Figure::Calibration.title(), rendered.summary);
    blocks.push(Block::Figure { path: format!("figures/{STEM}"), svg: rendered.svg, caption });
    blocks.push(Block::Section("Rates of errors with nothing planted".to_owned()));
    blocks.push(Block::Table(errors, format!("tables/{STEM}.csv")));
    blocks.push(Block::Section("Power".to_owned()));
    blocks.push(Block::Table(power, "tables/power.csv".to_owned()));
    blocks.push(Block::Section("How this was made".to_owned()));
    blocks.push(Block::Details("Provenance".to_owned(), pretty(&found.provenance)));
    blocks.push(Block::Details("Worlds and replications".to_owned(), pretty(&found.options)));
    Ok(Document { title: found.name.clone(), blocks })
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data serialises")
}

impl Calibration {
    /// Shipped tests that err more often than they promise.
    pub fn too_liberal(&self) -> impl Iterator<Item = &Rate> {
        self.unplanted(Standing::Shipped).filter(|rate| rate.calibrated() == Calibrated::TooLiberal)
    }

    /// Rates with nothing planted.
    fn unplanted(&self, standing: Standing) -> impl Iterator<Item = &Rate> {
        self.rates.iter().filter(move |rate| rate.effect == 0.0 && rate.case.standing == standing)
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn said(rate: &Rate) -> String {
    format!("{} [{}, {}]", percent(rate.rate), percent(rate.low), percent(rate.high))
}

fn liberal(rate: &Rate) -> String {
    let Rate { case, n, .. } = rate;
    let what = match case.fault {
        Fault::Rejects => "calls a finding where there is none",
        Fault::Misses => "misses the truth",
    };
    format!("{} ({}) {what} in {} of {n} worlds; it promises {}.", case.test, case.world, said(rate), percent(case.nominal))
}

/// In plain sentences.
fn findings(found: &Calibration) -> Vec<String> {
    let shipped: Vec<&Rate> = found.unplanted(Standing::Shipped).collect();
    let count = |wanted| shipped.iter().filter(|rate| rate.calibrated() == wanted).count();
    let mut findings = vec![format!(
        "Of {} shipped tests, {} err at the rate they promise, {} less often, {} more often (99 % binomial intervals).",
        shipped.len(),
        count(Calibrated::AtItsLevel),
        count(Calibrated::Conservative),
        count(Calibrated::TooLiberal)
    )];
    findings.extend(found.unplanted(Standing::Naive).map(|rate| format!("Naive practice, {}", liberal(rate))));
    findings
}

/// The findings for a terminal, alarms first.
pub fn calibration_summary(found: &Calibration) -> String {
    let alarms = found.too_liberal().map(|rate| format!("  ALARM: {}\n", liberal(rate)));
    let findings = findings(found).into_iter().map(|finding| format!("  - {finding}\n"));
    format!("{}\n\n{}", found.name, alarms.chain(findings).collect::<String>())
}

fn standing(rate: &Rate) -> &'static str {
    match rate.case.standing {
        Standing::Shipped => "shipped",
        Standing::Naive => "naive",
    }
}

fn error_table(found: &Calibration) -> Table {
    let columns = ["test", "world", "standing", "promised", "rate", "rate_low", "rate_high", "replications", "verdict"];
    let mut table = Table::new("Rates of errors with nothing planted (99 % binomial intervals)", &columns);
    for rate in found.rates.iter().filter(|rate| rate.effect == 0.0) {
        let names = [rate.case.test.as_str(), &rate.case.world, standing(rate)];
        let numbers = [rate.case.nominal, rate.rate, rate.low, rate.high].map(Value::from);
        let end = [Value::Integer(rate.n as i64), rate.calibrated().name().into()];
        table.push(names.into_iter().map(Value::from).chain(numbers).chain(end).collect());
    }
    table
}

fn power_table(found: &Calibration) -> Table {
    let mut table = Table::new(
        "Shares of worlds in which the planted is found",
        &["test", "world", "standing", "effect", "power", "power_low", "power_high", "replications"],
    );
    for rate in found.rates.iter().filter(|rate| rate.effect > 0.0) {
        let names = [rate.case.test.as_str(), &rate.case.world, standing(rate)];
        let numbers = [rate.effect, rate.rate, rate.low, rate.high].map(Value::from);
        table.push(names.into_iter().map(Value::from).chain(numbers).chain([Value::Integer(rate.n as i64)]).collect());
    }
    table
}

fn errors(found: &Calibration) -> Errors {
    let one = |rate: &Rate| ErrorRate {
        family: rate.family.name().to_owned(),
        test: rate.case.test.clone(),
        world: rate.case.world.clone(),
        naive: rate.case.standing == Standing::Naive,
        nominal: rate.case.nominal,
        effect: rate.effect,
        rate: Estimate::new(rate.rate, rate.low, rate.high),
    };
    Errors { rates: found.rates.iter().map(one).collect() }
}

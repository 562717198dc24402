//! The replications, spread over threads; the same spec gives the same numbers.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::case::{Case, Outcome};
use super::{
    CalibrationOptions, CalibrationSpec, Family, Fault, Rate, addresses, answers, many, readouts, relation, report, targeting, units,
};
use crate::experiment::RunError;
use crate::experiment::run::{make_room, write};
use crate::provenance::{Provenance, digest};
use crate::task::random;

/// How many times as many sequences the world has that shows the truth: its own error is a sixteenth of a replication's.
const TRUTH: usize = 256;
/// What every test shipped promises.
const LEVEL: f64 = 0.05;

/// What a calibration found: `results.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// Who made it.
    pub provenance: Provenance,
    /// Name of the spec.
    pub name: String,
    /// The question in plain words.
    pub question: String,
    /// Worlds and replications.
    pub options: CalibrationOptions,
    /// One per case and effect.
    pub rates: Vec<Rate>,
}

fn cases(family: Family) -> Vec<Case> {
    match family {
        Family::Relation => relation::cases(),
        Family::Addresses => addresses::cases(),
        Family::Units => units::cases(),
        Family::Readouts => readouts::cases(),
        Family::Many => many::cases(),
        Family::Answers => answers::cases(),
        Family::Targeting => targeting::cases(),
    }
}

fn trial(family: Family, options: &CalibrationOptions, effect: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    match family {
        Family::Relation => relation::trial(options, effect, LEVEL, stream),
        Family::Addresses => addresses::trial(options, stream),
        Family::Units => units::trial(options, effect, LEVEL, stream),
        Family::Readouts => readouts::trial(options, effect, LEVEL, stream),
        Family::Many => many::trial(options, effect, LEVEL, stream),
        Family::Answers => answers::trial(options, stream),
        Family::Targeting => targeting::trial(options, effect, LEVEL, stream),
    }
}

/// What intervals should cover, where only a world of very many sequences shows it; by case.
fn truths(family: Family, options: &CalibrationOptions, seed: u64) -> Vec<Option<f64>> {
    let large = CalibrationOptions { sequences: TRUTH * options.sequences, resamples: 100, ..options.clone() };
    let stream = &mut random::stream(seed, &format!("experiment/calibration/{}, truth", family.name()), 0);
    match family {
        Family::Addresses => addresses::truths(&large, stream),
        Family::Targeting => targeting::truths(&large, stream),
        _ => vec![None; cases(family).len()],
    }
}

/// Runs every family over every effect. `progress` is told what is running, how many replications are done, of how many.
pub fn calibrate(options: &CalibrationOptions, seed: u64, progress: impl Fn(&str, usize, usize)) -> Vec<Rate> {
    // Worlds are spread over threads, so no world spreads itself.
    let _one_thread = pentimento_probes::linalg::OneThread::new();
    let mut rates = Vec::new();
    for &family in &options.families {
        let cases = cases(family);
        for &effect in options.effects.iter().filter(|&&effect| effect == 0.0 || family.has_power()) {
            let n = match (effect == 0.0, family.replays()) {
                (false, _) => options.power_replications,
                (true, true) => options.replications,
                (true, false) => options.quick_replications,
            };
            let name = format!("{}, effect {effect}", family.name());
            let domain = format!("experiment/calibration/{name}");
            let mut outcomes: Vec<Vec<Outcome>> = Vec::with_capacity(n);
            let together = n.div_ceil(50).max(4);
            for first in (0..n).step_by(together) {
                let one = |replication: usize| trial(family, options, effect, &mut random::stream(seed, &domain, replication as u64));
                outcomes.par_extend((first..(first + together).min(n)).into_par_iter().map(one));
                progress(&name, outcomes.len(), n);
            }
            let truths = if effect == 0.0 { truths(family, options, seed) } else { vec![None; cases.len()] };
            for (index, case) in cases.iter().enumerate().filter(|(_, case)| effect == 0.0 || case.fault == Fault::Rejects) {
                let of_case: Vec<Outcome> = outcomes.iter().map(|outcomes| outcomes[index]).collect();
                rates.extend(Rate::of(family, case, effect, &of_case, truths[index]));
            }
        }
    }
    rates
}

/// Runs a calibration and leaves figure, tables, report and `results.json` in the folder `out`.
pub fn run_calibration(
    spec: &CalibrationSpec,
    out: &Path,
    force: bool,
    progress: impl Fn(&str, usize, usize),
) -> Result<Calibration, RunError> {
    make_room(out, "figures", force)?;
    write(&out.join("spec.toml"), &toml::to_string(spec).expect("a spec that was TOML is TOML"))?;
    let provenance =
        Provenance { seed: Some(spec.seed), spec_digest: Some(digest(spec)), dtype: "f64".to_owned(), ..Provenance::here("run") };
    let found = Calibration {
        provenance,
        name: spec.name.clone(),
        question: spec.question.clone(),
        options: spec.calibration.clone(),
        rates: calibrate(&spec.calibration, spec.seed, progress),
    };
    let document = report::document(&found, &spec.figure, out)?;
    write(&out.join("results.json"), &(serde_json::to_string_pretty(&found).expect("plain data serialises") + "\n"))?;
    write(&out.join("report.md"), &document.markdown())?;
    write(&out.join("report.html"), &document.html())?;
    Ok(found)
}

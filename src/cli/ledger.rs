//! `pentimento ledger`: the account of one head of one sequence.

use std::path::PathBuf;

use anyhow::Context;
use ndarray::Array2;
use serde::Serialize;

use super::measure::truth_of;
use super::output;
use crate::export::{ArrayForm, LedgerParts, ledger_arrays, write_arrays};
use crate::ledger::{
    Account, AccountOptions, Accountant, Ceiling, Form, HeadRecurrence, Mechanism, NOISE_BF16, NOISE_GRID, Staleness, Standing, Targets,
    ceiling, targets, unique_contributions,
};
use crate::measure::{FATES, Truth};
use crate::memory::{Device, HookPoint, Rule};
use crate::provenance::Provenance;
use crate::task::Example;
use crate::trace::Trace;

/// Arguments of `pentimento ledger`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento ledger eda.trace.zarr --layer 0 --head 1 -o ledger.npz
  pentimento ledger eda.trace.zarr --layer 0 --head 1 --batch 3 --without-attention --json -o ledger.npz
  pentimento ledger long.trace.zarr --layer 0 --head 1 --device cuda:0 --without-attention -o ledger.npz

The arrays: attention [step, write], shares [write, share] (surviving, decayed, erased, overwritten), half_life [write],
unique_contribution [write], erased [step, write], ceiling [write, noise], residual [step] and more; their axes stand in
ledger.npz.provenance.json. Without -o only the summary is printed.")]
pub struct Arguments {
    /// The trace.
    trace: PathBuf,
    /// Layer (0-based, counted over all layers of the model).
    #[arg(long)]
    layer: usize,
    /// Head (0-based).
    #[arg(long)]
    head: usize,
    /// Sequence (0-based).
    #[arg(long, default_value_t = 0)]
    batch: usize,
    /// Leave out the matrices of step by write, which take T^2 numbers each.
    #[arg(long)]
    without_attention: bool,
    /// Take a write for stale once a later one has a key with at least this cosine with its own, instead of the truth table.
    #[arg(long)]
    likeness: Option<f64>,
    /// Where to take the account: cpu, or an NVIDIA card for long sequences (of several cards the first).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Where to write the arrays, as npz.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Replace the output if it exists.
    #[arg(long)]
    force: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Summary {
    layer: usize,
    head: usize,
    batch: usize,
    rule: Rule,
    form: Form,
    steps: usize,
    writes: usize,
    /// Largest |output as explained - output recorded| / |output recorded| over steps.
    largest_residual: f64,
    /// Largest distance of four shares from summing to 1.
    largest_share_residual: f64,
    shares: Vec<Part>,
    mean_unique_contribution: Option<f64>,
    staleness: String,
    targeting: Vec<TargetingLine>,
    degrees_of_freedom: f64,
    d_k: usize,
}

/// Energy-weighted mean shares of some writes.
#[derive(Serialize)]
struct Part {
    of: &'static str,
    writes: usize,
    surviving: f64,
    decayed: f64,
    erased: f64,
    overwritten: f64,
}

#[derive(Serialize)]
struct TargetingLine {
    mechanism: Mechanism,
    precision: Option<f64>,
    chance: Option<f64>,
    lift: Option<f64>,
    address_lift: Option<f64>,
    recall: Option<f64>,
}

/// Runs `pentimento ledger`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.output {
        output::refuse_existing(path, arguments.force)?;
    }
    // No card is an error before anything is read.
    let accountant = Accountant::open(&arguments.device)?;
    let trace = output::open_complete(&arguments.trace)?;
    let Arguments { layer, head: index, batch, .. } = arguments;
    // The output is read first: it says in words what the trace does not have.
    let dims = trace.layer(layer)?.dims;
    anyhow::ensure!(index < dims.head, "head {index} is out of range: layer {layer} has heads 0 to {}", dims.head - 1);
    anyhow::ensure!(batch < dims.batch, "batch {batch} is out of range: the trace has sequences 0 to {}", dims.batch - 1);
    let recorded = trace.head_stream(layer, HookPoint::Output, index, batch, 0..dims.step)?;
    let recorded: Array2<f32> = recorded.into_dimensionality().context("the recorded output is not [step, d_v]")?;
    let factors = trace.factors(layer, batch..batch + 1, 0..dims.step)?;
    factors.check_values().with_context(|| format!("layer {layer}, sequence {batch}"))?;
    let bar = output::spinner("accounting");
    let head = HeadRecurrence::new(&factors.lower(), 0, index);
    let (staleness, remark) = staleness(&trace, arguments.likeness, batch, &head)?;
    let whole = !arguments.without_attention;
    let options =
        AccountOptions { attention: whole, erased: whole && head.has_erase(), orders: !head.is_oblique(), marks: staleness.marks(&head) };
    let found = accountant.account(&head, &options)?;
    let unique = if head.has_erase() {
        unique_contributions(&found.tallies, &accountant.account(&head.without_erase(), &AccountOptions::default())?.tallies)
    } else {
        vec![]
    };
    let ceiling = ceiling(found.left.view(), &NOISE_GRID);
    let residuals = found.residuals(recorded.view());
    bar.finish_and_clear();

    let each = head.writes_per_step();
    let standing = |write: usize| staleness.at(write / each);
    let summary = Summary {
        layer,
        head: index,
        batch,
        rule: factors.rule(),
        form: found.form,
        steps: head.n_steps(),
        writes: head.n_writes(),
        largest_residual: residuals.iter().copied().fold(0.0, f64::max),
        largest_share_residual: found.share_residual(),
        shares: parts(&found, standing),
        mean_unique_contribution: mean_unique(&found, &unique),
        staleness: remark,
        targeting: if staleness.any_stale() { lines(&targets(&head, &found, &staleness)) } else { vec![] },
        degrees_of_freedom: degrees(&ceiling),
        d_k: head.d_k(),
    };
    if arguments.json {
        output::json(&summary)?;
    } else {
        output::line(&text(&summary))?;
    }
    if let Some(path) = &arguments.output {
        let stale_from: Vec<i32> =
            (0..head.n_writes()).map(|write| if let Standing::StaleFrom(step) = standing(write) { step as i32 } else { -1 }).collect();
        let parts = LedgerParts {
            head: &head,
            account: &found,
            unique: &unique,
            ceiling: &ceiling,
            residuals: &residuals,
            stale_from: &stale_from,
        };
        let provenance = Provenance { made_from: trace.digest().map(str::to_owned).into_iter().collect(), ..Provenance::here("ledger") };
        for path in write_arrays(&ledger_arrays(&parts), ArrayForm::Npz, path, arguments.force, &provenance)? {
            if !arguments.json {
                output::line(&path.display().to_string())?;
            }
        }
    }
    Ok(())
}

/// Staleness in this head, and what it stands on.
fn staleness(trace: &Trace, likeness: Option<f64>, batch: usize, head: &HeadRecurrence<f32>) -> anyhow::Result<(Staleness, String)> {
    let truth = truth_of(trace, likeness)?;
    let staleness = match &truth {
        Truth::Table(sequences) => sequences.get(batch).map_or_else(|| Staleness::new(vec![]), |sequence| sequence.staleness.clone()),
        Truth::KeyLikeness { threshold } => Staleness::by_key_likeness(head, *threshold),
    };
    let condition = trace.labels::<Example>()?.and_then(|examples| examples.get(batch).map(|example| example.condition));
    let condition = condition.map_or(String::new(), |condition| format!(" Condition: {condition}."));
    Ok((staleness, truth.remark() + &condition))
}

/// Energy-weighted shares of all writes, stale facts, kept facts and other tokens.
fn parts(account: &Account<f32>, standing: impl Fn(usize) -> Standing) -> Vec<Part> {
    let part = |of: &'static str, wanted: &dyn Fn(Standing) -> bool| {
        let (mut whole, mut sums, mut writes) = (0.0, [0.0; 4], 0);
        for (write, tally) in account.tallies.iter().enumerate().filter(|(write, _)| wanted(standing(*write))) {
            let parts = [tally.surviving, tally.decayed, tally.erased, tally.overwritten];
            whole += tally.written;
            writes += usize::from(write < account.tallies.len());
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        let [surviving, decayed, erased, overwritten] = sums.map(|sum| sum / whole);
        (whole > 0.0).then_some(Part { of, writes, surviving, decayed, erased, overwritten })
    };
    let kinds: [(&'static str, &dyn Fn(Standing) -> bool); 4] = [
        ("all writes", &|_| true),
        ("stale facts", &|standing| matches!(standing, Standing::StaleFrom(_))),
        ("kept facts", &|standing| standing == Standing::Kept),
        ("other tokens", &|standing| standing == Standing::Other),
    ];
    kinds.into_iter().filter_map(|(of, wanted)| part(of, wanted)).collect()
}

fn mean_unique(account: &Account<f32>, unique: &[Option<crate::ledger::UniqueContribution>]) -> Option<f64> {
    let (mut sum, mut whole) = (0.0, 0.0);
    for (tally, unique) in account.tallies.iter().zip(unique) {
        if let Some(unique) = unique {
            sum += tally.written * unique.unique;
            whole += tally.written;
        }
    }
    (whole > 0.0).then(|| sum / whole)
}

fn lines(targets: &Targets) -> Vec<TargetingLine> {
    let sums = &targets.facts;
    let line = |mechanism| TargetingLine {
        mechanism,
        precision: sums.precision(mechanism),
        chance: sums.chance(mechanism),
        lift: sums.lift(mechanism),
        address_lift: sums.address_lift(mechanism),
        recall: sums.recall(mechanism),
    };
    Mechanism::ALL.into_iter().map(line).filter(|line| line.precision.is_some()).collect()
}

/// At the noise of bf16.
fn degrees(ceiling: &Ceiling) -> f64 {
    let place = NOISE_GRID.iter().position(|&noise| noise >= NOISE_BF16).unwrap_or(0);
    ceiling.degrees_of_freedom()[place]
}

fn text(summary: &Summary) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut text = format!(
        "layer {}, head {}, sequence {}: {}, {} writes in {} steps\n\
         the account explains every output but for {:.1e} of it at most; shares sum to 1 but for {:.1e}\n\
         {}\n",
        summary.layer,
        summary.head,
        summary.batch,
        summary.rule,
        summary.writes,
        summary.steps,
        summary.largest_residual,
        summary.largest_share_residual,
        summary.form.remark(),
    );
    for part in &summary.shares {
        let shares = FATES.into_iter().zip([part.surviving, part.decayed, part.erased, part.overwritten]);
        let shares: Vec<String> = shares.map(|(name, share)| format!("{} {name}", percent(share))).collect();
        text += &format!("  {} ({}): {}\n", part.of, part.writes, shares.join(", "));
    }
    if let Some(unique) = summary.mean_unique_contribution {
        text += &format!("  uniquely by the erase: {} of what was written\n", percent(unique));
    }
    text += &format!("{}\n", summary.staleness);
    let number = |x: Option<f64>| x.map_or("undefined".to_owned(), |x| format!("{x:.3}"));
    for line in &summary.targeting {
        text += &format!(
            "  {} among facts: precision {}, chance {}, lift {} (by its address {}), recall {}\n",
            line.mechanism,
            number(line.precision),
            number(line.chance),
            number(line.lift),
            number(line.address_lift),
            number(line.recall)
        );
    }
    text += &format!("effective degrees of freedom at the rounding of bf16: {:.1} of at most {}", summary.degrees_of_freedom, summary.d_k);
    text
}

//! `pentimento train`: one model, or twins of several rules and seeds side by side.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::shared_out::shared_out;
use super::{output, settings};
use crate::memory::Device;
use crate::model::{MixerKind, device};
use crate::train::{Existing, LogEntry, Outcome, TRAINING_FILE, TrainSpec, run_on as train};

/// Arguments of `pentimento train`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento train assets/models/eda-stale-facts/train.toml -o checkpoints/mine
  pentimento train assets/models/eda-stale-facts/train.toml -o checkpoints/mine --resume
  pentimento train assets/specs/twins.toml -o checkpoints/twins --rules eda,kda --seeds 1,2,3 --device cuda:0")]
pub struct Arguments {
    /// What to train, as TOML.
    spec: PathBuf,
    /// Folder of the checkpoint, the log and the spec; of several models, the folder of their folders RULE-SEED.
    #[arg(short, long)]
    output: PathBuf,
    /// Go on from the folder's last checkpoint (of several models, begin those that have none).
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Where to train: cpu, cuda:N (a card), or cuda:0,1 to share several models out over cards.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Set a value of the spec: KEY=VALUE, the key dotted; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train twins of these rules: all linear-attention layers of the spec are of that kind. eda, kda, gdn, gdn2, deltanet.
    #[arg(long, value_delimiter = ',', value_parser = output::by_serde::<MixerKind>)]
    rules: Vec<MixerKind>,
    /// Train each with these seeds.
    #[arg(long, value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Models that are trained at once, where there are several (default: one on each card).
    #[arg(long, value_parser = output::at_least_one)]
    jobs: Option<usize>,
    /// Stop after this step, with a checkpoint to go on from (at the next line of the log).
    #[arg(long, value_name = "STEP")]
    until: Option<u64>,
    /// Stop after this many seconds, with a checkpoint to go on from (at the next line of the log).
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Begin again in a folder that holds a training.
    #[arg(long)]
    force: bool,
    /// Print the last evaluation as JSON.
    #[arg(long)]
    json: bool,
}

/// One of several trainings.
struct Job {
    name: String,
    spec: TrainSpec,
    output: PathBuf,
}

/// Runs `pentimento train`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let spec: TrainSpec = settings::spec(&arguments.spec, &arguments.set)?;
    let jobs = jobs(&spec, &arguments);
    let bar = settings::progress(jobs.iter().map(|job| job.spec.steps()).sum(), "training (steps)");
    let begun = Instant::now();
    let stop = |entry: &LogEntry| {
        arguments.until.is_some_and(|until| entry.step >= until)
            || arguments.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds))
    };
    let several = jobs.len() > 1;
    let one = |job: &Job, place: &Device| -> anyhow::Result<Outcome> {
        let existing = match (arguments.resume, arguments.force) {
            (true, _) if several && !job.output.join(TRAINING_FILE).exists() => Existing::Replace,
            (true, _) => Existing::Resume,
            (false, true) => Existing::Replace,
            (false, false) => Existing::Refuse,
        };
        let mut last = 0;
        let outcome = train(&job.spec, &job.output, existing, &device(place)?, &mut |entry| {
            bar.inc(entry.step.saturating_sub(last));
            last = entry.step;
            bar.set_message(format!("training {}, loss {:.4}", job.name, entry.loss));
            if stop(entry) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        outcome.with_context(|| job.name.clone())
    };
    let at_once = arguments.jobs.unwrap_or_else(|| arguments.device.n_parts());
    let outcomes = shared_out(&jobs, &arguments.device, at_once, one)?;
    bar.finish_and_clear();
    if arguments.json {
        if let ([outcome], false) = (outcomes.as_slice(), several) {
            return output::json(&outcome.held_out);
        }
        let all: serde_json::Map<_, _> = jobs
            .iter()
            .zip(&outcomes)
            .map(|(job, outcome)| Ok((job.name.clone(), serde_json::to_value(&outcome.held_out)?)))
            .collect::<anyhow::Result<_>>()?;
        return output::json(&all);
    }
    for (job, outcome) in jobs.iter().zip(&outcomes) {
        print(outcome, &job.output)?;
    }
    Ok(())
}

/// Every rule with every seed; the spec itself where neither is named.
fn jobs(spec: &TrainSpec, arguments: &Arguments) -> Vec<Job> {
    if arguments.rules.is_empty() && arguments.seeds.is_empty() {
        let name = arguments.output.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        return vec![Job { name, spec: spec.clone(), output: arguments.output.clone() }];
    }
    let rules: Vec<Option<MixerKind>> =
        if arguments.rules.is_empty() { vec![None] } else { arguments.rules.iter().copied().map(Some).collect() };
    let seeds = if arguments.seeds.is_empty() { vec![spec.seed] } else { arguments.seeds.clone() };
    let mut jobs = Vec::new();
    for &seed in &seeds {
        for &rule in &rules {
            let mut spec = rule.map_or_else(|| spec.clone(), |rule| spec.clone().with_mixer(rule));
            spec.seed = seed;
            let first = spec.model.rules().first().map_or_else(|| "attention".to_owned(), |(_, rule)| rule.name());
            let name = format!("{first}-{seed}");
            let output = arguments.output.join(&name);
            jobs.push(Job { name, spec, output });
        }
    }
    jobs
}

fn print(outcome: &Outcome, folder: &Path) -> anyhow::Result<()> {
    let end = if outcome.finished { "" } else { ", not finished: go on with --resume" };
    output::line(&format!("trained {} steps{end}: {}", outcome.step, folder.display()))?;
    for (task, held_out) in &outcome.held_out {
        let accuracy = held_out.accuracy.map_or("no questions".to_owned(), |accuracy| format!("accuracy {accuracy:.3}"));
        let by_condition: Vec<String> =
            held_out.accuracy_by_condition.iter().map(|(condition, accuracy)| format!("{condition} {accuracy:.3}")).collect();
        output::line(&format!("  {task}, held out: {accuracy} ({})", by_condition.join(", ")))?;
    }
    Ok(())
}

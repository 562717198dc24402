//! `pentimento evaluate`: what models answer to the further tasks of an experiment, on this machine.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::{output, settings};
use crate::evaluate::{AnswersSpec, Evaluated};
use crate::measure::StatisticsOptions;
use crate::memory::Device;
use crate::model::{device, open_model_on};

/// Arguments of `pentimento evaluate`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento evaluate examples/papers-story.toml --device cuda:0 -o answers.jsonl
  pentimento evaluate examples/papers-story.toml --task length --models eda-1,kda-1 --set seed=3 -o answers.jsonl")]
pub struct Arguments {
    /// An experiment's spec with `[[answers]]`.
    spec: PathBuf,
    /// The tasks by their names there (default: all).
    #[arg(long, value_delimiter = ',')]
    task: Vec<String>,
    /// The models by their names there (default: all).
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Where the models run: cpu, or cuda:N (a card).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Set a value of the spec: KEY=VALUE, the key dotted; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the answers go: one line of JSON for each model, which `measured` of an `[[answers]]` takes.
    #[arg(short, long)]
    output: PathBuf,
    /// Replace the output.
    #[arg(long)]
    force: bool,
    /// Print the lines too.
    #[arg(long)]
    json: bool,
}

/// What is needed of an experiment's spec.
#[derive(serde::Deserialize)]
struct Wanted {
    #[serde(default)]
    seed: u64,
    models: Vec<Named>,
    #[serde(default)]
    answers: Vec<AnswersSpec>,
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
    checkpoint: String,
}

/// Runs `pentimento evaluate`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    output::refuse_existing(&arguments.output, arguments.force)?;
    let spec: Wanted = settings::spec(&arguments.spec, &arguments.set)?;
    let tasks: Vec<AnswersSpec> = chosen(&spec.answers, &arguments.task, |task| &task.name)?
        .into_iter()
        .map(|task| AnswersSpec { measured: None, ..task.clone() })
        .collect();
    let models = chosen(&spec.models, &arguments.models, |model| &model.name)?;
    let (place, options) = (device(&arguments.device)?, StatisticsOptions { seed: spec.seed, ..StatisticsOptions::default() });
    let file = || format!("cannot write: {}", arguments.output.display());
    let mut out = std::fs::File::create(&arguments.output).with_context(file)?;
    let bar = settings::progress(models.len() as u64, "");
    for model in models {
        let opened = open_model_on(&model.checkpoint, spec.seed, &place).with_context(|| model.name.clone())?;
        let mut answers = Vec::new();
        for task in &tasks {
            let said = task.run(&opened.model, opened.vocabulary.as_ref(), spec.seed, &options, |length| {
                bar.set_message(format!("{} answers {} at {length} tokens", model.name, task.name));
            });
            answers.extend(said.with_context(|| model.name.clone())?);
        }
        for found in &answers {
            let accuracy = found.behaviour.all.accuracy;
            bar.suspend(|| {
                output::line(&format!("{:<16} {:<20} {:>7} tokens: accuracy {accuracy}", model.name, found.name, found.length))
            })?;
        }
        let evaluated = Evaluated { weights_digest: opened.model.weights_digest()?, seed: spec.seed, tasks: tasks.clone(), answers };
        let line = serde_json::to_string(&evaluated)?;
        writeln!(out, "{line}").with_context(file)?;
        if arguments.json {
            output::line(&line)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The items of these names, all without names.
fn chosen<'a, T>(items: &'a [T], names: &[String], name_of: impl Fn(&T) -> &String) -> anyhow::Result<Vec<&'a T>> {
    if items.is_empty() {
        bail!("the spec has no [[answers]]: name the tasks there");
    }
    if let Some(unknown) = names.iter().find(|name| !items.iter().any(|item| name_of(item) == *name)) {
        let known: Vec<&str> = items.iter().map(|item| name_of(item).as_str()).collect();
        bail!("the spec names no '{unknown}': it names {}", known.join(", "));
    }
    Ok(items.iter().filter(|item| names.is_empty() || names.contains(name_of(item))).collect())
}

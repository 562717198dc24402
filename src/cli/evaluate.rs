//! `pentimento evaluate`: what models answer to the further tasks of an experiment, on this machine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, bail};

use super::shared_out::shared_out;
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
    /// Where the models run: cpu, cuda:N (a card), or cuda:0,1 to share the models out over cards.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Models that answer at once (default: one on each card).
    #[arg(long, value_parser = output::at_least_one)]
    jobs: Option<usize>,
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
    let options = StatisticsOptions { seed: spec.seed, ..StatisticsOptions::default() };
    let bar = settings::progress(models.len() as u64, "");
    let lines = Mutex::new(Lines::create(&arguments.output, arguments.json)?);
    let numbered: Vec<(usize, &Named)> = models.into_iter().enumerate().collect();
    let at_once = arguments.jobs.unwrap_or_else(|| arguments.device.n_parts());
    shared_out(&numbered, &arguments.device, at_once, |&(number, model), place| {
        let opened = open_model_on(&model.checkpoint, spec.seed, &device(place)?).with_context(|| model.name.clone())?;
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
        bar.inc(1);
        lines.lock().map_err(|_| anyhow::anyhow!("another model's answers broke off"))?.add(number, line)
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// The lines of the output, in the order of the models whichever is ready first: a line is written as soon as all before it are.
struct Lines {
    file: std::fs::File,
    path: PathBuf,
    waiting: BTreeMap<usize, String>,
    n_written: usize,
    printed: bool,
}

impl Lines {
    fn create(path: &Path, printed: bool) -> anyhow::Result<Self> {
        let file = std::fs::File::create(path).with_context(|| format!("cannot write: {}", path.display()))?;
        Ok(Self { file, path: path.to_owned(), waiting: BTreeMap::new(), n_written: 0, printed })
    }

    fn add(&mut self, number: usize, line: String) -> anyhow::Result<()> {
        self.waiting.insert(number, line);
        while let Some(line) = self.waiting.remove(&self.n_written) {
            writeln!(self.file, "{line}").with_context(|| format!("cannot write: {}", self.path.display()))?;
            self.n_written += 1;
            if self.printed {
                output::line(&line)?;
            }
        }
        Ok(())
    }
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

//! `pentimento record`: a model's memories over a task or a text become a trace.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{output, settings};
use crate::memory::{Device, Phase};
use crate::model::{LanguageModel, device, open_model_on};
use crate::record::{RecordSpec, record_on};
use crate::task::{Split, TaskError, TaskSpec, Text, text::words};
use crate::trace::OnExisting;

/// Sequences recorded where no range is given, at most.
const SEQUENCES: u64 = 64;

/// Arguments of `pentimento record`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento record --model bundled:eda-stale-facts --task stale_facts -o eda.trace.zarr
  pentimento record --model checkpoints/mine --task variable_tracking --set length=4096 --range 0:16 -o long.trace.zarr
  pentimento record --model assets/models/twins/eda-1 --task facts --device cuda:0 --dense write -o facts.trace.zarr
  pentimento record --model checkpoints/mine --text essay.txt --dense erase,write --heads 0,3 -o essay.trace.zarr")]
pub struct Arguments {
    /// `bundled:NAME`, a folder with a checkpoint, or a preset's name (random weights); see `pentimento models`.
    #[arg(long)]
    model: String,
    /// A task by name, in its easy setting.
    #[arg(long, required_unless_present = "text", conflicts_with = "text")]
    task: Option<String>,
    /// A text file, word by word.
    #[arg(long)]
    text: Option<PathBuf>,
    /// Set a parameter of the task: NAME=VALUE; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Which of the task's sequences: FROM:TO, the end left out (default: 0:64, or as many as a text has windows).
    #[arg(long, value_parser = output::range)]
    range: Option<Range<u64>>,
    /// Part of the task's data: train, validation or test.
    #[arg(long, default_value = "test", value_parser = split)]
    split: Split,
    /// Seed of the task, and of a preset's random weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Layers to record (default: all with a memory).
    #[arg(long, value_delimiter = ',')]
    layers: Option<Vec<usize>>,
    /// Heads whose dense memories are stored (default: all).
    #[arg(long, value_delimiter = ',')]
    heads: Option<Vec<usize>>,
    /// Phases of which every memory is stored: before, decay, erase, write. Not needed for replay.
    #[arg(long, value_delimiter = ',')]
    dense: Vec<Phase>,
    /// Steps between two checkpoints.
    #[arg(long, default_value_t = 64, value_parser = output::at_least_one)]
    checkpoint_every: usize,
    /// Where the model runs: cpu, cuda:N (a card), or cuda:0,1 to share sequences out over cards.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Where to write the trace.
    #[arg(short, long)]
    output: PathBuf,
    /// Replace a trace that is there already.
    #[arg(long)]
    force: bool,
}

fn split(name: &str) -> Result<Split, String> {
    let all = [Split::Train, Split::Validation, Split::Test];
    all.into_iter().find(|split| split.name() == name).ok_or_else(|| "wanted train, validation or test".to_owned())
}

/// Runs `pentimento record`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    output::refuse_existing(&arguments.output, arguments.force)?;
    let spec = match (&arguments.task, &arguments.text) {
        (Some(name), _) => TaskSpec::named(name)?,
        (None, Some(path)) => TaskSpec::Text(short_or_windows(path)?),
        (None, None) => bail!("name a --task or a --text"),
    };
    let task = with_settings(spec, &arguments.set)?.build()?;
    let open = |place: &Device| Ok::<_, anyhow::Error>(open_model_on(&arguments.model, arguments.seed, &device(place)?)?);
    let mut copies = arguments.device.each().iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let opened = copies.remove(0);
    let task = match &opened.vocabulary {
        Some(vocabulary) => task.in_vocabulary(vocabulary).map_err(|error| unknown_word(error, &opened.name))?,
        None => task,
    };
    let spec = RecordSpec {
        seed: arguments.seed,
        split: arguments.split,
        sequences: arguments.range.unwrap_or(0..task.count(arguments.split).unwrap_or(SEQUENCES).min(SEQUENCES)),
        layers: arguments.layers,
        heads: arguments.heads,
        dense: arguments.dense,
        checkpoint_every: arguments.checkpoint_every,
        on_existing: if arguments.force { OnExisting::Replace } else { OnExisting::Refuse },
        ..RecordSpec::new(0..1)
    };
    let bar = settings::progress(0, "recording (tokens)");
    let describe = serde_json::json!({ "name": opened.name });
    let models: Vec<LanguageModel> = std::iter::once(opened.model).chain(copies.into_iter().map(|copy| copy.model)).collect();
    record_on(&models, &describe, &task, &spec, &arguments.output, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if spec.heads.is_some() && spec.dense.is_empty() {
        output::line(
            "note: --heads chooses whose dense memories are stored; without --dense there are none, and all heads can be replayed",
        )?;
    }
    output::line(&format!(
        "recorded {} ({} sequences): pentimento trace info {}",
        opened.name,
        spec.sequences.end - spec.sequences.start,
        arguments.output.display()
    ))
}

fn unknown_word(error: TaskError, model: &str) -> anyhow::Error {
    match error {
        TaskError::UnknownWord(word) => {
            anyhow::anyhow!(
                "model '{model}' does not know the word '{word}': record it on the task it was trained on, or on a text in its words"
            )
        }
        error => error.into(),
    }
}

/// A text as it comes: whole if it is short, else in windows of the default length.
fn short_or_windows(path: &Path) -> anyhow::Result<Text> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the text: {}", path.display()))?;
    let windows = Text::default();
    let length = words(&text).take(windows.length).count().max(1);
    Ok(Text { path: path.display().to_string(), length, ..windows })
}

/// The task with `NAME=VALUE` settings, each checked as if it stood in a spec.
fn with_settings(spec: TaskSpec, settings: &[String]) -> anyhow::Result<TaskSpec> {
    if settings.is_empty() {
        return Ok(spec);
    }
    let mut table = toml::Table::try_from(&spec)?;
    for setting in settings {
        settings::set(&mut table, setting)?;
    }
    Ok(crate::spec_text::from_table(table, "--set")?)
}

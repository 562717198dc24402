//! `pentimento train`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{output, settings};
use crate::memory::Device;
use crate::train::{Existing, TrainSpec, run_on as train};

/// Arguments of `pentimento train`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento train assets/models/eda-stale-facts/train.toml -o checkpoints/mine
  pentimento train assets/models/eda-stale-facts/train.toml -o checkpoints/mine --resume")]
pub struct Arguments {
    /// What to train, as TOML.
    spec: PathBuf,
    /// Folder of the checkpoint, the log and the spec.
    #[arg(short, long)]
    output: PathBuf,
    /// Go on from the folder's last checkpoint.
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Where to train: cpu, or cuda:N (a card).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Set a value of the spec: KEY=VALUE, the key dotted; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Stop after this step, with a checkpoint to go on from.
    #[arg(long, value_name = "STEP")]
    until: Option<u64>,
    /// Begin again in a folder that holds a training.
    #[arg(long)]
    force: bool,
    /// Print the last evaluation as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pentimento train`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let spec: TrainSpec = settings::spec(&arguments.spec, &arguments.set)?;
    let device = crate::model::device(&arguments.device)?;
    let existing = match (arguments.resume, arguments.force) {
        (true, _) => Existing::Resume,
        (false, true) => Existing::Replace,
        (false, false) => Existing::Refuse,
    };
    let bar = settings::progress(spec.steps(), "training (steps)");
    let outcome = train(&spec, &arguments.output, existing, &device, &mut |entry| {
        bar.set_position(entry.step);
        bar.set_message(format!("training, loss {:.4}", entry.loss));
        if arguments.until.is_some_and(|until| entry.step >= until) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish_and_clear();
    if arguments.json {
        return output::json(&outcome.held_out);
    }
    output::line(&format!("trained {} steps: {}", outcome.step, arguments.output.display()))?;
    for (task, held_out) in &outcome.held_out {
        let accuracy = held_out.accuracy.map_or("no questions".to_owned(), |accuracy| format!("accuracy {accuracy:.3}"));
        let by_condition: Vec<String> =
            held_out.accuracy_by_condition.iter().map(|(condition, accuracy)| format!("{condition} {accuracy:.3}")).collect();
        output::line(&format!("  {task}, held out: {accuracy} ({})", by_condition.join(", ")))?;
    }
    Ok(())
}

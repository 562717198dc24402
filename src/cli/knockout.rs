//! `pentimento knockout`: from one erase event to one prediction.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use super::{network, output};
use crate::intervene::{
    AnswerAccount, EraseEvent, Gate, GateChange, HeadRead, Intervention, Interventions, ReadChange, SequenceWords, gate_changes, ranked,
    read_change,
};
use crate::trace::Trace;

/// Arguments of `pentimento knockout`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento knockout eda.trace.zarr --layer 1 --head 0 --step 44
      which erases changed what head 0 of layer 1 reads at step 44, and what each removed
  pentimento knockout eda.trace.zarr --question 2 --model bundled:eda-stale-facts
      which erases of all layers and heads the answer to question 2 rests on, the rest of the network run again without each
  pentimento knockout eda.trace.zarr --model bundled:eda-stale-facts
      what erases do to all answers: dose-response, other addresses, head by head
  pentimento knockout eda.trace.zarr --question 2 --model bundled:eda-stale-facts --do mine.toml
      the same for interventions of your own ([[intervention]] do = \"scale_erase\", factor = 0.5, layers = [1], ...)")]
pub struct Arguments {
    /// The trace.
    trace: PathBuf,
    /// Layers (0-based, default: all with an erase).
    #[arg(long, value_delimiter = ',')]
    layer: Option<Vec<usize>>,
    /// Heads (0-based, default: all).
    #[arg(long, value_delimiter = ',')]
    head: Option<Vec<usize>>,
    /// The step whose read is explained.
    #[arg(long, conflicts_with = "question")]
    step: Option<usize>,
    /// The question whose answer is explained: its number in the sequence (0-based).
    #[arg(long, alias = "answer")]
    question: Option<usize>,
    /// Sequence (0-based).
    #[arg(long, default_value_t = 0)]
    batch: usize,
    /// The model the trace was recorded from: total effects, the rest of the network run again. `bundled:NAME` or a folder.
    #[arg(long)]
    model: Option<String>,
    /// A TOML file of interventions, whose effect is shown instead of single knockouts.
    #[arg(long = "do", value_name = "FILE")]
    interventions: Option<PathBuf>,
    /// What is left out, step by step: the erase (told in full), or the write or decay (any rule; a table of what the read hangs on).
    #[arg(long, default_value = "erase")]
    gate: GateName,
    /// Events told in full.
    #[arg(long, default_value_t = 5, value_parser = output::at_least_one)]
    top: usize,
    /// Removed writes named per event.
    #[arg(long, default_value_t = 3, value_parser = output::at_least_one)]
    writes: usize,
    /// Bootstrap resamples of a summary over all answers.
    #[arg(long, default_value_t = 10_000, value_parser = output::at_least_one)]
    resamples: usize,
    /// Seed of random addresses and resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GateName {
    Erase,
    Write,
    Decay,
}

/// What is asked with a model at hand.
#[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only a build with models reads it"))]
pub struct WithModel<'a> {
    pub trace: &'a Trace,
    pub model: &'a str,
    pub seed: u64,
    pub batch: usize,
    pub question: Option<usize>,
    pub interventions: Option<&'a [Intervention]>,
    pub account: crate::intervene::AccountOptions,
    pub resamples: usize,
    pub json: bool,
}

/// What a trace alone can say.
#[derive(Serialize)]
struct Reads {
    batch: usize,
    step: usize,
    note: &'static str,
    events: Vec<EraseEvent>,
    heads: Vec<ReadChange>,
}

const INSIDE: &str =
    "direct effects, inside each layer with its inputs fixed, on what it reads; what the answer makes of them needs the model (--model)";

/// Runs `pentimento knockout`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let trace = output::open_complete(&arguments.trace)?;
    let interventions = arguments.interventions.as_deref().map(read_interventions).transpose()?;
    if let Some(model) = &arguments.model {
        if arguments.gate != GateName::Erase {
            bail!("--gate write and --gate decay are about the read alone: leave --model out, or give the model interventions with --do");
        }
        if let Some(step) = arguments.step {
            bail!("--model explains answers: name a --question instead of --step {step}, or leave --model out to explain the read alone");
        }
        return network::run(&WithModel {
            trace: &trace,
            model,
            seed: arguments.seed,
            batch: arguments.batch,
            question: arguments.question,
            interventions: interventions.as_deref(),
            account: crate::intervene::AccountOptions {
                layers: arguments.layer,
                heads: arguments.head,
                top: arguments.top,
                writes: arguments.writes,
                ..crate::intervene::AccountOptions::default()
            },
            resamples: arguments.resamples,
            json: arguments.json,
        });
    }
    let words = SequenceWords::of_trace(&trace, arguments.batch)?;
    let gate = match arguments.gate {
        GateName::Erase => Gate::Erase,
        GateName::Write => Gate::Write,
        GateName::Decay => Gate::Decay,
    };
    let step = match (arguments.step, arguments.question) {
        (Some(step), _) => step,
        (None, Some(number)) => words.question(number)?.position,
        (None, None) => bail!("name a --step or a --question; or, for all answers of the trace, the --model it was recorded from"),
    };
    let (layers, heads) = (arguments.layer.as_deref(), arguments.head.as_deref());
    if let Some(interventions) = &interventions {
        let found = read_change(&trace, arguments.batch, step, layers, heads, interventions, arguments.seed)?;
        if arguments.json {
            return output::json(&found);
        }
        interventions.iter().try_for_each(|intervention| output::line(&intervention.to_string()))?;
        output::line(&heads_table(&found).to_string())?;
        return output::line(&format!("note: {INSIDE}"));
    }
    if gate != Gate::Erase {
        let found = gate_changes(&trace, arguments.batch, step, layers, heads, gate, arguments.top)?;
        if arguments.json {
            return output::json(&found);
        }
        output::line(&gates_table(&found).to_string())?;
        return output::line(&format!("note: {INSIDE}"));
    }
    let reads = HeadRead::of_trace(&trace, arguments.batch, step, layers, heads)?;
    let ranking = ranked(&reads);
    let events = ranking.iter().take(arguments.top).map(|&(place, step, _)| reads[place].event(step, arguments.writes, &words));
    let events: Vec<EraseEvent> = events.collect::<Result<_, _>>()?;
    let without = [Intervention::everywhere(crate::intervene::Change::RemoveErase)];
    let heads = read_change(&trace, arguments.batch, step, layers, heads, &without, arguments.seed)?;
    let heads = heads.into_iter().filter(|head| reads.iter().any(|read| (read.layer, read.head) == (head.layer, head.head))).collect();
    let found = Reads { batch: arguments.batch, step, note: INSIDE, events, heads };
    if arguments.json {
        return output::json(&found);
    }
    output::line(&format!("What is read at {} of sequence {}, and the erases behind it, most first:", words.step(step), arguments.batch))?;
    for (number, event) in found.events.iter().enumerate() {
        output::line(&format!("{:>3}. {}\n     {}", number + 1, event.what(), event.without()))?;
    }
    output::line("\nWithout any erase of the head:")?;
    output::line(&heads_table(&found.heads).to_string())?;
    output::line(&format!("note: {INSIDE}"))
}

fn read_interventions(path: &Path) -> anyhow::Result<Vec<Intervention>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the interventions: {}", path.display()))?;
    let read = Interventions::from_toml(&text).with_context(|| format!("not a file of interventions: {}", path.display()))?;
    Ok(read.intervention)
}

fn gates_table(changes: &[GateChange]) -> Table {
    let mut table = Table::new();
    let gate = match changes.first().map(|change| change.gate) {
        Some(Gate::Decay) => "mean retention",
        Some(Gate::Write) => "write strength",
        _ => "erase strength",
    };
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["layer", "head", "left out at", gate, "change of the read"]);
    for change in changes {
        table.add_row([
            change.layer.to_string(),
            change.head.to_string(),
            change.at.to_string(),
            format!("{:.3}", change.strength),
            format!("{:.1} %", 100.0 * change.read_change),
        ]);
    }
    table
}

fn heads_table(heads: &[ReadChange]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "layer",
        "head",
        "length of the read",
        "change of the read",
        "cosine of before and after",
    ]);
    for head in heads {
        table.add_row([
            head.layer.to_string(),
            head.head.to_string(),
            format!("{:.3}", head.length),
            format!("{:.1} %", 100.0 * head.change),
            format!("{:.3}", head.cosine),
        ]);
    }
    table
}

/// An account in words and tables.
#[cfg_attr(not(feature = "record"), expect(dead_code, reason = "accounts are made with the model at hand"))]
pub fn account_text(account: &AnswerAccount) -> String {
    let mut text = format!("{}\n\n", account.headline());
    for (number, [what, without, answer]) in account.events_told().iter().enumerate() {
        text.push_str(&format!("{:>3}. {what}\n     {without}\n     {answer}\n", number + 1));
    }
    text.push_str(&format!("\n{}\n", account.together()));
    let mut table = Table::new();
    let nats = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:+.3}"));
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "without the erase of",
        "gamma",
        "read moves by",
        "right",
        "stale",
        "never written",
        "log-odds",
        "direct",
        "first order",
        "answer",
    ]);
    for effect in &account.events {
        let event = &effect.event;
        table.add_row([
            format!("layer {} head {} step {}", event.layer, event.head, event.at.step),
            format!("{:.2}", event.strength),
            format!("{:.1} %", 100.0 * event.read_change),
            nats(Some(effect.total.gold)),
            nats(effect.total.stale),
            nats(effect.total.foil),
            nats(Some(effect.total.margin())),
            nats(Some(effect.direct.margin())),
            nats(effect.margin_estimate),
            effect.predicted_without.clone(),
        ]);
    }
    for head in &account.heads {
        let [empty, blank] = [String::new(), String::new()];
        table.add_row([
            format!("layer {} head {}, all", head.layer, head.head),
            empty,
            blank,
            nats(Some(head.total.gold)),
            nats(head.total.stale),
            nats(head.total.foil),
            nats(Some(head.total.margin())),
        ]);
    }
    text.push_str(&format!("\n{table}\n"));
    let pairs: Vec<String> = account
        .pairs
        .iter()
        .map(|pair| format!("{} and {}: {:+.2}", pair.events.0 + 1, pair.events.1 + 1, pair.interaction.margin()))
        .collect();
    if !pairs.is_empty() {
        text.push_str(&format!("interactions of pairs (log-odds of both left out, beyond each alone): {}\n", pairs.join(", ")));
    }
    text.push_str(
        "Changes are in nats: log-probabilities without the erase minus as it is. log-odds: right against stale, or against never written where \
         nothing is stale; direct: through what the layer reads at the question alone; first order: from the gradient, it only ranks.",
    );
    text
}

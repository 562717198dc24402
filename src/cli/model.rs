//! `pentimento models` and `pentimento params`.

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::json;

use super::output;
use crate::model::{BUNDLED, PRESETS, config_of};

/// Arguments of `pentimento models`.
#[derive(clap::Args)]
#[command(after_help = "Example: pentimento models")]
pub struct ModelsArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `pentimento params`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento params eda-25b-a2.8b --json
  pentimento params bundled:eda-stale-facts")]
pub struct ParamsArguments {
    /// A name from `pentimento models`.
    preset: String,
    /// Print JSON: total and active parameters.
    #[arg(long)]
    json: bool,
}

/// Lists what `--model` takes.
pub fn models(arguments: ModelsArguments) -> anyhow::Result<()> {
    let presets = PRESETS.iter().map(|preset| (preset.name.to_owned(), preset.summary, "sizes only: the weights are not public"));
    let bundled = BUNDLED.iter().map(|bundled| (format!("bundled:{}", bundled.name), bundled.summary, "trained, inside this program"));
    let rows: Vec<_> = presets.chain(bundled).collect();
    if arguments.json {
        let rows: Vec<_> =
            rows.iter().map(|(name, summary, weights)| json!({"name": name, "summary": summary, "weights": weights})).collect();
        return output::json(&rows);
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["name", "model", "weights"]);
    for (name, summary, weights) in rows {
        table.add_row([name.as_str(), summary, weights]);
    }
    output::line(&table.to_string())
}

/// Counts a preset's parameters from its real construction, without memory.
pub fn params(arguments: ParamsArguments) -> anyhow::Result<()> {
    let count = config_of(&arguments.preset)?.count()?;
    if arguments.json {
        return output::json(&json!({"total": count.total, "active": count.active}));
    }
    let billions = |n: u64| format!("{:.4} B ({n})", n as f64 / 1e9);
    output::line(&format!(
        "{}: {} parameters, {} active for a token",
        arguments.preset,
        billions(count.total as u64),
        billions(count.active as u64)
    ))
}

//! `pentimento bench model`: models on a card beside the CPU.

use super::output;
use crate::memory::Device;
use crate::model::{Parity, RECORDING_TOLERANCE, Sizes, TOLERANCE, device, parity};

/// Compares small models on `name` with the CPU; an error if rounding does not explain the difference.
pub fn run(name: &Device, seed: u64, json: bool) -> anyhow::Result<()> {
    let found = parity(&device(name)?, seed, Sizes::All)?;
    if json {
        output::json(&found)?;
    } else {
        output::line(&format!(
            "{:<40} {:>9} {:>9} {:>9} {:>9}  worst gradient of",
            "relative deviation from the CPU", "logits", "in blocks", "gradient", "recorded"
        ))?;
        for model in &found {
            let Parity { logits, logits_in_blocks, gradient, recording, .. } = model;
            output::line(&format!(
                "{:<40} {logits:>9.1e} {logits_in_blocks:>9.1e} {gradient:>9.1e} {recording:>9.1e}  {}",
                model.model, model.worst_parameter
            ))?;
            model.failures.iter().try_for_each(|failure| output::line(&format!("  {failure}")))?;
        }
    }
    match found.iter().find(|model| !model.holds()) {
        Some(model) => anyhow::bail!(
            "{} on {name} is further from the CPU than rounding explains ({TOLERANCE:.0e}; what is recorded, from the reference: {RECORDING_TOLERANCE:.0e}); again with --seed {seed}",
            model.model
        ),
        None => Ok(()),
    }
}

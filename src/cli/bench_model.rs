//! `pentimento bench model`: models on a card beside the CPU.

use super::output;
use crate::memory::Device;
use crate::model::{TOLERANCE, device, parity};

/// Compares small models on `name` with the CPU; an error if rounding does not explain the difference.
pub fn run(name: &Device, seed: u64, json: bool) -> anyhow::Result<()> {
    let found = parity(&device(name)?, seed)?;
    if json {
        output::json(&found)?;
    } else {
        output::line("relative deviation from the CPU           logits   in blocks   worst gradient")?;
        for model in &found {
            let (logits, blocks, gradient) = (model.logits, model.logits_in_blocks, model.gradient);
            output::line(&format!("{:<40} {logits:>9.1e} {blocks:>9.1e} {gradient:>9.1e}  {}", model.model, model.worst_parameter))?;
        }
    }
    match found.iter().find(|model| !model.holds()) {
        Some(model) => anyhow::bail!("{} on {name} is further from the CPU than rounding explains ({TOLERANCE:.0e})", model.model),
        None => Ok(()),
    }
}

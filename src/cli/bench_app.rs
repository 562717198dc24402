//! `pentimento bench app`.

use super::output;
use crate::app::bench::{BenchOptions, bench};
use crate::memory::Dims;

/// Measures the window without a screen.
pub fn run(quick: bool, json: bool) -> anyhow::Result<()> {
    let whole = BenchOptions::default();
    let options = if quick {
        BenchOptions {
            layers: 2,
            dims: Dims { step: 512, ..whole.dims },
            brushed: Dims { batch: 4, step: 128, ..whole.brushed },
            frames: 20,
        }
    } else {
        whole
    };
    let bar = output::spinner("preparing");
    let found = bench(&options, |what| bar.set_message(what.to_owned()))?;
    bar.finish_and_clear();
    if json { output::line(&serde_json::to_string(&found)?) } else { output::json(&found) }
}

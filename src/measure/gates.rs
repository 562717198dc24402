//! The gates of any rule of the family, as the allocation of arXiv 2606.26560 reads them.
//!
//! | rule | beta | gamma |
//! |---|---|---|
//! | EDA | write strength | erase strength |
//! | DeltaNet, GDN, KDA, Comba | write strength | 0 |
//! | Gated DeltaProduct | sum of its write strengths | 0 |
//! | GDN-2 | mean of the read gate over channels | 0 |
//! | linear attention, RetNet, GLA | 1 (the write has no gate) | 0 |
//! | RWKV-7 | 1 (the write has no gate) | mean of the erase gate over channels |

use ndarray::{Array2, Axis, s};

use crate::memory::{Factors, HookPoint, Rule};
use crate::trace::{Trace, TraceError};

/// Gates of one sequence, each [step, head].
pub(super) struct Gates {
    /// abar: retention averaged over channels.
    pub retention: Array2<f64>,
    /// beta.
    pub write: Array2<f64>,
    /// gamma.
    pub erase: Array2<f64>,
}

impl Gates {
    /// The gates of factors with batch 1.
    pub fn of(factors: &Factors<f32>) -> Self {
        let dims = factors.dims();
        let channel_mean = |point| {
            let array = factors.channels(point);
            array.slice(s![0, .., .., ..]).map_axis(Axis(2), |lane| lane.iter().map(|&x| f64::from(x)).sum::<f64>() / lane.len() as f64)
        };
        let read = |gate| match gate {
            Gate::Always(constant) => Array2::from_elem((dims.step, dims.head), constant),
            Gate::Stored(point) => factors.per_head(point).slice(s![0, .., ..]).mapv(f64::from),
            Gate::ChannelMean(point) => channel_mean(point),
        };
        let write = write_gates(factors.rule()).into_iter().map(read).reduce(|sum, gate| sum + gate).expect("there is a write gate");
        Self { retention: channel_mean(HookPoint::Retention), write, erase: read(erase_gate(factors.rule())) }
    }
}

/// Where a gate's number comes from.
#[derive(Clone, Copy)]
enum Gate {
    /// The rule has none: this stands for it.
    Always(f64),
    /// One number a head.
    Stored(HookPoint),
    /// One number a channel, averaged.
    ChannelMean(HookPoint),
}

/// Gates whose sum is beta.
fn write_gates(rule: Rule) -> Vec<Gate> {
    match rule {
        Rule::LinearAttention | Rule::RetNet | Rule::Gla | Rule::Rwkv7 => vec![Gate::Always(1.0)],
        Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Comba | Rule::Eda => vec![Gate::Stored(HookPoint::WriteStrength(0))],
        Rule::Gdn2 => vec![Gate::ChannelMean(HookPoint::ReadGate)],
        Rule::GatedDeltaProduct(n_writes) => (0..n_writes).map(|index| Gate::Stored(HookPoint::WriteStrength(index))).collect(),
    }
}

/// gamma.
const fn erase_gate(rule: Rule) -> Gate {
    match rule {
        Rule::Eda => Gate::Stored(HookPoint::EraseStrength),
        Rule::Rwkv7 => Gate::ChannelMean(HookPoint::EraseGate),
        _ => Gate::Always(0.0),
    }
}

/// Retention, write and erase strength of one head of one sequence of a trace, each [step]: as [`Gates::of`] has them, but only what
/// they need is read.
pub(super) fn of_head(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<[Vec<f64>; 3], TraceError> {
    let found = trace.layer(layer)?;
    let n_steps = found.dims.step;
    let read = |gate| -> Result<Vec<f64>, TraceError> {
        let point = match gate {
            Gate::Always(constant) => return Ok(vec![constant; n_steps]),
            Gate::Stored(point) | Gate::ChannelMean(point) => point,
        };
        let stored = trace.head_stream(layer, point, head, sequence, 0..n_steps)?;
        Ok(stored.outer_iter().map(|step| step.iter().map(|&x| f64::from(x)).sum::<f64>() / step.len() as f64).collect())
    };
    let mut write = vec![0.0; n_steps];
    for gate in write_gates(found.rule) {
        write.iter_mut().zip(read(gate)?).for_each(|(sum, one)| *sum += one);
    }
    Ok([read(Gate::ChannelMean(HookPoint::Retention))?, write, read(erase_gate(found.rule))?])
}

/// What stands in for a gate the rule does not have, in a sentence.
pub(super) fn remark(rule: Rule) -> Option<String> {
    let said = match rule {
        Rule::Eda => return None,
        Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Comba => "has no erase: its erase share is 0 by construction",
        Rule::GatedDeltaProduct(_) => "has no erase (share 0 by construction); its write strengths are summed over the writes of a step",
        Rule::Gdn2 => "has no erase (share 0 by construction); its read gate averaged over channels stands for the write strength",
        Rule::LinearAttention | Rule::RetNet | Rule::Gla => {
            "has neither erase nor write gate: the erase share is 0 and the write strength 1 by construction"
        }
        Rule::Rwkv7 => {
            "has no write gate (1 by construction); its erase gate averaged over channels stands for the erase strength, and acts on the memory before decay"
        }
    };
    Some(format!("Rule {rule} {said}."))
}

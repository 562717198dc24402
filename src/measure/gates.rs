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
        let shape = (dims.step, dims.head);
        let channel_mean = |point| {
            let array = factors.channels(point);
            array.slice(s![0, .., .., ..]).map_axis(Axis(2), |lane| lane.iter().map(|&x| f64::from(x)).sum::<f64>() / lane.len() as f64)
        };
        let gate = |point| factors.per_head(point).slice(s![0, .., ..]).mapv(f64::from);
        let write = match factors.rule() {
            Rule::LinearAttention | Rule::RetNet | Rule::Gla | Rule::Rwkv7 => Array2::ones(shape),
            Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Comba | Rule::Eda => gate(HookPoint::WriteStrength(0)),
            Rule::Gdn2 => channel_mean(HookPoint::ReadGate),
            Rule::GatedDeltaProduct(n_writes) => {
                (0..n_writes).map(|index| gate(HookPoint::WriteStrength(index))).fold(Array2::zeros(shape), |sum, gate| sum + gate)
            }
        };
        let erase = match factors.rule() {
            Rule::Eda => gate(HookPoint::EraseStrength),
            Rule::Rwkv7 => channel_mean(HookPoint::EraseGate),
            _ => Array2::zeros(shape),
        };
        Self { retention: channel_mean(HookPoint::Retention), write, erase }
    }
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

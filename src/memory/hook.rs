//! Named hook points: one table of names and shapes for code, files and screen.

use super::{Dims, Phase};

/// An axis of a hook point's array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Sequences.
    Batch,
    /// Tokens.
    Step,
    /// Heads with a key of their own.
    KeyHead,
    /// Heads with a memory of their own.
    Head,
    /// Key channels.
    DK,
    /// Value channels.
    DV,
}

impl Axis {
    /// The dimension's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Step => "step",
            Self::KeyHead => "key_head",
            Self::Head => "head",
            Self::DK => "d_k",
            Self::DV => "d_v",
        }
    }

    /// The dimension's length.
    pub const fn len(self, dims: &Dims) -> usize {
        match self {
            Self::Batch => dims.batch,
            Self::Step => dims.step,
            Self::KeyHead => dims.key_head,
            Self::Head => dims.head,
            Self::DK => dims.d_k,
            Self::DV => dims.d_v,
        }
    }
}

/// A place in the recurrence where a value can be observed. Its name is the array's name on disk and the label on screen.
///
/// The index of the write-side points is the number of the write within the step: 0 for every rule but Gated DeltaProduct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// q_t, L2-normalised and scaled: where the step reads.
    Query,
    /// k_t, L2-normalised: where the step writes.
    WriteDirection(u8),
    /// v_t: what it writes.
    Value(u8),
    /// beta_t in (0, 1): step size of the corrective write.
    WriteStrength(u8),
    /// e_t, L2-normalised: where the step erases (RWKV-7: its removal key).
    EraseDirection,
    /// gamma_t in (0, 1): step size of the erase.
    EraseStrength,
    /// Per-channel removal rate in (0, 1): RWKV-7's in-context learning rate `a`.
    EraseGate,
    /// alpha_t in (0, 1]: per-channel passive decay; 1 keeps all.
    Retention,
    /// GDN-2's `b` on key channels: how the write reads what it corrects.
    ReadGate,
    /// GDN-2's `w` on value channels: how much of the value it writes.
    ValueGate,
    /// Comba's `d` in (0, 1) per head: the removal reads at `d * k`.
    Feedback,
    /// Comba's `D` per head: the output is read at `q - D p`.
    OutputCorrection,
    /// o_t = S_t^T q_t.
    Output,
    /// Pseudo-value of the erase: the memory gains `erase_direction erase_value^T` (RWKV-7: its gated removal key in place of
    /// the direction).
    EraseValue,
    /// Pseudo-value of a write: the memory gains `write_direction write_value^T`.
    WriteValue(u8),
    /// The memory at a phase of the step.
    Memory(Phase),
}

impl HookPoint {
    /// The name in code, on disk and on screen.
    pub fn name(self) -> String {
        let numbered = |stem: &str, index: u8| if index == 0 { stem.to_owned() } else { format!("{stem}_{index}") };
        match self {
            Self::Query => "query".to_owned(),
            Self::WriteDirection(index) => numbered("write_direction", index),
            Self::Value(index) => numbered("value", index),
            Self::WriteStrength(index) => numbered("write_strength", index),
            Self::EraseDirection => "erase_direction".to_owned(),
            Self::EraseStrength => "erase_strength".to_owned(),
            Self::EraseGate => "erase_gate".to_owned(),
            Self::Retention => "retention".to_owned(),
            Self::ReadGate => "read_gate".to_owned(),
            Self::ValueGate => "value_gate".to_owned(),
            Self::Feedback => "feedback".to_owned(),
            Self::OutputCorrection => "output_correction".to_owned(),
            Self::Output => "output".to_owned(),
            Self::EraseValue => "erase_value".to_owned(),
            Self::WriteValue(index) => numbered("write_value", index),
            Self::Memory(Phase::Before) => "memory_before".to_owned(),
            Self::Memory(phase) => format!("memory_after_{phase}"),
        }
    }

    /// The hook point of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = [
            Self::Query,
            Self::EraseDirection,
            Self::EraseStrength,
            Self::EraseGate,
            Self::Retention,
            Self::ReadGate,
            Self::ValueGate,
            Self::Feedback,
            Self::OutputCorrection,
            Self::Output,
            Self::EraseValue,
        ];
        let numbered = (0..=u8::MAX)
            .flat_map(|index| [Self::WriteDirection(index), Self::Value(index), Self::WriteStrength(index), Self::WriteValue(index)]);
        plain.into_iter().chain(Phase::ALL.map(Self::Memory)).chain(numbered).find(|point| point.name() == name)
    }

    /// The axes of its array, outermost first.
    pub const fn axes(self) -> &'static [Axis] {
        use Axis::{Batch, DK, DV, Head, KeyHead, Step};
        match self {
            Self::Query | Self::WriteDirection(_) | Self::EraseDirection => &[Batch, Step, KeyHead, DK],
            Self::Retention | Self::EraseGate | Self::ReadGate => &[Batch, Step, Head, DK],
            Self::Value(_) | Self::ValueGate | Self::Output | Self::EraseValue | Self::WriteValue(_) => &[Batch, Step, Head, DV],
            Self::WriteStrength(_) | Self::EraseStrength | Self::Feedback | Self::OutputCorrection => &[Batch, Step, Head],
            Self::Memory(_) => &[Batch, Step, Head, DK, DV],
        }
    }

    /// The shape of its array.
    pub fn shape(self, dims: &Dims) -> Vec<usize> {
        self.axes().iter().map(|axis| axis.len(dims)).collect()
    }
}

impl std::fmt::Display for HookPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

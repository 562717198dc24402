//! The family: which factors a rule has and how they lower to a decay and edits.

use serde::{Deserialize, Serialize};

use super::{HookPoint, MemoryError};

/// A rule of the delta-rule family, or of the additive one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rule {
    /// Linear attention (arXiv 2006.16236): adds, never decays.
    LinearAttention,
    /// RetNet and Mamba-2-like: one retention per head.
    RetNet,
    /// Gated linear attention: one retention per key channel.
    Gla,
    /// DeltaNet (arXiv 2406.06484).
    DeltaNet,
    /// Gated DeltaNet (arXiv 2412.06464).
    Gdn,
    /// Kimi Delta Attention (arXiv 2510.26692).
    Kda,
    /// Gated DeltaNet-2 (arXiv 2605.22791).
    Gdn2,
    /// Gated DeltaProduct (arXiv 2502.10297): this many delta writes a step.
    GatedDeltaProduct(u8),
    /// RWKV-7 (arXiv 2503.14456): decay and removal act on the same memory.
    Rwkv7,
    /// Comba (Hu et al., 2026): the removal reads the memory before decay.
    Comba,
    /// Erase-then-Delta Attention (arXiv 2606.26560).
    Eda,
}

impl Rule {
    /// One of each, Gated DeltaProduct with two writes.
    pub const ALL: [Self; 11] = [
        Self::LinearAttention,
        Self::RetNet,
        Self::Gla,
        Self::DeltaNet,
        Self::Gdn,
        Self::Kda,
        Self::Gdn2,
        Self::GatedDeltaProduct(2),
        Self::Rwkv7,
        Self::Comba,
        Self::Eda,
    ];

    /// The name on the command line and on disk.
    pub fn name(self) -> String {
        match self {
            Self::LinearAttention => "linear_attention".to_owned(),
            Self::RetNet => "retnet".to_owned(),
            Self::Gla => "gla".to_owned(),
            Self::DeltaNet => "deltanet".to_owned(),
            Self::Gdn => "gdn".to_owned(),
            Self::Kda => "kda".to_owned(),
            Self::Gdn2 => "gdn2".to_owned(),
            Self::GatedDeltaProduct(n_writes) => format!("gated_deltaproduct_{n_writes}"),
            Self::Rwkv7 => "rwkv7".to_owned(),
            Self::Comba => "comba".to_owned(),
            Self::Eda => "eda".to_owned(),
        }
    }

    /// The names of all rules, for messages.
    pub fn known_names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// How many writes one step makes.
    pub const fn n_writes(self) -> u8 {
        match self {
            Self::GatedDeltaProduct(n_writes) => n_writes,
            _ => 1,
        }
    }

    /// Whether a step removes at a direction of its own before it writes.
    pub const fn has_erase(self) -> bool {
        matches!(self, Self::Eda | Self::Rwkv7)
    }

    /// Whether some edit reads elsewhere than where it lands, so that removal has no energy law (analysis of GDN-2, RWKV-7, Comba).
    pub const fn is_oblique(self) -> bool {
        matches!(self, Self::Gdn2 | Self::Rwkv7 | Self::Comba)
    }

    /// The factors this rule is made of.
    pub fn factors(self) -> Vec<HookPoint> {
        use HookPoint::{
            EraseDirection, EraseGate, EraseStrength, Feedback, OutputCorrection, Query, ReadGate, Retention, Value, ValueGate,
            WriteDirection, WriteStrength,
        };
        let mut factors = vec![Query];
        for index in 0..self.n_writes() {
            factors.extend([WriteDirection(index), Value(index)]);
        }
        // Retention stands for rules without decay too (as 1), so that a trace of any rule replays alike.
        factors.push(Retention);
        match self {
            Self::LinearAttention | Self::RetNet | Self::Gla => {}
            Self::DeltaNet | Self::Gdn | Self::Kda => factors.push(WriteStrength(0)),
            Self::Gdn2 => factors.extend([ReadGate, ValueGate]),
            Self::GatedDeltaProduct(n_writes) => factors.extend((0..n_writes).map(WriteStrength)),
            Self::Rwkv7 => factors.extend([EraseDirection, EraseGate]),
            Self::Comba => factors.extend([WriteStrength(0), Feedback, OutputCorrection]),
            Self::Eda => factors.extend([WriteStrength(0), EraseDirection, EraseStrength]),
        }
        factors
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl std::str::FromStr for Rule {
    type Err = MemoryError;

    fn from_str(name: &str) -> Result<Self, MemoryError> {
        if let Some(n_writes) = name.strip_prefix("gated_deltaproduct_").and_then(|n| n.parse().ok()).filter(|&n| n > 0) {
            return Ok(Self::GatedDeltaProduct(n_writes));
        }
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| MemoryError::UnknownRule(name.to_owned()))
    }
}

impl TryFrom<String> for Rule {
    type Error = MemoryError;

    fn try_from(name: String) -> Result<Self, MemoryError> {
        name.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.name()
    }
}

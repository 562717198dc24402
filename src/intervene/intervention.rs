//! What is changed, and where: one plain value that a TOML file, a program or a slider can hold.

use serde::{Deserialize, Serialize};

use super::InterveneError;

/// A change of what memories do, at some layers, heads and steps. All else stays as it was.
///
/// In TOML (`layers`, `heads` and `steps` may be left out: all of them; `from` and `to` name a run of steps, `to` left out):
///
/// ```toml
/// [[intervention]]
/// do = "scale_erase"        # gamma := factor * gamma
/// factor = 0.5
/// layers = [1]
/// heads = [0]
/// steps = [20, 24]
///
/// [[intervention]]
/// do = "erase_address"      # e := write | random | shuffled_steps | shuffled_heads | query | superseded
/// address = "random"
///
/// [[intervention]]
/// do = "retract"            # S_20 := S_20 - u v^T for what is left of the write of step 12
/// write = 12
/// steps = [20]
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Typed", into = "Typed")]
pub struct Intervention {
    /// What is changed.
    pub change: Change,
    /// Where.
    pub at: Where,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// gamma := factor * gamma. RWKV-7: its per-channel removal rates. Beyond gamma = 1 the erase overshoots: it is not clamped.
    ScaleErase {
        /// At least 0.
        factor: f64,
    },
    /// gamma := 0.
    RemoveErase,
    /// e := another unit vector, with the same gamma.
    EraseAddress {
        /// Which.
        address: Address,
    },
    /// alpha := 1 on every channel: nothing decays.
    NoDecay,
    /// beta := 0: the step neither corrects nor writes. Rules without a write gate: their whole write.
    RemoveWrite,
    /// `S := S - u v^T` at the end of the step: what is left of an earlier write is taken out, as if its value had been 0.
    Retract {
        /// Step of the write.
        write: usize,
    },
    /// The write of a step puts another value there, from its own step on. `steps` is not used.
    ReplaceValue {
        /// Step of the write.
        write: usize,
        /// What it writes instead.
        value: Replacement,
    },
    /// At the end of the step the memory is made to hold nothing at the key of a write, changing what is read at all other keys
    /// written until then as little as possible (least squares).
    ForgetKey {
        /// Step of the write whose key it is.
        write: usize,
        /// How much a change anywhere else in memory counts, in units of one key's read: above 0. Large: the plain projection.
        ridge: f64,
    },
}

/// Another place to erase at, always of norm 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// e := k, the step's own write direction (its first, where there are several).
    Write,
    /// A random direction for every token and head.
    Random,
    /// The learned directions of the head, exchanged between the steps of the sequence.
    ShuffledSteps,
    /// The learned directions of the step, exchanged between the key heads (the paper's control).
    ShuffledHeads,
    /// e := q / |q|: it erases where it will read.
    Query,
    /// The key of the write that went stale last, by the truth table; as it is where nothing is stale yet.
    Superseded,
}

/// Another value for a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Replacement {
    /// What the step of this number writes.
    OfStep(usize),
    /// These numbers, \[d_v\].
    Given(Vec<f64>),
}

/// Layers, heads and steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// Numbers of layers in the model; `None` is all with a memory.
    pub layers: Option<Vec<usize>>,
    /// Heads; `None` is all.
    pub heads: Option<Vec<usize>>,
    /// Steps.
    pub steps: Steps,
}

/// Steps of the sequence, 0-based.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// All.
    #[default]
    All,
    /// These.
    Chosen(Vec<usize>),
    /// From the first on, up to but without the second.
    Range(usize, usize),
}

impl Where {
    /// One step of one head.
    pub fn event(layer: usize, head: usize, step: usize) -> Self {
        Self { layers: Some(vec![layer]), heads: Some(vec![head]), steps: Steps::Chosen(vec![step]) }
    }

    /// All steps of one head.
    pub fn head(layer: usize, head: usize) -> Self {
        Self { layers: Some(vec![layer]), heads: Some(vec![head]), steps: Steps::All }
    }

    /// Whether it holds a layer.
    pub fn has_layer(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }

    /// Whether it holds a head.
    pub fn has_head(&self, head: usize) -> bool {
        self.heads.as_ref().is_none_or(|heads| heads.contains(&head))
    }

    /// Whether it holds a step.
    pub fn has_step(&self, step: usize) -> bool {
        match &self.steps {
            Steps::All => true,
            Steps::Chosen(steps) => steps.contains(&step),
            Steps::Range(from, to) => (*from..*to).contains(&step),
        }
    }
}

impl Intervention {
    /// A change everywhere.
    pub fn everywhere(change: Change) -> Self {
        Self { change, at: Where::default() }
    }

    /// gamma := 0 at one step of one head.
    pub fn without_erase(layer: usize, head: usize, step: usize) -> Self {
        Self { change: Change::RemoveErase, at: Where::event(layer, head, step) }
    }

    /// Checks what can be checked without a sequence.
    pub fn check(&self) -> Result<(), InterveneError> {
        let bad = |reason: String| Err(InterveneError::Spec(reason));
        match &self.change {
            Change::ScaleErase { factor } if !(*factor >= 0.0 && factor.is_finite()) => {
                bad(format!("`factor` is {factor}; it must be a finite number, at least 0"))
            }
            Change::ForgetKey { ridge, .. } if !(*ridge > 0.0 && ridge.is_finite()) => {
                bad(format!("`ridge` is {ridge}; it must be a finite number above 0"))
            }
            Change::Retract { write } | Change::ForgetKey { write, .. } => match &self.at.steps {
                Steps::Chosen(steps) if steps.len() == 1 && steps[0] >= *write => Ok(()),
                _ => bad(format!(
                    "`steps` must name the one step at whose end `{}` happens, not before step {write} of the write itself",
                    self.change.name()
                )),
            },
            Change::ReplaceValue { .. } if self.at.steps != Steps::All => {
                bad("`replace_value` takes no `steps`: it happens at the step of its `write`".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Change {
    /// The word in specs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ScaleErase { .. } => "scale_erase",
            Self::RemoveErase => "remove_erase",
            Self::EraseAddress { .. } => "erase_address",
            Self::NoDecay => "no_decay",
            Self::RemoveWrite => "remove_write",
            Self::Retract { .. } => "retract",
            Self::ReplaceValue { .. } => "replace_value",
            Self::ForgetKey { .. } => "forget_key",
        }
    }

    /// Whether it is about the erase.
    pub const fn needs_erase(&self) -> bool {
        matches!(self, Self::ScaleErase { .. } | Self::RemoveErase | Self::EraseAddress { .. })
    }
}

impl Address {
    /// In a sentence, after "erases".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Write => "at its own write direction (e := k)",
            Self::Random => "at random directions",
            Self::ShuffledSteps => "at directions of other steps",
            Self::ShuffledHeads => "at directions of other heads",
            Self::Query => "where it reads (e := q)",
            Self::Superseded => "at the key that went stale last",
        }
    }
}

impl std::fmt::Display for Intervention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = &self.at;
        match &self.change {
            Change::ScaleErase { factor } => write!(f, "{at}: erase strength times {factor}"),
            Change::RemoveErase => write!(f, "{at}: no erase (gamma := 0)"),
            Change::EraseAddress { address } => write!(f, "{at}: erases {}", address.words()),
            Change::NoDecay => write!(f, "{at}: no decay (alpha := 1)"),
            Change::RemoveWrite => write!(f, "{at}: no write (beta := 0)"),
            Change::Retract { write } => write!(f, "{at}: what is left of the write of step {write} is taken out"),
            Change::ReplaceValue { write, value: Replacement::OfStep(other) } => {
                write!(f, "{at}: step {write} writes the value of step {other}")
            }
            Change::ReplaceValue { write, value: Replacement::Given(_) } => write!(f, "{at}: step {write} writes a given value"),
            Change::ForgetKey { write, .. } => write!(f, "{at}: nothing is left at the key of step {write}"),
        }
    }
}

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |name: &str, numbers: &[usize]| {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            format!("{name}{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(", "))
        };
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.layers.as_ref().map(|layers| list("layer", layers)));
        parts.extend(self.heads.as_ref().map(|heads| list("head", heads)));
        match &self.steps {
            Steps::All => {}
            Steps::Chosen(steps) => parts.push(list("step", steps)),
            Steps::Range(from, usize::MAX) => parts.push(format!("from step {from} on")),
            Steps::Range(from, to) => parts.push(format!("steps {from} to {}", to.saturating_sub(1))),
        }
        if parts.is_empty() { f.write_str("everywhere") } else { f.write_str(&parts.join(" ")) }
    }
}

/// An intervention as typed: every key by name, so that a misspelt one is refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(rename = "do")]
    change: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    write: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_of: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ridge: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<usize>,
}

/// Default of [`Change::ForgetKey`]'s `ridge`.
const RIDGE: f64 = 1e-3;

impl TryFrom<Typed> for Intervention {
    type Error = InterveneError;

    fn try_from(mut typed: Typed) -> Result<Self, InterveneError> {
        let name = typed.change.clone();
        let needs = |key: &str| InterveneError::Spec(format!("`{name}` needs `{key}`"));
        let change = match typed.change.as_str() {
            "scale_erase" => Change::ScaleErase { factor: typed.factor.take().ok_or_else(|| needs("factor"))? },
            "remove_erase" => Change::RemoveErase,
            "erase_address" => Change::EraseAddress { address: typed.address.take().ok_or_else(|| needs("address"))? },
            "no_decay" => Change::NoDecay,
            "remove_write" => Change::RemoveWrite,
            "retract" => Change::Retract { write: typed.write.take().ok_or_else(|| needs("write"))? },
            "forget_key" => {
                Change::ForgetKey { write: typed.write.take().ok_or_else(|| needs("write"))?, ridge: typed.ridge.take().unwrap_or(RIDGE) }
            }
            "replace_value" => Change::ReplaceValue {
                write: typed.write.take().ok_or_else(|| needs("write"))?,
                value: match (typed.value_of.take(), typed.value.take()) {
                    (Some(step), None) => Replacement::OfStep(step),
                    (None, Some(value)) => Replacement::Given(value),
                    _ => return Err(needs("value_of` (a step) or `value` (numbers), one of them, not `both")),
                },
            },
            other => {
                return Err(InterveneError::Spec(format!(
                    "unknown `do = \"{other}\"`: known are scale_erase, remove_erase, erase_address, no_decay, remove_write, retract, \
                     replace_value, forget_key"
                )));
            }
        };
        let left: [(&str, bool); 6] = [
            ("factor", typed.factor.is_some()),
            ("address", typed.address.is_some()),
            ("write", typed.write.is_some()),
            ("value_of", typed.value_of.is_some()),
            ("value", typed.value.is_some()),
            ("ridge", typed.ridge.is_some()),
        ];
        if let Some((key, _)) = left.iter().find(|(_, is_left)| *is_left) {
            return Err(InterveneError::Spec(format!("`{name}` takes no `{key}`")));
        }
        let steps = match (typed.steps, typed.from, typed.to) {
            (None, None, None) => Steps::All,
            (Some(steps), None, None) => Steps::Chosen(steps),
            (None, from, to) => Steps::Range(from.unwrap_or(0), to.unwrap_or(usize::MAX)),
            _ => return Err(InterveneError::Spec(format!("`{name}`: give `steps`, or `from` and `to`, not both"))),
        };
        let made = Self { change, at: Where { layers: typed.layers, heads: typed.heads, steps } };
        made.check()?;
        Ok(made)
    }
}

impl From<Intervention> for Typed {
    fn from(made: Intervention) -> Self {
        let mut typed = Self { change: made.change.name().to_owned(), layers: made.at.layers, heads: made.at.heads, ..Self::default() };
        match made.at.steps {
            Steps::All => {}
            Steps::Chosen(steps) => typed.steps = Some(steps),
            Steps::Range(from, to) => {
                typed.from = Some(from);
                typed.to = (to != usize::MAX).then_some(to);
            }
        }
        match made.change {
            Change::RemoveErase | Change::NoDecay | Change::RemoveWrite => {}
            Change::ScaleErase { factor } => typed.factor = Some(factor),
            Change::EraseAddress { address } => typed.address = Some(address),
            Change::Retract { write } => typed.write = Some(write),
            Change::ForgetKey { write, ridge } => (typed.write, typed.ridge) = (Some(write), Some(ridge)),
            Change::ReplaceValue { write, value } => {
                typed.write = Some(write);
                match value {
                    Replacement::OfStep(step) => typed.value_of = Some(step),
                    Replacement::Given(value) => typed.value = Some(value),
                }
            }
        }
        typed
    }
}

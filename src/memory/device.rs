//! Where a computation runs: on the processor, or on one or several cards.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::MemoryError;

/// Where a computation runs, as `--device` says it: `cpu`, `cuda` (the first card), `cuda:1`, `cuda:0,1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// All cores of this machine.
    #[default]
    Cpu,
    /// NVIDIA cards by number, at least one, none twice. Sequences are split over them.
    Cuda(Vec<usize>),
}

impl Device {
    /// How many parts work at once.
    pub fn n_parts(&self) -> usize {
        match self {
            Self::Cpu => 1,
            Self::Cuda(cards) => cards.len(),
        }
    }

    /// Each card by itself, or the processor: what runs on one only is given one of these.
    pub fn each(&self) -> Vec<Self> {
        match self {
            Self::Cpu => vec![Self::Cpu],
            Self::Cuda(cards) => cards.iter().map(|&card| Self::Cuda(vec![card])).collect(),
        }
    }

    /// The sequences of each part: as equal as can be, in order; parts beyond the sequences get none.
    pub fn split(&self, n_sequences: usize) -> Vec<Range<usize>> {
        let n_parts = self.n_parts();
        (0..n_parts).map(|part| n_sequences * part / n_parts..n_sequences * (part + 1) / n_parts).collect()
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(cards) => write!(f, "cuda:{}", cards.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        }
    }
}

impl std::str::FromStr for Device {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let unknown = |why| MemoryError::UnknownDevice { text: text.to_owned(), why };
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(vec![0])),
            Some(("cuda", list)) => {
                let mut cards = Vec::new();
                for number in list.split(',') {
                    // `parse` alone would take "+1".
                    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                    let card = digits.then(|| number.parse().ok()).flatten().ok_or_else(|| unknown("a card is a number"))?;
                    if cards.contains(&card) {
                        return Err(unknown("a card is named twice"));
                    }
                    cards.push(card);
                }
                Ok(Self::Cuda(cards))
            }
            _ => Err(unknown("no such kind of device")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = MemoryError;

    fn try_from(text: String) -> Result<Self, MemoryError> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

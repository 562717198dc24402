//! The engine of a device, for arrays of the host.

use super::cuda::{Cards, CudaError};
use super::{Device, RecordOptions, Recording, Recurrence, cpu};

/// The engine of a device, for arrays of the host: the processor's, or that of one or several cards.
#[derive(Clone, Debug)]
pub enum Recorder {
    /// All cores of this machine.
    Cpu,
    /// NVIDIA cards.
    Cards(Cards),
}

impl Recorder {
    /// Opens a device.
    ///
    /// # Errors
    /// If a card is asked for and there is no driver, or no such card.
    pub fn open(device: &Device) -> Result<Self, CudaError> {
        match device {
            Device::Cpu => Ok(Self::Cpu),
            Device::Cuda(_) => Cards::open(device).map(Self::Cards),
        }
    }

    /// Runs all steps of all heads and keeps what `options` asks for, on the host.
    ///
    /// # Errors
    /// What can go wrong on a card; the processor has none.
    ///
    /// # Panics
    /// As [`cpu::record`].
    pub fn record(&self, recurrence: &Recurrence<f32>, options: &RecordOptions) -> Result<Recording, CudaError> {
        match self {
            Self::Cpu => Ok(cpu::record(recurrence, options)),
            Self::Cards(cards) => cards.record(recurrence, options),
        }
    }
}

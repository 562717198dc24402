//! What stands in for the engine on cards in a program built without it.

mod error;

pub use error::{CudaError, bytes};

/// Cards of this machine.
///
/// # Errors
/// Always: the program was built without the engine for cards.
pub const fn n_cards() -> Result<usize, CudaError> {
    Err(CudaError::NotBuilt)
}

/// What cards would be.
#[derive(Clone, Copy, Debug)]
pub enum Cards {}

impl Cards {
    /// # Errors
    /// Always: the program was built without the engine for cards.
    pub const fn open(_device: &super::Device) -> Result<Self, CudaError> {
        Err(CudaError::NotBuilt)
    }

    /// Never called.
    pub const fn record(
        &self,
        _recurrence: &super::Recurrence<f32>,
        _options: &super::RecordOptions,
    ) -> Result<super::Recording, CudaError> {
        match *self {}
    }

    /// Never called.
    pub const fn follow<F: super::Scalar>(
        &self,
        _following: &super::follow::Following<F>,
    ) -> Result<super::follow::Followed<F>, CudaError> {
        match *self {}
    }
}

/// Comparing the engine on a card with the reference.
pub mod parity {
    use super::CudaError;

    /// What would have been compared.
    #[derive(Clone, Copy, Debug, serde::Serialize)]
    pub enum Parity {}

    impl Parity {
        /// Never called.
        pub const fn holds(&self) -> bool {
            match *self {}
        }
    }

    /// # Errors
    /// Always.
    pub const fn run(_ordinal: usize, _seed: u64, _quick: bool) -> Result<Parity, CudaError> {
        Err(CudaError::NotBuilt)
    }

    /// # Errors
    /// Always.
    pub const fn cards(_device: &crate::memory::Device, _seed: u64) -> Result<Vec<String>, CudaError> {
        Err(CudaError::NotBuilt)
    }
}

/// Timing the engine on a card.
pub mod bench {
    use super::CudaError;

    /// What would have been measured.
    #[derive(Clone, Copy, Debug, serde::Serialize)]
    pub enum GpuBench {}

    /// # Errors
    /// Always.
    pub const fn run(_ordinal: usize, _quick: bool) -> Result<GpuBench, CudaError> {
        Err(CudaError::NotBuilt)
    }
}

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

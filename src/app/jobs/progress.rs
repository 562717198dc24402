//! How far a piece of work is, and whether it is still wanted.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Shared between a worker and the interface.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bits of an f32; above 1 when unknown.
    share: AtomicU32,
    cancelled: AtomicBool,
}

/// The work is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl From<Cancelled> for String {
    fn from(_: Cancelled) -> Self {
        "cancelled".to_owned()
    }
}

impl Progress {
    pub(super) fn unknown() -> Self {
        Self { share: AtomicU32::new(f32::INFINITY.to_bits()), cancelled: AtomicBool::new(false) }
    }

    /// Says how far the work is, from 0 to 1; an error when it should stop.
    pub fn set(&self, share: f64) -> Result<(), Cancelled> {
        self.share.store((share as f32).clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// How far it is, from 0 to 1, if anybody said.
    pub fn share(&self) -> Option<f32> {
        Some(f32::from_bits(self.share.load(Ordering::Relaxed))).filter(|share| *share <= 1.0)
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

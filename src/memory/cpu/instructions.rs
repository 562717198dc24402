//! Which instruction set runs the kernels: found when the program runs, the same bits from each.

use super::lanes::{Lanes, Portable, Routine};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// An instruction set the kernels are compiled for. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512F: sixteen numbers a register.
    Avx512,
    /// AVX2 with fused multiply-add: eight numbers a register.
    Avx2,
    /// Plain Rust, for any machine.
    Portable,
}

impl InstructionSet {
    /// Those this machine has, fastest first.
    pub fn available() -> Vec<Self> {
        [Self::Avx512, Self::Avx2, Self::Portable].into_iter().filter(|set| set.is_available()).collect()
    }

    /// The fastest this machine has.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Avx512 => std::arch::is_x86_feature_detected!("avx512f"),
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma"),
            Self::Portable => true,
        }
    }

    /// Whether this machine has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// Runs a routine.
    ///
    /// # Safety
    /// The machine has this instruction set (engines check it at their door), and what the routine asks of its pointers holds.
    pub(crate) unsafe fn enter<R: Routine>(self, routine: R) {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => Avx512::enter(routine),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => Avx2::enter(routine),
                _ => Portable::enter(routine),
            }
        }
    }

    /// Vectors of columns in a block that reads the memory: as many as keep the kernel's numbers in registers. A block that is
    /// also recorded is wider, so that streamed rows fill whole runs of cache lines.
    pub(super) const fn block_vectors(self, recorded: bool) -> usize {
        match (self, recorded) {
            (Self::Avx512, _) => 4,
            (_, true) => 2,
            (_, false) => 1,
        }
    }

    /// Vectors of key channels in a panel of the backward kernel.
    pub(super) const fn panel_vectors(self) -> usize {
        match self {
            Self::Avx512 => 2,
            Self::Avx2 | Self::Portable => 1,
        }
    }
}

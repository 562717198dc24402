//! Sixteen f32 at a time: the one vector type all kernels are written in.
//!
//! Every instruction set offers the same sixteen lanes and the same order of operations, so that all of them give the
//! same bits: only multiplications, additions and fused multiply-adds per lane, and one fixed tree for sums over lanes.

#![expect(clippy::inline_always, reason = "a kernel is compiled for an instruction set only where it is inlined into `Lanes::enter`")]

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// A piece of work written once for all instruction sets. `run` must be `#[inline(always)]`.
pub(crate) trait Routine {
    /// Does the work with the vectors of `V`.
    ///
    /// # Safety
    /// The machine has the instruction set of `V`, and what the routine itself asks of its pointers holds.
    unsafe fn run<V: Lanes>(self);
}

/// Sixteen f32 in the registers of one instruction set.
///
/// # Safety
/// All functions may be called only on a machine that has the instruction set, and only from code that is inlined into
/// [`Lanes::enter`]; pointers must be valid for the lanes named.
pub(crate) trait Lanes: Copy {
    /// Runs a routine compiled for this instruction set.
    unsafe fn enter<R: Routine>(routine: R);
    /// The same number in every lane.
    unsafe fn splat(x: f32) -> Self;
    /// Sixteen numbers.
    unsafe fn load(from: *const f32) -> Self;
    /// Sixteen numbers to ordinary memory.
    unsafe fn store(self, to: *mut f32);
    /// Sixteen numbers past the caches to an address that is a multiple of 64 bytes.
    unsafe fn stream(self, to: *mut f32);
    /// `self * factor`.
    unsafe fn mul(self, factor: Self) -> Self;
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Lane `r` of the result is the sum over the lanes of `rows[r]`, in the order of [`sum_tree`].
    unsafe fn sums(rows: &[Self; LANES]) -> Self;

    /// The first `count` numbers, zero after them.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller vouches for `count` numbers at `from`; the buffer holds sixteen.
        unsafe {
            if count >= LANES {
                return Self::load(from);
            }
            let mut buffer = [0.0; LANES];
            std::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), count);
            Self::load(buffer.as_ptr())
        }
    }

    /// Only the first `count` lanes to memory.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: as for `load_part`.
        unsafe {
            if count >= LANES {
                return self.store(to);
            }
            let mut buffer = [0.0; LANES];
            self.store(buffer.as_mut_ptr());
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), to, count);
        }
    }

    /// The sum over the lanes in the order of [`sum_tree`].
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut buffer = [0.0; LANES];
        // SAFETY: the buffer holds sixteen numbers.
        unsafe { self.store(buffer.as_mut_ptr()) };
        sum_tree(&buffer)
    }
}

/// The one order in which sixteen lanes are added: within each quarter (0 + 2) + (1 + 3), then the quarters pairwise.
#[inline(always)]
fn sum_tree(x: &[f32; LANES]) -> f32 {
    let quarter = |q: usize| (x[4 * q] + x[4 * q + 2]) + (x[4 * q + 1] + x[4 * q + 3]);
    (quarter(0) + quarter(1)) + (quarter(2) + quarter(3))
}

/// Plain Rust: any machine, same bits (a machine without fused multiply-add computes it in software).
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Lanes for Portable {
    unsafe fn enter<R: Routine>(routine: R) {
        // SAFETY: every machine runs plain Rust.
        unsafe { routine.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen numbers.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { self.store(to) }
    }

    #[inline(always)]
    unsafe fn mul(self, factor: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] * factor.0[lane]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] - other.0[lane]))
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].mul_add(factor.0[lane], addend.0[lane])))
    }

    #[inline(always)]
    unsafe fn sums(rows: &[Self; LANES]) -> Self {
        Self(std::array::from_fn(|row| sum_tree(&rows[row].0)))
    }
}

//! How many edits a kernel makes: a constant, so that their numbers stay in registers, or any number of them.

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]

use std::ops::IndexMut;

/// A number of edits known when a kernel is compiled, or not.
pub(super) trait Count {
    /// One `T` per edit.
    type Of<T: Copy>: IndexMut<usize, Output = T>;
    /// The number of edits; `n` if it is not a constant.
    fn edits(n: usize) -> usize;
    /// The same for each of `n` edits.
    fn each<T: Copy>(x: T, n: usize) -> Self::Of<T>;
}

/// This many edits.
pub(super) struct Exactly<const N: usize>;

impl<const N: usize> Count for Exactly<N> {
    type Of<T: Copy> = [T; N];

    #[inline(always)]
    fn edits(_: usize) -> usize {
        N
    }

    #[inline(always)]
    fn each<T: Copy>(x: T, _: usize) -> [T; N] {
        [x; N]
    }
}

/// As many as there are.
pub(super) struct Any;

impl Count for Any {
    type Of<T: Copy> = Vec<T>;

    #[inline(always)]
    fn edits(n: usize) -> usize {
        n
    }

    #[inline(always)]
    fn each<T: Copy>(x: T, n: usize) -> Vec<T> {
        vec![x; n]
    }
}

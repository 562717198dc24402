//! Memory on cache-line boundaries, and arrays that several threads fill at once.

use ndarray::{Array, Array1, Dimension, ShapeBuilder, s};

use super::lanes::LANES;

/// A cache line of f32.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Scratch numbers that begin on a cache line and only grow.
#[derive(Default)]
pub(super) struct Scratch {
    lines: Vec<Line>,
}

impl Scratch {
    /// At least `len` numbers, with whatever they held before.
    pub fn at_least(&mut self, len: usize) -> *mut f32 {
        let n_lines = len.div_ceil(LANES);
        if self.lines.len() < n_lines {
            self.lines.resize(n_lines, Line([0.0; LANES]));
        }
        self.lines.as_mut_ptr().cast()
    }

    /// The first `len` numbers, all zero.
    pub fn zeros(&mut self, len: usize) -> *mut f32 {
        let start = self.at_least(len);
        self.lines[..len.div_ceil(LANES)].fill(Line([0.0; LANES]));
        start
    }
}

/// The first number of an array of which each thread writes its own part.
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);

// SAFETY: whoever writes through it vouches that no two threads write the same numbers.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// For the time the array is borrowed.
    pub fn of<D: Dimension>(array: &mut Array<f32, D>) -> Self {
        debug_assert!(array.is_standard_layout());
        Self(array.as_mut_ptr())
    }

    /// The number at an offset of the array.
    pub const fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// A zero array in standard layout whose first number begins a cache line, so that whole lines of it can be streamed.
pub(super) fn aligned_zeros<D: Dimension>(shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
    let shape = shape.into_shape_with_order().raw_dim().clone();
    let len = shape.size();
    // Zeroed memory of this size comes from the system untouched: its pages are first written by the kernels.
    let numbers = vec![0.0_f32; len + LANES];
    let offset = numbers.as_ptr().align_offset(align_of::<Line>()).min(LANES);
    Array1::from_vec(numbers).slice_move(s![offset..offset + len]).into_shape_with_order(shape).expect("as many numbers as the shape has")
}

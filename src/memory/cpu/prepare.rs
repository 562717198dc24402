//! What a chunk of steps needs beside the memory itself, computed once per head and shared by all its column blocks.
//!
//! All edits of a step are read from the memory before its decay in one round: `p_j = (alpha * c_j)^T S'`. The edits before
//! the j-th move that read by `(c_j . direction_i) a_i`, so beside the scaled reads only these few numbers are needed.

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]

use super::lanes::{LANES, Lanes, Routine};
use super::layer::{At, Layer, LayerRead};

/// A chunk of steps of one head.
#[derive(Default)]
pub(super) struct Prepared<'a> {
    pub n_steps: usize,
    pub n_edits: usize,
    pub d_k: usize,
    /// d_k up to a multiple of two vectors.
    pub padded: usize,
    /// [step] of [d_k].
    pub retention: Vec<&'a [f32]>,
    /// [step] of [d_k].
    pub query: Vec<&'a [f32]>,
    /// [step, edit] of [d_k].
    pub directions: Vec<&'a [f32]>,
    /// [step, edit] of [d_k]; `None` reads nothing.
    pub reads: Vec<Option<&'a [f32]>>,
    /// [step, edit] of [d_v]; `None` is 0.
    pub values: Vec<Option<&'a [f32]>>,
    /// [step, edit].
    pub strengths: Vec<f32>,
    /// [step, edits and then query, padded]: alpha * c_j (c_j itself where the memory before decay is read), alpha * q.
    pub scaled_reads: Vec<f32>,
    /// [step, coupling]: see [`coupling`].
    pub couplings: Vec<f32>,
}

/// Place of `c_j . direction_i` for i < j within a step's couplings; the query is the last "read", j = `n_edits`.
#[inline(always)]
pub(super) const fn coupling(j: usize, i: usize) -> usize {
    j * j.wrapping_sub(1) / 2 + i
}

impl<'a> Prepared<'a> {
    /// Couplings of one step.
    pub const fn n_couplings(&self) -> usize {
        (self.n_edits + 1) * self.n_edits / 2
    }

    /// Gathers the rows of steps `start..end` of one head. The numbers follow with [`Products`].
    pub fn gather(&mut self, layer: &'a Layer<'_>, batch: usize, head: usize, start: usize, end: usize) {
        self.n_steps = end - start;
        self.n_edits = layer.edits.len();
        self.d_k = layer.dims.d_k;
        self.padded = self.d_k.next_multiple_of(2 * LANES);
        self.retention.clear();
        self.query.clear();
        self.directions.clear();
        self.reads.clear();
        self.values.clear();
        self.strengths.clear();
        for step in start..end {
            let at = At { batch, step, head };
            self.retention.push(layer.row(&layer.retention, at));
            self.query.push(layer.row(&layer.query, at));
            for edit in &layer.edits {
                self.directions.push(layer.row(&edit.direction, at));
                self.reads.push(layer.read_row(edit, at));
                self.values.push(edit.value.as_ref().map(|value| layer.row(value, at)));
                self.strengths.push(edit.strength.as_ref().map_or(1.0, |strength| layer.row(strength, at)[0]));
            }
        }
        // All of it is rewritten, the padding beyond d_k included.
        self.scaled_reads.resize(self.n_steps * (self.n_edits + 1) * self.padded, 0.0);
        self.couplings.resize(self.n_steps * self.n_couplings(), 0.0);
    }
}

/// Fills `scaled_reads` and `couplings` of a gathered chunk.
pub(super) struct Products<'a, 'b> {
    pub prepared: &'a mut Prepared<'b>,
    pub layer: &'a Layer<'b>,
}

impl Routine for Products<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { prepared: p, layer } = self;
        let (n_edits, n_couplings) = (p.n_edits, p.n_couplings());
        for t in 0..p.n_steps {
            let scaled = &mut p.scaled_reads[t * (n_edits + 1) * p.padded..][..(n_edits + 1) * p.padded];
            let couplings = &mut p.couplings[t * n_couplings..][..n_couplings];
            for j in 0..=n_edits {
                let before_decay = layer.edits.get(j).is_some_and(|edit| matches!(edit.read, LayerRead::BeforeDecay(_)));
                let read = if j == n_edits { Some(p.query[t]) } else { p.reads[t * n_edits + j] };
                let scaled = &mut scaled[j * p.padded..][..p.padded];
                match read {
                    None => scaled.fill(0.0),
                    Some(read) if before_decay => {
                        scaled[..p.d_k].copy_from_slice(read);
                        scaled[p.d_k..].fill(0.0);
                    }
                    // SAFETY: the caller vouches for the instruction set; `scaled` has room for whole vectors.
                    Some(read) => unsafe { product::<V>(p.retention[t], read, scaled) },
                }
                for i in 0..j.min(n_edits) {
                    couplings[coupling(j, i)] = match read {
                        // SAFETY: the caller vouches for the instruction set.
                        Some(read) if !before_decay => unsafe { dot::<V>(read, p.directions[t * n_edits + i]) },
                        _ => 0.0,
                    };
                }
            }
        }
    }
}

/// `to = a * b`, zero beyond their end; `to` has room for whole vectors.
#[inline(always)]
unsafe fn product<V: Lanes>(a: &[f32], b: &[f32], to: &mut [f32]) {
    debug_assert!(a.len() == b.len() && to.len() >= a.len().next_multiple_of(LANES));
    let mut i = 0;
    while i < a.len() {
        // SAFETY: `load_part` stops at the end of the slices; `to` holds whole vectors.
        unsafe {
            let a = V::load_part(a.as_ptr().add(i), a.len() - i);
            let b = V::load_part(b.as_ptr().add(i), b.len() - i);
            a.mul(b).store(to.as_mut_ptr().add(i));
        }
        i += LANES;
    }
    if i < to.len() {
        to[i..].fill(0.0);
    }
}

/// `a . b` over lanes, then over the lanes.
#[inline(always)]
pub(super) unsafe fn dot<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    // SAFETY: `load_part` stops at the end of the slices.
    unsafe {
        let mut sum = V::splat(0.0);
        let mut i = 0;
        while i < a.len() {
            sum = V::load_part(a.as_ptr().add(i), a.len() - i).mul_add(V::load_part(b.as_ptr().add(i), a.len() - i), sum);
            i += LANES;
        }
        sum.sum()
    }
}

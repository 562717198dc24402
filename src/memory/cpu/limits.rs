//! What the machine can do at best: the floors that engine times are compared with.

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]

use std::hint::black_box;

use super::buffer::{Scratch, Shared, aligned_zeros};
use super::instructions::InstructionSet;
use super::lanes::{LANES, Lanes, Routine};
use super::run::fence;

/// Fused multiply-adds that do not wait for one another: enough to fill every unit's latency.
const CHAINS: usize = 12;

/// Large arrays that all threads of the current pool fill or copy.
pub struct Streams {
    from: ndarray::Array1<f32>,
    to: ndarray::Array1<f32>,
    instructions: InstructionSet,
}

impl Streams {
    /// Two arrays of this many f32, their pages touched.
    pub fn new(len: usize) -> Self {
        let len = len.next_multiple_of(LANES);
        let mut streams = Self { from: aligned_zeros(len), to: aligned_zeros(len), instructions: InstructionSet::best() };
        streams.from.fill(1.0);
        streams.fill();
        streams
    }

    /// Bytes of one array.
    pub fn n_bytes(&self) -> usize {
        self.to.len() * size_of::<f32>()
    }

    /// Writes one array past the caches.
    pub fn fill(&mut self) {
        self.each_part(false);
    }

    /// Reads one array and writes the other past the caches.
    pub fn copy(&mut self) {
        self.each_part(true);
    }

    fn each_part(&mut self, copies: bool) {
        let to = Shared::of(&mut self.to);
        let (from, n_lines) = (&self.from, self.from.len() / LANES);
        rayon::broadcast(|thread| {
            let lines = thread.index() * n_lines / thread.num_threads()..(thread.index() + 1) * n_lines / thread.num_threads();
            let start = lines.start * LANES;
            let from = copies.then(|| from.as_ptr().wrapping_add(start));
            // SAFETY: the instruction set is the best there is; threads have parts of their own, aligned to lines.
            unsafe { self.instructions.enter(Stream { from, to: to.at(start), n_lines: lines.len() }) };
            fence();
        });
    }
}

struct Stream {
    from: Option<*const f32>,
    to: *mut f32,
    n_lines: usize,
}

impl Routine for Stream {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller's.
        unsafe {
            let one = V::splat(1.0);
            for line in 0..self.n_lines {
                let x = match self.from {
                    Some(from) => V::load(from.add(line * LANES)),
                    None => one,
                };
                x.stream(self.to.add(line * LANES));
            }
        }
    }
}

/// Does `rounds` rounds of fused multiply-adds from registers on every thread of the current pool; returns how many floating
/// point operations that were (two each).
pub fn multiply_adds(rounds: usize) -> f64 {
    let instructions = InstructionSet::best();
    let n_threads = rayon::broadcast(|_| {
        let mut result = Scratch::default();
        // SAFETY: the instruction set is the best there is; the result has room for a vector.
        unsafe { instructions.enter(MultiplyAdds { rounds, result: result.zeros(LANES) }) };
        black_box(&mut result);
    })
    .len();
    2.0 * (n_threads * rounds * CHAINS * LANES) as f64
}

struct MultiplyAdds {
    rounds: usize,
    result: *mut f32,
}

impl Routine for MultiplyAdds {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller's.
        unsafe {
            let mut chains = [V::splat(1.0); CHAINS];
            let (factor, addend) = (V::splat(black_box(0.5)), V::splat(black_box(0.25)));
            for _ in 0..self.rounds {
                for chain in &mut chains {
                    *chain = chain.mul_add(factor, addend);
                }
            }
            let mut sum = V::splat(0.0);
            for chain in chains {
                sum = sum.add(chain);
            }
            sum.store(self.result);
        }
    }
}

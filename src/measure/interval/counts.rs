//! How often each sequence was drawn, and sums over what was drawn.
//!
//! Every number of a measure is resampled from the same draws, ten thousand times, so these sums are most of an interval's cost.
//! Sixteen resamples stand side by side in the lanes of a register: a row of numbers is read once for all of them.
//! Every lane adds its sequences one after the other, and products are rounded before they are added: the same bits on every machine.

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]

use ndarray::Array2;
use rayon::prelude::*;

use crate::memory::cpu::{InstructionSet, LANES, Lanes, Routine};

/// Blocks of resamples worth a thread of their own.
const FEWEST_BLOCKS: usize = 8;
/// Parts into which [`Counts::of_five`] deals sequences before it adds up.
const PARTS: usize = 4;

/// One number for every resample of a block.
type Block<T> = [T; LANES];

/// How often each sequence was drawn: \[block of resamples\]\[sequence\]\[resample in the block\].
pub(super) struct Counts {
    n_sequences: usize,
    n_resamples: usize,
    drawn: Vec<Block<u8>>,
}

impl Counts {
    /// Of counts [resample, sequence].
    pub fn of(counts: &Array2<f32>) -> Self {
        let (n_resamples, n_sequences) = counts.dim();
        let mut drawn = vec![[0_u8; LANES]; n_resamples.div_ceil(LANES) * n_sequences];
        for (resample, counts) in counts.outer_iter().enumerate() {
            let block = &mut drawn[resample / LANES * n_sequences..][..n_sequences];
            // One sequence in 256 draws or more of one resample has a chance below 1 in 256 factorial.
            block.iter_mut().zip(counts).for_each(|(block, &count)| block[resample % LANES] = count as u8);
        }
        Self { n_sequences, n_resamples, drawn }
    }

    /// What `of` makes of the sum of every column in every resample, where it makes something of it. Resample `r` takes its columns
    /// from replay `r mod n` of `n`; all replays have as many columns.
    pub fn of_sums_of_replays(&self, replays: &[Vec<&[f64]>], of: impl Fn(&[f64]) -> Option<f64> + Sync) -> Vec<f64> {
        let n_columns = replays.first().map_or(0, Vec::len);
        let phase_of = |block: usize| block * LANES % replays.len();
        let of_phase = |phase: usize| -> Vec<(usize, Block<Option<f64>>)> {
            // [sequence][column][resample in the block]
            let numbers: Vec<Block<f64>> = (0..self.n_sequences * n_columns)
                .map(|place| {
                    let (sequence, column) = (place / n_columns, place % n_columns);
                    std::array::from_fn(|lane| replays[(phase + lane) % replays.len()][column][sequence])
                })
                .collect();
            let one = |(sums, line): &mut (Vec<Block<f64>>, Vec<f64>), block: usize| {
                run(SumsOfLanes { counts: self.block(block), numbers: &numbers, sums });
                let found = self.lanes(block, |lane| {
                    line.clear();
                    line.extend(sums.iter().map(|sums| sums[lane]));
                    of(line)
                });
                (block, found)
            };
            let scratch = || (vec![[0.0; LANES]; n_columns], Vec::new());
            let blocks: Vec<usize> = (0..self.n_blocks()).filter(|&block| phase_of(block) == phase).collect();
            blocks.into_par_iter().with_min_len(FEWEST_BLOCKS).map_init(scratch, one).collect()
        };
        let mut found: Vec<_> = (0..replays.len()).into_par_iter().flat_map_iter(of_phase).collect();
        found.sort_by_key(|(block, _)| *block);
        found.into_iter().flat_map(|(_, found)| found).flatten().collect()
    }

    /// What `of` makes of five sums in every resample, in f32: each of [`PARTS`] parts of the sequences is summed by itself, and
    /// these sums are added up in f64.
    pub fn of_five(&self, rows: &FiveRows, of: impl Fn([f64; 5]) -> Option<f64> + Sync) -> Vec<f64> {
        let one = |block: usize| {
            let mut sums = [[0.0; LANES]; 5];
            run(Five { counts: self.block(block), rows, sums: &mut sums });
            self.lanes(block, |lane| of(sums.each_ref().map(|sums| sums[lane])))
        };
        self.blocks().with_min_len(FEWEST_BLOCKS).map(one).flatten_iter().flatten().collect()
    }

    fn n_blocks(&self) -> usize {
        self.n_resamples.div_ceil(LANES)
    }

    fn blocks(&self) -> rayon::range::Iter<usize> {
        (0..self.n_blocks()).into_par_iter()
    }

    fn block(&self, block: usize) -> &[Block<u8>] {
        &self.drawn[block * self.n_sequences..(block + 1) * self.n_sequences]
    }

    /// A block's resamples, one after the other; the last block has fewer.
    fn lanes(&self, block: usize, mut of: impl FnMut(usize) -> Option<f64>) -> Block<Option<f64>> {
        let n = LANES.min(self.n_resamples - block * LANES);
        std::array::from_fn(|lane| if lane < n { of(lane) } else { None })
    }
}

/// Five numbers of every sequence, dealt into parts. Sequences of which all numbers are 0 are left out.
pub(super) struct FiveRows([Vec<(usize, [f32; 5])>; PARTS]);

impl FiveRows {
    /// One row per sequence.
    pub fn new(rows: impl ExactSizeIterator<Item = [f32; 5]>) -> Self {
        let whole = rows.len() - rows.len() % PARTS;
        let mut parts: [Vec<_>; PARTS] = [const { Vec::new() }; PARTS];
        for (place, row) in rows.enumerate().filter(|(_, row)| row.iter().any(|&number| number != 0.0)) {
            parts[if place < whole { place % PARTS } else { 0 }].push((place, row));
        }
        Self(parts)
    }
}

fn run(routine: impl Routine) {
    // SAFETY: `best` is an instruction set this machine has; the routines below check their slices in safe code.
    unsafe { InstructionSet::best().enter(routine) }
}

/// Sums of columns over one block of resamples, each of which has numbers of its own.
struct SumsOfLanes<'a> {
    counts: &'a [Block<u8>],
    /// \[sequence\]\[column\]
    numbers: &'a [Block<f64>],
    sums: &'a mut [Block<f64>],
}

impl Routine for SumsOfLanes<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let n_columns = self.sums.len();
        for (column, sums) in self.sums.iter_mut().enumerate() {
            let mut sum = [0.0_f64; LANES];
            for (counts, numbers) in self.counts.iter().zip(self.numbers.chunks_exact(n_columns)) {
                for lane in 0..LANES {
                    sum[lane] += f64::from(counts[lane]) * numbers[column][lane];
                }
            }
            *sums = sum;
        }
    }
}

/// Five sums in f32.
struct Five<'a> {
    counts: &'a [Block<u8>],
    rows: &'a FiveRows,
    sums: &'a mut [Block<f64>; 5],
}

impl Routine for Five<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for part in &self.rows.0 {
            let mut sum = [[0.0_f32; LANES]; 5];
            for (place, numbers) in part {
                let counts = &self.counts[*place];
                for lane in 0..LANES {
                    let count = f32::from(counts[lane]);
                    for column in 0..5 {
                        sum[column][lane] += count * numbers[column];
                    }
                }
            }
            for (sums, sum) in self.sums.iter_mut().zip(&sum) {
                for lane in 0..LANES {
                    sums[lane] += f64::from(sum[lane]);
                }
            }
        }
    }
}

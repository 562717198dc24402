//! Vectors followed on their own through the steps, on a card: the kernel behind ledgers of long sequences.

use cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr};
use ndarray::Array2;

use super::super::Scalar;
use super::super::follow::{Followed, FollowedSums, Following, order_weight};
use super::cards::Cards;
use super::compile::Kernel;
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::plan::MOST_CHANNELS;

/// Bytes of what is seen of the vectors of one call, at most (unless one block of them needs more).
const SEEN_BYTES: usize = 1 << 30;
/// Sums of a vector.
const N_SUMS: usize = 16;
/// Steps and value channels of a block of the kernel `weigh`.
const SIDE: usize = 64;

/// `struct FollowArgs` of `follow.cu`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct FollowArguments {
    rows: u64,
    entries: u64,
    entry_reads: u64,
    origins: u64,
    quarter: u64,
    marks: u64,
    weights: u64,
    seen: u64,
    erased: u64,
    left: u64,
    sums: u64,
    marked: u64,
    half_life: u64,
    n_steps: i32,
    n_vectors: i32,
    each: i32,
    d_k: i32,
    first_vector: i32,
    end_vector: i32,
    width: i32,
    pad: i32,
}

/// `struct WeighArgs` of `weigh.cu`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct WeighArguments {
    seen: u64,
    value: u64,
    output: u64,
    n_steps: i32,
    d_v: i32,
    each: i32,
    first_vector: i32,
    end_vector: i32,
    width: i32,
}

// SAFETY: plain numbers in C's layout, passed by value.
unsafe impl DeviceRepr for FollowArguments {}
// SAFETY: as above.
unsafe impl DeviceRepr for WeighArguments {}

/// How vectors are laid over a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FollowPlan {
    /// Vectors of a thread: 1, 2 or 4. Sums do not depend on it.
    pub columns: usize,
    /// Warps of a block.
    pub warps: usize,
    /// Steps of a stage.
    pub steps: usize,
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
}

impl FollowPlan {
    /// The plan for so many vectors with steps of `n_rows` rows.
    pub fn new<F: Scalar>(following: &Following<F>, card: super::CardLimits) -> Result<Self, CudaError> {
        let layout = following.layout();
        // Registers of a thread that hold vectors: 64 of 32 bits, half of them for what they started as.
        let held = layout.width / 8 * size_of::<F>() / 4 * (1 + usize::from(layout.is_oblique));
        let columns = [4, 2].into_iter().find(|columns| held * columns <= 64).unwrap_or(1);
        let blocks = |warps: usize| following.n_vectors().div_ceil(4 * columns * warps);
        let warps = [8, 4, 2].into_iter().find(|&warps| blocks(warps) >= card.n_multiprocessors).unwrap_or(1);
        let step = layout.n_rows() * layout.width * size_of::<F>();
        // Half of the shared memory, so that two blocks of a multiprocessor hide each other's waiting.
        let steps = [8, 4, 2, 1].into_iter().find(|steps| 2 * steps * step <= card.shared_bytes / 2 - 1024);
        let steps = steps.or((2 * step <= card.shared_bytes).then_some(1)).ok_or_else(|| {
            CudaError::Unsupported(format!("a step of {} edits needs {} bytes of shared memory", layout.n_edits, 2 * step))
        })?;
        Ok(Self { columns, warps, steps, shared_bytes: 2 * steps * step })
    }

    const fn vectors(&self) -> usize {
        4 * self.columns * self.warps
    }
}

/// The kernel that follows the vectors.
pub(super) fn follow_kernel<F: Scalar>(following: &Following<F>, plan: FollowPlan) -> Kernel {
    let layout = following.layout();
    let bits = |is: &dyn Fn(usize) -> bool| (0..layout.n_edits).fold(0, |bits, j| bits | usize::from(is(j)) << j);
    Kernel {
        name: "follow",
        source: concat!(include_str!("lanes.cu"), include_str!("follow.cu")),
        defines: vec![
            ("N", layout.n_edits),
            ("DK", layout.width),
            ("READS", 0),
            ("VALUES", 0),
            ("WIDE", usize::from(size_of::<F>() == 8)),
            ("C", plan.columns),
            ("WARPS", plan.warps),
            ("STEPS", plan.steps),
            ("ORDERS", usize::from(layout.orders)),
            ("OBLIQUE", bits(&|j| following.edits[j].is_oblique)),
            ("ERASES", bits(&|j| following.edits[j].mechanism() == 1)),
            ("ROWS_OF_STEP", layout.n_rows()),
            ("AT_NUMBERS", layout.numbers()),
            ("ERASED", usize::from(following.keeps_erased)),
        ],
        shared_bytes: plan.shared_bytes,
    }
}

/// The kernel that sums what is seen times values.
pub(super) fn weigh_kernel<F: Scalar>() -> Kernel {
    Kernel {
        name: "weigh",
        source: include_str!("weigh.cu"),
        defines: vec![("N", 1), ("DK", 32), ("READS", 0), ("VALUES", 0), ("WIDE", usize::from(size_of::<F>() == 8))],
        shared_bytes: 0,
    }
}

impl Cards {
    /// Follows every vector through every step, on the first card, in the precision the numbers have; as
    /// [`follow::run`](super::super::follow::run) but for the order of sums.
    ///
    /// # Errors
    /// If there is no room on the card for the steps and what is kept of the vectors; beyond 256 key channels or 8 edits.
    pub fn follow<F: Scalar>(&self, following: &Following<F>) -> Result<Followed<F>, CudaError> {
        self.first().follow(following)
    }
}

impl Engine {
    /// See [`Cards::follow`].
    pub fn follow<F: Scalar>(&self, following: &Following<F>) -> Result<Followed<F>, CudaError> {
        check(following)?;
        let (n_steps, n_vectors, d_v) = (following.n_steps(), following.n_vectors(), following.values.ncols());
        let plan = FollowPlan::new(following, self.limits())?;
        let most = (SEEN_BYTES / (n_steps * size_of::<F>()).max(1) / plan.vectors()).max(1) * plan.vectors();
        let width = most.min(n_vectors.next_multiple_of(plan.vectors()));
        self.check_room_to_follow(following, width)?;
        let matrix = |wanted: bool| wanted.then(|| Array2::zeros((n_steps, n_vectors)));
        let (mut all_seen, mut all_erased) = (matrix(following.keeps_seen), matrix(following.keeps_erased));
        if n_vectors == 0 {
            return Ok(nothing(following, all_seen, all_erased));
        }

        let rows = self.upload(numbers(&following.rows)?)?;
        let entries = self.upload(numbers(&following.entries)?)?;
        let entry_reads = self.upload(&following.entry_reads)?;
        let origins = self.upload(numbers(&following.origins)?)?;
        let quarter = self.upload(&following.quarter)?;
        let values = self.upload(numbers(&following.values)?)?;
        let marks = self.upload(following.marks.as_flattened())?;
        let all = following.mechanisms();
        let weights: Vec<F> = (0..24).filter_map(|at| F::from(order_weight(at / 8, at % 8, all))).collect();
        let weights = self.upload(&weights)?;
        let number = size_of::<F>();
        let seen = self.zeros(n_steps * width * number)?;
        let erased = self.zeros(if following.keeps_erased { n_steps * width * number } else { 0 })?;
        let left = self.zeros(n_vectors * following.d_k * number)?;
        let sums = self.zeros(n_vectors * N_SUMS * 8)?;
        let marked = self.zeros(n_vectors * 2 * N_SUMS * 8)?;
        let half_life = self.zeros(n_vectors * 4)?;
        let output = self.zeros(n_steps * d_v * number)?;
        let (follow, weigh) = (follow_kernel(following, plan), weigh_kernel::<F>());
        let address = |array: &CudaSlice<u8>| array.device_ptr(self.stream()).0;
        for first in (0..n_vectors).step_by(width) {
            let end = (first + width).min(n_vectors);
            let arguments = FollowArguments {
                rows: address(&rows),
                entries: address(&entries),
                entry_reads: address(&entry_reads),
                origins: address(&origins),
                quarter: address(&quarter),
                marks: address(&marks),
                weights: address(&weights),
                seen: address(&seen),
                erased: address(&erased),
                left: address(&left),
                sums: address(&sums),
                marked: address(&marked),
                half_life: address(&half_life),
                n_steps: n_steps as i32,
                n_vectors: n_vectors as i32,
                each: following.each as i32,
                d_k: following.d_k as i32,
                first_vector: first as i32,
                end_vector: end as i32,
                width: width as i32,
                pad: 0,
            };
            self.launch(&follow, &arguments, (end - first).div_ceil(plan.vectors()), plan.warps * 32)?;
            let arguments = WeighArguments {
                seen: arguments.seen,
                value: address(&values),
                output: address(&output),
                n_steps: n_steps as i32,
                d_v: d_v as i32,
                each: following.each as i32,
                first_vector: first as i32,
                end_vector: end as i32,
                width: width as i32,
            };
            self.launch(&weigh, &arguments, n_steps.div_ceil(SIDE) * d_v.div_ceil(SIDE), 256)?;
            for (all, part) in [(&mut all_seen, &seen), (&mut all_erased, &erased)] {
                if let Some(all) = all {
                    let part: Vec<F> = self.download(part, n_steps * width)?;
                    for vector in first..end {
                        // Before it entered nothing was written.
                        let mut column = all.column_mut(vector);
                        (vector / following.each..n_steps).for_each(|t| column[t] = part[t * width + vector - first]);
                    }
                }
            }
        }
        let sums: Vec<f64> = self.download(&sums, n_vectors * N_SUMS)?;
        let marked: Vec<f64> = self.download(&marked, n_vectors * 2 * N_SUMS)?;
        let half_life: Vec<i32> = self.download(&half_life, n_vectors)?;
        Ok(Followed {
            seen: all_seen,
            erased: all_erased,
            output: array((n_steps, d_v), self.download(&output, n_steps * d_v)?)?,
            left: array((n_vectors, following.d_k), self.download(&left, n_vectors * following.d_k)?)?,
            sums: sums.as_chunks::<N_SUMS>().0.iter().map(sums_of).collect(),
            marked: marked.as_chunks::<{ 2 * N_SUMS }>().0.iter().map(|both| [0, N_SUMS].map(|at| part_of(both, at))).collect(),
            half_life: half_life.into_iter().map(|steps| usize::try_from(steps).ok()).collect(),
        })
    }

    fn check_room_to_follow<F: Scalar>(&self, following: &Following<F>, width: usize) -> Result<(), CudaError> {
        let (n_steps, n_vectors) = (following.n_steps(), following.n_vectors());
        let matrices = 1 + usize::from(following.keeps_erased);
        let numbers = following.rows.len()
            + 2 * following.entries.len()
            + following.origins.len()
            + following.values.len()
            + n_steps * following.values.ncols()
            + matrices * n_steps * width;
        let needed = (numbers * size_of::<F>() + n_vectors * (3 * N_SUMS + 4) * 8) as u64;
        let (free, _) = self.memory()?;
        if needed <= free / 100 * 98 {
            return Ok(());
        }
        Err(CudaError::OutOfMemory {
            what: format!("following {n_vectors} writes through {n_steps} steps"),
            card: self.stream().context().ordinal(),
            needed,
            free,
            advice: "take fewer steps, or the processor (--device cpu)".to_owned(),
        })
    }

    fn upload<T: bytemuck::NoUninit>(&self, numbers: &[T]) -> Result<CudaSlice<u8>, CudaError> {
        if numbers.is_empty() {
            return self.zeros(0);
        }
        let stream = self.stream();
        stream.clone_htod(bytemuck::cast_slice::<T, u8>(numbers)).map_err(driver_error(stream.context(), "copying steps to it"))
    }

    /// At least one number, so that there is an address.
    fn zeros(&self, n_bytes: usize) -> Result<CudaSlice<u8>, CudaError> {
        let stream = self.stream();
        stream.alloc_zeros::<u8>(n_bytes.max(16)).map_err(driver_error(stream.context(), "reserving room for a ledger"))
    }

    fn download<T: bytemuck::Pod>(&self, array: &CudaSlice<u8>, len: usize) -> Result<Vec<T>, CudaError> {
        let stream = self.stream();
        let mut numbers = vec![T::zeroed(); len];
        let fail = driver_error(stream.context(), "copying a ledger from it");
        stream.memcpy_dtoh(&array.slice(..len * size_of::<T>()), bytemuck::cast_slice_mut::<T, u8>(&mut numbers)).map_err(&fail)?;
        self.wait()?;
        Ok(numbers)
    }
}

fn check<F: Scalar>(following: &Following<F>) -> Result<(), CudaError> {
    let (n, d_k) = (following.edits.len(), following.d_k);
    if !(1..=8).contains(&n) || d_k == 0 || d_k > MOST_CHANNELS {
        return Err(CudaError::Unsupported(format!(
            "vectors are followed on a card through 1 to 8 edits of 1 to {MOST_CHANNELS} key channels, these are {n} of {d_k}"
        )));
    }
    let (layout, n_vectors) = (following.layout(), following.n_vectors());
    let fits = following.rows.dim() == (following.n_steps() + 1, layout.n_rows(), layout.width)
        && following.entries.ncols() == d_k
        && following.entry_reads.len() == n_vectors
        && following.quarter.len() == n_vectors
        && following.marks.len() == n_vectors
        && following.values.nrows() == n_vectors
        && (!layout.is_oblique || following.origins.dim() == following.entries.dim())
        && following.each > 0
        && n_vectors <= following.n_steps() * following.each
        && following.n_steps() < i32::MAX as usize / 2;
    if fits { Ok(()) } else { Err(CudaError::Shape("arrays of vectors to follow do not fit one another".to_owned())) }
}

fn nothing<F: Scalar>(following: &Following<F>, seen: Option<Array2<F>>, erased: Option<Array2<F>>) -> Followed<F> {
    Followed {
        seen,
        erased,
        output: Array2::zeros((following.n_steps(), following.values.ncols())),
        left: Array2::zeros((0, following.d_k)),
        sums: vec![],
        marked: vec![],
        half_life: vec![],
    }
}

fn numbers<F, D: ndarray::Dimension>(array: &ndarray::Array<F, D>) -> Result<&[F], CudaError> {
    array.as_slice().ok_or_else(|| CudaError::Shape("an array of vectors to follow is not in standard layout".to_owned()))
}

fn array<F>(shape: (usize, usize), numbers: Vec<F>) -> Result<Array2<F>, CudaError> {
    Array2::from_shape_vec(shape, numbers).map_err(|error| CudaError::Shape(error.to_string()))
}

fn sums_of(x: &[f64; N_SUMS]) -> FollowedSums {
    let three = |at: usize| [x[at], x[at + 1], x[at + 2]];
    FollowedSums { taken: three(0), present: three(3), gated: three(6), averaged: three(9), along: three(12), surviving: x[15] }
}

fn part_of(both: &[f64; 2 * N_SUMS], at: usize) -> FollowedSums {
    sums_of(&std::array::from_fn(|i| both[at + i]))
}

//! How a run in chunks is laid over a card: the sizes of `chunk_tiles.cu` once more (the kernels assert that they agree).

use super::super::{Dims, EditKind};
use super::buffers::{CardRead, CardRecurrence};
use super::compile::Kernel;
use super::plan::CardLimits;

/// Steps of a chunk.
pub const CHUNK_STEPS: usize = 32;
/// Threads of the kernels that work chunk by chunk.
pub(super) const CHUNK_THREADS: usize = 256;
/// Warps of the scan that make outputs.
const OUTPUT_WARPS: usize = 4;
/// Channels at a time where not all fit into shared memory.
const SLICE: usize = 64;

/// How the operands of matrix products are held; sums and memories are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The sum of two bf16 numbers, three products each: relative errors near 5e-6. For recording.
    #[default]
    Split,
    /// One bf16 number: relative errors near 3e-3, as training is used to.
    Bf16,
}

/// Which way the chunks are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    Backward,
}

/// How the kernels of a run in chunks are compiled and launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlan {
    /// Edits of a step: 1, or 2 with an erase.
    pub n_edits: usize,
    /// Operands of products.
    pub precision: Precision,
    /// Columns of a memory that a block of the scan owns: 16, 32 or 64. Results depend on it by rounding at most.
    pub columns: usize,
    /// Chunks the scan holds in shared memory.
    pub stages: usize,
    d_k: usize,
    d_v: usize,
    pass: Pass,
}

/// Edits of a step, if the rule is one that the chunk kernels know: a delta write, or an erase and a delta write.
pub(super) fn edits_of(recurrence: &CardRecurrence) -> Option<usize> {
    let reads_itself = recurrence.edits.iter().all(|edit| matches!(edit.read, CardRead::Direction));
    let kinds: Vec<_> = recurrence.edits.iter().map(|edit| (edit.kind, edit.value.is_some())).collect();
    match kinds[..] {
        [(EditKind::Write(_), true)] if reads_itself => Some(1),
        [(EditKind::Erase, false), (EditKind::Write(_), true)] if reads_itself => Some(2),
        _ => None,
    }
}

impl ChunkPlan {
    /// The plan for these sizes; `None` if the card has too little shared memory. `columns` forces the columns of a block.
    pub(super) fn new(
        dims: &Dims,
        n_edits: usize,
        precision: Precision,
        pass: Pass,
        card: CardLimits,
        columns: Option<usize>,
    ) -> Option<Self> {
        let of = |columns| {
            let one = Self { n_edits, precision, columns, stages: 1, d_k: dims.d_k, d_v: dims.d_v, pass };
            let stages = card.shared_bytes.checked_sub(one.fixed_bytes())? / one.stage_bytes();
            let plan = Self { stages: stages.min(3), ..one };
            let fits = plan.prepare_bytes() <= card.shared_bytes && (pass == Pass::Forward || plan.gradient_bytes() <= card.shared_bytes);
            (stages > 0 && fits).then_some(plan)
        };
        // The widest blocks that still occupy the card: they read each chunk's record fewer times.
        let blocks = |plan: &Self| dims.batch * dims.head * plan.column_blocks();
        let all: Vec<_> = [64, 32, 16].into_iter().filter(|&c| columns.is_none_or(|columns| c == columns)).filter_map(of).collect();
        let fills = |plan: &&Self| blocks(plan) * 10 >= card.n_multiprocessors * 9;
        all.iter().find(fills).or(all.last()).copied()
    }

    const fn planes(&self) -> usize {
        match self.precision {
            Precision::Split => 2,
            Precision::Bf16 => 1,
        }
    }

    const fn rows(&self) -> usize {
        CHUNK_STEPS * self.n_edits
    }

    const fn padded(&self) -> usize {
        self.d_k.next_multiple_of(16)
    }

    pub(super) const fn column_blocks(&self) -> usize {
        self.d_v.div_ceil(self.columns)
    }

    /// Bytes of the first part of a chunk's record: what is multiplied with the memory.
    pub(super) const fn a_bytes(&self) -> usize {
        let rows = match self.pass {
            Pass::Forward => self.rows() + CHUNK_STEPS,
            Pass::Backward => self.rows(),
        };
        self.planes() * rows * (self.padded() + 8) * 2
    }

    /// Bytes of the second part: what takes pseudo-values to the memory and to outputs.
    pub(super) const fn b_bytes(&self) -> usize {
        let numbers = match self.pass {
            Pass::Forward => self.rows() * (self.padded() + 8) + CHUNK_STEPS * (self.rows() + 8),
            Pass::Backward => (self.rows() + CHUNK_STEPS) * (self.padded() + 8),
        };
        self.planes() * numbers * 2 + self.padded() * 4
    }

    /// Numbers of a chunk's rows of their own, over all columns.
    pub(super) const fn own_numbers(&self) -> usize {
        self.column_blocks() * self.rows() * self.columns
    }

    /// Bytes of the workspace per chunk of a head.
    pub(super) const fn record_bytes(&self) -> usize {
        self.a_bytes() + self.b_bytes() + 4 * self.own_numbers()
    }

    const fn stage_bytes(&self) -> usize {
        self.a_bytes() + self.b_bytes() + self.rows() * self.columns * 4
    }

    const fn fixed_bytes(&self) -> usize {
        let seen = match self.pass {
            Pass::Forward => self.rows(),
            Pass::Backward => self.rows() + CHUNK_STEPS,
        };
        self.planes() * (self.padded() + seen) * (self.columns + 8) * 2 + 128
    }

    const fn prepare_bytes(&self) -> usize {
        let blocks = self.rows() / 16;
        let single = CHUNK_STEPS * (self.padded() + 8) + blocks * 16 * 17 + self.rows() + 4;
        let meetings = self.planes() * ((self.rows() + CHUNK_STEPS) * (SLICE + 8) + self.rows() * (self.padded() + 8));
        let attention = match self.pass {
            Pass::Forward => 0,
            Pass::Backward => self.planes() * CHUNK_STEPS * (self.rows() + 8),
        };
        4 * single + 2 * (2 * self.rows() * (self.rows() + 8) + meetings + attention)
    }

    /// Key channels of a block of the last kernel of the gradient.
    const fn group(&self) -> usize {
        if self.padded() < SLICE { self.padded() } else { SLICE }
    }

    /// Blocks of that kernel for a chunk of a head.
    pub(super) const fn groups(&self) -> usize {
        self.padded().div_ceil(self.group())
    }

    const fn gradient_bytes(&self) -> usize {
        let channels = self.group() + 8;
        let readers = self.rows() + CHUNK_STEPS;
        let slab = self.planes() * (readers + self.rows() + 2 * self.group()) * (SLICE + 8) * 2;
        let inputs = 4 * ((self.n_edits + 1) * (CHUNK_STEPS * channels + 16) + CHUNK_STEPS * channels);
        let first = if slab > inputs { slab } else { inputs };
        first + self.planes() * readers * (self.rows() + 8) * 2 + (self.group() + self.rows() + 4) * 4
    }

    pub(super) const fn scan_threads(&self) -> usize {
        (self.padded() / 16 + OUTPUT_WARPS) * 32
    }

    fn kernel(&self, name: &'static str, source: &'static str, size: &'static str, shared_bytes: usize) -> Kernel {
        let defines = vec![
            // What `common.cu` asks for.
            ("N", self.n_edits),
            ("READS", 0),
            ("VALUES", 0),
            ("DK", self.d_k),
            ("DV", self.d_v),
            ("EDITS", self.n_edits),
            ("SPLIT", self.planes() - 1),
            ("LOG_DECAY", 0),
            ("NB", self.columns),
            ("STAGES", self.stages),
            ("GRADIENT", usize::from(self.pass == Pass::Backward)),
            (size, shared_bytes),
        ];
        Kernel { name, source, defines, shared_bytes }
    }

    pub(super) fn prepare(&self) -> Kernel {
        let name = match self.pass {
            Pass::Forward => "chunk_prepare",
            Pass::Backward => "chunk_prepare_gradient",
        };
        self.kernel(name, PREPARE, "PREPARE_BYTES", self.prepare_bytes())
    }

    pub(super) fn scan(&self) -> Kernel {
        let name = match self.pass {
            Pass::Forward => "chunk_scan",
            Pass::Backward => "chunk_scan_gradient",
        };
        self.kernel(name, SCAN, "SCAN_BYTES", self.stages * self.stage_bytes() + self.fixed_bytes())
    }

    pub(super) fn gradient(&self) -> Kernel {
        self.kernel("chunk_gradient", GRADIENT, "GRADIENT_BYTES", self.gradient_bytes())
    }
}

/// Every kernel of runs in chunks at these sizes, in both precisions, with every width of a block that the card has room for.
pub(super) fn chunk_kernels(dims: &Dims, n_edits: usize, card: CardLimits) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for (precision, columns) in
        [Precision::Split, Precision::Bf16].into_iter().flat_map(|precision| [16, 32, 64].map(|columns| (precision, columns)))
    {
        let plan = |pass| ChunkPlan::new(dims, n_edits, precision, pass, card, Some(columns));
        kernels.extend(plan(Pass::Forward).into_iter().flat_map(|plan| [plan.prepare(), plan.scan()]));
        kernels.extend(plan(Pass::Backward).into_iter().flat_map(|plan| [plan.prepare(), plan.scan(), plan.gradient()]));
    }
    kernels
}

const PREPARE: &str = concat!(
    include_str!("chunk_primitives.cu"),
    include_str!("chunk_tiles.cu"),
    include_str!("chunk_inputs.cu"),
    include_str!("chunk_prepare.cu")
);
const SCAN: &str = concat!(include_str!("chunk_primitives.cu"), include_str!("chunk_tiles.cu"), include_str!("chunk_scan.cu"));
const GRADIENT: &str = concat!(
    include_str!("chunk_primitives.cu"),
    include_str!("chunk_tiles.cu"),
    include_str!("chunk_inputs.cu"),
    include_str!("chunk_gradient.cu")
);

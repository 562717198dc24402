//! How a run is laid over a card: pure arithmetic, the same on every machine.

use super::super::Dims;
use super::error::CudaError;

/// Most channels of keys or values.
pub(super) const MOST_CHANNELS: usize = 256;
/// Lanes of a warp that share a column in the sequential kernels.
const ROW_LANES: usize = 8;
/// Lanes of a warp side by side in the sequential kernels.
const COLUMN_LANES: usize = 4;
/// Registers of a thread that hold the memory, at most.
const MOST_REGISTERS: usize = 128;
/// Warps that can be issued from at once, per multiprocessor.
const SCHEDULERS: usize = 4;
/// Bytes a nanosecond that a card writes, at least as many as any does: for how long what is staged lasts.
const WRITTEN_PER_NANOSECOND: usize = 4700;
/// Nanoseconds from one window for reads to the next, where memories are written all the time, and how long it is open.
const WINDOW: (usize, usize) = (32_000, 2_000);
/// Bytes of shared memory of a multiprocessor that a block in need of several neighbours takes.
const MUCH_SHARED: usize = 100 * 1024;

/// What a card offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardLimits {
    /// Multiprocessors.
    pub n_multiprocessors: usize,
    /// Bytes of shared memory a block can have.
    pub shared_bytes: usize,
}

/// When kernels that write all the time may read: every so many nanoseconds, and for how many; zeros if at any time.
pub type Window = (usize, usize);

/// Whether reads wait for windows: if what is staged lasts for longer than from one to the next.
fn window(staged_nanoseconds: usize) -> Window {
    if staged_nanoseconds * 10 >= WINDOW.0 * 13 { WINDOW } else { (0, 0) }
}

/// How whole memories leave the forward kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stores {
    /// They do not.
    #[default]
    Nothing,
    /// So many phases of each step, by the threads that hold them.
    ByThreads(usize),
    /// So many phases of each step, in bulk out of shared memory where it can be (compute capability 9.0 and later).
    InBulk(usize),
}

/// How the sequential forward kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardPlan {
    /// Columns of a thread: 1, 2, 4 or 8. Results do not depend on it.
    pub columns: usize,
    /// Warps of a block that hold columns.
    pub consumers: usize,
    /// Warps of a block that stage vectors.
    pub producers: usize,
    /// Steps of a stage.
    pub steps: usize,
    /// Stages in shared memory.
    pub stages: usize,
    /// Blocks.
    pub blocks: usize,
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
    /// Whole memories in shared memory on their way out; 0 if threads store them.
    pub tiles: usize,
    /// When vectors are staged.
    pub window: Window,
}

/// The form of a step as far as kernels are compiled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Edits of a step.
    pub n_edits: usize,
    /// Edits that read at a row of their own.
    pub n_elsewhere: usize,
    /// Edits with a value.
    pub n_values: usize,
    /// Key channels up to a multiple of 32.
    pub padded: usize,
}

/// Key channels as the kernels hold them.
pub(super) fn padded(d_k: usize) -> usize {
    d_k.next_multiple_of(32)
}

impl ForwardPlan {
    /// The plan for these sizes. `columns` forces the columns of a thread.
    pub fn new(dims: &Dims, form: Form, card: CardLimits, columns: Option<usize>, stores: Stores) -> Result<Self, CudaError> {
        let rows = form.padded / ROW_LANES;
        let warps = |columns: usize| dims.batch * dims.head * dims.d_v.div_ceil(COLUMN_LANES * columns);
        let busy = card.n_multiprocessors * SCHEDULERS * 9 / 10;
        let fits = |columns: &usize| rows * columns <= MOST_REGISTERS;
        if let (None, Stores::InBulk(phases)) = (columns, stores)
            && let Some(plan) = [8, 4].into_iter().filter(fits).find_map(|columns| Self::in_bulk(dims, form, card, columns, phases))
        {
            return Ok(plan);
        }
        // Threads that store memories have at least four columns.
        let least = if stores == Stores::Nothing { 1 } else { 4 };
        let columns = columns.filter(fits).unwrap_or_else(|| {
            // The most columns that still leave every scheduler a warp: fewer loads of vectors per column.
            [8, 4, 2].into_iter().filter(fits).filter(|&columns| columns >= least).find(|&columns| warps(columns) >= busy).unwrap_or(least)
        });
        let consumers = dims.d_v.div_ceil(COLUMN_LANES * columns).clamp(1, 4);
        let block_columns = consumers * COLUMN_LANES * columns;
        let slot = slot(form, block_columns);
        let stages = 3;
        let steps = [8, 4, 2, 1].into_iter().find(|&steps| stages * steps * slot * 4 <= card.shared_bytes.min(MUCH_SHARED));
        let steps = steps.or((stages * slot * 4 <= card.shared_bytes).then_some(1)).ok_or_else(|| {
            CudaError::Unsupported(format!(
                "a step with {} edits of {} key channels needs {} bytes of shared memory, the card has {}",
                form.n_edits,
                form.padded,
                stages * slot * 4,
                card.shared_bytes
            ))
        })?;
        Ok(Self {
            columns,
            consumers,
            // A warp alone is slow at many small things: more of them stage side by side.
            producers: steps.min(4),
            steps,
            stages,
            blocks: dims.batch * dims.head * dims.d_v.div_ceil(block_columns),
            shared_bytes: stages * steps * slot * 4,
            tiles: 0,
            window: (0, 0),
        })
    }

    /// If a block holds whole memories, and there is room to have two of them on their way out.
    fn in_bulk(dims: &Dims, form: Form, card: CardLimits, columns: usize, phases: usize) -> Option<Self> {
        let (consumers, stages, tiles) = (dims.d_v.div_ceil(COLUMN_LANES * columns), 3, 2);
        if dims.d_k != form.padded || dims.d_v != consumers * COLUMN_LANES * columns || consumers > 8 {
            return None;
        }
        let tile_bytes = 4 * dims.d_k * dims.d_v;
        let slot_bytes = 4 * slot(form, dims.d_v);
        let shared_bytes = |steps: usize| tiles * tile_bytes + stages * steps * slot_bytes;
        let steps = [12, 8, 4].into_iter().find(|&steps| shared_bytes(steps) <= card.shared_bytes)?;
        let blocks = dims.batch * dims.head;
        // Blocks at work at once, and how long all of them together take for what they have staged.
        let at_once = blocks.min(card.n_multiprocessors * (card.shared_bytes / shared_bytes(steps)).max(1));
        let staged = stages * steps * at_once * phases * tile_bytes / WRITTEN_PER_NANOSECOND;
        Some(Self {
            columns,
            consumers,
            producers: 4,
            steps,
            stages,
            blocks,
            shared_bytes: shared_bytes(steps),
            tiles,
            window: window(staged),
        })
    }
}

/// Floats of one step in shared memory, as `forward.cu` lays them out.
fn slot(form: Form, block_columns: usize) -> usize {
    let Form { n_edits, n_elsewhere, n_values, padded } = form;
    let vectors = (2 + n_edits + n_elsewhere) * padded + n_values * block_columns;
    (vectors + n_edits + n_edits * (n_edits + 1) / 2).next_multiple_of(4)
}

/// How the backward sweep is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepPlan {
    /// Columns of a thread: 1, 2 or 4.
    pub columns: usize,
    /// Warps of a block that hold columns.
    pub consumers: usize,
    /// Warps of a block that stage vectors.
    pub producers: usize,
    /// Steps of a group, whose memories stand in shared memory together.
    pub steps: usize,
    /// Groups staged at once.
    pub stages: usize,
    /// Blocks of columns of a memory.
    pub column_blocks: usize,
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
    /// Numbers of one memory's columns of a block.
    pub tile: usize,
}

impl SweepPlan {
    /// The plan for these sizes.
    pub fn new(dims: &Dims, form: Form, card: CardLimits, columns: Option<usize>) -> Result<Self, CudaError> {
        let rows = form.padded / ROW_LANES;
        let fits = |columns: &usize| rows * columns <= MOST_REGISTERS / 2;
        let columns = columns.filter(fits).unwrap_or_else(|| [4, 2, 1].into_iter().find(fits).unwrap_or(1));
        let consumers = dims.d_v.div_ceil(COLUMN_LANES * columns).clamp(1, 4);
        let block_columns = consumers * COLUMN_LANES * columns;
        let Form { n_edits, n_elsewhere, padded, .. } = form;
        let vectors = (2 + n_edits + n_elsewhere) * padded + (n_edits + 1) * block_columns;
        let slot = (vectors + n_edits + n_edits * (n_edits + 1) / 2).next_multiple_of(4);
        let (stages, tile) = (3, padded * block_columns);
        let shared = |steps: usize| 4 * steps * (stages * slot + tile + consumers * (2 * n_edits + 2) * padded);
        // Two blocks of a multiprocessor hide each other's waiting, if groups need not be single steps for it.
        let steps = [4, 2].into_iter().find(|&steps| shared(steps) <= card.shared_bytes / 2 - 1024);
        let steps = steps.or_else(|| [4, 2, 1].into_iter().find(|&steps| shared(steps) <= card.shared_bytes));
        let steps = steps.ok_or_else(|| {
            CudaError::Unsupported(format!(
                "the backward pass of {n_edits} edits of {padded} key channels needs {} bytes of shared memory, the card has {}",
                shared(1),
                card.shared_bytes
            ))
        })?;
        let column_blocks = dims.d_v.div_ceil(block_columns);
        Ok(Self { columns, consumers, producers: steps.min(2), steps, stages, column_blocks, shared_bytes: shared(steps), tile })
    }

    /// Numbers of workspace each step needs: sums over columns, and gradients of pseudo-values.
    pub const fn step_numbers(&self, dims: &Dims, form: Form) -> usize {
        dims.batch * dims.head * (self.column_blocks * (2 * form.n_edits + 2) * form.padded + form.n_edits * dims.d_v)
    }
}

/// How the replay kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayPlan {
    /// Threads along a row, four columns each.
    pub column_threads: usize,
    /// Rows of a thread.
    pub rows: usize,
    /// Warps of a block that hold the memory.
    pub consumers: usize,
    /// Steps of a stage.
    pub steps: usize,
    /// Stages in shared memory.
    pub stages: usize,
    /// Blocks of columns of a memory.
    pub column_blocks: usize,
    /// Chunks between checkpoints that a block goes through, one after the other.
    pub chunks_per_run: usize,
    /// Blocks.
    pub blocks: usize,
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
    /// When vectors are staged.
    pub window: Window,
}

/// What is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Heads of every sequence.
    pub heads: usize,
    /// Phases of every step.
    pub phases: usize,
    /// Chunks between checkpoints.
    pub chunks: usize,
    /// Steps of a chunk.
    pub every: usize,
}

impl ReplayPlan {
    /// The plan for these sizes.
    pub fn new(dims: &Dims, form: Form, card: CardLimits, replayed: Replayed) -> Self {
        let column_threads = dims.d_v.div_ceil(4).next_power_of_two().clamp(4, 32);
        let block_columns = 4 * column_threads;
        // Rows by sixteen if that still gives whole warps, else fewer.
        let rows = [16, 8, 4].into_iter().find(|rows| column_threads * (form.padded / rows) >= 128).unwrap_or(4);
        let consumers = (column_threads * (form.padded / rows)).div_ceil(32);
        let stages = 3;
        let slot_bytes = 4 * ((1 + form.n_edits) * form.padded + form.n_edits * block_columns);
        let column_blocks = dims.d_v.div_ceil(block_columns);
        // Runs of chunks: as many as work at once, or so many that the last ones matter little.
        let sequences = (dims.batch * replayed.heads * column_blocks).max(1);
        let runs = match card.n_multiprocessors / sequences {
            0 => (8 * card.n_multiprocessors).div_ceil(sequences),
            runs => runs,
        };
        let chunks_per_run = (replayed.chunks / runs.max(1)).max(1);
        let blocks = sequences * replayed.chunks.div_ceil(chunks_per_run);
        // How long all blocks together take for what they have staged; a window is worth it for runs that outlast several.
        let bytes = 4 * replayed.phases * dims.d_k.min(form.padded) * block_columns.min(dims.d_v);
        let nanoseconds = |steps: usize| steps * blocks.min(card.n_multiprocessors) * bytes / WRITTEN_PER_NANOSECOND;
        let fits = |steps: &usize| stages * steps * slot_bytes <= card.shared_bytes.min(128 * 1024);
        let long = nanoseconds(chunks_per_run * replayed.every) >= 8 * WINDOW.0;
        let window = |steps: usize| if long { window(nanoseconds(stages * steps)) } else { (0, 0) };
        let staging = [16, 8].into_iter().filter(fits).find(|&steps| window(steps) != (0, 0));
        let steps = staging.unwrap_or_else(|| [4, 2].into_iter().find(fits).unwrap_or(1));
        Self {
            column_threads,
            rows,
            consumers,
            steps,
            stages,
            column_blocks,
            chunks_per_run,
            blocks,
            shared_bytes: stages * steps * slot_bytes,
            window: window(steps),
        }
    }
}

/// The chunks that hold steps `steps` when there is a checkpoint before every `every`-th step.
pub(super) fn chunks(steps: &std::ops::Range<usize>, every: usize) -> std::ops::Range<usize> {
    steps.start / every..steps.end.div_ceil(every)
}

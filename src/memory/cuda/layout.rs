//! The arguments of every kernel, in the layout of `common.cu`.

use cudarc::driver::DeviceRepr;

/// Most edits of a step.
pub(super) const MOST_EDITS: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct RowsArgument {
    pub data: u64,
    pub batch_stride: i64,
    pub step_stride: i64,
    pub head_stride: i64,
    pub heads: i32,
    /// Bit 0: bf16 rather than f32. Bit 1: rows are aligned for vector loads.
    pub flags: i32,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct EditArgument {
    pub strength: RowsArgument,
    pub direction: RowsArgument,
    pub read: RowsArgument,
    pub value: RowsArgument,
}

/// `struct Args` of `common.cu`, where the fields are described. 0 is a null pointer.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Arguments {
    pub batch: i32,
    pub head: i32,
    pub d_k: i32,
    pub d_v: i32,
    pub first_step: i32,
    pub n_steps: i32,
    pub n_erases: i32,
    pub checkpoint_every: i32,
    pub query: RowsArgument,
    pub retention: RowsArgument,
    pub edits: [EditArgument; MOST_EDITS],
    pub initial: u64,
    pub output: u64,
    pub pseudo_values: [u64; MOST_EDITS],
    pub residuals: [u64; MOST_EDITS],
    pub checkpoints: u64,
    pub dense: [u64; 4],
    pub final_memory: u64,
    pub out_first: i32,
    pub out_steps: i32,
    pub checkpoint_first: i32,
    pub n_checkpoints: i32,
    pub dense_first: i32,
    pub dense_steps: i32,
    pub dense_head: u64,
    pub dense_heads: i32,
    pub n_chunks: i32,
    pub chunks_per_run: i32,
    pub progress_every: i32,
    pub progress: u64,
}

// `common.cu` asserts the same number.
const _: () = assert!(size_of::<Arguments>() == 1640);

/// `struct GradientArgs` of `gradient.cu`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct GradientArguments {
    pub base: Arguments,
    pub grad_output: RowsArgument,
    pub gradient_after: u64,
    pub gradient_before: u64,
    pub scratch: u64,
    pub grad_values: [u64; MOST_EDITS],
    pub sums: u64,
    pub query: u64,
    pub retention: u64,
    pub strength: [u64; MOST_EDITS],
    pub direction: [u64; MOST_EDITS],
    pub read: [u64; MOST_EDITS],
    pub value: [u64; MOST_EDITS],
    pub key_head: i32,
    pub column_blocks: i32,
    pub query_heads: i32,
    pub retention_heads: i32,
    pub direction_heads: [i32; MOST_EDITS],
    pub read_heads: [i32; MOST_EDITS],
    pub value_heads: [i32; MOST_EDITS],
}

const _: () = assert!(size_of::<GradientArguments>() == 1640 + 40 + 24 + 64 + 8 + 16 + 256 + 16 + 96);

/// `struct AdjointArgs` of `adjoint.cu`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct AdjointArguments {
    pub base: Arguments,
    pub queries: u64,
    pub coefficients: u64,
    pub adjoints: u64,
    pub n_queries: i32,
    pub steps: i32,
}

const _: () = assert!(size_of::<AdjointArguments>() == 1640 + 32);

// SAFETY: plain numbers in C's layout, passed by value.
unsafe impl DeviceRepr for Arguments {}
// SAFETY: as above.
unsafe impl DeviceRepr for GradientArguments {}
// SAFETY: as above.
unsafe impl DeviceRepr for AdjointArguments {}

// What every kernel shares: the layout of the arguments (the Rust twin is `layout.rs`), loads of either element type, and
// the staging of a head's vectors into shared memory by warps that do nothing else.
//
// Compiled by NVRTC with no header. Given by the host:
//   N          edits of a step
//   DK         key channels, up to a multiple of 32
//   READS      what each edit reads, two bits each from the lowest: 0 nothing, 1 its direction, 2 another place, 3 before decay
//   VALUES     which edits have a value, one bit each
//   D_K, D_V   channels of keys and values
//   F_QUERY, F_RETENTION, F_DIRECTION, F_READ, F_VALUE   how these arrays stand (bits of `Rows::flags`; two bits an edit)

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;
typedef long long i64;

#define MOST_EDITS 8
#define WARP 32
#define ROW_LANES 8
#define COLUMN_LANES 4

// An array [batch, step, head, width]; `head` of the memory h is h * heads / A.head. Strides are in elements.
struct Rows {
    const void* data;
    i64 batch_stride;
    i64 step_stride;
    i64 head_stride;
    int heads;
    // Bit 0: bf16 rather than f32. Bit 1: rows are aligned for vector loads.
    int flags;
};

struct Edit {
    Rows strength;
    Rows direction;
    Rows read;
    Rows value;
};

struct Args {
    int batch, head, d_k, d_v;
    // Steps [first_step, first_step + n_steps) are run; arrays of inputs are indexed by the step itself.
    int first_step, n_steps, n_erases, checkpoint_every;
    Rows query;
    Rows retention;
    Edit edits[MOST_EDITS];
    const float* initial;          // [batch, head, d_k, d_v] or null
    float* output;                 // [batch, out_steps, head, d_v]
    float* pseudo_values[MOST_EDITS];
    float* residuals[MOST_EDITS];
    float* checkpoints;            // [batch, n_checkpoints, head, d_k, d_v]
    float* dense[4];               // [batch, dense_steps, dense_heads, d_k, d_v]
    float* final_memory;           // [batch, head, d_k, d_v]
    // Step of the first row of output, pseudo-values and residuals, and how many rows they have.
    int out_first, out_steps;
    int checkpoint_first, n_checkpoints;
    int dense_first, dense_steps;
    // Replay: heads to write (device array) or null for all.
    const int* dense_head;
    int dense_heads;
    // Replay: chunks between checkpoints, of which a block takes so many, one after the other.
    int n_chunks, chunks_per_run;
    // Forward: every warp that has made another so many steps adds 1 (null: nobody asks).
    int progress_every;
    u32* progress;
};
// `layout.rs` asserts the same number.
static_assert(sizeof(Args) == 1640, "layout of the arguments");

__device__ __forceinline__ float bf16_to_f32(u16 x) { return __uint_as_float((u32)x << 16); }

__device__ __forceinline__ float load1(const Rows& rows, const void* row, int i) {
    return (rows.flags & 1) ? bf16_to_f32(((const u16*)row)[i]) : ((const float*)row)[i];
}

__device__ __forceinline__ const void* row_at(const Rows& rows, int batch, int step, int head, int n_heads) {
    const i64 h = head * rows.heads / n_heads;
    i64 offset = batch * rows.batch_stride + step * rows.step_stride + h * rows.head_stride;
    return (const char*)rows.data + offset * ((rows.flags & 1) ? 2 : 4);
}

__device__ __forceinline__ void copy_async_16(float* to, const void* from) {
    u32 address = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
__device__ __forceinline__ void copy_async_4(float* to, const void* from) {
    u32 address = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(address), "l"(from) : "memory");
}
__device__ __forceinline__ void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LEFT> __device__ __forceinline__ void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory"); }

__device__ __forceinline__ void barrier_sync(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }
__device__ __forceinline__ void barrier_arrive(int id, int threads) { asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

__device__ __forceinline__ void copy_async_8(float* to, const void* from) {
    u32 address = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(address), "l"(from) : "memory");
}

// The rows of one head of an array: no division is left for the loop over steps.
struct Source {
    const char* base;
    i64 stride;
    int flags;
};

__device__ __forceinline__ Source source(const Rows& rows, int flags, int batch, int head, int n_heads, int first = 0) {
    Source x;
    x.flags = flags;  // known to the compiler: nothing is left to decide in the loop over steps
    x.stride = rows.step_stride * ((flags & 1) ? 2 : 4);
    x.base = (const char*)row_at(rows, batch, 0, head, n_heads) + (i64)first * ((flags & 1) ? 2 : 4);
    return x;
}

__device__ __forceinline__ constexpr int format(int formats, int j) { return (formats >> (2 * j)) & 3; }

// The first `count` numbers of a row into shared memory, by one warp. Aligned rows go asynchronously, those of bf16 into the
// upper half of their room, from where `convert_row` spreads them once they have landed.
__device__ __forceinline__ void stage_row(float* to, const Source& x, int t, int count, int lane) {
    const char* from = x.base + t * x.stride;
    if (x.flags & 1) {
        if (x.flags & 2)
            for (int i = 4 * lane; i < count; i += 4 * WARP) copy_async_8(to + count / 2 + i / 2, from + 2 * i);
        else
            for (int i = lane; i < count; i += WARP) to[i] = bf16_to_f32(((const u16*)from)[i]);
    } else {
        if (x.flags & 2)
            for (int i = 4 * lane; i < count; i += 4 * WARP) copy_async_16(to + i, from + 4 * i);
        else
            for (int i = lane; i < count; i += WARP) copy_async_4(to + i, from + 4 * i);
    }
}

__device__ __forceinline__ void convert_row(float* to, const Source& x, int count, int lane) {
    if ((x.flags & 3) != 3) return;
    for (int first = 0; first < count; first += 4 * WARP) {
        const int i = first + 4 * lane;
        uint2 pair;
        if (i < count) pair = *(const uint2*)(to + count / 2 + i / 2);
        __syncwarp();
        if (i < count)
            *(float4*)(to + i) = make_float4(__uint_as_float(pair.x << 16), __uint_as_float(pair.x & 0xffff0000u),
                                             __uint_as_float(pair.y << 16), __uint_as_float(pair.y & 0xffff0000u));
        __syncwarp();
    }
}

__host__ __device__ constexpr int read_kind(int j) { return (READS >> (2 * j)) & 3; }
__host__ __device__ constexpr bool has_value(int j) { return (VALUES >> j) & 1; }
// Whether the edit reads at a row of its own.
__host__ __device__ constexpr bool reads_elsewhere(int j) { return read_kind(j) >= 2; }
__host__ __device__ constexpr int n_elsewhere(int j) { return j == 0 ? 0 : n_elsewhere(j - 1) + (reads_elsewhere(j - 1) ? 1 : 0); }
__host__ __device__ constexpr int n_valued(int j) { return j == 0 ? 0 : n_valued(j - 1) + (has_value(j - 1) ? 1 : 0); }
// Place of c_j . direction_i (i < j) among a step's couplings; the query is the last read, j = N.
__host__ __device__ constexpr int coupling(int j, int i) { return j * (j - 1) / 2 + i; }
constexpr int N_COUPLINGS = N * (N + 1) / 2;

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int mask = 16; mask > 0; mask >>= 1) x += __shfl_xor_sync(0xffffffffu, x, mask);
    return x;
}

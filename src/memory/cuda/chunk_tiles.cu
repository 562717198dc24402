// Sizes, layouts and tiles that the chunk kernels share. Set when compiled:
//   DK, DV       channels of a key and of a value, 1 to 256, as they are
//   EDITS        2: an erase row and a write row for every step; 1: write rows only
//   SPLIT        1: operands are a sum of two bf16 numbers (16 bits of mantissa), three products each; 0: one bf16 number
//   LOG_DECAY    1: decays are natural logarithms; 0: retentions
//   NB           columns of the memory that a block of the scan owns: 16, 32 or 64
//   STAGES       chunks that the scan holds in shared memory
// A chunk is 32 steps. Its rows are its edits in order: row EDITS t + j is edit j of step t.

constexpr int STEPS = 32;
constexpr int ROWS = STEPS * EDITS;
constexpr int DKP = (DK + 15) / 16 * 16;
constexpr int COLUMN_BLOCKS = (DV + NB - 1) / NB;
constexpr int DVP = COLUMN_BLOCKS * NB;
constexpr int PLANES = 1 + SPLIT;
// Rows of shared tiles are apart by 8 mod 64 numbers, so eight of them lie in different banks.
constexpr int KEY_STRIDE = DKP + 8;
constexpr int ROW_STRIDE = ROWS + 8;
constexpr int COLUMN_STRIDE = NB + 8;
// A step keeps at least 2^-24 of a channel: below the rounding of f32, and 4 steps of it stay within its range.
constexpr float LEAST_LOG2 = -24.0f;
constexpr float LARGEST_EXPONENT = 100.0f;
// Strengths are divided by: smaller ones are taken as this.
constexpr float LEAST_STRENGTH = 1e-12f;

// Records of the workspace, one per chunk of a head, exactly as the scan wants them in shared memory.
// Forward: A = [W; Q^] and B = [X_], then A_qk, then the decay of the chunk. Backward: A = [W'], B = [X^; Q^], the decay.
constexpr int FORWARD_A_ROWS = ROWS + STEPS;
constexpr int BACKWARD_B_ROWS = ROWS + STEPS;
constexpr int FORWARD_A_BYTES = PLANES * FORWARD_A_ROWS * KEY_STRIDE * 2;
constexpr int FORWARD_B_BYTES = PLANES * (ROWS * KEY_STRIDE + STEPS * ROW_STRIDE) * 2 + DKP * 4;
constexpr int BACKWARD_A_BYTES = PLANES * ROWS * KEY_STRIDE * 2;
constexpr int BACKWARD_B_BYTES = PLANES * BACKWARD_B_ROWS * KEY_STRIDE * 2 + DKP * 4;
constexpr int OWN_BYTES = ROWS * NB * 4;

extern __shared__ __align__(128) unsigned char shared_memory[];

// If no channel decays by more than 2^-this from the middle of a chunk to its ends, all its rows meet in the middle.
constexpr float WHOLE_RANGE = 100.0f;

// Sizes of a call.
struct Sizes {
    int n_heads;
    int first_step, end_step;  // of the run; its first chunk starts there
    int out_first, out_steps;  // first step and number of the rows of f32 arrays [batch, row, head, channel]
    int first_chunk, n_chunks; // of this call, within the run
};

__device__ __forceinline__ i64 out_row(const Sizes& sizes, int batch, int step, int head) {
    return ((i64)batch * sizes.out_steps + step - sizes.out_first) * sizes.n_heads + head;
}

// Two numbers as sums of P bf16 numbers; with one, `fine` is left as it is.
template <int P> __device__ __forceinline__ void split(float x, float y, u32& coarse, u32& fine) {
    const u32 rounded = pack(x, y);
    coarse = rounded;
    if (P == 2) fine = pack(x - low(rounded), y - high(rounded));
}

// Fragments of operands, as the sum of P bf16 tiles.
template <int P> struct Left {
    u32 x[P][4];
};
template <int P> struct Right {
    u32 x[P][2];
};
typedef Left<PLANES> TileA;
typedef Right<PLANES> TileB;

template <int P> __device__ __forceinline__ void multiply(float (&sum)[4], const Left<P>& a, const Right<P>& b) {
    if (P == 2) {
        mma(sum, a.x[P - 1], b.x[0]);
        mma(sum, a.x[0], b.x[P - 1]);
    }
    mma(sum, a.x[0], b.x[0]);
}

// a[16, 16] of a row-major tile.
template <int P> __device__ __forceinline__ void load_a(Left<P>& a, const u16* tile, int stride, int plane, int row, int k, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++)
        load_matrices(a.x[p], tile + p * plane + (row + (lane & 15)) * stride + k + (lane >> 4) * 8);
}
// The same of a tile that is stored transposed.
template <int P> __device__ __forceinline__ void load_a_transposed(Left<P>& a, const u16* tile, int stride, int plane, int row, int k, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++)
        load_matrices_transposed(a.x[p], tile + p * plane + (k + (lane >> 4) * 8 + (lane & 7)) * stride + row + ((lane >> 3) & 1) * 8);
}
template <int P> __device__ __forceinline__ void take_pair(Right<P>& b, Right<P>& b_next, const u32 (&r)[4], int p) {
    b.x[p][0] = r[0], b.x[p][1] = r[1], b_next.x[p][0] = r[2], b_next.x[p][1] = r[3];
}
// b[16, 16] of a row-major [k, column] tile, as two tiles of 8 columns.
template <int P> __device__ __forceinline__ void load_b_pair(Right<P>& b, Right<P>& b_next, const u16* tile, int stride, int plane, int k, int column, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++) {
        u32 r[4];
        load_matrices_transposed(r, tile + p * plane + (k + (lane & 15)) * stride + column + (lane >> 4) * 8);
        take_pair(b, b_next, r, p);
    }
}
// The same of a tile that is stored [column, k].
template <int P>
__device__ __forceinline__ void load_b_pair_transposed(Right<P>& b, Right<P>& b_next, const u16* tile, int stride, int plane, int k, int column, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++) {
        u32 r[4];
        load_matrices(r, tile + p * plane + (column + (lane & 7) + (lane >> 4) * 8) * stride + k + ((lane >> 3) & 1) * 8);
        take_pair(b, b_next, r, p);
    }
}
// b[32, 8]: two tiles that follow one another in k.
template <int P> __device__ __forceinline__ void load_b_deep(Right<P>& b, Right<P>& b_next, const u16* tile, int stride, int plane, int k, int column, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++) {
        u32 r[4];
        load_matrices_transposed(r, tile + p * plane + (k + lane) * stride + column);
        take_pair(b, b_next, r, p);
    }
}
template <int P> __device__ __forceinline__ void load_b_deep_transposed(Right<P>& b, Right<P>& b_next, const u16* tile, int stride, int plane, int k, int column, int lane) {
#pragma unroll
    for (int p = 0; p < P; p++) {
        u32 r[4];
        load_matrices(r, tile + p * plane + (column + (lane & 7)) * stride + k + (lane >> 3) * 8);
        take_pair(b, b_next, r, p);
    }
}
// The sums of two neighbouring tiles of 8 columns, times `sign`, as the left operand of the next product.
template <int P> __device__ __forceinline__ void left_of(Left<P>& a, const float (&x)[4], const float (&y)[4], float sign) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        split<P>(sign * x[2 * i], sign * x[2 * i + 1], a.x[0][i], a.x[P - 1][i]);
        split<P>(sign * y[2 * i], sign * y[2 * i + 1], a.x[0][2 + i], a.x[P - 1][2 + i]);
    }
}

// Two neighbours of a tile of P bf16 planes.
template <int P> __device__ __forceinline__ void put_pair(u16* tile, int plane, int index, float x, float y) {
    const u32 coarse = pack(x, y);
    *(u32*)(tile + index) = coarse;
    if (P == 2) *(u32*)(tile + plane + index) = pack(x - low(coarse), y - high(coarse));
}
__device__ __forceinline__ void put_pair(u16* tile, int plane, int index, float x, float y) { put_pair<PLANES>(tile, plane, index, x, y); }
// Four neighbours.
__device__ __forceinline__ void put_four(u16* tile, int plane, int index, float4 x) {
    uint2 coarse = make_uint2(pack(x.x, x.y), pack(x.z, x.w));
    *(uint2*)(tile + index) = coarse;
    if (SPLIT) *(uint2*)(tile + plane + index) = make_uint2(pack(x.x - low(coarse.x), x.y - high(coarse.x)), pack(x.z - low(coarse.y), x.w - high(coarse.y)));
}

// The first of n_columns that a row of an f32 array has from `column` on, two at a time.
__device__ __forceinline__ void store_pair(float* row, int column, int n_columns, float x, float y) {
    if (n_columns % 2 == 0) {
        if (column < n_columns) *(float2*)(row + column) = make_float2(x, y);
    } else {
        if (column < n_columns) row[column] = x;
        if (column + 1 < n_columns) row[column + 1] = y;
    }
}

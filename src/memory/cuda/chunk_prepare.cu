// What a chunk does to any memory it finds, from its inputs alone: one block of 256 threads per chunk of a head.
//
// Rows r with direction x_r, strength s_r and value v_r (0 for an erase) at step t(r); G_t the sum of log2 decays through t.
//   X^_r = x_r 2^G_t(r)    X__r = x_r 2^(G_end - G_t(r))    Q^_t = q_t 2^G_t
//   L_rj = sum_c x_r x_j 2^(G_t(r) - G_t(j)), j < r         A_tj = sum_c q_t x_j 2^(G_t - G_t(j)), t(j) <= t
// Forward: (1 + diag(s) L) [W | U] = diag(s) [X^ | V].   Backward: (1 + L^T diag(s)) [W' | Z0] = [X_ | A^T dO], then times s.
// L and A: readers and rows meet at a step between them. If no channel decays by more than 2^-100 to the middle of the chunk
// or from there, that is the middle for all; else each 8 steps of rows are met at their own middle, 4 steps away at most.
// The systems: by blocks of 16 rows, from the first on or from the last back, with the inverses of the diagonal blocks. Columns
// stand across a warp's lanes (transposed), so that what one product gives is the left operand of the next.

constexpr int PREPARE_THREADS = 256;
constexpr int PREPARE_WARPS = PREPARE_THREADS / 32;
constexpr int ROW_BLOCKS = ROWS / 16;
constexpr int SLICE = DKP < 64 ? DKP : 64;  // key channels at a time
constexpr int SLICE_STRIDE = 64 + 8;
constexpr int SOLVE_PLANE = ROWS * ROW_STRIDE;
constexpr int MEETING_PLANE = STEPS * ROW_STRIDE;
constexpr int READER_PLANE = (ROWS + STEPS) * SLICE_STRIDE;
constexpr int WRITER_PLANE = ROWS * SLICE_STRIDE;
constexpr int DIAGONAL_STRIDE = 17;
constexpr int FORWARD_PREPARE_BYTES = STEPS * CHANNEL_STRIDE * 4 + ROW_BLOCKS * 16 * DIAGONAL_STRIDE * 4 + (ROWS + 4) * 4
    + (2 * SOLVE_PLANE + PLANES * (READER_PLANE + WRITER_PLANE)) * 2;
constexpr int BACKWARD_PREPARE_BYTES = FORWARD_PREPARE_BYTES + PLANES * MEETING_PLANE * 2;
#ifdef PREPARE_BYTES
static_assert((GRADIENT ? BACKWARD_PREPARE_BYTES : FORWARD_PREPARE_BYTES) == PREPARE_BYTES, "the host reserves another size");
#endif

struct PrepareMemory {
    float *decay, *diagonal, *strengths;
    int* strong;
    u16 *solve, *readers, *writers, *attention;
};

// Readers (and writers) of one of the inputs, for some channels; with the first region, what the scan wants of them too.
template <bool BACKWARD, bool QUERY>
__device__ __forceinline__ void fill(const PrepareMemory& s, const Rows& rows, int edit, const Region& region, int slice, u16* record, int record_plane,
                                     const Place& p, const Sizes& sizes, int thread) {
    constexpr int groups = SLICE / 4;
#pragma unroll 2
    for (int i = thread; i < STEPS * groups; i += PREPARE_THREADS) {
        const int step = i / groups, c = slice + i % groups * 4;
        if (c >= DKP) continue;
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (step < p.n_steps) x = four_of(rows, row_at(rows, p.batch, p.first_step + step, p.head, sizes.n_heads), c, DK);
        const float4 d = *(const float4*)(s.decay + step * CHANNEL_STRIDE + c);
        const float4 m = *(const float4*)(s.decay + region.middle * CHANNEL_STRIDE + c);
        const int row = QUERY ? ROWS + step : step * EDITS + edit, at = row * SLICE_STRIDE + c - slice;
        put_four(s.readers, READER_PLANE, at,
                 make_float4(x.x * power_of_two(fminf(d.x - m.x, LARGEST_EXPONENT)), x.y * power_of_two(fminf(d.y - m.y, LARGEST_EXPONENT)),
                             x.z * power_of_two(fminf(d.z - m.z, LARGEST_EXPONENT)), x.w * power_of_two(fminf(d.w - m.w, LARGEST_EXPONENT))));
        if (!QUERY && step >= region.first_step && step < region.last_step)
            put_four(s.writers, WRITER_PLANE, at,
                     make_float4(x.x * power_of_two(m.x - d.x), x.y * power_of_two(m.y - d.y), x.z * power_of_two(m.z - d.z), x.w * power_of_two(m.w - d.w)));
        if (region.first_step == 0) {
            float4 e = d;
            if (!QUERY && !BACKWARD) {
                e = *(const float4*)(s.decay + (STEPS - 1) * CHANNEL_STRIDE + c);
                e = make_float4(e.x - d.x, e.y - d.y, e.z - d.z, e.w - d.w);
            }
            put_four(record, record_plane, row * KEY_STRIDE + c,
                     make_float4(x.x * power_of_two(e.x), x.y * power_of_two(e.y), x.z * power_of_two(e.z), x.w * power_of_two(e.w)));
        }
    }
}

// A 16 x (8 EDITS) tile of L or of A: readers of one tile, rows of 8 steps.
struct Meeting {
    int tile, group;
    bool seen;
};
constexpr int MOST_MEETINGS = ((ROW_BLOCKS + STEPS / 16) * (STEPS / 8) + PREPARE_WARPS - 1) / PREPARE_WARPS;

__device__ __forceinline__ int meetings_of(Meeting (&own)[MOST_MEETINGS], const Region& region, int warp) {
    int task = 0;
    for (int i = 0; i < MOST_MEETINGS; i++) own[i].tile = -1, own[i].group = 0, own[i].seen = false;
    for (int tile = 0; tile < ROW_BLOCKS + STEPS / 16; tile++) {
        const int last_step = tile < ROW_BLOCKS ? (tile * 16 + 15) / EDITS : (tile - ROW_BLOCKS) * 16 + 15;
        for (int group = region.first_step / 8; group < region.last_step / 8; group++) {
            const bool seen = group * 8 <= last_step;
            // Outputs want zeros where the queries see nothing.
            if (!seen && tile < ROW_BLOCKS) continue;
#pragma unroll
            for (int i = 0; i < MOST_MEETINGS; i++)
                if (task == warp + i * PREPARE_WARPS) own[i].tile = tile, own[i].group = group, own[i].seen = seen;
            task++;
        }
    }
    return task;
}

// L times strengths, split, with its diagonal blocks elsewhere in f32; A into `attention`.
__device__ __forceinline__ void store_meeting(const PrepareMemory& s, const Meeting& meeting, const float (&sum)[EDITS][4], u16* attention, int lane) {
    const int g = lane >> 2, t = lane & 3;
#pragma unroll
    for (int n = 0; n < EDITS; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int reader = meeting.tile * 16 + g + 8 * i, row = (meeting.group * EDITS + n) * 8 + 2 * t;
            float x = sum[n][2 * i], y = sum[n][2 * i + 1];
            if (meeting.tile >= ROW_BLOCKS) {
                const int step = reader - ROWS;
                put_pair(attention, MEETING_PLANE, step * ROW_STRIDE + row, row / EDITS <= step ? x : 0.0f, (row + 1) / EDITS <= step ? y : 0.0f);
            } else {
                x *= s.strengths[reader], y *= s.strengths[reader];
                if (row / 16 == meeting.tile) {
                    float* block = s.diagonal + (meeting.tile * 16 + reader % 16) * DIAGONAL_STRIDE + row % 16;
                    block[0] = x, block[1] = y;
                } else {
                    put_pair<2>(s.solve, SOLVE_PLANE, reader * ROW_STRIDE + row, x, y);
                }
            }
        }
}

// The inverses of the diagonal blocks, in their places; one thread per column.
__device__ __forceinline__ void invert_diagonal(const PrepareMemory& s, int thread) {
    if (thread >= ROWS) return;
    const int block = thread / 16, j = thread % 16;
    const float* matrix = s.diagonal + block * 16 * DIAGONAL_STRIDE;
    float x[16];
#pragma unroll
    for (int i = 0; i < 16; i++) x[i] = i == j ? 1.0f : 0.0f;
#pragma unroll
    for (int k = 0; k < 15; k++)
#pragma unroll
        for (int i = k + 1; i < 16; i++) x[i] -= matrix[i * DIAGONAL_STRIDE + k] * x[k];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        u16* to = s.solve + (block * 16 + i) * ROW_STRIDE + thread;
        const u32 coarse = pack(x[i], 0.0f);
        to[0] = (u16)coarse, to[SOLVE_PLANE] = (u16)pack(x[i] - low(coarse), 0.0f);
    }
}

// x[column, row] <- the solution of 16 columns.
template <bool BACKWARD> __device__ __forceinline__ void solve(float (&x)[ROWS / 8][4], const u16* matrix, int lane) {
    Left<2> solved[ROW_BLOCKS];
#pragma unroll
    for (int i = 0; i < ROW_BLOCKS; i++) {
        const int block = BACKWARD ? ROW_BLOCKS - 1 - i : i;
        Right<2> b, b_next;
        auto load = [&](int from) {
            if (BACKWARD) load_b_pair(b, b_next, matrix, ROW_STRIDE, SOLVE_PLANE, from * 16, block * 16, lane);
            else load_b_pair_transposed(b, b_next, matrix, ROW_STRIDE, SOLVE_PLANE, from * 16, block * 16, lane);
        };
#pragma unroll
        for (int j = 0; j < i; j++) {
            const int from = BACKWARD ? ROW_BLOCKS - 1 - j : j;
            load(from);
            multiply(x[2 * block], solved[from], b);
            multiply(x[2 * block + 1], solved[from], b_next);
        }
        Left<2> a;
        left_of(a, x[2 * block], x[2 * block + 1], 1.0f);
        load(block);
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) x[2 * block + n][e] = 0.0f;
        multiply(x[2 * block], a, b);
        multiply(x[2 * block + 1], a, b_next);
        if (i + 1 < ROW_BLOCKS) left_of(solved[block], x[2 * block], x[2 * block + 1], -1.0f);
    }
}

template <bool BACKWARD>
__device__ __forceinline__ void prepare(const Sizes& sizes, const ChunkInputs& in, unsigned char* a_records, unsigned char* b_records, float* own) {
    const int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const Place p = place_of(sizes, blockIdx.x, blockIdx.y, blockIdx.z);
    PrepareMemory s;
    s.decay = (float*)shared_memory;
    s.diagonal = s.decay + STEPS * CHANNEL_STRIDE;
    s.strengths = s.diagonal + ROW_BLOCKS * 16 * DIAGONAL_STRIDE;
    s.strong = (int*)(s.strengths + ROWS);
    s.solve = (u16*)(s.strong + 4);
    s.readers = s.solve + 2 * SOLVE_PLANE;
    s.writers = s.readers + PLANES * READER_PLANE;
    s.attention = s.writers + PLANES * WRITER_PLANE;
    if (thread == 0) *s.strong = 0;
    if (EDITS == 2) load_strengths(s.strengths, in.erase_strength, 0, p, sizes, thread, PREPARE_THREADS);
    load_strengths(s.strengths, in.write_strength, EDITS - 1, p, sizes, thread, PREPARE_THREADS);
    load_decays(s.decay, in.decay, p, sizes, thread, PREPARE_THREADS);

    u16* a = (u16*)(a_records + (i64)p.record * (BACKWARD ? BACKWARD_A_BYTES : FORWARD_A_BYTES));
    u16* b = (u16*)(b_records + (i64)p.record * (BACKWARD ? BACKWARD_B_BYTES : FORWARD_B_BYTES));
    constexpr int a_plane = (BACKWARD ? ROWS : FORWARD_A_ROWS) * KEY_STRIDE;
    constexpr int b_plane = (BACKWARD ? BACKWARD_B_ROWS : ROWS) * KEY_STRIDE;
    u16* attention = BACKWARD ? s.attention : b + PLANES * b_plane;
    float* whole_decay = (float*)(b + PLANES * (b_plane + (BACKWARD ? 0 : MEETING_PLANE)));
    const float* end = s.decay + (STEPS - 1) * CHANNEL_STRIDE;
    for (int c = thread; c < DKP; c += PREPARE_THREADS) {
        if (is_strong(s.decay + c)) *s.strong = 1;
        whole_decay[c] = power_of_two(end[c]);
    }
    __syncthreads();

    for (int first_step = 0; first_step < STEPS; first_step = first_step == 0 && !*s.strong ? STEPS : first_step + 8) {
        const Region region = region_at(first_step, *s.strong);
        Meeting meetings[MOST_MEETINGS];
        meetings_of(meetings, region, warp);
        float sum[MOST_MEETINGS][EDITS][4] = {};
        for (int slice = 0; slice < DKP; slice += SLICE) {
            if (EDITS == 2) fill<BACKWARD, false>(s, in.erase, 0, region, slice, b, b_plane, p, sizes, thread);
            fill<BACKWARD, false>(s, in.write, EDITS - 1, region, slice, b, b_plane, p, sizes, thread);
            fill<BACKWARD, true>(s, in.query, 0, region, slice, BACKWARD ? b : a, BACKWARD ? b_plane : a_plane, p, sizes, thread);
            __syncthreads();
#pragma unroll
            for (int i = 0; i < MOST_MEETINGS; i++)
                if (meetings[i].seen) {
                    const int column = meetings[i].group * 8 * EDITS;
#pragma unroll 2
                    for (int k = 0; k < min(SLICE, DKP - slice); k += 16) {
                        TileA left;
                        TileB right, next;
                        load_a(left, s.readers, SLICE_STRIDE, READER_PLANE, meetings[i].tile * 16, k, lane);
                        load_b_pair_transposed(right, next, s.writers, SLICE_STRIDE, WRITER_PLANE, k, column & ~15, lane);
                        if (EDITS == 2 || column % 16 == 0) multiply(sum[i][0], left, right);
                        if (EDITS == 2 || column % 16 != 0) multiply(sum[i][EDITS - 1], left, next);
                    }
                }
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < MOST_MEETINGS; i++)
            if (meetings[i].tile >= 0) store_meeting(s, meetings[i], sum[i], attention, lane);
    }
    __syncthreads();
    invert_diagonal(s, thread);
    __syncthreads();

    const Lines erase = lines_of(in.erase, p, sizes), write = lines_of(in.write, p, sizes), value = lines_of(in.value, p, sizes);
    const Lines gradient = lines_of(BACKWARD ? in.output_gradient : in.value, p, sizes);
    for (int column = warp * 16; column < DKP + DVP; column += PREPARE_WARPS * 16) {
        float x[ROWS / 8][4] = {};
        if (column < DKP) {
#pragma unroll
            for (int n = 0; n < ROWS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int c = column + g + e / 2 * 8, row = n * 8 + 2 * t + e % 2, step = row / EDITS;
                    const float d = s.decay[step * CHANNEL_STRIDE + c];
                    const float key = c < DK && step < p.n_steps ? number(EDITS == 2 && e % 2 == 0 ? erase : write, step, c) : 0.0f;
                    x[n][e] = key * power_of_two(BACKWARD ? end[c] - d : d);
                }
        } else if (!BACKWARD) {
#pragma unroll
            for (int n = 0; n < ROWS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    if (EDITS == 2 && e % 2 == 0) continue;
                    const int v = column - DKP + g + e / 2 * 8, step = (n * 8 + 2 * t + e % 2) / EDITS;
                    if (v < DV && step < p.n_steps) x[n][e] = number(value, step, v);
                }
        } else {
            // Queries that do not see a row have a 0 there.
#pragma unroll
            for (int k = 0; k < STEPS; k += 16) {
                float y[4][2];
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const int v = column - DKP + g + i % 2 * 8, step = k + i / 2 * 8 + 2 * t + e;
                        y[i][e] = v < DV && step < p.n_steps ? number(gradient, step, v) : 0.0f;
                    }
                TileA left;
#pragma unroll
                for (int i = 0; i < 4; i++) split<PLANES>(y[i][0], y[i][1], left.x[0][i], left.x[PLANES - 1][i]);
#pragma unroll
                for (int n = 0; n < ROWS / 8; n += 2) {
                    if (n * 8 / EDITS > k + 15) continue;
                    TileB right, next;
                    load_b_pair(right, next, s.attention, ROW_STRIDE, MEETING_PLANE, k, n * 8, lane);
                    multiply(x[n], left, right);
                    multiply(x[n + 1], left, next);
                }
            }
        }
        auto scale = [&]() {
#pragma unroll
            for (int n = 0; n < ROWS / 8; n++) {
                const float2 strength = *(const float2*)(s.strengths + n * 8 + 2 * t);
                x[n][0] *= strength.x, x[n][1] *= strength.y, x[n][2] *= strength.x, x[n][3] *= strength.y;
            }
        };
        if (!BACKWARD) scale();
        solve<BACKWARD>(x, s.solve, lane);
        if (BACKWARD) scale();
        if (column < DKP) {
#pragma unroll
            for (int n = 0; n < ROWS / 8; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    u32 coarse, fine;
                    split<PLANES>(x[n][2 * i], x[n][2 * i + 1], coarse, fine);
                    u16* to = a + (n * 8 + g) * KEY_STRIDE + column + 8 * i + 2 * t;
                    *(u32*)to = transpose_matrix(coarse);
                    if (SPLIT) *(u32*)(to + a_plane) = transpose_matrix(fine);
                }
        } else {
            const int v = column - DKP;
            float* to = own + ((i64)p.record * COLUMN_BLOCKS + v / NB) * (ROWS * NB) + v % NB + g;
#pragma unroll
            for (int n = 0; n < ROWS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) to[(n * 8 + 2 * t + e % 2) * NB + e / 2 * 8] = x[n][e];
        }
    }
}

#if !defined(GRADIENT) || !GRADIENT
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS, 2) chunk_prepare(Sizes sizes, ChunkInputs in, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<false>(sizes, in, a_records, b_records, own);
}
#endif

#if !defined(GRADIENT) || GRADIENT
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS, 2)
chunk_prepare_gradient(Sizes sizes, ChunkInputs in, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<true>(sizes, in, a_records, b_records, own);
}
#endif

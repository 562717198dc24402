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
// All channels of what the systems start from (readers X; backward: rows), a slice of the rest.
constexpr int KEPT_PLANE = ROWS * KEY_STRIDE;
constexpr int SLICE_PLANE = (ROWS + STEPS) * SLICE_STRIDE;
constexpr int DIAGONAL_STRIDE = 17;
constexpr int FORWARD_PREPARE_BYTES = STEPS * CHANNEL_STRIDE * 4 + ROW_BLOCKS * 16 * DIAGONAL_STRIDE * 4 + (ROWS + 4) * 4
    + (2 * SOLVE_PLANE + PLANES * (KEPT_PLANE + SLICE_PLANE)) * 2;
constexpr int BACKWARD_PREPARE_BYTES = FORWARD_PREPARE_BYTES + PLANES * MEETING_PLANE * 2;
// Blocks of a multiprocessor with 227 KB.
constexpr int FORWARD_BLOCKS = 3 * (FORWARD_PREPARE_BYTES + 1024) <= 228 * 1024 ? 3 : 2;
constexpr int BACKWARD_BLOCKS = 3 * (BACKWARD_PREPARE_BYTES + 1024) <= 228 * 1024 ? 3 : 2;
#ifdef PREPARE_BYTES
static_assert((GRADIENT ? BACKWARD_PREPARE_BYTES : FORWARD_PREPARE_BYTES) == PREPARE_BYTES, "the host reserves another size");
#endif

struct PrepareMemory {
    float *decay, *diagonal, *strengths;
    int* strong;
    u16 *solve, *kept, *slice, *attention;
};

__device__ __forceinline__ float4 times_power(float4 x, float4 e) {
    return make_float4(x.x * power_of_two(e.x), x.y * power_of_two(e.y), x.z * power_of_two(e.z), x.w * power_of_two(e.w));
}
__device__ __forceinline__ float4 minus(float4 x, float4 y) { return make_float4(x.x - y.x, x.y - y.y, x.z - y.z, x.w - y.w); }
__device__ __forceinline__ float4 at_most(float4 x, float most) { return make_float4(fminf(x.x, most), fminf(x.y, most), fminf(x.z, most), fminf(x.w, most)); }

// Readers (and rows) of one of the inputs, for some channels; with the first region, what the scan wants of them too.
template <bool BACKWARD, bool QUERY>
__device__ __forceinline__ void fill(const PrepareMemory& s, const Rows& rows, const Lines& lines, int edit, const Region& region, bool strong, int slice, u16* record,
                                     int record_plane, const Place& p, int thread) {
    constexpr int groups = SLICE / 4;
    static_assert(PREPARE_THREADS % groups == 0 || DKP < 64, "a thread keeps to its channels");
#pragma unroll 2
    for (int i = thread; i < STEPS * groups; i += PREPARE_THREADS) {
        const int step = i / groups, within = i % groups * 4, c = slice + within;
        if (c >= DKP) continue;
        const float4 x = four_at(rows, lines, p, step, c, DK);
        const float4 d = *(const float4*)(s.decay + step * CHANNEL_STRIDE + c);
        const float4 m = *(const float4*)(s.decay + region.middle * CHANNEL_STRIDE + c);
        const float4 end = *(const float4*)(s.decay + (STEPS - 1) * CHANNEL_STRIDE + c);
        const int row = QUERY ? ROWS + step : step * EDITS + edit;
        const float4 reading = times_power(x, at_most(minus(d, m), LARGEST_EXPONENT));
        float4 writing = x;
        if (BACKWARD || QUERY) put_four(s.slice, SLICE_PLANE, row * SLICE_STRIDE + within, reading);
        else put_four(s.kept, KEPT_PLANE, row * KEY_STRIDE + c, reading);
        if (!QUERY && step >= region.first_step && step < region.last_step) {
            writing = times_power(x, minus(m, d));
            if (BACKWARD) put_four(s.kept, KEPT_PLANE, row * KEY_STRIDE + c, writing);
            else put_four(s.slice, SLICE_PLANE, row * SLICE_STRIDE + within, writing);
        }
        if (region.first_step == 0) {
            const bool to_end = !QUERY && !BACKWARD;
            float4 wanted;
            if (strong) wanted = times_power(x, to_end ? minus(end, d) : d);
            else wanted = times_power(to_end ? writing : reading, to_end ? minus(end, m) : m);
            put_four(record, record_plane, row * KEY_STRIDE + c, wanted);
        }
    }
}

// What the systems start from, exactly: readers at the start of the chunk (backward: rows at its end).
template <bool BACKWARD>
__device__ __forceinline__ void refill(const PrepareMemory& s, const Rows& rows, const Lines& lines, int edit, const Place& p, int thread) {
    for (int i = thread; i < STEPS * (DKP / 4); i += PREPARE_THREADS) {
        const int step = i / (DKP / 4), c = i % (DKP / 4) * 4;
        const float4 d = *(const float4*)(s.decay + step * CHANNEL_STRIDE + c), end = *(const float4*)(s.decay + (STEPS - 1) * CHANNEL_STRIDE + c);
        put_four(s.kept, KEPT_PLANE, (step * EDITS + edit) * KEY_STRIDE + c, times_power(four_at(rows, lines, p, step, c, DK), BACKWARD ? minus(end, d) : d));
    }
}

// A 16 x (8 EDITS) tile of L or of A: readers of one tile, rows of 8 steps.
struct Meeting {
    int tile, group;
    bool seen;
};
constexpr int MOST_MEETINGS = ((ROW_BLOCKS + STEPS / 16) * (STEPS / 8) + PREPARE_WARPS - 1) / PREPARE_WARPS;

// The index-th of them in a region: tiles in order, of each the groups that its readers see; of queries all, because outputs
// want zeros where nothing is seen.
__device__ __forceinline__ Meeting meeting_of(int index, const Region& region) {
    for (int tile = 0; tile < ROW_BLOCKS + STEPS / 16; tile++) {
        const bool queries = tile >= ROW_BLOCKS;
        const int last_step = queries ? (tile - ROW_BLOCKS) * 16 + 15 : (tile * 16 + 15) / EDITS;
        const int n = max((queries ? region.last_step : min(region.last_step, last_step + 1)) - region.first_step, 0) / 8;
        if (index < n) {
            const int group = region.first_step / 8 + index;
            return {tile, group, group * 8 <= last_step};
        }
        index -= n;
    }
    return {-1, 0, false};
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
    s.kept = s.solve + 2 * SOLVE_PLANE;
    s.slice = s.kept + PLANES * KEPT_PLANE;
    s.attention = s.slice + PLANES * SLICE_PLANE;
    const Lines erase = lines_of(EDITS == 2 ? in.erase : in.write, p, sizes), write = lines_of(in.write, p, sizes), query = lines_of(in.query, p, sizes);
    const Lines value = BACKWARD ? lines_of(in.output_gradient, p, sizes) : lines_of(in.value, p, sizes);
    if (EDITS == 2) prefetch_lines(erase, p, DK, thread, PREPARE_THREADS);
    prefetch_lines(write, p, DK, thread, PREPARE_THREADS);
    prefetch_lines(query, p, DK, thread, PREPARE_THREADS);
    prefetch_lines(value, p, DV, thread, PREPARE_THREADS);
    if (thread == 0) *s.strong = 0;
    if (EDITS == 2) load_strengths(s.strengths, in.erase_strength, 0, p, sizes, thread, PREPARE_THREADS);
    load_strengths(s.strengths, in.write_strength, EDITS - 1, p, sizes, thread, PREPARE_THREADS);
    load_decays<DKP>(s.decay, in.decay, 0, p, sizes, thread, PREPARE_THREADS);

    u16* a = (u16*)(a_records + (i64)p.record * (BACKWARD ? BACKWARD_A_BYTES : FORWARD_A_BYTES));
    u16* b = (u16*)(b_records + (i64)p.record * (BACKWARD ? BACKWARD_B_BYTES : FORWARD_B_BYTES));
    constexpr int a_plane = (BACKWARD ? ROWS : FORWARD_A_ROWS) * KEY_STRIDE;
    constexpr int b_plane = (BACKWARD ? BACKWARD_B_ROWS : ROWS) * KEY_STRIDE;
    u16* attention = BACKWARD ? s.attention : b + PLANES * b_plane;
    float* whole_decay = (float*)(b + PLANES * (b_plane + (BACKWARD ? 0 : MEETING_PLANE)));
    const float* end = s.decay + (STEPS - 1) * CHANNEL_STRIDE;
    for (int c = thread; c < DKP; c += PREPARE_THREADS) {
        if (is_strong(s.decay + c, CHANNEL_STRIDE)) *s.strong = 1;
        whole_decay[c] = power_of_two(end[c]);
    }
    __syncthreads();

    const bool strong = *s.strong;
    for (int first_step = 0; first_step < STEPS; first_step = strong ? first_step + 8 : STEPS) {
        const Region region = region_at(first_step, strong);
        Meeting meetings[MOST_MEETINGS];
#pragma unroll
        for (int i = 0; i < MOST_MEETINGS; i++) meetings[i] = meeting_of(warp + i * PREPARE_WARPS, region);
        float sum[MOST_MEETINGS][EDITS][4] = {};
        for (int slice = 0; slice < DKP; slice += SLICE) {
            if (EDITS == 2) fill<BACKWARD, false>(s, in.erase, erase, 0, region, strong, slice, b, b_plane, p, thread);
            fill<BACKWARD, false>(s, in.write, write, EDITS - 1, region, strong, slice, b, b_plane, p, thread);
            fill<BACKWARD, true>(s, in.query, query, 0, region, strong, slice, BACKWARD ? b : a, BACKWARD ? b_plane : a_plane, p, thread);
            __syncthreads();
#pragma unroll
            for (int i = 0; i < MOST_MEETINGS; i++)
                if (meetings[i].seen) {
                    const int column = meetings[i].group * 8 * EDITS;
                    const bool kept = !BACKWARD && meetings[i].tile < ROW_BLOCKS;
                    const u16* readers = kept ? s.kept + slice : s.slice;
#pragma unroll 2
                    for (int k = 0; k < min(SLICE, DKP - slice); k += 16) {
                        TileA left;
                        TileB right, next;
                        load_a(left, readers, kept ? KEY_STRIDE : SLICE_STRIDE, kept ? KEPT_PLANE : SLICE_PLANE, meetings[i].tile * 16, k, lane);
                        if (BACKWARD) load_b_pair_transposed(right, next, s.kept + slice, KEY_STRIDE, KEPT_PLANE, k, column & ~15, lane);
                        else load_b_pair_transposed(right, next, s.slice, SLICE_STRIDE, SLICE_PLANE, k, column & ~15, lane);
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
    if (strong) {
        if (EDITS == 2) refill<BACKWARD>(s, in.erase, erase, 0, p, thread);
        refill<BACKWARD>(s, in.write, write, EDITS - 1, p, thread);
    }
    __syncthreads();
    invert_diagonal(s, thread);
    __syncthreads();

    for (int column = warp * 16; column < DKP + DVP; column += PREPARE_WARPS * 16) {
        float x[ROWS / 8][4] = {};
        if (column < DKP) {
            // From where they met to the start (backward: the end) of the chunk.
            float factor[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int c = column + g + 8 * i;
                const float middle = s.decay[STEPS / 2 * CHANNEL_STRIDE + c];
                factor[i] = strong ? 1.0f : power_of_two(BACKWARD ? end[c] - middle : middle);
            }
#pragma unroll
            for (int n = 0; n < ROWS / 8; n += 2)
#pragma unroll
                for (int plane = 0; plane < PLANES; plane++) {
                    u32 r[4];
                    load_matrices_transposed(r, s.kept + plane * KEPT_PLANE + (n * 8 + (lane >> 4) * 8 + (lane & 7)) * KEY_STRIDE + column + ((lane >> 3) & 1) * 8);
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        x[n + i / 2][i % 2 * 2] += factor[i % 2] * low(r[i]);
                        x[n + i / 2][i % 2 * 2 + 1] += factor[i % 2] * high(r[i]);
                    }
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
                        y[i][e] = v < DV && step < p.n_steps ? number(value, step, v) : 0.0f;
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
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS, FORWARD_BLOCKS) chunk_prepare(Sizes sizes, ChunkInputs in, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<false>(sizes, in, a_records, b_records, own);
}
#endif

#if !defined(GRADIENT) || GRADIENT
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS, BACKWARD_BLOCKS)
chunk_prepare_gradient(Sizes sizes, ChunkInputs in, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<true>(sizes, in, a_records, b_records, own);
}
#endif

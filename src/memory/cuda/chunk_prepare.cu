// What a chunk does to any memory it finds, from its inputs alone: one block of 256 threads per chunk of a head.
//
// Rows r with direction x_r, strength s_r and value v_r (0 for an erase) at step t(r); G_t the sum of log2 decays through t.
//   X^_r = x_r 2^G_t(r)    X__r = x_r 2^(G_end - G_t(r))    Q^_t = q_t 2^G_t
//   L_rj = sum_c x_r x_j 2^(G_t(r) - G_t(j)), j < r         A_tj = sum_c q_t x_j 2^(G_t - G_t(j)), t(j) <= t
// Forward: (1 + diag(s) L) [W | U] = diag(s) [X^ | V].   Backward: (1 + L^T diag(s)) [W' | Z0] = [X_ | A^T dO], then times s.
// No quotient of cumulative decays over more than 4 steps is formed: readers and rows meet at the middle of the rows' 8 steps.

constexpr int PREPARE_THREADS = 256;
constexpr int SOLVE_STRIDE = ROWS + 4;
constexpr int PREPARE_FLOATS = (EDITS + 1) * ARRAY_STRIDE + STEPS * CHANNEL_STRIDE + ROWS * SOLVE_STRIDE + ROWS;
constexpr int FORWARD_PREPARE_BYTES = PREPARE_FLOATS * 4;
constexpr int BACKWARD_PREPARE_BYTES = (PREPARE_FLOATS + STEPS * SOLVE_STRIDE) * 4;
#ifdef PREPARE_BYTES
static_assert((GRADIENT ? BACKWARD_PREPARE_BYTES : FORWARD_PREPARE_BYTES) == PREPARE_BYTES, "the host reserves another size");
#endif

// 16 readers (edits' rows, or queries) against the rows of 8 steps: sum[n] is [16 readers, 8 rows].
__device__ __forceinline__ void meet(float (&sum)[EDITS][4], const Shared& s, bool queries, int first_reader, int group, int lane) {
    const int g = lane >> 2, t = lane & 3;
    const float* middle = s.decay + (group * 8 + 4) * CHANNEL_STRIDE;
    const float *reader[2], *reader_decay[2], *row[EDITS], *row_decay[EDITS];
    for (int i = 0; i < 2; i++) {
        const int r = first_reader + g + 8 * i, step = queries ? r : r / EDITS;
        reader[i] = s.keys + (queries ? EDITS : r % EDITS) * ARRAY_STRIDE + step * CHANNEL_STRIDE;
        reader_decay[i] = s.decay + step * CHANNEL_STRIDE;
    }
    for (int n = 0; n < EDITS; n++) {
        const int r = (group * EDITS + n) * 8 + g;
        row[n] = s.keys + r % EDITS * ARRAY_STRIDE + r / EDITS * CHANNEL_STRIDE;
        row_decay[n] = s.decay + r / EDITS * CHANNEL_STRIDE;
        for (int i = 0; i < 4; i++) sum[n][i] = 0.0f;
    }
#pragma unroll 2
    for (int k = 0; k < DKP; k += 16) {
        TileA a;
        TileB b[EDITS];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int c = k + half * 8 + 2 * t;
            const float2 m = *(const float2*)(middle + c);
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float2 x = *(const float2*)(reader[i] + c), d = *(const float2*)(reader_decay[i] + c);
                split(x.x * power_of_two(fminf(d.x - m.x, LARGEST_EXPONENT)), x.y * power_of_two(fminf(d.y - m.y, LARGEST_EXPONENT)),
                      a.x[0][half * 2 + i], a.x[PLANES - 1][half * 2 + i]);
            }
#pragma unroll
            for (int n = 0; n < EDITS; n++) {
                const float2 x = *(const float2*)(row[n] + c), d = *(const float2*)(row_decay[n] + c);
                split(x.x * power_of_two(m.x - d.x), x.y * power_of_two(m.y - d.y), b[n].x[0][half], b[n].x[PLANES - 1][half]);
            }
        }
#pragma unroll
        for (int n = 0; n < EDITS; n++) multiply(sum[n], a, b[n]);
    }
}

// All of L (transposed where the forward solve wants it so) and of A.
template <bool BACKWARD>
__device__ __forceinline__ void meetings(const Shared& s, u16* attention, int warp, int n_warps, int lane) {
    const int g = lane >> 2, t = lane & 3;
    constexpr int tiles = ROWS / 16;
    int task = 0;
    for (int tile = 0; tile < tiles + STEPS / 16; tile++) {
        const bool queries = tile >= tiles;
        const int first = (queries ? tile - tiles : tile) * 16;
        const int last_step = queries ? first + 15 : (first + 15) / EDITS;
        for (int group = 0; group < STEPS / 8; group++) {
            const bool seen = group * 8 <= last_step;
            if (!seen && !queries) continue;
            if (task++ % n_warps != warp) continue;
            float sum[EDITS][4] = {};
            if (seen) meet(sum, s, queries, first, group, lane);
#pragma unroll
            for (int n = 0; n < EDITS; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const int reader = first + g + 8 * i, row = (group * EDITS + n) * 8 + 2 * t;
                    const float x = sum[n][2 * i], y = sum[n][2 * i + 1];
                    if (queries) {
                        const float kept_x = row / EDITS <= reader ? x : 0.0f, kept_y = (row + 1) / EDITS <= reader ? y : 0.0f;
                        if (BACKWARD) *(float2*)(s.attention + reader * SOLVE_STRIDE + row) = make_float2(kept_x, kept_y);
                        else put_pair(attention, STEPS * ROW_STRIDE, reader * ROW_STRIDE + row, kept_x, kept_y);
                    } else if (BACKWARD) {
                        *(float2*)(s.solve + reader * SOLVE_STRIDE + row) = make_float2(x, y);
                    } else {
                        s.solve[row * SOLVE_STRIDE + reader] = x;
                        s.solve[(row + 1) * SOLVE_STRIDE + reader] = y;
                    }
                }
        }
    }
}

// x <- the solution of one column, by substitution from the first row on, or from the last row back. Row r of `matrix` has
// what row r does to the rows that follow in that order.
template <bool BACKWARD>
__device__ __forceinline__ void substitute(float (&x)[ROWS], const float* matrix, const float* strengths) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int r = BACKWARD ? ROWS - 1 - i : i;
        x[r] *= strengths[r];
#pragma unroll
        for (int j = 0; j < ROWS; j += 4) {
            if (BACKWARD ? j >= r : j + 3 <= r) continue;
            const float4 m = *(const float4*)(matrix + r * SOLVE_STRIDE + j);
            if (BACKWARD ? j < r : j > r) x[j] -= m.x * x[r];
            if (BACKWARD ? j + 1 < r : j + 1 > r) x[j + 1] -= m.y * x[r];
            if (BACKWARD ? j + 2 < r : j + 2 > r) x[j + 2] -= m.z * x[r];
            if (BACKWARD ? j + 3 < r : j + 3 > r) x[j + 3] -= m.w * x[r];
        }
    }
}

// One channel of [row, d_k] planes.
__device__ __forceinline__ void put_column(u16* tile, int plane, int channel, const float (&x)[ROWS]) {
#pragma unroll
    for (int r = 0; r < ROWS; r += 2) {
        u32 coarse, fine = 0;
        split(x[r], x[r + 1], coarse, fine);
        u16* to = tile + r * KEY_STRIDE + channel;
        to[0] = (u16)coarse, to[KEY_STRIDE] = (u16)(coarse >> 16);
        if (SPLIT) to[plane] = (u16)fine, to[plane + KEY_STRIDE] = (u16)(fine >> 16);
    }
}

template <bool BACKWARD>
__device__ __forceinline__ void prepare(Sizes sizes, ChunkInputs in, const float* grad_output, unsigned char* a_records, unsigned char* b_records, float* own) {
    const int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31;
    const Place p = place_of(sizes, blockIdx.x, blockIdx.y, blockIdx.z);
    Shared s;
    s.keys = (float*)shared_memory;
    s.decay = s.keys + (EDITS + 1) * ARRAY_STRIDE;
    s.solve = s.decay + STEPS * CHANNEL_STRIDE;
    s.strengths = s.solve + ROWS * SOLVE_STRIDE;
    s.attention = s.strengths + ROWS;
    load_decays(s.decay, in.decay, p, sizes, thread, PREPARE_THREADS);
    if (EDITS == 2) load_keys(s.keys, in.erase, p, sizes, thread, PREPARE_THREADS);
    load_keys(s.keys + (EDITS - 1) * ARRAY_STRIDE, in.write, p, sizes, thread, PREPARE_THREADS);
    load_keys(s.keys + EDITS * ARRAY_STRIDE, in.query, p, sizes, thread, PREPARE_THREADS);
    if (EDITS == 2) load_strengths(s.strengths, in.erase_strength, 0, p, sizes, thread, PREPARE_THREADS);
    load_strengths(s.strengths, in.write_strength, EDITS - 1, p, sizes, thread, PREPARE_THREADS);
    __syncthreads();

    u16* a = (u16*)(a_records + (long long)p.record * (BACKWARD ? BACKWARD_A_BYTES : FORWARD_A_BYTES));
    u16* b = (u16*)(b_records + (long long)p.record * (BACKWARD ? BACKWARD_B_BYTES : FORWARD_B_BYTES));
    constexpr int a_plane = (BACKWARD ? ROWS : FORWARD_A_ROWS) * KEY_STRIDE;
    constexpr int b_plane = (BACKWARD ? BACKWARD_B_ROWS : ROWS) * KEY_STRIDE;
    u16* attention = b + PLANES * b_plane;
    float* whole_decay = (float*)(BACKWARD ? attention : attention + PLANES * STEPS * ROW_STRIDE);
    u16* queries = BACKWARD ? b : a;
    constexpr int query_plane = BACKWARD ? b_plane : a_plane;

    meetings<BACKWARD>(s, attention, warp, PREPARE_THREADS / 32, lane);

    const float* end = s.decay + (STEPS - 1) * CHANNEL_STRIDE;
    for (int i = thread; i < (ROWS + STEPS) * (DKP / 2); i += PREPARE_THREADS) {
        const int r = i / (DKP / 2), c = i % (DKP / 2) * 2;
        const bool query = r >= ROWS;
        const int step = query ? r - ROWS : r / EDITS;
        const float2 x = *(const float2*)(s.keys + (query ? EDITS : r % EDITS) * ARRAY_STRIDE + step * CHANNEL_STRIDE + c);
        const float2 d = *(const float2*)(s.decay + step * CHANNEL_STRIDE + c), e = *(const float2*)(end + c);
        const bool to_end = !query && !BACKWARD;
        put_pair(query ? queries : b, query ? query_plane : b_plane, r * KEY_STRIDE + c,
                 x.x * power_of_two(to_end ? e.x - d.x : d.x), x.y * power_of_two(to_end ? e.y - d.y : d.y));
    }
    for (int c = thread; c < DKP; c += PREPARE_THREADS) whole_decay[c] = power_of_two(end[c]);
    __syncthreads();

    for (int column = thread; column < DKP + DVP; column += PREPARE_THREADS) {
        float x[ROWS];
        const int v = column - DKP;
        if (v < 0) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const float g = s.decay[r / EDITS * CHANNEL_STRIDE + column];
                x[r] = s.keys[r % EDITS * ARRAY_STRIDE + r / EDITS * CHANNEL_STRIDE + column] * power_of_two(BACKWARD ? end[column] - g : g);
            }
        } else {
#pragma unroll
            for (int r = 0; r < ROWS; r++) x[r] = 0.0f;
            if (BACKWARD) {
#pragma unroll 4
                for (int t = 0; t < STEPS; t++) {
                    const float y = t < p.n_steps && v < DV ? grad_output[out_row(sizes, p.batch, p.first_step + t, p.head) * DV + v] : 0.0f;
                    // Rows that the query does not see have a 0 there.
#pragma unroll
                    for (int r = 0; r < ROWS; r += 4) {
                        const float4 m = *(const float4*)(s.attention + t * SOLVE_STRIDE + r);
                        x[r] += m.x * y, x[r + 1] += m.y * y, x[r + 2] += m.z * y, x[r + 3] += m.w * y;
                    }
                }
            } else {
#pragma unroll
                for (int t = 0; t < STEPS; t++)
                    if (t < p.n_steps && v < DV) x[t * EDITS + EDITS - 1] = load1(in.value, row_at(in.value, p.batch, p.first_step + t, p.head, sizes.n_heads), v);
            }
        }
        substitute<BACKWARD>(x, s.solve, s.strengths);
        if (v < 0) {
            put_column(a, a_plane, column, x);
        } else {
            float* to = own + ((long long)p.record * COLUMN_BLOCKS + v / NB) * (ROWS * NB) + v % NB;
#pragma unroll
            for (int r = 0; r < ROWS; r++) to[r * NB] = x[r];
        }
    }
}

#if !defined(GRADIENT) || !GRADIENT
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS) chunk_prepare(Sizes sizes, ChunkInputs in, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<false>(sizes, in, nullptr, a_records, b_records, own);
}
#endif

#if !defined(GRADIENT) || GRADIENT
extern "C" __global__ void __launch_bounds__(PREPARE_THREADS)
chunk_prepare_gradient(Sizes sizes, ChunkInputs in, const float* grad_output, unsigned char* a_records, unsigned char* b_records, float* own) {
    prepare<true>(sizes, in, grad_output, a_records, b_records, own);
}
#endif

// The recurrence step by step: a few columns of one head stay in registers for the whole sequence.
//
// Every read of a step is taken in one round, from the memory after its decay (or before, where the rule says so); then the
// edits correct one another by scalar couplings:
//
//     s = alpha * s
//     p_j = c_j^T s,   o = q^T s
//     a_j = strength_j (value_j - p_j - sum over i < j of (c_j . direction_i) a_i)
//     o  += sum over j of (q . direction_j) a_j
//     s   = fma(direction_j, a_j, s)    per edit
//
// The first and the last line are what the replay does, in the same order, so replays have the same bits. A column's sums do
// not depend on how many columns a thread holds, so results do not depend on the launch.
//
// Given by the host beside common.cu's: C (columns of a thread: 1, 2, 4, 8), CONSUMERS and PRODUCERS (warps of a block), STEPS
// (steps of a stage), STAGES, DENSE (bits of the phases stored), ALIGNED (columns in vectors of C or 4).

#define ROWS (DK / ROW_LANES)
#define VECTOR (C < 4 ? C : 4)
#define COLUMNS (CONSUMERS * COLUMN_LANES * C)
#define THREADS ((CONSUMERS + PRODUCERS) * WARP)

// A step's slot in shared memory, in floats.
constexpr int AT_RETENTION = 0;
constexpr int AT_QUERY = DK;
__host__ __device__ constexpr int at_direction(int j) { return (2 + j) * DK; }
__host__ __device__ constexpr int at_read(int j) { return reads_elsewhere(j) ? (2 + N + n_elsewhere(j)) * DK : at_direction(j); }
constexpr int AT_VALUES = (2 + N + n_elsewhere(N)) * DK;
__host__ __device__ constexpr int at_value(int j) { return AT_VALUES + j * COLUMNS; }
constexpr int AT_STRENGTHS = AT_VALUES + N * COLUMNS;
constexpr int AT_COUPLINGS = AT_STRENGTHS + N;
constexpr int SLOT = (AT_COUPLINGS + N_COUPLINGS + 3) / 4 * 4;

__device__ __forceinline__ float dot_rows(const float* a, const float* b, int lane) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < DK / WARP; i++) sum = fmaf(a[lane + WARP * i], b[lane + WARP * i], sum);
    return sum;
}

__device__ __forceinline__ void produce(const Args& A, float* smem, int producer, int lane, int batch, int head, int first_column) {
    const int n_blocks = (A.n_steps + STEPS - 1) / STEPS;
    const int n_columns = min(COLUMNS, A.d_v - first_column);
    for (int block = 0; block <= n_blocks; block++) {
        if (block < n_blocks) {
            const int stage = block % STAGES;
            if (block >= STAGES) barrier_sync(1 + STAGES + stage, THREADS);
            for (int local = producer; local < STEPS; local += PRODUCERS) {
                const int index = block * STEPS + local;
                if (index >= A.n_steps) break;
                const int t = A.first_step + index;
                float* slot = smem + (stage * STEPS + local) * SLOT;
                stage_row(slot + AT_RETENTION, A.retention, row_at(A.retention, batch, t, head, A.head), 0, A.d_k, lane);
                stage_row(slot + AT_QUERY, A.query, row_at(A.query, batch, t, head, A.head), 0, A.d_k, lane);
#pragma unroll
                for (int j = 0; j < N; j++) {
                    const Edit& edit = A.edits[j];
                    stage_row(slot + at_direction(j), edit.direction, row_at(edit.direction, batch, t, head, A.head), 0, A.d_k, lane);
                    if (reads_elsewhere(j))
                        stage_row(slot + at_read(j), edit.read, row_at(edit.read, batch, t, head, A.head), 0, A.d_k, lane);
                    if (has_value(j))
                        stage_row(slot + at_value(j), edit.value, row_at(edit.value, batch, t, head, A.head), first_column, n_columns, lane);
                    if (lane == j)
                        slot[AT_STRENGTHS + j] = edit.strength.data ? load1(edit.strength, row_at(edit.strength, batch, t, head, A.head), 0) : 1.0f;
                }
            }
            copies_commit();
        }
        if (block > 0) {
            // The stage before has landed: its couplings follow, then it is handed over.
            if (block < n_blocks) copies_wait<1>(); else copies_wait<0>();
            __syncwarp();
            const int stage = (block - 1) % STAGES;
            for (int local = producer; local < STEPS; local += PRODUCERS) {
                if ((block - 1) * STEPS + local >= A.n_steps) break;
                float* slot = smem + (stage * STEPS + local) * SLOT;
                float sums[N_COUPLINGS];
#pragma unroll
                for (int j = 0; j <= N; j++) {
                    const float* read = slot + (j == N ? AT_QUERY : at_read(j < N ? j : 0));
                    const bool meets = j == N || (read_kind(j) != 0 && read_kind(j) != 3);
#pragma unroll
                    for (int i = 0; i < N; i++)
                        if (i < j) sums[coupling(j, i)] = meets ? dot_rows(read, slot + at_direction(i), lane) : 0.0f;
                }
#pragma unroll
                for (int mask = 16; mask > 0; mask >>= 1)
#pragma unroll
                    for (int i = 0; i < N_COUPLINGS; i++) sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], mask);
#pragma unroll
                for (int i = 0; i < N_COUPLINGS; i++)
                    if (lane == 0) slot[AT_COUPLINGS + i] = sums[i];
            }
            barrier_arrive(1 + stage, THREADS);
        }
    }
}

struct Tile {
    float s[ROWS][C];
};

// Column c of a thread, from the warp's first.
__device__ __forceinline__ int column_of(int column_lane, int c) { return column_lane * VECTOR + c % VECTOR + COLUMN_LANES * VECTOR * (c / VECTOR); }
__device__ __forceinline__ int row_of(int row_lane, int i) { return 4 * (row_lane + ROW_LANES * (i / 4)) + i % 4; }

__device__ __forceinline__ void store_row(float* row, const float* x, int first_column, int column_lane, int d_v) {
#pragma unroll
    for (int v = 0; v < C / VECTOR; v++) {
        const int column = first_column + column_of(column_lane, v * VECTOR);
        if (ALIGNED) {
            if (column < d_v) {
                if (VECTOR == 4) __stcs((float4*)(row + column), make_float4(x[v * VECTOR], x[v * VECTOR + 1 < C ? v * VECTOR + 1 : 0], x[v * VECTOR + 2 < C ? v * VECTOR + 2 : 0], x[v * VECTOR + 3 < C ? v * VECTOR + 3 : 0]));
                else if (VECTOR == 2) __stcs((float2*)(row + column), make_float2(x[v * VECTOR], x[v * VECTOR + 1 < C ? v * VECTOR + 1 : 0]));
                else __stcs(row + column, x[v * VECTOR]);
            }
        } else {
#pragma unroll
            for (int c = 0; c < VECTOR; c++)
                if (column + c < d_v) __stcs(row + column + c, x[v * VECTOR + c]);
        }
    }
}

__device__ __forceinline__ void store_tile(const Tile& tile, float* memory, const Args& A, int first_column, int row_lane, int column_lane) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int row = row_of(row_lane, i);
        if (row < A.d_k) store_row(memory + (i64)row * A.d_v, tile.s[i], first_column, column_lane, A.d_v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) forward(const __grid_constant__ Args A) {
    extern __shared__ float4 shared[];
    float* smem = (float*)shared;
    for (int i = threadIdx.x; i < STAGES * STEPS * SLOT; i += THREADS) smem[i] = 0.0f;
    __syncthreads();

    const int n_column_blocks = (A.d_v + COLUMNS - 1) / COLUMNS;
    const int column_block = blockIdx.x % n_column_blocks;
    const int head = blockIdx.x / n_column_blocks % A.head;
    const int batch = blockIdx.x / n_column_blocks / A.head;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int block_column = column_block * COLUMNS;
    if (warp >= CONSUMERS) {
        produce(A, smem, warp - CONSUMERS, lane, batch, head, block_column);
        return;
    }

    const int row_lane = lane / COLUMN_LANES, column_lane = lane % COLUMN_LANES;
    const int warp_column = warp * COLUMN_LANES * C;
    const int first_column = block_column + warp_column;
    const i64 memory_size = (i64)A.d_k * A.d_v;
    const i64 memory_index = (i64)batch * A.head + head;

    Tile tile;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int c = 0; c < C; c++) {
            const int row = row_of(row_lane, i), column = first_column + column_of(column_lane, c);
            tile.s[i][c] = A.initial && row < A.d_k && column < A.d_v ? A.initial[memory_index * memory_size + (i64)row * A.d_v + column] : 0.0f;
        }

    // After the round each lane has one column's sums: which, and whether it is the one to store them.
    int own = 0;
    if (C >= 2) own = own * 2 + (lane >> 4 & 1);
    if (C >= 4) own = own * 2 + (lane >> 3 & 1);
    if (C >= 8) own = own * 2 + (lane >> 2 & 1);
    const bool stores = C >= 8 || (C == 4 && !(lane & 4)) || (C == 2 && !(lane & 12)) || (C == 1 && !(lane & 28));
    const int own_column = warp_column + column_of(column_lane, own);
    const bool stores_column = stores && block_column + own_column < A.d_v;

    const int n_blocks = (A.n_steps + STEPS - 1) / STEPS;
    for (int block = 0; block < n_blocks; block++) {
        const int stage = block % STAGES;
        barrier_sync(1 + stage, THREADS);
        const int here = min(STEPS, A.n_steps - block * STEPS);
#pragma unroll 1
        for (int local = 0; local < here; local++) {
            const float* slot = smem + (stage * STEPS + local) * SLOT;
            const int t = A.first_step + block * STEPS + local;
            if (A.checkpoints && t % A.checkpoint_every == 0) {
                const i64 index = ((i64)batch * A.n_checkpoints + t / A.checkpoint_every - A.checkpoint_first) * A.head + head;
                store_tile(tile, A.checkpoints + index * memory_size, A, first_column, row_lane, column_lane);
            }
            const i64 dense = (((i64)batch * A.dense_steps + t - A.dense_first) * A.head + head) * memory_size;
            if (DENSE & 1) store_tile(tile, A.dense[0] + dense, A, first_column, row_lane, column_lane);

            float reads[N + 1][C];
#pragma unroll
            for (int j = 0; j <= N; j++)
#pragma unroll
                for (int c = 0; c < C; c++) reads[j][c] = 0.0f;
#pragma unroll
            for (int g = 0; g < ROWS / 4; g++) {
                const int at = 4 * (row_lane + ROW_LANES * g);
                float alpha[4], query[4], read[N][4];
                *(float4*)alpha = *(const float4*)(slot + AT_RETENTION + at);
                *(float4*)query = *(const float4*)(slot + AT_QUERY + at);
#pragma unroll
                for (int j = 0; j < N; j++)
                    if (read_kind(j)) *(float4*)read[j] = *(const float4*)(slot + at_read(j) + at);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int c = 0; c < C; c++) {
                        float x = tile.s[4 * g + i][c];
#pragma unroll
                        for (int j = 0; j < N; j++)
                            if (read_kind(j) == 3) reads[j][c] = fmaf(read[j][i], x, reads[j][c]);
                        x = __fmul_rn(alpha[i], x);
                        tile.s[4 * g + i][c] = x;
#pragma unroll
                        for (int j = 0; j < N; j++)
                            if (read_kind(j) == 1 || read_kind(j) == 2) reads[j][c] = fmaf(read[j][i], x, reads[j][c]);
                        reads[N][c] = fmaf(query[i], x, reads[N][c]);
                    }
            }
            if (DENSE & 2) store_tile(tile, A.dense[1] + dense, A, first_column, row_lane, column_lane);

            // Sums over row lanes, halving the columns of a lane where it has several.
            int held = C;
#pragma unroll
            for (int mask = 16; mask >= 4; mask >>= 1) {
                if (held > 1) {
                    held /= 2;
                    const bool upper = lane & mask;
#pragma unroll
                    for (int j = 0; j <= N; j++)
                        if (j == N || read_kind(j < N ? j : 0))
#pragma unroll
                            for (int c = 0; c < C / 2; c++)
                                if (c < held) {
                                    const float low = reads[j][c], high = reads[j][c + held < C ? c + held : 0];
                                    const float other = __shfl_xor_sync(0xffffffffu, upper ? low : high, mask);
                                    reads[j][c] = (upper ? high : low) + other;
                                }
                } else {
#pragma unroll
                    for (int j = 0; j <= N; j++)
                        if (j == N || read_kind(j < N ? j : 0)) reads[j][0] += __shfl_xor_sync(0xffffffffu, reads[j][0], mask);
                }
            }

            float values[N];
            const i64 out = (((i64)batch * A.out_steps + t - A.out_first) * A.head + head) * A.d_v + block_column + own_column;
#pragma unroll
            for (int j = 0; j < N; j++) {
                float found = read_kind(j) ? reads[j][0] : 0.0f;
                if (read_kind(j) == 1 || read_kind(j) == 2)
#pragma unroll
                    for (int i = 0; i < N; i++)
                        if (i < j) found = fmaf(slot[AT_COUPLINGS + coupling(j, i)], values[i], found);
                const float residual = (has_value(j) ? slot[at_value(j) + own_column] : 0.0f) - found;
                values[j] = slot[AT_STRENGTHS + j] * residual;
                if (stores_column) {
                    if (A.residuals[j]) A.residuals[j][out] = residual;
                    if (A.pseudo_values[j]) A.pseudo_values[j][out] = values[j];
                }
            }
            float output = reads[N][0];
#pragma unroll
            for (int j = 0; j < N; j++) output = fmaf(slot[AT_COUPLINGS + coupling(N, j)], values[j], output);
            if (stores_column && A.output) A.output[out] = output;

            // Every lane takes its columns' pseudo-values from the lanes that have them.
            float pseudo[N][C];
#pragma unroll
            for (int c = 0; c < C; c++) {
                int from = lane;
                if (C == 2) from = (lane & 15) | (c << 4);
                if (C == 4) from = (lane & 7) | ((c & 1) << 3) | ((c >> 1) << 4);
                if (C == 8) from = (lane & 3) | ((c & 1) << 2) | ((c >> 1 & 1) << 3) | ((c >> 2) << 4);
#pragma unroll
                for (int j = 0; j < N; j++) pseudo[j][c] = C == 1 ? values[j] : __shfl_sync(0xffffffffu, values[j], from);
            }
#pragma unroll
            for (int j = 0; j < N; j++) {
                if ((DENSE & 4) && j == A.n_erases) store_tile(tile, A.dense[2] + dense, A, first_column, row_lane, column_lane);
#pragma unroll
                for (int g = 0; g < ROWS / 4; g++) {
                    float direction[4];
                    *(float4*)direction = *(const float4*)(slot + at_direction(j) + 4 * (row_lane + ROW_LANES * g));
#pragma unroll
                    for (int i = 0; i < 4; i++)
#pragma unroll
                        for (int c = 0; c < C; c++) tile.s[4 * g + i][c] = __fmaf_rn(direction[i], pseudo[j][c], tile.s[4 * g + i][c]);
                }
            }
            if ((DENSE & 4) && A.n_erases == N) store_tile(tile, A.dense[2] + dense, A, first_column, row_lane, column_lane);
            if (DENSE & 8) store_tile(tile, A.dense[3] + dense, A, first_column, row_lane, column_lane);
        }
        if (block + STAGES < n_blocks) barrier_arrive(1 + STAGES + stage, THREADS);
    }
    if (A.final_memory) store_tile(tile, A.final_memory + memory_index * memory_size, A, first_column, row_lane, column_lane);
}

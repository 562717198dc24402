// Dense memories from checkpoints and pseudo-values, many chunks between two checkpoints at once, at the speed of writing.
//
//     s = alpha * s;   s = fma(direction_j, a_j, s)   per edit
//
// as in `memory::replay`, so with its bits. A warp stores whole rows: consecutive lanes have consecutive columns.
//
// A block goes through several chunks if there are enough without: a memory that is known need not be read.
//
// Given by the host beside stages.cu's: COLUMN_THREADS (lanes along a row, four columns each), ROWS (rows of a thread),
// CONSUMERS, PRODUCERS, STEPS, DENSE, ALIGNED. Stores by threads and bulk copies out of shared memory are as fast as one another
// here (both measured), so these are the plain ones.

#define ROW_THREADS (CONSUMERS * WARP / COLUMN_THREADS)
#define COLUMNS (4 * COLUMN_THREADS)

constexpr int AT_RETENTION = 0;
__host__ __device__ constexpr int at_direction(int j) { return (1 + j) * DK; }
__host__ __device__ constexpr int at_value(int j) { return (1 + N) * DK + j * COLUMNS; }
constexpr int SLOT = (1 + N) * DK + N * COLUMNS;

__device__ __forceinline__ void produce(const Args& A, float* smem, int producer, int lane, int batch, int head, int first_column, int start, int end) {
    const int n_columns = D_V % COLUMNS == 0 ? COLUMNS : min(COLUMNS, D_V - first_column);
    const Source retention = source(A.retention, F_RETENTION, batch, head, A.head);
    Source directions[N], values[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
        directions[j] = source(A.edits[j].direction, format(F_DIRECTION, j), batch, head, A.head);
        values[j].flags = ALIGNED ? 2 : 0;
        values[j].stride = (i64)A.head * D_V * 4;
        values[j].base = (const char*)(A.pseudo_values[j] + (((i64)batch * A.out_steps - A.out_first) * A.head + head) * D_V + first_column);
    }
    produce_stages(
        (end - start + STEPS - 1) / STEPS,
        [&](int i, int place) {
            for (int local = producer; local < min(STEPS, end - start - i * STEPS); local += PRODUCERS) {
                const int t = start + i * STEPS + local;
                float* slot = smem + (place * STEPS + local) * SLOT;
                stage_row(slot + AT_RETENTION, retention, t, D_K, lane);
#pragma unroll
                for (int j = 0; j < N; j++) {
                    stage_row(slot + at_direction(j), directions[j], t, D_K, lane);
                    stage_row(slot + at_value(j), values[j], t, n_columns, lane);
                }
            }
        },
        [&](int i, int place, bool) {
            for (int local = producer; local < min(STEPS, end - start - i * STEPS); local += PRODUCERS) {
                float* slot = smem + (place * STEPS + local) * SLOT;
                convert_row(slot + AT_RETENTION, retention, D_K, lane);
#pragma unroll
                for (int j = 0; j < N; j++) convert_row(slot + at_direction(j), directions[j], D_K, lane);
            }
        });
}

__device__ __forceinline__ void store_tile(const float (&s)[ROWS][4], float* memory, const Args& A, int first_row, int column) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        float* to = memory + (i64)(first_row + i) * D_V + column;
        if (first_row + i < D_K) {
            if (ALIGNED) {
                if (column < D_V) __stcs((float4*)to, make_float4(s[i][0], s[i][1], s[i][2], s[i][3]));
            } else {
#pragma unroll
                for (int c = 0; c < 4; c++)
                    if (column + c < D_V) __stcs(to + c, s[i][c]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) replay(const __grid_constant__ Args A) {
    extern __shared__ float4 shared[];
    float* smem = (float*)shared;
    for (int i = threadIdx.x; i < STAGES * STEPS * SLOT; i += THREADS) smem[i] = 0.0f;
    __syncthreads();

    const int n_column_blocks = (D_V + COLUMNS - 1) / COLUMNS;
    const int column_block = blockIdx.x % n_column_blocks;
    const int out_head = blockIdx.x / n_column_blocks % A.dense_heads;
    // The heads of a sequence go side by side: what they write at a step stands together.
    const int batch = blockIdx.x / n_column_blocks / A.dense_heads % A.batch;
    const int chunk = blockIdx.x / n_column_blocks / A.dense_heads / A.batch * A.chunks_per_run;
    const int head = A.dense_head ? A.dense_head[out_head] : out_head;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    // The chunk's checkpoint stands at a multiple of the distance; only steps of the range are written.
    const int start = (A.checkpoint_first + chunk) * A.checkpoint_every;
    const int end = min(start + A.chunks_per_run * A.checkpoint_every, A.first_step + A.n_steps);
    if (warp >= CONSUMERS) {
        produce(A, smem, warp - CONSUMERS, lane, batch, head, column_block * COLUMNS, start, end);
        return;
    }
    const int thread_column = threadIdx.x % COLUMN_THREADS, thread_row = threadIdx.x / COLUMN_THREADS;
    const int first_row = thread_row * ROWS, column = column_block * COLUMNS + 4 * thread_column;
    const i64 memory_size = (i64)D_K * D_V;
    const float* checkpoint = A.checkpoints + (((i64)batch * A.n_checkpoints + chunk) * A.head + head) * memory_size;

    float s[ROWS][4];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            s[i][c] = first_row + i < D_K && column + c < D_V ? __ldcg(checkpoint + (i64)(first_row + i) * D_V + column + c) : 0.0f;

    const int n_blocks = (end - start + STEPS - 1) / STEPS;
    for (int block = 0; block < n_blocks; block++) {
        const int stage = block % STAGES;
        await_stage(block);
        const int here = min(STEPS, end - start - block * STEPS);
#pragma unroll 1
        for (int local = 0; local < here; local++) {
            const float* slot = smem + (stage * STEPS + local) * SLOT;
            const int t = start + block * STEPS + local;
            const bool wanted = t >= A.first_step;
            const i64 dense = (((i64)batch * A.dense_steps + t - A.dense_first) * A.dense_heads + out_head) * memory_size;
            if ((DENSE & 1) && wanted) store_tile(s, A.dense[0] + dense, A, first_row, column);
#pragma unroll
            for (int g = 0; g < ROWS / 4; g++) {
                float alpha[4];
                *(float4*)alpha = *(const float4*)(slot + AT_RETENTION + first_row + 4 * g);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int c = 0; c < 4; c++) s[4 * g + i][c] = __fmul_rn(alpha[i], s[4 * g + i][c]);
            }
            if ((DENSE & 2) && wanted) store_tile(s, A.dense[1] + dense, A, first_row, column);
#pragma unroll
            for (int j = 0; j < N; j++) {
                if ((DENSE & 4) && j == A.n_erases && wanted) store_tile(s, A.dense[2] + dense, A, first_row, column);
                float value[4];
                *(float4*)value = *(const float4*)(slot + at_value(j) + 4 * thread_column);
#pragma unroll
                for (int g = 0; g < ROWS / 4; g++) {
                    float direction[4];
                    *(float4*)direction = *(const float4*)(slot + at_direction(j) + first_row + 4 * g);
#pragma unroll
                    for (int i = 0; i < 4; i++)
#pragma unroll
                        for (int c = 0; c < 4; c++) s[4 * g + i][c] = __fmaf_rn(direction[i], value[c], s[4 * g + i][c]);
                }
            }
            if ((DENSE & 4) && A.n_erases == N && wanted) store_tile(s, A.dense[2] + dense, A, first_row, column);
            if ((DENSE & 8) && wanted) store_tile(s, A.dense[3] + dense, A, first_row, column);
        }
        free_stage(block, n_blocks);
    }
}

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
// Given by the host beside slots.cu's and stages.cu's: DENSE (bits of the phases stored), KEPT (1 outputs, 2 pseudo-values, 4
// residuals), TILES (memories in shared memory on their way out; 0 if threads store them).

__host__ __device__ constexpr int at_value(int j) { return AT_COLUMNS + n_valued(j) * COLUMNS; }
constexpr int AT_STRENGTHS = AT_COLUMNS + n_valued(N) * COLUMNS;
constexpr int AT_COUPLINGS = AT_STRENGTHS + N;
constexpr int SLOT = (AT_COUPLINGS + N_COUPLINGS + 3) / 4 * 4;

__device__ __forceinline__ void produce(const Args& A, float* smem, int producer, int lane, int batch, int head, int first_column) {
    const int n_columns = D_V % COLUMNS == 0 ? COLUMNS : min(COLUMNS, D_V - first_column);
    const Vectors vectors = vectors_of(A, batch, head);
    Source values[N];
#pragma unroll
    for (int j = 0; j < N; j++)
        if (has_value(j)) values[j] = source(A.edits[j].value, format(F_VALUE, j), batch, head, A.head, first_column);
    // Of this warp's steps of a stage.
    auto first_of = [&](int i) { return i * STEPS + producer * SHARE; };
    auto share_of = [&](int i) { return min(min(SHARE, STEPS - producer * SHARE), A.n_steps - first_of(i)); };
    auto slots_of = [&](int place) { return smem + (place * STEPS + producer * SHARE) * SLOT; };
    float strength = 1.0f, strength_before = 1.0f;
    produce_stages(
        (A.n_steps + STEPS - 1) / STEPS,
        [&](int i, int place) {
            const int first = A.first_step + first_of(i), here = share_of(i);
            float* slots = slots_of(place);
            strength_before = strength;
            strength = strength_of(A, batch, first, here, head, lane);
            for (int local = 0; local < here; local++) {
                stage_vectors(vectors, slots + local * SLOT, first + local, lane);
#pragma unroll
                for (int j = 0; j < N; j++)
                    if (has_value(j)) stage_row(slots + local * SLOT + at_value(j), values[j], first + local, n_columns, lane);
            }
        },
        [&](int i, int place, bool last) {
            const int here = share_of(i);
            float* slots = slots_of(place);
            // Asked for one stage ago: nobody waited for it.
            if (lane < here * N) slots[lane / N * SLOT + AT_STRENGTHS + lane % N] = last ? strength : strength_before;
            for (int local = 0; local < here; local++) {
                convert_vectors(vectors, slots + local * SLOT, lane);
#pragma unroll
                for (int j = 0; j < N; j++)
                    if (has_value(j)) convert_row(slots + local * SLOT + at_value(j), values[j], n_columns, lane);
            }
            __syncwarp();
            stage_couplings(slots, SLOT, AT_COUPLINGS, here, lane);
        });
}

#if TILES
// A whole memory by all consumers into shared memory, from where it leaves in one piece while the next is made: a warp that
// stores pieces of rows itself waits for them.
__device__ __forceinline__ void store_in_bulk(const Tile& tile, float* buffer, float* to, int warp_column, int row_lane, int column_lane) {
    if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(TILES - 1) : "memory");
    barrier_sync(15, CONSUMERS * WARP);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        float* row = buffer + row_of(row_lane, i) * COLUMNS + warp_column + column_lane * 4;
        if (C == 8) {
            // Neighbouring rows begin with the other half: so they lie in different banks.
            const bool odd = row_lane & 1;
            const float4 low = make_float4(tile.s[i][0], tile.s[i][1 % C], tile.s[i][2 % C], tile.s[i][3 % C]);
            const float4 high = make_float4(tile.s[i][4 % C], tile.s[i][5 % C], tile.s[i][6 % C], tile.s[i][7 % C]);
            *(float4*)(row + (odd ? 16 : 0)) = odd ? high : low;
            *(float4*)(row + (odd ? 0 : 16)) = odd ? low : high;
        } else {
            *(float4*)row = make_float4(tile.s[i][0], tile.s[i][1 % C], tile.s[i][2 % C], tile.s[i][3 % C]);
        }
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    barrier_sync(14, CONSUMERS * WARP);
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
                     ::"l"(to), "r"((u32)__cvta_generic_to_shared(buffer)), "n"(DK * COLUMNS * 4) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS) forward(const __grid_constant__ Args A) {
    extern __shared__ float4 shared[];
    float* smem = (float*)shared;
    for (int i = threadIdx.x; i < STAGES * STEPS * SLOT; i += THREADS) smem[i] = 0.0f;
    __syncthreads();

    const int n_column_blocks = (D_V + COLUMNS - 1) / COLUMNS;
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
    const i64 memory_size = (i64)D_K * D_V;
    const i64 memory_index = (i64)batch * A.head + head;

    Tile tile;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int c = 0; c < C; c++) {
            const int row = row_of(row_lane, i), column = first_column + column_of(column_lane, c);
            tile.s[i][c] = A.initial && row < D_K && column < D_V ? A.initial[memory_index * memory_size + (i64)row * D_V + column] : 0.0f;
        }

    // After the round each lane has one column's sums: which, and whether it is the one to store them.
    const int own = own_of(lane);
    const int own_column = warp_column + column_of(column_lane, own);
    const bool stores_column = stores_own(lane) && block_column + own_column < D_V;

    const int n_blocks = (A.n_steps + STEPS - 1) / STEPS;
    int until_checkpoint = (A.checkpoint_every - A.first_step % A.checkpoint_every) % A.checkpoint_every;
    const i64 out_stride = (i64)A.head * D_V;
    i64 out = (((i64)batch * A.out_steps + A.first_step - A.out_first) * A.head + head) * D_V + block_column + own_column;
    int stored = 0;
    auto keep = [&](int phase, i64 dense) {
#if TILES
        store_in_bulk(tile, smem + STAGES * STEPS * SLOT + stored++ % TILES * (DK * COLUMNS), A.dense[phase] + dense, warp_column, row_lane, column_lane);
#else
        store_tile(tile, A.dense[phase] + dense, A, first_column, row_lane, column_lane);
#endif
    };
    for (int block = 0; block < n_blocks; block++) {
        const int stage = block % STAGES;
        await_stage(block);
        const int here = min(STEPS, A.n_steps - block * STEPS);
#pragma unroll 1
        for (int local = 0; local < here; local++) {
            const float* slot = smem + (stage * STEPS + local) * SLOT;
            const int t = A.first_step + block * STEPS + local;
            if (A.checkpoints && until_checkpoint-- == 0) {
                until_checkpoint = A.checkpoint_every - 1;
                const i64 index = ((i64)batch * A.n_checkpoints + t / A.checkpoint_every - A.checkpoint_first) * A.head + head;
                store_tile(tile, A.checkpoints + index * memory_size, A, first_column, row_lane, column_lane);
            }
            const i64 dense = (((i64)batch * A.dense_steps + t - A.dense_first) * A.head + head) * memory_size;
            if (DENSE & 1) keep(0, dense);

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
            if (DENSE & 2) keep(1, dense);

            // Sums over row lanes, halving the columns of a lane where it has several.
#pragma unroll
            for (int j = 0; j <= N; j++)
                if (j == N || read_kind(j < N ? j : 0)) sum_rows(reads[j], lane);

            float values[N];
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
                    if (KEPT & 4) A.residuals[j][out] = residual;
                    if (KEPT & 2) A.pseudo_values[j][out] = values[j];
                }
            }
            float output = reads[N][0];
#pragma unroll
            for (int j = 0; j < N; j++) output = fmaf(slot[AT_COUPLINGS + coupling(N, j)], values[j], output);
            if ((KEPT & 1) && stores_column) A.output[out] = output;
            out += out_stride;

            // Every lane takes its columns' pseudo-values from the lanes that have them.
            float pseudo[N][C];
#pragma unroll
            for (int c = 0; c < C; c++) {
                const int from = lane_of(lane, c);
#pragma unroll
                for (int j = 0; j < N; j++) pseudo[j][c] = C == 1 ? values[j] : __shfl_sync(0xffffffffu, values[j], from);
            }
#pragma unroll
            for (int j = 0; j < N; j++) {
                if ((DENSE & 4) && j == A.n_erases) keep(2, dense);
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
            if ((DENSE & 4) && A.n_erases == N) keep(2, dense);
            if (DENSE & 8) keep(3, dense);
        }
        if (A.progress && ((block + 1) * STEPS % A.progress_every == 0 || block + 1 == n_blocks)) {
            __threadfence();
            __syncwarp();
            if (lane == 0) atomicAdd(A.progress, 1u);
        }
        free_stage(block, n_blocks);
    }
#if TILES
    if (threadIdx.x == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
#endif
    if (A.final_memory) store_tile(tile, A.final_memory + memory_index * memory_size, A, first_column, row_lane, column_lane);
}

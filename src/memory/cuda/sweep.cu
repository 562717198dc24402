// The step backwards on a few columns of one head, as the CPU's adjoint does it: with S' the memory a step finds, G the
// gradient of the memory it leaves, g that of its output,
//
//     gradient of a_j = direction_j^T G + (q . direction_j) g + sum over i > j of (c_i . direction_j) r_i
//     r_j = -strength_j * gradient of a_j
//     G  <- alpha (G + q g^T + sum over j of c_j r_j^T)      (reads before the decay outside the bracket)
//
// All sums over key channels are taken in one round. Memories within a chunk are made again from the tape without a dot
// product: once forward through the chunk keeping one of every STEPS, then group by group in shared memory.
//
// Given by the host beside slots.cu's and stages.cu's (a stage is a group): F_GRAD (how the gradient of the output stands).

__host__ __device__ constexpr int at_residual(int j) { return AT_COLUMNS + j * COLUMNS; }
constexpr int AT_GRAD = AT_COLUMNS + N * COLUMNS;
constexpr int AT_STRENGTHS = AT_GRAD + COLUMNS;
constexpr int AT_COUPLINGS = AT_STRENGTHS + N;
constexpr int SLOT = (AT_COUPLINGS + N_COUPLINGS + 3) / 4 * 4;
constexpr int CONSUMER_THREADS = CONSUMERS * WARP;
constexpr int CONSUMER_BARRIER = 15;

// The groups of a chunk are visited forward (all but the last), then backward (all).
struct Visit {
    int start, end;     // steps
    int group;
    bool forward;
};

__device__ __forceinline__ int n_groups(int steps) { return (steps + STEPS - 1) / STEPS; }
__device__ __forceinline__ Visit visit(const Args& A, int chunk, int index) {
    const int start = chunk * A.checkpoint_every, end = min(start + A.checkpoint_every, A.first_step + A.n_steps);
    const int groups = n_groups(end - start);
    Visit v;
    v.forward = index < groups - 1;
    v.group = v.forward ? index : 2 * groups - 2 - index;
    v.start = start + v.group * STEPS;
    v.end = min(v.start + STEPS, end);
    return v;
}
__device__ __forceinline__ int n_visits(const Args& A, int chunk) {
    const int start = chunk * A.checkpoint_every, end = min(start + A.checkpoint_every, A.first_step + A.n_steps);
    return 2 * n_groups(end - start) - 1;
}

__device__ __forceinline__ int share(int n_steps, int producer) { return min(min(SHARE, STEPS - producer * SHARE), n_steps - producer * SHARE); }

__device__ __forceinline__ void produce(const GradientArgs& B, float* smem, int producer, int lane, int batch, int head, int first_column) {
    const Args& A = B.base;
    const int n_columns = D_V % COLUMNS == 0 ? COLUMNS : min(COLUMNS, D_V - first_column);
    const int first_chunk = A.first_step / A.checkpoint_every;
    const int last_chunk = (A.first_step + A.n_steps - 1) / A.checkpoint_every;
    const Vectors vectors = vectors_of(A, batch, head);
    const Source grad_output = source(B.grad_output, F_GRAD, batch, head, A.head, first_column);
    Source residuals[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
        residuals[j].flags = ALIGNED ? 2 : 0;
        residuals[j].stride = (i64)A.head * D_V * 4;
        residuals[j].base = (const char*)(A.residuals[j] + (((i64)batch * A.out_steps - A.out_first) * A.head + head) * D_V + first_column);
    }
    // The visit of a stage, from the last chunk back; those of one stage are handed over when the next is on its way.
    int chunk = last_chunk, index = 0, visits = n_visits(A, last_chunk), n_steps = 0, n_steps_before = 0;
    float strength = 1.0f, strength_before = 1.0f;
    auto slots_of = [&](int place) { return smem + (place * STEPS + producer * SHARE) * SLOT; };
    int total = 0;
    for (int i = first_chunk; i <= last_chunk; i++) total += n_visits(A, i);
    produce_stages(
        total,
        [&](int, int place) {
            const Visit v = visit(A, chunk, index);
            if (++index == visits && --chunk >= first_chunk) index = 0, visits = n_visits(A, chunk);
            const int here = share(v.end - v.start, producer), first = v.start + producer * SHARE;
            n_steps_before = n_steps, n_steps = v.end - v.start;
            strength_before = strength;
            strength = strength_of(A, batch, first, here, head, lane);
            for (int local = 0; local < here; local++) {
                float* slot = slots_of(place) + local * SLOT;
                stage_vectors(vectors, slot, first + local, lane);
#pragma unroll
                for (int j = 0; j < N; j++) stage_row(slot + at_residual(j), residuals[j], first + local, n_columns, lane);
                stage_row(slot + AT_GRAD, grad_output, first + local, n_columns, lane);
            }
        },
        [&](int, int place, bool last) {
            const int here = share(last ? n_steps : n_steps_before, producer);
            float* slots = slots_of(place);
            if (lane < here * N) slots[lane / N * SLOT + AT_STRENGTHS + lane % N] = last ? strength : strength_before;
            for (int local = 0; local < here; local++) {
                convert_vectors(vectors, slots + local * SLOT, lane);
                convert_row(slots + local * SLOT + AT_GRAD, grad_output, n_columns, lane);
            }
            __syncwarp();
            stage_couplings(slots, SLOT, AT_COUPLINGS, here, lane);
        });
}

// A thread's own numbers of a step's columns.
struct ColumnValues {
    float a[N][C];
    float grad_output[C];
};

__device__ __forceinline__ ColumnValues column_values(const float* slot, int warp_column, int column_lane) {
    ColumnValues x;
#pragma unroll
    for (int c = 0; c < C; c++) {
        const int column = warp_column + column_of(column_lane, c);
        x.grad_output[c] = slot[AT_GRAD + column];
#pragma unroll
        for (int j = 0; j < N; j++) x.a[j][c] = slot[AT_STRENGTHS + j] * slot[at_residual(j) + column];
    }
    return x;
}

// The memory one step later, as the forward kernel made it.
__device__ __forceinline__ void advance(Tile& tile, const float* slot, const ColumnValues& x, int row_lane) {
#pragma unroll
    for (int g = 0; g < ROWS / 4; g++) {
        const int at = 4 * (row_lane + ROW_LANES * g);
        float alpha[4], direction[N][4];
        *(float4*)alpha = *(const float4*)(slot + AT_RETENTION + at);
#pragma unroll
        for (int j = 0; j < N; j++) *(float4*)direction[j] = *(const float4*)(slot + at_direction(j) + at);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int c = 0; c < C; c++) {
                float s = __fmul_rn(alpha[i], tile.s[4 * g + i][c]);
#pragma unroll
                for (int j = 0; j < N; j++) s = __fmaf_rn(direction[j][i], x.a[j][c], s);
                tile.s[4 * g + i][c] = s;
            }
    }
}

// A thread's tile, four numbers at a time, so that neighbours in a warp are neighbours in memory.
template <int STRIDE> __device__ __forceinline__ void put(const Tile& tile, float4* to) {
#pragma unroll
    for (int k = 0; k < ROWS * C / 4; k++)
        to[k * STRIDE] = make_float4(tile.s[(4 * k) / C][(4 * k) % C], tile.s[(4 * k + 1) / C][(4 * k + 1) % C],
                                     tile.s[(4 * k + 2) / C][(4 * k + 2) % C], tile.s[(4 * k + 3) / C][(4 * k + 3) % C]);
}
template <int STRIDE> __device__ __forceinline__ void get(Tile& tile, const float4* from) {
#pragma unroll
    for (int k = 0; k < ROWS * C / 4; k++) {
        const float4 x = from[k * STRIDE];
        tile.s[(4 * k) / C][(4 * k) % C] = x.x;
        tile.s[(4 * k + 1) / C][(4 * k + 1) % C] = x.y;
        tile.s[(4 * k + 2) / C][(4 * k + 2) % C] = x.z;
        tile.s[(4 * k + 3) / C][(4 * k + 3) % C] = x.w;
    }
}

__device__ __forceinline__ void load_tile(Tile& tile, const float* memory, const Args& A, int first_column, int row_lane, int column_lane) {
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int c = 0; c < C; c++) {
            const int row = row_of(row_lane, i), column = first_column + column_of(column_lane, c);
            tile.s[i][c] = memory && row < D_K && column < D_V ? memory[(i64)row * D_V + column] : 0.0f;
        }
}

extern "C" __global__ void __launch_bounds__(THREADS) sweep(const __grid_constant__ GradientArgs B) {
    const Args& A = B.base;
    extern __shared__ float4 shared[];
    float* smem = (float*)shared;
    float4* states = shared + STAGES * STEPS * SLOT / 4;                    // [step][k][thread]
    float* partial = (float*)(states + STEPS * (DK * COLUMNS / 4));         // [step][warp][sum][row]
    for (int i = threadIdx.x; i < STAGES * STEPS * SLOT; i += THREADS) smem[i] = 0.0f;
    __syncthreads();

    const int column_block = blockIdx.x % B.column_blocks;
    const int head = blockIdx.x / B.column_blocks % A.head;
    const int batch = blockIdx.x / B.column_blocks / A.head;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int block_column = column_block * COLUMNS;
    if (warp >= CONSUMERS) {
        produce(B, smem, warp - CONSUMERS, lane, batch, head, block_column);
        return;
    }
    const int row_lane = lane / COLUMN_LANES, column_lane = lane % COLUMN_LANES;
    const int warp_column = warp * COLUMN_LANES * C;
    const int first_column = block_column + warp_column;
    const i64 memory_size = (i64)D_K * D_V;
    const i64 memory_index = (i64)batch * A.head + head;
    const int own_column = warp_column + column_of(column_lane, own_of(lane));
    const bool stores_column = stores_own(lane) && block_column + own_column < D_V;
    const int max_groups = n_groups(A.checkpoint_every);
    float4* scratch = (float4*)B.scratch + (i64)blockIdx.x * max_groups * (DK * COLUMNS / 4) + threadIdx.x;

    Tile gradient;
    load_tile(gradient, B.gradient_after ? B.gradient_after + memory_index * memory_size : nullptr, A, first_column, row_lane, column_lane);

    const int first_chunk = A.first_step / A.checkpoint_every;
    const int last_chunk = (A.first_step + A.n_steps - 1) / A.checkpoint_every;
    int count = 0, total = 0;
    for (int chunk = first_chunk; chunk <= last_chunk; chunk++) total += n_visits(A, chunk);
    for (int chunk = last_chunk; chunk >= first_chunk; chunk--) {
        Tile tile;
        load_tile(tile, A.checkpoints + (((i64)batch * A.n_checkpoints + chunk - A.checkpoint_first) * A.head + head) * memory_size, A,
                  first_column, row_lane, column_lane);
        const int visits = n_visits(A, chunk);
#pragma unroll 1
        for (int index = 0; index < visits; index++, count++) {
            const Visit v = visit(A, chunk, index);
            const int stage = count % STAGES;
            const int here = v.end - v.start;
            await_stage(count);
            const float* slots = smem + stage * STEPS * SLOT;
            if (v.forward) {
                put<CONSUMER_THREADS>(tile, scratch + (i64)v.group * (DK * COLUMNS / 4));
#pragma unroll 1
                for (int local = 0; local < here; local++)
                    advance(tile, slots + local * SLOT, column_values(slots + local * SLOT, warp_column, column_lane), row_lane);
            } else {
                if (index >= visits / 2 + 1) get<CONSUMER_THREADS>(tile, scratch + (i64)v.group * (DK * COLUMNS / 4));
#pragma unroll 1
                for (int local = 0; local < here; local++) {
                    put<CONSUMER_THREADS>(tile, states + local * (DK * COLUMNS / 4) + threadIdx.x);
                    if (local + 1 < here)
                        advance(tile, slots + local * SLOT, column_values(slots + local * SLOT, warp_column, column_lane), row_lane);
                }
#pragma unroll 1
                for (int local = here - 1; local >= 0; local--) {
                    const float* slot = slots + local * SLOT;
                    const int t = v.start + local;
                    const ColumnValues x = column_values(slot, warp_column, column_lane);

                    float found[N][C];
#pragma unroll
                    for (int j = 0; j < N; j++)
#pragma unroll
                        for (int c = 0; c < C; c++) found[j][c] = 0.0f;
#pragma unroll
                    for (int g = 0; g < ROWS / 4; g++) {
                        const int at = 4 * (row_lane + ROW_LANES * g);
#pragma unroll
                        for (int j = 0; j < N; j++) {
                            float direction[4];
                            *(float4*)direction = *(const float4*)(slot + at_direction(j) + at);
#pragma unroll
                            for (int i = 0; i < 4; i++)
#pragma unroll
                                for (int c = 0; c < C; c++) found[j][c] = fmaf(direction[i], gradient.s[4 * g + i][c], found[j][c]);
                        }
                    }
#pragma unroll
                    for (int j = 0; j < N; j++) sum_rows(found[j], lane);

                    // The gradients of the pseudo-values, last edit first; then of what the edits read.
                    float reads[N];
                    const float own_grad = slot[AT_GRAD + own_column];
                    const i64 out = (((i64)batch * A.n_steps + t - A.first_step) * A.head + head) * D_V + block_column + own_column;
#pragma unroll
                    for (int j = N - 1; j >= 0; j--) {
                        float grad = fmaf(slot[AT_COUPLINGS + coupling(N, j)], own_grad, found[j][0]);
#pragma unroll
                        for (int i = 0; i < N; i++)
                            if (i > j) grad = fmaf(slot[AT_COUPLINGS + coupling(i, j)], reads[i], grad);
                        if (stores_column) B.grad_values[j][out] = grad;
                        reads[j] = read_kind(j) ? -slot[AT_STRENGTHS + j] * grad : 0.0f;
                    }
                    float read_grad[N][C];
#pragma unroll
                    for (int j = 0; j < N; j++)
#pragma unroll
                        for (int c = 0; c < C; c++)
                            if (read_kind(j)) read_grad[j][c] = C == 1 ? reads[j] : __shfl_sync(0xffffffffu, reads[j], lane_of(lane, c));

                    const float4* state = states + local * (DK * COLUMNS / 4) + threadIdx.x;
                    float* sums = partial + (local * CONSUMERS + warp) * N_SUMS * DK + lane;
#pragma unroll
                    for (int g = 0; g < ROWS / 4; g++) {
                        const int at = 4 * (row_lane + ROW_LANES * g);
                        float alpha[4], query[4], read[N][4], s[4 * C];
                        *(float4*)alpha = *(const float4*)(slot + AT_RETENTION + at);
                        *(float4*)query = *(const float4*)(slot + AT_QUERY + at);
#pragma unroll
                        for (int j = 0; j < N; j++)
                            if (read_kind(j)) *(float4*)read[j] = *(const float4*)(slot + at_read(j) + at);
#pragma unroll
                        for (int k = 0; k < C; k++) *(float4*)(s + 4 * k) = state[(g * C + k) * CONSUMER_THREADS];
                        float sum[N_SUMS][4];
#pragma unroll
                        for (int k = 0; k < N_SUMS; k++)
#pragma unroll
                            for (int i = 0; i < 4; i++) sum[k][i] = 0.0f;
#pragma unroll
                        for (int i = 0; i < 4; i++)
#pragma unroll
                            for (int c = 0; c < C; c++) {
                                float y = gradient.s[4 * g + i][c];
                                const float found = s[i * C + c];
#pragma unroll
                                for (int j = 0; j < N; j++) sum[sum_direction(j)][i] = fmaf(y, x.a[j][c], sum[sum_direction(j)][i]);
                                y = fmaf(query[i], x.grad_output[c], y);
#pragma unroll
                                for (int j = 0; j < N; j++)
                                    if (read_kind(j) == 1 || read_kind(j) == 2) y = fmaf(read[j][i], read_grad[j][c], y);
                                sum[SUM_RETENTION][i] = fmaf(found, y, sum[SUM_RETENTION][i]);
#pragma unroll
                                for (int j = 0; j < N; j++)
                                    if (read_kind(j)) sum[sum_read(j)][i] = fmaf(found, read_grad[j][c], sum[sum_read(j)][i]);
                                sum[SUM_OUTPUT][i] = fmaf(found, x.grad_output[c], sum[SUM_OUTPUT][i]);
                                y = alpha[i] * y;
#pragma unroll
                                for (int j = 0; j < N; j++)
                                    if (read_kind(j) == 3) y = fmaf(read[j][i], read_grad[j][c], y);
                                gradient.s[4 * g + i][c] = y;
                            }
                        // Over the column lanes: each is left with the sums of one of the four rows.
#pragma unroll
                        for (int k = 0; k < N_SUMS; k++) {
                            const bool high = lane & 2, odd = lane & 1;
                            float a = high ? sum[k][2] : sum[k][0], b = high ? sum[k][3] : sum[k][1];
                            a += __shfl_xor_sync(0xffffffffu, high ? sum[k][0] : sum[k][2], 2);
                            b += __shfl_xor_sync(0xffffffffu, high ? sum[k][1] : sum[k][3], 2);
                            const float mine = odd ? b : a;
                            sums[k * DK + WARP * g] = mine + __shfl_xor_sync(0xffffffffu, odd ? a : b, 1);
                        }
                    }
                }
                // The warps' sums together, one row of numbers after the other.
                barrier_sync(CONSUMER_BARRIER, CONSUMER_THREADS);
                for (int i = threadIdx.x; i < here * N_SUMS * DK; i += CONSUMER_THREADS) {
                    const int local = i / (N_SUMS * DK), at = i % (N_SUMS * DK);
                    float sum = 0.0f;
#pragma unroll
                    for (int w = 0; w < CONSUMERS; w++) sum += partial[(local * CONSUMERS + w) * N_SUMS * DK + at];
                    const i64 step = (((i64)column_block * A.batch + batch) * A.n_steps + v.start + local - A.first_step) * A.head + head;
                    B.sums[step * (N_SUMS * DK) + at] = sum;
                }
                barrier_sync(CONSUMER_BARRIER, CONSUMER_THREADS);
            }
            free_stage(count, total);
        }
    }
    if (B.gradient_before) store_tile(gradient, B.gradient_before + memory_index * memory_size, A, first_column, row_lane, column_lane);
}

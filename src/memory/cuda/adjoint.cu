// How each output depends on each gate before it, exactly: the outputs are affine in every single strength. With g the
// adjoint of the memory (the same for all columns, g = q_t at step t), backwards from the query's step, last edit first:
//
//     x_j = g . direction_j          do_t / dstrength_j = x_j residual_j
//     g  <- g - strength_j x_j c_j   (reads before the decay after it)
//     g  <- alpha g
//
// A warp has one query. Given by the host beside common.cu's: nothing.

#define CHANNELS (DK / WARP)

struct AdjointArgs {
    Args base;
    const int* queries;         // [query, {batch, head, step}]
    float* coefficients;        // [query, step, N]
    float* adjoints;            // [query, step, d_k] or null: of the memory a step leaves
    int n_queries, steps;
};
static_assert(sizeof(AdjointArgs) == 1640 + 32, "layout of the arguments");

struct Step {
    float alpha[CHANNELS], direction[N][CHANNELS], read[N][CHANNELS], strength[N];
};

__device__ __forceinline__ void vector(float (&to)[CHANNELS], const Rows& rows, const void* row, int n, int lane) {
#pragma unroll
    for (int i = 0; i < CHANNELS; i++) to[i] = lane + WARP * i < n ? load1(rows, row, lane + WARP * i) : 0.0f;
}

__device__ __forceinline__ void load(Step& x, const Args& A, int batch, int t, int head, int lane) {
    vector(x.alpha, A.retention, row_at(A.retention, batch, t, head, A.head), A.d_k, lane);
#pragma unroll
    for (int j = 0; j < N; j++) {
        const Edit& edit = A.edits[j];
        vector(x.direction[j], edit.direction, row_at(edit.direction, batch, t, head, A.head), A.d_k, lane);
        if (reads_elsewhere(j)) vector(x.read[j], edit.read, row_at(edit.read, batch, t, head, A.head), A.d_k, lane);
        x.strength[j] = edit.strength.data ? load1(edit.strength, row_at(edit.strength, batch, t, head, A.head), 0) : 1.0f;
    }
}

extern "C" __global__ void __launch_bounds__(128) adjoint(const __grid_constant__ AdjointArgs B) {
    const Args& A = B.base;
    const int index = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (index >= B.n_queries) return;
    const int batch = B.queries[3 * index], head = B.queries[3 * index + 1], last = B.queries[3 * index + 2];
    float* coefficients = B.coefficients + (i64)index * B.steps * N;
    // Later steps have no part in it.
    for (int i = (last + 1) * N + lane; i < B.steps * N; i += WARP) coefficients[i] = 0.0f;
    if (B.adjoints)
        for (i64 i = (i64)(last + 1) * A.d_k + lane; i < (i64)B.steps * A.d_k; i += WARP) B.adjoints[(i64)index * B.steps * A.d_k + i] = 0.0f;

    float g[CHANNELS];
    vector(g, A.query, row_at(A.query, batch, last, head, A.head), A.d_k, lane);
    Step now, next;
    load(now, A, batch, last, head, lane);
    for (int t = last; t >= 0; t--) {
        if (t > 0) load(next, A, batch, t - 1, head, lane);
        if (B.adjoints)
#pragma unroll
            for (int i = 0; i < CHANNELS; i++)
                if (lane + WARP * i < A.d_k) B.adjoints[((i64)index * B.steps + t) * A.d_k + lane + WARP * i] = g[i];
        // g and every read that sees edits, with every direction, in one round.
        float dots[N_COUPLINGS];
#pragma unroll
        for (int j = 0; j <= N; j++)
#pragma unroll
            for (int i = 0; i < N; i++)
                if (i < j) {
                    float sum = 0.0f;
                    const bool meets = j == N || read_kind(j) == 1 || read_kind(j) == 2;
                    if (meets)
#pragma unroll
                        for (int c = 0; c < CHANNELS; c++) {
                            const float vector = j == N ? g[c] : (reads_elsewhere(j < N ? j : 0) ? now.read[j < N ? j : 0][c] : now.direction[j < N ? j : 0][c]);
                            sum = fmaf(vector, now.direction[i][c], sum);
                        }
                    dots[coupling(j, i)] = meets ? warp_sum(sum) : 0.0f;
                }
        float moved[N];
#pragma unroll
        for (int j = N - 1; j >= 0; j--) {
            float x = dots[coupling(N, j)];
#pragma unroll
            for (int i = 0; i < N; i++)
                if (i > j) x = fmaf(-moved[i], dots[coupling(i, j)], x);
            moved[j] = read_kind(j) ? now.strength[j] * x : 0.0f;
            if (lane == 0) coefficients[(i64)t * N + j] = x;
        }
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) {
            float y = g[c];
#pragma unroll
            for (int j = 0; j < N; j++)
                if (read_kind(j) == 1 || read_kind(j) == 2) y = fmaf(-moved[j], reads_elsewhere(j) ? now.read[j][c] : now.direction[j][c], y);
            y *= now.alpha[c];
#pragma unroll
            for (int j = 0; j < N; j++)
                if (read_kind(j) == 3) y = fmaf(-moved[j], now.read[j][c], y);
            g[c] = y;
        }
        now = next;
    }
}

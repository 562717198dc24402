// From the sums of the backward sweep to the gradients of all inputs, every step by itself; with x_ji = r_j . a_i (the
// output's gradient g being the last r), y_j = S' r_j:
//
//     query       alpha y_g + sum over i of x_gi direction_i
//     read j      alpha y_j + sum over i < j of x_ji direction_i       (y_j alone where the memory before decay is read)
//     direction j G a_j + x_gj q + sum over i > j of x_ij c_i          (and the read's, where the edit reads at its direction)
//     strength j  gradient of a_j . residual_j;   value j  strength_j gradient of a_j
//
// A warp has one key head of one step, and sums over the heads it serves where an input is shared by them. Given by the host
// beside common.cu's: nothing.

#define CHANNELS (DK / WARP)


__device__ __forceinline__ float at(const Rows& rows, const void* row, int i, int n) { return i < n ? load1(rows, row, i) : 0.0f; }

__device__ __forceinline__ void write_rows(float* to, const float (&x)[CHANNELS], i64 row, int d_k, int lane) {
#pragma unroll
    for (int i = 0; i < CHANNELS; i++)
        if (lane + WARP * i < d_k) to[row * d_k + lane + WARP * i] = x[i];
}

extern "C" __global__ void __launch_bounds__(128) finish(const __grid_constant__ GradientArgs B) {
    const Args& A = B.base;
    const i64 task = (i64)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (task >= (i64)A.batch * A.n_steps * B.key_head) return;
    const int key_head = task % B.key_head;
    const int local = task / B.key_head % A.n_steps;
    const int batch = task / B.key_head / A.n_steps;
    const int t = A.first_step + local;
    const int group = A.head / B.key_head;
    // Inputs are indexed by the step of the whole recurrence, gradients too.
    const i64 step = (i64)batch * A.out_steps + t;

    float of_query[CHANNELS], of_retention[CHANNELS], of_direction[N][CHANNELS], of_read[N][CHANNELS];
#pragma unroll
    for (int i = 0; i < CHANNELS; i++) {
        of_query[i] = of_retention[i] = 0.0f;
#pragma unroll
        for (int j = 0; j < N; j++) of_direction[j][i] = of_read[j][i] = 0.0f;
    }
    for (int member = 0; member < group; member++) {
        const int head = key_head * group + member;
        // Scalars over the value channels.
        float dots[N_COUPLINGS], strengths[N], of_strength[N];
#pragma unroll
        for (int j = 0; j < N; j++) {
            strengths[j] = A.edits[j].strength.data ? load1(A.edits[j].strength, row_at(A.edits[j].strength, batch, t, head, A.head), 0) : 1.0f;
            of_strength[j] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < N_COUPLINGS; i++) dots[i] = 0.0f;
        const void* grad_output = row_at(B.grad_output, batch, t, head, A.head);
        for (int c = lane; c < A.d_v; c += WARP) {
            float a[N], r[N + 1];
            const i64 tape = (((i64)batch * A.out_steps + t - A.out_first) * A.head + head) * A.d_v + c;
            const i64 here = (((i64)batch * A.n_steps + local) * A.head + head) * A.d_v + c;
#pragma unroll
            for (int j = 0; j < N; j++) {
                const float residual = A.residuals[j][tape], grad = B.grad_values[j][here];
                a[j] = strengths[j] * residual;
                r[j] = read_kind(j) ? -strengths[j] * grad : 0.0f;
                of_strength[j] = fmaf(grad, residual, of_strength[j]);
                if (has_value(j) && B.value[j] && B.value_heads[j] == A.head) B.value[j][(step * A.head + head) * A.d_v + c] = strengths[j] * grad;
            }
            r[N] = load1(B.grad_output, grad_output, c);
#pragma unroll
            for (int j = 0; j <= N; j++)
#pragma unroll
                for (int i = 0; i < N; i++)
                    if (i < j) dots[coupling(j, i)] = fmaf(r[j], a[i], dots[coupling(j, i)]);
        }
#pragma unroll
        for (int i = 0; i < N_COUPLINGS; i++) dots[i] = warp_sum(dots[i]);
#pragma unroll
        for (int j = 0; j < N; j++) {
            of_strength[j] = warp_sum(of_strength[j]);
            if (lane == 0 && B.strength[j]) B.strength[j][step * A.head + head] = of_strength[j];
        }
        // Vectors over the key channels.
        const void* query = row_at(A.query, batch, t, head, A.head);
        const void* retention = row_at(A.retention, batch, t, head, A.head);
#pragma unroll
        for (int i = 0; i < CHANNELS; i++) {
            const int k = lane + WARP * i;
            float sums[N_SUMS];
#pragma unroll
            for (int s = 0; s < N_SUMS; s++) sums[s] = 0.0f;
            for (int block = 0; block < B.column_blocks; block++) {
                const i64 row = ((((i64)block * A.batch + batch) * A.n_steps + local) * A.head + head) * (N_SUMS * DK);
#pragma unroll
                for (int s = 0; s < N_SUMS; s++) sums[s] += B.sums[row + s * DK + k];
            }
            const float alpha = at(A.retention, retention, k, A.d_k), q = at(A.query, query, k, A.d_k);
            float direction[N], read[N];
#pragma unroll
            for (int j = 0; j < N; j++) {
                const Edit& edit = A.edits[j];
                direction[j] = at(edit.direction, row_at(edit.direction, batch, t, head, A.head), k, A.d_k);
                read[j] = reads_elsewhere(j) ? at(edit.read, row_at(edit.read, batch, t, head, A.head), k, A.d_k) : direction[j];
            }
            of_retention[i] += sums[SUM_RETENTION];
            float grad_query = alpha * sums[SUM_OUTPUT];
#pragma unroll
            for (int j = 0; j < N; j++) {
                grad_query = fmaf(dots[coupling(N, j)], direction[j], grad_query);
                float grad_direction = fmaf(dots[coupling(N, j)], q, sums[sum_direction(j)]);
#pragma unroll
                for (int m = 0; m < N; m++)
                    if (m > j && (read_kind(m) == 1 || read_kind(m) == 2)) grad_direction = fmaf(dots[coupling(m, j)], read[m], grad_direction);
                if (read_kind(j)) {
                    float grad_read = sums[sum_read(j)];
                    if (read_kind(j) != 3) {
                        grad_read *= alpha;
#pragma unroll
                        for (int m = 0; m < N; m++)
                            if (m < j) grad_read = fmaf(dots[coupling(j, m)], direction[m], grad_read);
                    }
                    if (reads_elsewhere(j)) of_read[j][i] += grad_read;
                    else grad_direction += grad_read;
                }
                of_direction[j][i] += grad_direction;
            }
            of_query[i] += grad_query;
        }
        // Inputs of this head alone are complete; those of the key head after its last member.
        const bool last = member == group - 1;
        const i64 own = step * A.head + head, shared = step * B.key_head + key_head;
        if (B.query && (B.query_heads == A.head || last)) {
            write_rows(B.query, of_query, B.query_heads == A.head ? own : shared, A.d_k, lane);
            if (B.query_heads == A.head)
#pragma unroll
                for (int i = 0; i < CHANNELS; i++) of_query[i] = 0.0f;
        }
        if (B.retention && (B.retention_heads == A.head || last)) {
            write_rows(B.retention, of_retention, B.retention_heads == A.head ? own : shared, A.d_k, lane);
            if (B.retention_heads == A.head)
#pragma unroll
                for (int i = 0; i < CHANNELS; i++) of_retention[i] = 0.0f;
        }
#pragma unroll
        for (int j = 0; j < N; j++) {
            if (B.direction[j] && (B.direction_heads[j] == A.head || last)) {
                write_rows(B.direction[j], of_direction[j], B.direction_heads[j] == A.head ? own : shared, A.d_k, lane);
                if (B.direction_heads[j] == A.head)
#pragma unroll
                    for (int i = 0; i < CHANNELS; i++) of_direction[j][i] = 0.0f;
            }
            if (reads_elsewhere(j) && B.read[j] && (B.read_heads[j] == A.head || last)) {
                write_rows(B.read[j], of_read[j], B.read_heads[j] == A.head ? own : shared, A.d_k, lane);
                if (B.read_heads[j] == A.head)
#pragma unroll
                    for (int i = 0; i < CHANNELS; i++) of_read[j][i] = 0.0f;
            }
        }
    }
    // Values shared by a key head's members.
#pragma unroll
    for (int j = 0; j < N; j++)
        if (has_value(j) && B.value[j] && B.value_heads[j] != A.head)
            for (int c = lane; c < A.d_v; c += WARP) {
                float sum = 0.0f;
                for (int member = 0; member < group; member++) {
                    const int head = key_head * group + member;
                    const float strength = A.edits[j].strength.data ? load1(A.edits[j].strength, row_at(A.edits[j].strength, batch, t, head, A.head), 0) : 1.0f;
                    sum += strength * B.grad_values[j][(((i64)batch * A.n_steps + local) * A.head + head) * A.d_v + c];
                }
                B.value[j][(step * B.key_head + key_head) * A.d_v + c] = sum;
            }
}

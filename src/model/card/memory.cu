// The recurrence of a layer for training and long evaluation: a decay, at most one erase and one delta write a step.
//
//     S^ = diag(alpha) S      S~ = S^ - gamma e r^T, r = S^^T e      S' = S~ + k a^T, a = beta w, w = v - S~^T c      o = S'^T q
//
// A block has one head, a warp 32 of its columns; a thread holds the rows i * 8 + lane % 8 of the columns lane / 8 * 8 + j. Sums over
// rows stay inside a warp; sums over columns, which only gradients need, end in shared memory. The vectors of the next steps are on
// their way while a step is computed. Every sum has one order: the same inputs give the same bits.

#define ABSENT 0xffffffffu
#define AHEAD 4        // steps that are staged at once
#define ROW_VECTORS 5  // q, k, e, alpha, c

// Where the parts of a packed tensor begin, in numbers; ABSENT where the rule has no such part. Each is [batch, step, head, ..].
struct Layer {
    size steps, heads, d_v;
    size query, key, value, retention, write_strength, erase_direction, erase_strength, read;
    size retention_channels;  // d_k, or 1: one for all
};

__device__ __forceinline__ void stage(float *to, const float *from) {
    unsigned address = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(address), "l"(from) : "memory");
}

__device__ __forceinline__ void stage_four(float *to, const float *from) {
    unsigned address = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}

__device__ __forceinline__ void staged() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int N> __device__ __forceinline__ void await_staged() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Sums over the eight lanes with other rows; lane % 8 tells which of the eight columns a lane ends with.
__device__ __forceinline__ float scatter_columns(float v[8], int lane) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float keep = lane & 4 ? v[i + 4] : v[i], send = lane & 4 ? v[i] : v[i + 4];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, 4);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float keep = lane & 2 ? v[i + 2] : v[i], send = lane & 2 ? v[i] : v[i + 2];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, 2);
    }
    float keep = lane & 1 ? v[1] : v[0], send = lane & 1 ? v[0] : v[1];
    return keep + __shfl_xor_sync(0xffffffffu, send, 1);
}

// All eight of them on every lane.
__device__ __forceinline__ void gather_columns(float x, float v[8], int lane) {
    float other = __shfl_xor_sync(0xffffffffu, x, 1);
    v[0] = lane & 1 ? other : x;
    v[1] = lane & 1 ? x : other;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float other = __shfl_xor_sync(0xffffffffu, v[i], 2), own = v[i];
        v[i] = lane & 2 ? other : own;
        v[i + 2] = lane & 2 ? own : other;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float other = __shfl_xor_sync(0xffffffffu, v[i], 4), own = v[i];
        v[i] = lane & 4 ? other : own;
        v[i + 4] = lane & 4 ? own : other;
    }
}

// Sums over the four lanes with other columns; a lane ends with R / 4 rows, from first_row(lane) on.
template <int R> __device__ __forceinline__ void scatter_rows(float v[R], int lane) {
#pragma unroll
    for (int i = 0; i < R / 2; i++) {
        float keep = lane & 16 ? v[i + R / 2] : v[i], send = lane & 16 ? v[i] : v[i + R / 2];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, 16);
    }
#pragma unroll
    for (int i = 0; i < R / 4; i++) {
        float keep = lane & 8 ? v[i + R / 4] : v[i], send = lane & 8 ? v[i] : v[i + R / 4];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, 8);
    }
}

template <int R> __device__ __forceinline__ int first_row(int lane) { return (lane & 16 ? R / 2 : 0) + (lane & 8 ? R / 4 : 0); }

// Sets the rows that are staged for `AHEAD` steps from `first` on: [step][q, k, e, alpha, c][d_k].
template <int DK>
__device__ __forceinline__ void stage_rows(float *to, const float *packed, const Layer &layer, size batch, size head, size first) {
    for (int i = threadIdx.x; i < AHEAD * ROW_VECTORS * DK; i += blockDim.x) {
        size step = first + i / (ROW_VECTORS * DK), which = i / DK % ROW_VECTORS, c = i % DK;
        if (step >= layer.steps) continue;
        size row = (batch * layer.steps + step) * layer.heads + head;
        size begin = which == 0 ? layer.query : which == 1 ? layer.key : which == 2 ? layer.erase_direction : which == 3 ? layer.retention : layer.read;
        if (begin == ABSENT) {
            if (which == 3) to[i] = 1.0f;
        } else if (which == 3 && layer.retention_channels == 1) {
            stage(to + i, packed + begin + row);
        } else {
            stage(to + i, packed + begin + row * DK + c);
        }
    }
}

#define ROWS(vector, at) for (int i = 0; i < R; i++) vector[i] = rows[at * DK + i * 8 + lane % 8]

// Runs all steps. `states` [batch, step, head, d_k, d_v] (what each step found), `residuals` and `removed` (w and r) [batch, step, head,
// d_v] are for the backward pass.
template <int DK>
__device__ __forceinline__ void memory_forward(const float *packed, const float *initial, float *output, float *last, float *states,
                                               float *residuals, float *removed, const Layer &layer, bool has_initial, bool taped) {
    constexpr int R = DK / 8;
    __shared__ float staging[2][AHEAD * ROW_VECTORS * DK];
    size batch = blockIdx.x / layer.heads, head = blockIdx.x % layer.heads;
    int lane = threadIdx.x % 32;
    size own = threadIdx.x / 32 * 32 + lane / 8 * 8;  // the first of the thread's columns
    size column = threadIdx.x / 32 * 32 + lane;       // the column whose sums end here
    bool erases = layer.erase_direction != ABSENT, oblique = layer.read != ABSENT;
    float S[R][8];
    size base = (size)blockIdx.x * DK * layer.d_v;
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) S[i][j] = has_initial ? initial[base + (i * 8 + lane % 8) * layer.d_v + own + j] : 0.0f;
    stage_rows<DK>(staging[0], packed, layer, batch, head, 0);
    staged();
    // What a lane needs of the next step, on its way while this one is computed.
    float next_value, next_beta, next_gamma;
    auto fetch = [&](size step) {
        size row = (batch * layer.steps + (step < layer.steps ? step : layer.steps - 1)) * layer.heads + head;
        next_value = packed[layer.value + row * layer.d_v + column];
        next_beta = layer.write_strength == ABSENT ? 1.0f : packed[layer.write_strength + row];
        next_gamma = erases ? packed[layer.erase_strength + row] : 0.0f;
    };
    fetch(0);
    for (size first = 0; first < layer.steps; first += AHEAD) {
        int now = first / AHEAD % 2;
        await_staged<0>();
        __syncthreads();
        stage_rows<DK>(staging[1 - now], packed, layer, batch, head, first + AHEAD);
        staged();
        for (size step = first; step < first + AHEAD && step < layer.steps; step++) {
            const float *rows = staging[now] + (step - first) * ROW_VECTORS * DK;
            size row = (batch * layer.steps + step) * layer.heads + head;
            float value = next_value, beta = next_beta, gamma = next_gamma;
            fetch(step + 1);
            if (taped) {
                float *to = states + row * DK * layer.d_v;
#pragma unroll
                for (int i = 0; i < R; i++) {
                    float4 *place = (float4 *)(to + (i * 8 + lane % 8) * layer.d_v + own);
                    __stcs(place, make_float4(S[i][0], S[i][1], S[i][2], S[i][3]));
                    __stcs(place + 1, make_float4(S[i][4], S[i][5], S[i][6], S[i][7]));
                }
            }
            float u[R], sums[8];
            ROWS(u, 3);
#pragma unroll
            for (int i = 0; i < R; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) S[i][j] *= u[i];
            if (erases) {
                ROWS(u, 2);
#pragma unroll
                for (int j = 0; j < 8; j++) sums[j] = 0.0f;
#pragma unroll
                for (int i = 0; i < R; i++)
#pragma unroll
                    for (int j = 0; j < 8; j++) sums[j] += u[i] * S[i][j];
                float r = scatter_columns(sums, lane);
                if (taped) removed[row * layer.d_v + column] = r;
                gather_columns(-gamma * r, sums, lane);
#pragma unroll
                for (int i = 0; i < R; i++)
#pragma unroll
                    for (int j = 0; j < 8; j++) S[i][j] += u[i] * sums[j];
            }
            float k[R];
            ROWS(k, 1);
            if (oblique) ROWS(u, 4);
            else ROWS(u, 1);
#pragma unroll
            for (int j = 0; j < 8; j++) sums[j] = 0.0f;
#pragma unroll
            for (int i = 0; i < R; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sums[j] += u[i] * S[i][j];
            float w = value - scatter_columns(sums, lane);
            if (taped) residuals[row * layer.d_v + column] = w;
            gather_columns(beta * w, sums, lane);
            ROWS(u, 0);
            float o[8] = {0.0f};
#pragma unroll
            for (int i = 0; i < R; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    S[i][j] += k[i] * sums[j];
                    o[j] += u[i] * S[i][j];
                }
            output[row * layer.d_v + column] = scatter_columns(o, lane);
        }
    }
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) last[base + (i * 8 + lane % 8) * layer.d_v + own + j] = S[i][j];
}

// The gradient of every part, from that of the output, backwards over what the forward pass kept.
template <int DK, int WARPS>
__device__ __forceinline__ void memory_backward(const float *packed, const float *grad, const float *states, const float *residuals,
                                                const float *removed, float *grad_packed, const Layer &layer) {
    constexpr int R = DK / 8, DV = 32 * WARPS, PITCH = DV + 4;
    // Memories that are staged, one after the other: as many as shared memory holds; all but one are on their way.
    constexpr int STATES = DK > 64 ? 2 : 3, UNDER_WAY = STATES - 1;
    extern __shared__ float shared[];
    float *staging = shared;                                      // [2][AHEAD][ROW_VECTORS][DK]
    float *state = staging + 2 * AHEAD * ROW_VECTORS * DK;        // [STATES][DK][PITCH]
    float *sums_of_rows = state + STATES * DK * PITCH;            // [warp][q, k, e, alpha, c][DK]
    float *sums_of_step = sums_of_rows + WARPS * ROW_VECTORS * DK;  // [warp][beta, gamma]
    size batch = blockIdx.x / layer.heads, head = blockIdx.x % layer.heads;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int own = warp * 32 + lane / 8 * 8, column = warp * 32 + lane;
    bool erases = layer.erase_direction != ABSENT, oblique = layer.read != ABSENT;
    float G[R][8];
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) G[i][j] = 0.0f;
    size blocks = (layer.steps + AHEAD - 1) / AHEAD;
    auto row_of = [&](size step) { return (batch * layer.steps + step) * layer.heads + head; };
    auto stage_state = [&](size step) {
        const float *from = states + row_of(step) * DK * DV;
        float *to = state + step % STATES * DK * PITCH;
        for (int i = threadIdx.x * 4; i < DK * DV; i += blockDim.x * 4) stage_four(to + i / DV * PITCH + i % DV, from + i);
    };
    stage_rows<DK>(staging + (blocks - 1) % 2 * AHEAD * ROW_VECTORS * DK, packed, layer, batch, head, (blocks - 1) * AHEAD);
#pragma unroll
    for (int i = 0; i < UNDER_WAY; i++) {
        if (layer.steps > i) stage_state(layer.steps - 1 - i);
        staged();
    }
    // What a lane needs of the step before, on its way while this one is computed.
    float next_grad, next_w, next_beta, next_gamma, next_r;
    auto fetch = [&](size step) {
        size row = row_of(step);
        next_grad = grad[row * DV + column];
        next_w = residuals[row * DV + column];
        next_beta = layer.write_strength == ABSENT ? 1.0f : packed[layer.write_strength + row];
        next_gamma = erases ? packed[layer.erase_strength + row] : 0.0f;
        next_r = erases ? removed[row * DV + column] : 0.0f;
    };
    fetch(layer.steps - 1);
    for (size block = blocks; block-- > 0;) {
        size first = block * AHEAD, end = first + AHEAD < layer.steps ? first + AHEAD : layer.steps;
        for (size step = end; step-- > first;) {
            // What this step needs has come; everybody has left the step after it.
            // (The second step waits for all, as the rows of its block may have been asked for by the first.)
            if (step + 2 == layer.steps) await_staged<0>();
            else await_staged<UNDER_WAY - 1>();
            __syncthreads();
            if (step + 1 == end && block > 0)
                stage_rows<DK>(staging + (block - 1) % 2 * AHEAD * ROW_VECTORS * DK, packed, layer, batch, head, first - AHEAD);
            if (step >= UNDER_WAY) stage_state(step - UNDER_WAY);
            staged();
            const float *rows = staging + (block % 2 * AHEAD + step - first) * ROW_VECTORS * DK;
            size row = row_of(step);
            float grad_o = next_grad, w = next_w, beta = next_beta, gamma = next_gamma, r = next_r;
            fetch(step > 0 ? step - 1 : 0);

            float S[R][8], e[R], k[R], u[R], a[8], d[8];
            const float *found = state + step % STATES * DK * PITCH;
#pragma unroll
            for (int i = 0; i < R; i++) {
                const float4 *place = (const float4 *)(found + (i * 8 + lane % 8) * PITCH + own);
                float4 left = place[0], right = place[1];
                float alpha = rows[3 * DK + i * 8 + lane % 8];
                S[i][0] = left.x * alpha, S[i][1] = left.y * alpha, S[i][2] = left.z * alpha, S[i][3] = left.w * alpha;
                S[i][4] = right.x * alpha, S[i][5] = right.y * alpha, S[i][6] = right.z * alpha, S[i][7] = right.w * alpha;
            }
            ROWS(e, 2);
            ROWS(k, 1);
            if (erases) {
                gather_columns(-gamma * r, a, lane);
#pragma unroll
                for (int i = 0; i < R; i++)
#pragma unroll
                    for (int j = 0; j < 8; j++) S[i][j] += e[i] * a[j];
            }
            // The read: G += q do^T, dq = S' do.
            gather_columns(beta * w, a, lane);
            gather_columns(grad_o, d, lane);
            ROWS(u, 0);
            float sum_q[R], sum_k[R], sum_c[R], sum[8];
#pragma unroll
            for (int j = 0; j < 8; j++) sum[j] = 0.0f;
#pragma unroll
            for (int i = 0; i < R; i++) {
                sum_q[i] = sum_k[i] = 0.0f;
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    G[i][j] += u[i] * d[j];
                    sum_q[i] += (S[i][j] + k[i] * a[j]) * d[j];
                    sum_k[i] += G[i][j] * a[j];
                    sum[j] += k[i] * G[i][j];
                }
            }
            // The write: da = G^T k, dk = G a, dv = beta da, dc = -S~ beta da, G~ = G - c (beta da)^T.
            float da = scatter_columns(sum, lane);
            float sum_beta = da * w;
            grad_packed[layer.value + row * DV + column] = beta * da;
            gather_columns(-beta * da, d, lane);
            if (oblique) ROWS(u, 4);
            else ROWS(u, 1);
#pragma unroll
            for (int i = 0; i < R; i++) {
                sum_c[i] = 0.0f;
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    sum_c[i] += S[i][j] * d[j];
                    G[i][j] += u[i] * d[j];
                }
                if (!oblique) sum_k[i] += sum_c[i];
            }
            float *sums = sums_of_rows + warp * ROW_VECTORS * DK;
            auto keep = [&](float v[R], int which) {
                scatter_rows<R>(v, lane);
#pragma unroll
                for (int i = 0; i < R / 4; i++) sums[which * DK + (first_row<R>(lane) + i) * 8 + lane % 8] = v[i];
            };
            keep(sum_q, 0);
            keep(sum_k, 1);
            if (oblique) keep(sum_c, 4);
            // The erase: t = G~^T e, dgamma = -r.t, de = -gamma (G~ r + S^ t), G^ = G~ - gamma e t^T.
            float sum_gamma = 0.0f;
            if (erases) {
                float sum_e[R];
#pragma unroll
                for (int j = 0; j < 8; j++) sum[j] = 0.0f;
#pragma unroll
                for (int i = 0; i < R; i++)
#pragma unroll
                    for (int j = 0; j < 8; j++) sum[j] += e[i] * G[i][j];
                float t = scatter_columns(sum, lane);
                sum_gamma = -r * t;
                gather_columns(-gamma * r, a, lane);
                gather_columns(-gamma * t, d, lane);
#pragma unroll
                for (int i = 0; i < R; i++) {
                    sum_e[i] = 0.0f;
#pragma unroll
                    for (int j = 0; j < 8; j++) {
                        S[i][j] -= e[i] * a[j];  // S^ again
                        sum_e[i] += G[i][j] * a[j] + S[i][j] * d[j];
                        G[i][j] += e[i] * d[j];
                    }
                }
                keep(sum_e, 2);
            }
            // The decay: dalpha = rows of G^ * S, G = alpha G^.
            float sum_alpha[R];
#pragma unroll
            for (int i = 0; i < R; i++) {
                const float4 *place = (const float4 *)(found + (i * 8 + lane % 8) * PITCH + own);
                float4 left = place[0], right = place[1];
                float alpha = rows[3 * DK + i * 8 + lane % 8];
                sum_alpha[i] = G[i][0] * left.x + G[i][1] * left.y + G[i][2] * left.z + G[i][3] * left.w + G[i][4] * right.x +
                               G[i][5] * right.y + G[i][6] * right.z + G[i][7] * right.w;
#pragma unroll
                for (int j = 0; j < 8; j++) G[i][j] *= alpha;
            }
            if (layer.retention != ABSENT) keep(sum_alpha, 3);
            sum_beta = warp_sum(sum_beta);
            sum_gamma = warp_sum(sum_gamma);
            if (lane == 0) {
                sums_of_step[warp * 2] = sum_beta;
                sums_of_step[warp * 2 + 1] = sum_gamma;
            }
            __syncthreads();
            // Over the warps, and out.
            for (int i = threadIdx.x; i < ROW_VECTORS * DK; i += blockDim.x) {
                int which = i / DK, c = i % DK;
                size begin = which == 0 ? layer.query : which == 1 ? layer.key : which == 2 ? layer.erase_direction : which == 3 ? layer.retention : layer.read;
                if (begin == ABSENT || (which == 3 && layer.retention_channels == 1)) continue;
                float total = 0.0f;
#pragma unroll
                for (int other = 0; other < WARPS; other++) total += sums_of_rows[(other * ROW_VECTORS) * DK + i];
                grad_packed[begin + row * DK + c] = total;
            }
            if (warp == 0 && layer.retention != ABSENT && layer.retention_channels == 1) {
                float total = 0.0f;
                for (int other = 0; other < WARPS; other++)
                    for (int c = lane; c < DK; c += 32) total += sums_of_rows[(other * ROW_VECTORS + 3) * DK + c];
                total = warp_sum(total);
                if (lane == 0) grad_packed[layer.retention + row] = total;
            }
            if (threadIdx.x == 0) {
                float beta_total = 0.0f, gamma_total = 0.0f;
                for (int other = 0; other < WARPS; other++) {
                    beta_total += sums_of_step[other * 2];
                    gamma_total += sums_of_step[other * 2 + 1];
                }
                if (layer.write_strength != ABSENT) grad_packed[layer.write_strength + row] = beta_total;
                if (erases) grad_packed[layer.erase_strength + row] = gamma_total;
            }
        }
    }
}

#define LAYER \
    size steps, size heads, size d_v, size query, size key, size value, size retention, size write_strength, size erase_direction, \
        size erase_strength, size read, size retention_channels
#define THE_LAYER \
    Layer { steps, heads, d_v, query, key, value, retention, write_strength, erase_direction, erase_strength, read, retention_channels }

#define FORWARD(DK) \
    extern "C" __global__ void __launch_bounds__(256) memory_forward_##DK(const float *packed, const float *initial, float *output, float *last, float *states, \
                                                  float *residuals, float *removed, LAYER, size has_initial, size taped) { \
        memory_forward<DK>(packed, initial, output, last, states, residuals, removed, THE_LAYER, has_initial, taped); \
    }
FORWARD(32)
FORWARD(64)
FORWARD(128)

#define BACKWARD(DK, WARPS) \
    extern "C" __global__ void __launch_bounds__(32 * WARPS) memory_backward_##DK##_##WARPS( \
        const float *packed, const float *grad, const float *states, const float *residuals, const float *removed, float *grad_packed, LAYER) { \
        memory_backward<DK, WARPS>(packed, grad, states, residuals, removed, grad_packed, THE_LAYER); \
    }
BACKWARD(32, 1)
BACKWARD(64, 2)
BACKWARD(128, 4)

// output[step, v] += sum over the vectors of a call of seen[step, vector] value[vector, v], where vectors have entered.
// A block has 64 steps by 64 value channels, a thread 4 by 4 of them. Given by the host beside common.cu's: WIDE.

#if WIDE
typedef double real;
#else
typedef float real;
#endif

struct WeighArgs {
    const real* seen;   // [step, vector of this call]
    const real* value;  // [vector, d_v]
    real* output;       // [step, d_v]
    int n_steps, d_v, each, first_vector, end_vector, width;
};
static_assert(sizeof(WeighArgs) == 3 * 8 + 6 * 4, "layout of the arguments");

constexpr int SIDE = 64, DEPTH = 16;

extern "C" __global__ void __launch_bounds__(256) weigh(const __grid_constant__ WeighArgs A) {
    __shared__ real left[DEPTH][SIDE + 4], right[DEPTH][SIDE + 4];
    const int blocks_across = (A.d_v + SIDE - 1) / SIDE;
    const int step = blockIdx.x / blocks_across * SIDE, column = blockIdx.x % blocks_across * SIDE;
    const int row = threadIdx.x / 16 * 4, across = threadIdx.x % 16 * 4;
    // Later vectors have not entered by the last of these steps.
    const int n = min(A.end_vector, min(step + SIDE, A.n_steps) * A.each) - A.first_vector;
    real sum[4][4] = {};
    for (int k = 0; k < n; k += DEPTH) {
        __syncthreads();
        for (int i = threadIdx.x; i < SIDE * DEPTH; i += 256) {
            const int r = i / DEPTH, d = i % DEPTH, t = step + r, vector = A.first_vector + k + d;
            const bool entered = k + d < n && t < A.n_steps && vector / A.each <= t;
            left[d][r] = entered ? A.seen[(i64)t * A.width + k + d] : (real)0;
        }
        for (int i = threadIdx.x; i < SIDE * DEPTH; i += 256) {
            const int d = i / SIDE, v = i % SIDE;
            right[d][v] = k + d < n && column + v < A.d_v ? A.value[(i64)(A.first_vector + k + d) * A.d_v + column + v] : (real)0;
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            real x[4], y[4];
#pragma unroll
            for (int i = 0; i < 4; i++) x[i] = left[d][row + i], y[i] = right[d][across + i];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] = fma(x[i], y[j], sum[i][j]);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (step + row + i < A.n_steps && column + across + j < A.d_v) A.output[(i64)(step + row + i) * A.d_v + column + across + j] += sum[i][j];
}

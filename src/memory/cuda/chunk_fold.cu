// Sums over the heads that share a row: [row, head, channel] to [row, shared head, channel], one block per row.
extern "C" __global__ void __launch_bounds__(256) chunk_fold(const float* from, float* to, int n_heads, int n_shared, int width) {
    const i64 row = blockIdx.x;
    const int group = n_heads / n_shared;
    for (int i = threadIdx.x; i < n_shared * width; i += blockDim.x) {
        float sum = 0.0f;
        for (int j = 0; j < group; j++) sum += from[(row * n_heads + i / width * group + j) * width + i % width];
        to[row * n_shared * width + i] = sum;
    }
}

// Rows of random numbers for benchmarks, by a counter: what value a number has depends on its place and the seed alone.

struct Drawn {
    void* to;
    u64 rows;
    int width, bf16, unit, pad;
    float low, high;
    u64 seed;
};

__device__ __forceinline__ u64 mix(u64 x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

extern "C" __global__ void random(const __grid_constant__ Drawn A) {
    const u64 row = (u64)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (row >= A.rows) return;
    float norm = 0.0f;
    for (int i = lane; i < A.width; i += WARP) {
        const float x = A.low + (A.high - A.low) * (float)(mix(A.seed ^ mix(row * A.width + i)) >> 40) * 0x1p-24f;
        norm += x * x;
    }
    norm = A.unit ? rsqrtf(warp_sum(norm)) : 1.0f;
    for (int i = lane; i < A.width; i += WARP) {
        const u64 at = row * A.width + i;
        const float x = norm * (A.low + (A.high - A.low) * (float)(mix(A.seed ^ mix(at)) >> 40) * 0x1p-24f);
        if (A.bf16) {
            const u32 bits = __float_as_uint(x);
            ((u16*)A.to)[at] = (u16)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
        } else {
            ((float*)A.to)[at] = x;
        }
    }
}

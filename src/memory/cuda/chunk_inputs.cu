// Inputs of a chunk of a head in shared memory.

constexpr int CHANNEL_STRIDE = DKP + 8;
constexpr int ARRAY_STRIDE = STEPS * CHANNEL_STRIDE + 16;

struct ChunkInputs {
    Rows erase, write, query, value, decay;
    Rows erase_strength, write_strength;  // null is 1
    Rows output_gradient;                 // backward
};

struct Place {
    int batch, head, first_step, n_steps, record;
};

__device__ __forceinline__ Place place_of(const Sizes& sizes, int chunk, int head, int batch) {
    Place p;
    p.batch = batch, p.head = head;
    p.first_step = sizes.first_step + (sizes.first_chunk + chunk) * STEPS;
    p.n_steps = min(STEPS, sizes.end_step - p.first_step);
    p.record = (batch * sizes.n_heads + head) * sizes.n_chunks + chunk;
    return p;
}

// Numbers c to c + 3 of a row, zero beyond its width.
__device__ __forceinline__ float4 four_of(const Rows& rows, const void* row, int c, int width) {
    if (rows.flags & 2) {
        if (c >= width) return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (!(rows.flags & 1)) return *(const float4*)((const float*)row + c);
        const uint2 x = *(const uint2*)((const u16*)row + c);
        return make_float4(low(x.x), high(x.x), low(x.y), high(x.y));
    }
    float x[4];
    for (int i = 0; i < 4; i++) x[i] = c + i < width ? load1(rows, row, c + i) : 0.0f;
    return make_float4(x[0], x[1], x[2], x[3]);
}

// The rows of a chunk of a head, one per step.
struct Lines {
    const char* first;
    i64 stride;
    bool half;
};
__device__ __forceinline__ Lines lines_of(const Rows& rows, const Place& p, const Sizes& sizes) {
    Lines l;
    l.half = rows.flags & 1;
    l.first = (const char*)row_at(rows, p.batch, p.first_step, p.head, sizes.n_heads);
    l.stride = rows.step_stride * (l.half ? 2 : 4);
    return l;
}
__device__ __forceinline__ float number(const Lines& l, int step, int c) {
    const char* row = l.first + step * l.stride;
    return l.half ? bf16_to_f32(((const u16*)row)[c]) : ((const float*)row)[c];
}

// [step, d_k] of one head into shared memory as f32, zero beyond the steps and channels there are.
__device__ __forceinline__ void load_keys(float* to, const Rows& rows, const Place& p, const Sizes& sizes, int thread, int n_threads) {
    constexpr int groups = DKP / 4;
#pragma unroll 4
    for (int i = thread; i < STEPS * groups; i += n_threads) {
        const int t = i / groups, c = i % groups * 4;
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (t < p.n_steps) x = four_of(rows, row_at(rows, p.batch, p.first_step + t, p.head, sizes.n_heads), c, DK);
        *(float4*)(to + t * CHANNEL_STRIDE + c) = x;
    }
}

// G_t of every channel, for all threads of a block.
__device__ __forceinline__ void load_decays(float* to, const Rows& rows, const Place& p, const Sizes& sizes, int thread, int n_threads) {
    constexpr int groups = DKP / 4;
#pragma unroll 4
    for (int i = thread; i < STEPS * groups; i += n_threads) {
        const int t = i / groups, c = i % groups * 4;
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (t < p.n_steps) {
            x = four_of(rows, row_at(rows, p.batch, p.first_step + t, p.head, sizes.n_heads), c, DK);
            if (LOG_DECAY) {
                x.x *= 1.4426950408889634f, x.y *= 1.4426950408889634f, x.z *= 1.4426950408889634f, x.w *= 1.4426950408889634f;
            } else {
                x = make_float4(log2f(x.x), log2f(x.y), log2f(x.z), log2f(x.w));
            }
            x = make_float4(fmaxf(x.x, LEAST_LOG2), fmaxf(x.y, LEAST_LOG2), fmaxf(x.z, LEAST_LOG2), fmaxf(x.w, LEAST_LOG2));
        }
        *(float4*)(to + t * CHANNEL_STRIDE + c) = x;
    }
    __syncthreads();
    for (int c = thread; c < DKP; c += n_threads) {
        float sum = 0.0f;
#pragma unroll
        for (int t = 0; t < STEPS; t++) {
            sum += to[t * CHANNEL_STRIDE + c];
            to[t * CHANNEL_STRIDE + c] = sum;
        }
    }
}

__device__ __forceinline__ void load_strengths(float* to, const Rows& rows, int edit, const Place& p, const Sizes& sizes, int thread, int n_threads) {
    for (int step = thread; step < STEPS; step += n_threads) {
        float s = LEAST_STRENGTH;
        if (step < p.n_steps) s = rows.data ? load1(rows, row_at(rows, p.batch, p.first_step + step, p.head, sizes.n_heads), 0) : 1.0f;
        to[step * EDITS + edit] = fabsf(s) < LEAST_STRENGTH ? LEAST_STRENGTH : s;
    }
}

// Where readers of steps [first_step, 32) and rows of steps [first_step, last_step) meet.
struct Region {
    int first_step, last_step, middle;
};

// Whether a channel with these decays needs several.
__device__ __forceinline__ bool is_strong(const float* decay) {
    const float middle = decay[STEPS / 2 * CHANNEL_STRIDE], end = decay[(STEPS - 1) * CHANNEL_STRIDE];
    return fmaxf(-middle, middle - end) > WHOLE_RANGE;
}
__device__ __forceinline__ Region region_at(int first_step, bool strong) {
    const int n_steps = strong ? 8 : STEPS;
    return {first_step, first_step + n_steps, first_step + n_steps / 2};
}

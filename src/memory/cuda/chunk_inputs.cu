// Inputs of a chunk of a head in shared memory.

constexpr int CHANNEL_STRIDE = DKP + 8;

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

// Four numbers of a step, zero beyond the steps and the width.
__device__ __forceinline__ float4 four_at(const Rows& rows, const Lines& l, const Place& p, int step, int c, int width) {
    if (step >= p.n_steps) return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    return four_of(rows, l.first + step * l.stride, c, width);
}
// Asks for a whole chunk of an array.
__device__ __forceinline__ void prefetch_lines(const Lines& l, const Place& p, int width, int thread, int n_threads) {
    const int n_bytes = width * (l.half ? 2 : 4), n_lines = (n_bytes + 127) / 128;
    for (int i = thread; i < STEPS * n_lines; i += n_threads)
        if (i / n_lines < p.n_steps) prefetch(l.first + i / n_lines * l.stride + i % n_lines * 128);
}

__device__ __forceinline__ float log2_of(float x) { return fmaxf(LOG_DECAY ? x * 1.4426950408889634f : SPLIT ? log2f(x) : near_log2(x), LEAST_LOG2); }
// G_t of CHANNELS channels from the first on, for all threads of a block.
template <int CHANNELS>
__device__ __forceinline__ void load_decays(float* to, const Rows& rows, int first, const Place& p, const Sizes& sizes, int thread, int n_threads) {
    constexpr int groups = CHANNELS / 4, stride = CHANNELS + 8;
    const Lines l = lines_of(rows, p, sizes);
#pragma unroll 4
    for (int i = thread; i < STEPS * groups; i += n_threads) {
        const int t = i / groups, c = i % groups * 4;
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (t < p.n_steps) {
            x = four_at(rows, l, p, t, first + c, DK);
            x = make_float4(log2_of(x.x), log2_of(x.y), log2_of(x.z), log2_of(x.w));
        }
        *(float4*)(to + t * stride + c) = x;
    }
    __syncthreads();
    for (int c = thread; c < CHANNELS; c += n_threads) {
        float sum = 0.0f;
#pragma unroll
        for (int t = 0; t < STEPS; t++) {
            sum += to[t * stride + c];
            to[t * stride + c] = sum;
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
__device__ __forceinline__ bool is_strong(const float* decay, int stride) {
    const float middle = decay[STEPS / 2 * stride], end = decay[(STEPS - 1) * stride];
    return fmaxf(-middle, middle - end) > WHOLE_RANGE;
}
__device__ __forceinline__ Region region_at(int first_step, bool strong) {
    const int n_steps = strong ? 8 : STEPS;
    return {first_step, first_step + n_steps, first_step + n_steps / 2};
}

// The only sequential pass: the memory (forward) or its gradient (backward) from chunk to chunk, one block for NB of its columns.
//
// Forward:  P = U - W S,  O = Q^ S + A P,  S <- 2^G_end S + X_^T P.
// Backward: Z = Z0 + W' dS,  dS <- 2^G_end dS + Q^^T dO - X^^T Z.
// State warps own 16 key channels of the memory each, in registers, f32; output warps make O meanwhile. Records arrive by bulk
// copies, STAGES chunks ahead.

constexpr int STATE_WARPS = DKP / 16;
constexpr int OUTPUT_WARPS = 4;
constexpr int SCAN_THREADS = (STATE_WARPS + OUTPUT_WARPS) * 32;
constexpr int UNIT = NB == 16 ? 1 : 2;  // tiles of 8 columns that a warp makes of one row tile
constexpr int UNITS_ACROSS = NB / 8 / UNIT;
constexpr int MEMORY_PLANE = DKP * COLUMN_STRIDE;

template <bool BACKWARD>
struct Scan {
    static constexpr int A_BYTES = BACKWARD ? BACKWARD_A_BYTES : FORWARD_A_BYTES;
    static constexpr int B_BYTES = BACKWARD ? BACKWARD_B_BYTES : FORWARD_B_BYTES;
    static constexpr int A_PLANE = (BACKWARD ? ROWS : FORWARD_A_ROWS) * KEY_STRIDE;
    static constexpr int B_ROWS = BACKWARD ? BACKWARD_B_ROWS : ROWS;
    static constexpr int B_PLANE = B_ROWS * KEY_STRIDE;
    // Pseudo-values; backward: then the gradient of the output.
    static constexpr int SEEN_PLANE = B_ROWS * COLUMN_STRIDE;
    static constexpr int STAGE_BYTES = A_BYTES + OWN_BYTES + B_BYTES;
    static constexpr int BYTES = STAGES * STAGE_BYTES + PLANES * (MEMORY_PLANE + SEEN_PLANE) * 2 + 128;
};

struct ScanTargets {
    float *erase_value, *write_value;  // a_t and u_t; backward: Z of erase rows, and of write rows (the gradient of the value)
    float* output;                     // forward
    float* states;                     // [batch, n_kept, head, d_k, d_v], may be null
    float* final_memory;               // [batch, head, d_k, d_v]; backward: gradient of the initial memory
    const float* initial_memory;       // or null for 0; backward: gradient of the final memory
    int steps_per_state;               // a state is kept before (backward: its gradient at the end of the chunk of) every so many steps
    int first_kept, n_kept;            // number of the first state in the array, and how many it has
};

template <bool BACKWARD>
__device__ __forceinline__ void scan(const Sizes& sizes, const unsigned char* a_records, const unsigned char* b_records, const float* own, const ScanTargets& to, const Rows& grad_output) {
    typedef Scan<BACKWARD> L;
    const int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const int block = blockIdx.x, head = blockIdx.y, batch = blockIdx.z, first_column = block * NB;
    unsigned char* stages = shared_memory;
    u16* memory = (u16*)(shared_memory + STAGES * L::STAGE_BYTES);
    u16* seen = memory + PLANES * MEMORY_PLANE;
    u64* barriers = (u64*)(seen + PLANES * L::SEEN_PLANE);
    const i64 sequence = (i64)batch * sizes.n_heads + head;

    auto load_a_part = [&](int i) {
        const i64 record = sequence * sizes.n_chunks + (BACKWARD ? sizes.n_chunks - 1 - i : i);
        unsigned char* stage = stages + i % STAGES * L::STAGE_BYTES;
        u64* barrier = barriers + i % STAGES * 2;
        barrier_expect(barrier, L::A_BYTES + OWN_BYTES);
        bulk_load(stage, a_records + record * L::A_BYTES, L::A_BYTES, barrier);
        bulk_load(stage + L::A_BYTES, own + (record * COLUMN_BLOCKS + block) * (ROWS * NB), OWN_BYTES, barrier);
    };
    auto load_b_part = [&](int i) {
        const i64 record = sequence * sizes.n_chunks + (BACKWARD ? sizes.n_chunks - 1 - i : i);
        u64* barrier = barriers + i % STAGES * 2 + 1;
        barrier_expect(barrier, L::B_BYTES);
        bulk_load(stages + i % STAGES * L::STAGE_BYTES + L::A_BYTES + OWN_BYTES, b_records + record * L::B_BYTES, L::B_BYTES, barrier);
    };
    if (thread == 0) {
        for (int i = 0; i < 2 * STAGES; i++) barrier_init(barriers + i);
        barrier_init_done();
        for (int i = 0; i < min(STAGES, sizes.n_chunks); i++) load_a_part(i), load_b_part(i);
    }

    const bool state_warp = warp < STATE_WARPS;
    float state[NB / 8][4];
    const int channel = warp * 16 + g;
#pragma unroll
    for (int n = 0; n < NB / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int c = channel + i / 2 * 8, v = first_column + n * 8 + 2 * t + i % 2;
            const bool given = state_warp && to.initial_memory && c < DK && v < DV;
            state[n][i] = given ? to.initial_memory[(sequence * DK + c) * DV + v] : 0.0f;
        }
    auto store_state = [&](float* memories, i64 index) {
#pragma unroll
        for (int n = 0; n < NB / 8; n++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                if (channel + 8 * i < DK)
                    store_pair(memories + (index * DK + channel + 8 * i) * DV, first_column + n * 8 + 2 * t, DV, state[n][2 * i], state[n][2 * i + 1]);
    };

    // Backward: the gradient of the chunk's output, this block's columns, two neighbours per load.
    constexpr int n_gradient_loads = STEPS * NB / 2 / (OUTPUT_WARPS * 32);
    auto gradient_at = [&](int i, int load, float& x, float& y) {
        const int index = load * OUTPUT_WARPS * 32 + thread - STATE_WARPS * 32;
        const int chunk = sizes.first_chunk + sizes.n_chunks - 1 - i, step = sizes.first_step + chunk * STEPS + index / (NB / 2), v = first_column + index % (NB / 2) * 2;
        x = y = 0.0f;
        if (i < sizes.n_chunks && step < sizes.end_step) {
            const void* row = row_at(grad_output, batch, step, head, sizes.n_heads);
            if (v < DV) x = load1(grad_output, row, v);
            if (v + 1 < DV) y = load1(grad_output, row, v + 1);
        }
    };
    float gradient[BACKWARD ? n_gradient_loads : 1][2];
    if (BACKWARD && !state_warp)
        for (int load = 0; load < n_gradient_loads; load++) gradient_at(0, load, gradient[load][0], gradient[load][1]);

    constexpr int output_units = (STEPS / 16 * UNITS_ACROSS + OUTPUT_WARPS - 1) / OUTPUT_WARPS;
    float out[output_units][UNIT][4];

    for (int i = 0; i < sizes.n_chunks; i++) {
        const int first_step = sizes.first_step + (sizes.first_chunk + (BACKWARD ? sizes.n_chunks - 1 - i : i)) * STEPS;
        const unsigned char* stage = stages + i % STAGES * L::STAGE_BYTES;
        const u16* a_part = (const u16*)stage;
        const float* own_part = (const float*)(stage + L::A_BYTES);
        const u16* b_part = (const u16*)(stage + L::A_BYTES + OWN_BYTES);
        const u32 parity = i / STAGES & 1;
        if (state_warp) {
#pragma unroll
            for (int n = 0; n < NB / 8; n++)
#pragma unroll
                for (int j = 0; j < 2; j++)
                    put_pair(memory, MEMORY_PLANE, (channel + 8 * j) * COLUMN_STRIDE + n * 8 + 2 * t, state[n][2 * j], state[n][2 * j + 1]);
            if (to.states && first_step % to.steps_per_state == 0)
                store_state(to.states, ((i64)batch * to.n_kept + first_step / to.steps_per_state - to.first_kept) * sizes.n_heads + head);
        }
        __syncthreads();
        if (thread == 0 && i > 0 && i - 1 + STAGES < sizes.n_chunks) load_b_part(i - 1 + STAGES);
        barrier_wait(barriers + i % STAGES * 2, parity);

        // What the rows, and the queries, read of the memory.
        auto read_memory = [&](float (&sum)[UNIT][4], int row, int column) {
#pragma unroll
            for (int n = 0; n < UNIT; n++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[n][j] = 0.0f;
            if (UNIT == 1) {
#pragma unroll
                for (int k = 0; k + 16 < DKP; k += 32) {
                    TileA a, a_next;
                    TileB b, b_next;
                    load_a(a, a_part, KEY_STRIDE, L::A_PLANE, row, k, lane);
                    load_a(a_next, a_part, KEY_STRIDE, L::A_PLANE, row, k + 16, lane);
                    load_b_deep(b, b_next, memory, COLUMN_STRIDE, MEMORY_PLANE, k, column, lane);
                    multiply(sum[0], a, b);
                    multiply(sum[0], a_next, b_next);
                }
                if (DKP % 32) {
                    TileA a;
                    TileB b, unused;
                    load_a(a, a_part, KEY_STRIDE, L::A_PLANE, row, DKP - 16, lane);
                    load_b_pair(b, unused, memory, COLUMN_STRIDE, MEMORY_PLANE, DKP - 16, column & ~15, lane);
                    multiply(sum[0], a, column & 8 ? unused : b);
                }
            } else {
#pragma unroll
                for (int k = 0; k < DKP; k += 16) {
                    TileA a;
                    TileB b, b_next;
                    load_a(a, a_part, KEY_STRIDE, L::A_PLANE, row, k, lane);
                    load_b_pair(b, b_next, memory, COLUMN_STRIDE, MEMORY_PLANE, k, column, lane);
                    multiply(sum[0], a, b);
                    multiply(sum[UNIT - 1], a, b_next);
                }
            }
        };
        if (state_warp) {
            for (int unit = warp; unit < ROWS / 16 * UNITS_ACROSS; unit += STATE_WARPS) {
                const int row = unit / UNITS_ACROSS * 16, column = unit % UNITS_ACROSS * (UNIT * 8);
                float sum[UNIT][4];
                read_memory(sum, row, column);
#pragma unroll
                for (int n = 0; n < UNIT; n++)
#pragma unroll
                    for (int j = 0; j < 2; j++) {
                        const int r = row + g + 8 * j, c = column + n * 8 + 2 * t, step = first_step + r / EDITS;
                        const float2 base = *(const float2*)(own_part + r * NB + c);
                        const float x = BACKWARD ? base.x + sum[n][2 * j] : base.x - sum[n][2 * j];
                        const float y = BACKWARD ? base.y + sum[n][2 * j + 1] : base.y - sum[n][2 * j + 1];
                        put_pair(seen, L::SEEN_PLANE, r * COLUMN_STRIDE + c, BACKWARD ? -x : x, BACKWARD ? -y : y);
                        float* values = EDITS == 2 && r % EDITS == 0 ? to.erase_value : to.write_value;
                        if (values && step < sizes.end_step)
                            store_pair(values + out_row(sizes, batch, step, head) * DV, first_column + c, DV, x, y);
                    }
            }
        } else if (BACKWARD) {
            for (int load = 0; load < n_gradient_loads; load++) {
                const int index = load * OUTPUT_WARPS * 32 + thread - STATE_WARPS * 32;
                put_pair(seen, L::SEEN_PLANE, (ROWS + index / (NB / 2)) * COLUMN_STRIDE + index % (NB / 2) * 2, gradient[load][0], gradient[load][1]);
                gradient_at(i + 1, load, gradient[load][0], gradient[load][1]);
            }
        } else {
#pragma unroll
            for (int j = 0; j < output_units; j++) {
                const int unit = warp - STATE_WARPS + j * OUTPUT_WARPS;
                if (unit < STEPS / 16 * UNITS_ACROSS) read_memory(out[j], ROWS + unit / UNITS_ACROSS * 16, unit % UNITS_ACROSS * (UNIT * 8));
            }
        }
        __syncthreads();
        if (thread == 0 && i + STAGES < sizes.n_chunks) load_a_part(i + STAGES);
        barrier_wait(barriers + i % STAGES * 2 + 1, parity);

        if (state_warp) {
            const float* decay = (const float*)(b_part + PLANES * (L::B_PLANE + (BACKWARD ? 0 : STEPS * ROW_STRIDE)));
            const float upper = decay[channel], lower = decay[channel + 8];
#pragma unroll
            for (int n = 0; n < NB / 8; n++) state[n][0] *= upper, state[n][1] *= upper, state[n][2] *= lower, state[n][3] *= lower;
#pragma unroll
            for (int k = 0; k < L::B_ROWS; k += 16) {
                TileA a;
                load_a_transposed(a, b_part, KEY_STRIDE, L::B_PLANE, warp * 16, k, lane);
#pragma unroll
                for (int n = 0; n < NB / 8; n += 2) {
                    TileB b, b_next;
                    load_b_pair(b, b_next, seen, COLUMN_STRIDE, L::SEEN_PLANE, k, n * 8, lane);
                    multiply(state[n], a, b);
                    multiply(state[n + 1], a, b_next);
                }
            }
        } else if (!BACKWARD) {
            const u16* attention = b_part + PLANES * L::B_PLANE;
#pragma unroll
            for (int j = 0; j < output_units; j++) {
                const int unit = warp - STATE_WARPS + j * OUTPUT_WARPS;
                if (unit >= STEPS / 16 * UNITS_ACROSS) continue;
                const int row = unit / UNITS_ACROSS * 16, column = unit % UNITS_ACROSS * (UNIT * 8);
#pragma unroll
                for (int k = 0; k < ROWS; k += 32) {
                    TileA a, a_next;
                    load_a(a, attention, ROW_STRIDE, STEPS * ROW_STRIDE, row, k, lane);
                    load_a(a_next, attention, ROW_STRIDE, STEPS * ROW_STRIDE, row, k + 16, lane);
#pragma unroll
                    for (int n = 0; n < UNIT; n++) {
                        TileB b, b_next;
                        load_b_deep(b, b_next, seen, COLUMN_STRIDE, L::SEEN_PLANE, k, column + n * 8, lane);
                        multiply(out[j][n], a, b);
                        multiply(out[j][n], a_next, b_next);
                    }
                }
#pragma unroll
                for (int n = 0; n < UNIT; n++)
#pragma unroll
                    for (int m = 0; m < 2; m++) {
                        const int step = first_step + row + g + 8 * m;
                        if (to.output && step < sizes.end_step)
                            store_pair(to.output + out_row(sizes, batch, step, head) * DV, first_column + column + n * 8 + 2 * t, DV,
                                       out[j][n][2 * m], out[j][n][2 * m + 1]);
                    }
            }
        }
    }
    if (state_warp && to.final_memory) store_state(to.final_memory, sequence);
}

#ifdef SCAN_BYTES
static_assert(Scan<GRADIENT != 0>::BYTES == SCAN_BYTES, "the host reserves another size");
#endif

#if !defined(GRADIENT) || !GRADIENT
extern "C" __global__ void __launch_bounds__(SCAN_THREADS, 1)
chunk_scan(Sizes sizes, const unsigned char* a_records, const unsigned char* b_records, const float* own, ScanTargets to) {
    scan<false>(sizes, a_records, b_records, own, to, Rows());
}
#endif

#if !defined(GRADIENT) || GRADIENT
extern "C" __global__ void __launch_bounds__(SCAN_THREADS, 1)
chunk_scan_gradient(Sizes sizes, const unsigned char* a_records, const unsigned char* b_records, const float* own, ScanTargets to, Rows grad_output) {
    scan<true>(sizes, a_records, b_records, own, to, grad_output);
}
#endif

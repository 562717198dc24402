// Gradients of a chunk's inputs once the gradient of the memory at its end is known: one block for 64 key channels of a chunk of
// a head.
//
// Readers i are the rows x (what they read has the gradient -Z) and the queries (dO): Y = [-Z; dO]. E = Y P^T where i sees r.
//   d reader_i = 2^G_i (S_start Y_i) + sum_r E_ir x_r 2^(G_i - G_r)
//   d written_r = 2^(G_end - G_r) (dS_end P_r) + sum_i E_ir reader_i 2^(G_i - G_r)
//   d strength_r = Z_r P_r / s_r^2           d value_r = Z_r
//   d log decay_t = sum of (S_end dS_end) + sum over m >= t of (reader d reader - x d written) at step m
// A warp owns 8 key channels throughout. Readers and rows meet in `Region`s, as in chunk_prepare.cu.

constexpr int GROUP = DKP < 64 ? DKP : 64;
constexpr int GROUPS = (DKP + GROUP - 1) / GROUP;
constexpr int GROUP_STRIDE = GROUP + 8;
constexpr int ARRAY_STRIDE = STEPS * GROUP_STRIDE + 16;
constexpr int GRADIENT_THREADS = 256;
constexpr int GRADIENT_WARPS = GRADIENT_THREADS / 32;
constexpr int ROW_TILES = ROWS / 16;
constexpr int QUERY_TILES = STEPS / 16;
constexpr int READERS = ROWS + STEPS;
constexpr int SLAB = 64;  // value channels at a time
constexpr int SLAB_STRIDE = SLAB + 8;
constexpr int SLAB_NUMBERS = (READERS + ROWS + 2 * GROUP) * SLAB_STRIDE;
constexpr int KEYS_FLOATS = (EDITS + 1) * ARRAY_STRIDE + STEPS * GROUP_STRIDE;
constexpr int FIRST_BYTES = PLANES * SLAB_NUMBERS * 2 > KEYS_FLOATS * 4 ? PLANES * SLAB_NUMBERS * 2 : KEYS_FLOATS * 4;
constexpr int PRODUCTS_PLANE = READERS * ROW_STRIDE;
constexpr int GRADIENT_BYTES_USED = FIRST_BYTES + PLANES * PRODUCTS_PLANE * 2 + (GROUP + ROWS + 4) * 4;
#ifdef GRADIENT_BYTES
static_assert(GRADIENT_BYTES_USED == GRADIENT_BYTES, "the host reserves another size");
#endif

struct GradientInputs {
    const float *states;            // at the start of every chunk of the run, [batch, chunk, head, d_k, d_v]
    const float *final_memory;      // [batch, head, d_k, d_v]
    const float *memory_gradients;  // at the end of every chunk of the call, [batch, chunk, head, d_k, d_v]
    const float *erase_value, *write_value;        // P, [batch, step, head, d_v]
    const float *erase_gradient, *value_gradient;  // Z, likewise
};
// Null: not wanted.
struct GradientTargets {
    float *query, *write, *erase;             // [batch, step, head, d_k]
    float *decay;                             // of what was given, retention or logarithm, [batch, step, head, d_k]
    float *erase_strength, *write_strength;   // [batch, step, head]
};

// Four neighbours of a row of d_v numbers, zero beyond it.
__device__ __forceinline__ float4 four_values(const float* row, int v) {
    if (DV % 4 == 0) return v < DV ? *(const float4*)(row + v) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    return make_float4(v < DV ? row[v] : 0.0f, v + 1 < DV ? row[v + 1] : 0.0f, v + 2 < DV ? row[v + 2] : 0.0f, v + 3 < DV ? row[v + 3] : 0.0f);
}
// Whether any of the readers of a tile sees any row of 8 steps, or of a tile of rows.
__device__ __forceinline__ constexpr int last_step_of(int reader_tile) {
    return reader_tile < ROW_TILES ? (reader_tile * 16 + 15) / EDITS : (reader_tile - ROW_TILES) * 16 + 15;
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2)
chunk_gradient(Sizes sizes, ChunkInputs in, GradientInputs from, GradientTargets to) {
    const int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const Place p = place_of(sizes, blockIdx.x / GROUPS, blockIdx.y, blockIdx.z);
    const int group = blockIdx.x % GROUPS, block_channel = group * GROUP;
    u16* readers = (u16*)shared_memory;  // Y, then P, S and dS: [row, v] planes
    constexpr int readers_plane = READERS * SLAB_STRIDE, rows_plane = ROWS * SLAB_STRIDE, memory_plane = GROUP * SLAB_STRIDE;
    u16* pseudo = readers + PLANES * readers_plane;
    u16* states = pseudo + PLANES * rows_plane;
    u16* grads = states + PLANES * memory_plane;
    struct { float *keys, *decay, *strengths; } s;  // keys and decays take the place of the tiles above
    s.keys = (float*)shared_memory;
    s.decay = s.keys + (EDITS + 1) * ARRAY_STRIDE;
    u16* products = (u16*)(shared_memory + FIRST_BYTES);
    float* end_sum = (float*)(products + PLANES * PRODUCTS_PLANE);
    s.strengths = end_sum + GROUP;
    int* strong = (int*)(s.strengths + ROWS);
    if (thread == 0) *strong = 0;
    if (EDITS == 2) load_strengths(s.strengths, in.erase_strength, 0, p, sizes, thread, GRADIENT_THREADS);
    load_strengths(s.strengths, in.write_strength, EDITS - 1, p, sizes, thread, GRADIENT_THREADS);

    const int chunk = sizes.first_chunk + blockIdx.x / GROUPS, n_all = (sizes.end_step - sizes.first_step + STEPS - 1) / STEPS;
    const i64 memory_size = (i64)DK * DV;
    const float* start_memory = from.states + (((i64)p.batch * n_all + chunk) * sizes.n_heads + p.head) * memory_size;
    const float* end_gradient = from.memory_gradients + (((i64)p.batch * sizes.n_chunks + blockIdx.x / GROUPS) * sizes.n_heads + p.head) * memory_size;
    const float* end_memory = chunk + 1 < n_all ? start_memory + sizes.n_heads * memory_size
                                                : from.final_memory + ((i64)p.batch * sizes.n_heads + p.head) * memory_size;
    const i64 first_head = out_row(sizes, p.batch, p.first_step, p.head), first_value = first_head * DV;
    const i64 value_stride = (i64)sizes.n_heads * DV;

    const Lines erase = lines_of(EDITS == 2 ? in.erase : in.write, p, sizes), write = lines_of(in.write, p, sizes), query = lines_of(in.query, p, sizes);
    prefetch_lines(lines_of(in.decay, p, sizes), p, DK, thread, GRADIENT_THREADS);
    if (EDITS == 2) prefetch_lines(erase, p, DK, thread, GRADIENT_THREADS);
    prefetch_lines(write, p, DK, thread, GRADIENT_THREADS);
    prefetch_lines(query, p, DK, thread, GRADIENT_THREADS);
    const int first_channel = warp * 8;  // of the block's
    const bool owner = first_channel < GROUP;
    float reader[ROW_TILES + QUERY_TILES][4] = {};
    float written[ROW_TILES][4] = {};
    constexpr int pairs = EDITS == 2 ? ROW_TILES * (ROW_TILES + 1) / 2 + 6 : 6;
    constexpr int own_pairs = (pairs + GRADIENT_WARPS - 1) / GRADIENT_WARPS;
    float product[own_pairs][2][4] = {};
    int pair_reader[own_pairs], pair_row[own_pairs];
#pragma unroll
    for (int j = 0; j < own_pairs; j++) {
        int index = warp + j * GRADIENT_WARPS, tile = 0;
        pair_reader[j] = -1, pair_row[j] = 0;
        for (; tile < ROW_TILES + QUERY_TILES; tile++) {
            const int n = last_step_of(tile) * EDITS / 16 + 1;
            if (index < n) break;
            index -= n;
        }
        if (tile < ROW_TILES + QUERY_TILES) pair_reader[j] = tile, pair_row[j] = index;
    }

    for (int first = 0; first < DV; first += SLAB) {
        __syncthreads();
        constexpr int fours = SLAB / 4;
#pragma unroll 4
        for (int i = thread; i < (READERS + ROWS) * fours; i += GRADIENT_THREADS) {
            const int r = i / fours, c = i % fours * 4;
            const bool is_pseudo = r >= READERS, is_query = !is_pseudo && r >= ROWS;
            const int row = is_pseudo ? r - READERS : r, step = is_query ? row - ROWS : row / EDITS;
            const bool erase = EDITS == 2 && row % EDITS == 0;
            const float* array = is_pseudo ? (erase ? from.erase_value : from.write_value) : (erase ? from.erase_gradient : from.value_gradient);
            float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (step < p.n_steps) {
                if (is_query) x = four_of(in.output_gradient, row_at(in.output_gradient, p.batch, p.first_step + step, p.head, sizes.n_heads), first + c, DV);
                else x = four_values(array + first_value + step * value_stride, first + c);
            }
            if (!is_pseudo && !is_query) x = make_float4(-x.x, -x.y, -x.z, -x.w);
            put_four(is_pseudo ? pseudo : readers, is_pseudo ? rows_plane : readers_plane, row * SLAB_STRIDE + c, x);
        }
#pragma unroll 2
        for (int i = thread; i < GROUP * fours; i += GRADIENT_THREADS) {
            const int own = i / fours, channel = block_channel + own, c = i % fours * 4;
            float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f), y = x, z = x;
            if (channel < DK) {
                x = four_values(start_memory + (i64)channel * DV, first + c);
                y = four_values(end_gradient + (i64)channel * DV, first + c);
                z = four_values(end_memory + (i64)channel * DV, first + c);
            }
            put_four(states, memory_plane, own * SLAB_STRIDE + c, x);
            put_four(grads, memory_plane, own * SLAB_STRIDE + c, y);
            float sum = y.x * z.x + y.y * z.y + y.z * z.z + y.w * z.w;
#pragma unroll
            for (int other = 1; other < 16; other *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, other);
            if (lane % 16 == 0) end_sum[own] = first == 0 ? sum : end_sum[own] + sum;
        }
        __syncthreads();
#pragma unroll 1
        for (int k = 0; k < SLAB; k += 32) {
            TileA a;
            TileB b, b_next;
            if (owner) {
                load_b_deep_transposed(b, b_next, states, SLAB_STRIDE, memory_plane, k, first_channel, lane);
#pragma unroll
                for (int m = 0; m < ROW_TILES + QUERY_TILES; m++) {
                    load_a(a, readers, SLAB_STRIDE, readers_plane, m * 16, k, lane);
                    multiply(reader[m], a, b);
                    load_a(a, readers, SLAB_STRIDE, readers_plane, m * 16, k + 16, lane);
                    multiply(reader[m], a, b_next);
                }
                load_b_deep_transposed(b, b_next, grads, SLAB_STRIDE, memory_plane, k, first_channel, lane);
#pragma unroll
                for (int m = 0; m < ROW_TILES; m++) {
                    load_a(a, pseudo, SLAB_STRIDE, rows_plane, m * 16, k, lane);
                    multiply(written[m], a, b);
                    load_a(a, pseudo, SLAB_STRIDE, rows_plane, m * 16, k + 16, lane);
                    multiply(written[m], a, b_next);
                }
            }
#pragma unroll
            for (int j = 0; j < own_pairs; j++)
                if (pair_reader[j] >= 0)
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        load_a(a, readers, SLAB_STRIDE, readers_plane, pair_reader[j] * 16, k + half * 16, lane);
                        load_b_pair_transposed(b, b_next, pseudo, SLAB_STRIDE, rows_plane, k + half * 16, pair_row[j] * 16, lane);
                        multiply(product[j][0], a, b);
                        multiply(product[j][1], a, b_next);
                    }
        }
    }

    // E, masked; its diagonal is minus Z P.
#pragma unroll
    for (int j = 0; j < own_pairs; j++)
        if (pair_reader[j] >= 0)
#pragma unroll
            for (int n = 0; n < 2; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const int r = pair_reader[j] * 16 + g + 8 * i, row = pair_row[j] * 16 + n * 8 + 2 * t;
                    float x[2] = {product[j][n][2 * i], product[j][n][2 * i + 1]};
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const int step = (row + e) / EDITS;
                        if (r == row + e && step < p.n_steps) {
                            const float strength = s.strengths[r];
                            float* gradient = EDITS == 2 && r % EDITS == 0 ? to.erase_strength : to.write_strength;
                            if (gradient && group == 0) gradient[first_head + (i64)step * sizes.n_heads] = -x[e] / strength / strength;
                        }
                        if (r < ROWS ? row + e >= r : step > r - ROWS) x[e] = 0.0f;
                    }
                    put_pair(products, PRODUCTS_PLANE, r * ROW_STRIDE + row, x[0], x[1]);
                }
    __syncthreads();
    load_decays<GROUP>(s.decay, in.decay, block_channel, p, sizes, thread, GRADIENT_THREADS);
    for (int i = thread; i < STEPS * (GROUP / 4); i += GRADIENT_THREADS) {
        const int step = i / (GROUP / 4), c = i % (GROUP / 4) * 4;
        float* to = s.keys + step * GROUP_STRIDE + c;
        if (EDITS == 2) *(float4*)to = four_at(in.erase, erase, p, step, block_channel + c, DK);
        *(float4*)(to + (EDITS - 1) * ARRAY_STRIDE) = four_at(in.write, write, p, step, block_channel + c, DK);
        *(float4*)(to + EDITS * ARRAY_STRIDE) = four_at(in.query, query, p, step, block_channel + c, DK);
    }
    for (int c = thread; c < GROUP; c += GRADIENT_THREADS)
        if (is_strong(s.decay + c, GROUP_STRIDE)) *strong = 1;
    __syncthreads();
    if (!owner) return;

    auto key_of = [&](int r) { return s.keys + (r < ROWS ? r % EDITS : EDITS) * ARRAY_STRIDE + (r < ROWS ? r / EDITS : r - ROWS) * GROUP_STRIDE; };
    auto decay_of = [&](int r) { return s.decay + (r < ROWS ? r / EDITS : r - ROWS) * GROUP_STRIDE; };
    const float* end = s.decay + (STEPS - 1) * GROUP_STRIDE;
    const int pair = first_channel + 2 * t, one = first_channel + g;
    const float2 at_end = *(const float2*)(end + pair);
#pragma unroll
    for (int m = 0; m < ROW_TILES + QUERY_TILES; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float2 d = *(const float2*)(decay_of(m * 16 + g + 8 * i) + pair);
            reader[m][2 * i] *= power_of_two(d.x), reader[m][2 * i + 1] *= power_of_two(d.y);
            if (m < ROW_TILES) {
                float (&x)[4] = written[m < ROW_TILES ? m : 0];
                x[2 * i] *= power_of_two(at_end.x - d.x), x[2 * i + 1] *= power_of_two(at_end.y - d.y);
            }
        }

#pragma unroll 1
    for (int first_step = 0; first_step < STEPS; first_step = first_step == 0 && !*strong ? STEPS : first_step + 8) {
        const Region region = region_at(first_step, *strong);
        const float* middle = s.decay + region.middle * GROUP_STRIDE;
        auto holds_any = [&](int tile) { return tile * 16 / EDITS < region.last_step && (tile * 16 + 15) / EDITS >= region.first_step; };
        auto holds = [&](int row) { return row / EDITS >= region.first_step && row / EDITS < region.last_step; };
        const float2 there = *(const float2*)(middle + pair);
        const float here = middle[one];
        // The rows of this region as they stand in its middle, then what readers get of them.
        TileB rows[ROW_TILES];
#pragma unroll
        for (int tile = 0; tile < ROW_TILES; tile++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int r = tile * 16 + half * 8 + 2 * t;
                float x = 0.0f, y = 0.0f;
                if (holds(r)) x = key_of(r)[one] * power_of_two(here - decay_of(r)[one]);
                if (holds(r + 1)) y = key_of(r + 1)[one] * power_of_two(here - decay_of(r + 1)[one]);
                split<PLANES>(x, y, rows[tile].x[0][half], rows[tile].x[PLANES - 1][half]);
            }
#pragma unroll
        for (int m = 0; m < ROW_TILES + QUERY_TILES; m++) {
            if (last_step_of(m) < region.first_step) continue;
            float sum[4] = {};
#pragma unroll
            for (int tile = 0; tile < ROW_TILES; tile++)
                if (tile * 16 / EDITS <= last_step_of(m) && holds_any(tile)) {
                    TileA a;
                    load_a(a, products, ROW_STRIDE, PRODUCTS_PLANE, m * 16, tile * 16, lane);
                    multiply(sum, a, rows[tile]);
                }
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float2 d = *(const float2*)(decay_of(m * 16 + g + 8 * i) + pair);
                reader[m][2 * i] += sum[2 * i] * power_of_two(fminf(d.x - there.x, LARGEST_EXPONENT));
                reader[m][2 * i + 1] += sum[2 * i + 1] * power_of_two(fminf(d.y - there.y, LARGEST_EXPONENT));
            }
        }
        // The readers there, then what they send back to the rows.
        TileB readings[ROW_TILES + QUERY_TILES];
#pragma unroll
        for (int m = 0; m < ROW_TILES + QUERY_TILES; m++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int r = m * 16 + half * 8 + 2 * t;
                split<PLANES>(key_of(r)[one] * power_of_two(fminf(decay_of(r)[one] - here, LARGEST_EXPONENT)),
                              key_of(r + 1)[one] * power_of_two(fminf(decay_of(r + 1)[one] - here, LARGEST_EXPONENT)), readings[m].x[0][half],
                              readings[m].x[PLANES - 1][half]);
            }
#pragma unroll
        for (int tile = 0; tile < ROW_TILES; tile++) {
            if (!holds_any(tile)) continue;
            float sum[4] = {};
#pragma unroll
            for (int m = 0; m < ROW_TILES + QUERY_TILES; m++)
                if (tile * 16 / EDITS <= last_step_of(m)) {
                    TileA a;
                    load_a_transposed(a, products, ROW_STRIDE, PRODUCTS_PLANE, tile * 16, m * 16, lane);
                    multiply(sum, a, readings[m]);
                }
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int r = tile * 16 + g + 8 * i;
                if (!holds(r)) continue;
                const float2 d = *(const float2*)(decay_of(r) + pair);
                written[tile][2 * i] += sum[2 * i] * power_of_two(there.x - d.x);
                written[tile][2 * i + 1] += sum[2 * i + 1] * power_of_two(there.y - d.y);
            }
        }
    }

    // Outputs, and per step and channel what the decays of this and all earlier steps get; it takes the place of the decays.
    const i64 first_key = first_head * DK, key_stride = (i64)sizes.n_heads * DK;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < ROW_TILES + QUERY_TILES; m++) {
        if (m == ROW_TILES) __syncwarp();
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int r = m * 16 + g + 8 * i, step = r < ROWS ? r / EDITS : r - ROWS;
            const float2 x = *(const float2*)(key_of(r) + pair);
            float2* net = (float2*)(decay_of(r) + pair);
            float u = reader[m][2 * i], v = reader[m][2 * i + 1];
            float* target = to.query;
            if (m < ROW_TILES) {
                const float wu = written[m < ROW_TILES ? m : 0][2 * i], wv = written[m < ROW_TILES ? m : 0][2 * i + 1];
                float net_u = x.x * (u - wu), net_v = x.y * (v - wv);
                if (EDITS == 2) net_u += __shfl_xor_sync(0xffffffffu, net_u, 4), net_v += __shfl_xor_sync(0xffffffffu, net_v, 4);
                if (r % EDITS == 0) *net = make_float2(net_u, net_v);
                u += wu, v += wv;
                target = EDITS == 2 && r % EDITS == 0 ? to.erase : to.write;
            } else {
                *net = make_float2(net->x + x.x * u, net->y + x.y * v);
            }
            if (target && step < p.n_steps) store_pair(target + first_key + step * key_stride, block_channel + pair, DK, u, v);
        }
    }
    __syncwarp();
    // Sums from the end: a lane has 8 steps of a channel, then adds what comes after.
    const int own = first_channel + lane % 8, channel = block_channel + own, first_step = lane / 8 * 8;
    float sums[8], sum = 0.0f;
#pragma unroll
    for (int i = 7; i >= 0; i--) sums[i] = sum += s.decay[(first_step + i) * GROUP_STRIDE + own];
    const float next = __shfl_xor_sync(0xffffffffu, sum, 8), both = sum + next, others = __shfl_xor_sync(0xffffffffu, both, 16);
    const float after = end_sum[own] + (lane < 16 ? others : 0.0f) + (lane / 8 % 2 == 0 ? next : 0.0f);
    const Lines decay = lines_of(in.decay, p, sizes);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int step = first_step + i;
        if (!to.decay || step >= p.n_steps || channel >= DK) continue;
        float gradient = sums[i] + after;
        if (!LOG_DECAY) gradient /= fmaxf(number(decay, step, channel), power_of_two(LEAST_LOG2));
        to.decay[first_key + step * key_stride + channel] = gradient;
    }
}

// What the sequential kernels share: a step's slot in shared memory, and the columns of a memory that a warp holds.
//
// Given by the host beside lanes.cu's: CONSUMERS and PRODUCERS (warps of a block), STEPS (steps of a stage), ALIGNED (columns in
// vectors of C or 4).

#define ROWS (DK / ROW_LANES)
#define COLUMNS (CONSUMERS * COLUMN_LANES * C)

// A step's slot in shared memory, in floats: vectors of key channels, then what each kernel adds from AT_COLUMNS on.
constexpr int AT_RETENTION = 0;
constexpr int AT_QUERY = DK;
__host__ __device__ constexpr int at_direction(int j) { return (2 + j) * DK; }
__host__ __device__ constexpr int at_read(int j) { return reads_elsewhere(j) ? (2 + N + n_elsewhere(j)) * DK : at_direction(j); }
constexpr int AT_COLUMNS = (2 + N + n_elsewhere(N)) * DK;

// The vectors of key channels of one head.
struct Vectors {
    Source retention, query, direction[N], read[N];
};

__device__ __forceinline__ Vectors vectors_of(const Args& A, int batch, int head) {
    Vectors x;
    x.retention = source(A.retention, F_RETENTION, batch, head, A.head);
    x.query = source(A.query, F_QUERY, batch, head, A.head);
#pragma unroll
    for (int j = 0; j < N; j++) {
        x.direction[j] = source(A.edits[j].direction, format(F_DIRECTION, j), batch, head, A.head);
        if (reads_elsewhere(j)) x.read[j] = source(A.edits[j].read, format(F_READ, j), batch, head, A.head);
    }
    return x;
}

// A step's vectors into its slot, by one warp.
__device__ __forceinline__ void stage_vectors(const Vectors& x, float* slot, int t, int lane) {
    stage_row(slot + AT_RETENTION, x.retention, t, D_K, lane);
    stage_row(slot + AT_QUERY, x.query, t, D_K, lane);
#pragma unroll
    for (int j = 0; j < N; j++) {
        stage_row(slot + at_direction(j), x.direction[j], t, D_K, lane);
        if (reads_elsewhere(j)) stage_row(slot + at_read(j), x.read[j], t, D_K, lane);
    }
}

__device__ __forceinline__ void convert_vectors(const Vectors& x, float* slot, int lane) {
    convert_row(slot + AT_RETENTION, x.retention, D_K, lane);
    convert_row(slot + AT_QUERY, x.query, D_K, lane);
#pragma unroll
    for (int j = 0; j < N; j++) {
        convert_row(slot + at_direction(j), x.direction[j], D_K, lane);
        if (reads_elsewhere(j)) convert_row(slot + at_read(j), x.read[j], D_K, lane);
    }
}

// Steps of a stage that one warp stages: it has them side by side.
#define SHARE ((STEPS + PRODUCERS - 1) / PRODUCERS)

// The strength of this lane's pair of step and edit, of `n_steps` steps from t on.
__device__ __forceinline__ float strength_of(const Args& A, int batch, int t, int n_steps, int head, int lane) {
    const int j = lane % N;
    if (lane >= n_steps * N || !A.edits[j].strength.data) return 1.0f;
    return load1(A.edits[j].strength, row_at(A.edits[j].strength, batch, t + lane / N, head, A.head), 0);
}

// The couplings of `n_steps` steps whose vectors have landed, by one warp, eight lanes a step: c_j . direction_i, 0 where the
// read does not see edits.
__device__ __forceinline__ void stage_couplings(float* slots, int slot_size, int at_couplings, int n_steps, int lane) {
    for (int first = 0; first < n_steps; first += WARP / ROW_LANES) {
        const int local = first + lane / ROW_LANES, part = lane % ROW_LANES;
        float* slot = slots + min(local, n_steps - 1) * slot_size;
        float sums[N_COUPLINGS];
#pragma unroll
        for (int i = 0; i < N_COUPLINGS; i++) sums[i] = 0.0f;
#pragma unroll
        for (int g = 0; g < DK / WARP; g++) {
            const int at = 4 * (part + ROW_LANES * g);
            float direction[N][4];
#pragma unroll
            for (int j = 0; j < N; j++) *(float4*)direction[j] = *(const float4*)(slot + at_direction(j) + at);
#pragma unroll
            for (int j = 1; j <= N; j++) {
                const bool meets = j == N || (read_kind(j) != 0 && read_kind(j) != 3);
                if (!meets) continue;
                float read[4];
                *(float4*)read = *(const float4*)(slot + (j == N ? AT_QUERY : at_read(j < N ? j : 0)) + at);
#pragma unroll
                for (int i = 0; i < N; i++)
                    if (i < j)
#pragma unroll
                        for (int c = 0; c < 4; c++) sums[coupling(j, i)] = fmaf(read[c], direction[i][c], sums[coupling(j, i)]);
            }
        }
#pragma unroll
        for (int mask = 4; mask > 0; mask >>= 1)
#pragma unroll
            for (int i = 0; i < N_COUPLINGS; i++) sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], mask);
        if (part == 0 && local < n_steps)
#pragma unroll
            for (int i = 0; i < N_COUPLINGS; i++) slot[at_couplings + i] = sums[i];
    }
}

struct Tile {
    float s[ROWS][C];
};

__device__ __forceinline__ void store_row(float* row, const float* x, int first_column, int column_lane) {
#pragma unroll
    for (int v = 0; v < C / VECTOR; v++) {
        const int column = first_column + column_of(column_lane, v * VECTOR);
        if (ALIGNED) {
            if (column < D_V) {
                if (VECTOR == 4) __stcs((float4*)(row + column), make_float4(x[v * VECTOR], x[v * VECTOR + 1 < C ? v * VECTOR + 1 : 0], x[v * VECTOR + 2 < C ? v * VECTOR + 2 : 0], x[v * VECTOR + 3 < C ? v * VECTOR + 3 : 0]));
                else if (VECTOR == 2) __stcs((float2*)(row + column), make_float2(x[v * VECTOR], x[v * VECTOR + 1 < C ? v * VECTOR + 1 : 0]));
                else __stcs(row + column, x[v * VECTOR]);
            }
        } else {
#pragma unroll
            for (int c = 0; c < VECTOR; c++)
                if (column + c < D_V) __stcs(row + column + c, x[v * VECTOR + c]);
        }
    }
}

__device__ __forceinline__ void store_tile(const Tile& tile, float* memory, const Args& A, int first_column, int row_lane, int column_lane) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int row = row_of(row_lane, i);
        if (row < D_K) store_row(memory + (i64)row * D_V, tile.s[i], first_column, column_lane);
    }
}


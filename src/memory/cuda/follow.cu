// Vectors followed on their own through the steps (`memory::follow`): a few columns of a block stay in registers, and all sums of
// a step are taken in one round from the vectors as the step finds them.
//
// Given by the host beside common.cu's (N: edits that read): C (vectors of a thread), WARPS, STEPS (steps of a stage, two of
// which stand in shared memory), WIDE (f64 rather than f32), ORDERS, OBLIQUE (bits of edits), ERASES (bits of edits), ROWS_OF_STEP,
// AT_NUMBERS (the row where numbers begin), ERASED (whether what the erase takes is kept).

#define ROWS (DK / ROW_LANES)
#define COLUMNS (WARPS * COLUMN_LANES * C)
#define THREADS (WARPS * WARP)

#if WIDE
typedef double real;
#else
typedef float real;
#endif

struct FollowArgs {
    const real* rows;         // [step + 1, row, DK]
    const real* entries;      // [vector, d_k]
    const real* entry_reads;  // [vector]
    const real* origins;      // [vector, d_k]
    const double* quarter;    // [vector]
    const int* marks;         // [vector, 2]
    const real* weights;      // [mechanism, set]: of removals in the average over orders
    real* seen;               // [step, vector of this call]
    real* erased;             // likewise
    real* left;               // [vector, d_k]
    double* sums;             // [vector, N_SUMS]
    double* marked;           // [vector, 2, N_SUMS]
    int* half_life;           // [vector], -1 for none
    int n_steps, n_vectors, each, d_k;
    int first_vector, end_vector, width, pad;  // vectors of this call, and numbers of a row of `seen`
};
static_assert(sizeof(FollowArgs) == 13 * 8 + 8 * 4, "layout of the arguments");

constexpr int N_SUMS = 16;
constexpr int STEP_NUMBERS = ROWS_OF_STEP * DK;
constexpr bool IS_OBLIQUE = OBLIQUE != 0;
constexpr int AT_LOST = AT_NUMBERS - 1;
__device__ __forceinline__ constexpr int at_read(int j) { return (3 + j) * DK; }
__device__ __forceinline__ constexpr int at_direction(int j) { return (3 + N + j) * DK; }
__device__ __forceinline__ constexpr int at_raw_read(int j) { return (3 + 2 * N + j) * DK; }
__device__ __forceinline__ constexpr int at_edit(int j) { return AT_NUMBERS * DK + 1 + 4 * j + j * (j - 1) / 2; }
__device__ __forceinline__ constexpr int mechanism(int j) { return (ERASES >> j) & 1 ? 1 : 2; }

__device__ __forceinline__ void load4(real (&to)[4], const real* from) {
#if WIDE
    *(double2*)to = *(const double2*)from;
    *(double2*)(to + 2) = *(const double2*)(from + 2);
#else
    *(float4*)to = *(const float4*)from;
#endif
}

__device__ __forceinline__ real largest(real x, real y) { return x > y ? x : y; }

// Of this lane's vector.
struct Sums {
    double taken[3], present[3], gated[3], averaged[3], along[3];
};

__device__ __forceinline__ void store_sums(const Sums& x, real surviving, double* to) {
#pragma unroll
    for (int m = 0; m < 3; m++) to[m] = x.taken[m], to[3 + m] = x.present[m], to[6 + m] = x.gated[m], to[9 + m] = x.averaged[m], to[12 + m] = x.along[m];
    to[15] = surviving;
}

// Lanes with the same vector of their own share the sets of mechanisms among them.
constexpr int SHARERS = ROW_LANES / C;
__device__ __forceinline__ void sum_sharers(Sums& x) {
#pragma unroll
    for (int mask = COLUMN_LANES; mask < COLUMN_LANES * SHARERS; mask *= 2)
#pragma unroll
        for (int m = 0; m < 3; m++) x.averaged[m] += __shfl_xor_sync(0xffffffffu, x.averaged[m], mask);
}

__device__ __forceinline__ void stage(real* to, const FollowArgs& A, int t) {
    const int n = min(STEPS, A.n_steps + 1 - t) * STEP_NUMBERS * (int)sizeof(real) / 16;
    const char* from = (const char*)(A.rows + (i64)t * STEP_NUMBERS);
    for (int i = threadIdx.x; i < n; i += THREADS) copy_async_16((float*)to + 4 * i, from + 16 * i);
    copies_commit();
}

extern "C" __global__ void __launch_bounds__(THREADS) follow(const __grid_constant__ FollowArgs A) {
    extern __shared__ float4 shared[];
    real* smem = (real*)shared;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, row_lane = lane / COLUMN_LANES, column_lane = lane % COLUMN_LANES;
    const int block_vector = A.first_vector + blockIdx.x * COLUMNS, first_vector = block_vector + warp * COLUMN_LANES * C;
    const int last_vector = min(block_vector + COLUMNS, A.end_vector) - 1;
    const int first_step = block_vector / A.each, last_entry = last_vector / A.each;

    real x[ROWS][C], origin[IS_OBLIQUE ? ROWS : 1][C];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int c = 0; c < C; c++) x[i][c] = 0;
#pragma unroll
    for (int i = 0; i < (IS_OBLIQUE ? ROWS : 1); i++)
#pragma unroll
        for (int c = 0; c < C; c++) origin[i][c] = 0;

    const int own = first_vector + column_of(column_lane, own_of(lane));
    const bool exists = own <= last_vector, stores = exists && stores_own(lane);
    const int entered = exists ? own / A.each : A.n_steps;
    const double quarter = exists ? A.quarter[own] : 0.0;
    const int mark0 = exists ? A.marks[2 * own] : -1, mark1 = exists ? A.marks[2 * own + 1] : -1;
    int half_life = -1;
    Sums sums = {};

    stage(smem, A, first_step);
    for (int start = first_step, count = 0; start <= A.n_steps; start += STEPS, count++) {
        const bool more = start + STEPS <= A.n_steps;
        if (more) stage(smem + (count + 1) % 2 * STEPS * STEP_NUMBERS, A, start + STEPS);
        if (more) copies_wait<1>(); else copies_wait<0>();
        __syncthreads();
        const int end = min(start + STEPS, A.n_steps + 1);
#pragma unroll 1
        for (int t = start; t < end; t++) {
            const real* step = smem + (count % 2 * STEPS + t - start) * STEP_NUMBERS;
            // Energy, what decay takes of it, what the query sees, what edits read, after decay or before it; along origins.
            real energy[C] = {}, loss[C] = {}, seen[C] = {}, read[N][C] = {}, raw[ORDERS ? N : 1][C] = {};
            real lost[C] = {}, surviving[C] = {}, along[IS_OBLIQUE ? N : 1][C] = {};
#pragma unroll
            for (int g = 0; g < ROWS / 4; g++) {
                const int at = 4 * (row_lane + ROW_LANES * g);
                real loss_weight[4], query[4], of_read[N][4], of_raw[ORDERS ? N : 1][4], of_lost[4], direction[IS_OBLIQUE ? N : 1][4];
                load4(loss_weight, step + DK + at);
                load4(query, step + 2 * DK + at);
#pragma unroll
                for (int j = 0; j < N; j++) {
                    load4(of_read[j], step + at_read(j) + at);
                    if (ORDERS) load4(of_raw[ORDERS ? j : 0], step + at_raw_read(j) + at);
                    if (IS_OBLIQUE) load4(direction[IS_OBLIQUE ? j : 0], step + at_direction(j) + at);
                }
                if (IS_OBLIQUE) load4(of_lost, step + AT_LOST * DK + at);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int c = 0; c < C; c++) {
                        const real y = x[4 * g + i][c];
                        energy[c] = fma(y, y, energy[c]);
                        loss[c] = fma(loss_weight[i] * y, y, loss[c]);
                        seen[c] = fma(query[i], y, seen[c]);
#pragma unroll
                        for (int j = 0; j < N; j++) {
                            read[j][c] = fma(of_read[j][i], y, read[j][c]);
                            if (ORDERS) raw[ORDERS ? j : 0][c] = fma(of_raw[ORDERS ? j : 0][i], y, raw[ORDERS ? j : 0][c]);
                        }
                        if (IS_OBLIQUE) {
                            const real from = origin[IS_OBLIQUE ? 4 * g + i : 0][c];
                            lost[c] = fma(of_lost[i] * y, from, lost[c]);
                            surviving[c] = fma(y, from, surviving[c]);
#pragma unroll
                            for (int j = 0; j < N; j++) along[IS_OBLIQUE ? j : 0][c] = fma(direction[IS_OBLIQUE ? j : 0][i], from, along[IS_OBLIQUE ? j : 0][c]);
                        }
                    }
            }
            sum_rows(energy, lane);
            sum_rows(loss, lane);
            sum_rows(seen, lane);
#pragma unroll
            for (int j = 0; j < N; j++) {
                sum_rows(read[j], lane);
                if (ORDERS) sum_rows(raw[ORDERS ? j : 0], lane);
                if (IS_OBLIQUE) sum_rows(along[IS_OBLIQUE ? j : 0], lane);
            }
            if (IS_OBLIQUE) sum_rows(lost, lane), sum_rows(surviving, lane);

            // What the step before left.
            const real whole = IS_OBLIQUE ? surviving[0] : energy[0];
            if (t > entered && half_life < 0 && quarter > 0.0 && (double)energy[0] <= quarter) half_life = t - 1 - entered;
            const bool marked = t > entered && (mark0 == t - 1 || mark1 == t - 1);
            if (__any_sync(0xffffffffu, marked)) {
                Sums now = sums;
                sum_sharers(now);
                if (marked) {
                    if (stores && mark0 == t - 1) store_sums(now, whole, A.marked + (i64)own * 2 * N_SUMS);
                    if (stores && mark1 == t - 1) store_sums(now, whole, A.marked + ((i64)own * 2 + 1) * N_SUMS);
                }
            }
            if (t == A.n_steps) {
                sum_sharers(sums);
                if (stores) {
                    store_sums(sums, whole, A.sums + (i64)own * N_SUMS);
                    A.half_life[own] = half_life;
                }
                break;
            }

            const real* numbers = step + AT_NUMBERS * DK;
            sums.present[0] += energy[0];
            sums.gated[0] += energy[0] * numbers[0];
            sums.taken[0] += loss[0];
            if (IS_OBLIQUE) sums.along[0] += lost[0];
            real present = largest(energy[0] - loss[0], 0), by_erase = 0, value[N];
#pragma unroll
            for (int j = 0; j < N; j++) {
                const real* edit = step + at_edit(j);
                real found = read[j][0];
#pragma unroll
                for (int i = 0; i < N; i++)
                    if (i < j) found = fma(edit[4 + i], value[i], found);
                const real taken = edit[1] * found * found;
                const int m = mechanism(j);
                sums.present[m] += present;
                sums.gated[m] += present * edit[2];
                sums.taken[m] += taken;
                if (m == 1) by_erase = taken;
                if (!((OBLIQUE >> j) & 1)) present = largest(present - taken, 0);
                value[j] = -edit[0] * found;
                if (IS_OBLIQUE) sums.along[m] -= value[j] * along[IS_OBLIQUE ? j : 0][0];
                seen[0] = fma(edit[3], value[j], seen[0]);
            }
            if (ORDERS) {
                const int sharer = lane / COLUMN_LANES % SHARERS;
#pragma unroll
                for (int k = 0; k < C; k++) {
                    const int set = k * SHARERS + sharer;
                    real removed = set & 1 ? loss[0] : (real)0, a[N];
#pragma unroll
                    for (int j = 0; j < N; j++) {
                        const real* edit = step + at_edit(j);
                        real found = set & 1 ? read[j][0] : raw[ORDERS ? j : 0][0];
#pragma unroll
                        for (int i = 0; i < N; i++)
                            if (i < j) found = fma(edit[4 + i], a[i], found);
                        const bool acts = set >> mechanism(j) & 1;
                        if (acts) removed = fma(edit[1] * found, found, removed);
                        a[j] = acts ? -edit[0] * found : (real)0;
                    }
#pragma unroll
                    for (int m = 0; m < 3; m++) sums.averaged[m] += A.weights[8 * m + set] * removed;
                }
            }

            real values[N][C];
#pragma unroll
            for (int c = 0; c < C; c++)
#pragma unroll
                for (int j = 0; j < N; j++) values[j][c] = C == 1 ? value[j] : __shfl_sync(0xffffffffu, value[j], lane_of(lane, c));
#pragma unroll
            for (int g = 0; g < ROWS / 4; g++) {
                const int at = 4 * (row_lane + ROW_LANES * g);
                real alpha[4], direction[N][4];
                load4(alpha, step + at);
#pragma unroll
                for (int j = 0; j < N; j++) load4(direction[j], step + at_direction(j) + at);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int c = 0; c < C; c++) {
                        real y = alpha[i] * x[4 * g + i][c];
#pragma unroll
                        for (int j = 0; j < N; j++) y = fma(direction[j][i], values[j][c], y);
                        x[4 * g + i][c] = y;
                    }
            }
            // Vectors that enter with this step.
            if (t <= last_entry) {
#pragma unroll
                for (int c = 0; c < C; c++) {
                    const int vector = first_vector + column_of(column_lane, c);
                    if (vector <= last_vector && vector / A.each == t)
#pragma unroll
                        for (int i = 0; i < ROWS; i++) {
                            const int row = row_of(row_lane, i);
                            x[i][c] = row < A.d_k ? A.entries[(i64)vector * A.d_k + row] : (real)0;
                            if (IS_OBLIQUE) origin[IS_OBLIQUE ? i : 0][c] = row < A.d_k ? A.origins[(i64)vector * A.d_k + row] : (real)0;
                        }
                }
                if (entered == t) seen[0] = A.entry_reads[own], by_erase = 0;
            }
            if (stores) {
                const i64 at = (i64)t * A.width + own - A.first_vector;
                A.seen[at] = seen[0];
                if (ERASED) A.erased[at] = by_erase;
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int c = 0; c < C; c++) {
        const int vector = first_vector + column_of(column_lane, c);
        if (vector <= last_vector)
#pragma unroll
            for (int i = 0; i < ROWS; i++)
                if (row_of(row_lane, i) < A.d_k) A.left[(i64)vector * A.d_k + row_of(row_lane, i)] = x[i][c];
    }
}

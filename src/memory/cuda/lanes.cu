// The layout of columns of key channels over a warp: lanes 4 r to 4 r + 3 share rows (8 sets of rows by fours), and have C columns
// each. Given by the host beside common.cu's: C (columns of a thread: 1, 2, 4, 8).

#define VECTOR (C < 4 ? C : 4)

// Column c of a thread, from the warp's first.
__device__ __forceinline__ int column_of(int column_lane, int c) { return column_lane * VECTOR + c % VECTOR + COLUMN_LANES * VECTOR * (c / VECTOR); }
__device__ __forceinline__ int row_of(int row_lane, int i) { return 4 * (row_lane + ROW_LANES * (i / 4)) + i % 4; }

// Sums over the row lanes, halving the columns of a lane where it has several: x[0] is then its own column's.
template <typename T> __device__ __forceinline__ void sum_rows(T (&x)[C], int lane) {
    int held = C;
#pragma unroll
    for (int mask = 16; mask >= 4; mask >>= 1) {
        if (held > 1) {
            held /= 2;
            const bool upper = lane & mask;
#pragma unroll
            for (int c = 0; c < C / 2; c++)
                if (c < held) {
                    const T low = x[c], high = x[c + held < C ? c + held : 0];
                    const T other = __shfl_xor_sync(0xffffffffu, upper ? low : high, mask);
                    x[c] = (upper ? high : low) + other;
                }
        } else {
            x[0] += __shfl_xor_sync(0xffffffffu, x[0], mask);
        }
    }
}

// Which of its columns a lane has after `sum_rows`.
__device__ __forceinline__ int own_of(int lane) {
    int own = 0;
    if (C >= 2) own = own * 2 + (lane >> 4 & 1);
    if (C >= 4) own = own * 2 + (lane >> 3 & 1);
    if (C >= 8) own = own * 2 + (lane >> 2 & 1);
    return own;
}

// Whether it is the one lane of several with the same column that stores it.
__device__ __forceinline__ bool stores_own(int lane) {
    return C >= 8 || (C == 4 && !(lane & 4)) || (C == 2 && !(lane & 12)) || (C == 1 && !(lane & 28));
}

// The lane whose own column is this lane's column c.
__device__ __forceinline__ int lane_of(int lane, int c) {
    if (C == 2) return (lane & 15) | (c << 4);
    if (C == 4) return (lane & 7) | ((c & 1) << 3) | ((c >> 1) << 4);
    if (C == 8) return (lane & 3) | ((c & 1) << 2) | ((c >> 1 & 1) << 3) | ((c >> 2) << 4);
    return lane;
}

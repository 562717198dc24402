// How the warps of a block that do nothing else hand stages of shared memory over to those that work: STAGES places, of each of
// which barrier 1 + stage says that it is full and barrier 1 + STAGES + stage that it is free.
//
// Given by the host beside common.cu's: STAGES, THREADS (of the block), WINDOW and OPEN (nanoseconds; 0: no windows).

__device__ __forceinline__ u64 nanoseconds() {
    u64 t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
}

// Memory of the card that is written all the time loses a fifth of its speed to a few reads in between, and hardly any if all
// multiprocessors read at the same moments: every WINDOW for OPEN, by the card's clock. (Measured: benches/results.)
__device__ __forceinline__ void await_window() {
#if WINDOW
    // A clock too coarse for windows, or none, costs a wait that ends.
    for (int i = 0; i < WINDOW / 64 && (u32)(nanoseconds() % WINDOW) >= OPEN; i++) __nanosleep(64);
    __syncwarp();
#endif
}

// `stage(i, place)` asks for stage i; once it has landed, with the next on its way, `land(i, place, last)` finishes it.
template <typename Stage, typename Land> __device__ __forceinline__ void produce_stages(int n_stages, Stage stage, Land land) {
    for (int i = 0; i <= n_stages; i++) {
        if (i < n_stages) {
            const int place = i % STAGES;
            if (i >= STAGES) barrier_sync(1 + STAGES + place, THREADS);
            await_window();
            stage(i, place);
            copies_commit();
        }
        if (i > 0) {
            if (i < n_stages) copies_wait<1>(); else copies_wait<0>();
            __syncwarp();
            const int place = (i - 1) % STAGES;
            land(i - 1, place, i == n_stages);
            barrier_arrive(1 + place, THREADS);
        }
    }
}

// The other side: before and after a stage is used.
__device__ __forceinline__ void await_stage(int i) { barrier_sync(1 + i % STAGES, THREADS); }
__device__ __forceinline__ void free_stage(int i, int n_stages) {
    if (i + STAGES < n_stages) barrier_arrive(1 + STAGES + i % STAGES, THREADS);
}

// What the two kernels of the backward pass share: their arguments (the Rust twin is `layout.rs`).

struct GradientArgs {
    Args base;                     // steps of this segment; residuals and checkpoints are the tape's
    Rows grad_output;              // [batch, step, head, d_v]
    const float* gradient_after;   // [batch, head, d_k, d_v] or null: of the memory after the segment
    float* gradient_before;        // [batch, head, d_k, d_v]: of the memory before it
    float* scratch;                // [block, group, thread]: memories at the start of groups
    float* grad_values[MOST_EDITS];// [batch, step of segment, head, d_v]: gradient of the pseudo-values
    float* sums;                   // [column block, batch, step of segment, head, 2 N + 2, DK]
    // Gradients of the inputs, [batch, step, heads of the input, width]; null where there is none.
    float* query;
    float* retention;
    float* strength[MOST_EDITS];
    float* direction[MOST_EDITS];
    float* read[MOST_EDITS];
    float* value[MOST_EDITS];
    int key_head, column_blocks;
    int query_heads, retention_heads;
    int direction_heads[MOST_EDITS];
    int read_heads[MOST_EDITS];
    int value_heads[MOST_EDITS];
};
static_assert(sizeof(GradientArgs) == 1640 + 40 + 24 + 64 + 8 + 16 + 256 + 16 + 96, "layout of the arguments");

// Places of the sums over columns within a step: G a_j, rows of S' * (gradient after decay), S' r_j, S' g.
__host__ __device__ constexpr int sum_direction(int j) { return j; }
constexpr int SUM_RETENTION = N;
__host__ __device__ constexpr int sum_read(int j) { return N + 1 + j; }
constexpr int SUM_OUTPUT = 2 * N + 1;
constexpr int N_SUMS = 2 * N + 2;

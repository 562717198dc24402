// The model's own operations on a card: what the loops over rows in `src/model` do on the CPU, fused in the same way.
//
// Parameters stand in one order: inputs, outputs, scalars. A matrix [rows, width] is contiguous. "A warp a row" kernels run with
// whole warps; sums over rows are taken in parts (`*_parts`: one row of a table for each lane of each block) and then over the table
// (`column_sums`), so that the order of every sum depends on the shapes alone and the same inputs give the same bits.

typedef unsigned size; // The launcher refuses arrays of 2^32 numbers: 32-bit divisions are far cheaper.

#define EACH(len) size i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= (len)) return
#define WARP_ROW(rows) \
    size row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; \
    int lane = threadIdx.x % 32; \
    if (row >= (rows)) return

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

__device__ __forceinline__ float warp_sum(float x) {
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
}

// ---- norms ----

extern "C" __global__ void rms_norm(const float *x, const float *weight, float *y, size rows, size width, float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    y += row * width;
    float squares = 0.0f;
    for (size c = lane; c < width; c += 32) squares += x[c] * x[c];
    float scale = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
    for (size c = lane; c < width; c += 32) y[c] = x[c] * scale * weight[c];
}

extern "C" __global__ void rms_norm_backward(const float *x, const float *weight, const float *grad, float *grad_x, float *inverse,
                                             size rows, size width, float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    grad += row * width;
    grad_x += row * width;
    float squares = 0.0f, along = 0.0f;
    for (size c = lane; c < width; c += 32) {
        squares += x[c] * x[c];
        along += x[c] * grad[c] * weight[c];
    }
    float scale = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
    float mean = warp_sum(along) * scale * scale / width;
    for (size c = lane; c < width; c += 32) grad_x[c] = scale * (grad[c] * weight[c] - x[c] * mean);
    if (lane == 0) inverse[row] = scale;
}

extern "C" __global__ void gated_rms_norm(const float *x, const float *gate, const float *weight, float *y, size rows, size width,
                                          float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    gate += row * width;
    y += row * width;
    float squares = 0.0f;
    for (size c = lane; c < width; c += 32) squares += x[c] * x[c];
    float scale = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
    for (size c = lane; c < width; c += 32) y[c] = x[c] * scale * weight[c] * gate[c] * sigmoid(gate[c]);
}

extern "C" __global__ void gated_rms_norm_backward(const float *x, const float *gate, const float *weight, const float *grad, float *grad_x,
                                                   float *grad_gate, float *inverse, size rows, size width, float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    gate += row * width;
    grad += row * width;
    grad_x += row * width;
    grad_gate += row * width;
    float squares = 0.0f, along = 0.0f;
    for (size c = lane; c < width; c += 32) {
        squares += x[c] * x[c];
        along += x[c] * grad[c] * gate[c] * sigmoid(gate[c]) * weight[c];
    }
    float scale = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
    float mean = warp_sum(along) * scale * scale / width;
    for (size c = lane; c < width; c += 32) {
        float open = sigmoid(gate[c]);
        grad_gate[c] = grad[c] * x[c] * scale * weight[c] * open * (1.0f + gate[c] * (1.0f - open));
        grad_x[c] = scale * (grad[c] * gate[c] * open * weight[c] - x[c] * mean);
    }
    if (lane == 0) inverse[row] = scale;
}

// Where a thread of a kernel that sums over rows begins: its channel, its row of the table of parts, and how many rows that has.
struct Part {
    size channel, step, part, parts;
    __device__ Part(size width) {
        size lanes = blockDim.x < width ? 1 : blockDim.x / width;
        channel = lanes == 1 ? threadIdx.x : threadIdx.x % width;
        step = lanes == 1 ? blockDim.x : width;
        part = blockIdx.x * lanes + (lanes == 1 ? 0 : threadIdx.x / width);
        parts = gridDim.x * lanes;
    }
};

extern "C" __global__ void rms_norm_parts(const float *x, const float *grad, const float *inverse, float *parts, size rows, size width) {
    Part own(width);
    for (size c = own.channel; c < width; c += own.step) {
        float sum = 0.0f;
        for (size row = own.part; row < rows; row += own.parts) sum += grad[row * width + c] * x[row * width + c] * inverse[row];
        parts[own.part * width + c] = sum;
    }
}

extern "C" __global__ void gated_rms_norm_parts(const float *x, const float *gate, const float *grad, const float *inverse, float *parts,
                                                size rows, size width) {
    Part own(width);
    for (size c = own.channel; c < width; c += own.step) {
        float sum = 0.0f;
        for (size row = own.part; row < rows; row += own.parts) {
            size at = row * width + c;
            sum += grad[at] * gate[at] * sigmoid(gate[at]) * x[at] * inverse[row];
        }
        parts[own.part * width + c] = sum;
    }
}

// The sums over the rows of [rows, width]: 32 columns a block, 32 rows at a time.
extern "C" __global__ void column_sums(const float *table, float *sums, size rows, size width) {
    __shared__ float tile[32][33];
    size c = blockIdx.x * 32 + threadIdx.x % 32;
    int lane = threadIdx.x / 32;
    float sum = 0.0f;
    if (c < width) for (size row = lane; row < rows; row += 32) sum += table[row * width + c];
    tile[lane][threadIdx.x % 32] = sum;
    __syncthreads();
    // Now a warp has one column.
    float total = warp_sum(tile[threadIdx.x % 32][lane]);
    size column = blockIdx.x * 32 + lane;
    if (threadIdx.x % 32 == 0 && column < width) sums[column] = total;
}

extern "C" __global__ void unit_norm(const float *x, float *y, size rows, size width, float scale, float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    y += row * width;
    float squares = 0.0f;
    for (size c = lane; c < width; c += 32) squares += x[c] * x[c];
    float inverse = scale / sqrtf(warp_sum(squares) + epsilon);
    for (size c = lane; c < width; c += 32) y[c] = x[c] * inverse;
}

extern "C" __global__ void unit_norm_backward(const float *x, const float *grad, float *grad_x, size rows, size width, float scale,
                                              float epsilon) {
    WARP_ROW(rows);
    x += row * width;
    grad += row * width;
    grad_x += row * width;
    float squares = 0.0f, dot = 0.0f;
    for (size c = lane; c < width; c += 32) {
        squares += x[c] * x[c];
        dot += x[c] * grad[c];
    }
    float inverse = 1.0f / sqrtf(warp_sum(squares) + epsilon);
    float along = warp_sum(dot) * inverse * inverse;
    for (size c = lane; c < width; c += 32) grad_x[c] = scale * inverse * (grad[c] - x[c] * along);
}

// ---- gates ----

extern "C" __global__ void swiglu(const float *gate, const float *up, float *y, size len) {
    EACH(len);
    y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

extern "C" __global__ void swiglu_backward(const float *gate, const float *up, const float *grad, float *grad_gate, float *grad_up, size len) {
    EACH(len);
    float open = sigmoid(gate[i]);
    grad_up[i] = grad[i] * gate[i] * open;
    grad_gate[i] = grad[i] * up[i] * open * (1.0f + gate[i] * (1.0f - open));
}

struct LogDecay {
    float value, by_input, by_rate_log;
};

// The three decay gates: 0 log, 1 KDA's sigmoid, 2 EDA's safe gate; `bound` is -lower.
__device__ __forceinline__ LogDecay log_decay(float u, float rate, size kind, float bound) {
    LogDecay decay;
    if (kind == 0) {
        decay.value = -rate * softplus(u);
        decay.by_input = -rate * sigmoid(u);
        decay.by_rate_log = decay.value;
    } else if (kind == 1) {
        float open = sigmoid(rate * u);
        decay.value = -bound * open;
        decay.by_input = -bound * open * (1.0f - open) * rate;
        decay.by_rate_log = decay.by_input * u;
    } else {
        float delta = softplus(u);
        float lost = expm1f(-rate / bound * delta);
        decay.value = bound * lost;
        decay.by_input = -rate * (1.0f + lost) * sigmoid(u);
        decay.by_rate_log = -rate * delta * (1.0f + lost);
    }
    return decay;
}

extern "C" __global__ void retention(const float *a, const float *rate_log, const float *bias, float *y, size len, size width, size rates,
                                     size biases, size kind, float bound) {
    EACH(len);
    size c = i % width;
    float rate = expf(rate_log[c / (width / rates)]);
    y[i] = expf(log_decay(a[i] + bias[c / (width / biases)], rate, kind, bound).value);
}

// Parts hold the sums for the rates and then those for the biases: [parts, 2 * width].
extern "C" __global__ void retention_backward(const float *a, const float *rate_log, const float *bias, const float *retention,
                                              const float *grad, float *grad_a, float *parts, size rows, size width, size rates,
                                              size biases, size kind, float bound) {
    Part own(width);
    for (size c = own.channel; c < width; c += own.step) {
        float rate = expf(rate_log[c / (width / rates)]), shift = bias[c / (width / biases)];
        float rate_sum = 0.0f, bias_sum = 0.0f;
        for (size row = own.part; row < rows; row += own.parts) {
            size at = row * width + c;
            LogDecay decay = log_decay(a[at] + shift, rate, kind, bound);
            float through = grad[at] * retention[at];
            grad_a[at] = through * decay.by_input;
            rate_sum += through * decay.by_rate_log;
            bias_sum += through * decay.by_input;
        }
        parts[own.part * 2 * width + c] = rate_sum;
        parts[own.part * 2 * width + width + c] = bias_sum;
    }
}

// ---- short convolution: x [batch * steps, channels], weight [channels, taps], the last tap meets the current step ----

__device__ __forceinline__ float convolve(const float *x, const float *weight, size row, size step, size channels, size taps, size c) {
    float sum = 0.0f;
    for (size tap = 0; tap < taps; tap++) {
        size back = taps - 1 - tap;
        if (step >= back) sum += x[(row - back) * channels + c] * weight[c * taps + tap];
    }
    return sum;
}

extern "C" __global__ void short_convolution(const float *x, const float *weight, float *y, size len, size channels, size taps, size steps) {
    EACH(len);
    size row = i / channels;
    float sum = convolve(x, weight, row, row % steps, channels, taps, i % channels);
    y[i] = sum * sigmoid(sum);
}

// The same after a history [batch, taps - 1, channels].
extern "C" __global__ void short_convolution_after(const float *x, const float *weight, const float *history, float *y, size len,
                                                   size channels, size taps, size steps) {
    EACH(len);
    size row = i / channels, c = i % channels, step = row % steps, batch = row / steps;
    float sum = 0.0f;
    for (size tap = 0; tap < taps; tap++) {
        size back = taps - 1 - tap;
        float input = step >= back ? x[(row - back) * channels + c] : history[(batch * (taps - 1) + step + tap) * channels + c];
        sum += input * weight[c * taps + tap];
    }
    y[i] = sum * sigmoid(sum);
}

#define MOST_TAPS 8

// The gradient before SiLU, and parts [parts, channels * taps] of the weights' gradient.
extern "C" __global__ void short_convolution_parts(const float *x, const float *weight, const float *grad, float *grad_sum, float *parts,
                                                   size rows, size channels, size taps, size steps) {
    Part own(channels);
    for (size c = own.channel; c < channels; c += own.step) {
        float sums[MOST_TAPS] = {0.0f};
        for (size row = own.part; row < rows; row += own.parts) {
            size step = row % steps;
            float sum = convolve(x, weight, row, step, channels, taps, c);
            float open = sigmoid(sum);
            float through = grad[row * channels + c] * open * (1.0f + sum * (1.0f - open));
            grad_sum[row * channels + c] = through;
#pragma unroll
            for (int tap = 0; tap < MOST_TAPS; tap++) {
                size back = taps - 1 - tap;
                if (tap < taps && step >= back) sums[tap] += x[(row - back) * channels + c] * through;
            }
        }
#pragma unroll
        for (int tap = 0; tap < MOST_TAPS; tap++)
            if (tap < taps) parts[(own.part * channels + c) * taps + tap] = sums[tap];
    }
}

extern "C" __global__ void short_convolution_input(const float *weight, const float *grad_sum, float *grad_x, size len, size channels,
                                                   size taps, size steps) {
    EACH(len);
    size row = i / channels, c = i % channels, step = row % steps;
    float sum = 0.0f;
    for (size ahead = 0; ahead < taps; ahead++)
        if (step + ahead < steps) sum += weight[c * taps + taps - 1 - ahead] * grad_sum[(row + ahead) * channels + c];
    grad_x[i] = sum;
}

// ---- full attention ----

// A block a row of [rows, width]; query `row % steps` of a head sees the keys up to its own step, the last query all of them.
extern "C" __global__ void causal_softmax(const float *scores, float *weights, size rows, size width, size steps, float scale) {
    __shared__ float shared[33];
    size row = blockIdx.x, seen = width - steps + row % steps + 1;
    scores += row * width;
    weights += row * width;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    float highest = __int_as_float(0xff800000);
    for (size key = threadIdx.x; key < seen; key += blockDim.x) highest = fmaxf(highest, scores[key]);
    for (int offset = 16; offset > 0; offset /= 2) highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, offset));
    if (lane == 0) shared[warp] = highest;
    __syncthreads();
    highest = shared[0];
    for (int other = 1; other < warps; other++) highest = fmaxf(highest, shared[other]);
    __syncthreads();
    float sum = 0.0f;
    for (size key = threadIdx.x; key < seen; key += blockDim.x) sum += expf((scores[key] - highest) * scale);
    sum = warp_sum(sum);
    if (lane == 0) shared[warp] = sum;
    __syncthreads();
    sum = shared[0];
    for (int other = 1; other < warps; other++) sum += shared[other];
    for (size key = threadIdx.x; key < width; key += blockDim.x)
        weights[key] = key < seen ? expf((scores[key] - highest) * scale) / sum : 0.0f;
}

extern "C" __global__ void causal_softmax_backward(const float *weights, const float *grad, float *grad_scores, size rows, size width,
                                                   float scale) {
    WARP_ROW(rows);
    weights += row * width;
    grad += row * width;
    grad_scores += row * width;
    float mean = 0.0f;
    for (size key = lane; key < width; key += 32) mean += weights[key] * grad[key];
    mean = warp_sum(mean);
    for (size key = lane; key < width; key += 32) grad_scores[key] = scale * weights[key] * (grad[key] - mean);
}

// Pairs (c, c + pairs) of every head turn by the angle whose (cos, sin) stand in turns [steps, pairs, 2], in the sense 1 or -1.
extern "C" __global__ void rotary(const float *x, const float *turns, float *y, size len, size width, size head_dim, size pairs, size steps,
                                  float sense) {
    EACH(len);
    size row = i / width, c = i % width % head_dim;
    if (c >= 2 * pairs) {
        y[i] = x[i];
        return;
    }
    size pair = c % pairs;
    const float *turn = turns + ((row % steps) * pairs + pair) * 2;
    y[i] = c < pairs ? x[i] * turn[0] - x[i + pairs] * turn[1] * sense : x[i - pairs] * turn[1] * sense + x[i] * turn[0];
}

// ---- rows by number ----

extern "C" __global__ void gather_rows(const float *table, const unsigned *ids, float *y, size len, size width) {
    EACH(len);
    y[i] = table[ids[i / width] * width + i % width];
}

// The gradient of `gather_rows` without atomics: `order` lists the rows by the entry they took, cut into segments; a block sums one
// segment, and a second kernel the segments of one entry.
extern "C" __global__ void gather_rows_parts(const float *grad, const unsigned *order, const unsigned *segments, float *parts, size width) {
    unsigned begin = segments[blockIdx.x], end = segments[blockIdx.x + 1];
    for (size c = threadIdx.x; c < width; c += blockDim.x) {
        float sum = 0.0f;
        for (unsigned place = begin; place < end; place++) sum += grad[order[place] * width + c];
        parts[blockIdx.x * width + c] = sum;
    }
}

extern "C" __global__ void gather_rows_sums(const float *parts, const unsigned *firsts, float *grad_table, size len, size width) {
    EACH(len);
    size entry = i / width;
    float sum = 0.0f;
    for (unsigned part = firsts[entry]; part < firsts[entry + 1]; part++) sum += parts[part * width + i % width];
    grad_table[i] = sum;
}

// ---- gradients ----

// The sum of some arrays of one length, in their order; in vectors of four if all of them may be.
extern "C" __global__ void sum_of(const float *const *parts, float *y, size len, size n_parts, size in_fours) {
    size i = blockIdx.x * blockDim.x + threadIdx.x;
    if (in_fours) {
        if (i >= len / 4) return;
        float4 sum = ((const float4 *)parts[0])[i];
        for (size part = 1; part < n_parts; part++) {
            float4 x = ((const float4 *)parts[part])[i];
            sum.x += x.x, sum.y += x.y, sum.z += x.z, sum.w += x.w;
        }
        ((float4 *)y)[i] = sum;
    } else {
        if (i >= len) return;
        float sum = parts[0][i];
        for (size part = 1; part < n_parts; part++) sum += parts[part][i];
        y[i] = sum;
    }
}

// ---- optimiser ----

// A parameter, its two moments and its gradient, as the launcher's table lists them; `decay` has the learning rate in it.
struct Piece {
    float *value, *first, *second;
    const float *gradient;
    size len, first_block;
    float decay;
    size unused;
};

#define PARTS_OF_SQUARES 32
#define NUMBERS_OF_A_BLOCK 2048

__device__ __forceinline__ double block_sum(double sum) {
    __shared__ double shared[32];
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = shared[0];
    for (int warp = 1; warp < blockDim.x / 32; warp++) sum += shared[warp];
    return sum;
}

// The squares of every gradient in parts.
extern "C" __global__ void squares(const Piece *pieces, float *parts) {
    Piece piece = pieces[blockIdx.x / PARTS_OF_SQUARES];
    double sum = 0.0;
    for (size i = blockIdx.x % PARTS_OF_SQUARES * blockDim.x + threadIdx.x; i < piece.len; i += PARTS_OF_SQUARES * blockDim.x)
        sum += (double)piece.gradient[i] * piece.gradient[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = (float)sum;
}

// One block: the root of the sum of all parts.
extern "C" __global__ void gradient_norm(const float *parts, float *norm, size len) {
    double sum = 0.0;
    for (size i = threadIdx.x; i < len; i += blockDim.x) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *norm = (float)sqrt(sum);
}

// Gradients whose common norm is beyond `clip` are scaled down to it; one that is no number leaves everything as it was.
extern "C" __global__ void adamw(const Piece *pieces, const float *norm, size n_pieces, float beta1, float beta2, float rate, float root,
                                 float epsilon, float clip) {
    if (!isfinite(*norm)) return;
    size low = 0, high = n_pieces;
    while (high - low > 1) {
        size middle = (low + high) / 2;
        if (pieces[middle].first_block <= blockIdx.x) low = middle;
        else high = middle;
    }
    Piece piece = pieces[low];
    float scale = *norm > clip ? clip / *norm : 1.0f;
    size begin = (blockIdx.x - piece.first_block) * NUMBERS_OF_A_BLOCK, end = min(begin + NUMBERS_OF_A_BLOCK, piece.len);
    for (size i = begin + threadIdx.x; i < end; i += blockDim.x) {
        float g = piece.gradient[i] * scale;
        float first = beta1 * piece.first[i] + (1.0f - beta1) * g, second = beta2 * piece.second[i] + (1.0f - beta2) * g * g;
        piece.first[i] = first;
        piece.second[i] = second;
        piece.value[i] -= piece.decay * piece.value[i] + rate * first / (sqrtf(second) * root + epsilon);
    }
}

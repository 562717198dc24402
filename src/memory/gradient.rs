//! The gradient of the equation in plain f64: slow, short, and the judge of every engine's backward pass.
//!
//! With G the gradient of the memory after an edit, X the memory the edit reads, and a = strength (value - X^T read):
//!
//! ```text
//! G += q g^T                                  the read, first
//! for each edit, last first:
//!     da = G^T direction,   ddirection = G a
//!     dstrength = da . (value - X^T read),   dvalue = strength da,   dread = -strength X da
//!     G -= strength read da^T                 (after the decay, where the memory before it is read)
//! dretention = rows of S' * G,   G <- diag(alpha) G
//! ```

use ndarray::{Array1, Array2, Array3, Array4, ArrayView4, s};

use super::{Read, Recurrence};

/// Gradient of a number with respect to every input of a recurrence. Arrays have a row per head of the memory, or per key head
/// where the input is shared: then the heads' gradients are summed.
#[derive(Clone, Debug)]
pub struct ReferenceGradient {
    /// [batch, step, head or key_head, d_k].
    pub query: Array4<f64>,
    /// [batch, step, head or key_head, d_k].
    pub retention: Array4<f64>,
    /// [batch, head, d_k, d_v].
    pub initial_memory: Array4<f64>,
    /// In the order of the update.
    pub edits: Vec<ReferenceEditGradient>,
}

/// Gradient with respect to one edit.
#[derive(Clone, Debug)]
pub struct ReferenceEditGradient {
    /// [batch, step, head]; also where the strength is not given (and 1).
    pub strength: Array3<f64>,
    /// [batch, step, head or key_head, d_k]; includes the part of the read where the edit reads at its own direction.
    pub direction: Array4<f64>,
    /// [batch, step, head or key_head, d_k], where the edit reads elsewhere.
    pub read: Option<Array4<f64>>,
    /// [batch, step, head or key_head, d_v], where the edit has a value.
    pub value: Option<Array4<f64>>,
}

/// Gradient of a number with respect to all inputs, from its gradient with respect to every output [batch, step, head, d_v] and
/// to the memory after the last step [batch, head, d_k, d_v].
pub fn backward(
    recurrence: &Recurrence<f64>,
    grad_output: ArrayView4<f64>,
    grad_final_memory: Option<ArrayView4<f64>>,
) -> ReferenceGradient {
    let d = recurrence.dims;
    let mut all = ReferenceGradient {
        query: Array4::zeros(recurrence.query.raw_dim()),
        retention: Array4::zeros(recurrence.retention.raw_dim()),
        initial_memory: Array4::zeros((d.batch, d.head, d.d_k, d.d_v)),
        edits: recurrence
            .edits
            .iter()
            .map(|edit| ReferenceEditGradient {
                strength: Array3::zeros((d.batch, d.step, d.head)),
                direction: Array4::zeros(edit.direction.raw_dim()),
                read: match &edit.read {
                    Read::Other(read) | Read::BeforeDecay(read) => Some(Array4::zeros(read.raw_dim())),
                    Read::Nothing | Read::Direction => None,
                },
                value: edit.value.as_ref().map(|value| Array4::zeros(value.raw_dim())),
            })
            .collect(),
    };
    for (batch, head) in ndarray::indices((d.batch, d.head)) {
        let after = grad_final_memory.map_or_else(|| Array2::zeros((d.d_k, d.d_v)), |g| g.slice(s![batch, head, .., ..]).to_owned());
        let before = head_backward(recurrence, (batch, head), grad_output, after, &mut all);
        all.initial_memory.slice_mut(s![batch, head, .., ..]).assign(&before);
    }
    all
}

/// What one edit of one step met.
struct Met {
    /// The memory it found.
    found: Array2<f64>,
    /// `value - X^T read`.
    residual: Array1<f64>,
    strength: f64,
}

fn head_backward(
    recurrence: &Recurrence<f64>,
    (batch, head): (usize, usize),
    grad_output: ArrayView4<f64>,
    mut gradient: Array2<f64>,
    all: &mut ReferenceGradient,
) -> Array2<f64> {
    let d = recurrence.dims;
    let row = |array: &Array4<f64>| head * array.shape()[2] / d.head;
    // Every memory a step finds.
    let mut memories = vec![recurrence.initial(batch, head)];
    for t in 0..d.step {
        let (after, _) = forward_step(recurrence, (batch, t, head), &memories[t]);
        memories.push(after);
    }
    for t in (0..d.step).rev() {
        let lane = |array| recurrence.lane(array, batch, t, head);
        let (after, met) = forward_step(recurrence, (batch, t, head), &memories[t]);
        let g = grad_output.slice(s![batch, t, head, ..]);
        let query_row = row(&all.query);
        let mut grad_query = all.query.slice_mut(s![batch, t, query_row, ..]);
        grad_query += &after.dot(&g);
        gradient += &outer(&lane(&recurrence.query).to_owned(), &g.to_owned());

        let mut of_memory_before = Array2::<f64>::zeros((d.d_k, d.d_v));
        for (j, (edit, met)) in recurrence.edits.iter().zip(&met).enumerate().rev() {
            let direction = lane(&edit.direction).to_owned();
            let grads = &mut all.edits[j];
            let of_value = gradient.t().dot(&direction); // da
            let mut of_direction = gradient.dot(&(met.strength * &met.residual));
            grads.strength[[batch, t, head]] += of_value.dot(&met.residual);
            if let Some(value) = &mut grads.value {
                let at = row(value);
                let mut value = value.slice_mut(s![batch, t, at, ..]);
                value += &(met.strength * &of_value);
            }
            let of_held = -met.strength * &of_value;
            match &edit.read {
                Read::Nothing => {}
                Read::Direction => {
                    of_direction += &met.found.dot(&of_held);
                    gradient += &outer(&direction, &of_held);
                }
                Read::Other(read) | Read::BeforeDecay(read) => {
                    let before = matches!(edit.read, Read::BeforeDecay(_));
                    let memory = if before { &memories[t] } else { &met.found };
                    if let Some(grad_read) = &mut grads.read {
                        let at = row(grad_read);
                        let mut grad_read = grad_read.slice_mut(s![batch, t, at, ..]);
                        grad_read += &memory.dot(&of_held);
                    }
                    let change = outer(&lane(read).to_owned(), &of_held);
                    if before { of_memory_before += &change } else { gradient += &change }
                }
            }
            let at = row(&grads.direction);
            let mut grad_direction = grads.direction.slice_mut(s![batch, t, at, ..]);
            grad_direction += &of_direction;
        }

        let alpha = lane(&recurrence.retention);
        let retention_row = row(&all.retention);
        let mut grad_retention = all.retention.slice_mut(s![batch, t, retention_row, ..]);
        grad_retention += &(&memories[t] * &gradient).sum_axis(ndarray::Axis(1));
        for (mut row, &alpha) in gradient.rows_mut().into_iter().zip(alpha) {
            row *= alpha;
        }
        gradient += &of_memory_before;
    }
    gradient
}

/// The memory after a step, and what its edits met.
fn forward_step(recurrence: &Recurrence<f64>, (batch, t, head): (usize, usize, usize), before: &Array2<f64>) -> (Array2<f64>, Vec<Met>) {
    let lane = |array| recurrence.lane(array, batch, t, head);
    let mut memory = before.clone();
    for (mut row, &alpha) in memory.rows_mut().into_iter().zip(lane(&recurrence.retention)) {
        row *= alpha;
    }
    let mut met = Vec::new();
    for edit in &recurrence.edits {
        let held = match &edit.read {
            Read::Nothing => Array1::zeros(recurrence.dims.d_v),
            Read::Direction => memory.t().dot(&lane(&edit.direction)),
            Read::Other(read) => memory.t().dot(&lane(read)),
            Read::BeforeDecay(read) => before.t().dot(&lane(read)),
        };
        let residual = edit.value.as_ref().map_or_else(|| -&held, |value| &lane(value) - &held);
        let strength = edit.strength.as_ref().map_or(1.0, |strength| strength[[batch, t, head]]);
        let next = &memory + &outer(&lane(&edit.direction).to_owned(), &(strength * &residual));
        met.push(Met { found: memory, residual, strength });
        memory = next;
    }
    (memory, met)
}

fn outer(a: &Array1<f64>, b: &Array1<f64>) -> Array2<f64> {
    Array2::from_shape_fn((a.len(), b.len()), |(i, j)| a[i] * b[j])
}

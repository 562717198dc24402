//! Gradients of a model in one pass backward that moves no more numbers than it must.
//!
//! Candle's own graph begins every gradient with zeros and adds to them, which on a card takes a third of a training step. Here the
//! operations of a model go through the functions below. While a pass is [recorded](differentiate), each leaves a node on the
//! thread's list; going back, a gradient that comes from one place is taken as it is, and those of a tensor that was used several
//! times are added up at once. While nothing is recorded the functions are candle's operations, with candle's graph.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Shape, Tensor, TensorId, Var};

use super::card;

/// What an operation does with the gradient of its output: a gradient for each of its inputs.
type Backward = Box<dyn FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>>>;

struct Node {
    inputs: Vec<TensorId>,
    output: TensorId,
    backward: Backward,
}

thread_local! {
    /// What was done on this thread since recording began.
    static NODES: RefCell<Option<Vec<Node>>> = const { RefCell::new(None) };
}

/// Whether operations on this thread are recorded.
pub(super) fn is_recording() -> bool {
    NODES.with_borrow(Option::is_some)
}

/// The number that `run` computes, and its gradients with respect to everything it was computed from. What goes in must be outside
/// the reach of candle's graph.
pub(crate) fn differentiate<E: From<candle_core::Error>>(
    run: impl FnOnce() -> std::result::Result<Tensor, E>,
) -> std::result::Result<(Tensor, GradStore), E> {
    NODES.set(Some(Vec::new()));
    let value = run();
    let nodes = NODES.take().unwrap_or_default();
    let value = value?;
    let mut found: HashMap<TensorId, Vec<Tensor>> = HashMap::from([(value.id(), vec![value.ones_like()?])]);
    for Node { inputs, output, backward } in nodes.into_iter().rev() {
        let Some(parts) = found.remove(&output) else { continue };
        let gradients = backward(&sum(parts)?)?;
        for (input, gradient) in inputs.into_iter().zip(gradients) {
            if let Some(gradient) = gradient {
                found.entry(input).or_default().push(gradient);
            }
        }
    }
    let mut store = GradStore::default();
    for (id, parts) in found {
        store.insert_id(id, sum(parts)?);
    }
    Ok((value, store))
}

/// The sum of gradients of one tensor, in the order in which they came.
fn sum(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.swap_remove(0)),
        _ if card::holds(&parts[0]) => card::sum(&parts),
        _ => {
            let mut parts = parts.into_iter();
            let first = parts.next().ok_or_else(|| candle_core::Error::Msg("a gradient of nothing".to_owned()))?;
            parts.try_fold(first, |sum, part| sum + part)
        }
    }
}

/// Leaves a node, if anyone asked.
pub(super) fn record<const N: usize>(
    inputs: [&Tensor; N],
    output: &Tensor,
    backward: impl FnOnce(&Tensor) -> Result<[Option<Tensor>; N]> + 'static,
) {
    record_many(&inputs, output, move |grad| Ok(backward(grad)?.into()));
}

/// The same for any number of inputs.
pub(super) fn record_many(inputs: &[&Tensor], output: &Tensor, backward: impl FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>> + 'static) {
    NODES.with_borrow_mut(|nodes| {
        if let Some(nodes) = nodes {
            let inputs = inputs.iter().map(|input| input.id()).collect();
            nodes.push(Node { inputs, output: output.id(), backward: Box::new(backward) });
        }
    });
}

/// An operation of this model on one tensor.
pub(super) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, op: C) -> Result<Tensor> {
    if !is_recording() {
        return x.apply_op1(op);
    }
    let y = x.apply_op1_no_bwd(&op)?;
    let (own, kept) = (x.clone(), y.clone());
    record([x], &y, move |grad| Ok([op.bwd(&own, &kept, &grad.contiguous()?)?]));
    Ok(y)
}

/// The same on two.
pub(super) fn apply2<C: CustomOp2 + Send + Sync + 'static>(a: &Tensor, b: &Tensor, op: C) -> Result<Tensor> {
    if !is_recording() {
        return a.apply_op2(b, op);
    }
    let y = a.apply_op2_no_bwd(b, &op)?;
    let (own, kept) = ([a.clone(), b.clone()], y.clone());
    record([a, b], &y, move |grad| {
        let (a, b) = op.bwd(&own[0], &own[1], &kept, &grad.contiguous()?)?;
        Ok([a, b])
    });
    Ok(y)
}

/// The same on three.
pub(super) fn apply3<C: CustomOp3 + Send + Sync + 'static>(a: &Tensor, b: &Tensor, c: &Tensor, op: C) -> Result<Tensor> {
    if !is_recording() {
        return a.apply_op3(b, c, op);
    }
    let y = a.apply_op3_no_bwd(b, c, &op)?;
    let (own, kept) = ([a.clone(), b.clone(), c.clone()], y.clone());
    record([a, b, c], &y, move |grad| {
        let (a, b, c) = op.bwd(&own[0], &own[1], &own[2], &kept, &grad.contiguous()?)?;
        Ok([a, b, c])
    });
    Ok(y)
}

/// x W^T on the rows of a matrix; W is [outputs, inputs].
pub(super) fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?;
    let (own, kept) = (x.clone(), weight.clone());
    record([x, weight], &y, move |grad| Ok([Some(grad.matmul(&kept)?), Some(grad.t()?.matmul(&own)?)]));
    Ok(y)
}

/// Products of matrices, as many as stand beside each other.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let y = a.matmul(b)?;
    let own = [a.clone(), b.clone()];
    record([a, b], &y, move |grad| Ok([Some(grad.matmul(&own[1].t()?)?), Some(own[0].t()?.matmul(grad)?)]));
    Ok(y)
}

/// The sum of two tensors of one shape.
pub(super) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let y = (a + b)?;
    record([a, b], &y, |grad| Ok([Some(grad.clone()), Some(grad.clone())]));
    Ok(y)
}

/// A vector added to every row.
pub(super) fn add_to_rows(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let y = x.broadcast_add(bias)?;
    record([x, bias], &y, |grad| Ok([Some(grad.clone()), Some(grad.sum(0)?)]));
    Ok(y)
}

/// The product of two tensors of one shape, number by number.
pub(super) fn mul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let y = (a * b)?;
    let own = [a.clone(), b.clone()];
    record([a, b], &y, move |grad| Ok([Some((grad * &own[1])?), Some((grad * &own[0])?)]));
    Ok(y)
}

/// 1 / (1 + e^-x).
pub(super) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    let y = candle_nn::ops::sigmoid(x)?;
    let kept = y.clone();
    record([x], &y, move |grad| Ok([Some(((grad * &kept)? * (1.0 - &kept)?)?)]));
    Ok(y)
}

/// The same numbers in another shape.
pub(super) fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let y = x.reshape(shape.into())?;
    let before = x.shape().clone();
    record([x], &y, move |grad| Ok([Some(grad.reshape(before)?)]));
    Ok(y)
}

/// The same numbers with axes 1 and 2 exchanged, contiguous.
pub(super) fn exchange(x: &Tensor) -> Result<Tensor> {
    let y = x.transpose(1, 2)?.contiguous()?;
    record([x], &y, |grad| Ok([Some(grad.transpose(1, 2)?.contiguous()?)]));
    Ok(y)
}

/// The last two axes exchanged, as a matrix product takes them.
pub(super) fn transposed(x: &Tensor) -> Result<Tensor> {
    let y = x.t()?;
    record([x], &y, |grad| Ok([Some(grad.t()?.contiguous()?)]));
    Ok(y)
}

/// Tensors laid end to end.
pub(super) fn join(parts: &[Tensor]) -> Result<Tensor> {
    let flat = parts.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?;
    let y = Tensor::cat(&flat, 0)?;
    let shapes: Vec<Shape> = parts.iter().map(|part| part.shape().clone()).collect();
    record_many(&parts.iter().collect::<Vec<_>>(), &y, move |grad| {
        let mut from = 0;
        let part = |shape: Shape| {
            let len = shape.elem_count();
            from += len;
            grad.narrow(0, from - len, len)?.reshape(shape).map(Some)
        };
        shapes.into_iter().map(part).collect()
    });
    Ok(y)
}

/// Some columns of a matrix, contiguous.
pub(super) fn columns(x: &Tensor, from: usize, len: usize) -> Result<Tensor> {
    let y = x.narrow(1, from, len)?.contiguous()?;
    let after = x.dim(1)? - from - len;
    record([x], &y, move |grad| Ok([Some(grad.pad_with_zeros(1, from, after)?)]));
    Ok(y)
}

/// [rows, heads] to [rows, heads * width]: one number for all channels of a head.
pub(super) fn for_all_channels(x: &Tensor, heads: usize, width: usize) -> Result<Tensor> {
    let rows = x.dim(0)?;
    let y = x.reshape((rows, heads, 1))?.broadcast_as((rows, heads, width))?.contiguous()?.reshape((rows, heads * width))?;
    record([x], &y, move |grad| Ok([Some(grad.reshape((rows, heads, width))?.sum(2)?)]));
    Ok(y)
}

/// The number that `run` computes from one tensor with candle's own operations: the end of what
/// [`LanguageModel::differentiate`](super::LanguageModel::differentiate) takes, a loss of logits say.
pub fn number_of(x: &Tensor, run: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    if !is_recording() {
        return run(x);
    }
    let own = Var::from_tensor(x)?;
    let y = run(own.as_tensor())?;
    let kept = y.clone();
    let y = y.detach();
    record([x], &y, move |grad| {
        let found = kept.backward()?.remove(own.as_tensor());
        Ok([found.map(|found| found.broadcast_mul(grad)).transpose()?])
    });
    Ok(y)
}

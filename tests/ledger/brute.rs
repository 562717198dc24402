//! The slow judge: every write multiplied through by whole matrices.

use ndarray::{Array1, Array2};
use pentimento::memory::Factors;

use crate::memory::naive;

/// What is left of every write of the last head of the last sequence after every step, `left[write][step - its own step]`.
pub fn left(factors: &Factors<f64>) -> Vec<Vec<Array1<f64>>> {
    let dims = factors.dims();
    let (batch, head) = (dims.batch - 1, dims.head - 1);
    let transitions = naive::transitions(factors, batch, head);
    let mut all = Vec::new();
    for step in 0..dims.step {
        for (mut u, _) in naive::written(factors, batch, step, head) {
            let mut life = vec![u.clone()];
            for transition in &transitions[step + 1..] {
                u = transition.dot(&u);
                life.push(u.clone());
            }
            all.push(life);
        }
    }
    all
}

/// q_t . P(t, i) u_i for every step and write, [step, write].
pub fn attention(factors: &Factors<f64>) -> Array2<f64> {
    let dims = factors.dims();
    let left = left(factors);
    let each = left.len() / dims.step;
    let mut attention = Array2::zeros((dims.step, left.len()));
    for step in 0..dims.step {
        let query = naive::query(factors, dims.batch - 1, step, dims.head - 1);
        for (write, life) in left.iter().enumerate().take((step + 1) * each) {
            attention[[step, write]] = query.dot(&life[step - write / each]);
        }
    }
    attention
}

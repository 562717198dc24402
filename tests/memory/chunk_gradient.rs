//! The chunk-wise gradient that the card's kernels compute (derivation: `memory/cuda/chunk_gradient.cu`), in f64, against the
//! gradient of the recurrence step by step.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use pentimento::memory::{Dims, Recurrence, Rule, gradient, reference};
use proptest::prelude::*;

use super::sample::{Sample, rules};

/// One head of a recurrence whose edits read at their own direction. Row r is edit `r % n` of step `r / n`.
struct Head {
    n: usize,
    retention: Array2<f64>,
    query: Array2<f64>,
    rows: Array2<f64>,
    strengths: Array1<f64>,
    values: Array2<f64>,
}

/// Gradients of a chunk's inputs, in the same layout, and of the memory it found.
struct Gradient {
    retention: Array2<f64>,
    query: Array2<f64>,
    rows: Array2<f64>,
    strengths: Array1<f64>,
    values: Array2<f64>,
    memory: Array2<f64>,
}

impl Head {
    fn new(recurrence: &Recurrence<f64>, head: usize) -> Self {
        let (d, n) = (recurrence.dims, recurrence.edits.len());
        let per_step = |array, width| Array2::from_shape_fn((d.step, width), |(t, c)| recurrence.lane(array, 0, t, head)[c]);
        let edit = |r: usize| &recurrence.edits[r % n];
        Self {
            n,
            retention: per_step(&recurrence.retention, d.d_k),
            query: per_step(&recurrence.query, d.d_k),
            rows: Array2::from_shape_fn((d.step * n, d.d_k), |(r, c)| recurrence.lane(&edit(r).direction, 0, r / n, head)[c]),
            strengths: Array1::from_shape_fn(d.step * n, |r| edit(r).strength.as_ref().map_or(1.0, |strength| strength[[0, r / n, head]])),
            values: Array2::from_shape_fn((d.step * n, d.d_v), |(r, v)| {
                edit(r).value.as_ref().map_or(0.0, |value| recurrence.lane(value, 0, r / n, head)[v])
            }),
        }
    }

    /// Decay of a channel after step `from` through step `to`; from -1 for all since the start.
    fn decay(&self, from: isize, to: usize, c: usize) -> f64 {
        self.retention.slice(s![from + 1..=to as isize, c]).product()
    }

    /// The readers (rows, then queries), the step at which each reads, and whether it sees a row.
    fn readers(&self) -> (Array2<f64>, Vec<usize>, impl Fn(usize, usize) -> bool + use<>) {
        let (n_rows, n) = (self.rows.nrows(), self.n);
        let steps = (0..n_rows).map(|r| r / n).chain(0..self.query.nrows()).collect();
        let sees = move |i: usize, r: usize| if i < n_rows { r < i } else { r / n <= i - n_rows };
        (concatenate![Axis(0), self.rows, self.query], steps, sees)
    }

    /// Gradients from those of the outputs and of the memory after the chunk.
    fn backward(
        &self,
        found: ArrayView2<f64>,
        after: ArrayView2<f64>,
        grad_output: ArrayView2<f64>,
        grad_after: ArrayView2<f64>,
    ) -> Gradient {
        let (n_rows, d_k) = self.rows.dim();
        let n_steps = self.query.nrows();
        let (readers, steps, sees) = self.readers();
        let from_start = Array2::from_shape_fn(readers.dim(), |(i, c)| readers[[i, c]] * self.decay(-1, steps[i], c));
        let at_end = Array2::from_shape_fn((n_rows, d_k), |(r, c)| self.rows[[r, c]] * self.decay((r / self.n) as isize, n_steps - 1, c));
        let between = |i: usize, r: usize, c: usize| self.decay((r / self.n) as isize, steps[i], c);
        let meetings = Array2::from_shape_fn((readers.nrows(), n_rows), |(i, r)| {
            if sees(i, r) { (0..d_k).map(|c| readers[[i, c]] * self.rows[[r, c]] * between(i, r, c)).sum() } else { 0.0 }
        });

        // Pseudo-values first to last, then what they get, last to first.
        let mut pseudo = &self.values - &from_start.slice(s![..n_rows, ..]).dot(&found);
        for r in 0..n_rows {
            let earlier = meetings.slice(s![r, ..r]).dot(&pseudo.slice(s![..r, ..]));
            let mut row = pseudo.row_mut(r);
            row -= &earlier;
            row *= self.strengths[r];
        }
        let mut z = meetings.slice(s![n_rows.., ..]).t().dot(&grad_output) + at_end.dot(&grad_after);
        for r in (0..n_rows).rev() {
            let later = meetings.slice(s![r + 1..n_rows, r]).dot(&z.slice(s![r + 1.., ..]));
            let mut row = z.row_mut(r);
            row -= &later;
            row *= self.strengths[r];
        }

        let y = concatenate![Axis(0), -&z, grad_output];
        let products = y.dot(&pseudo.t());
        let mut of_readers = y.dot(&found.t());
        let mut of_rows = pseudo.dot(&grad_after.t());
        for c in 0..d_k {
            for i in 0..readers.nrows() {
                of_readers[[i, c]] *= self.decay(-1, steps[i], c);
            }
            for r in 0..n_rows {
                of_rows[[r, c]] *= self.decay((r / self.n) as isize, n_steps - 1, c);
            }
            for (i, r) in ndarray::indices((readers.nrows(), n_rows)).into_iter().filter(|&(i, r)| sees(i, r)) {
                of_readers[[i, c]] += products[[i, r]] * self.rows[[r, c]] * between(i, r, c);
                of_rows[[r, c]] += products[[i, r]] * readers[[i, c]] * between(i, r, c);
            }
        }
        let mut of_log_decay = Array2::zeros((n_steps, d_k));
        let mut sum = (&after * &grad_after).sum_axis(Axis(1));
        for t in (0..n_steps).rev() {
            sum += &(&of_readers.row(n_rows + t) * &self.query.row(t));
            for r in t * self.n..(t + 1) * self.n {
                sum += &((&of_readers.row(r) - &of_rows.row(r)) * self.rows.row(r));
            }
            of_log_decay.row_mut(t).assign(&sum);
        }
        let kept = Array2::from_shape_fn(found.dim(), |(c, v)| self.decay(-1, n_steps - 1, c) * grad_after[[c, v]]);
        Gradient {
            retention: of_log_decay / &self.retention,
            query: of_readers.slice(s![n_rows.., ..]).to_owned(),
            rows: &of_readers.slice(s![..n_rows, ..]) + &of_rows,
            strengths: Array1::from_shape_fn(n_rows, |r| z.row(r).dot(&pseudo.row(r)) / self.strengths[r].powi(2)),
            memory: kept + from_start.t().dot(&y),
            values: z,
        }
    }
}

fn close<'a>(name: &str, found: impl IntoIterator<Item = &'a f64>, judge: impl IntoIterator<Item = &'a f64>) -> Result<(), TestCaseError> {
    for (found, judge) in found.into_iter().zip(judge) {
        prop_assert!((found - judge).abs() < 1e-8 * (1.0 + judge.abs()), "{name}: {found} beside {judge}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_chunk_has_the_gradient_of_its_steps(
        rule in rules().prop_filter("rules that chunks serve", |rule| matches!(rule, Rule::Eda | Rule::Kda | Rule::Gdn | Rule::DeltaNet)),
        step in 1..9_usize, d_k in 1..5_usize, d_v in 1..4_usize, seed: u64,
    ) {
        let dims = Dims { batch: 1, step, key_head: 1, head: 1, d_k, d_v };
        let sample = Sample { dims, seed, starts_filled: true };
        let recurrence = sample.factors(rule).lower();
        let draw = |name, shape: &[usize]| sample.uniform(name, shape, -1.0, 1.0).into_dimensionality::<ndarray::Ix4>().unwrap();
        let (grad_output, grad_after) = (draw("grad_output", &[1, step, 1, d_v]), draw("grad_after", &[1, 1, d_k, d_v]));
        let judge = gradient::backward(&recurrence, grad_output.view(), Some(grad_after.view()));

        let after = reference::run(&recurrence, &[]).final_memory;
        let of = |array: &ndarray::Array4<f64>| array.slice(s![0, 0, .., ..]).to_owned();
        let head = Head::new(&recurrence, 0);
        let found = head.backward(of(&recurrence.initial_memory.as_ref().unwrap().to_owned()).view(), of(&after).view(),
            grad_output.slice(s![0, .., 0, ..]), of(&grad_after).view());
        close("query", &found.query, &judge.query)?;
        close("retention", &found.retention, &judge.retention)?;
        close("memory", &found.memory, &judge.initial_memory)?;
        for (j, judge) in judge.edits.iter().enumerate() {
            let n = head.n;
            close("direction", found.rows.slice(s![j..;n, ..]), &judge.direction)?;
            close("strength", found.strengths.slice(s![j..;n]), &judge.strength)?;
            if let Some(judge) = &judge.value {
                close("value", found.values.slice(s![j..;n, ..]), judge)?;
            }
        }
    }
}

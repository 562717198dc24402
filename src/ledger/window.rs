//! What is left of every write a few steps after it was made.

use super::head::{HeadEdit, HeadRead, HeadRecurrence};
use super::kernel::Precision;

/// The share of every write that survives `age` steps, \[write\]: of its energy, or for oblique rules along what was written (see
/// [`Form`](super::Form)). `None` where the sequence ends before, and for a write of nothing.
///
/// Time O(n_writes age d_k): for short ages much less than a whole account.
pub fn survivals_after<F: Precision>(head: &HeadRecurrence<F>, age: usize) -> Vec<Option<f64>> {
    let (each, oblique, written) = (head.writes_per_step(), head.is_oblique(), head.written());
    let one = |write: usize| {
        let born = head.place(write).step;
        let origin = written.row(write);
        if born + age >= head.n_steps() || origin.iter().all(|&x| x == F::zero()) {
            return None;
        }
        let mut u = origin.to_vec();
        let mut writes = head.edits.iter().enumerate().filter(|(_, edit)| edit.value.is_some());
        let (own, _) = writes.nth(write % each)?;
        head.edits[own + 1..].iter().for_each(|edit| correct(edit, born, None, &mut u));
        let mut before = vec![];
        for t in born + 1..=born + age {
            if oblique {
                before.clone_from(&u);
            }
            u.iter_mut().zip(head.retention.row(t)).for_each(|(u, &alpha)| *u *= alpha);
            head.edits.iter().for_each(|edit| correct(edit, t, Some(&before), &mut u));
        }
        let (mut left, mut whole) = (0.0, 0.0);
        for (&now, then) in u.iter().zip(origin) {
            left += now.wide() * if oblique { then.wide() } else { now.wide() };
            whole += then.wide().powi(2);
        }
        Some(left / whole)
    };
    (0..head.n_writes()).map(one).collect()
}

/// One edit on one write; `before` is the write before the step's decay, `None` in the step that makes it.
fn correct<F: Precision>(edit: &HeadEdit<F>, t: usize, before: Option<&[F]>, u: &mut [F]) {
    let held = match &edit.read {
        HeadRead::Nothing => return,
        HeadRead::Direction => along(edit.direction.row(t), u),
        HeadRead::Other(read) => along(read.row(t), u),
        HeadRead::BeforeDecay(read) => match before {
            Some(before) => along(read.row(t), before),
            None => return,
        },
    };
    let a = -(edit.strength[t] * held);
    u.iter_mut().zip(edit.direction.row(t)).for_each(|(u, &d)| *u += d * a);
}

fn along<F: Precision>(read: ndarray::ArrayView1<F>, u: &[F]) -> F {
    read.iter().zip(u).fold(F::zero(), |sum, (&c, &x)| sum + c * x)
}

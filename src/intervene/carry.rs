//! What becomes of one write: the part of memory it still is, step by step.

use crate::memory::{Read, Recurrence, Scalar};

/// `u` such that `u v^T` is what is left of one edit's value `v` at the end of step `until` (the edit's own step or later), \[d_k\], in
/// f64: memory is linear in every value, so each write is carried on its own.
///
/// `write` is the step of the edit and its number in the recurrence.
///
/// # Panics
/// If a step or edit is not there.
pub fn carry<F: Scalar>(recurrence: &Recurrence<F>, (batch, head): (usize, usize), write: (usize, usize), until: usize) -> Vec<f64> {
    let lane =
        |array, step| recurrence.lane(array, batch, step, head).iter().map(|x: &F| x.to_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let strength = |edit: usize, step: usize| {
        recurrence.edits[edit].strength.as_ref().map_or(1.0, |strength| strength[[batch, step, head]].to_f64().unwrap_or(f64::NAN))
    };
    let (from, own) = write;
    let scale = strength(own, from);
    let mut left: Vec<f64> = lane(&recurrence.edits[own].direction, from).into_iter().map(|x| scale * x).collect();
    // Nothing of it was there before its own step: an edit that reads the memory before decay does not see it yet.
    let mut before = vec![0.0; left.len()];
    for step in from..=until {
        if step > from {
            before.clone_from(&left);
            left.iter_mut().zip(lane(&recurrence.retention, step)).for_each(|(x, alpha)| *x *= alpha);
        }
        for (number, edit) in recurrence.edits.iter().enumerate().skip(if step == from { own + 1 } else { 0 }) {
            let held = match &edit.read {
                Read::Nothing => continue,
                Read::Direction => dot(&left, &lane(&edit.direction, step)),
                Read::Other(read) => dot(&left, &lane(read, step)),
                Read::BeforeDecay(read) => dot(&before, &lane(read, step)),
            };
            let removed = strength(number, step) * held;
            left.iter_mut().zip(lane(&edit.direction, step)).for_each(|(x, direction)| *x -= removed * direction);
        }
    }
    left
}

/// x.y
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The same direction with norm 1; zero stays zero.
pub(super) fn unit(mut direction: Vec<f64>) -> Vec<f64> {
    let norm = dot(&direction, &direction).sqrt();
    if norm > 0.0 {
        direction.iter_mut().for_each(|x| *x /= norm);
    }
    direction
}

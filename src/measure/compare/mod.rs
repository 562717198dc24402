//! Two recordings side by side: which of their sequences are the same, and what differs with what certainty.
//!
//! Differences are taken inside pairs of equal sequences, which are resampled whole: what both models find hard alike cancels. Where
//! sequences are not the same, each side keeps its own interval and the difference gets none.

mod answers;
mod heads;
mod pairing;

pub use answers::{AnswerDifference, answer_differences};
pub use heads::{HeadDifference, HeadTable, head_differences, head_maps, head_table};
pub use pairing::{Pairing, pairing};

use super::{Bootstrap, Interval};

/// One number on either side, and their difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of the first, over its own sequences.
    pub a: Interval,
    /// Of the second, over its own.
    pub b: Interval,
    /// First minus second, inside pairs of sequences; without an interval where too few are paired.
    pub difference: Interval,
}

/// The mean over sequences on either side and of the differences inside pairs; `None` where a side has no value.
fn difference(a: &[Option<f64>], b: &[Option<f64>], pairs: &[(usize, usize)], draws: &Draws) -> Option<Difference> {
    let (mean_a, mean_b) = (draws.a.mean(a)?, draws.b.mean(b)?);
    let inside: Vec<Option<f64>> = pairs.iter().map(|&(first, second)| Some((*a.get(first)?)? - (*b.get(second)?)?)).collect();
    let unpaired = Interval { estimate: mean_a.estimate - mean_b.estimate, low: None, high: None, n: 0, ..mean_a };
    let paired = draws.pairs.mean(&inside).filter(|_| pairs.len() > 1);
    Some(Difference { a: mean_a, b: mean_b, difference: paired.unwrap_or(unpaired) })
}

/// The same for shares of events, each number between 0 and 1. Where no sequence has the event, or none lacks it, resampling would give
/// an interval without width: the open end is then the exact binomial bound for sequences, and for a difference that bound both ways.
fn share_difference(a: &[Option<f64>], b: &[Option<f64>], pairs: &[(usize, usize)], draws: &Draws) -> Option<Difference> {
    let mut found = difference(a, b, pairs, draws)?;
    for (side, values, bootstrap) in [(&mut found.a, a, &draws.a), (&mut found.b, b, &draws.b)] {
        let unseen = bootstrap.unseen(side.n);
        if values.iter().flatten().all(|&share| share <= 0.0) {
            side.high = unseen;
        } else if values.iter().flatten().all(|&share| share >= 1.0) {
            side.low = unseen.map(|unseen| 1.0 - unseen);
        }
    }
    let differs =
        |&(first, second): &(usize, usize)| matches!((a.get(first), b.get(second)), (Some(Some(a)), Some(Some(b))) if (a - b).abs() > 0.0);
    if found.difference.bounds().is_some() && !pairs.iter().any(differs) {
        found.difference.high = draws.pairs.unseen(found.difference.n);
        found.difference.low = found.difference.high.map(|unseen| -unseen);
    }
    Some(found)
}

/// The resamples of both sides and of the pairs.
struct Draws {
    a: Bootstrap,
    b: Bootstrap,
    pairs: Bootstrap,
}

impl Draws {
    fn new(n: [usize; 2], n_pairs: usize, options: &super::StatisticsOptions) -> Self {
        let [a, b] = n.map(|n| Bootstrap::new(n, options));
        Self { a, b, pairs: Bootstrap::new(n_pairs, options) }
    }
}

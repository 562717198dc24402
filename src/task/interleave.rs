//! The order of events: several histories running side by side, with questions between.

use super::Draw;

/// One place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Step `step` of history `history`.
    Step { history: usize, step: usize },
    /// A question about `history`, of which `steps` steps have happened (at least one).
    Ask { history: usize, steps: usize },
}

/// A random interleaving of histories with `lengths` steps; `middle` questions at random places, each about a random history that
/// has begun; at the end one question about each of `last`, in random order.
pub(super) fn interleave(draw: &mut Draw, lengths: &[usize], middle: usize, mut last: Vec<usize>) -> Vec<Slot> {
    let mut order: Vec<usize> = lengths.iter().enumerate().flat_map(|(history, &length)| vec![history; length]).collect();
    draw.shuffle(&mut order);
    let mut places: Vec<usize> = (0..middle).map(|_| draw.between(1, order.len())).collect();
    places.sort_unstable();
    let mut places = places.into_iter().peekable();
    let mut happened = vec![0; lengths.len()];
    let mut begun = Vec::new();
    let mut slots = Vec::with_capacity(order.len() + middle + last.len());
    for (done, history) in order.into_iter().enumerate() {
        if happened[history] == 0 {
            begun.push(history);
        }
        slots.push(Slot::Step { history, step: happened[history] });
        happened[history] += 1;
        while places.next_if_eq(&(done + 1)).is_some() {
            let history = begun[draw.below(begun.len())];
            slots.push(Slot::Ask { history, steps: happened[history] });
        }
    }
    draw.shuffle(&mut last);
    slots.extend(last.into_iter().map(|history| Slot::Ask { history, steps: happened[history] }));
    slots
}

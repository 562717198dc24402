//! The share of decay, erase and write in one step's removal, averaged over the orders in which they could be charged.
//!
//! The ledger charges a step's removal in the model's own order: decay first, then the erase of what is left, then the write. A
//! component that both would take goes to whoever comes first. The average over orders is the Shapley value of the game in
//! which a set of mechanisms, applied in the model's order without the others, removes so much energy. It sums to the step's
//! removal too. A single share can come out slightly negative: the mechanisms do not commute.

use super::prepared::Mechanism;

/// An edit that removes.
pub(super) struct Player<'a> {
    pub mechanism: Mechanism,
    pub strength: f64,
    /// It takes `rate` (c.x)^2.
    pub rate: f64,
    /// c.d_i of the earlier edits.
    pub couplings: &'a [f64],
}

/// Average marginal removal by [`Mechanism::ALL`]. `decay` is what decay takes; `after` and `before` are c.x of every edit, of
/// the write after and before decay.
///
/// `values` is room for one number an edit.
pub(super) fn shapley(decay: f64, edits: &[Player], after: &[f64], before: &[f64], values: &mut [f64]) -> [f64; 3] {
    let mut removal = |set: usize| {
        let (found, mut removed) = if set & 1 == 1 { (after, decay) } else { (before, 0.0) };
        values.fill(0.0);
        for (n, edit) in edits.iter().enumerate() {
            if set >> (edit.mechanism as usize) & 1 == 0 {
                continue;
            }
            let held = found[n] + edit.couplings.iter().zip(values.iter()).map(|(coupling, a)| coupling * a).sum::<f64>();
            removed += edit.rate * held * held;
            values[n] = -edit.strength * held;
        }
        removed
    };
    let players: Vec<usize> = (0..3).filter(|&m| m == 0 || edits.iter().any(|edit| edit.mechanism as usize == m)).collect();
    let mut shares = [0.0; 3];
    for &player in &players {
        let others: Vec<usize> = players.iter().copied().filter(|&other| other != player).collect();
        for subset in 0..1_usize << others.len() {
            let set = others.iter().enumerate().filter(|(place, _)| subset >> place & 1 == 1).map(|(_, m)| 1 << m).sum::<usize>();
            let weight = match (players.len(), subset.count_ones()) {
                (1, _) => 1.0,
                (2, _) => 0.5,
                (_, 1) => 1.0 / 6.0,
                _ => 1.0 / 3.0,
            };
            shares[player] += weight * (removal(set | 1 << player) - removal(set));
        }
    }
    shares
}

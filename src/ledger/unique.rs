//! What the erase removed that nothing else would have removed.

use super::tally::Tally;

/// What the erase alone did to one write, as shares of what was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UniqueContribution {
    /// Survival without the erase, do(gamma = 0), minus survival with it. Negative where the erase made later removal rarer than it
    /// removed itself.
    pub unique: f64,
    /// The rest of what the erase took: decay and overwriting would have removed it anyway. `unique + compensation` is the erased
    /// share.
    pub compensation: f64,
}

/// The unique contribution of the erase to every write, from its account and the account of the same head
/// [without the erase](super::HeadRecurrence::without_erase), at the same step. `None` for a write of nothing.
///
/// # Panics
/// If the accounts are of different numbers of writes.
pub fn unique_contributions(with: &[Tally], without: &[Tally]) -> Vec<Option<UniqueContribution>> {
    assert_eq!(with.len(), without.len(), "accounts of the same writes, with and without the erase");
    let one = |(with, without): (&Tally, &Tally)| {
        let [surviving, _, erased, _] = with.shares()?;
        let unique = without.survival()? - surviving;
        Some(UniqueContribution { unique, compensation: erased - unique })
    };
    with.iter().zip(without).map(one).collect()
}

//! What became of the writes, in sentences that say how sure it is.

use super::{FATES, Fate, FateRow, FateShares};
use crate::measure::{Interval, Role, words};
use crate::task::Condition;

impl Fate {
    /// The row of a role over all conditions (`None`) or under one.
    pub fn row(&self, role: Role, condition: Option<Condition>) -> Option<&FateRow> {
        self.rows.iter().find(|row| row.role == role && row.condition == condition)
    }

    /// What became of stale facts beside kept ones, and what the erase alone did to them.
    pub fn headline(&self) -> String {
        let Some(stale) = self.row(Role::Stale, None) else {
            return match self.row(Role::Kept, None).or_else(|| self.row(Role::Other, None)) {
                Some(row) => format!("Of what {} wrote, {}. Nothing went stale.", row.role.label(), parts(&row.shares)),
                None => "Nothing was written.".to_owned(),
            };
        };
        let mut said = format!(
            "Fate of a write: of what stale facts had written, {} by the end of the sequence ({}).",
            parts(&stale.shares),
            words::sequences(stale.shares.surviving.n)
        );
        if let Some(kept) = self.row(Role::Kept, None) {
            said += &format!(" Of kept facts {} survives.", words::percent(&kept.shares.surviving));
        }
        match (&stale.unique, self.row(Role::Kept, None).and_then(|row| row.unique.as_ref())) {
            (Some(stale), Some(kept)) => {
                said += &format!(
                    " Uniquely by the erase (nothing else would have removed it): {} of stale facts, {} of kept ones.",
                    words::percent(stale),
                    words::percent(kept)
                );
            }
            (Some(stale), None) => said += &format!(" Uniquely by the erase: {}.", words::percent(stale)),
            (None, _) => {}
        }
        if let (Some(half_life), decay_only) = (&stale.half_life_steps, &stale.decay_only_half_life_steps) {
            let alone =
                decay_only.as_ref().map_or("beyond the end by decay alone".to_owned(), |alone| format!("{} by decay alone", steps(alone)));
            said += &format!(" Half-life of a stale fact: {} ({alone}).", steps(half_life));
        }
        said
    }

    /// More, a line each: every role under every condition.
    pub fn details(&self) -> Vec<String> {
        let place = |row: &FateRow| row.condition.map_or("all".to_owned(), |condition| format!("{} {condition}", condition.letter()));
        let line = |row: &FateRow| {
            let since = row.since_stale.as_ref().map_or(String::new(), |shares| format!("; since it went stale {}", parts(shares)));
            let unique = row.unique.as_ref().map_or(String::new(), |unique| format!("; uniquely by the erase {}", words::percent(unique)));
            format!("{}, {}: {}{unique}{since}.", place(row), row.role.label(), parts(&row.shares))
        };
        self.remarks.iter().cloned().chain(self.rows.iter().map(line)).collect()
    }
}

/// The shares that are not next to nothing.
fn parts(shares: &FateShares) -> String {
    let part = |(name, share): (&str, &Interval)| format!("{} {name}", words::percent(share));
    FATES.into_iter().zip(shares.as_array()).filter(|(_, share)| share.estimate.abs() >= 5e-4).map(part).collect::<Vec<_>>().join(", ")
}

fn steps(interval: &Interval) -> String {
    match interval.bounds() {
        Some((low, high)) => format!("{:.0} [{low:.0}, {high:.0}] steps", interval.estimate),
        None => format!("{:.0} steps, no interval", interval.estimate),
    }
}

//! What targeting found, in sentences that say how sure it is.

use super::{Among, Targeting, TargetingNull, TargetingRow};
use crate::ledger::Mechanism;
use crate::measure::{Interval, words};

/// Below this a p-value is called a finding.
const SIGNIFICANCE: f64 = 0.05;

impl Targeting {
    /// Whether the erase hits what is stale, beside decay and write. A finding must leave every null on the same side.
    pub fn headline(&self) -> String {
        let row = |mechanism| self.row(mechanism, Among::Facts, None).or_else(|| self.row(mechanism, Among::AllWrites, None));
        let mut said = match row(Mechanism::Erase) {
            Some(erase) => sentence(erase),
            None => "No rule here has an erase that could aim at what is stale.".to_owned(),
        };
        let lift = |mechanism: Mechanism| {
            let row = row(mechanism)?;
            Some(format!("{mechanism} {} (recall {})", row.lift.as_ref()?, words::percent(row.recall.as_ref()?)))
        };
        let others: Vec<String> = [Mechanism::Decay, Mechanism::Write].into_iter().filter_map(lift).collect();
        if !others.is_empty() {
            said += &format!(" Lift of the others: {}.", others.join(", "));
        }
        said
    }

    /// More, a line each.
    pub fn details(&self) -> Vec<String> {
        let number = |interval: &Option<Interval>| interval.as_ref().map_or("undefined".to_owned(), Interval::to_string);
        let line = |row: &TargetingRow| {
            let place = row.condition.map_or("all".to_owned(), |condition| format!("{} {condition}", condition.letter()));
            let null = |null: &TargetingNull| format!("{} {} ({})", null.null.label(), null.lift, words::p_value(null.p_value));
            let nulls: Vec<String> = row.nulls.iter().map(null).collect();
            let nulls = if nulls.is_empty() { String::new() } else { format!("; nulls: {}", nulls.join(", ")) };
            format!(
                "{place}, {} among {}: precision {}, chance {}, lift {} = address {} times timing {}; recall {}{nulls}.",
                row.mechanism,
                row.among.label(),
                number(&row.precision),
                number(&row.chance),
                number(&row.lift),
                number(&row.address_lift),
                number(&row.timing_lift),
                number(&row.recall)
            )
        };
        self.remarks.iter().cloned().chain(self.rows.iter().map(line)).collect()
    }
}

fn sentence(erase: &TargetingRow) -> String {
    let among = match erase.among {
        Among::Facts => "Among facts",
        Among::AllWrites => "Among all writes",
    };
    let (Some(lift), Some(recall)) = (&erase.lift, &erase.recall) else {
        return format!("{among} the erase took nothing, or nothing was stale: it has no lift.");
    };
    let nearest = erase.nulls.iter().max_by(|a, b| {
        let key = |null: &TargetingNull| (null.p_value.unwrap_or(1.0), -null.excess.estimate.abs());
        key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1))
    });
    let address = erase.address_lift.as_ref().map_or(String::new(), |address| format!(", by its address alone {address}"));
    let recall = words::percent(recall);
    let Some(nearest) = nearest else {
        return format!(
            "{among} the erase hits what is stale with a lift of {lift}{address} (1 is chance); it did {recall} of all removal of stale content."
        );
    };
    let numbers = format!(
        "lift {lift}{address}, against {} under the nearest null ({}; {}, {})",
        nearest.lift,
        nearest.null.label(),
        words::p_value(nearest.p_value),
        words::sequences(lift.n)
    );
    let above = nearest.excess.estimate > 0.0;
    let one_side = erase.nulls.iter().all(|null| (null.excess.estimate > 0.0) == above);
    let found = match nearest.p_value {
        Some(p) if p < SIGNIFICANCE && one_side && above => "the erase hits what is stale beyond every null",
        Some(p) if p < SIGNIFICANCE && one_side => "the erase hits what is stale less than every null does",
        Some(_) => "no sign beyond the nulls that the erase aims at what is stale",
        None => "too few sequences to tell whether the erase aims at what is stale",
    };
    format!("{among} {found}: {numbers}. It did {recall} of all removal of stale content.")
}

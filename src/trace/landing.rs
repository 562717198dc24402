//! Where the edits of a rule land: what a replay needs beside retention and pseudo-values.

use crate::memory::{EditKind, HookPoint, Rule};

/// One edit of a step as a replay sees it: the memory gains `direction pseudo_value^T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    /// Which phase it ends; names the pseudo-value too.
    pub kind: EditKind,
    /// The stored direction.
    pub direction: HookPoint,
    /// A per-channel factor on the direction, if the rule has one.
    pub gate: Option<HookPoint>,
}

/// The edits of a rule, in the order of the update.
pub(crate) fn landings(rule: Rule) -> Vec<Landing> {
    let mut landings = Vec::new();
    if rule.has_erase() {
        // RWKV-7 lands at a * kh: its removal key under its in-context learning rate.
        let gate = (rule == Rule::Rwkv7).then_some(HookPoint::EraseGate);
        landings.push(Landing { kind: EditKind::Erase, direction: HookPoint::EraseDirection, gate });
    }
    for index in 0..rule.n_writes() {
        landings.push(Landing { kind: EditKind::Write(index), direction: HookPoint::WriteDirection(index), gate: None });
    }
    landings
}

//! Keeps account of what is written, and answers what is true: the truth table is made here and nowhere else.

use super::{Question, Write, WriteKind};
use std::collections::HashMap;

/// The account of one sequence. Keys belong to roles; a role's current value is the one written last at any of its keys, and
/// writing one key makes the content of the role's other keys stale.
#[derive(Default)]
pub(super) struct Ledger {
    pub writes: Vec<Write>,
    pub questions: Vec<Question>,
    /// Writes by role, oldest first.
    by_role: HashMap<u32, Vec<u32>>,
}

/// Where a question is asked.
pub(super) enum Asked {
    Key(u32),
    Role,
}

impl Ledger {
    /// `key` of `role` holds `value` from `position` on; returns the write's id.
    pub fn write(&mut self, role: u32, key: u32, value: u32, key_position: usize, position: usize) -> u32 {
        let id = self.writes.len() as u32;
        let earlier = self.by_role.entry(role).or_default();
        let mut kind = WriteKind::Fresh;
        for &other in &*earlier {
            let other = &mut self.writes[other as usize];
            let same_key = other.key == key;
            other.later_writes += u32::from(same_key);
            if other.stale_at().is_some() {
                continue;
            }
            if same_key && other.value == value {
                kind = WriteKind::Refresh;
            } else {
                other.superseded_at = Some(position);
                other.superseded_by = Some(id);
                kind = if same_key { WriteKind::Overwrite } else { WriteKind::Superseding };
            }
        }
        earlier.push(id);
        self.writes.push(Write {
            id,
            key_position,
            position,
            key,
            value,
            kind,
            copied_from: None,
            superseded_at: None,
            superseded_by: None,
            deleted_at: None,
            later_writes: 0,
        });
        id
    }

    /// What `key` of `role` holds is no longer true from `position` on.
    pub fn delete(&mut self, role: u32, key: u32, position: usize) {
        for &id in self.by_role.get(&role).into_iter().flatten() {
            let write = &mut self.writes[id as usize];
            if write.key == key && write.stale_at().is_none() {
                write.deleted_at = Some(position);
            }
        }
    }

    /// The latest write at what is asked.
    pub fn latest(&self, role: u32, asked: &Asked) -> Option<&Write> {
        let mut writes = self.by_role.get(&role)?.iter().rev().map(|&id| &self.writes[id as usize]);
        match *asked {
            Asked::Role => writes.next(),
            Asked::Key(key) => writes.find(|write| write.key == key),
        }
    }

    /// A question whose answer is due at `position`. `token` is what is asked about, `none` the answer when nothing is true.
    pub fn ask(&mut self, role: u32, asked: &Asked, token: u32, none: u32, position: usize) -> &mut Question {
        let latest = self.latest(role, asked);
        let current = latest.filter(|write| write.stale_at().is_none());
        let gold = current.map_or(none, |write| write.value);
        let asked_write = latest.map(|write| write.id);
        let age = latest.map(|write| position - write.position);
        let gold_write = current.map(|write| write.id);
        let (mut stale, mut stale_writes) = (vec![], vec![]);
        for &id in self.by_role.get(&role).into_iter().flatten() {
            let write = &self.writes[id as usize];
            if write.stale_at().is_some() && write.value != gold {
                stale.push(write.value);
                stale_writes.push(id);
            }
        }
        let (rivals, foils) = (vec![], vec![]);
        self.questions.push(Question { position, key: token, gold, gold_write, asked_write, age, stale, stale_writes, rivals, foils });
        self.questions.last_mut().expect("a question was just added")
    }
}

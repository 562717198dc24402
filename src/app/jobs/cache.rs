//! Answers that are kept, and which are forgotten first.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::key::Key;

/// An answer whose type is forgotten, or why there is none.
pub(super) type Outcome = Result<Arc<dyn Any + Send + Sync>, Arc<str>>;

struct Kept {
    outcome: Outcome,
    bytes: usize,
    /// The frame in which it was last asked.
    asked: u64,
}

/// Answers by key, the least recently asked forgotten first.
pub(super) struct Cache {
    kept: HashMap<Key, Kept>,
    bytes: usize,
    /// Bytes all answers together may hold.
    pub limit: usize,
}

impl Cache {
    pub fn new(limit: usize) -> Self {
        Self { kept: HashMap::new(), bytes: 0, limit }
    }

    pub fn get(&mut self, key: &Key, frame: u64) -> Option<Outcome> {
        let kept = self.kept.get_mut(key)?;
        kept.asked = frame;
        Some(kept.outcome.clone())
    }

    pub fn insert(&mut self, key: Key, outcome: Outcome, bytes: usize, frame: u64) {
        if let Some(old) = self.kept.insert(key, Kept { outcome, bytes, asked: frame }) {
            self.bytes -= old.bytes;
        }
        self.bytes += bytes;
        self.shrink(frame);
    }

    /// Forgets until the limit holds; what was asked in this frame or the one before is on screen and stays.
    pub fn shrink(&mut self, frame: u64) {
        while self.bytes > self.limit {
            let oldest = self.kept.iter().filter(|(_, kept)| kept.asked + 1 < frame && kept.bytes > 0).min_by_key(|(_, kept)| kept.asked);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            self.forget(&key);
        }
    }

    pub fn forget(&mut self, key: &Key) {
        if let Some(old) = self.kept.remove(key) {
            self.bytes -= old.bytes;
        }
    }

    /// Bytes held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

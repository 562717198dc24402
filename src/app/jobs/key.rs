//! Keys of any type in one table.

use std::any::{Any, TypeId};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Ask;

trait Erased: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn same(&self, other: &dyn Erased) -> bool;
}

impl<K: Ask> Erased for K {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn same(&self, other: &dyn Erased) -> bool {
        other.as_any().downcast_ref::<K>() == Some(self)
    }
}

/// A key whose type is forgotten.
#[derive(Clone)]
pub(super) struct Key {
    hash: u64,
    key: Arc<dyn Erased>,
}

impl Key {
    pub fn new<K: Ask>(key: &K) -> Self {
        let mut hasher = DefaultHasher::new();
        TypeId::of::<K>().hash(&mut hasher);
        key.hash(&mut hasher);
        Self { hash: hasher.finish(), key: Arc::new(key.clone()) }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key.same(&*other.key)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

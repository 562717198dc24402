//! Work in the background: the interface asks and never waits.
//!
//! A panel asks with a key ([`Ask`]) in every frame in which it shows the answer; [`Jobs::ask`] gives what is there: the answer, how
//! far it is, or why it failed. Newest requests come first; what is no longer asked is dropped from the queue, or cancelled
//! once other work waits for the same workers; answers stay in a cache of bounded size. Nothing is ever invalidated: another question is another key.
//!
//! Work that is not an answer (opening, recording, exporting) is a [`Task`]: it ends in actions for the session.

mod cache;
mod key;
mod progress;
mod store;
mod watched;

pub use progress::{Cancelled, Progress};
pub use store::{Activity, Finished, Jobs, Task};
pub use watched::Watched;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A question: the key of its answer, and how to find it on a worker.
pub trait Ask: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// What is found.
    type Answer: Send + Sync + 'static;

    /// How much work it is.
    const WEIGHT: Weight = Weight::Light;

    /// What is being done, for the status line: `measuring cleanup of eda`.
    fn title(&self) -> String;

    /// Bytes an answer holds, for the cache; an estimate will do.
    fn bytes(answer: &Self::Answer) -> usize;

    /// Finds the answer. Runs on a worker; long ones call [`Progress::set`] and give up when it says so.
    fn answer(&self, progress: &Progress) -> Result<Self::Answer, String>;
}

/// Which workers do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Reading and replaying what is on screen: milliseconds.
    Light,
    /// Measuring: seconds to minutes, on all cores but one.
    Heavy,
    /// What a user has set going and may leave to itself: minutes, beside everything else. It goes on while nobody looks, until it
    /// is done, cancelled, or another such work is wanted instead.
    Long,
}

/// What there is of an answer.
#[derive(Debug)]
pub enum Answer<T> {
    /// It is there.
    Ready(Arc<T>),
    /// It is on its way.
    Pending {
        /// What is being done.
        title: String,
        /// How far it is, from 0 to 1; `None` while it waits or when nobody knows.
        share: Option<f32>,
    },
    /// It cannot be had.
    Failed(Arc<str>),
}

impl<T> Answer<T> {
    /// The answer, if it is there.
    pub fn ready(&self) -> Option<&Arc<T>> {
        match self {
            Self::Ready(answer) => Some(answer),
            _ => None,
        }
    }
}

//! Interventions: knockouts against brute force, replays against identities.

mod apply;
#[cfg(feature = "record")]
mod hook;
mod knockout;
mod spec;

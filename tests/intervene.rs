//! Interventions: knockouts against brute force, replays against identities.

mod apply;
#[cfg(feature = "record")]
mod hook;
mod event;
mod gates;
mod knockout;
#[cfg(feature = "record")]
mod live;
#[cfg(feature = "record")]
mod network;
mod spec;

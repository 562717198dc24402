//! Sequences whose truth is known: which writes are current, which are stale, and what a question's answer is.

pub mod random;

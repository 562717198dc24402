//! What can stand between parts and the readout of all of them.

use std::path::PathBuf;

use pentimento_probes::ProbeError;

use crate::trace::TraceError;

/// Why partial sums cannot be made, merged or solved.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// An option outside its range.
    #[error("{option} is {value}, but it must be {range}")]
    Option {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is allowed, in words.
        range: String,
    },
    /// The sums would not fit anywhere.
    #[error(
        "{features} features and {targets} target columns need {gigabytes:.1} GB for every sum: take the feature `read`, or probe the whole memory with `pentimento probe`, which forms no such matrix"
    )]
    TooLarge {
        /// Features.
        features: usize,
        /// Target columns, the control's among them.
        targets: usize,
        /// One node of the tree.
        gigabytes: f64,
    },
    /// A file that is not a part.
    #[error("this is not a file of partial sums ({reason}): {}", path.display())]
    NotAPart {
        /// What is wrong.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Nothing to merge.
    #[error("there is nothing to merge: name at least one part")]
    NoParts,
    /// Parts of different work.
    #[error("these parts are of different work: {what} is {left} in {} and {right} in {}", left_part.display(), right_part.display())]
    Different {
        /// Which setting.
        what: String,
        /// Its value in one part.
        left: String,
        /// And in the other.
        right: String,
        /// One part.
        left_part: PathBuf,
        /// The other.
        right_part: PathBuf,
    },
    /// Work that is in two parts.
    #[error("these parts overlap: {overlap} is in {} and in {}: leave one of them out", left_part.display(), right_part.display())]
    Overlap {
        /// Sequences and steps.
        overlap: String,
        /// One part.
        left_part: PathBuf,
        /// The other.
        right_part: PathBuf,
    },
    /// Work that is in no part.
    #[error(
        "there is a gap: {gap} is in none of the parts (together they hold {held}): make that part, or say --partial to merge what there is for a later merge"
    )]
    Gap {
        /// Sequences and steps.
        gap: String,
        /// What there is.
        held: String,
    },
    /// Something else is there already.
    #[error("output exists and is not overwritten without --force: {}", .0.display())]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("cannot {action} ({source}): {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The readout cannot be solved.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

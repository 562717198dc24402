//! What can go wrong between samples and a probe card.

/// What can be wrong with samples, parameters or a fit.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is nothing to fit.
    #[error("there are no samples: choose more sequences, or another target")]
    Empty,
    /// Two arrays that must have one entry per sample do not.
    #[error("{what} has {found} entries, but there are {wanted} samples")]
    Length {
        /// The array.
        what: &'static str,
        /// Its entries.
        found: usize,
        /// The samples.
        wanted: usize,
    },
    /// An array has another number of columns than the readout was fitted for.
    #[error("{what} has {found} columns, but {wanted} are needed")]
    Columns {
        /// The array.
        what: &'static str,
        /// Its columns.
        found: usize,
        /// The columns needed.
        wanted: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what} is {value} at sample {sample}, column {column}: remove the sample, or find what made it")]
    NotFinite {
        /// Features or targets.
        what: &'static str,
        /// The value.
        value: f64,
        /// The sample.
        sample: usize,
        /// The column.
        column: usize,
    },
    /// A class label outside the classes.
    #[error("sample {sample} has class {class}, but there are only {n_classes} classes")]
    Class {
        /// The sample.
        sample: usize,
        /// Its label.
        class: usize,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A group stands on both sides of a split.
    #[error("group {group} is in the training and in the test part: a split must be by group, never by sample")]
    GroupLeakage {
        /// The group (sequence id).
        group: u64,
    },
    /// There are fewer groups than an analysis needs.
    #[error("{found} groups are too few for {purpose}: at least {needed} are needed; record more sequences")]
    TooFewGroups {
        /// Groups present.
        found: usize,
        /// What they are needed for.
        purpose: &'static str,
        /// How many are needed.
        needed: usize,
    },
    /// A parameter outside its range.
    #[error("{parameter} is {value}, but it must be {range}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// The value given.
        value: f64,
        /// The allowed range in words.
        range: &'static str,
    },
    /// A readout that needs classes was given vectors, or the other way round.
    #[error("{readout} needs {needed} as targets")]
    TargetKind {
        /// The readout.
        readout: &'static str,
        /// Classes or vectors.
        needed: &'static str,
    },
    /// States that are never formed can only be scaled as a whole.
    #[error("states that are never formed allow isotropic scaling only: choose it, or the dense form")]
    Scaling,
    /// A matrix that must be positive definite is not.
    #[error("{what} is not positive definite: raise the penalty")]
    NotPositiveDefinite {
        /// The matrix.
        what: &'static str,
    },
    /// A sample is taken where there is no memory.
    #[error("sample {sample} is taken at step {step} of stretch {stretch}, which is not there, or after more edits than a step has")]
    NoSuchMoment {
        /// The sample.
        sample: usize,
        /// The stretch.
        stretch: usize,
        /// The step within it.
        step: usize,
    },
    /// The eigenvalues of a matrix were not found.
    #[error("the eigenvalues of {what} were not found: look for infinite or huge features")]
    NoEigenvalues {
        /// The matrix.
        what: &'static str,
    },
    /// Scores that are compared come from different groups.
    #[error("scores over {left} and {right} groups cannot be paired: evaluate both on the same sequences")]
    Unpaired {
        /// Groups of one.
        left: usize,
        /// Groups of the other.
        right: usize,
    },
}

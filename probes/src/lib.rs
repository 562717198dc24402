//! Linear readouts with what makes a readout believable: splits by group, controls, nulls and intervals.
//!
//! This crate knows arrays only: features [sample, channel], targets (classes or vectors) and the group of each sample
//! (the sequence it was taken from). It never sees a model or a trace. Everything is f64 unless said otherwise.
//!
//! The journey: [`Samples`] are checked once; [`split`] cuts them by group; a readout ([`ridge`], [`logistic`]) goes from
//! parameters to checked parameters to a fitted readout; [`evaluate`](evaluate::evaluate) predicts every sample from a
//! readout that never saw its group and scores it ([`score`]); [`control`] and [`baseline`] say what the score is worth;
//! [`uncertainty`] and [`permutation`] say how sure it is; and [`card`] puts the whole on one page.
//!
//! ```
//! use ndarray::array;
//! use pentimento_probes::{RidgeParams, Samples, Targets};
//!
//! let features = array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.2], [1.1, 0.0]];
//! let samples = Samples::new(features, Targets::classes(vec![0, 1, 0, 1], 2)?, vec![7, 7, 8, 8])?;
//! let ridge = RidgeParams { penalties: vec![0.01], ..RidgeParams::default() }.check()?;
//! let fitted = ridge.fit(samples.features(), &samples.targets().as_vectors(), samples.groups())?;
//! assert!(fitted.predict(samples.features())[[0, 0]] > 0.5);
//! # Ok::<(), pentimento_probes::ProbeError>(())
//! ```

pub mod error;
pub mod linalg;
pub mod samples;
pub mod split;
pub mod scaling;
pub mod design;
pub mod ridge;
pub mod moments;
mod lbfgs;
pub mod logistic;
pub mod score;
pub mod summed_ridge;
pub mod matrix_free;
pub mod evaluate;
pub mod control;
mod random;
pub mod erasure;
pub mod description_length;
pub mod ceiling;
pub mod baseline;
pub mod uncertainty;
pub mod permutation;
pub mod refit;
pub mod multiple;
pub mod equivalence;
pub mod card;
pub mod render;

pub use card::{
    AnswerChange, ControlKind, ControlResult, ErasedAnswers, Expectation, MinimumDetectable, ProbeCard, Standing, Table, Verdict,
};
pub use ceiling::Ceiling;
pub use description_length::{Code, CodeLength};
pub use equivalence::Equivalence;
pub use error::ProbeError;
pub use evaluate::{Evaluated, Evaluation, Readout};
pub use linalg::Precision;
pub use logistic::{FittedLogistic, Logistic, LogisticParams};
pub use moments::Moments;
pub use refit::Refit;
pub use ridge::{FittedRidge, Ridge, RidgeParams, Selection};
pub use samples::{Samples, Targets};
pub use scaling::{FittedScaling, Scaling};
pub use score::{GroupedScore, Metric};
pub use split::{Fold, Folds};
pub use summed_ridge::{PenaltyScore, SummedFit, SummedRidge, SummedScore};
pub use uncertainty::{Bootstrap, Estimate, IntervalMethod, Resampling};

//! Features of one question, head and moment: formed, or never formed.

use ndarray::{Array2, Axis};
use pentimento_probes::{
    Evaluated, ProbeError, Readout, Refit, RidgeParams, Scaling, Targets, baseline,
    evaluate::evaluate,
    matrix_free::{StateDesign, evaluate_states},
};

use super::{ReadoutOptions, sites::Question, units::readout_for};

/// Random combinations of channels in which the null of states that are never formed is drawn.
const SKETCH: usize = 256;

/// Features [sample, channel].
pub(super) enum Features {
    /// One row a sample.
    Formed(Array2<f32>),
    /// States that readouts never form.
    Streamed(StateDesign<f32>),
}

impl Features {
    /// Channels of a sample.
    pub fn n_channels(&self) -> usize {
        match self {
            Self::Formed(rows) => rows.ncols(),
            Self::Streamed(design) => design.state_shape().0 * design.state_shape().1,
        }
    }

    /// As rows, if they are formed.
    pub fn formed(&self) -> Option<Array2<f64>> {
        match self {
            Self::Formed(rows) => Some(rows.mapv(f64::from)),
            Self::Streamed(_) => None,
        }
    }

    /// The norm of every sample's features: [sample, 1].
    pub fn norms(&self) -> Array2<f64> {
        match self {
            Self::Formed(rows) => baseline::norm_only(&rows.mapv(f64::from)),
            Self::Streamed(design) => design.squared_norms().mapv(f64::sqrt).insert_axis(Axis(1)),
        }
    }

    /// Held-out predictions of every task.
    pub fn evaluate(
        &self,
        tasks: &[Targets],
        question: &Question,
        readout: &Readout,
        options: &ReadoutOptions,
    ) -> Result<Vec<Evaluated>, ProbeError> {
        let evaluation = options.evaluation();
        match self {
            Self::Formed(rows) => evaluate(&rows.mapv(f64::from), tasks, &question.groups, readout, &evaluation),
            Self::Streamed(design) if evaluation.scaling == Scaling::Isotropic => {
                evaluate_states(design, tasks, &question.groups, readout, &evaluation)
            }
            Self::Streamed(_) => Err(ProbeError::Scaling),
        }
    }

    /// The readout's null: ridge on these features, refitted for whatever targets are asked. States that are never formed are seen
    /// in random combinations of their channels: a test of those is as honest, if less powerful.
    pub fn refit(&self, question: &Question, options: &ReadoutOptions) -> Result<Refit, ProbeError> {
        match self {
            Self::Formed(rows) => refit(&rows.mapv(f64::from), &question.groups, options),
            Self::Streamed(design) => {
                let width = SKETCH.min(question.groups.len());
                refit(&design.sketch(width, options.seed).mapv(f64::from), &question.groups, options)
            }
        }
    }

    /// Held-out predictions of the question's own target.
    pub fn evaluate_target(&self, question: &Question, options: &ReadoutOptions) -> Result<Evaluated, ProbeError> {
        let target = &question.tasks[0].1;
        Ok(self.evaluate(std::slice::from_ref(target), question, &readout_for(target, options), options)?.remove(0))
    }
}

/// Ridge with the penalties asked for; a logistic readout is judged by the ridge on the same features.
pub(super) fn refit(features: &Array2<f64>, groups: &[u64], options: &ReadoutOptions) -> Result<Refit, ProbeError> {
    let default = RidgeParams::default();
    let params = if let Readout::Ridge(params) = &options.readout { params } else { &default };
    Refit::new(features, groups, params, &options.evaluation())
}

//! From the sums of all parts to a readout, and what can honestly be said of it.

use ndarray::{Array1, Array2};
use pentimento_probes::{Moments, SummedRidge, SummedScore, Table};
use serde::Serialize;

use super::{Control, Coverage, Part, PartSpec, PartialError};
use crate::provenance::Provenance;

/// A readout solved from sums.
#[derive(Clone, Debug, Serialize)]
pub struct Solved {
    /// Who solved it, from which traces.
    pub provenance: Provenance,
    /// The piece of work.
    pub spec: PartSpec,
    /// Which sequences and steps the sums hold.
    pub coverage: Coverage,
    /// Candidates and intervals.
    pub options: SummedRidge,
    /// Samples in the sums.
    pub n_samples: u64,
    /// Samples of each fold of sequences.
    pub fold_samples: Vec<u64>,
    /// How well the value is read out.
    pub target: SummedScore,
    /// How well values of other sequences are "read out": what steps alone tell. `None` without control targets.
    pub control: Option<SummedScore>,
    /// What these numbers are and are not.
    pub notes: Vec<String>,
    /// W, [feature, target], for features as they come.
    #[serde(skip)]
    pub weights: Array2<f64>,
    /// b, \[target\].
    #[serde(skip)]
    pub intercept: Array1<f64>,
}

/// Solves the ridge readout of a part (usually of all of the work).
pub fn solve(part: &Part, options: &SummedRidge) -> Result<Solved, PartialError> {
    let spec = part.spec();
    let folds: Vec<Moments> = (0..spec.folds).map(|fold| part.tree.fold(fold, spec.n_columns())).collect();
    let (d, m) = (spec.n_features, spec.n_targets);
    let fitted = options.fit(&folds, 0..d, d..d + m)?;
    let control = match spec.control {
        Control::None => None,
        Control::Exchanged => Some(options.fit(&folds, 0..d, d + m..d + 2 * m)?.score),
    };
    let mut notes = vec![
        "R2 of the value written `lag` steps before the sample, on folds of sequences that neither the readout nor its penalty has seen (exact, from sums).".to_owned(),
        "The interval is Student's over folds; folds share training data, so it is approximate. For a bootstrap over sequences, permutation p-values and the controls of a probe card, run `pentimento probe` on a subset.".to_owned(),
        "fitted R2 and generalised R2 are closed forms; generalised R2 takes every sample for independent, which samples of one sequence are not. Leave-one-out errors do not follow from sums.".to_owned(),
    ];
    if let Some(control) = control.as_ref().filter(|control| control.low > 0.0) {
        let alarm = format!(
            "ALARM: values of other sequences are read out with R2 {:.3} [{:.3}, {:.3}]: the step's number alone tells that much, and the target's score holds it too.",
            control.r2, control.low, control.high
        );
        notes.insert(0, alarm);
    }
    let provenance = Provenance { made_from: part.provenance.made_from.clone(), dtype: "f64".to_owned(), ..Provenance::here("solve") };
    Ok(Solved {
        provenance,
        spec: spec.clone(),
        coverage: part.coverage().clone(),
        options: options.clone(),
        n_samples: part.n_samples(),
        fold_samples: folds.iter().map(Moments::count).collect(),
        target: fitted.score,
        control,
        notes,
        weights: fitted.weights,
        intercept: fitted.intercept,
    })
}

impl Solved {
    /// What was found, in a sentence or two.
    pub fn headline(&self) -> String {
        let said_of = |score: &SummedScore| format!("R2 {:.3} [{:.3}, {:.3}]", score.r2, score.low, score.high);
        let Self { spec, .. } = self;
        let steps = if spec.lag == 1 { "1 step".to_owned() } else { format!("{} steps", spec.lag) };
        let mut said = format!(
            "From {} samples ({}; {} folds of sequences): the value written {} before is read out of layer {} head {} ({}, phase '{}') with held-out {}.",
            self.n_samples,
            self.coverage,
            spec.folds,
            steps,
            spec.layer,
            spec.head,
            spec.feature,
            spec.phase,
            said_of(&self.target)
        );
        if let Some(control) = &self.control {
            said += &format!(" Control, values of other sequences at the same step: {}.", said_of(control));
        }
        said
    }

    /// One line per penalty.
    pub fn path_table(&self) -> Table {
        let columns = ["penalty", "held-out R2", "fitted R2", "generalised R2 (samples as independent)", "degrees of freedom"];
        let number = |value: f64| format!("{value:.4}");
        let rows = self.target.path.iter().map(|entry| {
            let scores = [entry.held_out_r2, entry.fitted_r2, entry.generalised_r2].map(number);
            let [held_out, fitted, generalised] = scores;
            vec![format!("{:.0e}", entry.penalty), held_out, fitted, generalised, format!("{:.1}", entry.degrees_of_freedom)]
        });
        Table { title: "Ridge path".to_owned(), columns: columns.map(str::to_owned).to_vec(), rows: rows.collect() }
    }
}

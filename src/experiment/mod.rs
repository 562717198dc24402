//! Spec in, report out: the main job.
//!
//! What the user typed ([`Spec`]) is checked and its defaults resolved before any work ([`Plan`]); [`run`] does the work;
//! [`Results`] hold every number; the report says in words what was found and how sure it is.
//!
//! A spec with a table `[calibration]` ([`CalibrationSpec`]) asks of the tests themselves: how often they err where the truth is planted.

mod spec;
mod plan;
mod results;
mod claims;
mod run;
mod effects;
mod answer_erasure;
mod tables;
mod curves;
mod figures;
mod document;
mod report;
mod calibration;

pub use answer_erasure::{AnswerErasure, erase_from_answers};
pub use calibration::{
    Calibrated, Calibration, CalibrationOptions, CalibrationSpec, Case, Family, Fault, Rate, Standing, calibrate, calibration_summary,
    run_calibration,
};
pub use claims::{Claim, ClaimError, FamilyQuantity, Judged, Quantity, Side, Verdict};
pub use curves::{CurveChoice, Detectable, chosen_curves, curve_words, curves, heads_of, selectivities, steps};
pub use figures::{Drawable, drawables, programme};
pub use plan::{Plan, PlanError};
pub use report::summary;
pub use results::{ModelResults, Results};
pub use run::{RunError, Stage, run};
pub use spec::{FigureChoices, MeasureSpec, Missing, ModelSpec, Spec};
pub use tables::{Tabled, tables};

/// The bundled experiment on the bundled models.
pub const STALE_FACTS: &str = include_str!("../../assets/specs/stale-facts.toml");

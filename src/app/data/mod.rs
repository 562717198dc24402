//! What panels ask for: each a key, answered on a worker from `trace`, `measure`, `ledger`, `intervene` or `network`.

mod cleanup;
mod compare;
mod directions;
mod drawn;
mod fates;
mod gates;
mod handle;
mod head;
mod heads;
mod knockouts;
mod live;
mod memories;
mod model;
mod preview;
mod readouts;
mod reads;
mod text;

pub use crate::measure::SequenceText;
pub use cleanup::{CleanupOf, PointsOf};
pub use compare::{AnswersOf, HeadDifferencesOf, Joint, JointDrawnOf, JointFiguresOf, ModelOf, PairingOf};
pub use directions::{AlignmentOf, AngleSummary, CosinesOf, Directions, DirectionsOf, Towards, TowardsOf};
pub use drawn::{DrawnOf, Paper};
pub use fates::{FateOf, LifeOf, Lives};
pub use gates::GatesOf;
pub use handle::Handle;
pub use head::HeadOf;
pub use heads::{HeadMapsOf, name as measure_name};
pub use knockouts::{
    AccountOf, DoseOf, Edits, EventOf, ReadChangesOf, ReadServedOf, ReadsOf, Said, Sequence, SequenceOf, Served, ServedOf, Target, WhatIf,
    WhatIfOf,
};
pub use live::{DrawnExample, ExampleOf, LiveOf, LiveRun, Prompt, keep};
pub use memories::{MemoriesOf, SpectrumOf};
pub use model::{AtHandOf, Model, ModelFor, ModelsAtHand, is_checkpoint};
pub use preview::PreviewOf;
pub use readouts::{Asked, Cards, Curves, CurvesOf, Heads, ReadoutsOf};
pub use reads::{ExplainedOf, MatrixOf, ReadOf};
pub use text::TextOf;

/// An error in one line, with its causes.
pub(super) fn said(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        let because_text = because.to_string();
        if !text.contains(&because_text) {
            text = format!("{text}: {because_text}");
        }
        cause = because.source();
    }
    text
}

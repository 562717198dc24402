//! The list of figures: each has a name, a title, what must be measured for it, and what is drawn of that.

use serde::{Deserialize, Serialize};

use super::{
    FigureError, FigureSpec, Labelled, Prepared,
    join::{Join, Read},
    scene,
};
use super::{
    accuracy, alignment, allocation, angles, atlas, attention, calibration, capacity, cleanup, collateral, dose, fate, gates, knockout,
    life, memory, read, readout, recall, selectivity, spectrum, targeting, training, weights,
};
use crate::export::Table;
use crate::intervene::AnswerAccount;
use crate::measure::{
    Alignment, Allocation, AttentionMatrix, Capacity, Cleanup, Collateral, EraseEffects, Explained, Fate, HeadAngles, HeadGates, HeadMap,
    ReadParts, Recall, Seen, Spectrum, StepMemories, Targeting, WriteLife,
};

/// One row a figure: its doc, name, title, module, what is measured for it and what is drawn of that.
macro_rules! figures {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $title:literal, $module:ident, $measured:ty => $data:ident;)+) => {
        /// The figures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Figure {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Figure {
            /// All figures, the headline first.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name on the command line and in specs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// A title for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What it shows, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The figure of that name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|figure| figure.name() == name)
            }
        }

        /// What was measured, for one figure. Figures that compare models take one labelled entry per model.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Measured {
            $(#[doc = concat!("For [`Figure::", stringify!($variant), "`].")] $variant($measured),)+
        }

        impl Measured {
            /// The figure that draws it.
            pub const fn figure(&self) -> Figure {
                match self { $(Self::$variant(_) => Figure::$variant,)+ }
            }

            /// As another program of this toolkit wrote it: what one measure says of one model, named `label`, or what this type
            /// serialises to.
            pub fn read(figure: Figure, label: &str, measured: serde_json::Value) -> serde_json::Result<Self> {
                match figure { $(Figure::$variant => Read::read(label, measured).map(Self::$variant),)+ }
            }

            /// Together in one figure, where the figure compares models; else both.
            pub fn join(self, other: Self) -> (Self, Option<Self>) {
                match (self, other) {
                    $((Self::$variant(one), Self::$variant(other)) => {
                        let (joined, rest) = one.join(other);
                        (Self::$variant(joined), rest.map(Self::$variant))
                    })+
                    (one, other) => (one, Some(other)),
                }
            }

            /// Pick what is drawn; computes nothing.
            pub(super) fn prepare(&self, spec: &FigureSpec) -> Result<Data, FigureError> {
                match self { $(Self::$variant(measured) => Ok(Data::$variant($module::prepare(measured, spec)?)),)+ }
            }
        }

        /// What one figure draws: the same plain data for print, table and screen.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Data {
            $(#[doc = concat!("Of [`Figure::", stringify!($variant), "`].")] $variant($module::$data),)+
        }

        impl Data {
            /// As it stands in a figure's JSON.
            pub(super) fn read(figure: Figure, data: serde_json::Value) -> serde_json::Result<Self> {
                match figure { $(Figure::$variant => serde_json::from_value(data).map(Self::$variant),)+ }
            }

            fn prepared(&self) -> &dyn Prepared {
                match self { $(Self::$variant(data) => data,)+ }
            }
        }
    };
}

figures! {
    /// Cleanup strength against decay, with its nulls: the headline.
    Cleanup, "cleanup", "Cleanup strength against decay", cleanup, Box<Cleanup> => CleanupData;
    /// How gate strength is divided between decay, write and erase, by bin of retention.
    Allocation, "allocation", "Gate-strength allocation", allocation, Box<Allocation> => AllocationData;
    /// What the erase does to the read, at learned and counterfactual addresses.
    Collateral, "collateral", "Collateral perturbation of the erase", collateral, Vec<Labelled<Collateral>> => CollateralData;
    /// How near erase and write directions are.
    Alignment, "alignment", "Erase-write alignment", alignment, Vec<Labelled<Alignment>> => AlignmentData;
    /// What becomes of every write: surviving, decayed, erased, overwritten.
    Fate, "fate", "Fate of a write", fate, Vec<Labelled<Fate>> => FateData;
    /// Exact against approximate attention: what each map leaves unexplained of the output.
    Attention, "attention", "Exact and approximate attention", attention, Vec<Labelled<Explained>> => AttentionData;
    /// Whether what is removed is what is stale.
    Targeting, "targeting", "Targeting of stale content", targeting, Vec<Labelled<Targeting>> => TargetingData;
    /// How well stale, current and never-written values can be decoded, by phase or age, with ceiling and controls.
    Readout, "readout", "Linear readout", readout, readout::Readouts => ReadoutData;
    /// How much more readouts get of a value than of random labels.
    Selectivity, "selectivity", "Selectivity of linear readouts", selectivity, selectivity::Selectivities => SelectivityData;
    /// Answers with every erase strength scaled.
    Dose, "dose", "Dose-response of the erase", dose, Vec<Labelled<EraseEffects>> => DoseData;
    /// What leaving out each single erase would do to an answer.
    Knockout, "knockout", "Knockout maps of single erases", knockout, Vec<AnswerAccount> => KnockoutData;
    /// What a memory's capacity is spent on.
    Capacity, "capacity", "Capacity and ceiling", capacity, Vec<Labelled<Capacity>> => CapacityData;
    /// One number for each head of each layer, by any measure.
    Atlas, "atlas", "Head atlas", atlas, Vec<Labelled<Vec<HeadMap>>> => AtlasData;
    /// Singular values and effective rank of memories.
    Spectrum, "spectrum", "Spectra of memories", spectrum, Vec<Labelled<Spectrum>> => SpectrumData;
    /// What can be read back at its own write key, by lag.
    Recall, "recall", "Raw write-key recall", recall, Vec<Labelled<Recall>> => RecallData;
    /// Answers by condition: right ones, stale ones and foils.
    Accuracy, "accuracy", "Answers by condition", accuracy, Vec<Labelled<accuracy::Answers>> => AccuracyData;
    /// How often tests err where the truth is planted.
    Calibration, "calibration", "Calibration of tests", calibration, calibration::Errors => CalibrationData;
    /// One write, followed: what survives of it after every step, and who took the rest.
    Life, "life", "Life of a write", life, Vec<Labelled<Seen<Option<WriteLife>>>> => LifeData;
    /// One read, taken apart: the exact, signed weight of every write in it, and what is left unexplained.
    Read, "read", "A read taken apart", read, Vec<Labelled<Seen<ReadParts>>> => ReadData;
    /// The exact attention of one head over one sequence.
    Weights, "weights", "Exact attention of a head", weights, Vec<Labelled<Seen<AttentionMatrix>>> => WeightsData;
    /// Cosines of one head's directions over the steps, beside independent ones.
    Angles, "angles", "Directions over the steps", angles, Vec<Labelled<Seen<HeadAngles>>> => AnglesData;
    /// Retention, write and erase strength of one head over the steps; of two models their difference.
    Gates, "gates", "Gates over the steps", gates, Vec<Labelled<Seen<HeadGates>>> => GatesData;
    /// One memory through a step: its phases, or what each changed; of two models their difference.
    Memory, "memory", "Memory through a step", memory, Vec<Labelled<Seen<StepMemories>>> => MemoryData;
    /// Loss and accuracy while a model is trained.
    Training, "training", "Training", training, Vec<Labelled<training::TrainingLog>> => TrainingData;
}

impl Data {
    /// The figure in a sentence or two, for those who cannot see it.
    pub fn summary(&self) -> String {
        self.prepared().summary()
    }

    /// The numbers drawn.
    pub fn table(&self) -> Table {
        self.prepared().table()
    }

    /// The drawing, for any painter.
    pub fn draw(&self, spec: &FigureSpec) -> scene::Scene {
        self.prepared().draw(spec)
    }
}

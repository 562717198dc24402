//! Two traces or two runs side by side.

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress, Watched, Weight};
use crate::app::open_results::OpenResults;
use crate::app::open_trace::OpenTrace;
use crate::experiment::{ModelResults, drawables, programme};
use crate::figure::{Drawn, FigureSpec, Measured, Theme, draw};
use crate::measure::{
    AnswerDifference, HeadDifference, HeadQuantity, Pairing, StatisticsOptions, Truth, answer_differences, head_differences, head_table,
    pairing,
};
use crate::task::Example;
use crate::trace::Answer;

/// Which sequences of two traces are the same, and what keeps them from being compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairingOf {
    /// The first.
    pub a: OpenTrace,
    /// The second.
    pub b: OpenTrace,
}

impl Ask for PairingOf {
    type Answer = Pairing;

    fn title(&self) -> String {
        format!("pairing the sequences of {} and {}", self.a.name(), self.b.name())
    }

    fn bytes(answer: &Pairing) -> usize {
        answer.pairs.len() * 16 + answer.remarks.iter().map(String::len).sum::<usize>() + 1024
    }

    fn answer(&self, _progress: &Progress) -> Result<Pairing, String> {
        pairing(self.a.trace(), self.b.trace()).map_err(said)
    }
}

/// A quantity of every head on both sides, and the difference inside pairs of sequences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadDifferencesOf {
    /// The two traces.
    pub pair: PairingOf,
    /// Which quantity.
    pub quantity: HeadQuantity,
}

impl Ask for HeadDifferencesOf {
    type Answer = Vec<HeadDifference>;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("measuring {} of every head of {} and {}", self.quantity.label(), self.pair.a.name(), self.pair.b.name())
    }

    fn bytes(answer: &Vec<HeadDifference>) -> usize {
        answer.len() * size_of::<HeadDifference>()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<HeadDifference>, String> {
        let found = self.pair.answer(progress)?;
        let table = |open: &OpenTrace| {
            let trace = open.trace();
            let examples: Option<Vec<Example>> = trace.labels().map_err(said)?;
            let truth = Truth::of_labels(examples.as_deref(), trace.n_steps());
            head_table(&Watched::new(trace, progress, 1), &truth, self.quantity)
                .map_err(|error| format!("{}: {}", open.name(), said(error)))
        };
        let (a, b) = (table(&self.pair.a)?, table(&self.pair.b)?);
        head_differences(&a, &b, &found.pairs, &StatisticsOptions::default()).map_err(said)
    }
}

/// Answers of both models, by condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnswersOf {
    /// The two traces.
    pub pair: PairingOf,
}

impl Ask for AnswersOf {
    type Answer = Vec<AnswerDifference>;

    fn title(&self) -> String {
        format!("comparing the answers of {} and {}", self.pair.a.name(), self.pair.b.name())
    }

    fn bytes(answer: &Vec<AnswerDifference>) -> usize {
        answer.len() * size_of::<AnswerDifference>()
    }

    fn answer(&self, progress: &Progress) -> Result<Vec<AnswerDifference>, String> {
        let found = self.pair.answer(progress)?;
        let of = |open: &OpenTrace| {
            let without = || format!("{} holds no answers: record it from a task with questions", open.name());
            let examples: Vec<Example> = open.trace().labels().map_err(said)?.ok_or_else(without)?;
            let answers = Answer::of_trace(open.trace(), &examples).map_err(said)?.ok_or_else(without)?;
            Ok::<_, String>((examples, answers))
        };
        let (a, b) = (of(&self.pair.a)?, of(&self.pair.b)?);
        Ok(answer_differences([(&a.0, &a.1), (&b.0, &b.1)], &found.pairs, &StatisticsOptions::default()))
    }
}

/// One model of open results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelOf {
    /// Which results.
    pub results: OpenResults,
    /// Which of its models.
    pub model: usize,
}

impl ModelOf {
    /// What was found in it, under a name that tells it from the other.
    pub fn named(&self, other: &Self) -> Option<ModelResults> {
        let found = self.results.results()?.models.get(self.model)?;
        let namesake =
            other.results.results().and_then(|results| results.models.get(other.model)).is_some_and(|model| model.name == found.name);
        let name = if namesake { format!("{} of {}", found.name, self.results.name()) } else { found.name.clone() };
        Some(ModelResults { name, ..found.clone() })
    }
}

/// The figures that show two models of results together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JointFiguresOf {
    /// The first.
    pub a: ModelOf,
    /// The second.
    pub b: ModelOf,
}

/// A figure of two models.
#[derive(Debug)]
pub struct Joint {
    /// What is chosen of it.
    pub spec: FigureSpec,
    /// The numbers of both.
    pub measured: Measured,
}

impl Ask for JointFiguresOf {
    type Answer = Vec<Joint>;

    fn title(&self) -> String {
        format!("gathering the figures of {} and {}", self.a.results.name(), self.b.results.name())
    }

    fn bytes(answer: &Vec<Joint>) -> usize {
        answer.len() * 65_536
    }

    fn answer(&self, _progress: &Progress) -> Result<Vec<Joint>, String> {
        let gone = "these results hold no such model";
        let (a, b) = (self.a.named(&self.b).ok_or(gone)?, self.b.named(&self.a).ok_or(gone)?);
        let models = [&a, &b];
        let of = |(figure, options): (crate::figure::Figure, crate::figure::Options)| {
            // Of figures for one model each there is nothing to lay over one another.
            let found = drawables(&models, figure, &options).into_iter().filter(|found| found.model.is_none());
            let spec = FigureSpec { options, ..FigureSpec::new(figure) };
            found.map(move |found| Joint { spec: spec.clone(), measured: found.measured }).collect::<Vec<_>>()
        };
        Ok(programme().into_iter().flat_map(of).collect())
    }
}

/// One of them, drawn for the screen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JointDrawnOf {
    /// Of which two models.
    pub of: JointFiguresOf,
    /// Which figure.
    pub figure: usize,
    /// Light ink on dark.
    pub dark: bool,
}

impl Ask for JointDrawnOf {
    type Answer = Drawn;

    fn title(&self) -> String {
        "drawing a figure of both".to_owned()
    }

    fn bytes(answer: &Drawn) -> usize {
        answer.scene.marks.len() * 96 + answer.table.rows.len() * answer.table.columns.len() * 32
    }

    fn answer(&self, progress: &Progress) -> Result<Drawn, String> {
        let all = self.of.answer(progress)?;
        let joint = all.get(self.figure).ok_or("there is no such figure")?;
        let theme = if self.dark { Theme::Dark } else { Theme::Light };
        draw(&FigureSpec { theme, ..joint.spec.clone() }, &joint.measured).map_err(said)
    }
}

//! Variable tracking with reassignment, at any length: the long-context task.
//!
//! `X = V` gives variable X the value V; `Y = X` copies what X holds at that moment (a later change of X leaves Y alone);
//! `Q Y` -> V. Variables are assigned again and again, so most of what was written is stale. The statements are scattered over
//! `length` tokens of filler: 4,096 to 131,072 as in RULER (arXiv 2404.06654), which has no reassignment.

use super::error::{in_range, is_share};
use super::ledger::{Asked, Ledger};
use super::{Condition, Draw, Example, Generator, TaskError, TokenClass, Vocabulary};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Parameters of the `variable_tracking` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VariableTracking {
    /// Tokens of a sequence (default 256).
    pub length: usize,
    /// Variables in the vocabulary (default 32).
    pub names: usize,
    /// Values in the vocabulary (default 64).
    pub values: usize,
    /// Different filler words (default 16).
    pub filler_words: usize,
    /// Variables of a sequence (default 6).
    pub variables: usize,
    /// Assignments of a sequence, at least one for each variable (default 18).
    pub assignments: usize,
    /// Share of the assignments that copy another variable, where that is possible (default 0.3).
    pub copy_share: f64,
    /// Questions at the end, about different variables (default 6).
    pub questions: usize,
    /// Never-written values listed with each question (default 4).
    pub foils: usize,
}

impl Default for VariableTracking {
    fn default() -> Self {
        Self {
            length: 256,
            names: 32,
            values: 64,
            filler_words: 16,
            variables: 6,
            assignments: 18,
            copy_share: 0.3,
            questions: 6,
            foils: 4,
        }
    }
}

impl VariableTracking {
    fn check(&self) -> Result<(), TaskError> {
        in_range("filler_words", self.filler_words, 1, usize::MAX, "")?;
        in_range("variables", self.variables, 1, self.names, "no more than there are names")?;
        in_range("assignments", self.assignments, self.variables, usize::MAX, "each variable is assigned at least once")?;
        is_share("copy_share", self.copy_share)?;
        in_range("questions", self.questions, 1, self.variables, "each asks about another variable")?;
        let why = "each assignment may bring a new value, and the foils are never written";
        in_range("values", self.values, self.assignments + self.foils, usize::MAX, why)?;
        in_range("length", self.length, 3 * self.assignments + 2 * self.questions, usize::MAX, "three tokens an assignment, two a question")
    }
}

/// The generator of checked parameters.
pub(super) struct Variables {
    spec: VariableTracking,
    vocabulary: Vocabulary,
    question: u32,
    equals: u32,
    none: u32,
    filler: u32,
    name: u32,
    value: u32,
}

impl Variables {
    pub fn new(spec: VariableTracking) -> Result<Self, TaskError> {
        spec.check()?;
        let mut vocabulary = Vocabulary::new();
        let question = vocabulary.add("Q", TokenClass::Marker);
        let equals = vocabulary.add("=", TokenClass::Marker);
        let none = vocabulary.add("NONE", TokenClass::Marker);
        let filler = vocabulary.add_numbered("f", spec.filler_words, TokenClass::Filler);
        let name = vocabulary.add_numbered("x", spec.names, TokenClass::Key);
        let value = vocabulary.add_numbered("v", spec.values, TokenClass::Value);
        Ok(Self { spec, vocabulary, question, equals, none, filler, name, value })
    }

    /// The variable assigned by each statement: all of them at least once, in random order.
    fn targets(&self, draw: &mut Draw) -> Vec<usize> {
        let VariableTracking { variables, assignments, .. } = self.spec;
        let mut targets: Vec<usize> = (0..variables).collect();
        targets.extend((variables..assignments).map(|_| draw.below(variables)));
        draw.shuffle(&mut targets);
        targets
    }
}

impl Generator for Variables {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let VariableTracking { length, names, values, filler_words, variables, assignments, copy_share, questions, foils } = self.spec;
        let names: Vec<u32> = draw.distinct(variables, names).into_iter().map(|name| self.name + name as u32).collect();
        let drawn = draw.distinct(assignments + foils, values).into_iter().map(|value| self.value + value as u32);
        let mut fresh: Vec<u32> = drawn.collect();
        let foils = fresh.split_off(assignments);
        let mut fresh = fresh.into_iter();
        let filler = length - 3 * assignments - 2 * questions;
        let gaps = draw.scatter(filler, assignments + questions + 1);

        let mut tokens = Vec::with_capacity(length);
        let mut ledger = Ledger::default();
        // A variable never gets back a value it had before: what is stale for it stays stale.
        let mut had: Vec<HashSet<u32>> = vec![HashSet::new(); variables];
        let mut current: Vec<Option<u32>> = vec![None; variables];
        let fill = |draw: &mut Draw, tokens: &mut Vec<u32>, count: usize| {
            tokens.extend((0..count).map(|_| self.filler + draw.below(filler_words) as u32));
        };
        for (target, &gap) in self.targets(draw).into_iter().zip(&gaps) {
            fill(draw, &mut tokens, gap);
            let copy = draw.chance(copy_share);
            let value_of = |source: usize| current[source].map(|write: u32| ledger.writes[write as usize].value);
            let sources: Vec<usize> =
                (0..variables).filter(|&source| value_of(source).is_some_and(|value| !had[target].contains(&value))).collect();
            let source = if copy && !sources.is_empty() { Some(sources[draw.below(sources.len())]) } else { None };
            let (value, last) = match source {
                Some(source) => (value_of(source).expect("a source holds a value"), names[source]),
                None => fresh.next().map(|value| (value, value)).expect("a value for each assignment"),
            };
            let copied_from = source.and_then(|source| current[source]);
            let start = tokens.len();
            tokens.extend([names[target], self.equals, last]);
            let id = ledger.write(target as u32, names[target], value, start, start + 2);
            ledger.writes[id as usize].copied_from = copied_from;
            had[target].insert(value);
            current[target] = Some(id);
        }
        let asked = draw.distinct(questions, variables);
        for (target, &gap) in asked.into_iter().zip(&gaps[assignments..]) {
            fill(draw, &mut tokens, gap);
            tokens.extend([self.question, names[target]]);
            let asked = Asked::Key(names[target]);
            let question = ledger.ask(target as u32, &asked, names[target], self.none, tokens.len() - 1);
            question.foils.clone_from(&foils);
        }
        fill(draw, &mut tokens, gaps[assignments + questions]);
        let reassigned = assignments > variables;
        let condition = if reassigned { Condition::Overwrite } else { Condition::Plain };
        Example { tokens, writes: ledger.writes, questions: ledger.questions, condition }
    }
}

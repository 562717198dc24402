//! Word problems of the symmetric groups S3 and S5 (arXiv 2404.08819): what is the product of the permutations so far?
//!
//! Token `p<i>` is permutation `i` in lexicographic order, and the answer after each step is the token of the running product
//! (the newest factor applied last). S5 is not solvable: no fixed number of layers without a true state can track it.

use super::error::in_range;
use super::parity::ask_states;
use super::{Condition, Draw, Example, Generator, TaskError, TokenClass, Vocabulary};
use serde::{Deserialize, Serialize};

/// Parameters of the `s3` and `s5` tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordProblem {
    /// Tokens of a sequence (default 16).
    pub length: usize,
    /// A question at every so-manieth step (default 1: at each), and at the last.
    pub ask_every: usize,
}

impl Default for WordProblem {
    fn default() -> Self {
        Self { length: 16, ask_every: 1 }
    }
}

/// The generator of checked parameters.
pub(super) struct Permutations {
    spec: WordProblem,
    vocabulary: Vocabulary,
    /// All permutations in lexicographic order; `elements[i][x]` is where `i` sends `x`.
    elements: Vec<Vec<usize>>,
}

impl Permutations {
    /// The word problem of the permutations of `degree` things.
    pub fn new(spec: WordProblem, degree: usize) -> Result<Self, TaskError> {
        in_range("length", spec.length, 1, usize::MAX, "")?;
        in_range("ask_every", spec.ask_every, 1, usize::MAX, "")?;
        let elements = permutations(degree);
        let mut vocabulary = Vocabulary::new();
        vocabulary.add_numbered("p", elements.len(), TokenClass::Value);
        Ok(Self { spec, vocabulary, elements })
    }
}

fn permutations(degree: usize) -> Vec<Vec<usize>> {
    let mut whole = vec![vec![]];
    for _ in 0..degree {
        let extended = |begun: Vec<usize>| {
            let free: Vec<usize> = (0..degree).filter(|thing| !begun.contains(thing)).collect();
            free.into_iter().map(move |thing| [begun.clone(), vec![thing]].concat())
        };
        whole = whole.into_iter().flat_map(extended).collect();
    }
    whole
}

impl Generator for Permutations {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn generate(&self, draw: &mut Draw, _: Option<Condition>) -> Example {
        let tokens: Vec<u32> = (0..self.spec.length).map(|_| draw.below(self.elements.len()) as u32).collect();
        let mut product = self.elements[0].clone();
        let mut states = Vec::with_capacity(tokens.len());
        for &token in &tokens {
            for place in &mut product {
                *place = self.elements[token as usize][*place];
            }
            states.push(self.elements.binary_search(&product).expect("a group is closed") as u32);
        }
        Example { questions: ask_states(&tokens, &states, self.spec.ask_every), tokens, writes: vec![], condition: Condition::Plain }
    }
}

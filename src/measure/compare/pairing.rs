//! Which sequences and steps of two traces are the same.

use std::collections::HashMap;

use ndarray::Array2;

use crate::measure::MeasureError;
use crate::trace::Trace;

/// Two traces, sequence by sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairing {
    /// Sequences that are the same, first and second, in the order of the first.
    pub pairs: Vec<(usize, usize)>,
    /// Whether paired sequences are as long on both sides; else the shorter one is the beginning of the longer.
    pub is_whole: bool,
    /// What keeps the two from being compared, or limits it: one sentence each, the gravest first.
    pub remarks: Vec<String>,
    tokens: [Option<Array2<i32>>; 2],
}

/// Compares what both traces were recorded from. Reads tokens and attributes, no memory.
pub fn pairing(a: &Trace, b: &Trace) -> Result<Pairing, MeasureError> {
    let tokens = [a.tokens()?, b.tokens()?];
    let mut remarks = Vec::new();
    let mut pairs = Vec::new();
    let common = a.n_steps().min(b.n_steps());
    if let [Some(first), Some(second)] = &tokens {
        let mut places: HashMap<Vec<i32>, Vec<usize>> = HashMap::new();
        let beginning = |row: ndarray::ArrayView1<i32>| row.iter().copied().take(common).collect::<Vec<i32>>();
        for (index, row) in second.outer_iter().enumerate().rev() {
            places.entry(beginning(row)).or_default().push(index);
        }
        for (index, row) in first.outer_iter().enumerate() {
            if let Some(other) = places.get_mut(&beginning(row)).and_then(Vec::pop) {
                pairs.push((index, other));
            }
        }
        let most = a.n_batch().max(b.n_batch());
        if pairs.is_empty() {
            remarks.push("No sequence is in both: differences mix the models with their data, so they carry no interval.".to_owned());
        } else if pairs.len() < most {
            remarks.push(format!(
                "{} of {} and {} sequences are in both: intervals of differences count these alone.",
                pairs.len(),
                a.n_batch(),
                b.n_batch()
            ));
        }
    } else {
        remarks.push("Tokens were not recorded on both sides, so nobody knows whether the sequences are the same.".to_owned());
    }
    let is_whole = a.n_steps() == b.n_steps();
    if !is_whole {
        remarks.push(format!(
            "Lengths differ: {} and {} steps. What is measured over whole sequences is not the same quantity.",
            a.n_steps(),
            b.n_steps()
        ));
    }
    let (one, two) = (&a.attributes().provenance, &b.attributes().provenance);
    if let (Some(first), Some(second)) = (&one.spec_digest, &two.spec_digest)
        && first != second
    {
        remarks.push("Recorded from different tasks or seeds of a task.".to_owned());
    }
    if one.weights_digest.is_some() && one.weights_digest == two.weights_digest {
        remarks.push("Both were recorded from the same weights.".to_owned());
    } else {
        remarks.push(
            "Trained apart: heads and channels of the same number need not do the same, so entries of memories are compared with care; \
             norms, singular values and answers do not depend on channels."
                .to_owned(),
        );
    }
    remarks.extend(of_layers(a, b));
    Ok(Pairing { pairs, is_whole, remarks, tokens })
}

/// What differs between the layers with a memory.
fn of_layers(a: &Trace, b: &Trace) -> Vec<String> {
    let mut remarks = Vec::new();
    let numbers = |trace: &Trace| trace.layers().iter().map(|layer| layer.index).collect::<Vec<_>>();
    if numbers(a) != numbers(b) {
        remarks.push(format!("Layers differ: {:?} and {:?}; layers that only one has stand alone.", numbers(a), numbers(b)));
    }
    let rules = |trace: &Trace| {
        let mut rules: Vec<String> = trace.layers().iter().map(|layer| layer.rule.to_string()).collect();
        rules.dedup();
        rules.join(", ")
    };
    if rules(a) != rules(b) {
        remarks.push(format!("Rules differ: {} and {}. A gate that a rule lacks is not a gate at zero.", rules(a), rules(b)));
    }
    let sizes = |trace: &Trace| trace.layers().iter().map(|layer| (layer.dims.head, layer.dims.d_k, layer.dims.d_v)).collect::<Vec<_>>();
    if sizes(a) != sizes(b) {
        remarks.push("Heads or sizes of memories differ: memories of unequal size cannot be subtracted.".to_owned());
    }
    remarks
}

impl Pairing {
    /// The same sequence on the other side; `None` if it has none.
    pub fn sequence(&self, sequence: usize) -> Option<usize> {
        self.pairs.iter().find(|(first, _)| *first == sequence).map(|(_, second)| *second)
    }

    /// For every step of a sequence of the first trace, the step of one of the second that reads the same token: the same occurrence of
    /// it in the sequence. `None` where the token does not occur so often; empty without tokens.
    pub fn steps(&self, [a, b]: [usize; 2]) -> Vec<Option<usize>> {
        let [Some(first), Some(second)] = &self.tokens else { return Vec::new() };
        if a >= first.nrows() || b >= second.nrows() {
            return Vec::new();
        }
        let mut places: HashMap<i32, Vec<usize>> = HashMap::new();
        for (index, &token) in second.row(b).iter().enumerate() {
            places.entry(token).or_default().push(index);
        }
        let mut seen: HashMap<i32, usize> = HashMap::new();
        let occurrence = |token: &i32| {
            let count = seen.entry(*token).or_default();
            *count += 1;
            places.get(token).and_then(|places| places.get(*count - 1)).copied()
        };
        first.row(a).iter().map(occurrence).collect()
    }
}

//! Single-gate knockouts of one read, as a user asks for them.

use pentimento::{
    intervene::{Change, Gate, Intervention, Steps, Where, gate_changes, read_change},
    memory::{Dims, Rule},
};

use super::event::trace_of;
use crate::memory::sample::Sample;

#[test]
fn every_gate_of_a_read_is_what_its_replay_says() {
    let dims = Dims { batch: 1, step: 8, key_head: 1, head: 2, d_k: 4, d_v: 3 };
    for rule in [Rule::Eda, Rule::Kda, Rule::Rwkv7, Rule::Comba] {
        let (_folder, trace) = trace_of(&Sample { dims, seed: 4, starts_filled: false }.factors(rule));
        let gates = [(Gate::Erase, Change::RemoveErase), (Gate::Write, Change::RemoveWrite), (Gate::Decay, Change::NoDecay)];
        for (gate, change) in gates {
            let found = gate_changes(&trace, 0, 6, None, None, gate, 100).unwrap();
            let n_wanted = if gate == Gate::Erase && !rule.has_erase() { 0 } else { 2 * 7 };
            assert_eq!(found.len(), n_wanted, "{rule} {gate:?}");
            assert!(found.windows(2).all(|pair| pair[0].read_change >= pair[1].read_change));
            for gate in &found {
                let at = Where { steps: Steps::Chosen(vec![gate.at.step]), ..Where::head(0, gate.head) };
                let interventions = [Intervention { change: change.clone(), at }];
                let replayed = read_change(&trace, 0, 6, None, Some(&[gate.head]), &interventions, 0).unwrap()[0].change;
                assert!((gate.read_change - replayed).abs() < 1e-9, "{rule} {gate:?}: {replayed}");
            }
        }
    }
}

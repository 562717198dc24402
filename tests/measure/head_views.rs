//! What a person looks at of one head: reads taken apart, and directions.

use super::*;
use crate::trace::sample;
use pentimento::ledger::{AccountOptions, HeadRecurrence, account};
use pentimento::measure::{DirectionOf, HeldTo, OneHead, head_directions, random_cosine_bound};
use pentimento::trace::Trace;

fn trace(rule: Rule) -> (tempfile::TempDir, Trace, Factors<f32>) {
    let (folder, path) = sample::place();
    let factors = sample::factors(rule, sample::SMALL, 1, true);
    sample::write(&path, &factors, 128, &[]);
    let trace = Trace::open(&path).unwrap();
    (folder, trace, factors)
}

#[test]
fn one_head_read_alone_has_the_factors_of_the_layer() {
    for rule in [Rule::Eda, Rule::Rwkv7, Rule::GatedDeltaProduct(2)] {
        let (_folder, trace, factors) = trace(rule);
        let dims = factors.dims();
        let (head, batch) = (dims.head - 1, dims.batch - 1);
        let alone = trace.head_factors(0, head, batch).unwrap().lower();
        let whole = trace.factors(0, batch..batch + 1, 0..dims.step).unwrap().lower();
        let options = AccountOptions { attention: true, ..AccountOptions::default() };
        let [alone, whole] = [(&alone, 0), (&whole, head)].map(|(factors, head)| account(&HeadRecurrence::new(factors, 0, head), &options));
        assert_eq!(alone.attention, whole.attention, "{rule}");
        assert_eq!(alone.initial_output, whole.initial_output, "{rule}");
    }
}

#[test]
fn a_read_is_its_row_of_the_matrix_and_its_parts_make_it_up() {
    for rule in [Rule::Eda, Rule::Gdn2, Rule::Comba, Rule::GatedDeltaProduct(2)] {
        let (_folder, trace, factors) = trace(rule);
        let step = factors.dims().step - 2;
        let head = OneHead::read(&trace, 0, 1, 0).unwrap();
        let matrix = head.attention();
        let read = head.parts(&trace, step).unwrap();
        assert_eq!(read.weights.len(), (step + 1) * read.writes_per_step);
        for (weight, wanted) in read.weights.iter().zip(matrix.weights.row(step)) {
            near(*weight, f64::from(*wanted));
        }
        let total: f64 = read.shares.iter().sum::<f64>() + read.initial_share;
        assert!((total - 1.0).abs() < 1e-5 && read.residual < 1e-5, "{rule}: {total}, {}", read.residual);
        assert!(matrix.residuals.iter().all(|off| *off < 1e-5), "{rule}");
        assert!(matrix.ordinary <= matrix.largest && matrix.largest > 0.0);
        let strongest = read.strongest(3);
        assert!(strongest.windows(2).all(|pair| read.shares[pair[0]].abs() >= read.shares[pair[1]].abs()));
        assert!(matches!(read.held_to, HeldTo::Recorded | HeldTo::Replayed));
    }
}

#[test]
fn the_band_of_chance_holds_its_share_of_independent_cosines() {
    // Two dimensions: the angle is uniform, so |cos| < c has probability 1 - 2 acos(c) / pi.
    let bound = random_cosine_bound(2, 0.95);
    near(1.0 - 2.0 * bound.acos() / std::f64::consts::PI, 0.95);
    // Three: |cos| is uniform (Archimedes).
    near(random_cosine_bound(3, 0.95), 0.95);
    near(random_cosine_bound(1, 0.95), 1.0);
    let mut stream = random::stream(1, "tests/measure/band", 0);
    let mut inside = 0;
    for _ in 0..4000 {
        let x: Vec<f64> = (0..16).map(|_| normal(&mut stream)).collect();
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        inside += usize::from((x[0] / norm).abs() < random_cosine_bound(16, 0.95));
    }
    assert!((3740..=3860).contains(&inside), "{inside} of 4000");
}

#[test]
fn directions_meet_themselves_and_the_keys_they_supersede() {
    let (_folder, trace, factors) = trace(Rule::Eda);
    let found = head_directions(&trace, 0, 1, 0).unwrap();
    let n_steps = factors.dims().step;
    near(found.towards(DirectionOf::Write, 2)[2], 1.0);
    assert_eq!(found.cosines(DirectionOf::Erase, &[1, 3], &[0, 2, 4]).dim(), (2, 3));
    for step in 0..n_steps {
        near(found.towards(DirectionOf::Erase, step)[step], found.erase_to_write[step]);
    }
    let fact = |position: usize, superseded_at: Option<usize>| pentimento::task::Write {
        id: 0,
        key_position: position,
        position,
        key: 1,
        value: 2,
        kind: pentimento::task::WriteKind::Fresh,
        copied_from: None,
        superseded_at,
        superseded_by: None,
        deleted_at: None,
        later_writes: 0,
    };
    let example = pentimento::task::Example {
        tokens: vec![0; n_steps],
        writes: vec![fact(0, Some(3)), fact(1, None)],
        questions: vec![],
        condition: pentimento::task::Condition::Plain,
    };
    let events = found.superseding(&example);
    assert_eq!(events.iter().map(|event| (event.step, event.fact)).collect::<Vec<_>>(), [(3, 0)]);
    near(events[0].erase, found.towards(DirectionOf::Erase, 0)[3]);
    near(events[0].write, found.towards(DirectionOf::Write, 0)[3]);
    let (_folder, trace, _) = self::trace(Rule::Kda);
    let found = head_directions(&trace, 0, 0, 0).unwrap();
    assert!(found.erase.is_none() && found.erase_to_write.iter().all(|cosine| cosine.is_nan()));
    assert!(found.remark.unwrap().contains("no erase"));
}

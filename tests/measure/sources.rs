//! Traces as sources, refusals and headlines.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::trace::sample;
use pentimento::measure::{Held, LayerInfo, Source};
use pentimento::trace::Trace;

#[test]
fn a_trace_gives_the_numbers_of_its_factors() {
    let (_folder, path) = sample::place();
    let factors = sample::factors(Rule::Eda, sample::SMALL, 1, true);
    sample::write(&path, &factors, 128, &[]);
    let (trace, held) = (Trace::open(&path).unwrap(), vec![(0, factors)]);
    let options = CollateralOptions { statistics: quick(), ..CollateralOptions::default() };
    assert_eq!(collateral(&trace, &options).unwrap(), collateral(&held, &options).unwrap());
    let options = AllocationOptions { statistics: quick(), ..AllocationOptions::default() };
    assert_eq!(allocation(&trace, &options).unwrap(), allocation(&held, &options).unwrap());
}

#[test]
fn a_source_that_is_held_is_read_once() {
    struct Counted(Vec<(usize, Factors<f32>)>, AtomicUsize);
    impl Source for Counted {
        fn layers(&self) -> Vec<LayerInfo> {
            self.0.layers()
        }
        fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.factors(place, sequence)
        }
    }
    let source = Counted(vec![(0, factors(Rule::Eda, SMALL, 1)), (3, factors(Rule::Kda, SMALL, 2))], AtomicUsize::new(0));
    let held = Held::new(&source);
    let options = AllocationOptions { statistics: quick(), ..AllocationOptions::default() };
    let first = allocation(&held, &options).unwrap();
    assert_eq!(first, allocation(&held, &options).unwrap());
    assert_eq!(source.1.load(Ordering::Relaxed), 2 * SMALL.batch);
    assert_eq!(first, allocation(&source.0, &options).unwrap());
}

#[test]
fn factors_the_equation_does_not_allow_are_refused_by_layer_and_sequence() {
    let plain = factors(Rule::Eda, SMALL, 1);
    let open = strength(SMALL, |b, t, h| if (b, t, h) == (2, 3, 1) { f64::NAN } else { 0.5 });
    let source = vec![(7, plain.with(HookPoint::EraseStrength, open).unwrap())];
    let said = allocation(&source, &AllocationOptions::default()).unwrap_err().to_string();
    assert!(said.contains("layer 7, sequence 2") && said.contains("erase_strength"), "{said}");
}

#[test]
fn layers_that_disagree_about_the_sequences_are_refused() {
    let source = vec![(0, factors(Rule::Eda, SMALL, 1)), (1, factors(Rule::Eda, Dims { batch: 2, ..SMALL }, 1))];
    assert!(matches!(allocation(&source, &AllocationOptions::default()), Err(MeasureError::Sequences { layer: 1, found: 2, wanted: 3 })));
    let none: Vec<(usize, Factors<f32>)> = vec![];
    assert!(matches!(allocation(&none, &AllocationOptions::default()), Err(MeasureError::Empty(_))));
}

#[test]
fn headlines_say_what_was_found_and_how_sure_it_is() {
    let source = vec![(0, factors(Rule::Eda, SMALL, 1))];
    let said = allocation(&source, &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap().headline();
    assert!(said.contains("not removed energy") && said.contains("3 sequences"), "{said}");
    let said = alignment(&source, &AlignmentOptions { statistics: quick() }).unwrap().headline();
    assert!(said.contains("independent directions"), "{said}");
    let options = CleanupOptions { window: 4, null_replays: 2, statistics: quick(), ..CleanupOptions::default() };
    let said = cleanup(&source, &options).unwrap().headline();
    assert!(said.contains("never varies") && said.contains("raw recall"), "{said}");
    let kda = vec![(0, factors(Rule::Kda, SMALL, 1))];
    let said = allocation(&kda, &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap().headline();
    assert!(said.contains("no erase"), "{said}");
}

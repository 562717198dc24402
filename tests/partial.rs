//! Partial sums: any cut, any order, one result; and nothing that is not whole.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate, s};
use pentimento::memory::{Dims, HookPoint, Phase, Rule};
use pentimento::readout::Feature;
use pentimento::readout::partial::{Control, Coverage, Gaps, Part, PartSpec, PartialError, Plan, ReadAddress, StatsOptions, merge, solve};
use pentimento::trace::Trace;
use pentimento_probes::{Moments, RidgeParams, SummedRidge};
use proptest::prelude::*;
use rand::RngExt;

use super::trace::sample;

/// Long enough for three blocks of the grid, the last of them short.
const DIMS: Dims = Dims { batch: 11, step: 600, key_head: 1, head: 1, d_k: 4, d_v: 3 };

fn recorded(dims: Dims, seed: u64) -> (tempfile::TempDir, Trace) {
    let (folder, path) = sample::place();
    sample::write(&path, &sample::factors(Rule::Eda, dims, seed, false), 300, &[]);
    let trace = Trace::open(&path).unwrap();
    (folder, trace)
}

fn options() -> StatsOptions {
    StatsOptions { lag: 2, folds: 3, ..StatsOptions::default() }
}

fn part(trace: &Trace, batch: std::ops::Range<u64>, steps: std::ops::Range<u64>) -> Part {
    let options = StatsOptions { batch: Some(batch), steps: Some(steps), ..options() };
    Plan::new(trace, &options).unwrap().run(|_, _| ()).unwrap()
}

fn named(parts: Vec<Part>) -> Vec<(PathBuf, Part)> {
    parts.into_iter().enumerate().map(|(index, part)| (PathBuf::from(format!("part-{index}")), part)).collect()
}

fn together(parts: Vec<Part>) -> Part {
    merge(named(parts), Gaps::Refused).unwrap()
}

/// The samples once more, one after the other from the trace's own memories: features, value, neighbour's value, sequence.
fn plain(trace: &Trace, lag: usize) -> (Array2<f64>, Vec<u64>) {
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    for batch in 0..trace.n_batch() {
        let stream = |point, batch| trace.head_stream(0, point, 0, batch, 0..trace.n_steps()).unwrap();
        let (keys, values) = (stream(HookPoint::WriteDirection(0), batch), stream(HookPoint::Value(0), batch));
        let partner = if batch ^ 1 < trace.n_batch() { batch ^ 1 } else { (batch + 1) % trace.n_batch() };
        let others = stream(HookPoint::Value(0), partner);
        for step in lag..trace.n_steps() {
            let memory = trace.memory(0, 0, batch, step, Phase::Write).unwrap().mapv(f64::from);
            let key = keys.slice(s![step - lag, ..]).mapv(f64::from);
            let lane = |array: &ndarray::ArrayD<f32>| array.slice(s![step - lag, ..]).mapv(f64::from).to_vec();
            rows.push([memory.t().dot(&key).to_vec(), lane(&values), lane(&others)].concat());
            groups.push(batch as u64);
        }
    }
    let columns = rows[0].len();
    (Array2::from_shape_vec((rows.len(), columns), rows.concat()).unwrap(), groups)
}

#[test]
fn cuts_on_the_grid_give_the_single_process_to_the_byte_in_any_order_and_grouping() {
    let (_folder, trace) = recorded(DIMS, 1);
    let whole = part(&trace, 0..11, 0..600).to_bytes();
    let pieces = || {
        let mut parts = vec![part(&trace, 0..4, 0..600), part(&trace, 4..5, 0..256), part(&trace, 4..5, 256..600)];
        parts.extend([part(&trace, 5..11, 0..512), part(&trace, 5..11, 512..600)]);
        parts
    };
    let mut random = pentimento::task::random::stream(1, "tests/partial", 0);
    for _ in 0..3 {
        let mut parts = pieces();
        rand::seq::SliceRandom::shuffle(&mut parts[..], &mut random);
        assert!(together(parts).to_bytes() == whole);
        // Merges of merges: two heaps first, whatever is in them.
        let mut parts = pieces();
        rand::seq::SliceRandom::shuffle(&mut parts[..], &mut random);
        let rest = parts.split_off(random.random_range(1..4));
        let heap = |parts| merge(named(parts), Gaps::Allowed).unwrap();
        assert!(together(vec![heap(rest), heap(parts)]).to_bytes() == whole);
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let (_folder, trace) = recorded(DIMS, 2);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| part(&trace, 0..11, 0..600).to_bytes())
    };
    assert!(run(1) == run(3));
}

#[test]
fn cuts_inside_a_block_agree_to_rounding_and_still_not_in_order() {
    let (_folder, trace) = recorded(DIMS, 3);
    let cut = || vec![part(&trace, 0..11, 100..101), part(&trace, 0..11, 0..100), part(&trace, 0..11, 101..600)];
    let (mut backward, forward) = (cut(), together(cut()));
    backward.reverse();
    assert!(forward.to_bytes() == together(backward).to_bytes());
    let whole = part(&trace, 0..11, 0..600);
    assert_eq!((forward.coverage(), forward.n_samples(), forward.n_sums()), (whole.coverage(), whole.n_samples(), whole.n_sums()));
    let options = SummedRidge::default();
    let (cut, whole) = (solve(&forward, &options).unwrap(), solve(&whole, &options).unwrap());
    assert!((cut.target.r2 - whole.target.r2).abs() < 1e-12);
    assert!((&cut.weights - &whole.weights).iter().all(|difference| difference.abs() < 1e-11));
}

#[test]
fn sums_solve_to_what_the_samples_do() {
    let (_folder, trace) = recorded(DIMS, 4);
    let (samples, groups) = plain(&trace, 2);
    let whole = part(&trace, 0..11, 0..600);
    assert_eq!(whole.n_samples(), samples.nrows() as u64);
    let penalty = 0.01;
    let solved = solve(&whole, &SummedRidge { penalties: vec![penalty], ..SummedRidge::default() }).unwrap();
    // The held-out score, by fitting on samples and predicting samples.
    for (columns, score) in [(3..6, &solved.target), (6..9, solved.control.as_ref().unwrap())] {
        let (mut residual, mut deviation) = (0.0, 0.0);
        for fold in 0..3 {
            let is_test = |row: &usize| whole.spec().fold_of(groups[*row]).0 == fold;
            let (test, train): (Vec<usize>, Vec<usize>) = (0..samples.nrows()).partition(is_test);
            let pick = |rows: &[usize], columns: std::ops::Range<usize>| samples.select(Axis(0), rows).slice(s![.., columns]).to_owned();
            let x = pick(&train, 0..3);
            let scale = x.var_axis(Axis(0), 0.0).mean().unwrap().sqrt();
            let y = pick(&train, columns.clone());
            let params = RidgeParams { penalties: vec![penalty], ..RidgeParams::default() };
            let group = vec![0; train.len()];
            let fitted = params.check().unwrap().fit(&(x / scale), &y, &group).unwrap();
            let truth = pick(&test, columns.clone());
            let errors = fitted.predict(&(pick(&test, 0..3) / scale)) - &truth;
            residual += errors.iter().map(|x| x * x).sum::<f64>();
            deviation += (&truth - &y.mean_axis(Axis(0)).unwrap()).iter().map(|x| x * x).sum::<f64>();
        }
        assert!((score.r2 - (1.0 - residual / deviation)).abs() < 1e-10, "{} {}", score.r2, 1.0 - residual / deviation);
    }
    assert!(solved.target.low > 0.2, "what was written two steps ago is there: {:?}", solved.target);
    let control = solved.control.unwrap();
    assert!(control.low < 0.0 && control.r2 < 0.02, "random values of others are not: {control:?}");
}

#[test]
fn every_sequence_is_in_one_fold_and_every_run_of_sequences_in_all() {
    let (_folder, trace) = recorded(DIMS, 5);
    let spec = Plan::new(&trace, &options()).unwrap().spec().clone();
    let mut deals = std::collections::BTreeSet::new();
    for run in 0..20 {
        let dealt: Vec<usize> =
            (0..3).map(|place| spec.fold_of(3 * run + place)).inspect(|(_, at)| assert_eq!(*at, run)).map(|(fold, _)| fold).collect();
        let mut sorted = dealt.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2]);
        deals.insert(dealt);
    }
    assert!(deals.len() > 3, "dealt at random: {deals:?}");
}

#[test]
fn different_work_overlaps_and_gaps_are_refused_by_name() {
    let (_folder, trace) = recorded(DIMS, 6);
    let refusal = |parts| merge(named(parts), Gaps::Refused).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut StatsOptions)| {
        let mut options = StatsOptions { batch: Some(4..11), ..options() };
        change(&mut options);
        Plan::new(&trace, &options).unwrap().run(|_, _| ()).unwrap()
    };
    let first = || part(&trace, 0..4, 0..600);
    let lag = refusal(vec![first(), with(&|options| options.lag = 3)]);
    assert!(lag.contains("lag is 2 in part-0 and 3 in part-1"), "{lag}");
    let (_other_folder, other) = recorded(DIMS, 7);
    let source = refusal(vec![first(), part(&other, 4..11, 0..600)]);
    assert!(source.contains("different work: the trace") && source.contains("part-1"), "{source}");
    let overlap = refusal(vec![first(), part(&trace, 3..11, 200..600)]);
    assert!(overlap.contains("overlap: sequences 3:4, steps 200:600 is in part-0 and in part-1"), "{overlap}");
    let twice = refusal(vec![first(), first()]);
    assert!(twice.contains("overlap: sequences 0:4"), "{twice}");
    let gap = refusal(vec![first(), part(&trace, 5..11, 0..600)]);
    assert!(gap.contains("gap: sequences 4:5, steps 0:600 is in none"), "{gap}");
    let corner = refusal(vec![first(), part(&trace, 4..11, 256..600)]);
    assert!(corner.contains("gap: sequences 4:11, steps 0:256"), "{corner}");
    assert!(matches!(merge(vec![], Gaps::Refused), Err(PartialError::NoParts)));
}

#[test]
fn options_outside_the_trace_are_refused() {
    let (_folder, trace) = recorded(DIMS, 8);
    let refusal = |change: &dyn Fn(&mut StatsOptions)| {
        let mut options = options();
        change(&mut options);
        Plan::new(&trace, &options).err().map(|error| error.to_string()).unwrap()
    };
    assert!(refusal(&|options| options.steps = Some(0..601)).contains("range of steps is 0:601, but it must be a range within 0:600"));
    assert!(refusal(&|options| options.batch = Some(0..12)).contains("within 0:11"));
    assert!(refusal(&|options| options.lag = 600).contains("below the trace's 600 steps"));
    assert!(refusal(&|options| options.head = 1).contains("head is 1"));
    assert!(refusal(&|options| options.folds = 2).contains("3 to 64"));
}

#[test]
fn a_file_that_is_not_whole_is_not_read() {
    let (folder, trace) = recorded(DIMS, 9);
    let path = folder.path().join("deep/part.safetensors");
    let part = part(&trace, 0..3, 0..600);
    part.write(&path).unwrap();
    assert_eq!(Part::read(&path).unwrap(), part);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
    let bytes = std::fs::read(&path).unwrap();
    let reason = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Part::read(&path).unwrap_err().to_string()
    };
    assert!(reason(&bytes[..bytes.len() - 1]).contains("damaged"));
    let mut flipped = bytes.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    assert!(reason(&flipped).contains("not those that were written"));
    assert!(reason(b"").contains("not a file of partial sums"));
    assert!(Part::read(Path::new("nowhere")).unwrap_err().to_string().contains("nowhere"));
}

#[test]
fn the_window_and_the_state_and_the_query_have_their_samples() {
    let (_folder, trace) = recorded(DIMS, 10);
    let options = StatsOptions { feature: Feature::State, control: Control::None, window: Some(300..310), ..options() };
    let plan = Plan::new(&trace, &options).unwrap();
    let state = plan.run(|_, _| ()).unwrap();
    assert_eq!((state.n_samples(), plan.spec().n_columns()), (110, 4 * 3 + 3));
    let query = StatsOptions { address: ReadAddress::Query, window: Some(300..310), ..super::partial::options() };
    assert_eq!(Plan::new(&trace, &query).unwrap().run(|_, _| ()).unwrap().n_samples(), 110);
    assert!(matches!(Plan::new(&trace, &StatsOptions { steps: Some(0..10), ..query }), Err(PartialError::Option { .. })));
}

#[test]
fn sums_too_large_for_any_machine_are_refused_before_any_work() {
    let spec = PartSpec { n_features: 128 * 128, n_targets: 128, ..spec_of(&recorded(DIMS, 11).1) };
    assert!(spec.n_columns() > 16_384);
    let wide = Dims { batch: 2, step: 4, key_head: 1, head: 1, d_k: 132, d_v: 128 };
    let (_folder, trace) = recorded(wide, 12);
    let options = StatsOptions { feature: Feature::State, ..options() };
    let refusal = Plan::new(&trace, &options).err().unwrap().to_string();
    assert!(refusal.contains("16896 features") && refusal.contains("pentimento probe"), "{refusal}");
}

fn spec_of(trace: &Trace) -> PartSpec {
    Plan::new(trace, &options()).unwrap().spec().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn moments_do_not_depend_on_how_samples_were_cut(seed in 0_u64..1000, n in 1_usize..40, cut in 0_usize..40, shift in -1e3..1e3_f64) {
        let mut random = pentimento::task::random::stream(seed, "tests/partial/moments", 0);
        let samples = Array2::from_shape_simple_fn((n, 37), || random.random::<f64>() + shift);
        let cut = cut.min(n);
        let (above, below) = samples.view().split_at(Axis(0), cut);
        let (whole, merged) = (Moments::of(samples.view()), Moments::of(above).merged(&Moments::of(below)));
        prop_assert_eq!(whole.count(), merged.count());
        let centred = &samples - &samples.mean_axis(Axis(0)).unwrap();
        let plain = centred.t().dot(&centred);
        for sums in [&whole, &merged] {
            let difference = sums.products(0..37, 0..37) - &plain;
            prop_assert!(difference.iter().all(|x| x.abs() < 1e-8), "{}", difference);
        }
    }

    #[test]
    fn coverage_is_the_same_set_however_it_was_put_together(borders in proptest::collection::btree_set(1_u64..20, 0..4), steps in 1_u64..9, swap in any::<bool>()) {
        let ends: Vec<u64> = std::iter::once(0).chain(borders).chain([20]).collect();
        let mut patches: Vec<Coverage> = ends.windows(2).flat_map(|ends| {
            [Coverage::of(ends[0]..ends[1], 0..steps), Coverage::of(ends[0]..ends[1], steps..9)]
        }).collect();
        if swap { patches.reverse() }
        let all = patches.iter().fold(Coverage::default(), |all, patch| all.with(patch));
        prop_assert_eq!(&all, &Coverage::of(0..20, 0..9));
        prop_assert!(all.gap().is_none());
        let without = patches[1..].iter().fold(Coverage::default(), |all, patch| all.with(patch));
        prop_assert!(without.overlap(&patches[0]).is_none());
        if patches.len() > 2 && steps < 9 { prop_assert_eq!(without.with(&patches[0]), all); }
    }
}

#[test]
fn one_joined_matrix_is_the_sum_of_its_rows() {
    let samples = ndarray::array![[1.0, 2.0], [3.0, 6.0]];
    let sums = Moments::of(samples.view());
    assert_eq!((sums.count(), sums.mean(), sums.scatter()), (2, &[2.0, 4.0][..], &[2.0, 4.0, 8.0][..]));
    let twice = concatenate(Axis(0), &[samples.view(), samples.view()]).unwrap();
    assert_eq!(Moments::of(twice.view()), sums.clone().merged(&sums));
}

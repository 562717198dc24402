//! The engine on NVIDIA cards, as far as it can be tested where there is none: names of devices, plans, bytes, errors, and the
//! gradient that judges its backward pass. Its numbers are compared on a card by `pentimento bench gpu --parity`.

use ndarray::{Array4, ArrayD, Axis};
use pentimento::memory::cuda::{
    self, CardLimits, Cards, CudaError, Form, ForwardPlan, Inputs, Keep, MemoryBlock, ReplayPlan, Replayed, RingOptions, Stores, SweepPlan,
};
use pentimento::memory::{Device, Dims, Factors, Phase, RecordOptions, Recurrence, Rule, cpu, gradient};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::engine::random_factors;

/// An H200.
const LARGE: CardLimits = CardLimits { n_multiprocessors: 132, shared_bytes: 232_448 };
/// The least shared memory of the cards the kernels run on.
const SMALL: CardLimits = CardLimits { n_multiprocessors: 20, shared_bytes: 101_376 };

#[test]
fn devices_are_named_as_people_write_them() {
    assert_eq!("cpu".parse::<Device>().unwrap(), Device::Cpu);
    assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(vec![0]));
    assert_eq!("cuda:3".parse::<Device>().unwrap(), Device::Cuda(vec![3]));
    assert_eq!("cuda:2,0,1".parse::<Device>().unwrap(), Device::Cuda(vec![2, 0, 1]));
    assert_eq!(Device::Cuda(vec![0, 1]).to_string(), "cuda:0,1");
    for wrong in ["", "gpu", "cuda:", "cuda:a", "cuda:0,", "cuda:0,0", "cuda:+1", "cuda:-1", "CPU:0", "cpu:0"] {
        let error = wrong.parse::<Device>().unwrap_err().to_string();
        assert!(error.contains("cuda:0,1"), "'{wrong}': {error}");
    }
    assert!("cuda:1,1".parse::<Device>().unwrap_err().to_string().contains("twice"));
}

#[test]
fn sequences_are_split_evenly_and_all_of_them() {
    let device = Device::Cuda(vec![0, 1, 2]);
    assert_eq!(device.split(8), [0..2, 2..5, 5..8]);
    assert_eq!(device.split(2), [0..0, 0..1, 1..2]);
    assert_eq!(Device::Cpu.split(5).first(), Some(&(0..5)));
    assert_eq!(device.each().iter().map(ToString::to_string).collect::<Vec<_>>(), ["cuda:0", "cuda:1", "cuda:2"]);
    assert_eq!(Device::Cpu.each(), [Device::Cpu]);
}

#[test]
fn without_a_driver_the_error_says_so_and_what_to_do() {
    if let Err(error) = cuda::n_cards() {
        let text = error.to_string();
        assert!(text.contains("driver") && text.contains("--device cpu"), "{text}");
        let opened = Cards::open(&Device::Cuda(vec![0])).map(|_| ()).unwrap_err().to_string();
        assert_eq!(opened, text);
    }
    assert!(Cards::open(&Device::Cpu).is_err());
    let unknown = CudaError::UnknownCard { ordinal: 4, count: 2 }.to_string();
    assert!(unknown.contains('4') && unknown.contains('2') && unknown.contains("--device cuda:N"), "{unknown}");
    assert!(CudaError::NoCompiler.to_string().contains("LD_LIBRARY_PATH"));
}

#[test]
fn bytes_are_written_as_people_read_them() {
    assert_eq!([999, 1000, 34_359_738_368].map(cuda::bytes), ["999 B", "1.0 kB", "34.4 GB"]);
}

const WIDE: Dims = Dims { batch: 8, step: 4096, key_head: 16, head: 16, d_k: 128, d_v: 128 };
const EDA: Form = Form { n_edits: 2, n_elsewhere: 0, n_values: 1, padded: 128 };

#[test]
fn dense_memories_need_what_they_need_and_a_trace_far_less() {
    let keep = |dense: &[Phase]| Keep::Recording(RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: dense.to_vec() });
    let trace = cuda::room(&WIDE, EDA, cuda::Element::F32, &keep(&[]), Inputs::OnHost);
    let dense = cuda::room(&WIDE, EDA, cuda::Element::F32, &keep(&[Phase::Write]), Inputs::OnHost);
    assert_eq!(dense - trace, 8 * 4096 * 16 * 128 * 128 * 4);
    assert!(trace < 4_000_000_000, "{trace}");
    let half = cuda::room(&WIDE, EDA, cuda::Element::Bf16, &keep(&[]), Inputs::OnHost);
    assert!(half < trace);
}

#[test]
fn a_run_that_does_not_fit_is_refused_with_what_would() {
    let dense = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: vec![Phase::Write] };
    let keep = Keep::Recording(dense);
    let needed = cuda::room(&WIDE, EDA, cuda::Element::F32, &keep, Inputs::OnHost);
    assert!(cuda::check_room(&WIDE, EDA, &keep, Inputs::OnHost, 0, needed * 2).is_ok());
    let text = cuda::check_room(&WIDE, EDA, &keep, Inputs::OnHost, 3, 20_000_000_000).unwrap_err().to_string();
    for part in ["card 3", &cuda::bytes(needed), "20.0 GB", "checkpoints and pseudo-values", "at most 4 of the 8 sequences"] {
        assert!(text.contains(part), "'{part}' in: {text}");
    }
    let one = Dims { batch: 1, ..WIDE };
    let gradient = cuda::check_room(&one, EDA, &Keep::Gradient { every: 64 }, Inputs::OnHost, 0, 1_000_000).unwrap_err().to_string();
    assert!(gradient.contains("gradient") && gradient.contains("shorter blocks"), "{gradient}");
}

#[test]
fn plans_cover_every_column_and_fit_every_card() {
    for card in [LARGE, SMALL] {
        for (d_k, d_v, heads) in [(128, 128, 16), (64, 64, 4), (7, 5, 1), (256, 256, 2), (32, 130, 3), (192, 96, 8)] {
            for form in [(1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 1, 1), (4, 0, 4)] {
                let dims = Dims { batch: 3, step: 10, key_head: heads, head: heads, d_k, d_v };
                let form = Form { n_edits: form.0, n_elsewhere: form.1, n_values: form.2, padded: d_k.next_multiple_of(32) };
                for columns in [None, Some(1), Some(8)] {
                    let plan = ForwardPlan::new(&dims, form, card, columns, Stores::Nothing).unwrap();
                    assert!(plan.shared_bytes <= card.shared_bytes, "{plan:?}");
                    let width = plan.consumers * 4 * plan.columns;
                    assert_eq!(plan.blocks, 3 * heads * d_v.div_ceil(width));
                    assert!(form.padded / 8 * plan.columns <= 128);
                    // A lane has a strength to fetch for every pair of step and edit.
                    assert!(plan.steps.div_ceil(plan.producers) * form.n_edits <= 32);
                }
                let replay = ReplayPlan::new(&dims, form, card, Replayed { heads, phases: 4, chunks: 3, every: 4 });
                assert!(replay.shared_bytes <= card.shared_bytes, "{replay:?}");
                assert!(replay.blocks * replay.chunks_per_run >= 3 * heads * replay.column_blocks * 3, "{replay:?}");
                assert_eq!(replay.consumers * 32 / replay.column_threads * replay.rows, form.padded, "{replay:?}");
                assert!(replay.column_blocks * replay.column_threads * 4 >= d_v && replay.consumers <= 16, "{replay:?}");
                let sweep = SweepPlan::new(&dims, form, LARGE, None).unwrap();
                assert!(sweep.shared_bytes <= LARGE.shared_bytes && sweep.column_blocks * sweep.consumers * 4 * sweep.columns >= d_v);
            }
        }
    }
}

#[test]
fn long_narrow_work_is_spread_and_wide_work_is_not() {
    let plan = |batch| ForwardPlan::new(&Dims { batch, ..WIDE }, EDA, LARGE, None, Stores::Nothing).unwrap();
    assert_eq!(plan(1).columns, 1);
    assert_eq!(plan(8).columns, 8);
    // Stored memories go out in vectors of four.
    assert_eq!(ForwardPlan::new(&Dims { batch: 1, ..WIDE }, EDA, LARGE, None, Stores::ByThreads(1)).unwrap().columns, 4);
}

#[test]
fn whole_memories_leave_in_bulk_where_a_block_has_them_and_two_fit() {
    let plan = |dims: Dims, card| ForwardPlan::new(&dims, Form { padded: dims.d_k, ..EDA }, card, None, Stores::InBulk(1)).unwrap();
    let wide = plan(WIDE, LARGE);
    assert_eq!((wide.tiles, wide.consumers * wide.columns * 4), (2, 128));
    assert!(wide.shared_bytes <= LARGE.shared_bytes);
    // What is staged outlasts the time between two windows only where the card is full.
    assert_ne!(wide.window, (0, 0));
    assert_eq!(plan(Dims { batch: 1, ..WIDE }, LARGE).window, (0, 0));
    // No room, or more columns than a block has.
    assert_eq!(plan(WIDE, SMALL).tiles, 0);
    assert_eq!(plan(Dims { d_k: 256, d_v: 256, ..WIDE }, LARGE).tiles, 0);
}

#[test]
fn a_replay_goes_on_from_chunk_to_chunk_where_there_are_heads_enough() {
    let plan = |batch, chunks| ReplayPlan::new(&Dims { batch, ..WIDE }, EDA, LARGE, Replayed { heads: 16, phases: 1, chunks, every: 64 });
    assert_eq!((plan(8, 64).chunks_per_run, plan(8, 64).blocks), (64, 128));
    assert_eq!((plan(1, 256).chunks_per_run, plan(1, 256).blocks), (32, 128));
    assert_ne!(plan(1, 256).window, (0, 0));
    // Few steps: every chunk by itself, at once, reading when it likes.
    assert_eq!((plan(1, 8).chunks_per_run, plan(1, 8).blocks, plan(1, 8).window), (1, 128, (0, 0)));
    assert_eq!(plan(1, 1).blocks, 16);
    // More heads than multiprocessors: runs short enough that the last ones matter little.
    assert!(plan(9, 64).blocks >= 8 * LARGE.n_multiprocessors / 2 && plan(9, 64).chunks_per_run < 16);
}

#[test]
fn the_ring_visits_every_step_once_and_stays_within_its_buffers() {
    let ring = RingOptions { n_buffers: 3, buffer_bytes: 4 * 1000 * 70 };
    let phases = [Phase::Decay, Phase::Write];
    for (steps, every) in [(0..200, 32), (17..200, 32), (0..5, 64), (90..91, 16)] {
        let blocks = ring.blocks(2, steps.clone(), &phases, 1000, every);
        for batch in 0..2 {
            for phase in phases {
                let mine: Vec<&MemoryBlock> = blocks.iter().filter(|block| block.batch == batch && block.phase == phase).collect();
                assert_eq!(mine.iter().flat_map(|block| block.steps.clone()).collect::<Vec<_>>(), steps.clone().collect::<Vec<_>>());
                assert!(mine.iter().all(|block| block.steps.len() <= 70));
                // Ranges end at checkpoints, so that no step is replayed twice.
                if every <= 70 {
                    assert!(mine.iter().all(|block| block.steps.end % every == 0 || block.steps.end == steps.end));
                }
            }
        }
    }
    // One step is always let through.
    assert_eq!(RingOptions { n_buffers: 2, buffer_bytes: 1 }.blocks(1, 0..3, &[Phase::Write], 1000, 64).len(), 3);
}

#[test]
fn the_plain_gradient_is_that_of_the_processor_s_engine() {
    let dims = Dims { batch: 2, step: 9, key_head: 1, head: 2, d_k: 6, d_v: 5 };
    for (seed, rule) in Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(4)]).enumerate() {
        let factors = random_factors(rule, &dims, seed as u64);
        let (exact, single): (Recurrence<f64>, Recurrence<f32>) = (factors.lower(), factors.cast().lower());
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut random = |shape| Array4::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0_f32));
        let (output, last) = (random((2, 9, 2, 5)), random((2, 2, 6, 5)));
        let found = cpu::backward(&single, output.view(), Some(last.view()));
        let judge = gradient::backward(&exact, output.mapv(f64::from).view(), Some(last.mapv(f64::from).view()));
        let close = |name: &str, a: &Array4<f32>, b: &Array4<f64>| {
            assert_eq!(a.shape(), b.shape(), "{rule} {name}");
            let largest = b.iter().fold(1e-3_f64, |largest, x| largest.max(x.abs()));
            for (&a, &b) in a.iter().zip(b) {
                assert!((f64::from(a) - b).abs() < 1e-4 * largest, "{rule} {name}: {a} for {b}");
            }
        };
        close("query", &found.query, &judge.query);
        close("retention", &found.retention, &judge.retention);
        close("initial memory", &found.initial_memory, &judge.initial_memory);
        for (a, b) in found.edits.iter().zip(&judge.edits) {
            close("strength", &a.strength.clone().insert_axis(Axis(3)), &b.strength.clone().insert_axis(Axis(3)));
            close("direction", &a.direction, &b.direction);
            assert_eq!(a.read.is_some(), b.read.is_some());
            if let (Some(a), Some(b)) = (&a.read, &b.read) {
                close("read", a, b);
            }
            if let (Some(a), Some(b)) = (&a.value, &b.value) {
                close("value", a, b);
            }
        }
    }
}

#[test]
fn kernels_need_no_header() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/memory/cuda");
    let mut n_kernels = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cu") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("#include"), "{}", path.display());
            n_kernels += 1;
        }
    }
    assert!(n_kernels >= 6);
}

/// A recurrence of a rule at some size, its numbers zero.
fn of_size(rule: Rule, dims: Dims) -> Recurrence<f32> {
    let arrays = rule.factors().into_iter().map(|factor| (factor, ArrayD::zeros(factor.shape(&dims)))).collect();
    Factors::new(rule, arrays, None).unwrap().lower()
}

const COMPILED: [(usize, usize); 6] = [(128, 128), (64, 64), (40, 24), (7, 5), (256, 256), (32, 130)];

fn all_rules() -> Vec<Rule> {
    Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(4)]).collect()
}

/// One way of every kernel, of a rule and a size drawn anew each run. Sizes of shared memory on both sides are asserted by the
/// kernels themselves when they are compiled.
#[test]
fn kernels_compile_where_there_is_a_compiler() {
    let seed = u64::from(std::process::id()) ^ std::time::SystemTime::now().elapsed().unwrap_or_default().as_nanos() as u64;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rules = all_rules();
    let rule = rules[rng.random_range(0..rules.len())];
    let (d_k, d_v) = COMPILED[rng.random_range(0..COMPILED.len())];
    let element = if rng.random_range(0..2) == 0 { cuda::Element::F32 } else { cuda::Element::Bf16 };
    let dims = Dims { batch: 1, step: 64, key_head: 1, head: 2, d_k, d_v };
    match cuda::compile_kernels(&of_size(rule, dims), element, LARGE, "sm_90", Some(seed)) {
        Ok(n_kernels) => assert!(n_kernels >= 8, "{n_kernels} kernels of {rule} at {d_k} by {d_v}"),
        Err(CudaError::NoCompiler) => eprintln!("skipped: no NVRTC here, so no kernel was compiled"),
        Err(error) => panic!("{rule} at {d_k} by {d_v}, {element:?}, seed {seed}: {error}"),
    }
}

#[cfg(feature = "record")]
#[test]
fn the_models_kernels_compile_where_there_is_a_compiler() {
    match cuda::machine_code("model", pentimento::model::KERNELS, "sm_90") {
        Ok(code) => assert!(code.starts_with(b"\x7fELF"), "not machine code"),
        Err(CudaError::NoCompiler) => eprintln!("skipped: no NVRTC here, so no kernel was compiled"),
        Err(error) => panic!("{error}"),
    }
    match cuda::machine_code("broken", "__global__ void broken() { no_such_name(); }", "sm_90") {
        Err(CudaError::NoCompiler) => {}
        Err(error) => assert!(error.to_string().contains("no_such_name"), "{error}"),
        Ok(_) => panic!("a name that is nowhere was compiled"),
    }
}

/// Every kernel of every rule in every way: minutes.
#[test]
#[ignore = "compiles some thousands of kernels: run it by name where NVRTC is, after a change of a kernel"]
fn every_kernel_compiles() {
    let mut n_kernels = 0;
    for (rule, (d_k, d_v), element) in all_rules().into_iter().flat_map(|rule| {
        COMPILED.into_iter().flat_map(move |size| [cuda::Element::F32, cuda::Element::Bf16].map(|element| (rule, size, element)))
    }) {
        let dims = Dims { batch: 8, step: 4096, key_head: 16, head: 16, d_k, d_v };
        match cuda::compile_kernels(&of_size(rule, Dims { step: 64, batch: 1, ..dims }), element, LARGE, "sm_90", None) {
            Ok(n) => n_kernels += n,
            Err(CudaError::NoCompiler) => return,
            Err(error) => panic!("{rule} at {d_k} by {d_v}, {element:?}: {error}"),
        }
    }
    assert!(n_kernels > 1000, "{n_kernels}");
}

//! What an erase event removed, against the memory itself.

use ndarray::{Array1, s};
use pentimento::{
    intervene::{HeadRead, HeadTape, SequenceWords, carry, ranked},
    memory::{Dims, EditKind, Factors, HookPoint, Phase, Rule, reference},
    provenance::Provenance,
    trace::{ImportOptions, Trace, import},
};

use crate::memory::sample::Sample;

fn sample(rule: Rule) -> Factors<f64> {
    Sample { dims: Dims { batch: 1, step: 12, key_head: 1, head: 2, d_k: 5, d_v: 4 }, seed: 17, starts_filled: false }.factors(rule)
}

/// A trace of these factors, made as a user would make it.
pub fn trace_of(factors: &Factors<f64>) -> (tempfile::TempDir, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = (folder.path().join("factors.safetensors"), folder.path().join("a.trace.zarr"));
    let arrays: Vec<(String, Vec<usize>, Vec<u8>)> = factors
        .arrays()
        .iter()
        .map(|(point, array)| {
            let bytes = array.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
            (point.name(), array.shape().to_vec(), bytes)
        })
        .collect();
    let views = arrays.iter().map(|(name, shape, bytes)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &file).unwrap();
    import(&file, factors.rule(), &path, &ImportOptions::new(Provenance::here("test"))).unwrap();
    let trace = Trace::open(&path).unwrap();
    (folder, trace)
}

#[test]
fn an_event_is_told_by_what_the_memory_lost_and_the_read_gains() {
    for rule in [Rule::Eda, Rule::Rwkv7] {
        let (_folder, trace) = trace_of(&sample(rule));
        let factors = trace.factors(0, 0..1, 0..12).unwrap().cast::<f64>();
        let recurrence = factors.lower();
        let words = SequenceWords::of_trace(&trace, 0).unwrap();
        let reads = HeadRead::of_trace(&trace, 0, 10, None, Some(&[1])).unwrap();
        let read = &reads[0];
        let (step, head) = (7, 1);
        let event = read.event(step, 100, &words).unwrap();
        assert_eq!((event.layer, event.head, event.at.step, event.removed.len()), (0, 1, step, step));
        assert!((event.removed.iter().map(|removed| removed.share).sum::<f64>() - 1.0).abs() < 1e-12, "{rule}");

        // Without the event, in a replay.
        let mut without = recurrence.clone();
        let erase = without.edits.iter().position(|edit| edit.kind == EditKind::Erase).unwrap();
        let d = recurrence.dims;
        let strength = without.edits[erase].strength.get_or_insert_with(|| ndarray::Array3::ones((d.batch, d.step, d.head)).into_shared());
        strength[[0, step, head]] = 0.0;
        let output = |recurrence| reference::run_head(recurrence, 0, head, &[]).output.row(10).to_owned();
        let (as_it_is, other) = (output(&recurrence), output(&without));
        let length = |x: Array1<f64>| x.dot(&x).sqrt();
        assert!((event.read_change - length(&other - &as_it_is) / length(as_it_is.clone())).abs() < 1e-9, "{rule}");

        let write = recurrence.edits.iter().position(|edit| edit.kind == EditKind::Write(0)).unwrap();
        for removed in &event.removed {
            let at = (removed.at.step, write);
            // The read's attention to a write is the query's product with what is left of it.
            let query = recurrence.lane(&recurrence.query, 0, 10, head).to_owned();
            let attention = |recurrence| query.dot(&Array1::from(carry(recurrence, (0, head), at, 10)));
            assert!((removed.attention - attention(&recurrence)).abs() < 1e-12, "{rule}");
            assert!((removed.attention_without - attention(&without)).abs() < 1e-12, "{rule}");
            // What the event removed of the write: its squared length before and after the erase, with the write of the step left out.
            let mut no_write = without.clone();
            let strengths =
                no_write.edits[write].strength.get_or_insert_with(|| ndarray::Array3::ones((d.batch, d.step, d.head)).into_shared());
            strengths[[0, step, head]] = 0.0;
            let before = Array1::from(carry(&no_write, (0, head), at, step));
            let mut erased = no_write.clone();
            erased.edits[erase].strength.clone_from(&recurrence.edits[erase].strength);
            if let Some(strength) = &mut erased.edits[erase].strength {
                strength[[0, step, head]] = recurrence.edits[erase].strength.as_ref().map_or(1.0, |strength| strength[[0, step, head]]);
            }
            let after = Array1::from(carry(&erased, (0, head), at, step));
            let wanted = 1.0 - after.dot(&after) / before.dot(&before);
            assert!((removed.removed - wanted).abs() < 1e-9, "{rule} write {}: {} {wanted}", removed.at.step, removed.removed);
        }
        if rule == Rule::Eda {
            // The shares are those of the removal energy gamma (2 - gamma) (e . D u)^2 of the ledger.
            let memory = &reference::run_head(&recurrence, 0, head, &[Phase::Decay]).memory[&Phase::Decay];
            let e = factors.channels(HookPoint::EraseDirection).slice(s![0, step, 0, ..]).to_owned();
            let held = memory.slice(s![step, .., ..]).t().dot(&e);
            let values = factors.channels(HookPoint::Value(0));
            let mut sum = Array1::<f64>::zeros(4);
            for removed in &event.removed {
                let gamma = event.strength;
                let sign = (removed.attention_without - removed.attention) / (gamma * read.knockouts.edits[erase].reach[step]);
                sum.scaled_add(sign, &values.slice(s![0, removed.at.step, head, ..]));
            }
            assert!(length(&sum - &held) < 1e-9, "the content along e is made of the writes");
        }
    }
}

#[test]
fn the_ranking_puts_the_largest_change_first() {
    let (_folder, trace) = trace_of(&sample(Rule::Eda));
    let reads = HeadRead::of_trace(&trace, 0, 11, None, None).unwrap();
    let order = ranked(&reads);
    assert_eq!(order.len(), 2 * 12);
    assert!(order.windows(2).all(|pair| pair[0].2 >= pair[1].2));
    let norms: Vec<f64> = reads.iter().flat_map(HeadRead::read_changes).collect();
    assert!(norms.iter().all(|norm| *norm <= order[0].2) && norms.contains(&order[0].2));
}

#[test]
fn an_event_has_words_and_a_rule_without_erase_is_refused_in_words() {
    let (_folder, trace) = trace_of(&sample(Rule::Eda));
    let words = SequenceWords::of_trace(&trace, 0).unwrap();
    let reads = HeadRead::of_trace(&trace, 0, 11, Some(&[0]), Some(&[0])).unwrap();
    let said = reads[0].event(5, 3, &words).unwrap().to_string();
    assert!(said.contains("Layer 0 head 0, step 5") && said.contains("Without it the head's read would move by"), "{said}");
    assert!(reads[0].event(12, 3, &words).unwrap_err().to_string().contains("what comes later"));
    let (_folder, kda) = trace_of(&sample(Rule::Kda));
    assert!(HeadRead::of_trace(&kda, 0, 3, None, None).err().unwrap().to_string().contains("no erase"));
    assert!(HeadRead::of_trace(&trace, 0, 12, None, None).err().unwrap().to_string().contains("steps 0 to 11"));
    assert!(HeadTape::new(&sample(Rule::Eda).lower(), 0, 2, 4).is_err());
}

//! The engine's gradients against central differences of the f64 reference, for every input of every rule.

use ndarray::{Array, Array4, Dimension};
use pentimento::memory::cpu::{self, InstructionSet, RecurrenceGradient};
use pentimento::memory::{Dims, Read, Recurrence, Rule, reference};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::engine::random_factors;

/// Tails in every axis, grouped heads, more steps than one chunk.
const DIMS: Dims = Dims { batch: 1, step: 67, key_head: 1, head: 2, d_k: 9, d_v: 35 };
/// More channels than one panel and one block.
const WIDE: Dims = Dims { batch: 1, step: 5, key_head: 2, head: 2, d_k: 70, d_v: 40 };

/// L = sum of weights * output + sum of weights * final memory.
struct Loss {
    output: Array4<f64>,
    final_memory: Array4<f64>,
}

impl Loss {
    fn new(dims: &Dims, rng: &mut ChaCha8Rng) -> Self {
        let mut random = |shape| Array4::from_shape_simple_fn(shape, || f64::from(rng.random_range(-1.0_f32..1.0)));
        Self {
            output: random((dims.batch, dims.step, dims.head, dims.d_v)),
            final_memory: random((dims.batch, dims.head, dims.d_k, dims.d_v)),
        }
    }

    fn of(&self, recurrence: &Recurrence<f64>) -> f64 {
        let run = reference::run(recurrence, &[]);
        (&run.output * &self.output).sum() + (&run.final_memory * &self.final_memory).sum()
    }

    fn gradient(&self, recurrence: &Recurrence<f32>) -> RecurrenceGradient {
        cpu::backward(recurrence, self.output.mapv(|x| x as f32).view(), Some(self.final_memory.mapv(|x| x as f32).view()))
    }
}

/// Compares along a random direction and along a few axes; `with` puts an array in the place of this input.
fn check<D: Dimension>(
    name: &str,
    input: &Array<f64, D>,
    gradient: &Array<f32, D>,
    rng: &mut ChaCha8Rng,
    loss: impl Fn(Array<f64, D>) -> f64,
) {
    assert_eq!(input.shape(), gradient.shape(), "{name}: shape");
    let gradient = gradient.mapv(f64::from);
    let scale = (&gradient * &gradient).sum().sqrt().max(1e-2);
    for trial in 0..3 {
        let mut along = Array::zeros(input.raw_dim());
        if trial == 0 {
            along.mapv_inplace(|_| rng.random_range(-1.0..1.0));
        } else {
            let chosen = rng.random_range(0..input.len());
            *along.iter_mut().nth(chosen).unwrap() = 1.0;
        }
        let step = 1e-5;
        let wanted = (loss(input + &(&along * step)) - loss(input - &(&along * step))) / (2.0 * step);
        let found = (&gradient * &along).sum();
        assert!(
            (found - wanted).abs() < 2e-4 * scale,
            "{name}: {found} along a direction, central difference {wanted} (norm of the gradient {scale})"
        );
    }
}

#[test]
fn every_input_of_every_rule_has_the_gradient_of_the_reference() {
    let cases = Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(4), Rule::GatedDeltaProduct(5)]);
    for (seed, rule) in cases.enumerate() {
        for dims in [DIMS, WIDE] {
            let mut rng = ChaCha8Rng::seed_from_u64(100 + seed as u64);
            let factors = random_factors(rule, &dims, seed as u64);
            let (exact, single): (Recurrence<f64>, Recurrence<f32>) = (factors.lower(), factors.cast().lower());
            let loss = Loss::new(&dims, &mut rng);
            let found = loss.gradient(&single);
            let rng = &mut rng;

            check(&format!("{rule}: query"), &exact.query.to_owned(), &found.query, rng, |query| {
                loss.of(&Recurrence { query: query.into_shared(), ..exact.clone() })
            });
            check(&format!("{rule}: retention"), &exact.retention.to_owned(), &found.retention, rng, |retention| {
                loss.of(&Recurrence { retention: retention.into_shared(), ..exact.clone() })
            });
            let initial = exact.initial_memory.as_ref().unwrap().to_owned();
            check(&format!("{rule}: initial memory"), &initial, &found.initial_memory, rng, |memory| {
                loss.of(&Recurrence { initial_memory: Some(memory.into_shared()), ..exact.clone() })
            });
            for (index, (edit, found)) in exact.edits.iter().zip(&found.edits).enumerate() {
                let name = |input: &str| format!("{rule}, edit {index}: {input}");
                let strength = edit.strength.as_ref().map_or_else(|| found.strength.mapv(|_| 1.0), ndarray::ArrayBase::to_owned);
                check(&name("strength"), &strength, &found.strength, rng, |strength| {
                    let mut other = exact.clone();
                    other.edits[index].strength = Some(strength.into_shared());
                    loss.of(&other)
                });
                check(&name("direction"), &edit.direction.to_owned(), &found.direction, rng, |direction| {
                    let mut other = exact.clone();
                    other.edits[index].direction = direction.into_shared();
                    loss.of(&other)
                });
                assert_eq!(edit.value.is_some(), found.value.is_some());
                if let (Some(value), Some(found)) = (&edit.value, &found.value) {
                    check(&name("value"), &value.to_owned(), found, rng, |value| {
                        let mut other = exact.clone();
                        other.edits[index].value = Some(value.into_shared());
                        loss.of(&other)
                    });
                }
                match &edit.read {
                    Read::Nothing | Read::Direction => assert!(found.read.is_none()),
                    Read::Other(read) | Read::BeforeDecay(read) => {
                        check(&name("read"), &read.to_owned(), found.read.as_ref().unwrap(), rng, |read| {
                            let mut other = exact.clone();
                            other.edits[index].read = match &edit.read {
                                Read::BeforeDecay(_) => Read::BeforeDecay(read.into_shared()),
                                _ => Read::Other(read.into_shared()),
                            };
                            loss.of(&other)
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn all_instruction_sets_give_nearly_the_same_gradient() {
    for dims in [DIMS, WIDE] {
        let single: Recurrence<f32> = random_factors(Rule::Eda, &dims, 1).cast().lower();
        let output = Array4::from_elem((dims.batch, dims.step, dims.head, dims.d_v), 0.5_f32);
        let gradients: Vec<_> = InstructionSet::available()
            .into_iter()
            .map(|set| {
                let (_, tape) = set.forward_with_tape(&single);
                set.backward_from(&single, &tape, output.view(), None)
            })
            .collect();
        for other in &gradients[1..] {
            let difference = (&other.edits[0].direction - &gradients[0].edits[0].direction).mapv(f32::abs);
            assert!(difference.iter().all(|&x| x < 1e-4), "directions differ");
            let difference = (&other.retention - &gradients[0].retention).mapv(f32::abs);
            assert!(difference.iter().all(|&x| x < 1e-4), "retentions differ");
        }
    }
}

#[test]
fn the_log_decay_has_retention_times_the_gradient_of_retention() {
    let single: Recurrence<f32> = random_factors(Rule::Kda, &WIDE, 2).cast().lower();
    let gradient = cpu::backward(&single, Array4::ones((1, 5, 2, 40)).view(), None);
    assert_eq!(gradient.log_decay(&single), &gradient.retention * &single.retention);
}

//! `pentimento bench gpu`: the engine on cards, timed or compared with the f64 reference, and accounts taken on them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::bench::fresh_seed;
use super::output;
use crate::ledger::{AccountOptions, Accountant, HeadRecurrence, account};
use crate::measure::random_heads;
use crate::memory::{self, Device, Dims, Rule};

/// How far an account in f32 on a card may be from the processor's in f64, and one in f64.
const BOUNDS: [f64; 2] = [5e-5, 1e-10];
/// Heads that are accounted for: ragged, grouped and wide ones.
const SIZES: [Dims; 4] = [
    Dims { batch: 1, step: 150, key_head: 1, head: 1, d_k: 32, d_v: 40 },
    Dims { batch: 2, step: 70, key_head: 1, head: 2, d_k: 100, d_v: 72 },
    Dims { batch: 1, step: 300, key_head: 1, head: 1, d_k: 128, d_v: 128 },
    Dims { batch: 1, step: 40, key_head: 1, head: 1, d_k: 256, d_v: 16 },
];
/// The head that is timed, by its steps: as many on the processor as it does in seconds.
const TIMED: [(usize, bool); 4] = [(4096, true), (4096, false), (16_384, false), (65_536, false)];

#[derive(Serialize)]
struct Report<T: Serialize> {
    #[serde(flatten)]
    engine: T,
    ledger: Vec<Timed>,
}

#[derive(Serialize)]
struct ParityReport<T: Serialize> {
    #[serde(flatten)]
    engine: T,
    /// Largest differences of accounts from the processor's in f64, per array, for f32 and f64 on the card.
    ledger: [BTreeMap<&'static str, f64>; 2],
}

/// One account, by the clock on the wall: steps and factors to the card, and everything back.
#[derive(Serialize)]
struct Timed {
    device: String,
    precision: &'static str,
    steps: usize,
    d_k: usize,
    d_v: usize,
    milliseconds: f64,
}

/// Runs `pentimento bench gpu`.
pub fn run(device: &Device, seed: Option<u64>, parity: bool, quick: bool) -> anyhow::Result<()> {
    let Device::Cuda(cards) = device else {
        anyhow::bail!(
            "`pentimento bench gpu` measures a card: give --device cuda:0 (the processor is measured by `pentimento bench memory`)"
        );
    };
    let seed = seed.unwrap_or_else(fresh_seed);
    if parity && cards.len() > 1 {
        let failures = memory::cuda::parity::cards(device, seed)?;
        anyhow::ensure!(failures.is_empty(), "several cards give other numbers than one: {}", failures.join("; "));
        eprintln!("{device} gives the bits of one card");
    }
    for &card in cards {
        let one = Device::Cuda(vec![card]);
        if parity {
            let engine = memory::cuda::parity::run(card, seed, quick)?;
            let holds = engine.holds();
            let ledger = compare(&one, seed, quick)?;
            let far = BOUNDS.iter().zip(&ledger).flat_map(|(bound, largest)| largest.iter().filter(move |(_, error)| *error > bound));
            let far: Vec<_> = far.filter(|(name, error)| **name != "ledger_half_life" || **error > 0.01).map(|(name, _)| *name).collect();
            let strays = far.join(", ");
            output::json(&ParityReport { engine, ledger })?;
            anyhow::ensure!(holds, "card {card} strays from the reference: see `largest` and `failures` above");
            anyhow::ensure!(strays.is_empty(), "accounts on card {card} stray from the processor's: {strays}");
        } else {
            let engine = memory::cuda::bench::run(card, quick)?;
            output::json(&Report { engine, ledger: time(&one, seed, quick)? })?;
        }
    }
    Ok(())
}

/// Accounts of random heads of every rule on the card beside the processor's in f64.
fn compare(device: &Device, seed: u64, quick: bool) -> anyhow::Result<[BTreeMap<&'static str, f64>; 2]> {
    let accountant = Accountant::open(device)?;
    let mut largest = [BTreeMap::new(), BTreeMap::new()];
    let rules: Vec<Rule> = Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(3)]).collect();
    for dims in &SIZES[..if quick { 2 } else { SIZES.len() }] {
        for &rule in &rules {
            for (_, factors) in random_heads(rule, *dims, seed)? {
                let head = HeadRecurrence::new(&factors.lower(), dims.batch - 1, dims.head - 1);
                let last = head.n_steps() - 1;
                let marks = (0..head.n_writes()).flat_map(|write| [(write, last / 2), (write, last)]).collect();
                let options = AccountOptions { attention: true, erased: true, orders: !head.is_oblique(), marks };
                let wide = head.wide();
                let wanted = account(&wide, &options);
                let found =
                    [accountant.account(&head, &options)?.differences(&wanted), accountant.account(&wide, &options)?.differences(&wanted)];
                for (largest, found) in largest.iter_mut().zip(found) {
                    for (name, error) in found {
                        let worst = largest.entry(name).or_insert(0.0_f64);
                        *worst = worst.max(error);
                    }
                }
            }
        }
    }
    Ok(largest)
}

/// An account without matrices of step by write, after one that is not timed.
fn time(device: &Device, seed: u64, quick: bool) -> anyhow::Result<Vec<Timed>> {
    let card = Accountant::open(device)?;
    let mut rows = Vec::new();
    for &(step, on_processor) in &TIMED[..if quick { 2 } else { TIMED.len() }] {
        let dims = Dims { batch: 1, step, key_head: 1, head: 1, d_k: 128, d_v: 128 };
        for (_, factors) in random_heads(Rule::Eda, dims, seed)? {
            let head = HeadRecurrence::new(&factors.lower(), 0, 0);
            let options = AccountOptions::default();
            let (accountant, device) = if on_processor { (&Accountant::Cpu, &Device::Cpu) } else { (&card, device) };
            let mut push = |precision, milliseconds| {
                rows.push(Timed { device: device.to_string(), precision, steps: step, d_k: dims.d_k, d_v: dims.d_v, milliseconds });
            };
            accountant.account(&head.first_steps(step / 8), &options)?;
            let start = Instant::now();
            accountant.account(&head, &options)?;
            push("f32", start.elapsed().as_secs_f64() * 1e3);
            if !on_processor {
                let wide = head.wide();
                accountant.account(&wide.first_steps(step / 8), &options)?;
                let start = Instant::now();
                accountant.account(&wide, &options)?;
                push("f64", start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(rows)
}

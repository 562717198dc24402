//! Golden numbers of one small head, computed elsewhere in f64.

use ndarray::{Array1, Array2, Array3, ArrayD, Axis, IxDyn, s};
use pentimento::memory::{
    Factors, HookPoint, Phase, Rule, chunkwise,
    gate::eda_safe_gate,
    reference::{HeadRun, run_head},
};
use serde_json::Value as Json;

const TOLERANCE: f64 = 1e-12;

struct Golden(Json);

impl Golden {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("../fixtures/eda_golden.json")).unwrap())
    }

    /// An array of the file, nested lists row by row.
    fn array(&self, name: &str) -> ArrayD<f64> {
        fn flatten(json: &Json, values: &mut Vec<f64>) {
            match json {
                Json::Array(items) => items.iter().for_each(|item| flatten(item, values)),
                number => values.push(number.as_f64().unwrap()),
            }
        }
        let (mut shape, mut first, mut values) = (Vec::new(), &self.0[name], Vec::new());
        while let Json::Array(items) = first {
            shape.push(items.len());
            first = &items[0];
        }
        flatten(&self.0[name], &mut values);
        ArrayD::from_shape_vec(shape, values).unwrap()
    }

    fn matrix(&self, name: &str) -> Array2<f64> {
        self.array(name).into_dimensionality().unwrap()
    }

    fn vector(&self, name: &str) -> Array1<f64> {
        self.array(name).into_dimensionality().unwrap()
    }

    fn factors(&self) -> Factors<f64> {
        // One sequence, one head: [step, ...] becomes [1, step, 1, ...].
        let of = |name: &str| self.array(name).insert_axis(Axis(1)).insert_axis(Axis(0));
        let arrays = [
            (HookPoint::Query, of("q")),
            (HookPoint::WriteDirection(0), of("k")),
            (HookPoint::EraseDirection, of("e")),
            (HookPoint::Value(0), of("v")),
            (HookPoint::WriteStrength(0), of("beta")),
            (HookPoint::EraseStrength, of("gamma")),
            (HookPoint::Retention, of("alpha")),
        ];
        let initial = self.array("S0").insert_axis(Axis(0)).insert_axis(Axis(0)).into_dimensionality().unwrap();
        Factors::new(Rule::Eda, arrays.into_iter().collect(), Some(initial)).unwrap()
    }

    fn run(&self) -> HeadRun {
        run_head(&self.factors().lower(), 0, 0, &Phase::ALL)
    }
}

fn close(a: &ArrayD<f64>, b: &ArrayD<f64>) {
    let largest = super::sample::largest_difference(a, b);
    assert!(largest < TOLERANCE, "largest difference {largest:e}");
}

#[test]
fn the_safe_gate_gives_log_decay_and_retention() {
    let golden = Golden::read();
    let rate = golden.0["A_log"].as_f64().unwrap().exp();
    let log_decay = golden.array("u").mapv(|u| eda_safe_gate(rate, u, -5.0));
    close(&log_decay, &golden.array("g"));
    close(&log_decay.mapv(f64::exp), &golden.array("alpha"));
}

#[test]
fn output_and_memory_at_every_phase() {
    let golden = Golden::read();
    let run = golden.run();
    close(&run.output.into_dyn(), &golden.array("o"));
    for (phase, name) in [(Phase::Decay, "S_decay"), (Phase::Erase, "S_erase"), (Phase::Write, "S")] {
        close(&run.memory[&phase].clone().into_dyn(), &golden.array(name));
    }
    close(&run.memory[&Phase::Before].index_axis(Axis(0), 0).to_owned().into_dyn(), &golden.array("S0"));
}

#[test]
fn the_chunkwise_form_gives_the_same() {
    let golden = Golden::read();
    let run = chunkwise::run(&golden.factors().lower(), chunkwise::Chunking { chunk: 4, sub_chunk: 2 });
    close(&run.output.slice(s![0, .., 0, ..]).to_owned().into_dyn(), &golden.array("o"));
    close(&run.final_memory.slice(s![0, 0, .., ..]).to_owned().into_dyn(), &golden.array("S").index_axis(Axis(0), 5).to_owned());
}

/// u_{T,i}: what is left of write i. A memory that starts empty and whose values are unit vectors, one per write, is it.
#[test]
fn what_is_left_of_every_write() {
    let golden = Golden::read();
    let n_steps = golden.vector("beta").len();
    let values = Array2::<f64>::eye(n_steps).into_dyn().insert_axis(Axis(1)).insert_axis(Axis(0));
    let mut arrays: std::collections::BTreeMap<_, _> =
        golden.factors().arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    arrays.insert(HookPoint::Value(0), values);
    let left = run_head(&Factors::new(Rule::Eda, arrays, None).unwrap().lower(), 0, 0, &[]).final_memory;
    close(&left.into_dyn(), &golden.array("U_T"));
}

/// P(T, 0): what is left of the memory found at the start. With nothing written it acts on the identity.
#[test]
fn what_is_left_of_the_initial_memory() {
    let golden = Golden::read();
    let d_k = golden.array("S0").shape()[0];
    let identity = Array2::<f64>::eye(d_k).insert_axis(Axis(0)).insert_axis(Axis(0));
    let mut arrays: std::collections::BTreeMap<_, _> =
        golden.factors().arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    arrays.insert(HookPoint::Value(0), ArrayD::zeros(IxDyn(&[1, golden.vector("beta").len(), 1, d_k])));
    let left = run_head(&Factors::new(Rule::Eda, arrays, Some(identity)).unwrap().lower(), 0, 0, &[]).final_memory;
    close(&left.into_dyn(), &golden.array("Phi_T"));
    // Together they are the whole memory: S_T = P(T, 0) S_0 + U_T V.
    let whole = golden.matrix("Phi_T").dot(&golden.matrix("S0")) + golden.matrix("U_T").dot(&golden.matrix("v"));
    close(&whole.into_dyn(), &golden.run().final_memory.into_dyn());
}

/// Shares of decay, write, erase: 1 - abar, abar beta, abar gamma over their sum.
#[test]
fn gate_strength_allocation() {
    let golden = Golden::read();
    let mean_retention = golden.matrix("alpha").mean_axis(Axis(1)).unwrap();
    let amounts = [1.0 - &mean_retention, &mean_retention * &golden.vector("beta"), &mean_retention * &golden.vector("gamma")];
    let amounts = ndarray::stack(Axis(1), &amounts.each_ref().map(|amounts| amounts.view())).unwrap();
    let shares = &amounts / &amounts.sum_axis(Axis(1)).insert_axis(Axis(1));
    close(&shares.into_dyn(), &golden.array("alloc"));
}

/// |delta o| / |o-|: the erase's change of the read just before it.
#[test]
fn collateral_of_the_erase() {
    let golden = Golden::read();
    let run = golden.run();
    let query = golden.matrix("q");
    let read = |phase: Phase, step: usize| run.memory[&phase].index_axis(Axis(0), step).t().dot(&query.row(step));
    let norm = |x: &Array1<f64>| x.dot(x).sqrt();
    let collateral = Array1::from_shape_fn(query.nrows(), |step| {
        let before = read(Phase::Decay, step);
        norm(&(read(Phase::Erase, step) - &before)) / norm(&before)
    });
    close(&collateral.into_dyn(), &golden.array("collateral"));
}

#[test]
fn erase_write_alignment() {
    let golden = Golden::read();
    let alignment = (&golden.matrix("e") * &golden.matrix("k")).sum_axis(Axis(1)).mapv(f64::abs);
    close(&alignment.into_dyn(), &golden.array("abs_cos"));
}

/// Energy lost to decay, erase and correction, and gained by the write.
#[test]
fn energy_of_every_phase() {
    let golden = Golden::read();
    let memory = golden.run().memory;
    let (beta, gamma) = (golden.vector("beta"), golden.vector("gamma"));
    let (e, k, v) = (golden.matrix("e"), golden.matrix("k"), golden.matrix("v"));
    let energy = |memory: &Array3<f64>, step: usize| memory.index_axis(Axis(0), step).mapv(|x| x * x).sum();
    for (step, energies) in golden.0["energy"].as_array().unwrap().iter().enumerate() {
        let held = |phase: Phase, direction: &Array2<f64>| memory[&phase].index_axis(Axis(0), step).t().dot(&direction.row(step));
        let (erased, corrected) = (held(Phase::Decay, &e), held(Phase::Erase, &k));
        let (beta, gamma, v) = (beta[step], gamma[step], v.row(step));
        let expect = |name: &str, found: f64| {
            let golden = energies[name].as_f64().unwrap();
            assert!((golden - found).abs() < TOLERANCE, "{name} of step {step}: {golden} in the file, {found} here");
        };
        expect("decay", energy(&memory[&Phase::Before], step) - energy(&memory[&Phase::Decay], step));
        expect("erase", gamma * (2.0 - gamma) * erased.dot(&erased));
        expect("correct", beta * (2.0 - beta) * corrected.dot(&corrected));
        expect("write", beta * beta * v.dot(&v) + 2.0 * beta * (1.0 - beta) * v.dot(&corrected));
    }
}

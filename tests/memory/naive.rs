//! Each rule once more, as its paper writes it: whole matrices multiplied, no edits, no lowering.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use pentimento::memory::{Factors, HookPoint, Rule};

/// Outputs [step, d_v] and the memory after every step of one head.
pub fn run(factors: &Factors<f64>, batch: usize, head: usize) -> (Array2<f64>, Vec<Array2<f64>>) {
    let dims = factors.dims();
    let mut memory = match factors.initial_memory() {
        Some(initial) => initial.slice(s![batch, head, .., ..]).to_owned(),
        None => Array2::zeros((dims.d_k, dims.d_v)),
    };
    let mut output = Array2::zeros((dims.step, dims.d_v));
    let mut memories = Vec::new();
    for step in 0..dims.step {
        let at = At { factors, batch, step, head };
        memory = at.transition().dot(&memory) + at.added();
        output.row_mut(step).assign(&memory.t().dot(&at.query()));
        memories.push(memory.clone());
    }
    (output, memories)
}

/// The matrix M_t that every step multiplies the memory by.
pub fn transitions(factors: &Factors<f64>, batch: usize, head: usize) -> Vec<Array2<f64>> {
    (0..factors.dims().step).map(|step| At { factors, batch, step, head }.transition()).collect()
}

/// What every write of a step has put down when the step ends, in order: where [d_k], and its value [d_v].
pub fn written(factors: &Factors<f64>, batch: usize, step: usize, head: usize) -> Vec<(Array1<f64>, Array1<f64>)> {
    let at = At { factors, batch, step, head };
    let n_writes = factors.rule().n_writes();
    let put = |write: u8| {
        let (k, v) = (at.vector(HookPoint::WriteDirection(write)), at.vector(HookPoint::Value(write)));
        match factors.rule() {
            Rule::LinearAttention | Rule::RetNet | Rule::Gla | Rule::Rwkv7 => (k, v),
            Rule::Gdn2 => (k, at.vector(HookPoint::ValueGate) * v),
            Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Comba | Rule::Eda => (at.number(HookPoint::WriteStrength(0)) * k, v),
            Rule::GatedDeltaProduct(_) => {
                let mine = at.number(HookPoint::WriteStrength(write)) * k;
                ((write + 1..n_writes).fold(mine, |u, later| at.householder(later).dot(&u)), v)
            }
        }
    };
    (0..n_writes).map(put).collect()
}

/// Where a head reads at a step, [d_k].
pub fn query(factors: &Factors<f64>, batch: usize, step: usize, head: usize) -> Array1<f64> {
    At { factors, batch, step, head }.query()
}

/// The factors of one step of one head.
struct At<'a> {
    factors: &'a Factors<f64>,
    batch: usize,
    step: usize,
    head: usize,
}

impl At<'_> {
    fn vector(&self, point: HookPoint) -> Array1<f64> {
        let array = self.factors.channels(point);
        let dims = self.factors.dims();
        let head = if array.shape()[2] == dims.head { self.head } else { self.head / (dims.head / dims.key_head) };
        array.slice(s![self.batch, self.step, head, ..]).to_owned()
    }

    fn number(&self, point: HookPoint) -> f64 {
        self.factors.per_head(point)[[self.batch, self.step, self.head]]
    }

    /// The matrix that S_{t-1} is multiplied by.
    fn transition(&self) -> Array2<f64> {
        use HookPoint::{EraseDirection, EraseGate, EraseStrength, Feedback, ReadGate, Retention, WriteDirection, WriteStrength};
        let identity = Array2::eye(self.factors.dims().d_k);
        let decay = Array2::from_diag(&self.vector(Retention));
        let k = self.vector(WriteDirection(0));
        match self.factors.rule() {
            Rule::LinearAttention => identity,
            Rule::RetNet | Rule::Gla => decay,
            Rule::DeltaNet => identity - self.number(WriteStrength(0)) * outer(&k, &k),
            Rule::Gdn | Rule::Kda => (identity - self.number(WriteStrength(0)) * outer(&k, &k)).dot(&decay),
            Rule::Gdn2 => (identity - outer(&k, &(self.vector(ReadGate) * &k))).dot(&decay),
            Rule::GatedDeltaProduct(n_writes) => (0..n_writes).fold(decay, |product, write| self.householder(write).dot(&product)),
            Rule::Rwkv7 => {
                let removal_key = self.vector(EraseDirection);
                decay - outer(&(self.vector(EraseGate) * &removal_key), &removal_key)
            }
            Rule::Comba => decay - self.number(WriteStrength(0)) * outer(&k, &(self.number(Feedback) * &k)),
            Rule::Eda => {
                let e = self.vector(EraseDirection);
                let erase = &identity - self.number(EraseStrength) * outer(&e, &e);
                (&identity - self.number(WriteStrength(0)) * outer(&k, &k)).dot(&erase).dot(&decay)
            }
        }
    }

    /// The matrix that is added after.
    fn added(&self) -> Array2<f64> {
        use HookPoint::{Value, ValueGate, WriteDirection, WriteStrength};
        let (k, v) = (self.vector(WriteDirection(0)), self.vector(Value(0)));
        match self.factors.rule() {
            Rule::LinearAttention | Rule::RetNet | Rule::Gla | Rule::Rwkv7 => outer(&k, &v),
            Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::Comba | Rule::Eda => self.number(WriteStrength(0)) * outer(&k, &v),
            Rule::Gdn2 => outer(&k, &(self.vector(ValueGate) * v)),
            Rule::GatedDeltaProduct(n_writes) => (0..n_writes).fold(Array2::zeros((k.len(), v.len())), |sum, write| {
                let (k, v) = (self.vector(WriteDirection(write)), self.vector(Value(write)));
                self.householder(write).dot(&sum) + self.number(WriteStrength(write)) * outer(&k, &v)
            }),
        }
    }

    fn query(&self) -> Array1<f64> {
        let query = self.vector(HookPoint::Query);
        if self.factors.rule() == Rule::Comba {
            let p = self.number(HookPoint::Feedback) * self.vector(HookPoint::WriteDirection(0));
            return query - self.number(HookPoint::OutputCorrection) * p;
        }
        query
    }

    fn householder(&self, write: u8) -> Array2<f64> {
        let k = self.vector(HookPoint::WriteDirection(write));
        Array2::eye(k.len()) - self.number(HookPoint::WriteStrength(write)) * outer(&k, &k)
    }
}

/// a b^T.
pub fn outer(a: &Array1<f64>, b: &Array1<f64>) -> Array2<f64> {
    column(a.view()).dot(&b.view().insert_axis(Axis(0)))
}

fn column(a: ArrayView1<f64>) -> Array2<f64> {
    a.insert_axis(Axis(1)).to_owned()
}

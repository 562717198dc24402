//! Vectors over key channels that enter at some step and from then on are decayed and edited as a memory's columns are, each
//! followed on its own: what becomes of every write.
//!
//! [`Following`] is what the steps do and what enters; [`Followed`] is what is found of it. [`run`] is the plain form, and
//! judges the kernel behind [`cuda::Cards::follow`](super::cuda::Cards::follow).
//!
//! With x a vector before step t, the step's edits taken in order, `f_j` what edit j finds of it:
//!
//! ```text
//! f_j = read_j . x + sum over i < j of coupling_{j,i} a_i,   a_j = -strength_j f_j
//! seen = query . x + sum over j of query_coupling_j a_j
//! x  <- alpha x + sum over j of direction_j a_j
//! ```

use ndarray::{Array2, Array3};

use super::{EditKind, Scalar};

/// An edit of every step that reads the vectors it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowedEdit {
    /// An erase, or a corrective write.
    pub kind: EditKind,
    /// Whether it reads elsewhere than where it lands: what it takes then is no part of what it found.
    pub is_oblique: bool,
}

impl FollowedEdit {
    /// Its place in arrays over mechanisms: decay, erase, write.
    pub fn mechanism(&self) -> usize {
        if self.kind == EditKind::Erase { 1 } else { 2 }
    }
}

/// Where the rows and numbers of a step stand in [`Following::rows`].
///
/// Rows: retention; 1 - alpha^2; the query that the vectors are read with before the step; of every edit what it reads with before
/// the step; of every edit where it lands; with orders, of every edit what it reads, after decay; if oblique, 1 - alpha; then
/// numbers, in as many rows as they need: the mean of 1 - alpha^2, and of every edit its strength, its rate (it takes `rate f^2`),
/// its gate (what it would take of a vector of length 1 in no particular direction), q . direction, and its couplings to the
/// edits before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowLayout {
    /// Edits that read.
    pub n_edits: usize,
    /// Whether removal is averaged over orders of attribution.
    pub orders: bool,
    /// Whether some edit is oblique.
    pub is_oblique: bool,
    /// Numbers of a row: key channels up to a multiple of 32.
    pub width: usize,
}

impl FollowLayout {
    /// Place of what edit j reads with before the step.
    pub const fn read(&self, j: usize) -> usize {
        3 + j
    }

    /// Place of where edit j lands.
    pub const fn direction(&self, j: usize) -> usize {
        3 + self.n_edits + j
    }

    /// Place of what edit j reads after decay; only with orders.
    pub const fn raw_read(&self, j: usize) -> usize {
        3 + 2 * self.n_edits + j
    }

    /// Place of 1 - alpha; only if oblique.
    pub const fn lost(&self) -> usize {
        3 + (2 + self.orders as usize) * self.n_edits
    }

    /// Place of the first row of numbers.
    pub const fn numbers(&self) -> usize {
        self.lost() + self.is_oblique as usize
    }

    /// Place of an edit's strength among the numbers; its rate, gate, query coupling and couplings follow.
    pub const fn edit(&self, j: usize) -> usize {
        1 + 4 * j + j * j.saturating_sub(1) / 2
    }

    /// Rows of a step.
    pub const fn n_rows(&self) -> usize {
        self.numbers() + self.edit(self.n_edits).div_ceil(self.width)
    }
}

/// What the steps do, and what enters.
#[derive(Clone, Debug)]
pub struct Following<F: Scalar> {
    /// Key channels.
    pub d_k: usize,
    /// Those that read, in the order of the update.
    pub edits: Vec<FollowedEdit>,
    /// Whether removal is averaged over the orders of attribution.
    pub orders: bool,
    /// [step + 1, row, width] as [`FollowLayout`] says; the last step is all zeros.
    pub rows: Array3<F>,
    /// Vectors that enter with every step; they are numbered by step, then by their order within it.
    pub each: usize,
    /// The vectors as the step they enter with leaves them, [vector, d_k].
    pub entries: Array2<F>,
    /// q . x of that step, \[vector\].
    pub entry_reads: Vec<F>,
    /// What they are measured along where an edit is oblique, [vector, d_k]; empty otherwise.
    pub origins: Array2<F>,
    /// A vector has halved when its |x|^2 is at most this, \[vector\]; never if 0.
    pub quarter: Vec<f64>,
    /// What a vector is worth to an output, [vector, d_v].
    pub values: Array2<F>,
    /// Up to two steps of every vector after which its sums are wanted as they are then; -1 for none.
    pub marks: Vec<[i32; 2]>,
    /// Whether to keep what is seen of every vector at every step.
    pub keeps_seen: bool,
    /// Whether to keep what the erase takes of every vector at every step.
    pub keeps_erased: bool,
}

/// Sums over the steps of one vector; mechanisms are decay, erase and write.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FollowedSums {
    /// Energy (oblique edits: squared size of the vector) that each took.
    pub taken: [f64; 3],
    /// Energy that each found.
    pub present: [f64; 3],
    /// The same, times what each would have taken of a vector of length 1 in no particular direction.
    pub gated: [f64; 3],
    /// What each took averaged over the orders of attribution; zeros unless asked for.
    pub averaged: [f64; 3],
    /// What each took along the origin; zeros unless some edit is oblique.
    pub along: [f64; 3],
    /// |x|^2, or x . origin if some edit is oblique.
    pub surviving: f64,
}

/// What is found.
#[derive(Clone, Debug)]
pub struct Followed<F: Scalar> {
    /// What is seen of every vector, [step, vector]; `None` unless asked for.
    pub seen: Option<Array2<F>>,
    /// What the erase took of every vector, [step, vector]; `None` unless asked for.
    pub erased: Option<Array2<F>>,
    /// Sum of what is seen times values, [step, d_v].
    pub output: Array2<F>,
    /// What is left of every vector, [vector, d_k].
    pub left: Array2<F>,
    /// Of every vector, after the last step.
    pub sums: Vec<FollowedSums>,
    /// Of every vector, after the steps it is marked at.
    pub marked: Vec<[FollowedSums; 2]>,
    /// Steps after which a vector has halved, \[vector\].
    pub half_life: Vec<Option<usize>>,
}

impl<F: Scalar> Following<F> {
    /// No steps and no vectors, of these edits.
    pub fn of(d_k: usize, edits: Vec<FollowedEdit>, orders: bool, keeps_erased: bool) -> Self {
        let is_oblique = edits.iter().any(|edit| edit.is_oblique);
        let layout = FollowLayout { n_edits: edits.len(), orders, is_oblique, width: d_k.next_multiple_of(32) };
        Self {
            d_k,
            edits,
            orders,
            rows: Array3::zeros((1, layout.n_rows(), layout.width)),
            each: 1,
            entries: Array2::zeros((0, d_k)),
            entry_reads: vec![],
            origins: Array2::zeros((0, d_k)),
            quarter: vec![],
            values: Array2::zeros((0, 0)),
            marks: vec![],
            keeps_seen: false,
            keeps_erased,
        }
    }

    /// Where rows and numbers stand.
    pub fn layout(&self) -> FollowLayout {
        FollowLayout { n_edits: self.edits.len(), orders: self.orders, is_oblique: self.is_oblique(), width: self.d_k.next_multiple_of(32) }
    }

    /// Whether some edit is oblique.
    pub fn is_oblique(&self) -> bool {
        self.edits.iter().any(|edit| edit.is_oblique)
    }

    /// Steps.
    pub fn n_steps(&self) -> usize {
        self.rows.shape()[0] - 1
    }

    /// Vectors.
    pub fn n_vectors(&self) -> usize {
        self.entries.nrows()
    }

    /// Which mechanisms there are, one bit each: decay, erase, write.
    pub fn mechanisms(&self) -> usize {
        self.edits.iter().fold(1, |mechanisms, edit| mechanisms | 1 << edit.mechanism())
    }
}

/// The weight of the removal by a set of mechanisms (a bit each) in the average of one of them over the orders of attribution: the
/// Shapley value of the game whose players are `all`.
pub fn order_weight(mechanism: usize, set: usize, all: usize) -> f64 {
    if all >> mechanism & 1 == 0 || set & !all != 0 {
        return 0.0;
    }
    let is_in = set >> mechanism & 1 == 1;
    let others = set.count_ones() - u32::from(is_in);
    let weight = match (all.count_ones(), others) {
        (1, _) => 1.0,
        (2, _) => 0.5,
        (_, 1) => 1.0 / 6.0,
        _ => 1.0 / 3.0,
    };
    if is_in { weight } else { -weight }
}

/// Every vector through every step, in plain loops.
pub fn run<F: Scalar>(following: &Following<F>) -> Followed<F> {
    let (n_steps, n_vectors) = (following.n_steps(), following.n_vectors());
    let matrix = |wanted: bool| wanted.then(|| Array2::zeros((n_steps, n_vectors)));
    let mut followed = Followed {
        seen: matrix(following.keeps_seen),
        erased: matrix(following.keeps_erased),
        output: Array2::zeros((n_steps, following.values.ncols())),
        left: following.entries.clone(),
        sums: vec![FollowedSums::default(); n_vectors],
        marked: vec![[FollowedSums::default(); 2]; n_vectors],
        half_life: vec![None; n_vectors],
    };
    for vector in 0..n_vectors {
        follow(following, vector, &mut followed);
    }
    followed
}

fn follow<F: Scalar>(following: &Following<F>, vector: usize, followed: &mut Followed<F>) {
    let layout = following.layout();
    let entered = vector / following.each;
    let mut x: Vec<F> = following.entries.row(vector).to_vec();
    let mut sums = FollowedSums::default();
    let origin = if layout.is_oblique { following.origins.row(vector).to_vec() } else { vec![] };
    for t in entered..=following.n_steps() {
        let row = |place: usize| following.rows.slice(ndarray::s![t, place, ..following.d_k]);
        let dot = |place: usize, x: &[F]| row(place).iter().zip(x).fold(F::zero(), |sum, (&w, &x)| sum + w * x);
        let energy = x.iter().fold(F::zero(), |sum, &x| sum + x * x);
        sums.surviving = wide(if layout.is_oblique { inner(&x, &origin) } else { energy });
        if t > entered {
            // What the step before left.
            let quarter = following.quarter[vector];
            if followed.half_life[vector].is_none() && quarter > 0.0 && wide(energy) <= quarter {
                followed.half_life[vector] = Some(t - 1 - entered);
            }
            for (mark, to) in following.marks[vector].iter().zip(&mut followed.marked[vector]) {
                if *mark == t as i32 - 1 {
                    *to = sums;
                }
            }
        }
        if t == following.n_steps() {
            break;
        }
        let mut seen = following.entry_reads[vector];
        let mut taken_by_erase = F::zero();
        if t > entered {
            let loss = row(1).iter().zip(&x).fold(F::zero(), |sum, (&w, &x)| sum + w * x * x);
            let found = take(following, &layout, t, (&x, &origin), [energy, loss], &mut sums);
            seen = found
                .values
                .iter()
                .enumerate()
                .fold(dot(2, &x), |seen, (j, &a)| seen + number(following, &layout, t, layout.edit(j) + 3) * a);
            taken_by_erase = found.by_erase;
            for (r, x) in x.iter_mut().enumerate() {
                *x = found.values.iter().enumerate().fold(row(0)[r] * *x, |x, (j, &a)| x + row(layout.direction(j))[r] * a);
            }
        }
        if let Some(all) = &mut followed.seen {
            all[[t, vector]] = seen;
        }
        if let Some(all) = &mut followed.erased {
            all[[t, vector]] = taken_by_erase;
        }
        followed.output.row_mut(t).iter_mut().zip(following.values.row(vector)).for_each(|(o, &v)| *o += seen * v);
    }
    followed.sums[vector] = sums;
    followed.left.row_mut(vector).iter_mut().zip(x).for_each(|(to, x)| *to = x);
}

struct Found<F> {
    values: Vec<F>,
    by_erase: F,
}

/// What a step takes of a vector, and by whom.
fn take<F: Scalar>(
    following: &Following<F>,
    layout: &FollowLayout,
    t: usize,
    (x, origin): (&[F], &[F]),
    [energy, loss]: [F; 2],
    sums: &mut FollowedSums,
) -> Found<F> {
    let row = |place: usize| following.rows.slice(ndarray::s![t, place, ..following.d_k]).to_vec();
    let number = |place: usize| number(following, layout, t, place);
    sums.present[0] += wide(energy);
    sums.gated[0] += wide(energy * number(0));
    sums.taken[0] += wide(loss);
    if layout.is_oblique {
        sums.along[0] += wide(row(layout.lost()).iter().zip(x).zip(origin).fold(F::zero(), |sum, ((&w, &x), &y)| sum + w * x * y));
    }
    let mut present = (energy - loss).max(F::zero());
    let reads: Vec<F> = (0..layout.n_edits).map(|j| inner(&row(layout.read(j)), x)).collect();
    let (mut values, mut by_erase) = (Vec::new(), F::zero());
    for (j, edit) in following.edits.iter().enumerate() {
        let at = layout.edit(j);
        let found = values.iter().enumerate().fold(reads[j], |found, (i, &a)| found + number(at + 4 + i) * a);
        let taken = number(at + 1) * found * found;
        let m = edit.mechanism();
        sums.present[m] += wide(present);
        sums.gated[m] += wide(present * number(at + 2));
        sums.taken[m] += wide(taken);
        if m == 1 {
            by_erase = taken;
        }
        if !edit.is_oblique {
            present = (present - taken).max(F::zero());
        }
        let value = -number(at) * found;
        if layout.is_oblique {
            sums.along[m] -= wide(value * inner(&row(layout.direction(j)), origin));
        }
        values.push(value);
    }
    if layout.orders {
        let raw: Vec<F> = (0..layout.n_edits).map(|j| inner(&row(layout.raw_read(j)), x)).collect();
        for set in 0..8 {
            let removed = removal(following, &number, set, if set & 1 == 1 { &reads } else { &raw }, loss);
            for m in 0..3 {
                sums.averaged[m] += order_weight(m, set, following.mechanisms()) * wide(removed);
            }
        }
    }
    Found { values, by_erase }
}

/// What a set of mechanisms would take in the model's order without the others.
fn removal<F: Scalar>(following: &Following<F>, number: &impl Fn(usize) -> F, set: usize, reads: &[F], loss: F) -> F {
    let layout = following.layout();
    let mut removed = if set & 1 == 1 { loss } else { F::zero() };
    let mut values = vec![F::zero(); layout.n_edits];
    for (j, edit) in following.edits.iter().enumerate() {
        if set >> edit.mechanism() & 1 == 1 {
            let at = layout.edit(j);
            let found = (0..j).fold(reads[j], |found, i| found + number(at + 4 + i) * values[i]);
            removed += number(at + 1) * found * found;
            values[j] = -number(at) * found;
        }
    }
    removed
}

fn number<F: Scalar>(following: &Following<F>, layout: &FollowLayout, t: usize, place: usize) -> F {
    following.rows[[t, layout.numbers() + place / layout.width, place % layout.width]]
}

fn inner<F: Scalar>(x: &[F], y: &[F]) -> F {
    x.iter().zip(y).fold(F::zero(), |sum, (&x, &y)| sum + x * y)
}

fn wide<F: Scalar>(x: F) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

//! The account of one write: what is left of it, and who took the rest.

use serde::{Deserialize, Serialize};

use super::prepared::Mechanism;

/// How removal is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// By the energy |u|^2. Every edit lands where it reads, so every part is at least 0 and they sum to what was written.
    Energy,
    /// By the vectors taken away, projected on what was written. The rule is oblique (GDN-2, RWKV-7, Comba): energy has no law
    /// there. Parts sum to what was written, but one may be negative or above it.
    Vector,
}

impl Form {
    /// A sentence for reports.
    pub const fn remark(self) -> &'static str {
        match self {
            Self::Energy => "Shares are of the energy of a write; each is at least 0 and they sum to 1.",
            Self::Vector => {
                "The rule removes obliquely, so energy has no law: shares are of the vectors taken, projected on what was written; they sum to 1, but one may be negative."
            }
        }
    }
}

/// The account of one write, at some step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Energy of the write when it was made, beta^2 |k|^2.
    pub written: f64,
    /// What is left, in the form of the ledger.
    pub surviving: f64,
    /// What decay took.
    pub decayed: f64,
    /// What erases took.
    pub erased: f64,
    /// What later corrective writes took.
    pub overwritten: f64,
    /// The same three (decay, erase, write) averaged over the orders of attribution; zeros unless asked for.
    pub averaged: [f64; 3],
    /// H summed over steps for each of [`Mechanism::ALL`]: the energy taken (for oblique edits the squared size of the vector taken).
    pub taken: [f64; 3],
    /// The energy that each mechanism found, summed over steps: what its chance is made of.
    pub present: [f64; 3],
    /// The same, each step weighted by what the mechanism would have taken there of a write in no particular direction.
    pub gated: [f64; 3],
}

impl Tally {
    /// Surviving, decayed, erased and overwritten as shares of what was written. They sum to 1 but for rounding. `None` for a
    /// write of nothing.
    pub fn shares(&self) -> Option<[f64; 4]> {
        (self.written > 0.0).then(|| [self.surviving, self.decayed, self.erased, self.overwritten].map(|part| part / self.written))
    }

    /// The shares with removal averaged over the orders of attribution: surviving, decayed, erased, overwritten.
    pub fn averaged_shares(&self) -> Option<[f64; 4]> {
        let [decayed, erased, overwritten] = self.averaged;
        (self.written > 0.0).then(|| [self.surviving, decayed, erased, overwritten].map(|part| part / self.written))
    }

    /// What is left as a share of what was written.
    pub fn survival(&self) -> Option<f64> {
        (self.written > 0.0).then(|| self.surviving / self.written)
    }

    /// How far the four shares are from summing to 1; 0 for a write of nothing.
    pub fn residual(&self) -> f64 {
        self.shares().map_or(0.0, |shares| (shares.iter().sum::<f64>() - 1.0).abs())
    }

    /// What a mechanism took.
    pub const fn taken_by(&self, mechanism: Mechanism) -> f64 {
        self.taken[mechanism as usize]
    }

    /// Adds another write's account: the account of both together.
    pub fn add(&mut self, other: &Self) {
        self.written += other.written;
        self.surviving += other.surviving;
        self.decayed += other.decayed;
        self.erased += other.erased;
        self.overwritten += other.overwritten;
        for m in 0..3 {
            self.averaged[m] += other.averaged[m];
            self.taken[m] += other.taken[m];
            self.present[m] += other.present[m];
            self.gated[m] += other.gated[m];
        }
    }
}

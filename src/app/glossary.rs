//! The words of the window and what they mean, with their equations (arXiv 2606.26560 and what this program adds).

/// A word.
pub struct Entry {
    /// As the window says it.
    pub word: &'static str,
    /// As the paper writes it.
    pub symbol: &'static str,
    /// In a sentence or two.
    pub meaning: &'static str,
    /// The equation, if one says it.
    pub equation: &'static str,
}

impl Entry {
    /// Whether it is about what is sought, in lower case; everything is about nothing.
    pub fn matches(&self, sought: &str) -> bool {
        sought.is_empty() || [self.word, self.symbol, self.meaning].iter().any(|text| text.to_lowercase().contains(sought))
    }
}

/// All words.
pub const ENTRIES: &[Entry] = &[
    Entry {
        word: "memory",
        symbol: "S_t",
        meaning: "The matrix in which a head keeps what it was told: rows are key channels, columns value channels. It is read with a query.",
        equation: "o_t = S_t^T q_t",
    },
    Entry {
        word: "decay, retention",
        symbol: "α_t, ᾱ_t",
        meaning: "Passive forgetting: every key channel keeps this share at every step; 1 keeps all. ᾱ is the mean over channels.",
        equation: "Ŝ = diag(α_t) S_{t-1}",
    },
    Entry {
        word: "erase",
        symbol: "γ_t, e_t",
        meaning: "Active cleanup before the write: what the memory holds at the erase direction e is reduced by the erase strength γ.",
        equation: "S̃ = Ŝ − γ e (e^T Ŝ)",
    },
    Entry {
        word: "write",
        symbol: "β_t, k_t, v_t",
        meaning: "The corrective write: what stands at the write direction k is moved towards the value v by the write strength β.",
        equation: "S_t = S̃ + β k (v − S̃^T k)^T",
    },
    Entry {
        word: "gate share",
        symbol: "q_D, q_W, q_E",
        meaning: "How gate strength is divided between decay, write and erase. An allocation of gates, not removed energy.",
        equation: "b_D = 1 − ᾱ, b_W = ᾱ β, b_E = ᾱ γ; q = b / Σ b",
    },
    Entry {
        word: "removed energy",
        symbol: "",
        meaning: "The share of the memory's energy that the erase of a step takes.",
        equation: "γ (2 − γ) |Ŝ^T e|² / |Ŝ|²",
    },
    Entry {
        word: "unique contribution",
        symbol: "",
        meaning: "What the erase alone did to a write: its survival without the erase less its survival with it. What decay or overwriting would have taken anyway does not count.",
        equation: "",
    },
    Entry {
        word: "fate of a write",
        symbol: "",
        meaning: "Every write has four shares that sum to 1: surviving, decayed, erased, overwritten.",
        equation: "u_{t,i} = β_i P(t,i) k_i",
    },
    Entry {
        word: "exact attention",
        symbol: "A_{t,i}",
        meaning: "How much the read of step t takes from the write of step i: exact and signed, without a softmax and without a heuristic.",
        equation: "A_{t,i} = q_t · u_{t,i},  o_t = Σ A_{t,i} v_i",
    },
    Entry {
        word: "stale",
        symbol: "",
        meaning: "A value that was true and is no longer: its key was written anew, deleted, or its role went to another key.",
        equation: "",
    },
    Entry {
        word: "ceiling",
        symbol: "R²_i(λ)",
        meaning: "What a linear readout could get at best of a written value, given the noise λ. A reference: it assumes values independent of addresses.",
        equation: "u_i^T (U U^T + λ I)⁻¹ u_i",
    },
    Entry {
        word: "null",
        symbol: "",
        meaning: "The same measure on a replay in which the erase knows nothing of decay: strengths shuffled or constant, directions random. A finding must leave the bands of all.",
        equation: "",
    },
    Entry {
        word: "interval",
        symbol: "[low, high]",
        meaning: "95 % by a bootstrap over whole sequences: tokens of one sequence are not independent, so that the sequence is the unit.",
        equation: "",
    },
];

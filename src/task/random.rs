//! Counter-based randomness: a stream is a pure function of (seed, domain, index), the same on any machine.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The random stream of item `index` of `domain` under `seed`. Streams of different items are independent; none depends on
/// how many others were drawn before it, nor on threads.
pub fn stream(seed: u64, domain: &str, index: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&index.to_le_bytes()).update(domain.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

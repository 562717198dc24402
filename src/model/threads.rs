//! One pool of threads for everything.

/// Keeps candle from starting a pool of its own beside rayon's, unless `CANDLE_NUM_THREADS` says otherwise.
///
/// Candle shares out its element-wise sums to threads that wait by spinning. The operations here and candle's matrix products run
/// on rayon's threads; on a few cores the spinning ones take their place, and a training step takes several times as long.
///
/// # Safety
/// It sets an environment variable: no other thread may be running yet. Call it first in `main`.
pub unsafe fn share_one_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the caller vouches that this is the only thread.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

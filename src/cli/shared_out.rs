//! Several jobs over one or more cards.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;

use crate::memory::Device;

/// Does all jobs, `at_once` at a time, each on one place of `device`; every place has its own workers, so that none gets two jobs while
/// another waits. The outcomes come back in the order of the jobs. After an error no job is begun; those under way are finished, and the
/// error of the first that failed is returned.
pub fn shared_out<J: Sync, T: Send>(
    jobs: &[J],
    device: &Device,
    at_once: usize,
    work: impl Fn(&J, &Device) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let places = device.each();
    let next = Mutex::new(0..jobs.len());
    let done = Mutex::new(Vec::new());
    let failed = AtomicBool::new(false);
    let worker = |place: &Device| {
        while !failed.load(Ordering::Relaxed) {
            let Some(index) = next.lock().ok().and_then(|mut next| next.next()) else { break };
            let outcome = work(&jobs[index], place);
            if outcome.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            if let Ok(mut done) = done.lock() {
                done.push((index, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..at_once.min(jobs.len()) {
            let (worker, place) = (&worker, &places[number % places.len()]);
            scope.spawn(move || worker(place));
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    let n_done = done.len();
    let outcomes: Vec<T> = done.into_iter().map(|(_, outcome)| outcome).collect::<anyhow::Result<_>>()?;
    if n_done < jobs.len() {
        bail!("{n_done} of {} jobs were done: one broke off", jobs.len());
    }
    Ok(outcomes)
}

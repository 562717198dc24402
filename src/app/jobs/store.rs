//! The queue, the workers and the answers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache::{Cache, Outcome};
use super::key::Key;
use super::{Answer, Ask, Progress, Weight};
use crate::app::action::Action;

/// Frames after which a request nobody repeats is dropped from the queue.
const FORGOTTEN: u64 = 2;
/// Frames after which running work that nobody asks for is cancelled if other work waits.
const ABANDONED: u64 = 60;

/// Work that ends in actions for the session.
pub type Task = Box<dyn FnOnce(&Progress) -> Result<Vec<Action>, String> + Send>;

/// A task that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What was done.
    pub title: String,
    /// What the session should do now, or what went wrong.
    pub result: Result<Vec<Action>, String>,
}

/// Something under way, for the status line.
#[derive(Clone, Debug)]
pub struct Activity {
    /// What is being done.
    pub title: String,
    /// How far it is.
    pub share: Option<f32>,
    /// To cancel it.
    pub progress: Arc<Progress>,
}

/// Questions, tasks, and the workers behind them. Dropping it cancels what runs and waits for the workers.
pub struct Jobs {
    shared: Arc<Shared>,
    workers: Vec<std::thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Work came, or the end.
    work: Condvar,
    /// Work ended.
    idle: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct State {
    frame: u64,
    order: u64,
    open: bool,
    queued: Vec<Queued>,
    running: HashMap<u64, Running>,
    cache: Cache,
    finished: Vec<Finished>,
}

/// Finds an answer and says how many bytes it holds.
type Find = Box<dyn FnOnce(&Progress) -> (Outcome, usize) + Send>;

enum Work {
    Answer(Key, Find),
    Task(Task),
}

struct Queued {
    order: u64,
    asked: u64,
    weight: Weight,
    title: String,
    work: Work,
}

struct Running {
    key: Option<Key>,
    title: String,
    weight: Weight,
    asked: u64,
    progress: Arc<Progress>,
}

impl Jobs {
    /// Starts the workers. `wake` is called whenever something has ended; answers may hold `cache_bytes` together.
    pub fn new(cache_bytes: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let state = State {
            frame: 0,
            order: 0,
            open: true,
            queued: Vec::new(),
            running: HashMap::new(),
            cache: Cache::new(cache_bytes),
            finished: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new(), wake: Box::new(wake) });
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let light = if cores >= 4 { 2 } else { 1 };
        let spawn = |weight: Weight, name: &str, threads: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared, weight, threads)).ok()
        };
        let mut workers: Vec<_> = (0..light).filter_map(|_| spawn(Weight::Light, "light work", 1)).collect();
        let most = cores.saturating_sub(1).max(1);
        workers.extend(spawn(Weight::Heavy, "heavy work", most));
        workers.extend(spawn(Weight::Long, "long work", most));
        Self { shared, workers }
    }

    /// Begins a frame: requests that the last frames did not repeat are dropped.
    pub fn begin_frame(&self) {
        let mut state = self.shared.lock();
        state.frame += 1;
        let frame = state.frame;
        state.queued.retain(|queued| matches!(queued.work, Work::Task(_)) || queued.asked + FORGOTTEN >= frame);
        for running in state.running.values().filter(|running| running.key.is_some()) {
            let waits = state.queued.iter().any(|queued| queued.weight == running.weight);
            if waits && running.asked + ABANDONED < frame {
                running.progress.cancel();
            }
        }
        state.cache.shrink(frame);
    }

    /// What there is of an answer; the first time a question is asked, a worker sets out to find it.
    pub fn ask<K: Ask>(&self, ask: &K) -> Answer<K::Answer> {
        let key = Key::new(ask);
        let mut state = self.shared.lock();
        let frame = state.frame;
        if let Some(outcome) = state.cache.get(&key, frame) {
            return match outcome {
                Ok(answer) => Answer::Ready(answer.downcast().expect("a key's answer has the key's type")),
                Err(said) => Answer::Failed(said),
            };
        }
        if let Some(running) =
            state.running.values_mut().find(|running| running.key.as_ref() == Some(&key) && !running.progress.is_cancelled())
        {
            running.asked = frame;
            return Answer::Pending { title: running.title.clone(), share: running.progress.share() };
        }
        let same = |queued: &&mut Queued| matches!(&queued.work, Work::Answer(other, _) if *other == key);
        if let Some(queued) = state.queued.iter_mut().find(same) {
            queued.asked = frame;
            return Answer::Pending { title: queued.title.clone(), share: None };
        }
        let (title, question) = (ask.title(), ask.clone());
        let find = Box::new(move |progress: &Progress| match question.answer(progress) {
            Ok(answer) => {
                let bytes = K::bytes(&answer);
                (Ok(Arc::new(answer) as _), bytes)
            }
            Err(said) => (Err(Arc::from(said)), 0),
        });
        state.push(frame, K::WEIGHT, title.clone(), Work::Answer(key, find));
        drop(state);
        self.shared.work.notify_all();
        Answer::Pending { title, share: None }
    }

    /// Forgets an answer, so that it is sought anew: for a question whose failure may have passed.
    pub fn forget<K: Ask>(&self, ask: &K) {
        self.shared.lock().cache.forget(&Key::new(ask));
    }

    /// Starts a task.
    pub fn start(
        &self,
        weight: Weight,
        title: impl Into<String>,
        task: impl FnOnce(&Progress) -> Result<Vec<Action>, String> + Send + 'static,
    ) {
        let mut state = self.shared.lock();
        let frame = state.frame;
        state.push(frame, weight, title.into(), Work::Task(Box::new(task)));
        drop(state);
        self.shared.work.notify_all();
    }

    /// Waits for the user on a thread of its own: a dialog of the system, which may stay open for long and works nothing.
    pub fn wait_for(&self, title: impl Into<String>, wait: impl FnOnce() -> Result<Vec<Action>, String> + Send + 'static) {
        let (shared, title) = (Arc::clone(&self.shared), title.into());
        let name = title.clone();
        let spawned = std::thread::Builder::new().name(title.clone()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(wait)).unwrap_or_else(|panic| Err(panic_text(panic.as_ref())));
            shared.lock().finished.push(Finished { title, result });
            (shared.wake)();
        });
        if let Err(error) = spawned {
            self.shared.lock().finished.push(Finished { title: name, result: Err(error.to_string()) });
        }
    }

    /// Tasks that have ended since the last call.
    pub fn take_finished(&self) -> Vec<Finished> {
        std::mem::take(&mut self.shared.lock().finished)
    }

    /// What is under way.
    pub fn activities(&self) -> Vec<Activity> {
        let state = self.shared.lock();
        let mut running: Vec<_> = state.running.iter().collect();
        running.sort_by_key(|(order, _)| **order);
        let one = |running: &Running| Activity {
            title: running.title.clone(),
            share: running.progress.share(),
            progress: Arc::clone(&running.progress),
        };
        running.into_iter().map(|(_, running)| one(running)).collect()
    }

    /// Bytes that answers hold.
    pub fn cache_bytes(&self) -> usize {
        self.shared.lock().cache.bytes()
    }

    /// Sets how many bytes answers may hold.
    pub fn set_cache_limit(&self, bytes: usize) {
        self.shared.lock().cache.limit = bytes;
    }

    /// Whether nothing is queued, running or waiting to be taken.
    pub fn is_idle(&self) -> bool {
        self.shared.lock().is_idle()
    }

    /// Waits until nothing is queued or running; `false` if that takes longer. For tests and scripts.
    pub fn settle(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let mut state = self.shared.lock();
        while !(state.queued.is_empty() && state.running.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.open = false;
            state.queued.clear();
            state.running.values().for_each(|running| running.progress.cancel());
        }
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has nothing left to say.
            drop(worker.join());
        }
    }
}

impl Shared {
    /// Workers catch panics of what they run, so that a poisoned lock still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, asked: u64, weight: Weight, title: String, work: Work) {
        self.order += 1;
        self.queued.push(Queued { order: self.order, asked, weight, title, work });
    }

    fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty() && self.finished.is_empty()
    }

    /// The newest request of this weight.
    fn next(&mut self, weight: Weight) -> Option<Queued> {
        let fitting = self.queued.iter().enumerate().filter(|(_, queued)| queued.weight == weight);
        let place = fitting.max_by_key(|(_, queued)| (queued.asked, queued.order))?.0;
        Some(self.queued.swap_remove(place))
    }
}

/// A worker's life.
fn work(shared: &Shared, weight: Weight, threads: usize) {
    let pool = (weight != Weight::Light).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()).flatten();
    let mut state = shared.lock();
    while state.open {
        let Some(queued) = state.next(weight) else {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let Queued { order, asked, title, work, .. } = queued;
        let progress = Arc::new(Progress::unknown());
        let key = if let Work::Answer(key, _) = &work { Some(key.clone()) } else { None };
        state.running.insert(order, Running { key, title: title.clone(), weight, asked, progress: Arc::clone(&progress) });
        drop(state);

        let run = || catch_unwind(AssertUnwindSafe(|| perform(work, &progress)));
        let done = match &pool {
            Some(pool) => pool.install(run),
            None => run(),
        };

        state = shared.lock();
        let asked = state.running.remove(&order).map_or(asked, |running| running.asked);
        match done {
            // What was cancelled is neither kept nor said: asked again, it is sought again.
            _ if progress.is_cancelled() => {}
            Ok(Done::Answer(key, outcome, bytes)) => state.cache.insert(key, outcome, bytes, asked),
            Ok(Done::Task(result)) => state.finished.push(Finished { title, result }),
            Err(panic) => {
                let said = panic_text(panic.as_ref());
                state.finished.push(Finished { title, result: Err(format!("internal error, please report it: {said}")) });
            }
        }
        shared.idle.notify_all();
        (shared.wake)();
    }
}

enum Done {
    Answer(Key, Outcome, usize),
    Task(Result<Vec<Action>, String>),
}

fn perform(work: Work, progress: &Progress) -> Done {
    match work {
        Work::Answer(key, find) => {
            let (outcome, bytes) = catch_unwind(AssertUnwindSafe(|| find(progress)))
                .unwrap_or_else(|panic| (Err(Arc::from(format!("internal error, please report it: {}", panic_text(panic.as_ref())))), 0));
            Done::Answer(key, outcome, bytes)
        }
        Work::Task(task) => Done::Task(task(progress)),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

//! The interface never waits: what is asked comes, in a good order, once, and is forgotten within a bound.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pentimento::app::action::Action;
use pentimento::app::jobs::{Answer, Ask, Jobs, Progress, Weight};

const LONG: Duration = Duration::from_secs(20);

/// Says its own number; what it is asked to do first is in the number's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Number {
    test: &'static str,
    named: usize,
    does: Does,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Does {
    Answer,
    Fail,
    Panic,
    WaitForGate,
    WaitForCancel,
}

/// Numbers found, by test, in order; and gates that hold workers back.
fn found(test: &str) -> Vec<usize> {
    log().lock().unwrap().iter().filter(|(name, _)| *name == test).map(|(_, number)| *number).collect()
}

fn log() -> &'static Mutex<Vec<(&'static str, usize)>> {
    static LOG: OnceLock<Mutex<Vec<(&'static str, usize)>>> = OnceLock::new();
    LOG.get_or_init(Mutex::default)
}

static GATE: AtomicUsize = AtomicUsize::new(0);

impl Ask for Number {
    type Answer = usize;
    // There is one heavy worker on any machine: the order of what waits is seen.
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("number {}", self.named)
    }

    fn bytes(_answer: &usize) -> usize {
        1000
    }

    fn answer(&self, progress: &Progress) -> Result<usize, String> {
        match self.does {
            Does::Answer => {}
            Does::Fail => return Err(format!("number {} is not there", self.named)),
            Does::Panic => panic!("number {} is odd", self.named),
            Does::WaitForGate => {
                while GATE.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Does::WaitForCancel => loop {
                progress.set(0.5)?;
                std::thread::sleep(Duration::from_millis(1));
            },
        }
        log().lock().unwrap().push((self.test, self.named));
        Ok(self.named)
    }
}

fn number(test: &'static str, number: usize, does: Does) -> Number {
    Number { test, named: number, does }
}

#[test]
fn an_answer_is_found_once_and_kept() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&wakes);
    let jobs = Jobs::new(1 << 20, move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let ask = number("once", 7, Does::Answer);
    assert!(matches!(jobs.ask(&ask), Answer::Pending { .. }));
    assert!(jobs.settle(LONG));
    for _ in 0..3 {
        assert_eq!(jobs.ask(&ask).ready().map(|answer| **answer), Some(7));
    }
    assert_eq!((found("once"), wakes.load(Ordering::SeqCst)), (vec![7], 1));
}

#[test]
fn failures_and_panics_are_said_and_harm_nobody() {
    let jobs = Jobs::new(1 << 20, || {});
    let (fails, panics, good) = (number("fail", 1, Does::Fail), number("fail", 3, Does::Panic), number("fail", 5, Does::Answer));
    for ask in [&fails, &panics, &good] {
        drop(jobs.ask(ask));
        assert!(jobs.settle(LONG));
    }
    assert!(matches!(jobs.ask(&fails), Answer::Failed(said) if &*said == "number 1 is not there"));
    assert!(matches!(jobs.ask(&panics), Answer::Failed(said) if said.contains("number 3 is odd")));
    assert_eq!(jobs.ask(&good).ready().map(|answer| **answer), Some(5));
}

#[test]
fn the_newest_comes_first_and_what_nobody_asks_again_is_dropped() {
    let jobs = Jobs::new(1 << 20, || {});
    GATE.store(0, Ordering::SeqCst);
    // It keeps the one worker busy while the others queue.
    drop(jobs.ask(&number("order", 0, Does::WaitForGate)));
    while jobs.activities().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for scrubbed in 1..=5 {
        drop(jobs.ask(&number("order", scrubbed, Does::Answer)));
    }
    for _ in 0..4 {
        jobs.begin_frame();
        for shown in [2, 4] {
            drop(jobs.ask(&number("order", shown, Does::Answer)));
        }
    }
    GATE.store(1, Ordering::SeqCst);
    assert!(jobs.settle(LONG));
    assert_eq!(found("order"), [0, 4, 2]);
}

#[test]
fn abandoned_work_is_cancelled_when_other_work_waits() {
    let jobs = Jobs::new(1 << 20, || {});
    let endless = number("abandoned", 1, Does::WaitForCancel);
    drop(jobs.ask(&endless));
    while jobs.activities().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(jobs.ask(&endless), Answer::Pending { .. }));
    for _ in 0..70 {
        jobs.begin_frame();
        drop(jobs.ask(&number("abandoned", 2, Does::Answer)));
    }
    assert!(jobs.settle(LONG));
    assert_eq!(found("abandoned"), [2]);
    assert!(matches!(jobs.ask(&endless), Answer::Pending { .. }), "asked again it is sought again");
}

#[test]
fn the_cache_keeps_within_its_limit_and_keeps_what_is_on_screen() {
    let jobs = Jobs::new(3000, || {});
    for index in 0..10 {
        jobs.begin_frame();
        drop(jobs.ask(&number("cache", 100, Does::Answer)));
        drop(jobs.ask(&number("cache", index, Does::Answer)));
        assert!(jobs.settle(LONG));
        jobs.begin_frame();
        assert_eq!(jobs.ask(&number("cache", 100, Does::Answer)).ready().map(|answer| **answer), Some(100));
        drop(jobs.ask(&number("cache", index, Does::Answer)));
    }
    jobs.begin_frame();
    jobs.begin_frame();
    assert!(jobs.cache_bytes() <= 3000, "{}", jobs.cache_bytes());
    assert_eq!(found("cache").iter().filter(|number| **number == 100).count(), 1);
    assert!(jobs.ask(&number("cache", 0, Does::Answer)).ready().is_none(), "the oldest was forgotten");
}

#[test]
fn tasks_end_in_actions_or_in_words() {
    let jobs = Jobs::new(1 << 20, || {});
    jobs.start(Weight::Light, "good", |_| Ok(vec![Action::Undo]));
    jobs.start(Weight::Light, "bad", |_| Err("no such file".to_owned()));
    jobs.start(Weight::Light, "worse", |_| panic!("it broke"));
    for _ in 0..5 {
        jobs.begin_frame();
    }
    assert!(jobs.settle(LONG));
    let mut finished = jobs.take_finished();
    finished.sort_by(|a, b| a.title.cmp(&b.title));
    assert_eq!(finished[0].result, Err("no such file".to_owned()));
    assert_eq!(finished[1].result, Ok(vec![Action::Undo]));
    assert!(matches!(&finished[2].result, Err(said) if said.contains("it broke")));
    assert!(jobs.is_idle());
}

/// A fit of minutes that somebody set going.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fit(Number);

impl Ask for Fit {
    type Answer = usize;
    const WEIGHT: Weight = Weight::Long;

    fn title(&self) -> String {
        format!("fit {}", self.0.named)
    }

    fn bytes(_answer: &usize) -> usize {
        1000
    }

    fn answer(&self, progress: &Progress) -> Result<usize, String> {
        self.0.answer(progress)
    }
}

#[test]
fn long_work_goes_on_unseen_beside_everything_else_until_another_is_wanted() {
    const TEST: &str = "long";
    let jobs = Jobs::new(1 << 20, || {});
    let fit = Fit(number(TEST, 1, Does::WaitForCancel));
    jobs.begin_frame();
    assert!(jobs.ask(&fit).ready().is_none());
    while jobs.activities().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Nobody looks, and measures come and go: the fit runs on.
    for named in 10..13 {
        while jobs.ask(&number(TEST, named, Does::Answer)).ready().is_none() {
            jobs.begin_frame();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (0..100).for_each(|_| jobs.begin_frame());
    assert!(jobs.activities().iter().any(|activity| activity.title == "fit 1" && !activity.progress.is_cancelled()));
    // Another fit is wanted: the first, which nobody has asked for since, gives way.
    let other = Fit(number(TEST, 2, Does::Answer));
    for _ in 0..3 {
        jobs.begin_frame();
        drop(jobs.ask(&other));
    }
    assert!(jobs.settle(LONG));
    assert_eq!(jobs.ask(&other).ready().map(|found| **found), Some(2));
    assert!(!found(TEST).contains(&1));
}

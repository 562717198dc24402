//! The app driven by a file: for end-to-end tests, and for the pictures of the README, which the same harness makes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::action::{Action, Outside};
use super::core::Core;

/// One line of a script, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Do something.
    Do(Action),
    /// Go on when nothing is under way and the answers on screen are there; fail after so many seconds.
    Settle(f64),
    /// Draw this many frames: for what moves.
    Frames(u32),
    /// Go on when a person (or a program with a mouse) has picked tokens; fail after so many seconds.
    UntilPicked(f64),
    /// Stay until a person closes the window; fail after so many seconds.
    Stay(f64),
    /// Save a picture of the window.
    Picture(PathBuf),
    /// Write what is open and selected, and what went wrong, as JSON.
    Report(PathBuf),
}

/// What [`Step::Report`] writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Names of the open traces.
    pub traces: Vec<String>,
    /// What is selected.
    pub selection: super::selection::Selection,
    /// What went wrong so far.
    pub errors: Vec<String>,
}

/// What keeps a script from being run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("cannot read the script ({source}): {path}")]
    Read {
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: String,
    },
    /// A line is none.
    #[error("line {line} of the script is not a step ({reason}): {path}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
        /// Where.
        path: String,
    },
}

/// Reads a script: one step a line, empty lines and lines with `#` left out.
pub fn read(path: &Path) -> Result<Vec<Step>, ScriptError> {
    let place = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Read { source, path: place() })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let step = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| ScriptError::Line { line: index + 1, reason: error.to_string(), path: place() })
    };
    lines.map(step).collect()
}

/// A script under way.
pub struct Runner {
    steps: std::vec::IntoIter<Step>,
    waiting: Option<Wait>,
}

enum Wait {
    Settled { since: Instant, longest: Duration, quiet_frames: u32 },
    Picked(Instant),
    Closed(Instant),
    Frames(u32),
    Picture,
}

impl Runner {
    /// A script from its beginning.
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps: steps.into_iter(), waiting: None }
    }

    /// A picture that was asked for has been saved.
    pub fn picture_saved(&mut self) {
        if matches!(self.waiting, Some(Wait::Picture)) {
            self.waiting = None;
        }
    }

    /// Does what can be done before this frame; `false` at the end of the script.
    pub fn advance(&mut self, core: &mut Core) -> bool {
        loop {
            match &mut self.waiting {
                Some(Wait::Settled { since, longest, quiet_frames }) => {
                    *quiet_frames = if core.jobs.is_idle() { *quiet_frames + 1 } else { 0 };
                    if since.elapsed() > *longest {
                        let seconds = longest.as_secs_f64();
                        core.complain("The script waited too long", &format!("work was still under way after {seconds} s"));
                    } else if *quiet_frames < 4 {
                        return true;
                    }
                    self.waiting = None;
                }
                Some(Wait::Picked(end)) => {
                    if !core.session.selection().steps.is_empty() {
                        self.waiting = None;
                    } else if Instant::now() > *end {
                        core.complain("The script waited too long", "nobody picked a token");
                        self.waiting = None;
                    } else {
                        return true;
                    }
                }
                Some(Wait::Closed(end)) => {
                    if Instant::now() <= *end {
                        return true;
                    }
                    core.complain("The script waited too long", "nobody closed the window");
                    self.waiting = None;
                }
                Some(Wait::Frames(left)) if *left > 0 => {
                    *left -= 1;
                    return true;
                }
                Some(Wait::Frames(_)) => self.waiting = None,
                Some(Wait::Picture) => return true,
                None => match self.steps.next() {
                    None => return false,
                    Some(step) => self.begin(core, step),
                },
            }
        }
    }

    fn begin(&mut self, core: &mut Core, step: Step) {
        match step {
            Step::Do(action) => core.act(action),
            Step::Settle(seconds) => {
                self.waiting = Some(Wait::Settled { since: Instant::now(), longest: duration(seconds), quiet_frames: 0 });
            }
            Step::UntilPicked(seconds) => self.waiting = Some(Wait::Picked(Instant::now() + duration(seconds))),
            Step::Stay(seconds) => self.waiting = Some(Wait::Closed(Instant::now() + duration(seconds))),
            Step::Frames(frames) => self.waiting = Some(Wait::Frames(frames)),
            Step::Picture(path) => {
                core.act(Outside::Screenshot(path));
                self.waiting = Some(Wait::Picture);
            }
            Step::Report(path) => {
                let report = Report {
                    traces: core.session.traces().iter().map(|open| open.name().to_owned()).collect(),
                    selection: core.session.selection().clone(),
                    errors: core.errors(),
                };
                let text = serde_json::to_string_pretty(&report).expect("plain data serialises");
                if let Err(error) = std::fs::write(&path, text) {
                    core.complain("The report cannot be written", &error.to_string());
                }
            }
        }
    }
}

/// Seconds of a script; a minute where they make no sense.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_mins(1)).min(Duration::from_hours(1))
}

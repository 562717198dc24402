//! What stands around the panels: menu, status line, welcome screen, overlays, shortcuts, toasts, log.

pub mod drop;
pub mod menu;
mod overlay;
mod palette;
mod path;
pub mod shortcuts;
pub mod status;
mod tour;
pub mod welcome;

use egui_notify::{Anchor, Toasts};

use super::action::{Action, Overlay};
use super::jobs::Jobs;
use super::session::Session;

/// As many lines as the log keeps.
const MOST_LINES: usize = 2000;

/// Signs of toasts, readable on dark and light; drawn with letters, which the bundled font has.
const QUIET: egui::Color32 = egui::Color32::from_rgb(0x3A, 0x8F, 0xC8);
const ALARM: egui::Color32 = egui::Color32::from_rgb(0xD8, 0x3A, 0x2E);

/// What the overlays keep between frames.
#[derive(Default)]
pub struct Chrome {
    toasts: Toasts,
    log: Vec<Line>,
    palette: palette::Palette,
    path: path::PathPrompt,
    tour: usize,
    shown: Option<Overlay>,
}

/// A line of the log.
pub(super) struct Line {
    /// Whether something went wrong.
    pub is_error: bool,
    /// What happened.
    pub text: String,
}

impl Chrome {
    /// Notes what was done.
    pub fn log(&mut self, action: &Action) {
        let text = serde_json::to_string(action).unwrap_or_else(|_| format!("{action:?}"));
        self.note(false, text);
    }

    /// Says something in passing.
    pub fn say(&mut self, text: &str) {
        self.toasts.custom(text, "i".to_owned(), QUIET).duration(std::time::Duration::from_secs(4)).closable(false);
        self.note(false, text.to_owned());
    }

    /// Says what went wrong, until it is closed; details are in the log.
    pub fn complain(&mut self, what: &str, why: &str) {
        let short: String = why.chars().take(240).collect();
        let more = if short.len() < why.len() { " … (Ctrl+L: the log has all)" } else { "" };
        let shown = self.toasts.custom(format!("{what}\n{short}{more}"), "!".to_owned(), ALARM);
        shown.duration(std::time::Duration::from_secs(12)).closable(false);
        self.note(true, format!("{what}: {why}"));
    }

    /// Draws what lies over the window.
    pub fn overlays(&mut self, context: &egui::Context, session: &Session, jobs: &Jobs, actions: &mut Vec<Action>) {
        let open = session.overlay();
        let is_new = open != self.shown;
        self.shown = open;
        match open {
            Some(Overlay::Palette) => self.palette.ui(context, session, is_new, actions),
            Some(Overlay::Shortcuts) => overlay::shortcuts(context, actions),
            Some(Overlay::Log) => overlay::log(context, &self.log, actions),
            Some(Overlay::Settings) => overlay::settings(context, session, jobs, actions),
            Some(Overlay::Path(sought)) => self.path.ui(context, sought, is_new, actions),
            Some(Overlay::Tour) => tour::ui(context, session, is_new, &mut self.tour, actions),
            None => {}
        }
        self.toasts.show(context);
    }

    fn note(&mut self, is_error: bool, text: String) {
        if self.log.len() == MOST_LINES {
            self.log.remove(0);
        }
        self.log.push(Line { is_error, text });
    }
}

impl Chrome {
    /// Toasts above the status line, at the right.
    pub fn new() -> Self {
        Self { toasts: Toasts::default().with_anchor(Anchor::BottomRight).with_margin(egui::vec2(12.0, 36.0)), ..Self::default() }
    }

    /// What went wrong so far, for tests and scripts.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.log.iter().filter(|line| line.is_error).map(|line| line.text.as_str())
    }
}

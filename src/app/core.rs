//! One frame: the session, the jobs, the panels and what stands around them, without a window system.

use std::path::PathBuf;
use std::sync::Arc;

use egui::{CentralPanel, Frame, Ui};

use super::action::{Action, Outside};
use super::chrome::{self, Chrome};
use super::jobs::Jobs;
use super::panel::{Hover, Panels};
use super::session::Session;
use super::settings::{Appearance, Settings};
use super::tiles::Arrangement;
use super::{effects, theme};

/// Folders of the user that the app may write into; none in tests.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Recordings of bundled models.
    pub cache: PathBuf,
    /// Settings and the last session; `None` keeps nothing.
    pub state: Option<PathBuf>,
}

impl Folders {
    /// The session as it was last left, if there is one.
    pub fn last_session(&self) -> Option<PathBuf> {
        self.state.as_ref().map(|folder| folder.join(LAST_SESSION)).filter(|file| file.is_file())
    }
}

/// The workspace that is kept at the end, beside the settings.
pub(super) const LAST_SESSION: &str = "session.pentimento";

/// Everything but the window.
pub struct Core {
    /// What is open and selected.
    pub session: Session,
    /// Work in the background.
    pub jobs: Jobs,
    pub(super) panels: Panels,
    pub(super) chrome: Chrome,
    pub(super) folders: Arc<Folders>,
    last_session: Option<PathBuf>,
    /// When the welcome screen was first shown, in seconds of the window's clock.
    welcomed: Option<f64>,
    hover: Hover,
    /// Seconds played that have not made a step yet.
    played: f32,
    /// What only the window can do: pictures of it, and its end.
    pub(super) for_window: Vec<Outside>,
    styled: Option<(Appearance, u32)>,
}

impl Core {
    /// A core with these settings. The context gets the app's fonts and styles.
    pub fn new(context: &egui::Context, settings: Settings, folders: Folders) -> Self {
        theme::install(context);
        let session = Session::new(settings);
        let wake = context.clone();
        let jobs = Jobs::new(session.settings().cache_megabytes << 20, move || wake.request_repaint());
        Self {
            session,
            jobs,
            panels: Panels::default(),
            chrome: Chrome::new(),
            last_session: folders.last_session(),
            welcomed: None,
            folders: Arc::new(folders),
            hover: Hover::default(),
            played: 0.0,
            for_window: Vec::new(),
            styled: None,
        }
    }

    /// Does something now.
    pub fn act(&mut self, action: impl Into<Action>) {
        let action = action.into();
        let cache = self.session.settings().cache_megabytes;
        if !matches!(action, Action::SelectStep(_) | Action::MoveStep(_) | Action::SetView { .. }) {
            self.chrome.log(&action);
        }
        let effects = self.session.apply(action);
        if self.session.settings().cache_megabytes != cache {
            self.jobs.set_cache_limit(self.session.settings().cache_megabytes << 20);
        }
        for effect in effects {
            effects::perform(self, effect);
        }
    }

    /// Takes a workspace for the session and opens its traces.
    pub fn restore(&mut self, workspace: super::workspace::Workspace) {
        for effect in self.session.restore(workspace) {
            effects::perform(self, effect);
        }
    }

    /// Draws everything and does what the user did.
    pub fn ui(&mut self, ui: &mut Ui) {
        let context = ui.ctx().clone();
        self.jobs.begin_frame();
        self.take_finished();
        self.play(&context);
        self.style(&context);
        if context.input(|input| input.pointer.any_released()) {
            self.session.end_gesture();
        }
        let mut actions = chrome::shortcuts::read(&context, &self.session);
        actions.extend(chrome::drop::read(&context));

        chrome::menu::ui(ui, &self.session, &mut actions);
        chrome::status::ui(ui, &self.session, &self.jobs, &mut actions);
        let mut next = Hover::default();
        let central = Frame::new().fill(ui.visuals().panel_fill);
        CentralPanel::default().frame(central).show(ui, |ui| {
            if self.session.is_empty() {
                let now = context.input(|input| input.time);
                let shown = now - *self.welcomed.get_or_insert(now);
                let welcome = chrome::welcome::Welcome {
                    shown,
                    session: &self.session,
                    jobs: &self.jobs,
                    last_session: self.last_session.as_deref(),
                    cache: &self.folders.cache,
                };
                welcome.ui(ui, &mut actions);
            } else {
                Arrangement {
                    session: &self.session,
                    jobs: &self.jobs,
                    panels: &mut self.panels,
                    hover: self.hover,
                    hover_next: &mut next,
                    actions: &mut actions,
                }
                .ui(ui);
            }
        });
        if next != self.hover {
            // The other panels light up what this one found, one frame later.
            context.request_repaint();
        }
        self.hover = next;
        self.chrome.overlays(&context, &self.session, &self.jobs, &mut actions);
        for action in actions {
            self.act(action);
        }
    }

    /// Tells the user something in passing.
    pub fn say(&mut self, text: &str) {
        self.chrome.say(text);
    }

    /// Tells the user what went wrong: in passing, and in the log.
    pub fn complain(&mut self, what: &str, why: &str) {
        self.chrome.complain(what, why);
    }

    /// What went wrong so far.
    pub fn errors(&self) -> Vec<String> {
        self.chrome.errors().map(str::to_owned).collect()
    }

    fn take_finished(&mut self) {
        for finished in self.jobs.take_finished() {
            match finished.result {
                Ok(actions) => actions.into_iter().for_each(|action| self.act(action)),
                Err(why) => self.complain(&finished.title, &why),
            }
        }
    }

    /// Moves on while playing: as many steps as the time asks for, so that a slow frame does not slow the play.
    fn play(&mut self, context: &egui::Context) {
        let (playing, speed, _) = self.session.playing();
        if !playing {
            self.played = 0.0;
            return;
        }
        self.played += context.input(|input| input.stable_dt).min(0.25) * speed;
        let steps = self.played.floor();
        self.played -= steps;
        if steps >= 1.0 {
            let before = self.session.selection().step;
            self.act(Action::MoveStep(steps as isize));
            if self.session.selection().step == before {
                self.act(Action::Play(false));
            }
        }
        context.request_repaint_after(std::time::Duration::from_secs_f32((1.0 / speed).clamp(1.0 / 60.0, 0.1)));
    }

    fn style(&mut self, context: &egui::Context) {
        let settings = self.session.settings();
        let wanted = (settings.appearance, settings.zoom.to_bits());
        if self.styled.replace(wanted) == Some(wanted) {
            return;
        }
        context.set_theme(match settings.appearance {
            Appearance::Light => egui::ThemePreference::Light,
            Appearance::Dark => egui::ThemePreference::Dark,
            Appearance::System => egui::ThemePreference::System,
        });
        context.set_zoom_factor(settings.zoom);
    }
}

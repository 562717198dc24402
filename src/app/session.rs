//! The session: what is open, what is selected, how it is viewed. Every change is an action.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::action::{Action, Effect, Overlay};
use super::history::{Bookmark, History, State};
use super::layout::{Layout, Preset};
use super::open_results::OpenResults;
use super::open_trace::{OpenTrace, TraceSource};
use super::panel::PanelKind;
use super::selection::{Selection, StepSet};
use super::settings::Settings;
use super::workspace::Workspace;
use crate::trace::Layer;

/// Everything the window shows, without the window.
#[derive(Debug, Default)]
pub struct Session {
    traces: Vec<OpenTrace>,
    results: Vec<OpenResults>,
    state: State,
    history: History,
    settings: Settings,
    playing: bool,
    /// A model is at work though no trace is open yet.
    at_model: bool,
    speed: Option<f32>,
    overlay: Option<Overlay>,
    /// A workspace whose traces are still being opened: where each belongs.
    awaited: Vec<TraceSource>,
    awaited_selection: Option<Selection>,
    awaited_results: Vec<std::path::PathBuf>,
}

/// What a panel lets one choose. Plain data with defaults; a panel's own file defines it.
pub trait View: Serialize + DeserializeOwned + Default {
    /// The panel it belongs to.
    const PANEL: PanelKind;
}

/// The trace, layer and head that are looked at.
#[derive(Clone, Copy)]
pub struct Focus<'a> {
    /// The trace.
    pub trace: &'a OpenTrace,
    /// The layer.
    pub layer: &'a Layer,
    /// The whole selection, which lies within the trace.
    pub selection: &'a Selection,
}

impl Session {
    /// An empty session with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings: settings.within_ranges(), ..Self::default() }
    }

    /// The open traces.
    pub fn traces(&self) -> &[OpenTrace] {
        &self.traces
    }

    /// The open results.
    pub fn results(&self) -> &[OpenResults] {
        &self.results
    }

    /// Whether there is nothing to show but the welcome screen.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty() && self.results.is_empty() && !self.at_model
    }

    /// What is selected.
    pub const fn selection(&self) -> &Selection {
        &self.state.selection
    }

    /// The trace, layer and head that are looked at; `None` while nothing is open.
    pub fn focus(&self) -> Option<Focus<'_>> {
        let trace = self.traces.get(self.state.selection.trace)?;
        Some(Focus { trace, layer: trace.layer(self.state.selection.layer)?, selection: &self.state.selection })
    }

    /// What undo restores and a workspace keeps.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// How the panels are arranged.
    pub const fn layout(&self) -> &Layout {
        &self.state.layout
    }

    /// Selections under names.
    pub fn bookmarks(&self) -> &[Bookmark] {
        &self.state.bookmarks
    }

    /// Settings that outlive the session.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the steps are playing, steps a second, and the steps repeated.
    pub fn playing(&self) -> (bool, f32, Option<(usize, usize)>) {
        (self.playing, self.speed.unwrap_or(8.0), self.state.repeat)
    }

    /// What lies over the window.
    pub const fn overlay(&self) -> Option<Overlay> {
        self.overlay
    }

    /// Whether something can be taken back, and whether something can be done again.
    pub fn can_undo_redo(&self) -> (bool, bool) {
        self.history.can()
    }

    /// What a panel lets one choose; the default where nothing was chosen, or what was is not understood.
    pub fn view<V: View>(&self) -> V {
        let stored = self.state.views.get(&V::PANEL).cloned();
        stored.and_then(|view| serde_json::from_value(view).ok()).unwrap_or_default()
    }

    /// The workspace as it would be saved.
    pub fn workspace(&self) -> Workspace {
        let results = self.results.iter().map(|open| open.path().to_path_buf()).collect();
        Workspace::new(
            self.traces.iter().map(|open| open.source().clone()).filter(TraceSource::lasts).collect(),
            results,
            self.state.clone(),
        )
    }

    /// Takes a workspace for the session: its traces still have to be opened.
    pub fn restore(&mut self, workspace: Workspace) -> Vec<Effect> {
        let (traces, results, state) = workspace.into_parts();
        self.traces.clear();
        self.results.clear();
        self.awaited_results.clone_from(&results);
        self.history.clear();
        self.playing = false;
        self.awaited_selection = Some(state.selection.clone());
        self.state = state;
        self.awaited.clone_from(&traces);
        traces.into_iter().map(Effect::OpenSource).chain(results.into_iter().map(Effect::Open)).collect()
    }

    /// Remembers a workspace among the files opened lately.
    pub fn remember(&mut self, path: &Path) {
        self.settings.remember(&TraceSource::Path(path.to_path_buf()));
    }

    /// A gesture (a drag, a scrub) is over: what follows is a step of undo of its own.
    pub fn end_gesture(&mut self) {
        self.history.end_gesture();
    }

    /// Applies an action. What it asks of the world outside comes back.
    pub fn apply(&mut self, action: Action) -> Vec<Effect> {
        let undoable = action.is_undoable();
        let gesture = action.gesture();
        let before = undoable.then(|| self.state.clone());
        let effects = self.change(action);
        self.state.selection = std::mem::take(&mut self.state.selection).within(&self.traces);
        if let Some(before) = before.filter(|before| *before != self.state) {
            self.history.note(&before, gesture);
        }
        effects
    }

    fn change(&mut self, action: Action) -> Vec<Effect> {
        if matches!(&action, Action::Arrange(Preset::Live) | Action::ShowPanel(PanelKind::Live) | Action::ShowAlone(PanelKind::Live)) {
            self.at_model = true;
        }
        let selection = &mut self.state.selection;
        match action {
            Action::Open(paths) => return paths.into_iter().map(Effect::Open).collect(),
            Action::OpenBundled(name) => return vec![Effect::OpenSource(TraceSource::Bundled(name))],
            Action::Opened(open) => self.opened(open),
            Action::OpenedResults(open) => self.opened_results(open),
            Action::Restore(workspace) => return self.restore(*workspace),
            Action::Close(index) => self.close(index),
            Action::CloseResults(index) if index < self.results.len() => drop(self.results.remove(index)),
            Action::Outside(outside) => return vec![Effect::Outside(outside)],
            Action::Select(wanted) => *selection = wanted,
            Action::SelectTrace(trace) => *selection = Selection { trace, steps: StepSet::default(), ..selection.clone() },
            Action::SelectSequence(sequence) => *selection = Selection { sequence, write: None, ..selection.clone() },
            Action::SelectHead { layer, head } => (selection.layer, selection.head) = (layer, head),
            Action::SelectStep(step) => selection.step = step,
            Action::MoveStep(by) => self.move_step(by),
            Action::SelectToken { sequence, step } => (selection.sequence, selection.step) = (sequence, step),
            Action::PickSteps(steps) => selection.steps = steps,
            Action::PickMoreSteps(steps) => selection.steps = selection.steps.with(&steps),
            Action::InvertPicked => self.invert_picked(),
            Action::ClearPicked => selection.steps = StepSet::default(),
            Action::SelectWrite(write) => selection.write = write,
            Action::AddBookmark(name) => self.add_bookmark(name),
            Action::RemoveBookmark(index) if index < self.state.bookmarks.len() => drop(self.state.bookmarks.remove(index)),
            Action::GoToBookmark(index) => {
                if let Some(bookmark) = self.state.bookmarks.get(index) {
                    self.state.selection = bookmark.selection.clone();
                }
            }
            Action::CloseResults(_) | Action::RemoveBookmark(_) => {}
            Action::Play(playing) => self.playing = playing && !self.traces.is_empty(),
            Action::SetSpeed(speed) => self.speed = Some(if speed.is_finite() { speed.clamp(0.5, 120.0) } else { 8.0 }),
            Action::SetLoop(steps) => self.state.repeat = steps.map(|(from, to)| (from.min(to), from.max(to))),
            Action::SetView { panel, view } => drop(self.state.views.insert(panel, view)),
            Action::Arrange(preset) => self.state.layout = Layout::preset(preset),
            Action::SetLayout(layout) => self.state.layout = layout.checked(),
            Action::ShowPanel(panel) => self.state.layout.show(panel),
            Action::ShowAlone(panel) => self.state.layout = Layout::alone(panel),
            Action::SetAppearance(appearance) => self.settings.appearance = appearance,
            Action::SetZoom(zoom) => self.settings = Settings { zoom, ..self.settings.clone() }.within_ranges(),
            Action::SetSettings(settings) => self.settings = settings.within_ranges(),
            Action::Undo => {
                if !self.history.undo(&mut self.state) {
                    return vec![Effect::Say("Nothing to undo".to_owned())];
                }
            }
            Action::Redo => {
                if !self.history.redo(&mut self.state) {
                    return vec![Effect::Say("Nothing to redo".to_owned())];
                }
            }
            Action::Toggle(overlay) => {
                if overlay == Overlay::Tour {
                    self.settings.tour_done = true;
                }
                self.overlay = if self.overlay == Some(overlay) { None } else { Some(overlay) };
            }
            Action::Escape => {
                if self.overlay.take().is_none() {
                    selection.steps = StepSet::default();
                }
            }
            Action::ClearRecent => self.settings.recent.clear(),
        }
        Vec::new()
    }

    /// A trace that was opened takes the place a workspace has for it, or the last; the same source opened anew replaces the old.
    fn opened(&mut self, open: OpenTrace) {
        let source = open.source().clone();
        if source.lasts() {
            self.settings.remember(&source);
        }
        if let Some(index) = self.traces.iter().position(|other| *other.source() == source) {
            self.traces[index] = open;
            self.state.selection.trace = index;
            return;
        }
        let rank = |source: &TraceSource| self.awaited.iter().position(|awaited| awaited == source);
        let place = rank(&source).map_or(self.traces.len(), |mine| {
            self.traces.iter().position(|other| rank(other.source()).is_none_or(|theirs| theirs > mine)).unwrap_or(self.traces.len())
        });
        let awaited = rank(&source).is_some();
        self.traces.insert(place, open);
        match &self.awaited_selection {
            Some(selection) if awaited => {
                self.state.selection = selection.clone();
                if self.traces.len() == self.awaited.len() {
                    self.awaited_selection = None;
                }
            }
            _ => {
                // The first trace is opened where something is to be seen; a further one where the last was looked at.
                let look = if self.traces.len() == 1 { self.traces[place].first_look() } else { &self.state.selection };
                self.state.selection = Selection { trace: place, steps: StepSet::default(), ..look.clone() };
            }
        }
    }

    /// Results come to the front, unless a workspace has its own arrangement; the same file opened anew replaces the old.
    fn opened_results(&mut self, open: OpenResults) {
        self.settings.remember(&TraceSource::Path(open.path().to_path_buf()));
        let awaited = self.awaited_results.iter().position(|path| path == open.path());
        match self.results.iter().position(|other| other.path() == open.path()) {
            Some(index) => self.results[index] = open,
            None => self.results.push(open),
        }
        if let Some(index) = awaited {
            self.awaited_results.remove(index);
        } else if self.traces.is_empty() && self.results.len() == 1 {
            self.state.layout = Layout::preset(Preset::Results);
        } else {
            self.state.layout.show(PanelKind::Results);
        }
    }

    fn close(&mut self, index: usize) {
        if index >= self.traces.len() {
            return;
        }
        self.traces.remove(index);
        self.history.clear();
        let selection = &mut self.state.selection;
        if selection.trace > index || selection.trace == self.traces.len() {
            selection.trace = selection.trace.saturating_sub(1);
        }
        self.playing &= !self.traces.is_empty();
        self.at_model &= !self.traces.is_empty();
    }

    fn move_step(&mut self, by: isize) {
        let Some(n_steps) = self.focus().map(|focus| focus.trace.trace().n_steps()).filter(|n| *n > 0) else { return };
        let step = &mut self.state.selection.step;
        let wanted = step.saturating_add_signed(by).min(n_steps - 1);
        *step = match self.state.repeat {
            // Playing inside a loop comes round; a key press may leave it.
            Some((from, to)) if self.playing && (wanted > to || wanted < from) => from.min(n_steps - 1),
            _ => wanted,
        };
    }

    fn invert_picked(&mut self) {
        let Some(focus) = self.focus() else { return };
        let trace = focus.trace.trace();
        self.state.selection.steps = self.state.selection.steps.inverted(trace.n_batch(), trace.n_steps());
    }

    fn add_bookmark(&mut self, name: String) {
        let Some(focus) = self.focus() else { return };
        let Selection { sequence, layer, head, step, .. } = focus.selection;
        let place = format!("{}, sequence {sequence}, layer {layer}, head {head}, step {step}", focus.trace.name());
        let name = if name.trim().is_empty() { place } else { name };
        let selection = self.state.selection.clone();
        self.state.bookmarks.push(Bookmark { name, selection });
    }
}

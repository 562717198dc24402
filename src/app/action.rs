//! Everything a user can do, as data: buttons, shortcuts, the command palette, scripts and undo all speak of the same actions.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layout::{Layout, Preset};
use super::open_trace::TraceSource;
use super::panel::PanelKind;
use super::selection::{Selection, StepSet};
use super::settings::{Appearance, Settings};
use crate::figure::Format;

/// One thing done. The session changes through [`Session::apply`](super::session::Session::apply) and nowhere else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Open traces, results or a workspace, by what lies there.
    Open(Vec<PathBuf>),
    /// Open a trace of a bundled model, recorded on first use.
    OpenBundled(String),
    /// A trace was opened (the end of a task).
    #[serde(skip)]
    Opened(super::open_trace::OpenTrace),
    /// Results were opened (the end of a task).
    #[serde(skip)]
    OpenedResults(super::open_results::OpenResults),
    /// Take a workspace for the session (the end of a task).
    #[serde(skip)]
    Restore(Box<super::workspace::Workspace>),
    /// Close one of the open traces.
    Close(usize),
    /// Close one of the open results.
    CloseResults(usize),
    /// Something that the session leaves to the world outside it.
    Outside(Outside),

    /// Take this for the selection.
    Select(Selection),
    /// Look at another of the open traces.
    SelectTrace(usize),
    /// Look at another sequence.
    SelectSequence(usize),
    /// Look at another head.
    SelectHead {
        /// The layer's number in the model.
        layer: usize,
        /// The head of the layer.
        head: usize,
    },
    /// Look at another step.
    SelectStep(usize),
    /// Look this many steps on, or back.
    MoveStep(isize),
    /// Look at a token: the sequence and the step.
    SelectToken {
        /// The sequence.
        sequence: usize,
        /// The step.
        step: usize,
    },
    /// Pick tokens.
    PickSteps(StepSet),
    /// Pick these tokens too.
    PickMoreSteps(StepSet),
    /// Pick what is not picked.
    InvertPicked,
    /// Pick nothing.
    ClearPicked,
    /// Follow a write, or none.
    SelectWrite(Option<usize>),

    /// Remember the selection under a name; an empty name gets one.
    AddBookmark(String),
    /// Forget a bookmark.
    RemoveBookmark(usize),
    /// Go back to what a bookmark remembers.
    GoToBookmark(usize),

    /// Play the steps, or stop.
    Play(bool),
    /// Steps a second when playing.
    SetSpeed(f32),
    /// The steps that playing repeats, both ends included; none is all.
    SetLoop(Option<(usize, usize)>),

    /// What a panel lets one choose, as the panel itself reads it.
    SetView {
        /// Which panel.
        panel: PanelKind,
        /// Its choices.
        view: Value,
    },
    /// Arrange the panels as a preset has them.
    Arrange(Preset),
    /// Arrange the panels so (the end of a drag).
    SetLayout(Box<Layout>),
    /// Bring a panel to the front, into the window if it is not there.
    ShowPanel(PanelKind),
    /// Show one panel and no other; undo brings the others back.
    ShowAlone(PanelKind),
    /// Light, dark, or as the system has it.
    SetAppearance(Appearance),
    /// Size of everything: 1 is as designed.
    SetZoom(f32),
    /// Take these settings.
    SetSettings(Settings),

    /// Take back the last change of selection, view, bookmarks or layout.
    Undo,
    /// Do again what was taken back.
    Redo,
    /// Open or close something that lies over the window.
    Toggle(Overlay),
    /// Close whatever lies over the window; if nothing does, pick nothing.
    Escape,
    /// Forget the files opened lately.
    ClearRecent,
}

impl From<Outside> for Action {
    fn from(outside: Outside) -> Self {
        Self::Outside(outside)
    }
}

/// What changes nothing in the session: dialogs, files, the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// Ask for files to open, in the system's dialog.
    OpenDialog,
    /// Ask where to save the workspace, in the system's dialog.
    SaveWorkspaceDialog,
    /// Save the workspace.
    SaveWorkspace(PathBuf),
    /// Ask where to export a panel's figure to, in the system's dialog.
    ExportDialog(PanelKind),
    /// Export a panel's figure with its data and provenance; the stem's folder must exist.
    Export {
        /// Which panel.
        panel: PanelKind,
        /// Folder and name without extension.
        stem: PathBuf,
        /// Which forms.
        formats: Vec<Format>,
    },
    /// Save a picture of the window.
    Screenshot(PathBuf),
    /// End the program.
    Quit,
}

/// Something that lies over the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlay {
    /// The command palette.
    Palette,
    /// The shortcut sheet.
    Shortcuts,
    /// The log of what happened.
    Log,
    /// The settings.
    Settings,
    /// The tour.
    Tour,
    /// A path to type, where the system has no dialog for it.
    Path(Sought),
}

/// What a path is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// Something to open.
    ToOpen,
    /// Where the workspace goes.
    Workspace,
    /// Where a panel's figure goes.
    Figure(PanelKind),
}

impl Action {
    /// Whether it is taken back by undo.
    pub const fn is_undoable(&self) -> bool {
        matches!(
            self,
            Self::Select(_)
                | Self::SelectTrace(_)
                | Self::SelectSequence(_)
                | Self::SelectHead { .. }
                | Self::SelectStep(_)
                | Self::MoveStep(_)
                | Self::SelectToken { .. }
                | Self::PickSteps(_)
                | Self::PickMoreSteps(_)
                | Self::InvertPicked
                | Self::ClearPicked
                | Self::SelectWrite(_)
                | Self::AddBookmark(_)
                | Self::RemoveBookmark(_)
                | Self::GoToBookmark(_)
                | Self::SetLoop(_)
                | Self::SetView { .. }
                | Self::Arrange(_)
                | Self::SetLayout(_)
                | Self::ShowPanel(_)
                | Self::ShowAlone(_)
        )
    }

    /// Actions of one gesture (a scrub, a slider's drag) are one step of undo: those of the same kind, in a row.
    pub fn gesture(&self) -> Option<String> {
        match self {
            Self::SelectStep(_) | Self::MoveStep(_) => Some("step".to_owned()),
            Self::SetLayout(_) => Some("layout".to_owned()),
            Self::SetLoop(_) => Some("loop".to_owned()),
            Self::SetView { panel, .. } => Some(format!("view of {}", panel.name())),
            _ => None,
        }
    }
}

/// What a change of the session asks of the world outside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open what lies there: a trace or a workspace.
    Open(PathBuf),
    /// Open a trace from where a workspace remembers it.
    OpenSource(TraceSource),
    /// Say something in passing.
    Say(String),
    /// What an action left to the world.
    Outside(Outside),
}

//! The panels, one file each. They draw what measures return, ask for it in the background, and answer in actions.

pub mod attention;
pub mod cleanup;
pub mod compare;
pub mod details;
pub mod directions;
pub mod fate;
pub mod heads;
pub mod knockouts;
pub mod live;
pub mod memory;
mod placed;
pub mod probes;
pub mod results;
pub mod timeline;

use std::collections::HashMap;

use egui::{Align, Layout, RichText, Ui};
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::jobs::{Answer, Ask, Jobs};
use super::session::{Focus, Session, View};
use super::theme;
use crate::figure::colour::Hues;
use crate::figure::{FigureSpec, Measured, Theme};

/// Every panel there is or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelKind {
    /// Cleanup strength against decay: the headline.
    Cleanup,
    /// Tokens, gates and events over the steps, and the scrubber.
    Timeline,
    /// One memory in every phase of a step.
    Memory,
    /// Erase and write directions, and the angles between them.
    Directions,
    /// What became of a write.
    Fate,
    /// Exact, signed attention.
    Attention,
    /// Layers by heads, by any measure.
    Heads,
    /// Linear readouts of what is stale, current and never written.
    Probes,
    /// The erase events behind an answer.
    Knockouts,
    /// Models or runs side by side.
    Compare,
    /// What is under the cursor, where it came from, what the words mean.
    Details,
    /// A model run step by step.
    Live,
    /// What a run found: figures, tables, words.
    Results,
}

impl PanelKind {
    /// All.
    pub const ALL: [Self; 13] = [
        Self::Cleanup,
        Self::Timeline,
        Self::Memory,
        Self::Directions,
        Self::Fate,
        Self::Attention,
        Self::Heads,
        Self::Probes,
        Self::Knockouts,
        Self::Compare,
        Self::Details,
        Self::Live,
        Self::Results,
    ];

    /// Its name in files and scripts.
    pub const fn name(self) -> &'static str {
        self.words()[0]
    }

    /// Its title on screen.
    pub const fn title(self) -> &'static str {
        self.words()[1]
    }

    /// What it answers, in a sentence.
    pub const fn question(self) -> &'static str {
        self.words()[2]
    }

    /// Name, title and question of each.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::Cleanup => ["cleanup", "Cleanup against decay", "Does a head clean more actively where its memory forgets less?"],
            Self::Timeline => ["timeline", "Timeline", "What happens at each step: tokens, gates, what is written and what goes stale?"],
            Self::Memory => ["memory", "Memory", "What does one memory hold before and after decay, erase and write?"],
            Self::Directions => ["directions", "Directions", "Where does each step erase and write, and how near are the two?"],
            Self::Fate => ["fate", "Fate of a write", "What became of a write: surviving, decayed, erased, overwritten?"],
            Self::Attention => ["attention", "Attention", "Which writes does each read consist of, exactly and signed?"],
            Self::Heads => ["heads", "Heads", "Which heads stand out, by any measure?"],
            Self::Probes => ["probes", "Probes", "What can a linear readout tell of stale, current and never-written values?"],
            Self::Knockouts => ["knockouts", "Knockouts", "Which erases does an answer rest on, and what would be said without them?"],
            Self::Compare => ["compare", "Compare", "How do two models or runs differ?"],
            Self::Details => ["details", "Details", "What is selected, where does it come from, what do the words mean?"],
            Self::Live => ["live", "Live model", "What does a model do with text of my own?"],
            Self::Results => ["results", "Results", "What did a run find: its figures, tables and words?"],
        }
    }

    fn make(self) -> Box<dyn Panel> {
        match self {
            Self::Cleanup => Box::<cleanup::CleanupPanel>::default(),
            Self::Timeline => Box::<timeline::TimelinePanel>::default(),
            Self::Memory => Box::<memory::MemoryPanel>::default(),
            Self::Directions => Box::<directions::DirectionsPanel>::default(),
            Self::Heads => Box::<heads::HeadsPanel>::default(),
            Self::Attention => Box::<attention::AttentionPanel>::default(),
            Self::Fate => Box::<fate::FatePanel>::default(),
            Self::Knockouts => Box::<knockouts::KnockoutsPanel>::default(),
            Self::Live => Box::<live::LivePanel>::default(),
            Self::Details => Box::<details::DetailsPanel>::default(),
            Self::Probes => Box::<probes::ProbesPanel>::default(),
            Self::Compare => Box::<compare::ComparePanel>::default(),
            Self::Results => Box::<results::ResultsPanel>::default(),
        }
    }
}

/// A panel: what it keeps between frames is only what can be made again (textures, drags, the last answer).
pub trait Panel {
    /// Draws it.
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>);

    /// The figure it shows and the numbers behind it, for export; `None` while there is none.
    fn figure(&self, _context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        None
    }

    /// What must lie beside an exported figure: endings and texts of further files.
    fn beside(&self, _context: &Context<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// What the pointer is over, in any panel: the others light it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hover {
    /// A token.
    pub token: Option<super::selection::Token>,
    /// A layer and a head.
    pub head: Option<(usize, usize)>,
    /// A row and a column of the memory.
    pub cell: Option<(usize, usize)>,
}

/// What a panel is given: the session to read, answers to ask for, a place for its actions.
pub struct Context<'a> {
    /// What is open and selected.
    pub session: &'a Session,
    /// Answers.
    pub jobs: &'a Jobs,
    /// The colours of paper and ink.
    pub theme: Theme,
    /// What the pointer was over in the last frame, in any panel.
    pub hover: Hover,
    /// What it is over now: panels fill it.
    pub hover_next: &'a mut Hover,
    /// What the user did.
    pub actions: &'a mut Vec<Action>,
}

impl<'a> Context<'a> {
    /// Does something, after this frame.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// What there is of an answer.
    pub fn ask<K: Ask>(&self, ask: &K) -> Answer<K::Answer> {
        self.jobs.ask(ask)
    }

    /// What the panel lets one choose.
    pub fn view<V: View>(&self) -> V {
        self.session.view()
    }

    /// Chooses something else, if it is something else.
    pub fn set_view<V: View + PartialEq>(&mut self, view: &V) {
        if self.session.view::<V>() != *view {
            let value = serde_json::to_value(view).expect("plain data serialises");
            self.act(Action::SetView { panel: V::PANEL, view: value });
        }
    }

    /// The trace, layer and head that are looked at. Where nothing is open, says so in the panel.
    pub fn focus(&self, ui: &mut Ui) -> Option<Focus<'a>> {
        let focus = self.session.focus();
        if focus.is_none() {
            notice(ui, "No trace is open", "Drop one here, press Ctrl+O, or open a bundled one from the File menu.", None);
        }
        focus
    }

    /// The answer if it is there; else says in the panel how far it is, or why it cannot be had.
    pub fn show<K: Ask>(&self, ui: &mut Ui, ask: &K) -> Option<std::sync::Arc<K::Answer>> {
        match self.ask(ask) {
            Answer::Ready(answer) => Some(answer),
            Answer::Pending { title, share } => {
                pending(ui, &title, share);
                None
            }
            Answer::Failed(said) => {
                notice(ui, "This cannot be shown", &said, None);
                None
            }
        }
    }
}

/// An answer that stays on screen while the next is sought, so that nothing flickers while scrubbing.
pub struct Latest<T> {
    last: Option<std::sync::Arc<T>>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<T> Latest<T> {
    /// The answer, or the last one there was; and whether it is the one asked for.
    pub fn update(&mut self, answer: &Answer<T>) -> (Option<std::sync::Arc<T>>, bool) {
        match answer {
            Answer::Ready(answer) => {
                self.last = Some(std::sync::Arc::clone(answer));
                (self.last.clone(), true)
            }
            Answer::Pending { .. } => (self.last.clone(), false),
            Answer::Failed(_) => {
                self.last = None;
                (None, true)
            }
        }
    }
}

/// The panels' transient parts.
#[derive(Default)]
pub struct Panels {
    made: HashMap<PanelKind, Box<dyn Panel>>,
}

impl Panels {
    /// The panel, made when it is first shown.
    pub fn get(&mut self, kind: PanelKind) -> &mut (dyn Panel + 'static) {
        self.made.entry(kind).or_insert_with(|| kind.make()).as_mut()
    }
}

/// The colours of a signed matrix.
fn hues(ui: &mut Ui, hues: &mut Hues) {
    let mut without_red = *hues == Hues::PurpleOrange;
    ui.checkbox(&mut without_red, "purple–orange").on_hover_text("Colours without red");
    *hues = if without_red { Hues::PurpleOrange } else { Hues::RedBlue };
}

/// Says in the middle of a panel that there is nothing to show, why, and what would make something: a command to copy.
pub fn notice(ui: &mut Ui, title: &str, text: &str, command: Option<&str>) {
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        let room = ui.available_height();
        ui.add_space((room * 0.3 - 20.0).clamp(8.0, 160.0));
        ui.set_max_width(ui.available_width().min(460.0));
        ui.label(RichText::new(title).size(15.0).strong());
        ui.add_space(4.0);
        ui.label(RichText::new(text).color(theme::quiet(ui)));
        if let Some(command) = command {
            ui.add_space(8.0);
            ui.label(RichText::new(command).monospace().background_color(ui.visuals().code_bg_color));
            if ui.button("Copy the command").clicked() {
                ui.ctx().copy_text(command.to_owned());
            }
        }
    });
}

/// Says in the middle of a panel what is being done and how far it is.
pub fn pending(ui: &mut Ui, title: &str, share: Option<f32>) {
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        let room = ui.available_height();
        ui.add_space((room * 0.4 - 16.0).clamp(4.0, 200.0));
        ui.label(RichText::new(format!("{title} …")).color(theme::quiet(ui)));
        ui.add_space(4.0);
        theme::progress(ui, share, 180.0);
    });
}

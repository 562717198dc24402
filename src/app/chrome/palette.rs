//! The command palette: everything that can be done, found by a few letters.

use egui::{Align2, Area, Frame, Id, Key, Modifiers, Order, RichText, ScrollArea, TextEdit};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

use super::shortcuts;
use crate::app::action::{Action, Outside, Overlay};
use crate::app::bundled::BUNDLED;
use crate::app::layout::Preset;
use crate::app::panel::PanelKind;
use crate::app::session::Session;
use crate::app::settings::Appearance;
use crate::app::theme;

/// Width of a line.
const WIDTH: f32 = 520.0;

/// What is typed, and which line is marked.
#[derive(Default)]
pub struct Palette {
    typed: String,
    marked: usize,
}

/// A line of the palette.
pub struct Command {
    /// What it does.
    pub title: String,
    /// Its key, if it has one.
    pub keys: Option<egui::KeyboardShortcut>,
    /// What is done.
    pub action: Action,
}

impl Palette {
    /// Draws it; Enter does what is marked.
    pub fn ui(&mut self, context: &egui::Context, session: &Session, is_new: bool, actions: &mut Vec<Action>) {
        if is_new {
            *self = Self::default();
        }
        let found = seek(&commands(session), &self.typed);
        let (up, down, enter) = context.input_mut(|input| {
            let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
            (pressed(Key::ArrowUp), pressed(Key::ArrowDown), pressed(Key::Enter))
        });
        if down {
            self.marked += 1;
        }
        if up {
            self.marked = self.marked.saturating_sub(1);
        }
        self.marked = self.marked.min(found.len().saturating_sub(1));
        let mut chosen = enter.then_some(self.marked);
        Area::new(Id::unique("palette")).order(Order::Foreground).anchor(Align2::CENTER_TOP, [0.0, 72.0]).show(context, |ui| {
            Frame::window(ui.style()).show(ui, |ui| {
                ui.set_width(WIDTH);
                let edit = TextEdit::singleline(&mut self.typed).hint_text("What would you like to do?").desired_width(f32::INFINITY);
                let response = ui.add(edit);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Command"));
                response.request_focus();
                if response.changed() {
                    self.marked = 0;
                }
                ui.add_space(4.0);
                ScrollArea::vertical().max_height(320.0).auto_shrink([false, true]).show(ui, |ui| {
                    for (index, command) in found.iter().enumerate() {
                        let keys = command.keys.map_or_else(String::new, |keys| shortcuts::words(ui.ctx(), keys));
                        let text = RichText::new(&command.title);
                        let line = ui.add(
                            egui::Button::selectable(index == self.marked, text)
                                .shortcut_text(RichText::new(keys).color(theme::quiet(ui)))
                                .min_size(egui::vec2(WIDTH, 24.0)),
                        );
                        if line.clicked() {
                            chosen = Some(index);
                        }
                        if index == self.marked && (up || down) {
                            line.scroll_to_me(None);
                        }
                    }
                    if found.is_empty() {
                        ui.label(RichText::new("Nothing of that name").color(theme::quiet(ui)));
                    }
                });
            });
        });
        if let Some(command) = chosen.and_then(|index| found.into_iter().nth(index)) {
            actions.push(Action::Toggle(Overlay::Palette));
            actions.push(command.action);
        }
    }
}

/// Commands that match what is typed, the best first.
pub fn seek(commands: &[Command], typed: &str) -> Vec<Command> {
    let copy = |command: &Command| Command { title: command.title.clone(), keys: command.keys, action: command.action.clone() };
    // `step 120` goes there.
    let number = typed.trim().strip_prefix("step").unwrap_or(typed).trim().parse::<usize>().ok();
    let mut found: Vec<Command> = number
        .map(|step| Command { title: format!("Go to step {step}"), keys: None, action: Action::SelectStep(step) })
        .into_iter()
        .collect();
    if typed.trim().is_empty() {
        found.extend(commands.iter().map(copy));
        return found;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let titles = commands.iter().enumerate().map(|(index, command)| (index, command.title.as_str()));
    let mut scored: Vec<(u32, usize)> = titles
        .filter_map(|(index, title)| {
            let mut letters = Vec::new();
            let score = pattern.score(nucleo_matcher::Utf32Str::new(title, &mut letters), &mut matcher)?;
            Some((score, index))
        })
        .collect();
    scored.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
    found.extend(scored.into_iter().map(|(_, index)| copy(&commands[index])));
    found
}

/// Everything that can be done now.
pub fn commands(session: &Session) -> Vec<Command> {
    let keys_of =
        |action: &Action| shortcuts::ALL.iter().find(|shortcut| shortcut.action_is(session, action)).map(|shortcut| shortcut.keys);
    let mut all = Vec::new();
    let mut add = |title: String, action: Action| all.push(Command { keys: keys_of(&action), title, action });
    add("Open traces, results or a workspace …".to_owned(), Outside::OpenDialog.into());
    for bundled in &BUNDLED {
        add(format!("Open bundled trace: {}", bundled.title), Action::OpenBundled(bundled.name.to_owned()));
    }
    for (index, open) in session.traces().iter().enumerate() {
        add(format!("Look at trace {}", open.name()), Action::SelectTrace(index));
        add(format!("Close trace {}", open.name()), Action::Close(index));
    }
    for (index, open) in session.results().iter().enumerate() {
        add(format!("Close results {}", open.name()), Action::CloseResults(index));
    }
    for panel in PanelKind::ALL {
        add(format!("Show panel: {}", panel.title()), Action::ShowPanel(panel));
    }
    for panel in PanelKind::ALL {
        add(format!("Show alone: {}", panel.title()), Action::ShowAlone(panel));
    }
    for preset in Preset::ALL {
        add(format!("Arrange: {}", preset.label()), Action::Arrange(preset));
    }
    for panel in session.layout().panels() {
        add(format!("Export figure: {} …", panel.title()), Outside::ExportDialog(panel).into());
    }
    for (index, bookmark) in session.bookmarks().iter().enumerate() {
        add(format!("Go to bookmark: {}", bookmark.name), Action::GoToBookmark(index));
    }
    for appearance in Appearance::ALL {
        add(format!("Appearance: {}", appearance.label()), Action::SetAppearance(appearance));
    }
    let zoom = session.settings().zoom;
    add("Larger".to_owned(), Action::SetZoom(zoom * 1.1));
    add("Smaller".to_owned(), Action::SetZoom(zoom / 1.1));
    add("Original size".to_owned(), Action::SetZoom(1.0));
    add("Save workspace …".to_owned(), Outside::SaveWorkspaceDialog.into());
    for (title, overlay) in
        [("Shortcut sheet", Overlay::Shortcuts), ("Log", Overlay::Log), ("Settings", Overlay::Settings), ("Tour", Overlay::Tour)]
    {
        add(title.to_owned(), Action::Toggle(overlay));
    }
    add("Bookmark what is selected".to_owned(), Action::AddBookmark(String::new()));
    add("Pick nothing".to_owned(), Action::ClearPicked);
    add("Invert what is picked".to_owned(), Action::InvertPicked);
    add("Play".to_owned(), Action::Play(true));
    add("Pause".to_owned(), Action::Play(false));
    add("First step".to_owned(), Action::SelectStep(0));
    add("Last step".to_owned(), Action::SelectStep(usize::MAX));
    add("No loop".to_owned(), Action::SetLoop(None));
    add("Undo".to_owned(), Action::Undo);
    add("Redo".to_owned(), Action::Redo);
    add("Quit".to_owned(), Outside::Quit.into());
    all
}

//! Keys, in one table: what reads them, what the sheet shows.

use egui::{Key, KeyboardShortcut, Modifiers};

use crate::app::action::{Action, Outside, Overlay};
use crate::app::panel::PanelKind;
use crate::app::session::Session;

/// A key and what it does.
pub struct Shortcut {
    /// The key.
    pub keys: KeyboardShortcut,
    /// What it does, in words.
    pub does: &'static str,
    action: fn(&Session) -> Option<Action>,
}

impl Shortcut {
    /// Whether it does this.
    pub fn action_is(&self, session: &Session, action: &Action) -> bool {
        (self.action)(session).as_ref() == Some(action)
    }
}

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn command(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

const fn both(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers { alt: false, ctrl: false, shift: true, mac_cmd: false, command: true }, key)
}

const fn shifted(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}

const fn shortcut(keys: KeyboardShortcut, does: &'static str, action: fn(&Session) -> Option<Action>) -> Shortcut {
    Shortcut { keys, does, action }
}

/// All keys; those with more modifiers come first, so that they are not taken for those with fewer.
pub const ALL: [Shortcut; 27] = [
    shortcut(both(Key::Z), "Redo", |_| Some(Action::Redo)),
    shortcut(command(Key::Y), "Redo", |_| Some(Action::Redo)),
    shortcut(command(Key::Z), "Undo", |_| Some(Action::Undo)),
    shortcut(command(Key::O), "Open traces or a workspace", |_| Some(Outside::OpenDialog.into())),
    shortcut(command(Key::S), "Save the workspace", |_| Some(Outside::SaveWorkspaceDialog.into())),
    shortcut(command(Key::E), "Export the headline figure", |_| Some(Outside::ExportDialog(PanelKind::Cleanup).into())),
    shortcut(command(Key::P), "Command palette", |_| Some(Action::Toggle(Overlay::Palette))),
    shortcut(command(Key::L), "Log", |_| Some(Action::Toggle(Overlay::Log))),
    shortcut(command(Key::Comma), "Settings", |_| Some(Action::Toggle(Overlay::Settings))),
    shortcut(command(Key::D), "Bookmark what is selected", |_| Some(Action::AddBookmark(String::new()))),
    shortcut(command(Key::I), "Invert what is picked", |_| Some(Action::InvertPicked)),
    shortcut(command(Key::Q), "Quit", |_| Some(Outside::Quit.into())),
    shortcut(shifted(Key::ArrowRight), "Ten steps on", |_| Some(Action::MoveStep(10))),
    shortcut(shifted(Key::ArrowLeft), "Ten steps back", |_| Some(Action::MoveStep(-10))),
    shortcut(plain(Key::Space), "Play or pause", |session| Some(Action::Play(!session.playing().0))),
    shortcut(plain(Key::ArrowRight), "One step on", |_| Some(Action::MoveStep(1))),
    shortcut(plain(Key::ArrowLeft), "One step back", |_| Some(Action::MoveStep(-1))),
    shortcut(plain(Key::ArrowUp), "Next head", |session| head(session, 1)),
    shortcut(plain(Key::ArrowDown), "Head before", |session| head(session, -1)),
    shortcut(plain(Key::Home), "First step", |_| Some(Action::SelectStep(0))),
    shortcut(plain(Key::End), "Last step", |_| Some(Action::SelectStep(usize::MAX))),
    shortcut(plain(Key::PageDown), "Next sequence", |session| sequence(session, 1)),
    shortcut(plain(Key::PageUp), "Sequence before", |session| sequence(session, -1)),
    shortcut(plain(Key::OpenBracket), "Loop from here", |session| looped(session, true)),
    shortcut(plain(Key::CloseBracket), "Loop to here", |session| looped(session, false)),
    shortcut(plain(Key::F1), "This sheet", |_| Some(Action::Toggle(Overlay::Shortcuts))),
    shortcut(plain(Key::Escape), "Close what lies over the window; else pick nothing", |_| Some(Action::Escape)),
];

/// A key as a keyboard is labelled.
pub fn words(context: &egui::Context, keys: KeyboardShortcut) -> String {
    let named = context.format_shortcut(&keys);
    [("Comma", ","), ("OpenBracket", "["), ("CloseBracket", "]"), ("PageDown", "Page down"), ("PageUp", "Page up")]
        .into_iter()
        .find_map(|(name, label)| named.strip_suffix(name).map(|modifiers| format!("{modifiers}{label}")))
        .unwrap_or(named)
}

const DIGITS: [Key; 9] = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// What the keys of this frame do. None while text is being typed, but those with Ctrl and Escape.
pub fn read(context: &egui::Context, session: &Session) -> Vec<Action> {
    // What is typed while a field is about to open belongs to the field.
    let typing = context.egui_wants_keyboard_input() || matches!(session.overlay(), Some(Overlay::Palette | Overlay::Path(_)));
    let mut actions = Vec::new();
    context.input_mut(|input| {
        for shortcut in &ALL {
            let always = shortcut.keys.modifiers.command || matches!(shortcut.keys.logical_key, Key::F1 | Key::Escape);
            if typing && !always {
                continue;
            }
            // Arrows repeat while held: each press in the frame counts.
            let mut times = input.count_and_consume_key(shortcut.keys.modifiers, shortcut.keys.logical_key);
            if !matches!(shortcut.keys.logical_key, Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown) {
                times = times.min(1);
            }
            actions.extend((0..times).filter_map(|_| (shortcut.action)(session)));
        }
        if !typing {
            for (key, panel) in DIGITS.into_iter().zip(PanelKind::ALL) {
                if input.consume_key(Modifiers::NONE, key) {
                    actions.push(Action::ShowPanel(panel));
                }
            }
        }
    });
    actions
}

/// The next head, over all layers, or the one before.
fn head(session: &Session, by: isize) -> Option<Action> {
    let focus = session.focus()?;
    let layers = focus.trace.trace().layers();
    let heads: Vec<(usize, usize)> = layers.iter().flat_map(|layer| (0..layer.dims.head).map(|head| (layer.index, head))).collect();
    let here = heads.iter().position(|head| *head == (focus.selection.layer, focus.selection.head))?;
    let (layer, head) = heads[here.checked_add_signed(by)?.min(heads.len() - 1)];
    Some(Action::SelectHead { layer, head })
}

fn sequence(session: &Session, by: isize) -> Option<Action> {
    Some(Action::SelectSequence(session.focus()?.selection.sequence.checked_add_signed(by)?))
}

fn looped(session: &Session, from_here: bool) -> Option<Action> {
    let focus = session.focus()?;
    let (here, last) = (focus.selection.step, focus.trace.trace().n_steps().saturating_sub(1));
    let (from, to) = session.playing().2.unwrap_or((0, last));
    Some(Action::SetLoop(Some(if from_here { (here, to.max(here)) } else { (from.min(here), here) })))
}

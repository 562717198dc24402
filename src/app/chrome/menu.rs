//! The menu bar: menus at the left, what is looked at at the right.

use egui::{Button, ComboBox, Frame, Margin, MenuBar, Panel, Ui};

use crate::app::action::{Action, Outside, Overlay};
use crate::app::bundled::BUNDLED;
use crate::app::layout::Preset;
use crate::app::panel::PanelKind;
use crate::app::session::Session;
use crate::app::settings::Appearance;

/// Draws it.
pub fn ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let frame = Frame::new().fill(ui.visuals().extreme_bg_color).inner_margin(Margin::symmetric(8, 3));
    Panel::top("menu").frame(frame).show(ui, |ui| {
        MenuBar::new().ui(ui, |ui| {
            ui.menu_button("File", |ui| file(ui, session, actions));
            ui.menu_button("Edit", |ui| edit(ui, session, actions));
            ui.menu_button("View", |ui| view(ui, session, actions));
            ui.menu_button("Panels", |ui| panels(ui, session, actions));
            ui.menu_button("Bookmarks", |ui| bookmarks(ui, session, actions));
            ui.menu_button("Help", |ui| help(ui, actions));
            // Where there is no room beside the menus the status line says it all the same.
            if session.focus().is_some() && ui.available_width() > PLACE {
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| place(ui, session, actions));
            }
        });
    });
}

/// Room for the names of trace, layer and head.
const PLACE: f32 = 250.0;

fn item(
    ui: &mut Ui,
    actions: &mut Vec<Action>,
    text: impl Into<String>,
    keys: Option<(egui::Modifiers, egui::Key)>,
    action: impl Into<Action>,
) {
    item_if(ui, actions, true, text, keys, action);
}

fn item_if(
    ui: &mut Ui,
    actions: &mut Vec<Action>,
    enabled: bool,
    text: impl Into<String>,
    keys: Option<(egui::Modifiers, egui::Key)>,
    action: impl Into<Action>,
) {
    let mut button = Button::new(text.into());
    if let Some((modifiers, key)) = keys {
        button = button.shortcut_text(super::shortcuts::words(ui.ctx(), egui::KeyboardShortcut::new(modifiers, key)));
    }
    if ui.add_enabled(enabled, button).clicked() {
        actions.push(action.into());
        ui.close();
    }
}

const COMMAND: egui::Modifiers = egui::Modifiers::COMMAND;

fn file(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    item(ui, actions, "Open …", Some((COMMAND, egui::Key::O)), Outside::OpenDialog);
    ui.menu_button("Open recent", |ui| {
        let recent = &session.settings().recent;
        if recent.is_empty() {
            ui.label("Nothing yet");
        }
        for source in recent {
            item(ui, actions, source.title(), None, source.reopen());
        }
    });
    ui.menu_button("Open bundled", |ui| {
        for bundled in &BUNDLED {
            item(ui, actions, bundled.title, None, Action::OpenBundled(bundled.name.to_owned()));
        }
    });
    ui.separator();
    item_if(ui, actions, !session.traces().is_empty(), "Save workspace …", Some((COMMAND, egui::Key::S)), Outside::SaveWorkspaceDialog);
    ui.menu_button("Export figure", |ui| {
        for panel in session.layout().panels() {
            item(ui, actions, format!("{} …", panel.title()), None, Outside::ExportDialog(panel));
        }
    });
    ui.separator();
    for (index, open) in session.traces().iter().enumerate() {
        item(ui, actions, format!("Close {}", open.name()), None, Action::Close(index));
    }
    for (index, open) in session.results().iter().enumerate() {
        item(ui, actions, format!("Close {}", open.name()), None, Action::CloseResults(index));
    }
    item(ui, actions, "Quit", Some((COMMAND, egui::Key::Q)), Outside::Quit);
}

fn edit(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let (can_undo, can_redo) = session.can_undo_redo();
    item_if(ui, actions, can_undo, "Undo", Some((COMMAND, egui::Key::Z)), Action::Undo);
    item_if(ui, actions, can_redo, "Redo", Some((COMMAND | egui::Modifiers::SHIFT, egui::Key::Z)), Action::Redo);
    ui.separator();
    let picked = session.selection().steps.len();
    item_if(ui, actions, picked > 0, format!("Pick nothing ({picked} picked)"), None, Action::ClearPicked);
    item_if(ui, actions, session.focus().is_some(), "Invert what is picked", Some((COMMAND, egui::Key::I)), Action::InvertPicked);
    ui.separator();
    item(ui, actions, "Command palette", Some((COMMAND, egui::Key::P)), Action::Toggle(Overlay::Palette));
    item(ui, actions, "Settings …", Some((COMMAND, egui::Key::Comma)), Action::Toggle(Overlay::Settings));
}

fn view(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    for preset in Preset::ALL {
        let response = ui.button(preset.label()).on_hover_text(preset.purpose());
        if response.clicked() {
            actions.push(Action::Arrange(preset));
            ui.close();
        }
    }
    ui.separator();
    for appearance in Appearance::ALL {
        if ui.radio(session.settings().appearance == appearance, appearance.label()).clicked() {
            actions.push(Action::SetAppearance(appearance));
        }
    }
    ui.separator();
    let zoom = session.settings().zoom;
    item(ui, actions, "Larger", None, Action::SetZoom(zoom * 1.1));
    item(ui, actions, "Smaller", None, Action::SetZoom(zoom / 1.1));
    item(ui, actions, "Original size", None, Action::SetZoom(1.0));
}

fn panels(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let shown = session.layout().panels();
    for (index, panel) in PanelKind::ALL.into_iter().enumerate() {
        let mark = if shown.contains(&panel) { "●" } else { "○" };
        let key = if index < 9 { format!("{}", index + 1) } else { String::new() };
        let response = ui.add(Button::new(format!("{mark}  {}", panel.title())).shortcut_text(key)).on_hover_text(panel.question());
        if response.clicked() {
            actions.push(Action::ShowPanel(panel));
            ui.close();
        }
    }
}

fn bookmarks(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    item_if(ui, actions, session.focus().is_some(), "Add", Some((COMMAND, egui::Key::D)), Action::AddBookmark(String::new()));
    ui.separator();
    if session.bookmarks().is_empty() {
        ui.label("None yet");
    }
    for (index, bookmark) in session.bookmarks().iter().enumerate() {
        ui.horizontal(|ui| {
            if ui.button(&bookmark.name).clicked() {
                actions.push(Action::GoToBookmark(index));
                ui.close();
            }
            let remove = ui.small_button("×").on_hover_text("Forget this bookmark");
            remove.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Forget {}", bookmark.name)));
            if remove.clicked() {
                actions.push(Action::RemoveBookmark(index));
            }
        });
    }
}

fn help(ui: &mut Ui, actions: &mut Vec<Action>) {
    item(ui, actions, "Tour", None, Action::Toggle(Overlay::Tour));
    item(ui, actions, "Shortcuts", Some((egui::Modifiers::NONE, egui::Key::F1)), Action::Toggle(Overlay::Shortcuts));
    item(ui, actions, "Log", Some((COMMAND, egui::Key::L)), Action::Toggle(Overlay::Log));
    ui.separator();
    ui.label(format!("Pentimento {}", env!("CARGO_PKG_VERSION")));
}

/// Which trace, layer and head; from the right.
fn place(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let Some(focus) = session.focus() else { return };
    let selection = focus.selection;
    let (mut layer, mut head, mut trace) = (selection.layer, selection.head, selection.trace);
    ComboBox::from_id_salt("head").width(0.0).selected_text(format!("head {head}")).show_ui(ui, |ui| {
        for index in 0..focus.layer.dims.head {
            ui.selectable_value(&mut head, index, format!("head {index}"));
        }
    });
    ComboBox::from_id_salt("layer").width(0.0).selected_text(format!("layer {layer}")).show_ui(ui, |ui| {
        for found in focus.trace.trace().layers() {
            ui.selectable_value(&mut layer, found.index, format!("layer {} ({})", found.index, found.rule));
        }
    });
    ComboBox::from_id_salt("trace").width(0.0).selected_text(focus.trace.name()).show_ui(ui, |ui| {
        for (index, open) in session.traces().iter().enumerate() {
            ui.selectable_value(&mut trace, index, open.name());
        }
    });
    if trace != selection.trace {
        actions.push(Action::SelectTrace(trace));
    }
    if (layer, head) != (selection.layer, selection.head) {
        actions.push(Action::SelectHead { layer, head });
    }
}

//! A path typed in the window, where the system has no dialog that asks for one: on a server without a desktop.

use std::path::{Path, PathBuf};

use egui::{Align2, Key, RichText, TextEdit, Window};

use crate::app::action::{Action, Outside, Overlay, Sought};
use crate::app::theme;
use crate::app::workspace::EXTENSION;
use crate::figure::Format;

/// What is typed.
#[derive(Default)]
pub struct PathPrompt {
    typed: String,
}

impl PathPrompt {
    /// Draws it; Enter takes the path.
    pub fn ui(&mut self, context: &egui::Context, sought: Sought, is_new: bool, actions: &mut Vec<Action>) {
        let (title, what) = match sought {
            Sought::ToOpen => ("Open", "A trace's folder, results or a workspace".to_owned()),
            Sought::Workspace => ("Save the workspace", format!("A file that ends in .{EXTENSION}")),
            Sought::Figure(panel) => ("Export", format!("{}: SVG, PDF and PNG with data; a file name, endings are added", panel.title())),
        };
        if is_new {
            self.typed = suggestion(sought);
        }
        Window::new(title).collapsible(false).resizable(false).anchor(Align2::CENTER_CENTER, [0.0, -40.0]).show(context, |ui| {
            ui.set_width(480.0_f32.min(context.content_rect().width() - 60.0));
            ui.label(RichText::new(what).color(theme::quiet(ui)));
            let typed = ui.add(TextEdit::singleline(&mut self.typed).desired_width(f32::INFINITY));
            typed.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path"));
            if is_new {
                typed.request_focus();
            }
            let entered = typed.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            ui.label(RichText::new("This system has no file dialog that can be reached: type the path.").small().color(theme::quiet(ui)));
            ui.horizontal(|ui| {
                let is_typed = !self.typed.trim().is_empty();
                if ui.add_enabled(is_typed, egui::Button::new("OK")).clicked() || (entered && is_typed) {
                    actions.push(Action::Toggle(Overlay::Path(sought)));
                    actions.push(taken(sought, &expanded(self.typed.trim())));
                }
                if ui.button("Cancel").clicked() {
                    actions.push(Action::Toggle(Overlay::Path(sought)));
                }
            });
        });
    }
}

fn suggestion(sought: Sought) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let place = match sought {
        Sought::ToOpen => here.join(""),
        Sought::Workspace => here.join(format!("workspace.{EXTENSION}")),
        Sought::Figure(panel) => here.join(panel.name()),
    };
    place.display().to_string()
}

fn taken(sought: Sought, path: &Path) -> Action {
    match sought {
        Sought::ToOpen => Action::Open(vec![path.to_path_buf()]),
        Sought::Workspace => Outside::SaveWorkspace(path.to_path_buf()).into(),
        Sought::Figure(panel) => {
            Outside::Export { panel, stem: path.with_extension(""), formats: vec![Format::Svg, Format::Pdf, Format::Png] }.into()
        }
    }
}

/// As a shell would read it.
fn expanded(typed: &str) -> PathBuf {
    let home = || directories::BaseDirs::new().map(|known| known.home_dir().to_path_buf());
    typed.strip_prefix("~/").and_then(|rest| Some(home()?.join(rest))).unwrap_or_else(|| PathBuf::from(typed))
}

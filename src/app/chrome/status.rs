//! The status line: what is looked at, what is picked, what is under way.

use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};

use crate::app::action::{Action, Overlay};
use crate::app::jobs::Jobs;
use crate::app::session::Session;
use crate::app::theme;

/// Draws it.
pub fn ui(ui: &mut Ui, session: &Session, jobs: &Jobs, actions: &mut Vec<Action>) {
    let frame = Frame::new().fill(ui.visuals().extreme_bg_color).inner_margin(Margin::symmetric(10, 3));
    Panel::bottom("status").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.set_height(18.0);
            ui.spacing_mut().interact_size.y = 18.0;
            ui.spacing_mut().button_padding.y = 0.0;
            let quiet = theme::quiet(ui);
            match session.focus() {
                Some(focus) => {
                    let selection = focus.selection;
                    let place = format!(
                        "{}  ·  sequence {}  ·  layer {} head {}  ·  step {}",
                        focus.trace.name(),
                        selection.sequence,
                        selection.layer,
                        selection.head,
                        selection.step
                    );
                    ui.label(RichText::new(place).size(11.5).color(quiet));
                    if !selection.steps.is_empty() {
                        ui.label(RichText::new(format!("·  {} tokens picked", selection.steps.len())).size(11.5).color(theme::accent(ui)));
                        if ui.small_button("clear").clicked() {
                            actions.push(Action::ClearPicked);
                        }
                    }
                }
                None => drop(ui.label(RichText::new("No trace is open").size(11.5).color(quiet))),
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui
                    .add(egui::Button::new(RichText::new("Ctrl+P").size(11.0).color(quiet)).frame(false))
                    .on_hover_text("Command palette")
                    .clicked()
                {
                    actions.push(Action::Toggle(Overlay::Palette));
                }
                for activity in jobs.activities().into_iter().take(2) {
                    let cancel = ui.small_button("cancel");
                    cancel.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Cancel {}", activity.title)));
                    if cancel.clicked() {
                        activity.progress.cancel();
                    }
                    theme::progress(ui, activity.share, 90.0);
                    ui.add(egui::Label::new(RichText::new(&activity.title).size(11.5).color(quiet)).truncate());
                }
            });
        });
    });
}

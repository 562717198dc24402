//! Sheets over the window: shortcuts, log, settings.

use egui::{Align2, Grid, RichText, ScrollArea, Ui, Window};

use super::{Line, shortcuts};
use crate::app::action::{Action, Overlay};
use crate::app::jobs::Jobs;
use crate::app::panel::PanelKind;
use crate::app::session::Session;
use crate::app::settings::{Appearance, Settings};
use crate::app::theme;

/// A sheet in the middle; closing it is an action like any other.
fn sheet(
    context: &egui::Context,
    title: &str,
    overlay: Overlay,
    width: f32,
    actions: &mut Vec<Action>,
    draw: impl FnOnce(&mut Ui, &mut Vec<Action>),
) {
    let mut open = true;
    Window::new(title)
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .default_width(width)
        .anchor(Align2::CENTER_CENTER, [0.0, 0.0])
        .show(context, |ui| {
            // No larger than the window: what has no room is scrolled.
            let window = context.content_rect().size();
            ui.set_width(width.min(window.x - 60.0));
            ScrollArea::vertical().max_height((window.y - 110.0).max(80.0)).show(ui, |ui| draw(ui, actions));
        });
    if !open {
        actions.push(Action::Toggle(overlay));
    }
}

/// All keys.
pub fn shortcuts(context: &egui::Context, actions: &mut Vec<Action>) {
    sheet(context, "Shortcuts", Overlay::Shortcuts, 620.0, actions, |ui, _| {
        ui.columns(2, |columns| {
            let half = shortcuts::ALL.len().div_ceil(2);
            for (ui, part) in columns.iter_mut().zip(shortcuts::ALL.chunks(half)) {
                Grid::new(ui.scope_id().with("keys")).num_columns(2).spacing([14.0, 3.0]).show(ui, |ui| {
                    for shortcut in part {
                        ui.label(theme::number(shortcuts::words(ui.ctx(), shortcut.keys)));
                        ui.label(shortcut.does);
                        ui.end_row();
                    }
                });
            }
        });
        ui.add_space(6.0);
        let digits: Vec<String> =
            PanelKind::ALL.into_iter().take(9).enumerate().map(|(index, panel)| format!("{} {}", index + 1, panel.title())).collect();
        ui.label(RichText::new(format!("Panels: {}", digits.join(" · "))).color(theme::quiet(ui)));
        ui.label(RichText::new("Over the timeline: wheel moves, Ctrl+wheel zooms. In the headline: click goes to a token, drag picks, Shift+drag picks more. A double click on a tab shows its panel alone.").color(theme::quiet(ui)));
    });
}

/// What happened.
pub fn log(context: &egui::Context, lines: &[Line], actions: &mut Vec<Action>) {
    sheet(context, "Log", Overlay::Log, 760.0, actions, |ui, _| {
        if ui.button("Copy").clicked() {
            let all: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            ui.ctx().copy_text(all.join("\n"));
        }
        ScrollArea::vertical().max_height(380.0_f32.min(ui.available_height())).auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
            for line in lines {
                let ink = if line.is_error { ui.visuals().error_fg_color } else { ui.visuals().text_color() };
                ui.label(RichText::new(&line.text).monospace().size(11.0).color(ink));
            }
            if lines.is_empty() {
                ui.label(RichText::new("Nothing has happened yet.").color(theme::quiet(ui)));
            }
        });
    });
}

/// What outlives a session.
pub fn settings(context: &egui::Context, session: &Session, jobs: &Jobs, actions: &mut Vec<Action>) {
    let mut settings = session.settings().clone();
    sheet(context, "Settings", Overlay::Settings, 420.0, actions, |ui, actions| {
        Grid::new("settings").num_columns(2).spacing([18.0, 8.0]).show(ui, |ui| {
            ui.label("Appearance");
            ui.horizontal(|ui| {
                for appearance in Appearance::ALL {
                    ui.selectable_value(&mut settings.appearance, appearance, appearance.label());
                }
            });
            ui.end_row();
            let label = ui.label("Size of everything");
            ui.add(egui::Slider::new(&mut settings.zoom, 0.5..=3.0).step_by(0.05)).labelled_by(label.id);
            ui.end_row();
            let label = ui.label("Answers kept in memory");
            ui.add(egui::DragValue::new(&mut settings.cache_megabytes).range(16..=65_536).suffix(" MB").speed(8)).labelled_by(label.id);
            ui.end_row();
        });
        ui.label(RichText::new(format!("{:.1} MB are held now.", jobs.cache_bytes() as f64 / 1e6)).color(theme::quiet(ui)));
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            if ui.button("Defaults").clicked() {
                settings = Settings { recent: settings.recent.clone(), tour_done: settings.tour_done, ..Settings::default() };
            }
            if ui.button("Forget recent files").clicked() {
                actions.push(Action::ClearRecent);
            }
        });
    });
    if settings != *session.settings() {
        actions.push(Action::SetSettings(settings));
    }
}

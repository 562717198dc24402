//! The screen before a trace is open: bundled traces, recent files, three sentences, the tour.

use std::path::Path;

use egui::{Align, Layout, RichText, ScrollArea, Ui, vec2};

use crate::app::action::{Action, Outside, Overlay};
use crate::app::bundled::BUNDLED;
use crate::app::jobs::Jobs;
use crate::app::open_trace::TraceSource;
use crate::app::session::Session;
use crate::app::theme;

const SENTENCES: [&str; 3] = [
    "Some language models keep what they read in small matrices that decay, erase and write at every step.",
    "Pentimento replays any of those memories bit for bit, and shows what each step took away and what it put there.",
    "Begin with a bundled trace, or record your own model.",
];

/// Draws it.
pub fn ui(ui: &mut Ui, session: &Session, jobs: &Jobs, last_session: Option<&Path>, actions: &mut Vec<Action>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let width = ui.available_width().min(620.0);
        let margin = ((ui.available_width() - width) / 2.0).max(16.0);
        ui.horizontal(|ui| {
            ui.add_space(margin);
            ui.allocate_ui_with_layout(vec2(width - 32.0, 0.0), Layout::top_down(Align::Min), |ui| {
                let room = ui.ctx().content_rect().height();
                ui.add_space((room * 0.13).clamp(16.0, 130.0));
                column(ui, session, jobs, last_session, actions);
            });
        });
    });
}

fn column(ui: &mut Ui, session: &Session, jobs: &Jobs, last_session: Option<&Path>, actions: &mut Vec<Action>) {
    let quiet = theme::quiet(ui);
    ui.label(RichText::new("Pentimento").size(32.0));
    ui.label(RichText::new("See inside the memory of recurrent language models").size(15.0).color(quiet));
    ui.add_space(14.0);
    for sentence in SENTENCES {
        ui.label(sentence);
    }
    ui.add_space(18.0);
    if let Some(file) = last_session {
        if card(ui, "Go on where you left off", "The traces, the selection and the panels of the last session") {
            actions.push(Action::Open(vec![file.to_path_buf()]));
        }
        ui.add_space(8.0);
    }
    ui.label(theme::heading("Bundled traces"));
    for bundled in &BUNDLED {
        if card(ui, bundled.title, bundled.summary) {
            actions.push(Action::OpenBundled(bundled.name.to_owned()));
        }
    }
    let recent = &session.settings().recent;
    if !recent.is_empty() {
        ui.add_space(12.0);
        ui.label(theme::heading("Opened lately"));
        for source in recent.iter().take(6) {
            let place = match source {
                TraceSource::Path(path) => path.parent().map_or_else(String::new, |folder| folder.display().to_string()),
                TraceSource::Bundled(_) => "bundled".to_owned(),
                TraceSource::Live(_) => "live".to_owned(),
            };
            ui.horizontal(|ui| {
                if ui.link(source.title()).clicked() {
                    actions.push(source.reopen());
                }
                ui.add(egui::Label::new(RichText::new(place).small().color(quiet)).truncate());
            });
        }
    }
    ui.add_space(16.0);
    ui.horizontal(|ui| {
        if ui.button("Open …").on_hover_text("Ctrl+O; or drop a trace or a workspace on the window").clicked() {
            actions.push(Outside::OpenDialog.into());
        }
        if ui.button("Tour").clicked() {
            actions.push(Action::Toggle(Overlay::Tour));
        }
        if ui.button("Shortcuts").clicked() {
            actions.push(Action::Toggle(Overlay::Shortcuts));
        }
    });
    ui.add_space(10.0);
    for activity in jobs.activities() {
        ui.label(RichText::new(format!("{} …", activity.title)).color(quiet));
        theme::progress(ui, activity.share, 240.0);
    }
}

/// A wide button with a title and a line beneath.
fn card(ui: &mut Ui, title: &str, summary: &str) -> bool {
    let size = vec2(ui.available_width(), 48.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, title.to_owned()));
    let visuals = ui.style().interact(&response);
    ui.painter().rect(rect, 6.0, visuals.weak_bg_fill, visuals.bg_stroke, egui::StrokeKind::Inside);
    let ink = ui.visuals().text_color();
    let painter = ui.painter().with_clip_rect(rect.shrink(4.0));
    painter.text(rect.min + vec2(14.0, 8.0), egui::Align2::LEFT_TOP, title, egui::FontId::proportional(14.0), ink);
    painter.text(rect.min + vec2(14.0, 27.0), egui::Align2::LEFT_TOP, summary, egui::FontId::proportional(11.5), theme::quiet(ui));
    response.clicked()
}

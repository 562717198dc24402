//! The screen before a trace is open: bundled traces, recent files, three sentences, the tour.

use std::path::Path;

use egui::{Align, Layout, RichText, ScrollArea, Ui, vec2};

use crate::app::action::{Action, Outside, Overlay};
use crate::app::bundled::BUNDLED;
use crate::app::data::PreviewOf;
use crate::app::jobs::{Answer, Jobs};
use crate::app::layout::Preset;
use crate::app::open_trace::TraceSource;
use crate::app::paint::scene::{Placing, paint};
use crate::app::session::Session;
use crate::app::theme;
use crate::figure::Theme;

const SENTENCES: [&str; 3] = [
    "Some language models keep what they read in small matrices that decay, erase and write at every step.",
    "Pentimento replays any of those memories bit for bit, and shows what each step took away and what it put there.",
    "Begin with a bundled trace, or record your own model.",
];

/// What it is drawn from.
pub struct Welcome<'a> {
    /// For the files opened lately.
    pub session: &'a Session,
    /// For what is under way.
    pub jobs: &'a Jobs,
    /// The last session, if there is one.
    pub last_session: Option<&'a Path>,
    /// Where recordings of bundled models are kept; empty keeps none, and shows no first look.
    pub cache: &'a Path,
    /// For how many seconds it has been shown: who opens a trace at once needs no first look at another.
    pub shown: f64,
}

/// Width of the text, and of the first look beside it.
const TEXT: f32 = 588.0;
const PREVIEW: f32 = 380.0;
/// Seconds after which the first look is taken.
const PATIENCE: f64 = 0.5;

impl Welcome<'_> {
    /// Draws it.
    pub fn ui(&self, ui: &mut Ui, actions: &mut Vec<Action>) {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let beside = ui.available_width() > TEXT + PREVIEW + 120.0 && !self.cache.as_os_str().is_empty();
            let text = (ui.available_width() - 32.0).min(TEXT);
            let whole = if beside { text + 40.0 + PREVIEW } else { text };
            let margin = ((ui.available_width() - whole) / 2.0).max(16.0);
            let above = (ui.ctx().content_rect().height() * 0.11).clamp(16.0, 110.0);
            ui.horizontal_top(|ui| {
                ui.add_space(margin);
                ui.allocate_ui_with_layout(vec2(text, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.add_space(above);
                    column(ui, self.session, self.jobs, self.last_session, actions);
                });
                if beside {
                    ui.add_space(40.0);
                    ui.allocate_ui_with_layout(vec2(PREVIEW, 0.0), Layout::top_down(Align::Min), |ui| {
                        ui.add_space(above + 46.0);
                        self.preview(ui, actions);
                    });
                }
            });
        });
    }

    /// The headline of the first bundled trace, measured while one reads; a click opens the trace.
    fn preview(&self, ui: &mut Ui, actions: &mut Vec<Action>) {
        if self.shown < PATIENCE {
            return ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(PATIENCE - self.shown));
        }
        let bundled = &BUNDLED[0];
        let theme = if ui.visuals().dark_mode { Theme::Dark } else { Theme::Light };
        let asked = self.jobs.ask(&PreviewOf { name: bundled.name, folder: self.cache.to_path_buf(), theme });
        let quiet = theme::quiet(ui);
        let drawn = match &asked {
            Answer::Ready(drawn) => drawn,
            Answer::Pending { title, share } => {
                ui.add_space(90.0);
                ui.label(RichText::new(format!("{title} …")).color(quiet));
                return theme::progress(ui, *share, 240.0);
            }
            // What goes wrong here is said when the trace is opened.
            Answer::Failed(_) => return,
        };
        let scale = PREVIEW / drawn.scene.width as f32;
        let (rect, response) = ui.allocate_exact_size(vec2(PREVIEW, drawn.scene.height as f32 * scale), egui::Sense::click());
        if response.hovered() {
            ui.painter().rect_filled(rect.expand(6.0), 6.0, ui.visuals().faint_bg_color);
        }
        paint(ui.painter(), &drawn.scene, Placing { origin: rect.min, scale });
        let said = format!("First look at {}: {}", bundled.title, drawn.summary);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &said));
        if response.clicked() {
            actions.push(Action::OpenBundled(bundled.name.to_owned()));
        }
        ui.add_space(4.0);
        let text = format!(
            "{}: how strongly each step erases, against how much decay keeps. Grey: replays whose erase knows nothing of decay. Click to open.",
            bundled.title
        );
        ui.label(RichText::new(text).small().color(quiet));
    }
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
    ui.add_space(8.0);
    ui.label(theme::heading("Live model"));
    if card(ui, "Type to a model", "A bundled model, or a checkpoint's folder dropped here, reads your text; watch its memory change") {
        actions.push(Action::Arrange(Preset::Live));
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
        if ui.button("Open …").on_hover_text("Ctrl+O; or drop a trace, a model or a workspace on the window").clicked() {
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

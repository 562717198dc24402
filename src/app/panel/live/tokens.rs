//! How far the model has read: buttons, and the tokens themselves.

use egui::{RichText, Ui};

use super::{Line, Reads, View};
use crate::app::action::Action;
use crate::app::data::keep;
use crate::app::panel::Context;
use crate::app::selection::Token;
use crate::app::theme;
use crate::intervene::Intervention;

/// Tokens shown one by one.
const MOST: usize = 600;

/// Step, run, begin again, cancel, save.
pub fn transport(ui: &mut Ui, context: &Context<'_>, view: &mut View, here: &Line, total: usize) {
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        let read = view.steps.unwrap_or(total).min(total);
        let left = read < total;
        if ui.add_enabled(left, egui::Button::new("Run")).on_hover_text("Reads to the end").clicked() {
            view.steps = None;
        }
        for by in [1, 10] {
            let name = if by == 1 { "Step".to_owned() } else { format!("{by} steps") };
            if ui.add_enabled(left, egui::Button::new(name)).on_hover_text("Reads on; every panel shows the memory after it").clicked() {
                view.steps = Some((read + by).min(total));
            }
        }
        if ui.add_enabled(read > 0, egui::Button::new("Begin again")).on_hover_text("Forgets what was read").clicked() {
            view.steps = Some(0);
        }
        ui.label(theme::number(format!("{read} of {total} tokens read")).color(theme::quiet(ui)));
        if !here.is_current {
            let activity = context.jobs.activities().into_iter().find(|activity| activity.title.starts_with("running "));
            theme::progress(ui, activity.as_ref().and_then(|activity| activity.share), 80.0);
            if ui.button("Cancel").clicked() {
                activity.iter().for_each(|activity| activity.progress.cancel());
                view.steps = here.run.as_ref().map(|run| run.said.len()).or(Some(0));
            }
        }
        let open = here.run.as_ref().and_then(|run| run.open.clone());
        let saved = ui.add_enabled(open.is_some() && here.is_current, egui::Button::new("Save the trace …"));
        if let Some(open) = open.filter(|_| saved.clicked()) {
            context.jobs.wait_for("saving the trace", move || {
                let dialog = rfd::FileDialog::new().set_title("Save the trace").set_file_name("live.trace.zarr");
                let Some(path) = dialog.save_file() else { return Ok(Vec::new()) };
                keep(open.trace().path(), &path)?;
                Ok(vec![Action::Open(vec![path])])
            });
        }
        let command = command(view, here);
        if let Some(command) = command
            && ui.button("Copy the command").on_hover_text("Records the same sequence, undisturbed, in a shell").clicked()
        {
            ui.ctx().copy_text(command);
        }
    });
}

/// The command that records the same; none for a text, a condition of choice or a branch.
fn command(view: &View, here: &Line) -> Option<String> {
    (view.reads == Reads::Task && view.condition.is_none() && here.branch == 0).then(|| {
        let View { model, task, seed, index, .. } = view;
        format!("pentimento record --model {model} --task {task} --seed {seed} --range {index}:{} -o live.trace.zarr", index + 1)
    })
}

/// The tokens; a click looks at a step that was read.
pub fn strip(ui: &mut Ui, context: &mut Context<'_>, view: &View, here: &Line, at: usize, is_shown: bool) {
    let read = here.run.as_ref().map_or(0, |run| run.said.len());
    let changed = view.branch.checked_sub(1).and_then(|place| view.branches.get(place));
    let touched = |step: usize| {
        changed.is_some_and(|branch| {
            let here = |change: &Intervention| change.at.has_step(step) && step >= branch.from;
            branch.changes.iter().any(|entry| entry.on && here(&entry.change)) || (branch.tail.is_some() && step >= branch.from)
        })
    };
    let questions = &here.drawn.example.questions;
    let hovered = context.hover.token;
    egui::Frame::new().fill(ui.visuals().extreme_bg_color).inner_margin(6.0).corner_radius(4.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        if here.drawn.words.is_empty() {
            ui.label(RichText::new("Nothing to read yet: type some of its words.").color(theme::quiet(ui)));
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::vec2(5.0, 2.0);
            for (step, word) in here.drawn.words.iter().take(MOST).enumerate() {
                let mut text = RichText::new(word).monospace().size(12.0);
                if step >= read {
                    text = text.color(theme::quiet(ui).gamma_multiply(0.6));
                } else if step == at {
                    text = text.color(theme::accent(ui)).strong().background_color(ui.visuals().selection.bg_fill);
                } else if is_shown && hovered == Some(Token::new(0, step)) {
                    text = text.background_color(ui.visuals().widgets.hovered.weak_bg_fill);
                }
                if touched(step) {
                    text = text.underline();
                }
                let response = ui.add(egui::Label::new(text).selectable(false).sense(egui::Sense::click()));
                let state = if step < read { "read" } else { "not read yet" };
                response.widget_info(|| {
                    egui::WidgetInfo::selected(egui::Role::Button, step < read, step == at, format!("Step {step}: {word}, {state}"))
                });
                if response.hovered() && is_shown {
                    context.hover_next.token = Some(Token::new(0, step));
                }
                if response.clicked() && step < read {
                    context.act(Action::SelectToken { sequence: 0, step });
                }
                let asked = if questions.iter().any(|question| question.position == step) { ", a question" } else { "" };
                response.on_hover_text(format!("step {step}{asked}: {state}"));
            }
            if here.drawn.words.len() > MOST {
                ui.label(RichText::new(format!("… and {} more", here.drawn.words.len() - MOST)).color(theme::quiet(ui)));
            }
        });
    });
}

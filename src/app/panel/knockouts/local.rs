//! Without the model: what each erase changes of what its head reads, from the trace alone.

use egui::{RichText, Ui};

use super::events::{line, removed, row};
use super::{KnockoutsPanel, Place, Shared, View, columns, what_if};
use crate::app::data::{Handle, Model, ReadChangesOf, ReadsOf};
use crate::app::jobs::Answer;
use crate::app::panel::Context;
use crate::app::theme;

impl KnockoutsPanel {
    pub(super) fn without_model(
        &mut self,
        ui: &mut Ui,
        context: &mut Context<'_>,
        shared: &Shared<'_>,
        view: &mut View,
        model: &Answer<Handle<Model>>,
    ) {
        missing(ui, context, shared, view, model);
        let step = shared.step();
        columns(ui, |ui, place| match place {
            Place::Left => {
                ui.label(theme::heading(&format!("What is read at {}, and the erases behind it", shared.sequence.words.step(step))));
                let note = "Change of the head's read without the erase, over its length: exact, inside the layer with its inputs fixed";
                ui.label(RichText::new(note).small().color(theme::quiet(ui)));
                let asked = context.ask(&ReadsOf { sequence: shared.sequence.clone(), step });
                let (events, _) = self.reads.update(&asked);
                match (&events, &asked) {
                    (Some(events), _) => {
                        for (rank, event) in events.iter().enumerate() {
                            let erase = shared.erase;
                            let place = (event.layer, event.head, event.at.step);
                            let is_here = place == (erase.layer, erase.head, erase.step);
                            let said = event.to_string();
                            let clicked = row(ui, context, (rank, is_here, &said), |ui, context| {
                                line(ui, context, event, |ui, _| {
                                    ui.label(theme::number(format!("{:>6.1} %", 100.0 * event.read_change)));
                                });
                                ui.label(RichText::new(removed(event)).small().color(theme::quiet(ui)));
                            });
                            if clicked {
                                self.jump(context, shared, place);
                            }
                        }
                    }
                    (None, Answer::Failed(said)) => {
                        ui.label(RichText::new(&**said).color(ui.visuals().error_fg_color));
                    }
                    (None, _) => theme::progress(ui, None, 120.0),
                }
            }
            Place::Right => {
                what_if::ui(ui, context, shared, view, None);
                let edits = what_if::edits(shared, view);
                ui.add_space(6.0);
                ui.label(theme::heading("What each head would read"));
                let ask = ReadChangesOf { sequence: shared.sequence.clone(), step, edits: what_if::key(&edits) };
                let asked = context.ask(&ask);
                let (changes, is_this) = self.changes.update(&asked);
                if let Answer::Failed(said) = &asked {
                    ui.label(RichText::new(&**said).color(ui.visuals().error_fg_color));
                }
                let Some(changes) = changes else { return };
                egui::Grid::new("reads").num_columns(4).striped(true).spacing([14.0, 3.0]).show(ui, |ui| {
                    for name in ["head", "length", "change", "cosine"] {
                        ui.label(RichText::new(name).small().color(theme::quiet(ui)));
                    }
                    ui.end_row();
                    for change in changes.iter() {
                        ui.label(format!("layer {} head {}", change.layer, change.head));
                        ui.label(theme::number(format!("{:.3}", change.length)));
                        ui.label(theme::number(format!("{:.1} %", 100.0 * change.change)));
                        ui.label(theme::number(format!("{:.3}", change.cosine)));
                        ui.end_row();
                    }
                });
                if !is_this {
                    ui.spinner();
                }
            }
        });
    }
}

/// Says what the total effect would need, and lets the user point to it.
fn missing(ui: &mut Ui, context: &mut Context<'_>, shared: &Shared<'_>, view: &mut View, model: &Answer<Handle<Model>>) {
    let why = match model {
        Answer::Ready(_) => {
            let text = "Nothing is asked at this step: what is read there, inside each layer. Choose an answer for what the model says.";
            ui.label(RichText::new(text).color(theme::quiet(ui)));
            return;
        }
        Answer::Pending { title, share } => {
            ui.horizontal(|ui| {
                theme::progress(ui, *share, 60.0);
                ui.label(RichText::new(format!("{title} …")).small().color(theme::quiet(ui)));
            });
            return;
        }
        Answer::Failed(why) => why,
    };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("What is read, from the trace alone. What the answer makes of it needs the model:").strong());
        ui.label(RichText::new(&**why).color(theme::quiet(ui)));
    });
    ui.horizontal_wrapped(|ui| {
        if ui.button("Choose the model's folder …").clicked() {
            let mut next = view.clone();
            context.jobs.wait_for("the folder dialog", move || {
                let Some(folder) = rfd::FileDialog::new().set_title("A folder with config.json and weights.safetensors").pick_folder()
                else {
                    return Ok(Vec::new());
                };
                next.model = Some(folder.display().to_string());
                let view = serde_json::to_value(&next).map_err(|error| error.to_string())?;
                Ok(vec![crate::app::action::Action::SetView { panel: crate::app::panel::PanelKind::Knockouts, view }])
            });
        }
        if view.model.is_some() && ui.button("Look among those at hand").clicked() {
            view.model = None;
        }
        let command = format!("{} --model FOLDER", what_if::command(shared, None));
        ui.label(theme::number(&command).background_color(ui.visuals().code_bg_color));
        if ui.button("Copy the command").clicked() {
            ui.ctx().copy_text(command);
        }
    });
}

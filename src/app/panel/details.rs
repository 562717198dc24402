//! *Details*: what is selected in numbers, where it comes from, and what the words mean.

use egui::{Grid, RichText, ScrollArea, Ui};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::action::Action;
use crate::app::data::{GatesOf, MemoriesOf, TextOf};
use crate::app::glossary;
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::measure::{HeadGates, StepMemories};
use crate::memory::Phase;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Which page.
    pub page: Page,
}

/// A page of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// The numbers of the step looked at.
    #[default]
    Step,
    /// Where the trace comes from.
    Origin,
    /// What the words mean.
    Glossary,
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Details;
}

/// The panel.
#[derive(Default)]
pub struct DetailsPanel {
    gates: Latest<HeadGates>,
    memories: Latest<StepMemories>,
    sought: String,
}

impl Panel for DetailsPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let mut view: View = context.view();
        ui.horizontal(|ui| {
            for (page, name) in [(Page::Step, "Step"), (Page::Origin, "Origin"), (Page::Glossary, "Glossary")] {
                ui.selectable_value(&mut view.page, page, name);
            }
        });
        context.set_view(&view);
        ui.add_space(2.0);
        if view.page == Page::Glossary {
            return self.glossary(ui);
        }
        let Some(focus) = context.focus(ui) else { return };
        ScrollArea::vertical().auto_shrink(false).id_salt(view.page as u8).show(ui, |ui| match view.page {
            Page::Step => self.step(ui, context, &focus),
            Page::Origin | Page::Glossary => origin(ui, &focus),
        });
    }
}

impl DetailsPanel {
    fn step(&mut self, ui: &mut Ui, context: &mut Context<'_>, focus: &Focus<'_>) {
        let selection = focus.selection;
        let text = context.ask(&TextOf { trace: focus.trace.clone() });
        let place = (selection.layer, selection.head, selection.sequence);
        let (layer, head, sequence) = place;
        let (gates, _) = self.gates.update(&context.ask(&GatesOf { trace: focus.trace.clone(), layer, head, sequence }));
        let ask = MemoriesOf { trace: focus.trace.clone(), layer, head, sequence, step: selection.step };
        let (memories, _) = self.memories.update(&context.ask(&ask));
        let word = text.ready().map_or_else(String::new, |text| text.word(sequence, selection.step).to_owned());
        let condition = text.ready().and_then(|text| text.example(sequence).map(|example| example.condition));
        Grid::new("step").num_columns(2).spacing([14.0, 3.0]).show(ui, |ui| {
            let dims = focus.layer.dims;
            row(
                ui,
                "token",
                &if word.is_empty() { format!("step {}", selection.step) } else { format!("{word}  (step {})", selection.step) },
            );
            row(
                ui,
                "sequence",
                &condition.map_or_else(|| sequence.to_string(), |condition| format!("{sequence}  ({}: {condition})", condition.letter())),
            );
            row(ui, "head", &format!("layer {layer}, head {head}  ({}, {} × {})", focus.layer.rule, dims.d_k, dims.d_v));
            let at = |values: &[f64]| values.get(selection.step).map_or_else(|| "…".to_owned(), |value| format!("{value:.4}"));
            if let Some(gates) = &gates {
                row(ui, "retention ᾱ", &at(&gates.retention));
                row(ui, "erase strength γ", &at(&gates.erase_strength));
                row(ui, "write strength β", &at(&gates.write_strength));
            }
            if let Some(memories) = &memories {
                for (phase, name) in [
                    (Phase::Before, "|S| before"),
                    (Phase::Decay, "|S| decayed"),
                    (Phase::Erase, "|S| erased"),
                    (Phase::Write, "|S| written"),
                ] {
                    row(ui, name, &format!("{:.4}", memories.norm(phase)));
                }
                if let Some((key, value)) = context.hover.cell {
                    let entry = memories.phase(Phase::Write).get([key, value]).copied();
                    row(ui, &format!("S[{key}, {value}]"), &entry.map_or_else(String::new, |entry| format!("{entry:+.5}")));
                }
            }
            if !selection.steps.is_empty() {
                row(ui, "picked", &format!("{} tokens", selection.steps.len()));
            }
            if let Some(write) = selection.write {
                row(ui, "write followed", &format!("of step {write}"));
            }
        });
        if let Some(remark) = gates.as_ref().and_then(|gates| gates.remark.as_ref()) {
            ui.label(RichText::new(remark).small().color(theme::quiet(ui)));
        }
        if let Some(remark) = text.ready().and_then(|text| text.remark.clone()) {
            ui.label(RichText::new(remark).small().color(ui.visuals().warn_fg_color));
        }
        picked(ui, context.actions, focus, text.ready().map(|text| &**text));
    }

    fn glossary(&mut self, ui: &mut Ui) {
        ui.add(egui::TextEdit::singleline(&mut self.sought).hint_text("seek a word").desired_width(f32::INFINITY))
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Seek a word in the glossary"));
        let sought = self.sought.to_lowercase();
        ScrollArea::vertical().auto_shrink(false).id_salt("glossary").show(ui, |ui| {
            for entry in glossary::ENTRIES.iter().filter(|entry| entry.matches(&sought)) {
                ui.add_space(3.0);
                ui.horizontal_wrapped(|ui| {
                    ui.label(theme::heading(entry.word));
                    ui.label(theme::number(entry.symbol).color(theme::accent(ui)));
                });
                ui.label(entry.meaning);
                if !entry.equation.is_empty() {
                    ui.label(theme::number(entry.equation).background_color(ui.visuals().code_bg_color));
                }
            }
        });
    }
}

/// The picked tokens, the first hundred.
fn picked(ui: &mut Ui, actions: &mut Vec<Action>, focus: &Focus<'_>, text: Option<&crate::app::data::SequenceText>) {
    const MOST: usize = 100;
    let steps = &focus.selection.steps;
    if steps.is_empty() {
        return;
    }
    ui.add_space(6.0);
    ui.label(theme::heading("Picked tokens"));
    Grid::new("picked").num_columns(2).striped(true).spacing([14.0, 2.0]).show(ui, |ui| {
        for token in steps.tokens().take(MOST) {
            let (sequence, step) = (token.sequence as usize, token.step as usize);
            let name = theme::number(format!("sequence {sequence}, step {step}"));
            if ui.link(name).on_hover_text("Go there").clicked() {
                actions.push(Action::SelectToken { sequence, step });
            }
            ui.label(text.map_or("", |text| text.word(sequence, step)));
            ui.end_row();
        }
    });
    if steps.len() > MOST {
        ui.label(RichText::new(format!("and {} more", steps.len() - MOST)).small().color(theme::quiet(ui)));
    }
}

/// Who made the trace, of what.
fn origin(ui: &mut Ui, focus: &Focus<'_>) {
    let trace = focus.trace.trace();
    let attributes = trace.attributes();
    let made = &attributes.provenance;
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Grid::new("origin").num_columns(2).spacing([14.0, 3.0]).show(ui, |ui| {
        row(ui, "trace", focus.trace.name());
        row(ui, "status", &attributes.status.to_string());
        row(ui, "sequences × steps", &format!("{} × {}", trace.n_batch(), trace.n_steps()));
        let rules: Vec<String> = trace.layers().iter().map(|layer| format!("{} {}", layer.index, layer.rule)).collect();
        row(ui, "layers", &rules.join(", "));
        row(ui, "made by", &format!("{} {} ({})", made.tool, made.version, made.revision));
        row(ui, "command", &made.command);
        if let Some(name) = attributes.model.get("name") {
            row(ui, "model", &text(name));
        }
        for (name, value) in [
            ("seed", made.seed.map(|seed| seed.to_string())),
            ("config digest", made.config_digest.clone()),
            ("weights digest", made.weights_digest.clone()),
            ("task digest", made.spec_digest.clone()),
            ("content digest", attributes.content_digest.clone()),
        ] {
            if let Some(value) = value {
                row(ui, name, &value);
            }
        }
        row(ui, "device, precision", &format!("{}, {}", made.device, made.dtype));
        row(ui, "checkpoint every", &format!("{} steps", attributes.recording.checkpoint_every));
    });
}

fn row(ui: &mut Ui, name: &str, value: &str) {
    ui.label(RichText::new(name).color(theme::quiet(ui)));
    ui.add(egui::Label::new(theme::number(value)).wrap());
    ui.end_row();
}

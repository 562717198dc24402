//! Branches: what does otherwise from a step on, and the form that adds to it.

use egui::{ComboBox, DragValue, RichText, Slider, TextEdit, Ui};
use serde::{Deserialize, Serialize};

use super::{Branch, View};
use crate::app::data::Model;
use crate::app::panel::knockouts::{ADDRESSES, Entry};
use crate::app::theme;
use crate::intervene::{Address, Change, Intervention, Replacement, Steps, Where};

/// A change that could be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// What is changed.
    pub kind: Kind,
    /// Erase strength times this.
    pub factor: f64,
    /// Where it erases instead.
    pub address: Address,
    /// The write that is taken out, forgotten or replaced.
    pub write: usize,
    /// The step whose value is written instead.
    pub other: usize,
    /// The layer; `None` is all.
    pub layer: Option<usize>,
    /// The head; `None` is all.
    pub head: Option<usize>,
    /// At which steps.
    pub span: Span,
}

impl Default for Draft {
    fn default() -> Self {
        let (kind, span) = (Kind::default(), Span::default());
        Self { kind, factor: 0.0, address: Address::Random, write: 0, other: 0, layer: None, head: None, span }
    }
}

/// What is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Erase strength times a factor.
    #[default]
    Scale,
    /// Another erase direction.
    Address,
    /// Nothing decays.
    NoDecay,
    /// Nothing is written.
    NoWrite,
    /// What is left of a write is taken out.
    Retract,
    /// Nothing is left at the key of a write.
    Forget,
    /// A write puts another value there.
    Replace,
}

impl Kind {
    const ALL: [Self; 7] = [Self::Scale, Self::Address, Self::NoDecay, Self::NoWrite, Self::Retract, Self::Forget, Self::Replace];

    const fn label(self) -> &'static str {
        match self {
            Self::Scale => "erase strength times",
            Self::Address => "erase at",
            Self::NoDecay => "no decay",
            Self::NoWrite => "no write",
            Self::Retract => "retract the write of step",
            Self::Forget => "forget the key of step",
            Self::Replace => "another value for the write of step",
        }
    }
}

/// At which steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The step looked at and all after it.
    #[default]
    OnwardsFromHere,
    /// The step looked at alone.
    Here,
    /// All steps.
    Always,
}

impl Draft {
    /// The change, at a step.
    fn made(&self, at: usize) -> Intervention {
        let span = match self.span {
            Span::OnwardsFromHere => Steps::Range(at, usize::MAX),
            Span::Here => Steps::Chosen(vec![at]),
            Span::Always => Steps::All,
        };
        let (change, steps) = match self.kind {
            Kind::Scale => (Change::ScaleErase { factor: self.factor }, span),
            Kind::Address => (Change::EraseAddress { address: self.address }, span),
            Kind::NoDecay => (Change::NoDecay, span),
            Kind::NoWrite => (Change::RemoveWrite, span),
            Kind::Retract => (Change::Retract { write: self.write }, Steps::Chosen(vec![at])),
            Kind::Forget => (Change::ForgetKey { write: self.write, ridge: 1e-3 }, Steps::Chosen(vec![at])),
            Kind::Replace => (Change::ReplaceValue { write: self.write, value: Replacement::OfStep(self.other) }, Steps::All),
        };
        let at = Where { layers: self.layer.map(|layer| vec![layer]), heads: self.head.map(|head| vec![head]), steps };
        Intervention { change, at }
    }
}

/// The branches, and the one looked at.
pub fn ui(ui: &mut Ui, view: &mut View, model: &Model, at: usize, total: usize) {
    ui.add_space(6.0);
    ui.horizontal_wrapped(|ui| {
        ui.label(theme::heading("Branches"));
        ui.selectable_value(&mut view.branch, 0, "as it is");
        for branch in 1..=view.branches.len() {
            let name = format!("branch {branch}, from step {}", view.branches[branch - 1].from);
            ui.selectable_value(&mut view.branch, branch, name);
        }
        let add =
            ui.button(format!("Branch at step {at}")).on_hover_text("From this step on something does otherwise: the memory, or the words");
        if add.clicked() {
            view.branches.push(Branch { from: at, ..Branch::default() });
            view.branch = view.branches.len();
        }
    });
    let Some(place) = view.branch.checked_sub(1).filter(|place| *place < view.branches.len()) else { return };
    let mut gone = false;
    ui.indent("branch", |ui| {
        let branch = &mut view.branches[place];
        list(ui, branch);
        form(ui, &mut view.draft, branch, model, at, total);
        ui.horizontal_wrapped(|ui| {
            let mut reads = branch.tail.is_some();
            ui.checkbox(&mut reads, format!("reads other words from step {} on", branch.from));
            branch.tail = if reads { branch.tail.take().or_else(|| Some(String::new())) } else { None };
            if let Some(tail) = &mut branch.tail {
                ui.add(TextEdit::singleline(tail).desired_width(220.0).hint_text("words"))
                    .widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Words that the branch reads instead"));
            }
            gone = ui.button("Remove the branch").clicked();
        });
    });
    if gone {
        view.branches.remove(place);
        view.branch = view.branch.min(view.branches.len());
    }
}

fn list(ui: &mut Ui, branch: &mut Branch) {
    let mut gone = None;
    if branch.changes.is_empty() && branch.tail.is_none() {
        ui.label(RichText::new("Nothing does otherwise yet: add a change, or let it read other words.").color(theme::quiet(ui)));
    }
    for (place, entry) in branch.changes.iter_mut().enumerate() {
        ui.horizontal(|ui| {
            ui.checkbox(&mut entry.on, entry.change.to_string());
            let remove = ui.small_button("×").on_hover_text("Take it off the branch");
            remove
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Remove change {} of the branch", place + 1)));
            if remove.clicked() {
                gone = Some(place);
            }
        });
    }
    if let Some(place) = gone {
        branch.changes.remove(place);
    }
}

fn form(ui: &mut Ui, draft: &mut Draft, branch: &mut Branch, model: &Model, at: usize, total: usize) {
    let config = model.opened.model.config();
    let layers: Vec<usize> = config.rules().into_iter().map(|(layer, _)| layer).collect();
    let n_heads = config.delta.as_ref().map_or(0, |delta| delta.heads);
    let last = total.saturating_sub(1);
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("change");
        ComboBox::from_id_salt("kind")
            .width(190.0)
            .selected_text(draft.kind.label())
            .show_ui(ui, |ui| Kind::ALL.map(|kind| ui.selectable_value(&mut draft.kind, kind, kind.label())))
            .response
            .labelled_by(label.id);
        match draft.kind {
            Kind::Scale => drop(ui.add(Slider::new(&mut draft.factor, 0.0..=2.0).step_by(0.05).text("× γ"))),
            Kind::Address => {
                let named = |address| ADDRESSES.iter().find(|known| known.0 == address).map_or("", |known| known.1);
                ComboBox::from_id_salt("address").selected_text(named(draft.address)).show_ui(ui, |ui| {
                    for (address, name, help) in ADDRESSES {
                        ui.selectable_value(&mut draft.address, address, name).on_hover_text(help);
                    }
                });
            }
            Kind::Retract | Kind::Forget => step(ui, "of step", &mut draft.write, at),
            Kind::Replace => {
                step(ui, "of step", &mut draft.write, last);
                step(ui, "with that of step", &mut draft.other, last);
            }
            Kind::NoDecay | Kind::NoWrite => {}
        }
    });
    ui.horizontal_wrapped(|ui| {
        let named = |what: &str, chosen: Option<usize>| chosen.map_or_else(|| format!("all {what}s"), |number| format!("{what} {number}"));
        for (what, chosen, choices) in [("layer", &mut draft.layer, layers), ("head", &mut draft.head, (0..n_heads).collect())] {
            ComboBox::from_id_salt(what)
                .width(80.0)
                .selected_text(named(what, *chosen))
                .show_ui(ui, |ui| {
                    for choice in std::iter::once(None).chain(choices.iter().copied().map(Some)) {
                        ui.selectable_value(chosen, choice, named(what, choice));
                    }
                })
                .response
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Which {what}s are changed")));
        }
        if !matches!(draft.kind, Kind::Retract | Kind::Forget | Kind::Replace) {
            ui.selectable_value(&mut draft.span, Span::OnwardsFromHere, format!("from step {at} on"));
            ui.selectable_value(&mut draft.span, Span::Here, format!("at step {at} alone"));
            ui.selectable_value(&mut draft.span, Span::Always, "always");
        }
        let made = draft.made(at);
        let checked = made.check();
        let add = ui.add_enabled(checked.is_ok(), egui::Button::new("Add the change"));
        if add.clicked() {
            branch.changes.push(Entry { change: made, on: true });
        }
        if let Err(why) = checked {
            add.on_disabled_hover_text(why.to_string());
        }
    });
}

fn step(ui: &mut Ui, name: &str, value: &mut usize, last: usize) {
    *value = (*value).min(last);
    let label = ui.label(name);
    ui.add(DragValue::new(value).range(0..=last)).labelled_by(label.id);
}

//! Play, step, jump, speed, loop, and numbers to type.

use egui::{Button, DragValue, Ui};

use super::{GatesAs, View};
use crate::app::action::Action;
use crate::app::paint::icon::{self, Icon};
use crate::app::panel::Context;
use crate::app::theme;
use crate::measure::HeadGates;

/// Where a jump leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// The strongest erase.
    LargestErase,
    /// The strongest erase where decay keeps more than nine tenths.
    LargestEraseKept,
    /// The strongest write.
    LargestWrite,
    /// Where decay takes most.
    LeastRetention,
}

impl Jump {
    /// All.
    pub const ALL: [Self; 4] = [Self::LargestErase, Self::LargestEraseKept, Self::LargestWrite, Self::LeastRetention];

    /// As the menu says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LargestErase => "Largest erase strength",
            Self::LargestEraseKept => "Largest erase with retention above 0.9",
            Self::LargestWrite => "Largest write strength",
            Self::LeastRetention => "Least retention",
        }
    }

    /// The step it leads to, if there is one.
    pub fn step(self, gates: &HeadGates) -> Option<usize> {
        let steps = 0..gates.retention.len();
        let erase = |step: &usize| gates.erase_strength[*step];
        let most = |steps: Vec<usize>, of: &dyn Fn(&usize) -> f64| {
            steps.into_iter().filter(|step| of(step).is_finite()).max_by(|a, b| of(a).total_cmp(&of(b)))
        };
        match self {
            Self::LargestErase => most(steps.filter(|step| erase(step) > 0.0).collect(), &erase),
            Self::LargestEraseKept => most(steps.filter(|step| erase(step) > 0.0 && gates.retention[*step] > 0.9).collect(), &erase),
            Self::LargestWrite => most(steps.collect(), &|step| gates.write_strength[*step]),
            Self::LeastRetention => most(steps.collect(), &|step| -gates.retention[*step]),
        }
    }
}

/// The row of controls.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, view: &mut View, n_steps: usize, gates: Option<&HeadGates>) {
    let selection = context.session.selection().clone();
    let (playing, speed, repeat) = context.session.playing();
    let n_sequences = context.session.focus().map_or(1, |focus| focus.trace.trace().n_batch());
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, icon: Icon, name: &str, action: Action| {
            if icon::button(ui, icon, name).clicked() {
                context.act(action);
            }
        };
        button(ui, Icon::First, "First step (Home)", Action::SelectStep(0));
        button(ui, Icon::Back, "One step back (Left)", Action::MoveStep(-1));
        let (sign, name) = if playing { (Icon::Pause, "Pause (Space)") } else { (Icon::Play, "Play (Space)") };
        button(ui, sign, name, Action::Play(!playing));
        button(ui, Icon::Next, "One step on (Right)", Action::MoveStep(1));
        button(ui, Icon::Last, "Last step (End)", Action::SelectStep(n_steps - 1));
        ui.add_space(6.0);

        let mut step = selection.step;
        let label = ui.label("step");
        let entry = ui.add(DragValue::new(&mut step).range(0..=n_steps - 1).speed(0.2).max_decimals(0)).labelled_by(label.id);
        if entry.changed() {
            context.act(Action::SelectStep(step));
        }
        ui.label(theme::number(format!("of {n_steps}")).color(theme::quiet(ui)));
        if n_sequences > 1 {
            let mut sequence = selection.sequence;
            let label = ui.label("sequence");
            let entry = ui.add(DragValue::new(&mut sequence).range(0..=n_sequences - 1).speed(0.1)).labelled_by(label.id);
            if entry.changed() {
                context.act(Action::SelectSequence(sequence));
            }
            ui.label(theme::number(format!("of {n_sequences}")).color(theme::quiet(ui)));
        }
        ui.separator();
        let mut rate = speed;
        let label = ui.label("speed");
        let entry = ui.add(DragValue::new(&mut rate).range(0.5..=120.0).speed(0.2).suffix(" /s").max_decimals(1)).labelled_by(label.id);
        if entry.changed() {
            context.act(Action::SetSpeed(rate));
        }
        let mut looped = repeat.is_some();
        if ui.checkbox(&mut looped, "loop").on_hover_text("Repeat the steps shown; [ and ] set its ends").changed() {
            let [from, to] = view.window(n_steps);
            context.act(Action::SetLoop(looped.then_some((from.ceil() as usize, (to.floor() as usize).saturating_sub(1)))));
        }
        ui.separator();
        ui.menu_button("Jump to", |ui| {
            for jump in Jump::ALL {
                let target = gates.and_then(|gates| jump.step(gates));
                let text = target.map_or_else(|| jump.label().to_owned(), |step| format!("{} (step {step})", jump.label()));
                if ui.add_enabled(target.is_some(), Button::new(text)).clicked() {
                    context.actions.extend(target.map(Action::SelectStep));
                    ui.close();
                }
            }
        });
        let mut strips = view.gates == GatesAs::Strips;
        ui.checkbox(&mut strips, "strips").on_hover_text("Gates as rows of colour instead of curves");
        view.gates = if strips { GatesAs::Strips } else { GatesAs::Curves };
    });
}

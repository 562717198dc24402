//! *Fate of a write*: what survives of it, what decay, erases and later writes took, when, and which steps took most.
//!
//! Without a choice it follows the write of the step looked at; a choice in any panel (the timeline's bars, an attention cell)
//! holds it. All writes of a role are followed over all sequences, with intervals.

mod role;
mod write;

use egui::{ComboBox, DragValue, Rect, RichText, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind, placed};
use crate::app::action::Action;
use crate::app::data::{FateOf, Handle, HeadOf, LifeOf, Lives, SequenceText, TextOf};
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::{Figure, FigureSpec, Labelled, Measured, Options};
use crate::measure::{Fate, OneHead, Role};

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Whose fate.
    pub of: Of,
    /// Which write of the step, for rules that write several times.
    pub number: usize,
    /// Decay is listed among the steps that took most.
    pub decay_listed: bool,
}

/// Whose fate is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// One write.
    #[default]
    Write,
    /// All writes of stale facts.
    Stale,
    /// All writes of facts that stayed true.
    Kept,
    /// All writes of tokens that state no fact.
    Other,
}

impl Of {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Write, "This write", "One write of this head, followed to the end of its sequence"),
        (Self::Stale, "Stale facts", "All writes of this head, over all sequences, whose fact went stale"),
        (Self::Kept, "Kept facts", "All writes whose fact stayed true"),
        (Self::Other, "Other tokens", "All writes of tokens that state no fact"),
    ];

    const fn role(self) -> Option<Role> {
        match self {
            Self::Write => None,
            Self::Stale => Some(Role::Stale),
            Self::Kept => Some(Role::Kept),
            Self::Other => Some(Role::Other),
        }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Fate;
}

/// The panel.
#[derive(Default)]
pub struct FatePanel {
    text: Latest<SequenceText>,
    head: Latest<Handle<OneHead>>,
    lives: Latest<Lives>,
    fate: Latest<Fate>,
}

/// The step whose write is followed: the one chosen, else the one looked at.
fn followed(focus: &Focus<'_>) -> usize {
    focus.selection.write.unwrap_or(focus.selection.step)
}

impl Panel for FatePanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let mut view: View = context.view();
        let (text, _) = self.text.update(&context.ask(&TextOf { trace: focus.trace.clone() }));
        ui.horizontal_wrapped(|ui| {
            for (of, name, help) in Of::ALL {
                ui.selectable_value(&mut view.of, of, name).on_hover_text(help);
            }
            if view.of == Of::Write {
                ui.separator();
                choose_write(ui, context, &focus, text.as_deref());
            }
        });
        let selection = focus.selection;
        let (layer, head) = (selection.layer, selection.head);
        let Some(role) = view.of.role() else {
            let of_head = HeadOf::focus(&focus);
            let (found, _) = self.head.update(&context.ask(&of_head));
            let Some(found) = found else {
                drop(context.show(ui, &of_head));
                return context.set_view(&view);
            };
            let ask = LifeOf { head: (*found).clone(), step: followed(&focus) };
            let (lives, _) = self.lives.update(&context.ask(&ask));
            match lives {
                Some(lives) => write::ui(ui, context, &mut view, &focus, &lives, text.as_deref()),
                None => drop(context.show(ui, &ask)),
            }
            context.set_view(&view);
            return;
        };
        context.set_view(&view);
        let ask = FateOf { trace: focus.trace.clone(), layer, head };
        let answer = context.ask(&ask);
        let (fate, is_new) = self.fate.update(&answer);
        match fate {
            Some(fate) if is_new => role::ui(ui, context, role, &fate),
            _ => drop(context.show(ui, &ask)),
        }
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        let selection = focus.selection;
        let view: View = context.view();
        if view.of == Of::Write {
            let of_head = HeadOf::focus(&focus);
            let head = context.ask(&of_head).ready()?.as_ref().clone();
            let lives = context.ask(&LifeOf { head, step: followed(&focus) });
            let writes = &lives.ready()?.writes;
            let number = view.number.min(writes.len().saturating_sub(1));
            let place = of_head.place(followed(&focus), number);
            let life = writes.get(number)?.clone();
            let measured = Measured::Life(vec![placed::seen(context, focus.trace, place, life)?]);
            return Some((placed::spec(Figure::Life, place, Options::default()), measured));
        }
        let ask = FateOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head };
        let fate = context.ask(&ask).ready()?.as_ref().clone();
        let label = format!("{}, layer {} head {}", focus.trace.name(), selection.layer, selection.head);
        Some((FigureSpec::new(Figure::Fate), Measured::Fate(vec![Labelled::new(label, fate)])))
    }
}

/// The write followed: a number, its words, and whether it follows the step looked at.
fn choose_write(ui: &mut Ui, context: &mut Context<'_>, focus: &Focus<'_>, text: Option<&SequenceText>) {
    let selection = focus.selection;
    let last = focus.trace.trace().n_steps().saturating_sub(1);
    let mut step = followed(focus);
    let label = ui.label("of step").id;
    if ui.add(DragValue::new(&mut step).range(0..=last).speed(0.1)).labelled_by(label).changed() {
        context.act(Action::SelectWrite(Some(step)));
    }
    let words = text.map_or_else(String::new, |text| text.step_words(selection.sequence, step));
    if !words.is_empty() {
        ui.label(RichText::new(words).strong());
    }
    let facts = text.and_then(|text| text.example(selection.sequence)).map_or(&[][..], |example| &example.writes);
    if let (Some(text), false) = (text, facts.is_empty()) {
        let mut chosen = None;
        ComboBox::from_id_salt("fact")
            .width(22.0)
            .selected_text("")
            .show_ui(ui, |ui| {
                for write in facts {
                    let stale = write.stale_at().map_or_else(String::new, |step| format!(", stale from {step}"));
                    let name = format!("{}  (step {}{stale})", text.step_words(selection.sequence, write.position), write.position);
                    if ui.selectable_label(write.position == followed(focus), name).clicked() {
                        chosen = Some(write.position);
                    }
                }
            })
            .response
            .on_hover_text("Choose a fact of this sequence")
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Choose a fact"));
        if chosen.is_some() {
            context.act(Action::SelectWrite(chosen));
        }
    }
    if selection.write.is_some() {
        if ui.button("Release").on_hover_text("Follow the write of the step looked at again").clicked() {
            context.act(Action::SelectWrite(None));
        }
    } else if ui.button("Hold").on_hover_text("Stay with this write while stepping on").clicked() {
        context.act(Action::SelectWrite(Some(step)));
    }
}

/// The plot's room and, where there is width for it, that of the list beside it with this share of the width; else beneath.
fn split(room: Rect, share: f32) -> (Rect, Rect) {
    if room.width() > 520.0 {
        let right = (room.width() * share).clamp(190.0, 320.0);
        let middle = room.right() - right;
        (Rect::from_min_max(room.min, pos2(middle - 8.0, room.bottom())), Rect::from_min_max(pos2(middle, room.top()), room.max))
    } else {
        let middle = room.top() + (room.height() * 0.58).max(120.0).min(room.height());
        (Rect::from_min_max(room.min, pos2(room.right(), middle)), Rect::from_min_max(pos2(room.left(), middle + 4.0), room.max))
    }
}

/// A line beneath everything, small.
fn foot(ui: &mut Ui, rect: Rect, text: &str) {
    let quiet = theme::quiet(ui);
    ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| ui.label(RichText::new(text).small().color(quiet)));
    ui.allocate_rect(rect, Sense::hover());
}

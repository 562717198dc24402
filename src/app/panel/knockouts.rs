//! *Knockouts*: the erases behind an answer, and what the model would say had they been otherwise.
//!
//! The erase looked at is the step of the head looked at; unless one chooses, the answer is the one that this erase serves most. With
//! the model at hand every number is an exact replay of the whole network; without it the panel says what the trace alone can: how
//! each erase changes what its head reads.

mod answer;
mod dose;
mod events;
mod local;
mod map;
mod outcome;
mod what_if;

use egui::{Rect, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::data::{AccountOf, Handle, Model, ModelFor, Sequence, SequenceOf, Served, ServedOf};
use crate::app::jobs::Answer;
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::{Figure, FigureSpec, Measured};
use crate::intervene::{Address, AnswerAccount, EraseEvent, Intervention, ReadChange, Scores};
pub(super) use what_if::ADDRESSES;

/// What the panel lets one choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Which answer.
    pub aim: Aim,
    /// Which erases the slider is about.
    pub scope: Scope,
    /// Their strength, times as it is.
    pub factor: f64,
    /// Where they erase instead; `None` is where they learned to.
    pub address: Option<Address>,
    /// Changes made beside it.
    pub list: Vec<Entry>,
    /// Probabilities on a logarithmic scale.
    pub log: bool,
    /// The folder of the trace's model, where it is not found.
    pub model: Option<String>,
}

/// Which answer the panel is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// The one that the erase looked at serves most.
    #[default]
    Follow,
    /// This one, as long as its sequence is looked at.
    Question {
        /// The sequence.
        sequence: usize,
        /// The question's number.
        number: usize,
    },
    /// What is read at a step, whether or not anything is asked there.
    Read {
        /// The sequence.
        sequence: usize,
        /// The step.
        step: usize,
    },
}

/// Which erases a slider is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The one looked at.
    #[default]
    Event,
    /// All of the head looked at.
    Head,
    /// All of the model.
    All,
}

/// A change on the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The change.
    pub change: Intervention,
    /// Whether it is made.
    pub on: bool,
}

impl Default for View {
    fn default() -> Self {
        Self { aim: Aim::default(), scope: Scope::default(), factor: 0.0, address: None, list: Vec::new(), log: false, model: None }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Knockouts;
}

/// The panel.
#[derive(Default)]
pub struct KnockoutsPanel {
    sequence: Latest<Handle<Sequence>>,
    served: Latest<Vec<Served>>,
    read_served: Latest<Vec<(usize, f64)>>,
    account: Latest<AnswerAccount>,
    event: Latest<EraseEvent>,
    what_if: Latest<crate::app::data::WhatIf>,
    dose: Latest<Vec<(f64, Scores)>>,
    reads: Latest<Vec<EraseEvent>>,
    changes: Latest<Vec<ReadChange>>,
    /// The erase that was selected in this panel, and the answer it was selected for: that answer stays.
    held: Option<(Erase, usize)>,
}

/// The erase looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Erase {
    sequence: usize,
    layer: usize,
    head: usize,
    step: usize,
}

/// What reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Question(usize),
    Step(usize),
}

/// What the parts of the panel share.
struct Shared<'a> {
    focus: Focus<'a>,
    sequence: Handle<Sequence>,
    erase: Erase,
    has_erase: bool,
    reading: Reading,
}

impl Shared<'_> {
    /// The step that reads.
    fn step(&self) -> usize {
        match self.reading {
            Reading::Step(step) => step,
            Reading::Question(number) => self.sequence.words.question(number).map_or(0, |question| question.position),
        }
    }

    /// Whether the erase looked at can have changed what is read.
    fn reaches(&self) -> bool {
        self.has_erase && self.erase.step <= self.step()
    }
}

impl Panel for KnockoutsPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        if !focus.trace.trace().layers().iter().any(|layer| layer.rule.has_erase()) {
            super::notice(
                ui,
                "This model has no erase",
                "No layer's rule erases, so there is none to leave out. Writes and decays can be left out on the command line:",
                Some(&format!("pentimento knockout {} --question 0 --gate write", focus.trace.trace().path().display())),
            );
            return;
        }
        let selection = focus.selection;
        let asked = context.ask(&SequenceOf { trace: focus.trace.clone(), index: selection.sequence });
        let (sequence, is_this) = self.sequence.update(&asked);
        let Some(sequence) = sequence.filter(|sequence| is_this || sequence.trace == *focus.trace) else {
            match asked {
                Answer::Pending { title, share } => super::pending(ui, &title, share),
                Answer::Failed(said) => super::notice(ui, "This sequence cannot be read", &said, None),
                Answer::Ready(_) => {}
            }
            return;
        };
        let mut view: View = context.view();
        let model = context.ask(&ModelFor { trace: focus.trace.clone(), chosen: view.model.clone() });
        let erase = Erase { sequence: sequence.index, layer: selection.layer, head: selection.head, step: selection.step };
        let has_erase = focus.layer.rule.has_erase();
        let mut shared = Shared { focus, sequence: (*sequence).clone(), erase, has_erase, reading: Reading::Step(0) };
        let served = self.serves(context, &shared, model.ready().map(|model| &**model));
        shared.reading = self.reading(&view, &shared, &served);
        answer::ui(ui, context, &shared, &mut view, &served);
        match (shared.reading, &model) {
            (Reading::Question(number), Answer::Ready(model)) => self.with_model(ui, context, &shared, &mut view, model, number),
            _ => self.without_model(ui, context, &shared, &mut view, &model),
        }
        context.set_view(&view);
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        let account = self.account.last.as_ref().filter(|account| account.batch == focus.selection.sequence)?;
        Some((FigureSpec::new(Figure::Knockout), Measured::Knockout(vec![(**account).clone()])))
    }
}

/// How much the erase looked at does to each later answer: the question's number, and the change.
enum Serves {
    /// Of the log-odds, by replays of the whole network (nats).
    Answers(Vec<Served>),
    /// Of the head's read over its length, from the trace alone.
    Reads(Vec<(usize, f64)>),
}

impl Serves {
    fn strongest(&self) -> Option<usize> {
        let each: Vec<(usize, f64)> = match self {
            Self::Answers(served) => served.iter().map(|served| (served.question, served.total.margin().abs())).collect(),
            Self::Reads(served) => served.clone(),
        };
        each.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(question, _)| question)
    }
}

impl KnockoutsPanel {
    /// What the erase looked at does to every answer after it.
    fn serves(&mut self, context: &Context<'_>, shared: &Shared<'_>, model: Option<&Handle<Model>>) -> Serves {
        let Erase { layer, head, step, .. } = shared.erase;
        let has_questions = shared.sequence.words.example.as_ref().is_some_and(|example| !example.questions.is_empty());
        if !shared.has_erase || !has_questions {
            return Serves::Reads(Vec::new());
        }
        let sequence = shared.sequence.clone();
        if let Some(model) = model {
            let answer = context.ask(&ServedOf { model: model.clone(), sequence, layer, head, step });
            let (served, _) = self.served.update(&answer);
            Serves::Answers(served.map(|served| served.to_vec()).unwrap_or_default())
        } else {
            let (served, _) = self.read_served.update(&context.ask(&crate::app::data::ReadServedOf { sequence, layer, head, step }));
            Serves::Reads(served.map(|served| served.to_vec()).unwrap_or_default())
        }
    }

    /// Which answer is shown.
    fn reading(&mut self, view: &View, shared: &Shared<'_>, served: &Serves) -> Reading {
        let here = shared.sequence.index;
        let n_questions = shared.sequence.words.example.as_ref().map_or(0, |example| example.questions.len());
        let last_step = shared.focus.trace.trace().n_steps().saturating_sub(1);
        match view.aim {
            Aim::Question { sequence, number } if sequence == here && number < n_questions => return Reading::Question(number),
            Aim::Read { sequence, step } if sequence == here => return Reading::Step(step.min(last_step)),
            _ if n_questions == 0 => return Reading::Step(last_step),
            _ => {}
        }
        match self.held {
            Some((erase, question)) if erase == shared.erase && question < n_questions => Reading::Question(question),
            _ => {
                let question = served.strongest().filter(|question| *question < n_questions).unwrap_or(n_questions - 1);
                self.held = None;
                Reading::Question(question)
            }
        }
    }

    /// Selects an erase, and keeps to the answer it was selected for.
    fn jump(&mut self, context: &mut Context<'_>, shared: &Shared<'_>, (layer, head, step): (usize, usize, usize)) {
        let sequence = shared.sequence.index;
        if let Reading::Question(number) = shared.reading {
            self.held = Some((Erase { sequence, layer, head, step }, number));
        }
        context.act(crate::app::action::Action::SelectHead { layer, head });
        context.act(crate::app::action::Action::SelectToken { sequence, step });
    }

    fn with_model(
        &mut self,
        ui: &mut Ui,
        context: &mut Context<'_>,
        shared: &Shared<'_>,
        view: &mut View,
        model: &Handle<Model>,
        question: usize,
    ) {
        let asked = context.ask(&AccountOf { model: model.clone(), sequence: shared.sequence.clone(), question });
        let (account, is_this) = self.account.update(&asked);
        let account = account.filter(|account| account.batch == shared.sequence.index && (is_this || account.question == question));
        columns(ui, |ui, place| match (place, &account) {
            (Place::Left, Some(account)) => {
                if let Some(event) = map::ui(ui, context, shared, account) {
                    self.jump(context, shared, event);
                }
                if let Some(event) = events::ui(ui, context, shared, account) {
                    self.jump(context, shared, event);
                }
            }
            (Place::Left, None) => match &asked {
                Answer::Pending { title, share } => super::pending(ui, title, *share),
                Answer::Failed(said) => super::notice(ui, "The account cannot be made", said, None),
                Answer::Ready(_) => {}
            },
            (Place::Right, _) => {
                what_if::ui(ui, context, shared, view, Some(model));
                let edits = what_if::edits(shared, view);
                self.outcome(ui, context, shared, view, model, (question, &edits));
            }
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Left,
    Right,
}

/// Two columns that scroll on their own; one where there is no room for two.
fn columns(ui: &mut Ui, mut draw: impl FnMut(&mut Ui, Place)) {
    let room = ui.available_rect_before_wrap();
    if room.width() < 620.0 {
        ScrollArea::vertical().auto_shrink(false).id_salt("both").show(ui, |ui| {
            draw(ui, Place::Left);
            ui.add_space(8.0);
            ui.separator();
            draw(ui, Place::Right);
        });
        return;
    }
    let middle = room.left() + room.width() * 0.52;
    let halves = [
        (Place::Left, Rect::from_min_max(room.min, pos2(middle - 9.0, room.bottom()))),
        (Place::Right, Rect::from_min_max(pos2(middle + 9.0, room.top()), room.max)),
    ];
    ui.painter().vline(middle, room.y_range().shrink(4.0), ui.visuals().widgets.noninteractive.bg_stroke);
    for (place, rect) in halves {
        ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(place == Place::Left), |ui| {
            ui.set_clip_rect(rect.expand2(vec2(4.0, 0.0)).intersect(ui.clip_rect()));
            ScrollArea::vertical().auto_shrink(false).id_salt("column").show(ui, |ui| draw(ui, place));
        });
    }
    ui.allocate_rect(room, Sense::hover());
}

/// The colours of the right, the stale and the never-written answer: those of the dose-response figure.
fn answer_colour(ui: &Ui, index: usize) -> egui::Color32 {
    if index < 3 { theme::colour(crate::figure::colour::category(index)) } else { theme::quiet(ui) }
}

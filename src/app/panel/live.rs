//! *Live model*: a model at hand reads a text of one's own or an example of a task, step by step or at once. The run is an open trace,
//! so that every other panel shows its memory; branches do otherwise from some step on and stand beside it.

mod branches;
mod prompt;
mod said;
mod tokens;

use std::collections::BTreeMap;

use egui::{RichText, ScrollArea, Ui};
use serde::{Deserialize, Serialize};

use super::knockouts::Entry;
use super::{Context, Latest, Panel, PanelKind};
use crate::app::action::Action;
use crate::app::data::{AtHandOf, DrawnExample, Edits, ExampleOf, Handle, LiveOf, LiveRun, Model, ModelsAtHand, Prompt};
use crate::app::jobs::Answer;
use crate::app::open_trace::OpenTrace;
use crate::app::session;
use crate::app::theme;
use crate::intervene::Intervention;
use crate::task::Condition;

/// What the panel lets one choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The model: `bundled:NAME` or a folder.
    pub model: String,
    /// What is read: a text or an example of a task.
    pub reads: Reads,
    /// The text.
    pub text: String,
    /// The task's name.
    pub task: String,
    /// Seed of the task's sequences.
    pub seed: u64,
    /// Which sequence.
    pub index: u64,
    /// The condition instead of the one drawn.
    pub condition: Option<Condition>,
    /// Steps read so far; `None` is all.
    pub steps: Option<usize>,
    /// What does otherwise from some step on.
    pub branches: Vec<Branch>,
    /// The branch looked at; 0 is the run as it is, n the n-th branch.
    pub branch: usize,
    /// The change that would be added to the branch.
    pub draft: branches::Draft,
}

/// Where the sequence comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// An example of a task.
    #[default]
    Task,
    /// A text of one's own.
    Text,
}

/// What does otherwise from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branch {
    /// The step.
    pub from: usize,
    /// Words read from there on instead.
    pub tail: Option<String>,
    /// Changes inside the memories.
    pub changes: Vec<Entry>,
}

impl Branch {
    /// What is changed.
    fn interventions(&self) -> Vec<Intervention> {
        self.changes.iter().filter(|entry| entry.on).map(|entry| entry.change.clone()).collect()
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            model: "bundled:eda-stale-facts".to_owned(),
            reads: Reads::default(),
            text: String::new(),
            task: "stale_facts".to_owned(),
            seed: 0,
            index: 0,
            condition: None,
            steps: Some(0),
            branches: Vec::new(),
            branch: 0,
            draft: branches::Draft::default(),
        }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Live;
}

impl View {
    fn prompt(&self) -> Prompt {
        match self.reads {
            Reads::Text => Prompt::Text(self.text.clone()),
            Reads::Task => Prompt::Task { name: self.task.clone(), seed: self.seed, index: self.index, condition: self.condition },
        }
    }

    /// What the run of a branch is called.
    fn name(branch: usize) -> String {
        if branch == 0 { "live".to_owned() } else { format!("live, branch {branch}") }
    }
}

/// The panel.
#[derive(Default)]
pub struct LivePanel {
    models: Latest<Vec<String>>,
    drawn: BTreeMap<usize, Latest<Handle<DrawnExample>>>,
    runs: BTreeMap<usize, Latest<LiveRun>>,
    /// The run that the other panels were last given, and its steps.
    shown: Option<(OpenTrace, usize)>,
}

/// A branch as far as it is known.
struct Line {
    branch: usize,
    drawn: Handle<DrawnExample>,
    run: Option<std::sync::Arc<LiveRun>>,
    is_current: bool,
}

impl Panel for LivePanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let mut view: View = context.view();
        view.branch = view.branch.min(view.branches.len());
        ScrollArea::vertical().auto_shrink(false).id_salt("live").show(ui, |ui| {
            let (models, _) = self.models.update(&context.ask(&ModelsAtHand));
            prompt::model(ui, context, &mut view, models.as_deref().map_or(&[], Vec::as_slice));
            let asked = context.ask(&AtHandOf { name: view.model.clone() });
            let model = match asked {
                Answer::Ready(model) => (*model).clone(),
                Answer::Pending { title, share } => return super::pending(ui, &title, share),
                Answer::Failed(why) => {
                    let command = "pentimento train assets/specs/stale-facts.toml -o my-model";
                    return super::notice(ui, "This model cannot be opened", &why, Some(command));
                }
            };
            prompt::about(ui, &model);
            self.run(ui, context, &mut view, &model);
        });
        context.set_view(&view);
    }
}

impl LivePanel {
    fn run(&mut self, ui: &mut Ui, context: &mut Context<'_>, view: &mut View, model: &Handle<Model>) {
        let base = self.draw(context, view, model, 0);
        let found = base.as_ref().ok().and_then(|(drawn, _)| drawn.clone());
        prompt::ui(ui, view, model, found.as_deref());
        match base {
            Err(why) => {
                ui.label(RichText::new(&*why).color(ui.visuals().error_fg_color));
                return;
            }
            Ok((None, _)) => return theme::progress(ui, None, 120.0),
            Ok(_) => {}
        }
        let mut lines = Vec::new();
        let mut failed = None;
        for branch in 0..=view.branches.len() {
            match self.line(context, view, model, branch) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(why) => failed = Some((branch, why)),
            }
        }
        let Some(here) = lines.iter().find(|line| line.branch == view.branch).or(lines.first()) else { return };
        let total = here.drawn.example.len();
        let at = self.step(context, view, total);
        tokens::transport(ui, context, view, here, total);
        if let Some((branch, why)) = failed {
            let name = if branch == 0 { "The run".to_owned() } else { format!("Branch {branch}") };
            ui.label(RichText::new(format!("{name} cannot be run: {why}")).color(ui.visuals().error_fg_color));
        }
        tokens::strip(ui, context, view, here, at, self.is_shown(context));
        branches::ui(ui, view, model, at, total);
        if let Some(note) = here.run.as_ref().and_then(|run| run.note.clone()) {
            ui.label(RichText::new(note).small().color(theme::quiet(ui)));
        }
        said::ui(ui, context, view, model, &lines, at);
        self.give(context, view, &lines);
    }

    /// The sequence of a branch.
    #[expect(clippy::type_complexity, reason = "an answer that stays while the next is sought")]
    fn draw(
        &mut self,
        context: &Context<'_>,
        view: &View,
        model: &Handle<Model>,
        branch: usize,
    ) -> Result<(Option<std::sync::Arc<Handle<DrawnExample>>>, bool), std::sync::Arc<str>> {
        let tail = branch.checked_sub(1).and_then(|place| view.branches.get(place));
        let tail = tail.and_then(|branch| Some((branch.from, branch.tail.clone()?)));
        let asked = context.ask(&ExampleOf { model: model.clone(), prompt: view.prompt(), tail });
        if let Answer::Failed(why) = &asked {
            return Err(std::sync::Arc::clone(why));
        }
        Ok(self.drawn.entry(branch).or_default().update(&asked))
    }

    /// A branch with its run, as far as it is.
    fn line(
        &mut self,
        context: &Context<'_>,
        view: &View,
        model: &Handle<Model>,
        branch: usize,
    ) -> Result<Option<Line>, std::sync::Arc<str>> {
        let (Some(drawn), _) = self.draw(context, view, model, branch)? else { return Ok(None) };
        let drawn = (*drawn).clone();
        let n_steps = view.steps.unwrap_or(usize::MAX).min(drawn.example.len());
        if n_steps == 0 {
            return Ok(Some(Line { branch, drawn, run: None, is_current: true }));
        }
        let changes = branch.checked_sub(1).and_then(|place| view.branches.get(place)).map(Branch::interventions).unwrap_or_default();
        let edits = Edits::new(&changes);
        let asked = context.ask(&LiveOf { model: model.clone(), drawn: drawn.clone(), n_steps, edits, name: View::name(branch) });
        if let Answer::Failed(why) = &asked {
            return Err(std::sync::Arc::clone(why));
        }
        let (run, is_current) = self.runs.entry(branch).or_default().update(&asked);
        Ok(Some(Line { branch, drawn, run, is_current }))
    }

    /// Whether the trace that is looked at in the other panels is the run shown here.
    fn is_shown(&self, context: &Context<'_>) -> bool {
        let focus = context.session.focus();
        focus.is_some_and(|focus| self.shown.as_ref().is_some_and(|(open, _)| open == focus.trace))
    }

    /// The step looked at: that of the selection where the run is what is looked at; else the last one read.
    fn step(&self, context: &Context<'_>, view: &View, total: usize) -> usize {
        let read = view.steps.unwrap_or(total).min(total);
        let selected = context.session.focus().filter(|_| self.is_shown(context)).map(|focus| focus.selection.step);
        selected.unwrap_or(usize::MAX).min(read.saturating_sub(1))
    }

    /// Gives the run of the branch looked at to the other panels, once.
    fn give(&mut self, context: &mut Context<'_>, view: &View, lines: &[Line]) {
        let Some(line) = lines.iter().find(|line| line.branch == view.branch && line.is_current) else { return };
        let Some(open) = line.run.as_ref().and_then(|run| run.open.clone()) else { return };
        let n_steps = open.trace().n_steps();
        if self.shown.as_ref().is_some_and(|(shown, _)| *shown == open) {
            return;
        }
        let grew = self.shown.as_ref().is_none_or(|(_, steps)| *steps != n_steps);
        self.shown = Some((open.clone(), n_steps));
        let step = context.session.selection().step;
        context.act(Action::Opened(open));
        context.act(Action::SelectToken { sequence: 0, step: if grew { n_steps.saturating_sub(1) } else { step } });
    }
}

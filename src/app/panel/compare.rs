//! *Compare*: two traces or two runs side by side, locked to the same sequence and token, and the first minus the second.

mod answers;
mod figures;
mod gates;
mod headline;
mod heads;
mod memory;
mod runs;

use std::sync::Arc;

use egui::{ComboBox, RichText, Ui};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::data::{AnswersOf, HeadDifferencesOf, PairingOf};
use crate::app::open_trace::{OpenTrace, TraceSource};
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::colour::{BLUE, Colour, VERMILLION};
use crate::figure::{Figure, FigureSpec, Labelled, Measured, Options};
use crate::measure::{DecayAxis, HeadMap, HeadQuantity, HeadValue, Pairing, Strength};
use crate::memory::Phase;

/// The first, everywhere in this panel.
pub(super) const FIRST: Colour = BLUE;
/// The second.
pub(super) const SECOND: Colour = VERMILLION;

/// What the panel lets one choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The second trace; the first is the one looked at.
    pub with: Option<TraceSource>,
    /// What is shown.
    pub page: Page,
    /// What the second follows.
    pub lock: Lock,
    /// The place in the second while it follows nothing.
    pub free: Place,
    /// The head of the second; the same by default.
    pub head: Option<(usize, usize)>,
    /// The phase of memories.
    pub phase: Phase,
    /// Of every head.
    pub quantity: HeadQuantity,
    /// Vertical axis of the clouds.
    pub strength: Strength,
    /// Horizontal axis of the clouds.
    pub decay: DecayAxis,
    /// The results of two runs instead of traces.
    pub runs: runs::Choice,
}

/// A page of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Retention, write and erase strength over the steps.
    #[default]
    Gates,
    /// Memories of the step.
    Memory,
    /// Any quantity by head.
    Heads,
    /// Cleanup against decay, one cloud over the other.
    Headline,
    /// Answers by condition, and of the sequence.
    Answers,
    /// Results of two runs.
    Runs,
}

/// What the place in the second trace follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// The same sequence and the same token in it, wherever it stands.
    #[default]
    Token,
    /// The sequence and the step of the same number.
    Number,
    /// Nothing.
    Free,
}

/// A place in the second trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The sequence.
    pub sequence: usize,
    /// The step.
    pub step: usize,
}

impl Default for View {
    fn default() -> Self {
        Self {
            with: None,
            page: Page::default(),
            lock: Lock::default(),
            free: Place::default(),
            head: None,
            phase: Phase::Write,
            quantity: HeadQuantity::MeanRetention,
            strength: Strength::EraseStrength,
            decay: DecayAxis::MeanRetention,
            runs: runs::Choice::default(),
        }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Compare;
}

/// The panel.
#[derive(Default)]
pub struct ComparePanel {
    pairing: Latest<Pairing>,
    gates: gates::Kept,
    memory: memory::Kept,
    headline: headline::Kept,
    runs: runs::Kept,
}

/// Both traces and both places.
pub(super) struct Pair<'a> {
    pub a: Focus<'a>,
    pub b: &'a OpenTrace,
    pub pairing: Arc<Pairing>,
    /// The place in the second; `None` where the first's has no counterpart.
    pub at: Option<Place>,
    /// The layer and head of the second.
    pub head: (usize, usize),
    /// Where every step of the first stands in the second.
    pub steps: Vec<Option<usize>>,
}

impl Pair<'_> {
    pub fn key(&self) -> PairingOf {
        PairingOf { a: self.a.trace.clone(), b: self.b.clone() }
    }
}

impl Panel for ComparePanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let mut view: View = context.view();
        let both_results =
            context.session.results().iter().filter_map(|open| open.results()).map(|found| found.models.len()).sum::<usize>() > 1;
        if context.session.traces().is_empty() && both_results {
            view.page = Page::Runs;
        }
        if view.page == Page::Runs {
            ui.horizontal_wrapped(|ui| pages(ui, &mut view));
            self.runs.ui(ui, context, &mut view.runs);
        } else {
            self.traces(ui, context, &mut view);
        }
        context.set_view(&view);
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let view: View = context.view();
        if view.page == Page::Runs {
            return runs::figure(context, &view.runs);
        }
        let focus = context.session.focus()?;
        let b = second(context, &view, focus.trace)?;
        let key = PairingOf { a: focus.trace.clone(), b: b.clone() };
        let names = [focus.trace.name(), b.name()];
        match view.page {
            Page::Heads => {
                let found = context.ask(&HeadDifferencesOf { pair: key, quantity: view.quantity });
                let found = found.ready()?;
                let map = |of: fn(&crate::measure::Difference) -> crate::measure::Interval| HeadMap {
                    quantity: view.quantity,
                    heads: found.iter().map(|head| HeadValue { id: head.id, value: of(&head.found) }).collect(),
                };
                let maps = vec![Labelled::new(names[0], vec![map(|found| found.a)]), Labelled::new(names[1], vec![map(|found| found.b)])];
                let options = Options { quantities: vec![view.quantity], ..Options::default() };
                Some((FigureSpec { options, ..FigureSpec::new(Figure::Atlas) }, Measured::Atlas(maps)))
            }
            Page::Answers => {
                let found = context.ask(&AnswersOf { pair: key });
                Some((FigureSpec::new(Figure::Accuracy), Measured::Accuracy(answers::figure(found.ready()?, names))))
            }
            Page::Gates | Page::Memory => {
                let pairing = context.ask(&key).ready()?.clone();
                figures::of_pair(context, &view, &place(&view, focus, b, pairing))
            }
            // No figure in print lays two clouds over one another, and one alone would not be what is seen.
            Page::Headline | Page::Runs => None,
        }
    }
}

impl ComparePanel {
    fn traces(&mut self, ui: &mut Ui, context: &mut Context<'_>, view: &mut View) {
        let a = context.session.focus();
        let b = a.and_then(|a| second(context, view, a.trace));
        let key = a.zip(b).map(|(a, b)| PairingOf { a: a.trace.clone(), b: b.clone() });
        let found = key.as_ref().and_then(|key| self.pairing.update(&context.ask(key)).0);
        ui.horizontal_wrapped(|ui| {
            pages(ui, view);
            if let (Some(a), Some(b), Some(found)) = (&a, b, &found) {
                ui.separator();
                choose(ui, context, view, a, b, found);
            }
        });
        let Some(a) = context.focus(ui) else { return };
        let Some((b, key)) = b.zip(key) else {
            let why = "Two are needed: open another beside this one, for example the bundled twin (File, Open bundled), or record the same task with another model:";
            let command = "pentimento record --model bundled:kda-stale-facts --task stale_facts -o kda.trace.zarr";
            return super::notice(ui, "Only one trace is open", why, Some(command));
        };
        let Some(found) = found else {
            drop(context.show(ui, &key));
            return;
        };
        let pair = place(view, a, b, found);
        remarks(ui, &pair, view);
        match view.page {
            Page::Gates => self.gates.ui(ui, context, &pair),
            Page::Memory => self.memory.ui(ui, context, view, &pair),
            Page::Heads => heads::ui(ui, context, view, &pair),
            Page::Headline => self.headline.ui(ui, context, view, &pair),
            Page::Answers => answers::ui(ui, context, &pair),
            Page::Runs => {}
        }
    }
}

/// The trace chosen for the second; else the first that is not the one looked at.
fn second<'a>(context: &Context<'a>, view: &View, first: &OpenTrace) -> Option<&'a OpenTrace> {
    let mut others = context.session.traces().iter().filter(|open| *open != first);
    let chosen = others.clone().find(|open| Some(open.source()) == view.with.as_ref());
    chosen.or_else(|| others.next())
}

fn pages(ui: &mut Ui, view: &mut View) {
    for (page, name, help) in [
        (Page::Gates, "Gates", "Retention, write and erase strength over the steps"),
        (Page::Memory, "Memory", "Memories of the step, and their difference"),
        (Page::Heads, "Heads", "Any quantity by head, with differences inside pairs of sequences"),
        (Page::Headline, "Headline", "Cleanup against decay, one cloud over the other"),
        (Page::Answers, "Answers", "Answers and probabilities by condition"),
        (Page::Runs, "Runs", "Results of two runs"),
    ] {
        ui.selectable_value(&mut view.page, page, name).on_hover_text(help);
    }
}

/// The second trace, its head, and what it follows.
fn choose(ui: &mut Ui, context: &Context<'_>, view: &mut View, a: &Focus<'_>, b: &OpenTrace, pairing: &Pairing) {
    ui.label(RichText::new("A").strong().color(theme::readable(ui, FIRST)));
    ui.label(format!("{}, layer {} head {}", a.trace.name(), a.selection.layer, a.selection.head));
    let label = ui.label(RichText::new("B").strong().color(theme::readable(ui, SECOND)));
    ComboBox::from_id_salt("second")
        .selected_text(b.name())
        .show_ui(ui, |ui| {
            for open in context.session.traces().iter().filter(|open| *open != a.trace) {
                if ui.selectable_label(open == b, open.name()).clicked() {
                    view.with = Some(open.source().clone());
                }
            }
        })
        .response
        .labelled_by(label.id);
    let same = "the same head".to_owned();
    let words = |(layer, head): (usize, usize)| format!("layer {layer} head {head}");
    ComboBox::from_id_salt("second head")
        .width(110.0)
        .selected_text(view.head.map_or_else(|| same.clone(), words))
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut view.head, None, &same);
            for layer in b.trace().layers() {
                for head in 0..layer.dims.head {
                    ui.selectable_value(&mut view.head, Some((layer.index, head)), words((layer.index, head)));
                }
            }
        })
        .response
        .labelled_by(label.id);
    if !matches!(view.page, Page::Gates | Page::Memory | Page::Answers) {
        return;
    }
    ui.separator();
    for (lock, name, help) in [
        (Lock::Token, "by token", "B follows A: the same sequence, and the same token in it"),
        (Lock::Number, "by number", "B follows A: the sequence and the step of the same number"),
        (Lock::Free, "unlocked", "B stands where you put it"),
    ] {
        let entry = ui.selectable_label(view.lock == lock, name).on_hover_text(help);
        if entry.clicked() && view.lock != lock {
            let now = at(view, a, b, pairing).unwrap_or_default();
            view.free = now;
            view.lock = lock;
        }
    }
    if view.lock == Lock::Free {
        let trace = b.trace();
        for (name, value, count) in [("sequence", &mut view.free.sequence, trace.n_batch()), ("step", &mut view.free.step, trace.n_steps())]
        {
            let label = ui.label(name).id;
            ui.add(egui::DragValue::new(value).range(0..=count.saturating_sub(1))).labelled_by(label);
        }
    }
}

/// Where the second stands.
fn at(view: &View, a: &Focus<'_>, b: &OpenTrace, pairing: &Pairing) -> Option<Place> {
    let (sequence, step) = (a.selection.sequence, a.selection.step);
    let trace = b.trace();
    let found = match view.lock {
        Lock::Free => Place {
            sequence: view.free.sequence.min(trace.n_batch().saturating_sub(1)),
            step: view.free.step.min(trace.n_steps().saturating_sub(1)),
        },
        Lock::Number => Place { sequence, step },
        Lock::Token => {
            let other = pairing.sequence(sequence)?;
            let step = pairing.steps([sequence, other]).get(step).copied().flatten()?;
            Place { sequence: other, step }
        }
    };
    (found.sequence < trace.n_batch() && found.step < trace.n_steps()).then_some(found)
}

fn place<'a>(view: &View, a: Focus<'a>, b: &'a OpenTrace, pairing: Arc<Pairing>) -> Pair<'a> {
    let found = at(view, &a, b, &pairing);
    let wanted = view.head.unwrap_or((a.selection.layer, a.selection.head));
    let layer = b.layer(wanted.0).or_else(|| b.trace().layers().first());
    let head = layer.map_or(wanted, |layer| (layer.index, wanted.1.min(layer.dims.head.saturating_sub(1))));
    let n_steps = a.trace.trace().n_steps();
    let steps = match (view.lock, found) {
        (Lock::Token, Some(found)) => pairing.steps([a.selection.sequence, found.sequence]),
        (_, Some(_)) => (0..n_steps).map(|step| (step < b.trace().n_steps()).then_some(step)).collect(),
        (_, None) => vec![None; n_steps],
    };
    Pair { a, b, pairing, at: found, head, steps }
}

/// Says plainly what cannot be compared.
fn remarks(ui: &mut Ui, pair: &Pair<'_>, view: &View) {
    let found = &pair.pairing;
    let mut words: Vec<String> = Vec::new();
    if pair.at.is_none() && view.lock != Lock::Free && matches!(view.page, Page::Gates | Page::Memory | Page::Answers) {
        let why = if found.pairs.is_empty() { "no sequence is in both" } else { "this sequence, or this token of it, is not in B" };
        words.push(format!("Nothing of B stands beside this step: {why}. Choose 'by number' or 'unlocked' to look at it all the same."));
    }
    if pair.head != view.head.unwrap_or((pair.a.selection.layer, pair.a.selection.head)) {
        words.push(format!("B has no such head: layer {} head {} is shown.", pair.head.0, pair.head.1));
    }
    words.extend(found.remarks.iter().cloned());
    let whole =
        if found.pairs.is_empty() { String::new() } else { format!("{} sequences are the same on both sides. ", found.pairs.len()) };
    let text = format!("{whole}{}", words.join(" "));
    if found.pairs.is_empty() || pair.at.is_none() {
        ui.add(egui::Label::new(RichText::new(text).small().color(ui.visuals().warn_fg_color)).wrap());
    } else {
        // A line, so that the pictures keep their room.
        ui.add(egui::Label::new(RichText::new(&text).small().color(theme::quiet(ui))).truncate()).on_hover_text(text);
    }
}

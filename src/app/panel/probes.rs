//! *Probes*: what a linear readout can tell of stale, current and never-written values; curves, and the card behind every number.

mod ask;
mod card;
mod curves;
mod list;

use egui::{Rect, RichText, Ui, UiBuilder, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Panel, PanelKind};
use crate::app::data::{Asked, Cards, Curves, CurvesOf, ReadoutsOf};
use crate::app::jobs::Answer;
use crate::app::open_trace::{OpenTrace, TraceSource};
use crate::app::session;
use crate::app::theme;
use crate::experiment::{CurveChoice, Detectable};
use crate::figure::{Along, Figure, FigureSpec, Measured, Options};
use crate::readout::{ControlKind, Feature, LayerHead, ProbeCard, Readouts, Standing, Target};

/// What the panel lets one choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Where the cards come from.
    pub source: Source,
    /// What would be fitted next.
    pub asked: Asked,
    /// A trace of the same sequences from a model that was never trained.
    pub untrained: Option<TraceSource>,
    /// What was fitted, or is being fitted: one of each trace at most.
    pub runs: Vec<Run>,
    /// What is shown.
    pub page: Page,
    /// What curves run along.
    pub along: Along,
    /// What the readouts saw; the last of what there is by default.
    pub feature: Option<Feature>,
    /// What is read out.
    pub what: What,
    /// The target whose controls are drawn.
    pub of: Target,
    /// The controls drawn.
    pub controls: Vec<ControlKind>,
    /// The lowest score that would have been told from chance is drawn.
    pub detectable: bool,
    /// Only the head looked at.
    pub one_head: bool,
    /// Only cards that are red are listed.
    pub only_red: bool,
    /// The place along the axis whose card is shown.
    pub step: usize,
    /// The target whose card is shown.
    pub target: Target,
    /// The layer and head looked at while no trace is open; else those of the selection.
    pub head: Option<LayerHead>,
}

/// Where cards come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Fitted to the trace looked at.
    #[default]
    Trace,
    /// Of a model of open results: the file's number and the model's.
    Results {
        /// Which of the open results.
        file: usize,
        /// Which model's cards.
        model: usize,
    },
}

/// Readouts of a trace that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Of which trace.
    pub trace: TraceSource,
    /// With which control.
    pub untrained: Option<TraceSource>,
    /// What.
    pub asked: Asked,
}

/// A page of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Curves beside a card.
    #[default]
    Curves,
    /// All cards as a table, beside a card.
    Cards,
    /// What each phase of a step changes.
    Phases,
    /// What erasing the stale value does.
    Erasure,
}

/// What is read out: numbers that share an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Stale, current and never-written values.
    #[default]
    Values,
    /// The age of content.
    Age,
    /// Whether content is stale.
    IsStale,
}

impl What {
    fn of(target: Target) -> Self {
        match target {
            Target::Stale | Target::Current | Target::Never => Self::Values,
            Target::Age => Self::Age,
            Target::IsStale => Self::IsStale,
        }
    }

    fn targets(self) -> Vec<Target> {
        match self {
            Self::Values => vec![Target::Stale, Target::Current, Target::Never],
            Self::Age => vec![Target::Age],
            Self::IsStale => vec![Target::IsStale],
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Age => "age",
            Self::IsStale => "is stale",
        }
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            source: Source::default(),
            asked: Asked::default(),
            untrained: None,
            runs: Vec::new(),
            page: Page::default(),
            along: Along::Phase,
            feature: None,
            what: What::default(),
            of: Target::Stale,
            controls: vec![ControlKind::ControlTask, ControlKind::LabelPermutation, ControlKind::UntrainedModel, ControlKind::WrongHead],
            detectable: true,
            one_head: false,
            only_red: false,
            step: 0,
            target: Target::Stale,
            head: None,
        }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Probes;
}

impl View {
    fn choice(&self) -> CurveChoice {
        let targets = self.what.targets();
        CurveChoice {
            along: self.along,
            place: None,
            feature: self.feature,
            controls_of: if targets.contains(&self.of) { self.of } else { targets[0] },
            targets,
            controls: self.controls.clone(),
            detectable: if self.detectable { Detectable::Shown } else { Detectable::Hidden },
        }
    }

    /// The layer and head looked at.
    fn at(&self, context: &Context<'_>) -> LayerHead {
        let selection = context.session.selection();
        match self.head.filter(|_| context.session.focus().is_none()) {
            Some(head) => head,
            None => (selection.layer, selection.head),
        }
    }

    fn run_of(&self, trace: &OpenTrace) -> Option<&Run> {
        self.runs.iter().find(|run| run.trace == *trace.source())
    }
}

/// The panel.
#[derive(Default)]
pub struct ProbesPanel {
    curves: super::Latest<Option<Curves>>,
}

/// A mark or a row that was chosen: its card's place.
struct Pick {
    head: LayerHead,
    target: Target,
    /// The place along the axis, where the choice was made on a curve.
    step: usize,
}

impl Panel for ProbesPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let mut view: View = context.view();
        if view.source == Source::Trace && context.session.focus().is_none() {
            view.source = ask::first_opened(context).unwrap_or_default();
        }
        let cards = match &view.source {
            Source::Trace => ask::trace(ui, context, &mut view),
            Source::Results { file, model } => opened(context, *file, *model),
        };
        match cards.as_ref().and_then(|cards| Some((cards, cards.get()?))) {
            Some((cards, readouts)) => self.body(ui, context, &mut view, cards, readouts),
            None if view.source != Source::Trace => {
                ui.horizontal_wrapped(|ui| ask::source(ui, context, &mut view));
                let why = "These results hold no probe cards. An experiment fits readouts where its spec has a table [readout]:";
                super::notice(ui, "No cards", why, Some("pentimento run --out study"));
            }
            None => {}
        }
        context.set_view(&view);
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let view: View = context.view();
        let curves = context.ask(&CurvesOf { cards: cards_of(context, &view)?, choice: view.choice() });
        let curves = curves.ready()?.as_ref().as_ref()?;
        let mut drawn = curves.drawn.clone();
        if view.one_head {
            let chosen = view.at(context);
            let number = curves.heads.iter().position(|&at| at == chosen).unwrap_or(0);
            drawn.panels = drawn.panels.into_iter().nth(number).into_iter().collect();
        }
        let options = Options { along: view.along, ..Options::default() };
        Some((FigureSpec { options, ..FigureSpec::new(Figure::Readout) }, Measured::Readout(drawn)))
    }

    fn beside(&self, context: &Context<'_>) -> Vec<(&'static str, String)> {
        // No probe number leaves without its card.
        let view: View = context.view();
        let Some(cards) = cards_of(context, &view) else { return Vec::new() };
        let Some(readouts) = cards.get() else { return Vec::new() };
        let markdown: String = readouts.cards.iter().map(|card| card.to_markdown() + "\n").collect();
        let json = serde_json::to_string_pretty(readouts).expect("plain data serialises") + "\n";
        vec![("cards.md", markdown), ("cards.json", json)]
    }
}

/// The cards shown, if they are there.
fn cards_of(context: &Context<'_>, view: &View) -> Option<Cards> {
    match view.source {
        Source::Trace => {
            let trace = context.session.focus()?.trace;
            let ask = ask::readouts(context, trace, view.run_of(trace)?);
            Some(Cards::Fitted(context.ask(&ask).ready()?.clone()))
        }
        Source::Results { file, model } => opened(context, file, model),
    }
}

impl ProbesPanel {
    fn body(&mut self, ui: &mut Ui, context: &mut Context<'_>, view: &mut View, cards: &Cards, readouts: &Readouts) {
        ui.horizontal_wrapped(|ui| {
            if view.source != Source::Trace {
                ask::source(ui, context, view);
                ui.separator();
            }
            pages(ui, view, readouts);
        });
        headline(ui, readouts);
        let choice = view.choice();
        let (curves, _) = self.curves.update(&context.ask(&CurvesOf { cards: cards.clone(), choice }));
        let curves = curves.and_then(|curves| curves.as_ref().clone());
        let room = ui.available_rect_before_wrap();
        let at = view.at(context);
        let shown = chosen_card(readouts, curves.as_ref(), view, at);
        let wide = room.width() > 620.0;
        let with_card = matches!(view.page, Page::Curves | Page::Cards);
        let (left, right) = if !with_card {
            (room, None)
        } else if wide {
            let width = (room.width() * 0.45).clamp(300.0, 620.0);
            let cut = room.right() - width;
            (Rect::from_min_max(room.min, pos2(cut - 10.0, room.bottom())), Some(Rect::from_min_max(pos2(cut, room.top()), room.max)))
        } else {
            let cut = room.top() + room.height() * 0.5;
            (Rect::from_min_max(room.min, pos2(room.right(), cut - 6.0)), Some(Rect::from_min_max(pos2(room.left(), cut), room.max)))
        };
        let mut pick = None;
        ui.scope_builder(UiBuilder::new().max_rect(left), |ui| match view.page {
            Page::Curves => match &curves {
                Some(curves) => pick = curves::ui(ui, context, view, readouts, curves),
                None => no_curves(ui, view),
            },
            Page::Cards => pick = list::cards(ui, view, readouts, shown),
            Page::Phases => list::table(ui, "phases", &readouts.comparison_table()),
            Page::Erasure => list::table(ui, "erasure", &readouts.erasure_table()),
        });
        if let Some(right) = right {
            ui.scope_builder(UiBuilder::new().max_rect(right), |ui| match shown.map(|number| &readouts.cards[number]) {
                Some(found) => card::ui(ui, found, readouts),
                None => {
                    ui.label(RichText::new("Click a mark or a row: its card is shown here.").color(theme::quiet(ui)));
                }
            });
        }
        if let Some(pick) = pick {
            view.target = pick.target;
            view.step = pick.step;
            view.what = What::of(pick.target);
            view.head = Some(pick.head);
            if pick.head != at {
                context.act(crate::app::action::Action::SelectHead { layer: pick.head.0, head: pick.head.1 });
            }
        }
        ui.allocate_rect(room, egui::Sense::hover());
    }
}

/// The cards of a model of open results.
fn opened(context: &Context<'_>, file: usize, model: usize) -> Option<Cards> {
    let cards = Cards::Opened(context.session.results().get(file)?.clone(), model);
    cards.get().is_some().then_some(cards)
}

/// The card of the head looked at, the target and place chosen; else of the first head that has one.
fn chosen_card(readouts: &Readouts, curves: Option<&Curves>, view: &View, at: LayerHead) -> Option<usize> {
    let curves = curves?;
    let panel = curves.heads.iter().position(|&head| head == at).unwrap_or(0);
    let targets = view.what.targets();
    let wanted = targets.iter().position(|&target| target == view.target).unwrap_or(0);
    let of_target = |number: usize| {
        let along = curves.cards.get(panel)?.get(number)?;
        along.get(view.step).copied().flatten().or_else(|| along.iter().flatten().next().copied())
    };
    of_target(wanted).or_else(|| (0..targets.len()).find_map(of_target)).filter(|&number| number < readouts.cards.len())
}

/// What was found, and in red what must not be overlooked.
fn headline(ui: &mut Ui, readouts: &Readouts) {
    let red = readouts.cards.iter().filter(|card| card.standing() == Standing::Red).count();
    ui.horizontal_wrapped(|ui| {
        if red > 0 {
            let says = if red == 1 { "1 card is RED".to_owned() } else { format!("{red} cards are RED") };
            let ink = ui.visuals().error_fg_color;
            ui.label(RichText::new(says).strong().color(ink)).on_hover_ui(|ui| {
                ui.set_max_width(520.0);
                for alarm in readouts.alarms().into_iter().take(6) {
                    ui.label(RichText::new(alarm).small());
                }
            });
        }
        let words = ui.add(egui::Label::new(RichText::new(readouts.headline()).small().color(theme::quiet(ui))).truncate());
        words.on_hover_ui(|ui| {
            ui.set_max_width(520.0);
            ui.label(readouts.headline());
            for notice in &readouts.notices {
                ui.label(RichText::new(notice).small().color(theme::quiet(ui)));
            }
        });
    });
}

/// What is shown of the cards.
fn pages(ui: &mut Ui, view: &mut View, readouts: &Readouts) {
    ui.selectable_value(&mut view.page, Page::Curves, "Curves");
    ui.selectable_value(&mut view.page, Page::Cards, format!("Cards ({})", readouts.cards.len()));
    if !readouts.comparisons.is_empty() {
        ui.selectable_value(&mut view.page, Page::Phases, "What phases change");
    }
    if !readouts.erasures.is_empty() {
        ui.selectable_value(&mut view.page, Page::Erasure, "Erasure");
    }
    ui.separator();
    match view.page {
        Page::Curves => {
            ui.selectable_value(&mut view.along, Along::Phase, "by phase");
            ui.selectable_value(&mut view.along, Along::Age, "by age")
                .on_hover_text("Steps since the content went stale, at the last phase");
            let has = |what: What| readouts.options.targets.iter().any(|&target| What::of(target) == what);
            let kinds: Vec<What> = [What::Values, What::Age, What::IsStale].into_iter().filter(|&what| has(what)).collect();
            if !kinds.is_empty() && !kinds.contains(&view.what) {
                view.what = kinds[0];
            }
            if kinds.len() > 1 {
                ui.separator();
                for kind in kinds {
                    ui.selectable_value(&mut view.what, kind, kind.label());
                }
            }
            features(ui, view, readouts);
            ui.checkbox(&mut view.one_head, "this head").on_hover_text("Only the head looked at");
            controls(ui, view, readouts);
        }
        Page::Cards => {
            ui.checkbox(&mut view.only_red, "only red");
        }
        Page::Phases | Page::Erasure => {}
    }
}

fn features(ui: &mut Ui, view: &mut View, readouts: &Readouts) {
    let known = &readouts.options.features;
    if known.len() < 2 {
        view.feature = None;
        return;
    }
    let now = view.feature.filter(|feature| known.contains(feature)).or(known.last().copied());
    ui.separator();
    for &feature in known {
        if ui.selectable_label(now == Some(feature), feature.to_string()).clicked() {
            view.feature = Some(feature);
        }
    }
}

/// Which lines stand behind the scores.
fn controls(ui: &mut Ui, view: &mut View, readouts: &Readouts) {
    const ALL: [ControlKind; 8] = [
        ControlKind::ControlTask,
        ControlKind::LabelPermutation,
        ControlKind::UntrainedModel,
        ControlKind::WrongHead,
        ControlKind::BeforeTheWrite,
        ControlKind::NeverWritten,
        ControlKind::NormOnly,
        ControlKind::InputOnly,
    ];
    let known = |kind: ControlKind| readouts.cards.iter().any(|card: &ProbeCard| card.control(kind).is_some());
    ui.menu_button("Controls", |ui| {
        let targets = view.what.targets();
        if targets.len() > 1 {
            ui.horizontal(|ui| {
                ui.label("of");
                for target in targets {
                    ui.selectable_value(&mut view.of, target, crate::experiment::curve_words(target));
                }
            });
            ui.separator();
        }
        for kind in ALL {
            let mut is_drawn = view.controls.contains(&kind);
            let there = known(kind);
            let shown = ui.add_enabled(there, egui::Checkbox::new(&mut is_drawn, kind.name()));
            let shown = shown.on_disabled_hover_text("No card has it");
            if shown.changed() {
                view.controls.retain(|other| *other != kind);
                if is_drawn {
                    view.controls.push(kind);
                }
            }
        }
        ui.separator();
        ui.checkbox(&mut view.detectable, "Least detectable score")
            .on_hover_text("The lowest score that would have been told from chance in 8 of 10 repetitions, judged with all places");
    });
}

fn no_curves(ui: &mut Ui, view: &View) {
    let (title, why) = match view.along {
        Along::Age => {
            ("No curve by age", "These readouts are of one age only. Ask for more: steps after the content went stale, such as 0, 4, 12.")
        }
        Along::Phase => ("No curve", "None of these cards is of what is chosen."),
    };
    super::notice(ui, title, why, None);
}

/// The readouts that a run asked for, with traces that are still open.
fn open_of<'a>(context: &Context<'a>, source: &TraceSource) -> Option<&'a OpenTrace> {
    context.session.traces().iter().find(|open| open.source() == source)
}

/// How far a run is.
fn under_way(ui: &mut Ui, context: &Context<'_>, ask: &ReadoutsOf, answer: &Answer<Readouts>) -> bool {
    use crate::app::jobs::Ask as _;
    let Answer::Pending { title, share } = answer else { return false };
    ui.horizontal(|ui| {
        theme::progress(ui, *share, 140.0);
        ui.label(RichText::new(format!("{title} …")).color(theme::quiet(ui)));
    });
    let cancel = ui.button("Cancel").clicked();
    if cancel {
        let mine = ask.title();
        for activity in context.jobs.activities().iter().filter(|activity| activity.title == mine) {
            activity.progress.cancel();
        }
    }
    cancel
}

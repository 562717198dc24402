//! *Timeline*: tokens, facts and gates over the steps, and the scrubber.

mod facts;
mod gates;
mod strip;
mod transport;

use egui::{Rect, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind, placed};
use crate::app::action::Action;
use crate::app::data::{GatesOf, HeadOf, SequenceText, TextOf};
use crate::app::selection::Token;
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::{Figure, FigureSpec, Measured, Options};
use crate::measure::HeadGates;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// As many steps as are shown at once; `None` is all, up to 128.
    pub span: Option<f64>,
    /// The first step shown; the step looked at is kept inside. Kept by the panel: stepping on must not be two steps of undo.
    #[serde(skip)]
    pub from: f64,
    /// How gates are drawn.
    pub gates: GatesAs,
}

/// How gates are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatesAs {
    /// Lines from 0 to 1.
    #[default]
    Curves,
    /// Rows of colour.
    Strips,
}

impl Default for View {
    fn default() -> Self {
        Self { span: None, from: 0.0, gates: GatesAs::default() }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Timeline;
}

impl View {
    /// The steps shown, the end left out, of a sequence of `n_steps`.
    pub fn window(&self, n_steps: usize) -> [f64; 2] {
        let n = n_steps.max(1) as f64;
        let span = self.span.unwrap_or_else(|| n.min(128.0)).clamp(8.0_f64.min(n), n);
        let from = self.from.clamp(0.0, n - span);
        [from, from + span]
    }

    /// The same, moved so that a step is inside.
    #[must_use]
    pub fn showing(self, step: usize, n_steps: usize) -> Self {
        let [from, to] = self.window(n_steps);
        let (step, span) = (step as f64, to - from);
        if step >= from && step + 1.0 <= to { self } else { Self { from: (step - span / 3.0).max(0.0), ..self } }
    }
}

/// The panel.
#[derive(Default)]
pub struct TimelinePanel {
    text: Latest<SequenceText>,
    gates: Latest<HeadGates>,
    /// The step last shown: when it moves, the window follows.
    followed: Option<usize>,
    /// The first step shown.
    from: f64,
}

/// What the rows share: which steps lie where.
pub(super) struct Rows<'a> {
    pub focus: Focus<'a>,
    pub window: [f64; 2],
    pub n_steps: usize,
    pub left: f32,
    pub right: f32,
}

impl Rows<'_> {
    /// Left edge of a step.
    pub fn edge(&self, step: f64) -> f32 {
        let [from, to] = self.window;
        self.left + ((step - from) / (to - from)) as f32 * (self.right - self.left)
    }

    /// Width of a step.
    pub fn width(&self) -> f32 {
        let [from, to] = self.window;
        (self.right - self.left) / (to - from) as f32
    }

    /// The step at a place.
    pub fn step(&self, x: f32) -> usize {
        let [from, to] = self.window;
        let step = from + f64::from((x - self.left) / (self.right - self.left)) * (to - from);
        (step.max(0.0) as usize).min(self.n_steps.saturating_sub(1))
    }

    /// The steps that are at least partly shown.
    pub fn visible(&self) -> std::ops::Range<usize> {
        (self.window[0].floor() as usize)..(self.window[1].ceil() as usize).min(self.n_steps)
    }

    /// A row of this height from `top` on.
    pub fn row(&self, top: f32, height: f32) -> Rect {
        Rect::from_min_max(pos2(self.left, top), pos2(self.right, top + height))
    }
}

/// Room for the names of rows.
const NAMES: f32 = 74.0;
/// Room for the minimap.
const MINIMAP: f32 = 22.0;

impl Panel for TimelinePanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let n_steps = focus.trace.trace().n_steps();
        if n_steps == 0 {
            super::notice(ui, "This trace has no steps", "Its recording was stopped before the first commit.", None);
            return;
        }
        let selection = focus.selection;
        let mut view = View { from: self.from, ..context.view() };
        if self.followed.replace(selection.step).is_some_and(|last| last != selection.step) {
            view = view.showing(selection.step, n_steps);
        }
        let (text, _) = self.text.update(&context.ask(&TextOf { trace: focus.trace.clone() }));
        let of_gates = GatesOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head, sequence: selection.sequence };
        let (found, _) = self.gates.update(&context.ask(&of_gates));
        let gates = found.filter(|found| found.retention.len() == n_steps);
        transport::ui(ui, context, &mut view, n_steps, gates.as_deref());

        let room = ui.available_rect_before_wrap();
        let rows = Rows { focus, window: view.window(n_steps), n_steps, left: room.left() + NAMES, right: room.right() - 4.0 };
        let response = ui.interact(
            Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - MINIMAP)),
            ui.scope_id().with("steps"),
            Sense::click_and_drag(),
        );
        let example = text.as_ref().and_then(|text| text.example(selection.sequence));
        let mut top = room.top() + 2.0;
        top = strip::ui(ui, context, &rows, text.as_deref(), top);
        if let Some(example) = example {
            let most = ((room.bottom() - MINIMAP - top - 78.0) / facts::LANE).max(2.0) as usize;
            top = facts::ui(ui, context, &rows, text.as_deref(), example, top + 4.0, most);
        }
        let gate_room = Rect::from_min_max(pos2(room.left(), top + 6.0), pos2(room.right(), room.bottom() - MINIMAP - 6.0));
        if gate_room.height() > 24.0 {
            gates::ui(ui, context, &rows, gates.as_deref(), view.gates, gate_room);
        }
        cursor(ui, context, &rows, Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - MINIMAP)));
        scrub(ui, context, &rows, &response, &mut view);
        let minimap = Rect::from_min_max(pos2(rows.left, room.bottom() - MINIMAP + 4.0), pos2(rows.right, room.bottom() - 2.0));
        strip::minimap(ui, context, &rows, gates.as_deref(), minimap, &mut view);
        self.from = view.from;
        context.set_view(&View { from: 0.0, ..view });
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        let selection = focus.selection;
        let place = HeadOf::focus(&focus).place(selection.step, 0);
        let of_gates = GatesOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head, sequence: selection.sequence };
        let gates = context.ask(&of_gates).ready()?.as_ref().clone();
        let measured = Measured::Gates(vec![placed::seen(context, focus.trace, place, gates)?]);
        Some((placed::spec(Figure::Gates, place, Options::default()), measured))
    }
}

/// The step looked at, the steps picked, and what the pointer is over elsewhere.
fn cursor(ui: &Ui, context: &Context<'_>, rows: &Rows<'_>, area: Rect) {
    let selection = rows.focus.selection;
    let accent = theme::accent(ui);
    let painter = ui.painter().with_clip_rect(Rect::from_min_max(pos2(rows.left - 1.0, area.top()), pos2(rows.right + 1.0, area.bottom())));
    let column =
        |step: usize| Rect::from_x_y_ranges(rows.edge(step as f64)..=rows.edge(step as f64) + rows.width().max(1.0), area.y_range());
    for step in selection.steps.of_sequence(selection.sequence).filter(|step| rows.visible().contains(step)) {
        painter.rect_filled(column(step), 0.0, accent.gamma_multiply(0.10));
    }
    if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == selection.sequence) {
        painter.rect_filled(column(token.step as usize), 0.0, ui.visuals().text_color().gamma_multiply(0.10));
    }
    let here = column(selection.step);
    painter.rect_filled(here, 0.0, accent.gamma_multiply(0.14));
    painter.vline(here.center().x, area.y_range(), egui::Stroke::new(1.0, accent));
}

/// Click and drag to look at a step; wheel to move the window, with Ctrl to widen or narrow it.
fn scrub(ui: &Ui, context: &mut Context<'_>, rows: &Rows<'_>, response: &egui::Response, view: &mut View) {
    let sequence = rows.focus.selection.sequence;
    if let Some(place) = response.hover_pos().filter(|place| place.x >= rows.left) {
        let step = rows.step(place.x);
        context.hover_next.token = Some(Token::new(sequence, step));
        let (scroll, zoom) = ui.input(|input| (input.smooth_scroll_delta(), input.zoom_delta()));
        let [from, to] = rows.window;
        let span = to - from;
        if (zoom - 1.0).abs() > 1e-3 {
            let at = f64::from((place.x - rows.left) / (rows.right - rows.left));
            let next = (span / f64::from(zoom)).clamp(8.0_f64.min(rows.n_steps as f64), rows.n_steps as f64);
            *view = View { span: Some(next), from: (from + at * (span - next)).max(0.0), ..*view };
        } else {
            let by = if scroll.x.abs() > scroll.y.abs() { scroll.x } else { scroll.y };
            if by != 0.0 {
                view.from = (from - f64::from(by / rows.width())).clamp(0.0, (rows.n_steps as f64 - span).max(0.0));
            }
        }
    }
    let touched = response.clicked() || response.dragged();
    if let Some(place) = response.interact_pointer_pos().filter(|place| touched && place.x >= rows.left - 4.0) {
        let step = rows.step(place.x);
        if step != rows.focus.selection.step {
            context.act(Action::SelectStep(step));
        }
    }
}

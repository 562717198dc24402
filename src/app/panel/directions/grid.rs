//! Directions of many steps against the keys of many writes: where each erase points.

use egui::{Align2, FontId, Rect, RichText, Stroke, StrokeKind, Ui, pos2, vec2};
use ndarray::Array2;

use crate::app::action::Action;
use crate::app::data::{CosinesOf, Directions, SequenceText};
use crate::app::paint::matrix::MatrixPicture;
use crate::app::paint::scene::paint_text;
use crate::app::paint::signed::Signed;
use crate::app::panel::{Context, timeline};
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme;
use crate::figure::colour::{Gradient, Hues};
use crate::figure::scene::Anchor;
use crate::measure::DirectionOf;

/// At most as many rows and columns.
const MOST: usize = 192;

/// The steps in the rows and the writes in the columns: facts and what touches them by the truth table; without one, or where nothing
/// of it is in view, the steps that the timeline shows.
pub fn places(context: &Context<'_>, focus: &Focus<'_>, text: Option<&SequenceText>) -> (Vec<usize>, Vec<usize>) {
    let n_steps = focus.trace.trace().n_steps();
    let example = text.and_then(|text| text.example(focus.selection.sequence)).filter(|example| !example.writes.is_empty());
    let shown = |steps: Vec<usize>| {
        let mut steps: Vec<usize> = steps.into_iter().filter(|step| *step < n_steps).collect();
        steps.sort_unstable();
        steps.dedup();
        steps.truncate(MOST);
        steps
    };
    if let Some(example) = example {
        let facts: Vec<usize> = example.writes.iter().map(|write| write.position).collect();
        let touched = example.writes.iter().filter_map(crate::task::Write::stale_at);
        let asked = example.questions.iter().map(|question| question.position);
        let rows = facts.iter().copied().chain(touched).chain(asked).chain([focus.selection.step]).collect();
        (shown(rows), shown(facts))
    } else {
        let [from, to] = context.view::<timeline::View>().window(n_steps);
        let steps = shown(((from as usize)..(to.ceil() as usize)).collect());
        (steps.clone(), steps)
    }
}

/// Draws the grid with its scale and names.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    picture: &mut MatrixPicture,
    version: u64,
    focus: &Focus<'_>,
    of: &CosinesOf,
    found: &Directions,
    cosines: &Array2<f32>,
    text: Option<&SequenceText>,
    room: Rect,
) {
    let sequence = focus.selection.sequence;
    let words = |step: usize| text.map_or_else(String::new, |text| text.step_words(sequence, step));
    let name = |step: usize| {
        let words = words(step);
        if words.is_empty() { step.to_string() } else { format!("{step} {words}") }
    };
    let (n_rows, n_columns) = (of.rows.len().max(1), of.columns.len().max(1));
    let widest =
        |steps: &[usize]| steps.iter().map(|step| crate::figure::font::width(&name(*step), 10.0) as f32).fold(24.0, f32::max).min(130.0);
    let signed = Signed::new(1.0, Gradient::signed(context.theme, Hues::RedBlue));
    let bar = signed.bar_room(room.height().min(180.0));
    let (left, top) = (widest(&of.rows) + 8.0, widest(&of.columns).min(92.0) + 8.0);
    let size = vec2((room.width() - left - bar - 10.0).max(40.0), (room.height() - top).max(40.0));
    let cell = vec2((size.x / n_columns as f32).min(44.0), (size.y / n_rows as f32).min(26.0));
    let area = Rect::from_min_size(room.min + vec2(left, top), vec2(cell.x * n_columns as f32, cell.y * n_rows as f32));
    picture.set(ui.ctx(), "cosines", version, signed, || cosines.clone());
    let whose = match of.whose {
        DirectionOf::Erase => "erase",
        DirectionOf::Write => "write",
        DirectionOf::Query => "read",
    };
    let summary = format!(
        "Cosines of the {whose} directions of {n_rows} steps with the keys of {n_columns} writes; chance lies within {:.3}",
        found.all.reference.bound
    );
    let (response, entry) = picture.ui(ui, area, "grid", "Directions against keys", &summary);
    let painter = ui.painter().clone();
    let (ink, quiet, accent) = (ui.visuals().text_color(), theme::quiet(ui), theme::accent(ui));
    painter.rect_stroke(area, 0.0, Stroke::new(1.0, quiet), StrokeKind::Outside);
    let hovered = context.hover.token.filter(|token| token.sequence as usize == sequence).map(|token| token.step as usize);
    let tone = |step: usize| {
        let chosen = step == focus.selection.step || focus.selection.write == Some(step);
        if chosen {
            accent
        } else if hovered == Some(step) {
            ink
        } else {
            quiet
        }
    };
    let every = |cell: f32| (12.0 / cell).ceil().max(1.0) as usize;
    for (row, &step) in of.rows.iter().enumerate().step_by(every(cell.y)) {
        let y = area.top() + (row as f32 + 0.5) * cell.y;
        let clip = painter.with_clip_rect(Rect::from_min_max(pos2(room.left(), area.top() - 6.0), pos2(area.left(), area.bottom() + 6.0)));
        clip.text(pos2(area.left() - 4.0, y), Align2::RIGHT_CENTER, name(step), FontId::proportional(10.0), tone(step));
    }
    for (column, &step) in of.columns.iter().enumerate().step_by(every(cell.x)) {
        let x = area.left() + (column as f32 + 0.5) * cell.x + 3.5;
        let clip = painter.with_clip_rect(Rect::from_min_max(room.min, pos2(room.right(), area.top())));
        paint_text(&clip, &name(step), pos2(x, area.top() - 4.0), 10.0, tone(step), Anchor::Start, true);
    }
    let outline = |row: usize, column: usize, stroke: Stroke| {
        let corner = area.min + vec2(column as f32 * cell.x, row as f32 * cell.y);
        painter.rect_stroke(Rect::from_min_size(corner, cell), 0.0, stroke, StrokeKind::Inside);
    };
    let place = |steps: &[usize], step: usize| steps.iter().position(|other| *other == step);
    for event in found.superseding.iter().flatten() {
        if let (Some(row), Some(column)) = (place(&of.rows, event.step), place(&of.columns, event.fact)) {
            outline(row, column, Stroke::new(1.5, ink));
        }
    }
    if let Some(row) = place(&of.rows, focus.selection.step) {
        let rect = Rect::from_min_size(area.min + vec2(0.0, row as f32 * cell.y), vec2(area.width(), cell.y));
        painter.rect_stroke(rect, 0.0, Stroke::new(1.2, accent), StrokeKind::Outside);
    }
    if let Some(column) = focus.selection.write.and_then(|write| place(&of.columns, write)) {
        let rect = Rect::from_min_size(area.min + vec2(column as f32 * cell.x, 0.0), vec2(cell.x, area.height()));
        painter.rect_stroke(rect, 0.0, Stroke::new(1.2, accent), StrokeKind::Outside);
    }
    let bar_rect = Rect::from_min_size(pos2(area.right() + 8.0, area.top()), vec2(bar, area.height().clamp(60.0, 180.0)));
    signed.bar(&painter, bar_rect, context.theme, "cosine");

    let Some((row, column)) = entry else { return };
    let (Some(&step), Some(&write)) = (of.rows.get(row), of.columns.get(column)) else { return };
    context.hover_next.token = Some(Token::new(sequence, step));
    if response.clicked() {
        context.act(Action::SelectStep(step));
        context.act(Action::SelectWrite(Some(write)));
    }
    let value = cosines[[row, column]];
    let supersedes = found.superseding.iter().flatten().any(|event| (event.step, event.fact) == (step, write));
    response.on_hover_ui_at_pointer(|ui| {
        ui.label(RichText::new(format!("{whose} of step {}", name(step))).strong());
        ui.label(format!("key of the write of step {}", name(write)));
        let shown = if value.is_finite() { format!("cos = {value:+.4}") } else { "no direction".to_owned() };
        ui.label(theme::number(shown));
        if f64::from(value.abs()) <= found.all.reference.bound {
            ui.label(RichText::new("within what independent directions give").small().color(quiet));
        }
        if supersedes {
            ui.label(RichText::new("this step supersedes this fact (outlined)").small().color(quiet));
        }
        ui.label(RichText::new("click: look at the step, follow the write").small().color(quiet));
    });
}

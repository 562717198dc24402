//! The whole matrix: reads downwards, writes across.

use egui::{Align2, FontId, Rect, RichText, Stroke, StrokeKind, Ui, pos2, vec2};

use super::{View, residual, signed};
use crate::app::action::Action;
use crate::app::data::SequenceText;
use crate::app::paint::matrix::MatrixPicture;
use crate::app::paint::signed::Signed;
use crate::app::panel::Context;
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme::{self, WRITE, colour};
use crate::figure::colour::Gradient;
use crate::measure::AttentionMatrix;

/// Room at the left and at the top for the names of the axes and the marks of facts and questions.
const EDGE: f32 = 20.0;

/// Draws the matrix with its scale, and what is selected in it.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    picture: &mut MatrixPicture,
    version: u64,
    view: &View,
    focus: &Focus<'_>,
    found: &AttentionMatrix,
    text: Option<&SequenceText>,
    room: Rect,
) {
    let largest = view.range.unwrap_or(found.ordinary);
    let signed_scale = Signed::new(largest, Gradient::signed(context.theme, view.hues));
    let foot = 18.0;
    let bar = signed_scale.bar_room((room.height() - EDGE - foot).min(200.0));
    let side = (room.width() - EDGE - bar - 8.0).min(room.height() - EDGE - foot).max(60.0);
    let area = Rect::from_min_size(room.min + vec2(EDGE, EDGE), vec2(side, side));
    let (rows, columns) = found.weights.dim();
    picture.set(ui.ctx(), "attention", version, signed_scale, || found.weights.clone());
    let worst = found.residuals.iter().copied().fold(0.0, f64::max);
    let held = if found.residuals.is_empty() {
        "the trace holds no outputs to hold it to".to_owned()
    } else {
        format!("largest residual of any read {}", residual(worst))
    };
    let summary = format!("{rows} reads by {columns} writes, largest weight {:.3}; {held}", found.largest);
    let (response, entry) = picture.ui(ui, area, "attention", "Exact attention", &summary);
    let painter = ui.painter().clone();
    let (ink, quiet, accent) = (ui.visuals().text_color(), theme::quiet(ui), theme::accent(ui));
    painter.rect_stroke(area, 0.0, Stroke::new(1.0, quiet), StrokeKind::Outside);
    painter.text(pos2(area.left(), room.top() + 1.0), Align2::LEFT_TOP, "write →", FontId::proportional(11.0), quiet);
    crate::app::paint::scene::paint_text(
        &painter,
        "← read",
        pos2(room.left() + 10.0, area.top()),
        11.0,
        quiet,
        crate::figure::scene::Anchor::End,
        true,
    );
    let bar_rect = Rect::from_min_size(pos2(area.right() + 8.0, area.top()), vec2(bar, area.height().min(200.0)));
    signed_scale.bar(&painter, bar_rect, context.theme, "weight A");
    edges(ui, focus, text, area, rows);
    selected(ui, context, focus, found, area);
    painter.text(pos2(area.left(), area.bottom() + 4.0), Align2::LEFT_TOP, &held, FontId::proportional(10.5), quiet);

    let Some((read, write)) = entry else { return };
    let sequence = focus.selection.sequence;
    let step = write / found.writes_per_step;
    context.hover_next.token = Some(Token::new(sequence, step));
    let words = |step: usize| text.map_or_else(String::new, |text| text.step_words(sequence, step));
    let weight = f64::from(found.weights[[read, write]]);
    if response.clicked() {
        context.act(Action::SelectStep(read));
        context.act(Action::SelectWrite(Some(step)));
    }
    response.on_hover_ui_at_pointer(|ui| {
        ui.label(RichText::new(format!("read of step {read}  {}", words(read))).color(ink));
        if read < step {
            ui.label(RichText::new("comes before the write").color(quiet));
        } else {
            ui.label(format!("write of step {step}  {}", words(step)));
            ui.label(theme::number(format!("A = {}", signed(weight))).color(accent));
        }
        if let Some(off) = found.residuals.get(read) {
            ui.label(RichText::new(format!("residual of this read {}", residual(*off))).small().color(quiet));
        }
        ui.label(RichText::new("click: look at the read, follow the write").small().color(quiet));
    });
}

/// Where facts are written, along the top, and where questions are asked, along the left.
fn edges(ui: &Ui, focus: &Focus<'_>, text: Option<&SequenceText>, area: Rect, n_steps: usize) {
    let Some(example) = text.and_then(|text| text.example(focus.selection.sequence)) else { return };
    let painter = ui.painter();
    let each = area.width() / n_steps as f32;
    for write in &example.writes {
        let x = area.left() + (write.position as f32 + 0.5) * each;
        let tone = if write.stale_at().is_some() { theme::quiet(ui) } else { colour(WRITE) };
        painter.vline(x, area.top() - 5.0..=area.top() - 1.0, Stroke::new(each.clamp(1.5, 4.0), tone));
    }
    for question in &example.questions {
        let y = area.top() + (question.position as f32 + 0.5) * each;
        painter.text(pos2(area.left() - 3.0, y), Align2::RIGHT_CENTER, "?", FontId::proportional(10.0), ui.visuals().text_color());
    }
}

/// The read looked at, the write followed, and what the pointer is over elsewhere.
fn selected(ui: &Ui, context: &Context<'_>, focus: &Focus<'_>, found: &AttentionMatrix, area: Rect) {
    let (rows, columns) = found.weights.dim();
    let selection = focus.selection;
    let accent = theme::accent(ui);
    let painter = ui.painter();
    let band =
        |from: f32, count: f32, length: f32| (from / count * length, ((from + 1.0) / count * length).max(from / count * length + 2.0));
    let row = |step: usize| {
        let (top, bottom) = band(step as f32, rows as f32, area.height());
        Rect::from_min_max(pos2(area.left(), area.top() + top), pos2(area.right(), area.top() + bottom))
    };
    let column = |step: usize| {
        let each = found.writes_per_step as f32;
        let (left, right) = band(step as f32, columns as f32 / each, area.width());
        Rect::from_min_max(pos2(area.left() + left, area.top()), pos2(area.left() + right, area.bottom()))
    };
    painter.rect_stroke(row(selection.step), 0.0, Stroke::new(1.2, accent), StrokeKind::Outside);
    if let Some(write) = selection.write {
        painter.rect_stroke(column(write), 0.0, Stroke::new(1.2, accent), StrokeKind::Outside);
    }
    if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == selection.sequence) {
        let tone = theme::quiet(ui);
        painter.rect_stroke(column(token.step as usize), 0.0, Stroke::new(1.0, tone), StrokeKind::Outside);
    }
}

//! One read: the weight of every write, signed, about zero.

use egui::{Rect, RichText, Sense, Stroke, Ui, pos2};

use super::{View, signed};
use crate::app::action::Action;
use crate::app::data::SequenceText;
use crate::app::paint::chart::Chart;
use crate::app::panel::Context;
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme;
use crate::figure::ReadIn;
use crate::figure::axes::Frame;
use crate::figure::colour::{BLUE, VERMILLION};
use crate::figure::scale::Scale;
use crate::measure::ReadParts;

/// Draws the row.
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    view: &View,
    focus: &Focus<'_>,
    read: &ReadParts,
    text: Option<&SequenceText>,
    room: Rect,
) {
    let y_label = view.measure.label();
    let values = match view.measure {
        ReadIn::Weight => &read.weights,
        ReadIn::Share => &read.shares,
    };
    let n_writes = values.len();
    let frame = Frame { x_label: "step that wrote".to_owned(), y_label: y_label.to_owned(), ..Frame::default() };
    let last = read.step_of(n_writes.saturating_sub(1)) as f64;
    let mut chart = Chart::fit(room, context.theme, Scale::linear(-0.5, last + 0.5), Scale::around(values.iter().copied(), &[0.0]), frame);
    let summary = format!(
        "The read of step {} over {n_writes} writes; largest {}",
        read.step,
        signed(values.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most }))
    );
    let response = chart.sense(ui, "row", Sense::click(), "Exact attention of one read", &summary);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    let place = |write: usize| write as f64 / read.writes_per_step as f64;
    let zero = chart.down(0.0);
    let (positive, negative) = (theme::colour(BLUE), theme::colour(VERMILLION));
    let width = (chart.area.width() / n_writes.max(1) as f32 * 0.8).clamp(1.0, 9.0);
    // Of the writes that share a pixel column only the farthest on each side is seen: the others lie beneath it.
    let mut columns: std::collections::BTreeMap<i32, [f64; 2]> = std::collections::BTreeMap::new();
    for (write, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let column = (chart.across(place(write)) * painter.pixels_per_point()).round() as i32;
        let ends = columns.entry(column).or_insert([0.0, 0.0]);
        *ends = [ends[0].min(value), ends[1].max(value)];
    }
    for (column, ends) in columns {
        let x = column as f32 / painter.pixels_per_point();
        for (end, tone) in ends.into_iter().zip([negative, positive]).filter(|(end, _)| *end != 0.0) {
            painter.rect_filled(Rect::from_two_pos(pos2(x - width / 2.0, zero), pos2(x + width / 2.0, chart.down(end))), 0.0, tone);
        }
    }
    painter.hline(chart.area.x_range(), zero, Stroke::new(1.0, ui.visuals().text_color()));
    let accent = theme::accent(ui);
    let selection = focus.selection;
    if let Some(write) = selection.write.filter(|write| (*write as f64) <= last) {
        painter.vline(chart.across(write as f64), chart.area.y_range(), Stroke::new(1.2, accent));
    }
    let hovered = context.hover.token.filter(|token| token.sequence as usize == selection.sequence);
    if let Some(token) = hovered.filter(|token| f64::from(token.step) <= last) {
        painter.vline(chart.across(f64::from(token.step)), chart.area.y_range(), Stroke::new(1.0, theme::quiet(ui)));
    }
    chart.axes(&painter);
    let Some(pointer) = response.hover_pos() else { return };
    let step = chart.numbers(pointer)[0].round().clamp(0.0, last) as usize;
    context.hover_next.token = Some(Token::new(selection.sequence, step));
    let words = text.map_or_else(String::new, |text| text.step_words(selection.sequence, step));
    if response.clicked() {
        context.act(Action::SelectWrite(Some(step)));
    }
    response.on_hover_ui_at_pointer(|ui| {
        ui.label(RichText::new(format!("write of step {step}  {words}")).strong());
        for write in (step * read.writes_per_step)..((step + 1) * read.writes_per_step).min(n_writes) {
            ui.label(theme::number(format!("A = {}   part of the read {}", signed(read.weights[write]), signed(read.shares[write]))));
        }
        ui.label(RichText::new("click: follow this write").small().color(theme::quiet(ui)));
    });
}

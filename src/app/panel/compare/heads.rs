//! Any quantity of every head on both sides: intervals, and differences inside pairs of sequences.

use egui::{ComboBox, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

use super::{FIRST, Pair, SECOND, View};
use crate::app::action::Action;
use crate::app::data::HeadDifferencesOf;
use crate::app::jobs::Answer;
use crate::app::paint::chart::{Chart, describe};
use crate::app::panel::{Context, notice, pending};
use crate::app::theme;
use crate::figure::axes::Frame;
use crate::figure::scale::Scale;
use crate::figure::scene::Marker;
use crate::measure::{HeadDifference, HeadQuantity, Interval};

/// The least and the largest height of a head's row.
const ROW: [f32; 2] = [20.0, 64.0];

/// Draws the page.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, view: &mut View, pair: &Pair<'_>) {
    ui.horizontal(|ui| {
        let label = ui.label("quantity");
        ComboBox::from_id_salt("quantity")
            .width(190.0)
            .selected_text(view.quantity.label())
            .show_ui(ui, |ui| {
                for quantity in HeadQuantity::ALL {
                    ui.selectable_value(&mut view.quantity, quantity, quantity.label());
                }
            })
            .response
            .labelled_by(label.id);
    });
    let found = match context.ask(&HeadDifferencesOf { pair: pair.key(), quantity: view.quantity }) {
        Answer::Ready(found) => found,
        Answer::Pending { title, share } => return pending(ui, &title, share),
        Answer::Failed(said) => return notice(ui, "This cannot be compared", &said, None),
    };
    if found.is_empty() {
        return notice(ui, "No head is in both", "The two have no layer and head of the same number with this quantity.", None);
    }
    ui.label(RichText::new(words(view.quantity, &found)).small().color(theme::quiet(ui)));
    ScrollArea::vertical().auto_shrink(false).id_salt("heads").show(ui, |ui| {
        let row = ((ui.available_height() - 60.0) / found.len() as f32).clamp(ROW[0], ROW[1]);
        let size = vec2(ui.available_width(), (found.len() as f32 * row + 54.0).max(120.0));
        let (room, _) = ui.allocate_exact_size(size, Sense::hover());
        let cut = room.left() + 110.0 + (room.width() - 110.0) * 0.5;
        let both = Rect::from_min_max(pos2(room.left() + 6.0, room.top()), pos2(cut - 8.0, room.bottom()));
        let change = Rect::from_min_max(pos2(cut, room.top()), room.max);
        dots(ui, context, both, &found, view.quantity.label(), Side::Both);
        dots(ui, context, change, &found, "A − B", Side::Difference);
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Difference,
}

/// One row a head: marks with intervals.
fn dots(ui: &mut Ui, context: &mut Context<'_>, rect: Rect, found: &[HeadDifference], label: &str, side: Side) {
    let reach =
        |interval: &Interval| [interval.estimate, interval.low.unwrap_or(interval.estimate), interval.high.unwrap_or(interval.estimate)];
    let numbers: Vec<f64> = match side {
        Side::Both => found.iter().flat_map(|head| [head.found.a, head.found.b]).flat_map(|interval| reach(&interval)).collect(),
        Side::Difference => found.iter().flat_map(|head| reach(&head.found.difference)).collect(),
    };
    let x = Scale::around(numbers, if side == Side::Difference { &[0.0] } else { &[] });
    let count = found.len() as f64;
    let frame = Frame {
        title: if side == Side::Both { "both".to_owned() } else { "difference inside pairs of sequences".to_owned() },
        x_label: label.to_owned(),
        y_names: found.iter().rev().map(|head| format!("L{} H{}", head.id.layer, head.id.head)).collect(),
        ..Frame::default()
    };
    let mut chart = Chart::fit(rect, context.theme, x, Scale::linear(-0.6, count - 0.4), frame);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    chart.draw(&painter, |panel, scene| {
        if side == Side::Difference {
            let ink = scene.theme.ink();
            panel.upright(scene, 0.0, ink, Some([2.4, 1.8]));
        }
        for (index, head) in found.iter().enumerate() {
            let y = count - 1.0 - index as f64;
            let ink = scene.theme.ink();
            let marks: Vec<(Interval, f64, crate::figure::colour::Colour, Marker)> = match side {
                Side::Both => vec![(head.found.a, 0.16, FIRST, Marker::Disc), (head.found.b, -0.16, SECOND, Marker::Triangle)],
                Side::Difference => vec![(head.found.difference, 0.0, ink, Marker::Square)],
            };
            for (interval, shift, colour, marker) in marks {
                if let Some((low, high)) = interval.bounds() {
                    panel.lying_interval(scene, [low, high], y + shift, colour);
                }
                let at = panel.at(interval.estimate, y + shift);
                scene.marker(marker, at, 2.0, colour);
            }
        }
    });
    chart.axes(&painter);
    let selection = context.session.selection();
    let name = if side == Side::Both { "Heads of both" } else { "Differences of heads" };
    let response = ui.interact(chart.area, ui.scope_id().with(name), Sense::click());
    describe(&response, name, &said(found, side));
    let row_of = |index: usize| chart.down(count - 1.0 - index as f64);
    for (index, head) in found.iter().enumerate() {
        let is_selected = (head.id.layer, head.id.head) == (selection.layer, selection.head);
        let is_lit = context.hover.head == Some((head.id.layer, head.id.head));
        if is_selected || is_lit {
            let ink = if is_selected { theme::accent(ui) } else { theme::quiet(ui) };
            let y = row_of(index);
            painter.rect_stroke(
                Rect::from_min_max(pos2(chart.area.left(), y - ROW[0] * 0.5), pos2(chart.area.right(), y + ROW[0] * 0.5)),
                2.0,
                Stroke::new(1.0, ink),
                egui::StrokeKind::Inside,
            );
        }
    }
    let Some(pointer) = response.hover_pos() else { return };
    let nearest = (0..found.len()).min_by(|&a, &b| (row_of(a) - pointer.y).abs().total_cmp(&(row_of(b) - pointer.y).abs()));
    let Some(head) = nearest.map(|index| &found[index]) else { return };
    context.hover_next.head = Some((head.id.layer, head.id.head));
    if response.clicked() {
        context.act(Action::SelectHead { layer: head.id.layer, head: head.id.head });
    }
    response.on_hover_ui_at_pointer(|ui| {
        ui.label(RichText::new(head.id.to_string()).strong());
        ui.label(theme::number(format!("A     {}", head.found.a)).color(theme::readable(ui, FIRST)));
        ui.label(theme::number(format!("B     {}", head.found.b)).color(theme::readable(ui, SECOND)));
        ui.label(theme::number(format!("A − B {}", head.found.difference)));
    });
}

fn said(found: &[HeadDifference], side: Side) -> String {
    let one = |head: &HeadDifference| match side {
        Side::Both => format!("{}: A {}, B {}", head.id, head.found.a, head.found.b),
        Side::Difference => format!("{}: {}", head.id, head.found.difference),
    };
    found.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What was found, in a sentence.
fn words(quantity: HeadQuantity, found: &[HeadDifference]) -> String {
    let with = found.iter().filter_map(|head| head.found.difference.bounds()).count();
    if with == 0 {
        return format!(
            "{}: no sequence is in both, so differences have no interval and mix the models with their data.",
            quantity.label()
        );
    }
    let above = found.iter().filter(|head| head.found.difference.low.is_some_and(|low| low > 0.0)).count();
    let below = found.iter().filter(|head| head.found.difference.high.is_some_and(|high| high < 0.0)).count();
    format!(
        "{} of {} heads: larger in A in {above}, in B in {below}, not told apart in {} (95 % over {} paired sequences, each head by itself). \
         Mean over sequences of each sequence's own number.",
        quantity.label(),
        found.len(),
        with - above - below,
        found.iter().map(|head| head.found.difference.n).max().unwrap_or(0)
    )
}

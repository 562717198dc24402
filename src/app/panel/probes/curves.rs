//! Curves on screen: the figure's own marks, a panel a head, and the card under the pointer.

use egui::{Pos2, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::{Pick, View, card};
use crate::app::data::Curves;
use crate::app::paint::chart::{Chart, SCALE};
use crate::app::paint::scene::{Placing, paint};
use crate::app::panel::Context;
use crate::app::theme;
use crate::figure::axes::Frame;
use crate::figure::legend;
use crate::figure::readout::across;
use crate::figure::scene::Scene;
use crate::readout::{Readouts, Standing};

/// The least size of a panel.
const LEAST: egui::Vec2 = egui::Vec2::new(210.0, 165.0);
/// How far from a mark the pointer may be.
const REACH: f32 = 14.0;

/// Draws all panels; what was clicked comes back.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, view: &View, readouts: &Readouts, curves: &Curves) -> Option<Pick> {
    let at = view.at(context);
    let own = curves.heads.iter().position(|&head| head == at);
    let panels: Vec<usize> = if view.one_head { vec![own.unwrap_or(0)] } else { (0..curves.heads.len()).collect() };
    keys(ui, curves);
    let mut pick = None;
    ScrollArea::vertical().auto_shrink(false).id_salt("curves").show(ui, |ui| {
        let room = ui.available_size() - vec2(6.0, 0.0);
        let columns = ((room.x / LEAST.x) as usize).clamp(1, panels.len().max(1));
        let rows = panels.len().div_ceil(columns);
        // Rows of equal length where there are as many rows anyway.
        let columns = panels.len().div_ceil(rows.max(1)).max(1);
        let size = vec2(room.x / columns as f32, (room.y / rows as f32).clamp(LEAST.y, 420.0));
        let (whole, _) = ui.allocate_exact_size(vec2(room.x, size.y * rows as f32), Sense::hover());
        for (place, &panel) in panels.iter().enumerate() {
            let corner = whole.min + vec2((place % columns) as f32 * size.x, (place / columns) as f32 * size.y);
            let tile = Rect::from_min_size(corner, size).shrink(2.0);
            if ui.is_rect_visible(tile) {
                pick = one(ui, context, view, readouts, curves, panel, tile).or(pick.take());
            }
        }
    });
    pick
}

fn one(
    ui: &mut Ui,
    context: &mut Context<'_>,
    view: &View,
    readouts: &Readouts,
    curves: &Curves,
    panel: usize,
    tile: Rect,
) -> Option<Pick> {
    let (drawn, head) = (&curves.drawn.panels[panel], curves.heads[panel]);
    let is_selected = head == view.at(context);
    let frame = Frame {
        title: drawn.title.clone(),
        x_label: curves.drawn.along.clone(),
        y_label: curves.drawn.score.clone(),
        x_names: curves.drawn.places.clone(),
        ..Frame::default()
    };
    let mut chart = Chart::fit(tile, context.theme, across(curves.drawn.places.len()), curves.drawn.axis(), frame);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    chart.draw(&painter, |panel, scene| drawn.marks(scene, panel));
    chart.axes(&painter);
    let marks = marks(&chart, readouts, curves, panel);
    let (accent, red) = (theme::accent(ui), ui.visuals().error_fg_color);
    for mark in &marks {
        if readouts.cards[mark.card].standing() == Standing::Red {
            painter.circle_stroke(mark.at, 7.0, Stroke::new(1.5, red));
        }
        let is_shown = is_selected && mark.step == view.step && curves_target(view, mark.target) == view.target;
        if is_shown {
            painter.circle_stroke(mark.at, 5.0, Stroke::new(2.0, accent));
        }
    }
    if is_selected && curves.heads.len() > 1 {
        painter.rect_stroke(tile, 3.0, Stroke::new(1.0, accent), StrokeKind::Inside);
    } else if context.hover.head == Some(head) {
        painter.rect_stroke(tile, 3.0, Stroke::new(1.0, theme::quiet(ui)), StrokeKind::Inside);
    }
    let name = format!("Readout curves of {}", drawn.title);
    let response = ui.interact(tile, ui.scope_id().with(("curves", head)), Sense::click());
    crate::app::paint::chart::describe(&response, &name, &summary(curves, panel));
    let pointer = response.hover_pos()?;
    context.hover_next.head = Some(head);
    let near =
        marks.iter().min_by(|a, b| a.at.distance(pointer).total_cmp(&b.at.distance(pointer))).filter(|m| m.at.distance(pointer) < REACH);
    if let Some(mark) = near {
        painter.circle_stroke(mark.at, 5.0, Stroke::new(1.5, ui.visuals().text_color()));
        let found = &readouts.cards[mark.card];
        let ink = card::ink_of(ui, found.standing());
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.set_max_width(360.0);
            ui.label(RichText::new(found.place_name()).small());
            ui.label(theme::number(card::score_words(found)));
            ui.label(RichText::new(found.standing().name()).small().strong().color(ink));
            ui.label(RichText::new("click: its card").small().color(theme::quiet(ui)));
        });
    }
    if !response.clicked() {
        return None;
    }
    // A click beside every mark looks at the head and keeps what is read out.
    Some(match near {
        Some(mark) => Pick { head, target: curves_target(view, mark.target), step: mark.step },
        None => Pick { head, target: view.target, step: view.step },
    })
}

fn curves_target(view: &View, number: usize) -> crate::readout::Target {
    let targets = view.what.targets();
    targets.get(number).copied().unwrap_or(targets[0])
}

struct Mark {
    at: Pos2,
    card: usize,
    target: usize,
    step: usize,
}

/// Every mark that has a card.
fn marks(chart: &Chart, readouts: &Readouts, curves: &Curves, panel: usize) -> Vec<Mark> {
    let drawn = &curves.drawn.panels[panel];
    let mut marks = Vec::new();
    for curve in 0..drawn.curves.len() {
        let Some(target) = curves.targets[panel][curve] else { continue };
        for step in 0..curves.steps.len() {
            let Some([x, y]) = drawn.mark(curve, step) else { continue };
            let card = curves.cards[panel].get(target).and_then(|along| along.get(step).copied().flatten());
            if let Some(card) = card.filter(|&card| card < readouts.cards.len()) {
                marks.push(Mark { at: chart.at(x, y), card, target, step });
            }
        }
    }
    marks
}

/// What the lines mean, above all panels.
fn keys(ui: &mut Ui, curves: &Curves) {
    let theme = theme::theme_of(ui.visuals());
    let keys = curves.drawn.keys(theme.ink());
    let width = f64::from(ui.available_width() / SCALE);
    let height = legend::height(&keys, width);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height as f32 * SCALE), Sense::hover());
    let mut scene = Scene::new(width, height, theme);
    legend::draw(&mut scene, 0.0, 0.0, width, &keys);
    paint(&ui.painter().with_clip_rect(rect), &scene, Placing { origin: pos2(rect.left(), rect.top()), scale: SCALE });
}

/// The curves of one head in words.
fn summary(curves: &Curves, panel: usize) -> String {
    let drawn = &curves.drawn.panels[panel];
    let words = drawn.curves.iter().map(|curve| curve.words(&curves.drawn.places));
    let chance = drawn.chance.map_or_else(String::new, |chance| format!("; chance {chance:.3}"));
    format!("{}{chance}", words.collect::<Vec<_>>().join("; "))
}

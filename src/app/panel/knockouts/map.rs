//! Every erase before the answer, head by head and step by step: the change of the answer's log-odds without it.

use egui::{Align2, Color32, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::Shared;
use crate::app::paint::chart::describe;
use crate::app::panel::Context;
use crate::app::selection::Token;
use crate::app::theme::{self, colour};
use crate::figure::colour::{Gradient, Hues};
use crate::intervene::AnswerAccount;

/// Height of a row.
const ROW: f32 = 15.0;
/// Room for the names of heads.
const NAMES: f32 = 44.0;
/// Beyond this change (nats) the colour is the deepest, as in the figure: one event often outweighs all others by far.
const MOST: f64 = 1.0;

/// Draws the map; gives the layer, head and step that were clicked.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, shared: &Shared<'_>, account: &AnswerAccount) -> Option<(usize, usize, usize)> {
    let mut rows: Vec<(usize, usize)> = account.map.iter().map(|event| (event.layer, event.head)).collect();
    rows.sort_unstable();
    rows.dedup();
    let n_steps = account.step + 1;
    if rows.is_empty() {
        return None;
    }
    let row_height = ROW.min(180.0 / rows.len() as f32).max(4.0);
    let height = row_height * rows.len() as f32 + 26.0;
    let (whole, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let area = Rect::from_min_max(pos2(whole.left() + NAMES, whole.top() + 9.0), pos2(whole.right() - 4.0, whole.bottom() - 17.0));
    let (width, painter) = (area.width() / n_steps as f32, ui.painter().clone());
    let quiet = theme::quiet(ui);
    painter.rect_filled(area, 0.0, ui.visuals().faint_bg_color);
    let every = (11.0 / row_height).ceil() as usize;
    for (row, (layer, head)) in rows.iter().enumerate().filter(|(row, _)| row % every == 0) {
        let y = area.top() + (row as f32 + 0.5) * row_height;
        let is_here = (*layer, *head) == (shared.erase.layer, shared.erase.head);
        let ink = if is_here { theme::accent(ui) } else { quiet };
        painter.text(pos2(area.left() - 6.0, y), Align2::RIGHT_CENTER, format!("L{layer} H{head}"), FontId::proportional(10.5), ink);
    }
    let largest = account.map.iter().fold(0.0_f64, |most, event| most.max(event.total.margin().abs()));
    let largest = if largest > 0.0 { largest.min(MOST) } else { MOST };
    let cell = |row: usize, step: usize| {
        let corner = pos2(area.left() + step as f32 * width, area.top() + row as f32 * row_height);
        Rect::from_min_size(corner, vec2(width, row_height))
    };
    let gradient = Gradient::signed(context.theme, Hues::RedBlue);
    let mut mesh = egui::Mesh::default();
    for event in &account.map {
        let Ok(row) = rows.binary_search(&(event.layer, event.head)) else { continue };
        let place = 0.5 + 0.5 * (event.total.margin() / largest).clamp(-1.0, 1.0);
        mesh.add_colored_rect(cell(row, event.step), colour(gradient.at(place)));
    }
    painter.add(mesh);
    for fact in &account.facts {
        let x = area.left() + (fact.step as f32 + 0.5) * width;
        let stale = fact.fact.as_ref().and_then(|fact| fact.stale_since).is_some_and(|since| since <= account.step);
        let ink = ui.visuals().text_color();
        let stroke = Stroke::new(1.0, ink);
        painter.circle(pos2(x, area.top() - 4.0), 2.4, if stale { Color32::TRANSPARENT } else { ink }, stroke);
    }
    for (step, anchor) in [(0, Align2::LEFT_TOP), (account.step, Align2::RIGHT_TOP)] {
        let x = if step == 0 { area.left() } else { area.right() };
        painter.text(pos2(x, area.bottom() + 2.0), anchor, format!("step {step}"), FontId::proportional(10.0), quiet);
    }
    let range = format!("red: the answer loses without it (to {largest:.2} nats)");
    let (room, size) = (area.width() - 110.0, 10.0);
    if crate::figure::font::width(&range, f64::from(size)) < f64::from(room) {
        painter.text(pos2(area.center().x, area.bottom() + 2.0), Align2::CENTER_TOP, range, FontId::proportional(size), quiet);
    }

    let response = ui.interact(area, ui.scope_id().with("map"), Sense::click());
    describe(&response, "Map of knockouts", &told(account));
    let at = |row: usize, step: usize| account.map.iter().find(|event| (event.layer, event.head) == rows[row] && event.step == step);
    if let (Ok(row), true) = (rows.binary_search(&(shared.erase.layer, shared.erase.head)), shared.erase.step < n_steps) {
        painter.rect_stroke(cell(row, shared.erase.step), 0.0, Stroke::new(2.0, theme::accent(ui)), StrokeKind::Outside);
    }
    if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == shared.sequence.index) {
        let column = cell(0, token.step as usize).union(cell(rows.len() - 1, token.step as usize));
        if area.contains_rect(column.shrink(1.0)) {
            painter.rect_filled(column, 0.0, ui.visuals().text_color().gamma_multiply(0.10));
        }
    }
    let place = response.hover_pos()?;
    let row = (((place.y - area.top()) / row_height) as usize).min(rows.len() - 1);
    let step = (((place.x - area.left()) / width) as usize).min(account.step);
    let (layer, head) = rows[row];
    context.hover_next.token = Some(Token::new(shared.sequence.index, step));
    context.hover_next.head = Some((layer, head));
    painter.rect_stroke(cell(row, step), 0.0, Stroke::new(1.0, ui.visuals().text_color()), StrokeKind::Outside);
    let words = shared.sequence.words.step(step);
    let said = match at(row, step) {
        Some(event) => format!("{:+.3} nats without it (right against its rival; the whole network run again)", event.total.margin()),
        None => "not replayed: its gradient is among the smallest".to_owned(),
    };
    let clicked = response.clicked();
    let legend = "Red: the right answer loses ground without it. Dots above: facts, open once they are stale.";
    response.on_hover_text(format!("Erase of layer {layer} head {head} at {words}: {said}. {legend}"));
    clicked.then_some((layer, head, step))
}

fn told(account: &AnswerAccount) -> String {
    let strongest = account.events.iter().take(3).map(|effect| {
        format!("layer {} head {} step {} {:+.2}", effect.event.layer, effect.event.head, effect.event.at.step, effect.total.margin())
    });
    let strongest: Vec<String> = strongest.collect();
    format!("Change of the log-odds without each single erase, in nats; strongest: {}", strongest.join(", "))
}

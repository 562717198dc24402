//! What the read of the step looked at rests on, in words: the strongest writes, the rest, and what is left unexplained.

use egui::{Align2, FontId, Rect, RichText, ScrollArea, Sense, Ui, pos2, vec2};

use super::{View, residual, signed};
use crate::app::action::Action;
use crate::app::data::SequenceText;
use crate::app::panel::Context;
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme;
use crate::figure::ReadIn;
use crate::figure::colour::{BLUE, VERMILLION};
use crate::measure::{AttentionMap, Explained, ReadParts};

/// At most as many writes are listed.
const LISTED: usize = 16;

/// Draws the list.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    view: &View,
    focus: &Focus<'_>,
    read: &ReadParts,
    is_current: bool,
    text: Option<&SequenceText>,
    published: Option<&str>,
) {
    let sequence = focus.selection.sequence;
    let words = |step: usize| text.map_or_else(String::new, |text| text.step_words(sequence, step));
    let quiet = theme::quiet(ui);
    ui.horizontal(|ui| {
        ui.label(theme::heading(&format!("The read of step {} rests on", read.step)));
        if !is_current {
            theme::progress(ui, None, 40.0);
        }
    });
    let own = words(read.step);
    if !own.is_empty() {
        ui.label(RichText::new(own).color(quiet));
    }
    let mut order = read.strongest(LISTED);
    let value_of = |write: usize| match view.measure {
        ReadIn::Weight => read.weights[write],
        ReadIn::Share => read.shares[write],
    };
    order.sort_by(|&a, &b| value_of(b).abs().total_cmp(&value_of(a).abs()).then(a.cmp(&b)));
    let most = order.iter().map(|&write| value_of(write).abs()).fold(1e-12, f64::max);
    ui.label(RichText::new(format!("|A v − o| / |o| = {} against {}", residual(read.residual), read.held_to.label())).small().color(quiet))
        .on_hover_text(format!("What the exact attention leaves unexplained of this read: rounding only. |o| = {:.4}.", read.norm));
    ScrollArea::vertical().auto_shrink(false).id_salt("parts").show(ui, |ui| {
        if read.norm == 0.0 {
            ui.label(RichText::new("The read is zero: nothing is read here.").color(quiet));
            return;
        }
        for &write in &order {
            let step = read.step_of(write);
            line(ui, context, focus, step, &words(step), stale_at(text, sequence, step), value_of(write), most);
        }
        ui.add_space(4.0);
        let listed: f64 = order.iter().map(|&write| read.shares[write]).sum();
        let rest = read.shares.iter().sum::<f64>() - listed;
        let more = read.shares.len() - order.len();
        let part = |share: f64| format!("{:+.1} %", 100.0 * share);
        let mut said = format!("These make up {} of the read", part(listed));
        if more > 0 {
            said += &format!(", {more} further writes {}", part(rest));
        }
        if read.initial_share != 0.0 {
            said += &format!(", what was in memory before the first step {}", part(read.initial_share));
        }
        ui.label(RichText::new(said + ".").small().color(quiet));
        if let Some(published) = published {
            ui.label(RichText::new(published).small().color(quiet));
        }
    });
}

/// What the exact and the published maps leave unexplained of the head's outputs, in a sentence.
pub fn published(explained: &Explained) -> String {
    let error = |map: AttentionMap| {
        let row = explained.global.iter().find(|row| row.map == map);
        row.map_or_else(|| "–".to_owned(), |row| format!("{:.2}", row.relative_error.estimate))
    };
    format!(
        "Over {} sequences, published maps leave of this head's output unexplained: gated linear (TransformerLens) {}, rectified (candle-mi) {}; this one, rounding.",
        explained.n_sequences,
        error(AttentionMap::GatedLinear),
        error(AttentionMap::Rectified)
    )
}

fn stale_at(text: Option<&SequenceText>, sequence: usize, step: usize) -> Option<usize> {
    text?.example(sequence)?.writes.iter().find(|write| write.position == step)?.stale_at()
}

/// One write: its step, its words, its signed bar about the middle; a click follows it.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
fn line(
    ui: &mut Ui,
    context: &mut Context<'_>,
    focus: &Focus<'_>,
    step: usize,
    words: &str,
    stale_at: Option<usize>,
    value: f64,
    most: f64,
) {
    let selection = focus.selection;
    let stale = stale_at.is_some_and(|from| from <= selection.step);
    let note = if stale { " (stale)" } else { "" };
    let said = format!("Write of step {step} {words}{note}: {}", signed(value));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 21.0), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, said.clone()));
    let painter = ui.painter().with_clip_rect(rect);
    let followed = selection.write == Some(step);
    if followed || response.hovered() || context.hover.token == Some(Token::new(selection.sequence, step)) {
        painter.rect_filled(rect, 3.0, if followed { ui.visuals().selection.bg_fill } else { ui.visuals().faint_bg_color });
    }
    let (ink, quiet) = (ui.visuals().text_color(), theme::quiet(ui));
    let middle = rect.center().y - 2.0;
    painter.text(pos2(rect.left() + 4.0, middle), Align2::LEFT_CENTER, step, FontId::monospace(11.5), quiet);
    let number = painter.text(pos2(rect.right() - 4.0, middle), Align2::RIGHT_CENTER, signed(value), FontId::monospace(11.5), ink);
    let clip = Rect::from_min_max(rect.min, pos2(number.left() - 6.0, rect.bottom()));
    let clipped = painter.with_clip_rect(clip);
    let name = clipped.text(
        pos2(rect.left() + 40.0, middle),
        Align2::LEFT_CENTER,
        words,
        FontId::proportional(12.0),
        if stale { quiet } else { ink },
    );
    if stale {
        clipped.text(
            pos2(name.right() + 5.0, middle),
            Align2::LEFT_CENTER,
            "stale",
            FontId::proportional(10.5),
            ui.visuals().warn_fg_color,
        );
    }
    let half = (rect.width() - 8.0) / 2.0;
    let centre = rect.center().x;
    let end = centre + (value / most) as f32 * half;
    let tone = theme::colour(if value < 0.0 { VERMILLION } else { BLUE });
    let base = rect.bottom() - 3.5;
    painter.rect_filled(Rect::from_two_pos(pos2(centre, base), pos2(end, base + 2.5)), 1.0, tone);
    painter.vline(centre, base - 1.0..=base + 3.5, egui::Stroke::new(1.0, quiet));
    if response.hovered() {
        context.hover_next.token = Some(Token::new(selection.sequence, step));
    }
    if response.clicked() {
        context.act(Action::SelectWrite(Some(step)));
    }
    response.on_hover_text(format!("{said}. Click to follow this write."));
}

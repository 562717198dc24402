//! The events behind an answer, ranked, and what they do together.

use egui::{Align, CollapsingHeader, Layout, Rect, RichText, Sense, Stroke, Ui, UiBuilder, pos2, vec2};

use super::Shared;
use super::answer::signed_colour;
use crate::app::panel::Context;
use crate::app::theme;
use crate::intervene::{AnswerAccount, EraseEvent, EventEffect, ScoreChange};

/// Room that a name with its bar takes.
const NAME_AND_BAR: f32 = 230.0;

/// Draws them; gives the layer, head and step that were clicked.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, shared: &Shared<'_>, account: &AnswerAccount) -> Option<(usize, usize, usize)> {
    ui.add_space(4.0);
    ui.label(account.headline());
    let heads = account.events.len();
    let replayed = if account.n_replayed == account.n_events {
        format!("The {heads} of {} erases before the answer that change it most", account.n_events)
    } else {
        format!("The strongest {heads} of {} erases replayed, of {} before the answer", account.n_replayed, account.n_events)
    };
    ui.add_space(4.0);
    ui.label(theme::heading(&replayed));
    ui.label(
        RichText::new("Change of the log-odds of the right answer without the erase, in nats; of it, through this layer's read alone")
            .small()
            .color(theme::quiet(ui)),
    );
    let largest = account.events.first().map_or(1.0, |effect| effect.total.margin().abs()).max(1e-9);
    let mut clicked = None;
    for (rank, effect) in account.events.iter().enumerate() {
        let event = &effect.event;
        let place = (event.layer, event.head, event.at.step);
        let is_here = place == (shared.erase.layer, shared.erase.head, shared.erase.step);
        let [_, _, answer] = &account.events_told()[rank];
        let said = format!("{} {answer}", event.what());
        let picked = row(ui, context, (rank, is_here, &said), |ui, context| {
            line(ui, context, event, |ui, context| {
                ui.label(theme::number(format!("{:>+7.3}", effect.direct.margin())).color(theme::quiet(ui)));
                ui.label(theme::number(format!("{:>+7.3}", effect.total.margin())));
                if ui.available_width() > NAME_AND_BAR {
                    bar(ui, context, effect.total.margin() / largest);
                }
            });
            ui.label(RichText::new(removed(event)).small().color(theme::quiet(ui)));
            if effect.predicted_without != account.predicted {
                ui.label(RichText::new(format!("the answer would be {}", effect.predicted_without)).small().color(theme::accent(ui)));
            }
        });
        if picked {
            clicked = Some(place);
        }
    }
    together(ui, account);
    clicked
}

/// `L1 H0 · step 19 'f2' γ 0.98`, and numbers at the right.
pub fn line(ui: &mut Ui, context: &Context<'_>, event: &EraseEvent, numbers: impl FnOnce(&mut Ui, &Context<'_>)) {
    let (ink, quiet) = (ui.visuals().text_color(), theme::quiet(ui));
    let mut name = egui::text::LayoutJob::default();
    let font = egui::TextStyle::Body.resolve(ui.style());
    let place = format!("L{} H{} · step {}", event.layer, event.head, event.at.step);
    name.append(&place, 0.0, egui::TextFormat::simple(font.clone(), ink));
    name.append(&format!("'{}'  γ {:.2}", event.at.token, event.strength), 8.0, egui::TextFormat::simple(font, quiet));
    let size = vec2(ui.available_width(), ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        numbers(ui, context);
        // What is left of the room is the name's.
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| ui.add(egui::Label::new(name).truncate()));
    });
}

/// What an event took, in half a sentence.
pub fn removed(event: &EraseEvent) -> String {
    let of = |write: &crate::intervene::RemovedWrite| {
        let name = write.at.fact.as_ref().map_or_else(|| format!("'{}'", write.at.token), |fact| format!("{} = {}", fact.key, fact.value));
        let stale = write.at.fact.as_ref().and_then(|fact| fact.stale_since).map_or("", |_| ", stale later");
        format!("{:.0} % of {name} (step {}{stale})", 100.0 * write.removed, write.at.step)
    };
    match &event.removed[..] {
        [] => "found nothing to remove".to_owned(),
        writes => format!("removed {}", writes.iter().take(2).map(of).collect::<Vec<_>>().join(", ")),
    }
}

/// A row that can be clicked; `said` is what a screen reader says of it.
pub fn row(
    ui: &mut Ui,
    context: &Context<'_>,
    (rank, is_here, said): (usize, bool, &str),
    content: impl FnOnce(&mut Ui, &Context<'_>),
) -> bool {
    let behind = ui.painter().add(egui::Shape::Noop);
    let builder = UiBuilder::new().id_salt(("event", rank)).sense(Sense::click());
    let response = ui
        .scope_builder(builder, |ui| {
            ui.style_mut().interaction.selectable_labels = false;
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.set_width(ui.available_width());
            content(ui, context);
        })
        .response;
    let rect = response.rect.expand2(vec2(4.0, 2.0));
    let fill = if is_here {
        ui.visuals().selection.bg_fill
    } else if response.hovered() {
        ui.visuals().widgets.hovered.weak_bg_fill
    } else {
        egui::Color32::TRANSPARENT
    };
    ui.painter().set(behind, egui::Shape::rect_filled(rect, 4.0, fill));
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, is_here, said));
    let clicked = response.clicked();
    response.on_hover_ui(|ui| {
        ui.set_max_width(380.0);
        ui.label(said);
        ui.label(RichText::new("Click to look at this erase in every panel.").small().color(theme::quiet(ui)));
    });
    clicked
}

/// A bar from the middle.
pub fn bar(ui: &mut Ui, context: &Context<'_>, share: f64) {
    let (rect, _) = ui.allocate_exact_size(vec2(54.0, 8.0), Sense::hover());
    let middle = rect.center().x;
    let to = middle + rect.width() / 2.0 * share.clamp(-1.0, 1.0) as f32;
    ui.painter().rect_filled(rect, 1.0, ui.visuals().extreme_bg_color);
    let bar = Rect::from_x_y_ranges(middle.min(to)..=middle.max(to), rect.y_range());
    ui.painter().rect_filled(bar, 1.0, signed_colour(context, share, true));
    ui.painter().line_segment([pos2(middle, rect.top()), pos2(middle, rect.bottom())], Stroke::new(1.0, theme::quiet(ui)));
}

/// Completeness: all erases at once against the sum of each, heads, and pairs.
fn together(ui: &mut Ui, account: &AnswerAccount) {
    ui.add_space(8.0);
    ui.label(theme::heading("Together"));
    ui.label(account.together());
    CollapsingHeader::new("By head, and pairs").id_salt("together").show(ui, |ui| {
        let quiet = theme::quiet(ui);
        egui::Grid::new("heads").num_columns(5).spacing([12.0, 2.0]).show(ui, |ui| {
            for name in ["all erases of", "right", "stale", "never written", "log-odds"] {
                ui.label(RichText::new(name).small().color(quiet));
            }
            ui.end_row();
            for head in &account.heads {
                changes(ui, &format!("layer {} head {}", head.layer, head.head), &head.total);
            }
            changes(ui, "all heads", &account.all_erases);
            changes(ui, "sum of singles", &account.sum_of_singles);
            if let Some(interaction) = &account.interaction {
                changes(ui, "interaction", interaction);
            }
        });
        if account.pairs.is_empty() {
            return;
        }
        ui.add_space(4.0);
        ui.label(RichText::new("Pairs: both left out, beyond the sum of each (log-odds, nats)").small().color(quiet));
        egui::Grid::new("pairs").num_columns(2).spacing([12.0, 2.0]).show(ui, |ui| {
            let mut pairs: Vec<_> = account.pairs.iter().collect();
            pairs.sort_by(|a, b| b.interaction.margin().abs().total_cmp(&a.interaction.margin().abs()));
            for pair in pairs.into_iter().take(6) {
                let name = |place: usize| account.events.get(place).map_or_else(String::new, short);
                ui.label(format!("{} and {}", name(pair.events.0), name(pair.events.1)));
                ui.label(theme::number(format!("{:+.3}", pair.interaction.margin())));
                ui.end_row();
            }
        });
    });
}

fn short(effect: &EventEffect) -> String {
    format!("L{} H{} step {}", effect.event.layer, effect.event.head, effect.event.at.step)
}

fn changes(ui: &mut Ui, name: &str, change: &ScoreChange) {
    let nats = |x: Option<f64>| theme::number(x.map_or_else(String::new, |x| format!("{x:+.3}")));
    ui.label(name);
    for value in [Some(change.gold), change.stale, change.foil, Some(change.margin())] {
        ui.label(nats(value));
    }
    ui.end_row();
}

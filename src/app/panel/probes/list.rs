//! Cards and comparisons as tables.

use egui::{RichText, ScrollArea, Ui};
use egui_extras::{Column, TableBuilder};

use super::{Pick, View, card};
use crate::app::theme;
use crate::readout::{CardPlace, ProbeCard, Readouts, Standing, Table, Target, card as cards_of};

/// All cards, one a line; the line that is clicked comes back.
pub fn cards(ui: &mut Ui, view: &View, readouts: &Readouts, shown: Option<usize>) -> Option<Pick> {
    let listed: Vec<usize> =
        (0..readouts.cards.len()).filter(|&number| !view.only_red || readouts.cards[number].standing() == Standing::Red).collect();
    if listed.is_empty() {
        ui.label(if readouts.cards.is_empty() { "No cards" } else { "No card is red" });
        return None;
    }
    let table = cards_of::summary("Cards", &readouts.cards);
    let mut pick = None;
    grid(
        ui,
        "cards",
        &table,
        &listed,
        |number| (Some(readouts.cards[number].standing()), shown == Some(number)),
        |number| {
            let found = &readouts.cards[number];
            pick = found.layer_head().map(|head| Pick { head, target: target_of(found), step: step_of(readouts, found, view) });
        },
    );
    pick
}

/// A table of strings as it is.
pub fn table(ui: &mut Ui, salt: &str, table: &Table) {
    ui.horizontal(|ui| {
        ui.label(theme::heading(&table.title));
        if ui.small_button("Copy as Markdown").clicked() {
            ui.ctx().copy_text(table.to_markdown());
        }
        if ui.small_button("Copy as LaTeX").clicked() {
            ui.ctx().copy_text(table.to_latex());
        }
    });
    let all: Vec<usize> = (0..table.rows.len()).collect();
    grid(ui, salt, table, &all, |_| (None, false), |_| {});
}

fn target_of(card: &ProbeCard) -> Target {
    let named = card.place.iter().find(|(name, _)| name == "target").map(|(_, value)| value.as_str());
    let all = [Target::Stale, Target::Current, Target::Never, Target::Age, Target::IsStale];
    all.into_iter().find(|target| Some(target.to_string().as_str()) == named).unwrap_or(Target::Stale)
}

/// The place of a card along the axis of the curves.
fn step_of(readouts: &Readouts, card: &ProbeCard, view: &View) -> usize {
    let named = |wanted: &str| card.place.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    let steps = crate::experiment::steps(readouts, &view.choice()).unwrap_or_default();
    let same = |(place, phase): &(crate::readout::Place, crate::memory::Phase)| {
        place.to_string() == named("place") && phase.to_string() == named("phase")
    };
    steps.iter().position(same).unwrap_or(view.step)
}

/// Rows that are drawn only while they are in sight.
fn grid(
    ui: &mut Ui,
    salt: &str,
    table: &Table,
    listed: &[usize],
    look: impl Fn(usize) -> (Option<Standing>, bool),
    mut clicked: impl FnMut(usize),
) {
    let quiet = theme::quiet(ui);
    ScrollArea::horizontal().id_salt((salt, "across")).auto_shrink(false).show(ui, |ui| {
        let mut builder = TableBuilder::new(ui).id_salt(salt).striped(true).sense(egui::Sense::click()).auto_shrink(false);
        for _ in &table.columns {
            builder = builder.column(Column::auto().at_least(34.0).clip(false));
        }
        builder
            .header(20.0, |mut header| {
                for name in &table.columns {
                    header.col(|ui| {
                        ui.add(egui::Label::new(RichText::new(name).small().strong().color(quiet)).wrap_mode(egui::TextWrapMode::Extend));
                    });
                }
            })
            .body(|body| {
                body.rows(18.0, listed.len(), |mut row| {
                    let number = listed[row.index()];
                    let (standing, is_shown) = look(number);
                    row.set_selected(is_shown);
                    let cells = &table.rows[number];
                    for (index, cell) in cells.iter().enumerate() {
                        let last = index + 1 == cells.len();
                        row.col(|ui| {
                            let mut text = theme::number(cell).size(11.0);
                            if let (true, Some(standing)) = (last, standing) {
                                text = RichText::new(cell).small().color(card::ink_of(ui, standing));
                            }
                            ui.add(egui::Label::new(text).selectable(false).wrap_mode(egui::TextWrapMode::Extend));
                        });
                    }
                    if row.response().clicked() {
                        clicked(number);
                    }
                });
            });
    });
}

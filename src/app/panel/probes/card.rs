//! A probe card on screen: what `probes::render` decides, drawn for a window.

use egui::{Frame, Grid, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::app::theme;
use crate::readout::{ProbeCard, Readouts, Standing, Verdict};

/// A card in one medium.
type Write = fn(&ProbeCard) -> String;

/// Draws the card with its buttons.
pub fn ui(ui: &mut Ui, card: &ProbeCard, readouts: &Readouts) {
    let sheet = card.sheet();
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("Copy card as").small().color(theme::quiet(ui)));
        let copies: [(&str, Write); 3] = [
            ("Markdown", ProbeCard::to_markdown),
            ("LaTeX", ProbeCard::to_latex),
            ("JSON", |card| serde_json::to_string_pretty(card).expect("plain data serialises")),
        ];
        for (name, text) in copies {
            if ui.small_button(name).clicked() {
                ui.ctx().copy_text(text(card));
            }
        }
        let all = ui.small_button("all cards").on_hover_text("All cards of these readouts, as JSON");
        if all.clicked() {
            ui.ctx().copy_text(serde_json::to_string_pretty(readouts).expect("plain data serialises"));
        }
    });
    ScrollArea::vertical().auto_shrink(false).id_salt("card").show(ui, |ui| {
        let ink = ink_of(ui, sheet.standing);
        let fill = if sheet.standing == Standing::Red { ink.gamma_multiply(0.10) } else { ui.visuals().faint_bg_color };
        let frame = Frame::new().fill(fill).inner_margin(Margin { left: 12, right: 8, top: 6, bottom: 8 }).corner_radius(4.0);
        let shown = frame.show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(&sheet.title).size(13.5).strong());
            ui.label(RichText::new(sheet.standing.name()).strong().color(ink));
            for alarm in &sheet.alarms {
                ui.label(RichText::new(format!("RED: {alarm}")).color(ink));
            }
            ui.label(RichText::new(&sheet.estimand).color(theme::quiet(ui)));
            ui.add_space(4.0);
            facts(ui, &sheet.facts);
            ui.add_space(6.0);
            controls(ui, card, &sheet.controls);
        });
        // A bar at the edge says the standing without reading.
        let rect = shown.response.rect;
        ui.painter().vline(rect.left() + 1.5, rect.y_range(), Stroke::new(4.0, ink));
        let said = format!("Probe card: {}. {}. {}", sheet.title, sheet.standing.name(), score_words(card));
        crate::app::paint::chart::describe(&shown.response, "Probe card", &said);
    });
}

/// The score in a line.
pub fn score_words(card: &ProbeCard) -> String {
    format!("{} {}, chance {:.3}", card.metric.name(), card.score, card.chance)
}

/// The colour of a standing.
pub fn ink_of(ui: &Ui, standing: Standing) -> egui::Color32 {
    match standing {
        Standing::Red => ui.visuals().error_fg_color,
        Standing::Supported => theme::colour(crate::figure::colour::GREEN),
        Standing::NotBeyondControls => ui.visuals().warn_fg_color,
        Standing::NotFound => theme::quiet(ui),
    }
}

fn facts(ui: &mut Ui, facts: &[(String, String)]) {
    let names = 132.0_f32.min(ui.available_width() * 0.36);
    let room = (ui.available_width() - names - 10.0).max(80.0);
    Grid::new("facts").num_columns(2).spacing([10.0, 3.0]).min_col_width(names).max_col_width(room).show(ui, |ui| {
        for (name, value) in facts {
            ui.label(RichText::new(name).small().color(theme::quiet(ui)));
            ui.add(egui::Label::new(RichText::new(value).small()).wrap());
            ui.end_row();
        }
    });
}

fn controls(ui: &mut Ui, card: &ProbeCard, table: &crate::readout::Table) {
    ScrollArea::horizontal().id_salt("controls").show(ui, |ui| {
        Grid::new("controls").num_columns(table.columns.len()).spacing([8.0, 2.0]).striped(true).show(ui, |ui| {
            for column in &table.columns {
                ui.label(RichText::new(column).small().strong());
            }
            ui.end_row();
            for (control, row) in card.controls.iter().zip(&table.rows) {
                let ink = match control.verdict {
                    Verdict::Passed => ui.visuals().text_color(),
                    Verdict::NotBeaten => ui.visuals().warn_fg_color,
                    Verdict::Alarm => ui.visuals().error_fg_color,
                };
                for (index, cell) in row.iter().enumerate() {
                    let text =
                        if index == 0 || index + 1 == row.len() { RichText::new(cell).small() } else { theme::number(cell).size(11.0) };
                    let label = ui.label(text.color(ink));
                    if index == 0 {
                        label.on_hover_text(control.kind.meaning());
                    }
                }
                ui.end_row();
            }
        });
    });
}

//! *Results*: what an experiment found, or any figure from its own numbers: figures, tables and words.

use std::sync::Arc;

use egui::{ComboBox, Rect, RichText, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};
use egui_extras::{Column, TableBuilder};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::data::{DrawnOf, Paper};
use crate::app::open_results::{Content, OpenResults};
use crate::app::paint::chart::describe;
use crate::app::paint::scene::{Placing, paint};
use crate::app::session;
use crate::app::theme;
use crate::experiment::Results;
use crate::figure::{Drawn, FigureSpec, Measured};

/// What the panel lets one choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Which of the open results; the last by default.
    pub file: Option<usize>,
    /// Which page.
    pub page: Page,
    /// Which figure.
    pub figure: usize,
    /// Which table.
    pub table: usize,
    /// The width the figure is drawn for.
    pub paper: Paper,
}

/// A page of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// One figure, large.
    #[default]
    Figures,
    /// One table.
    Tables,
    /// What was found, in words, and who made it.
    Words,
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Results;
}

/// The panel.
#[derive(Default)]
pub struct ResultsPanel {
    drawn: Latest<Drawn>,
    cells: Option<Cells>,
}

/// A table as it is shown, and of what.
struct Cells {
    of: (OpenResults, usize),
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Significant digits on screen.
pub(super) const DIGITS: usize = 3;

impl View {
    fn open<'a>(&self, context: &Context<'a>) -> Option<&'a OpenResults> {
        let all = context.session.results();
        self.file.and_then(|file| all.get(file)).or(all.last())
    }
}

impl Panel for ResultsPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let mut view: View = context.view();
        let Some(open) = view.open(context).cloned() else {
            let why = "Drop the results.json of an experiment here, or the JSON beside a figure, or open one with Ctrl+O. An experiment:";
            return super::notice(ui, "No results are open", why, Some("pentimento run --out study && pentimento view study/results.json"));
        };
        ui.horizontal_wrapped(|ui| choices(ui, context, &mut view, &open));
        match view.page {
            Page::Figures => self.figures(ui, context, &mut view, &open),
            Page::Tables => self.tables(ui, &mut view, &open),
            Page::Words => words(ui, &open),
        }
        context.set_view(&view);
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let view: View = context.view();
        let shown = view.open(context)?.figures().get(view.figure)?;
        let spec = FigureSpec { width: view.paper.width(), ..shown.spec.clone() };
        shown.measured.clone().map(|measured| (spec, measured))
    }
}

fn choices(ui: &mut Ui, context: &Context<'_>, view: &mut View, open: &OpenResults) {
    let all = context.session.results();
    if all.len() > 1 {
        let label = ui.label("of");
        ComboBox::from_id_salt("file")
            .selected_text(open.name())
            .show_ui(ui, |ui| {
                for (index, other) in all.iter().enumerate() {
                    if ui.selectable_label(other == open, other.name()).clicked() {
                        view.file = Some(index);
                        (view.figure, view.table) = (0, 0);
                    }
                }
            })
            .response
            .labelled_by(label.id);
    } else {
        ui.label(RichText::new(open.name()).strong());
    }
    ui.separator();
    ui.selectable_value(&mut view.page, Page::Figures, format!("Figures ({})", open.figures().len()));
    if !open.tables().is_empty() {
        ui.selectable_value(&mut view.page, Page::Tables, format!("Tables ({})", open.tables().len()));
    }
    ui.selectable_value(&mut view.page, Page::Words, "Findings");
    if view.page == Page::Figures {
        ui.separator();
        for paper in Paper::ALL {
            ui.selectable_value(&mut view.paper, paper, paper.label()).on_hover_text("The width it is drawn for");
        }
    }
}

/// A list at the left of the room, the rest at the right.
pub(super) fn list(ui: &mut Ui, names: &[&str], chosen: &mut usize, what: &str) -> Rect {
    let room = ui.available_rect_before_wrap();
    let width = (room.width() * 0.28).clamp(120.0, 250.0);
    let left = Rect::from_min_size(room.min, vec2(width, room.height()));
    ui.scope_builder(UiBuilder::new().max_rect(left), |ui| {
        ScrollArea::vertical().auto_shrink(false).id_salt(what).show(ui, |ui| {
            ui.with_layout(egui::Layout::top_down_justified(egui::Align::Min), |ui| {
                for (index, name) in names.iter().enumerate() {
                    let button = egui::Button::selectable(*chosen == index, *name).truncate();
                    if ui.add(button).on_hover_text(*name).clicked() {
                        *chosen = index;
                    }
                }
            });
        });
    });
    ui.allocate_rect(room, Sense::hover());
    Rect::from_min_max(pos2(left.right() + 10.0, room.top()), room.max)
}

impl ResultsPanel {
    fn figures(&mut self, ui: &mut Ui, context: &Context<'_>, view: &mut View, open: &OpenResults) {
        let names: Vec<&str> = open.figures().iter().map(|shown| shown.title.as_str()).collect();
        if names.is_empty() {
            return super::notice(ui, "No figures", "These results hold no numbers that a figure could draw.", None);
        }
        view.figure = view.figure.min(names.len() - 1);
        let room = list(ui, &names, &mut view.figure, "figures");
        let ask = DrawnOf { results: open.clone(), figure: view.figure, paper: view.paper, dark: ui.visuals().dark_mode };
        let answer = context.ask(&ask);
        let (drawn, _) = self.drawn.update(&answer);
        ui.scope_builder(UiBuilder::new().max_rect(room), |ui| match drawn {
            Some(drawn) => picture(ui, &drawn),
            None => drop(context.show(ui, &ask)),
        });
    }

    fn tables(&mut self, ui: &mut Ui, view: &mut View, open: &OpenResults) {
        let names: Vec<&str> = open.tables().iter().map(|tabled| tabled.stem).collect();
        view.table = view.table.min(names.len().saturating_sub(1));
        let room = list(ui, &names, &mut view.table, "tables");
        let Some(tabled) = open.tables().get(view.table) else { return };
        let of = (open.clone(), view.table);
        if self.cells.as_ref().is_none_or(|cells| cells.of != of) {
            let (header, rows) = tabled.table.cells(DIGITS);
            self.cells = Some(Cells { of, header, rows });
        }
        let Some(cells) = &self.cells else { return };
        ui.scope_builder(UiBuilder::new().max_rect(room), |ui| {
            ui.horizontal_wrapped(|ui| {
                for (name, text) in [("Markdown", 0), ("LaTeX", 1), ("CSV", 2)] {
                    let copy = ui.small_button(name).on_hover_text(format!("Copy the table as {name}"));
                    if copy.clicked() {
                        ui.ctx().copy_text(match text {
                            0 => tabled.table.markdown(DIGITS),
                            1 => tabled.table.latex(DIGITS),
                            _ => tabled.table.csv(),
                        });
                    }
                }
                ui.label(RichText::new(&tabled.table.title).small().color(theme::quiet(ui)));
            });
            grid(ui, tabled.stem, &cells.header, &cells.rows);
        });
    }
}

/// Screen points a point of a figure at most.
const LARGEST: f32 = 1.9;

/// The figure as large as the room allows, its words beneath.
pub(super) fn picture(ui: &mut Ui, drawn: &Arc<Drawn>) {
    let room = ui.available_rect_before_wrap();
    let words = 40.0_f32.min(room.height() * 0.25);
    let area = Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - words));
    let mut placing = Placing::inside(area, &drawn.scene);
    // Type much above its printed size looks coarse.
    placing.scale = placing.scale.min(LARGEST);
    placing.origin = area.min;
    let size = vec2(drawn.scene.width as f32, drawn.scene.height as f32) * placing.scale;
    paint(ui.painter(), &drawn.scene, placing);
    let response = ui.interact(Rect::from_min_size(area.min, size), ui.scope_id().with("figure"), Sense::hover());
    describe(&response, &drawn.title, &drawn.summary);
    let below = Rect::from_min_max(pos2(room.left(), area.top() + size.y + 4.0), room.max);
    ui.scope_builder(UiBuilder::new().max_rect(below), |ui| {
        ScrollArea::vertical().id_salt("summary").auto_shrink(false).show(ui, |ui| {
            ui.label(RichText::new(&drawn.summary).small().color(theme::quiet(ui)));
        });
    });
}

/// Rows that are drawn only while they are in sight.
pub(super) fn grid(ui: &mut Ui, salt: &str, header: &[String], rows: &[Vec<String>]) {
    let quiet = theme::quiet(ui);
    ScrollArea::horizontal().id_salt((salt, "across")).auto_shrink(false).show(ui, |ui| {
        let mut builder = TableBuilder::new(ui).id_salt(salt).striped(true).auto_shrink(false);
        for _ in header {
            builder = builder.column(Column::auto().at_least(40.0).clip(false));
        }
        builder
            .header(20.0, |mut line| {
                for name in header {
                    line.col(|ui| {
                        ui.add(egui::Label::new(RichText::new(name).small().strong().color(quiet)).wrap_mode(egui::TextWrapMode::Extend));
                    });
                }
            })
            .body(|body| {
                body.rows(18.0, rows.len(), |mut line| {
                    for cell in &rows[line.index()] {
                        line.col(|ui| {
                            ui.add(egui::Label::new(theme::number(cell).size(11.0)).wrap_mode(egui::TextWrapMode::Extend));
                        });
                    }
                });
            });
    });
}

/// What was found, in words, and who made it.
fn words(ui: &mut Ui, open: &OpenResults) {
    ScrollArea::vertical().auto_shrink(false).id_salt("words").show(ui, |ui| {
        let made = match open.content() {
            Content::Results(results) => {
                experiment(ui, results);
                Some(&results.provenance)
            }
            Content::Cards(cards) => {
                ui.label(cards.headline());
                alarms(ui, &cards.alarms());
                None
            }
            Content::Figure(car) => Some(&car.provenance),
        };
        if let Some(made) = made {
            ui.add_space(10.0);
            ui.label(theme::heading("Made by"));
            ui.label(theme::number(format!("{} {} ({})", made.tool, made.version, made.revision)));
            ui.label(theme::number(&made.command));
        }
        ui.label(RichText::new(open.path().display().to_string()).small().color(theme::quiet(ui)));
    });
}

fn experiment(ui: &mut Ui, results: &Results) {
    ui.label(RichText::new(&results.spec.question).size(14.0));
    for judged in &results.claims {
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(judged.verdict.to_string()).strong());
            ui.label(&judged.claim.text);
            if let Some(found) = &judged.found {
                ui.label(theme::number(found.to_string()));
            }
        });
    }
    for model in &results.models {
        ui.add_space(8.0);
        ui.label(theme::heading(&model.name));
        alarms(ui, &model.alarms());
        for finding in model.findings() {
            ui.label(finding);
        }
    }
}

fn alarms(ui: &mut Ui, alarms: &[String]) {
    let ink = ui.visuals().error_fg_color;
    for alarm in alarms {
        ui.label(RichText::new(format!("RED: {alarm}")).color(ink));
    }
}

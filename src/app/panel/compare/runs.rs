//! Results of two runs, or of two models of one: the figures that show both, and the numbers of both in one table.

use egui::{ComboBox, Rect, RichText, Sense, Ui, UiBuilder};
use serde::{Deserialize, Serialize};

use super::{FIRST, SECOND};
use crate::app::data::{JointDrawnOf, JointFiguresOf, ModelOf};
use crate::app::panel::{Context, Latest, notice, results};
use crate::app::theme;
use crate::experiment::{ModelResults, Results, tables};
use crate::figure::{Drawn, FigureSpec, Measured};

/// Which models, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// File and model of the first.
    pub a: Option<(usize, usize)>,
    /// File and model of the second.
    pub b: Option<(usize, usize)>,
    /// Which figure; the tables stand behind the last.
    pub item: usize,
}

/// What is kept between frames.
#[derive(Default)]
pub struct Kept {
    drawn: Latest<Drawn>,
    tables: Option<(JointFiguresOf, Vec<Cells>)>,
}

/// A table of both, as it is shown.
struct Cells {
    stem: &'static str,
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Both models; by default the first two there are.
fn both(context: &Context<'_>, choice: &Choice) -> Option<JointFiguresOf> {
    let all = all(context);
    let one = |chosen: Option<(usize, usize)>, nth: usize| {
        let (file, model) =
            chosen.filter(|chosen| all.iter().any(|(place, _)| place == chosen)).or_else(|| all.get(nth).map(|(place, _)| *place))?;
        Some(ModelOf { results: context.session.results().get(file)?.clone(), model })
    };
    Some(JointFiguresOf { a: one(choice.a, 0)?, b: one(choice.b, 1)? })
}

/// Every model of every file, with a name.
fn all(context: &Context<'_>) -> Vec<((usize, usize), String)> {
    let files = context.session.results().iter().enumerate();
    files
        .filter_map(|(file, open)| Some((file, open.name(), open.results()?)))
        .flat_map(|(file, name, results)| {
            let one = move |(model, found): (usize, &ModelResults)| ((file, model), format!("{} of {name}", found.name));
            results.models.iter().enumerate().map(one).collect::<Vec<_>>()
        })
        .collect()
}

/// The figure shown.
pub fn figure(context: &Context<'_>, choice: &Choice) -> Option<(FigureSpec, Measured)> {
    let figures = context.ask(&both(context, choice)?);
    let joint = figures.ready()?.get(choice.item)?;
    Some((joint.spec.clone(), joint.measured.clone()))
}

impl Kept {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>, choice: &mut Choice) {
        let Some(of) = both(context, choice) else {
            let why = "Open the results.json of two runs, or of one run with two models, to see them in one figure:";
            return notice(
                ui,
                "Fewer than two models are open",
                why,
                Some("pentimento run --out study && pentimento view study/results.json"),
            );
        };
        let known = all(context);
        ui.horizontal_wrapped(|ui| {
            for (letter, colour, chosen, now) in [("A", FIRST, &mut choice.a, &of.a), ("B", SECOND, &mut choice.b, &of.b)] {
                let label = ui.label(RichText::new(letter).strong().color(theme::readable(ui, colour)));
                let name = |place: (usize, usize)| known.iter().find(|(other, _)| *other == place).map_or("", |(_, name)| name.as_str());
                let file = context.session.results().iter().position(|open| *open == now.results).unwrap_or(0);
                ComboBox::from_id_salt(letter)
                    .selected_text(name((file, now.model)))
                    .show_ui(ui, |ui| {
                        for (place, name) in &known {
                            ui.selectable_value(chosen, Some(*place), name);
                        }
                    })
                    .response
                    .labelled_by(label.id);
            }
        });
        for remark in remarks(&of) {
            ui.add(egui::Label::new(RichText::new(remark).small().color(theme::quiet(ui))).wrap());
        }
        let Some(figures) = context.show(ui, &of) else { return };
        self.renew(&of);
        let tables = self.tables.as_ref().map_or(&[][..], |(_, tables)| tables.as_slice());
        let names: Vec<String> = figures
            .iter()
            .map(|joint| joint.spec.figure.title().to_owned())
            .chain(tables.iter().map(|table| format!("table: {}", table.stem)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        choice.item = choice.item.min(names.len().saturating_sub(1));
        let room: Rect = results::list(ui, &names, &mut choice.item, "joint");
        if let Some(table) = choice.item.checked_sub(figures.len()).and_then(|number| tables.get(number)) {
            ui.scope_builder(UiBuilder::new().max_rect(room), |ui| {
                ui.label(RichText::new(&table.title).small().color(theme::quiet(ui)));
                results::grid(ui, table.stem, &table.header, &table.rows);
            });
            return;
        }
        let ask = JointDrawnOf { of, figure: choice.item, dark: ui.visuals().dark_mode };
        let (drawn, _) = self.drawn.update(&context.ask(&ask));
        ui.scope_builder(UiBuilder::new().max_rect(room).sense(Sense::hover()), |ui| match drawn {
            Some(drawn) => results::picture(ui, &drawn),
            None => drop(context.show(ui, &ask)),
        });
    }

    /// The report's tables with the rows of both.
    fn renew(&mut self, of: &JointFiguresOf) {
        if self.tables.as_ref().is_some_and(|(made, _)| made == of) {
            return;
        }
        let (Some(whole), Some(a), Some(b)) = (of.a.results.results(), of.a.named(&of.b), of.b.named(&of.a)) else { return };
        let joint = Results { models: vec![a, b], families: Vec::new(), claims: Vec::new(), ..whole.clone() };
        let cells = tables(&joint).into_iter().map(|tabled| {
            let (header, rows) = tabled.table.cells(results::DIGITS);
            Cells { stem: tabled.stem, title: tabled.table.title, header, rows }
        });
        self.tables = Some((of.clone(), cells.collect()));
    }
}

/// Says plainly where two runs are not comparable.
fn remarks(of: &JointFiguresOf) -> Vec<String> {
    let (Some(first), Some(second)) = (of.a.results.results(), of.b.results.results()) else { return Vec::new() };
    let mut remarks = Vec::new();
    if of.a.results != of.b.results {
        let (one, two) = (&first.spec, &second.spec);
        if serde_json::to_value(&one.task).ok() != serde_json::to_value(&two.task).ok() {
            remarks.push("The runs have different tasks: their numbers are not of the same thing.".to_owned());
        }
        if one.seed != two.seed {
            remarks.push(format!("The runs have different seeds ({} and {}): other sequences.", one.seed, two.seed));
        }
        if one.sequences != two.sequences {
            remarks.push(format!("The runs have different numbers of sequences: {} and {}.", one.sequences, two.sequences));
        }
    }
    remarks.push(
        "Results keep intervals, not sequences: two intervals that overlap may still differ. Open both traces for differences inside pairs."
            .to_owned(),
    );
    remarks
}

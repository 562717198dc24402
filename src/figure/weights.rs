//! The exact attention of one head over one sequence: every read downwards, every write across, signed.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::Gradient;
use super::legend::{Note, colour_bar, colour_bar_room};
use super::place::{FACTS, facts, facts_by, picture, title, title_height, words_of};
use super::scale::Scale;
use super::scene::{Anchor, Rect, SMALL, Scene};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{AttentionMatrix, Place, Seen};

/// Height of the colour bar in points.
const BAR: f64 = 70.0;

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsData {
    /// The heads.
    pub models: Vec<WeightsShown>,
    /// Colours without red.
    pub hues: super::colour::Hues,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsShown {
    /// Its model.
    pub label: String,
    /// Which head of which sequence.
    pub place: Place,
    /// A by read, each by write as far as there are any.
    pub weights: Vec<Vec<Option<f32>>>,
    /// Writes of one step.
    pub writes_per_step: usize,
    /// Where the colours end.
    pub end: f64,
    /// What the attention leaves unexplained of the worst read; absent without recorded outputs.
    pub worst: Option<f64>,
    /// Facts, and whether they go stale.
    pub facts: Vec<(usize, bool)>,
    /// Questions.
    pub questions: Vec<usize>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<AttentionMatrix>>], spec: &FigureSpec) -> Result<WeightsData, FigureError> {
    let shown = |model: &Labelled<Seen<AttentionMatrix>>| {
        let Seen { place, text, found } = &model.measured;
        let each = found.writes_per_step.max(1);
        let row = |(read, row): (usize, ndarray::ArrayView1<f32>)| {
            row.iter().take((read + 1) * each).map(|&x| x.is_finite().then_some(x)).collect()
        };
        WeightsShown {
            label: model.label.clone(),
            place: *place,
            weights: found.weights.rows().into_iter().enumerate().map(row).collect(),
            writes_per_step: each,
            end: spec.options.range.unwrap_or(found.ordinary),
            worst: found.residuals.iter().copied().filter(|residual| residual.is_finite()).reduce(f64::max),
            facts: facts_by(text, usize::MAX),
            questions: text.questions.clone(),
        }
    };
    let models: Vec<WeightsShown> = models.iter().map(shown).filter(|model| model.end > 0.0).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Weights, "every read is zero"));
    }
    Ok(WeightsData { models, hues: spec.options.hues })
}

impl WeightsShown {
    fn n_steps(&self) -> usize {
        self.weights.len()
    }

    fn said(&self) -> String {
        let held = self.worst.map_or_else(
            || "the trace holds no outputs to hold it to".to_owned(),
            |worst| format!("it leaves at most {worst:.1e} of any output unexplained"),
        );
        format!("Exact attention; {held}. Dots: facts, open ones go stale; ?: questions.")
    }
}

impl Prepared for WeightsData {
    fn summary(&self) -> String {
        let one = |model: &WeightsShown| {
            let largest = model.weights.iter().flatten().flatten().fold(0.0_f32, |most, x| if x.abs() > most.abs() { *x } else { most });
            let place = words_of(&model.label, &model.place);
            format!("{place}: {} reads, largest weight {largest:+.3}. {}", model.n_steps(), model.said())
        };
        self.models.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> Table {
        let mut table = Table::new("Exact attention of every read", &["model", "layer", "head", "sequence", "read at", "write", "weight"]);
        for model in &self.models {
            let Place { layer, head, sequence, .. } = model.place;
            for (read, row) in model.weights.iter().enumerate() {
                for (write, weight) in row.iter().enumerate() {
                    let mut cells: Vec<Value> = vec![(&model.label).into(), layer.into(), head.into(), sequence.into()];
                    cells.extend([read.into(), write.into(), weight.map(f64::from).into()]);
                    table.push(cells);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let notes: Vec<Note> = self.models.iter().map(|model| Note::fit(&model.said(), width)).collect();
        let bar_room = |model: &WeightsShown| colour_bar_room(Scale::linear(-model.end, model.end), BAR) + 12.0;
        let side = |model: &WeightsShown| (width - bar_room(model)).min(330.0);
        let height = |n: usize| {
            let model = &self.models[n];
            title_height(&words_of(&model.label, &model.place), width) + FACTS + side(model) - 8.0 + notes[n].height()
        };
        let total = 4.0 + (0..self.models.len()).map(height).sum::<f64>();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        let share = room.height / (total - 4.0);
        let gradient = Gradient::signed(scene.theme, self.hues);
        let mut at = room.top;
        for (n, model) in self.models.iter().enumerate() {
            let whole = Rect::new(room.left, at, room.width, height(n) * share);
            let body = title(&mut scene, &words_of(&model.label, &model.place), whole);
            notes[n].draw(&mut scene, body.left, body.bottom());
            let plot = Rect::new(body.left, body.top + FACTS - 4.0, side(model), body.height - FACTS + 4.0 - notes[n].height());
            let area = draw_matrix(&mut scene, plot, model, gradient);
            let bar = Rect::new(area.right() + 8.0, area.top, 5.0, BAR.min(area.height));
            colour_bar(&mut scene, bar, Scale::linear(-model.end, model.end), gradient, "weight A");
            at += whole.height;
        }
        scene
    }
}

/// Returns the area that it covers.
fn draw_matrix(scene: &mut Scene, outer: Rect, model: &WeightsShown, gradient: Gradient) -> Rect {
    let n = model.n_steps() as f64;
    let frame =
        Frame { x_label: "step that wrote".to_owned(), y_label: "step that reads".to_owned(), least_left: 34.0, ..Frame::default() };
    let panel = Panel::fit(outer, Scale::linear(-0.5, n - 0.5), Scale::linear(n - 0.5, -0.5), frame);
    picture(scene, panel.area, &model.weights, model.n_steps() * model.writes_per_step, model.end, gradient);
    facts(scene, &panel, &model.facts);
    let ink = scene.theme.ink();
    for question in &model.questions {
        let place = [panel.area.right() + 1.0, panel.down(*question as f64) + SMALL * 0.36];
        scene.text("?", place, SMALL, ink, Anchor::Start);
    }
    panel.axes(scene);
    panel.area
}

//! The memory of one head through one step: before, after decay, erase and write, or what each changed; of two models also their
//! difference.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::colour::Gradient;
use super::legend::{Note, colour_bar, colour_bar_room};
use super::place::{picture, step_words, title, title_height, words_of};
use super::scale::{Scale, fixed};
use super::scene::{Anchor, HAIR, Rect, SMALL, Scene};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, ShowMemory, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Place, Seen, StepMemories};
use crate::memory::Phase;

const GAP: f64 = 6.0;
const ABOVE: f64 = SMALL + 3.0;

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryData {
    /// The models; of two with memories of one shape a third, their difference.
    pub models: Vec<MemoryShown>,
    /// Where the colours end.
    pub end: f64,
    /// Colours without red.
    pub hues: super::colour::Hues,
}

/// One model's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryShown {
    /// Its name.
    pub label: String,
    /// Which memory.
    pub place: Place,
    /// What stands at the step.
    pub words: String,
    /// The pictures.
    pub pictures: Vec<MemoryPicture>,
}

/// One matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryPicture {
    /// Which phase, or what changed.
    pub title: String,
    /// |S|_F.
    pub norm: f64,
    /// Its entries by key channel, each by value channel; absent where they are not finite.
    pub entries: Vec<Vec<Option<f32>>>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<StepMemories>>], spec: &FigureSpec) -> Result<MemoryData, FigureError> {
    let show = spec.options.memory;
    let matrices: Vec<Vec<(String, Array2<f32>)>> = models.iter().map(|model| show.of(&model.measured.found)).collect();
    let mut shown: Vec<MemoryShown> = models
        .iter()
        .zip(&matrices)
        .map(|(model, matrices)| MemoryShown {
            label: model.label.clone(),
            place: model.measured.place,
            words: model.measured.text.at(model.measured.place.step).to_owned(),
            pictures: matrices.iter().map(|(title, matrix)| MemoryPicture::of(title, matrix)).collect(),
        })
        .collect();
    if let [a, b] = matrices.as_slice()
        && a.iter().zip(b).all(|((_, a), (_, b))| a.dim() == b.dim())
    {
        let pictures = a.iter().zip(b).map(|((title, a), (_, b))| MemoryPicture::of(title, &(a - b))).collect();
        let label = format!("{} − {}", models[0].label, models[1].label);
        shown.push(MemoryShown { label, place: models[0].measured.place, words: String::new(), pictures });
    }
    let entries = shown.iter().flat_map(|model| &model.pictures).flat_map(|picture| picture.entries.iter().flatten().flatten());
    let largest = entries.map(|x| f64::from(x.abs())).fold(0.0, f64::max);
    if largest <= 0.0 {
        return Err(nothing(Figure::Memory, "the memory is zero, or nothing changed: choose another step with --step"));
    }
    Ok(MemoryData { models: shown, end: spec.options.range.unwrap_or(largest), hues: spec.options.hues })
}

impl ShowMemory {
    /// The matrices shown, with their titles.
    fn of(self, memories: &StepMemories) -> Vec<(String, Array2<f32>)> {
        let phase = |phase: Phase, title: &str| (title.to_owned(), memories.phase(phase).clone());
        let phases =
            [(Phase::Before, "before"), (Phase::Decay, "after decay"), (Phase::Erase, "after erase"), (Phase::Write, "after write")];
        let one = |wanted: Phase| phases.iter().filter(|(phase, _)| *phase == wanted).map(|&(of, title)| phase(of, title)).collect();
        match self {
            Self::Phases => phases.iter().map(|&(of, title)| phase(of, title)).collect(),
            Self::Changes => [(Phase::Decay, "decay changed"), (Phase::Erase, "erase changed"), (Phase::Write, "write changed")]
                .map(|(phase, title)| (title.to_owned(), memories.change(phase)))
                .to_vec(),
            Self::Before => one(Phase::Before),
            Self::Decay => one(Phase::Decay),
            Self::Erase => one(Phase::Erase),
            Self::Write => one(Phase::Write),
        }
    }
}

impl MemoryPicture {
    fn of(title: &str, matrix: &Array2<f32>) -> Self {
        let entries = matrix.rows().into_iter().map(|row| row.iter().map(|&x| x.is_finite().then_some(x)).collect()).collect();
        let norm = matrix.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        Self { title: title.to_owned(), norm, entries }
    }

    fn columns(&self) -> usize {
        self.entries.first().map_or(1, Vec::len).max(1)
    }

    /// Height over width.
    fn aspect(&self) -> f64 {
        (self.entries.len() as f64 / self.columns() as f64).clamp(0.25, 4.0)
    }
}

impl MemoryShown {
    fn title(&self) -> String {
        if self.label.contains(" − ") {
            return self.label.clone();
        }
        format!("{}, {}", words_of(&self.label, &self.place), step_words(self.place.step, &self.words))
    }
}

impl MemoryData {
    fn bar_room(&self) -> f64 {
        colour_bar_room(Scale::linear(-self.end, self.end), 60.0) + 11.0
    }

    /// Pictures beside each other, and the width of each.
    fn columns(&self, width: f64) -> (usize, f64) {
        let count = self.models.first().map_or(1, |model| model.pictures.len());
        let columns = if width > 300.0 || count < 3 { count } else { 2 };
        let columns = columns.max(1);
        let side = (width - self.bar_room() - GAP * (columns - 1) as f64) / columns as f64;
        (columns, side.min(150.0))
    }

    fn height(&self, model: &MemoryShown, width: f64) -> f64 {
        let (columns, side) = self.columns(width);
        let rows = model.pictures.len().div_ceil(columns);
        let tallest = model.pictures.iter().map(MemoryPicture::aspect).fold(0.0, f64::max);
        title_height(&model.title(), width) + rows as f64 * (side * tallest + ABOVE + GAP)
    }
}

impl Prepared for MemoryData {
    fn summary(&self) -> String {
        let one = |model: &MemoryShown| {
            let norms = model.pictures.iter().map(|picture| format!("{} {}", picture.title, fixed(picture.norm, 3)));
            format!("{}: norm {}", model.title(), norms.collect::<Vec<_>>().join(", "))
        };
        format!("Memories of one step. {}.", self.models.iter().map(one).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let columns = ["model", "layer", "head", "sequence", "step", "picture", "norm", "key_channel", "value_channel", "entry"];
        let mut table = Table::new("Entries of memories", &columns);
        for model in &self.models {
            let Place { layer, head, sequence, step, .. } = model.place;
            for picture in &model.pictures {
                for (row, entries) in picture.entries.iter().enumerate() {
                    for (column, entry) in entries.iter().enumerate() {
                        let mut cells: Vec<Value> =
                            vec![(&model.label).into(), layer.into(), head.into(), sequence.into(), step.into(), (&picture.title).into()];
                        cells.extend([picture.norm.into(), row.into(), column.into(), entry.map(f64::from).into()]);
                        table.push(cells);
                    }
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let note = Note::fit("Rows: key channels; columns: value channels. One scale for all.", width);
        let total = 4.0 + self.models.iter().map(|model| self.height(model, width)).sum::<f64>() + note.height();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        let gradient = Gradient::signed(scene.theme, self.hues);
        let (columns, side) = self.columns(width);
        let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
        let mut top = room.top;
        let mut first = None;
        for model in &self.models {
            let body = title(&mut scene, &model.title(), Rect::new(room.left, top, room.width, self.height(model, width)));
            for (n, shown) in model.pictures.iter().enumerate() {
                let tall = side * shown.aspect();
                let left = body.left + (n % columns) as f64 * (side + GAP);
                let at = body.top + (n / columns) as f64 * (tall + ABOVE + GAP) + ABOVE;
                let rect = Rect::new(left, at, side, tall);
                scene.text(&shown.title, [left, at - 2.5], SMALL, ink, Anchor::Start);
                if side > 84.0 {
                    scene.text(&format!("|S|_{{F}} {}", fixed(shown.norm, 2)), [rect.right(), at - 2.5], SMALL, quiet, Anchor::End);
                }
                picture(&mut scene, rect, &shown.entries, shown.columns(), self.end, gradient);
                scene.outline(rect, ink, HAIR);
                first.get_or_insert(rect);
            }
            top += self.height(model, width);
        }
        if let Some(first) = first {
            let left = room.left + columns as f64 * (side + GAP);
            let bar = Rect::new(left, first.top, 5.0, first.height.min(60.0));
            colour_bar(&mut scene, bar, Scale::linear(-self.end, self.end), gradient, "entry of S");
        }
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

//! Memories of a step on both sides, their difference, and their singular values, which do not depend on channels.

use std::sync::Arc;

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};
use ndarray::Array2;

use super::{FIRST, Pair, SECOND, View};
use crate::app::data::{MemoriesOf, SpectrumOf};
use crate::app::paint::chart::describe;
use crate::app::paint::curve::Curve;
use crate::app::paint::matrix::MatrixPicture;
use crate::app::paint::signed::Signed;
use crate::app::panel::{Context, Latest, notice};
use crate::app::theme;
use crate::figure::colour::{Gradient, Hues};
use crate::measure::StepMemories;
use crate::memory::Phase;

/// What is kept between frames.
#[derive(Default)]
pub struct Kept {
    a: Latest<StepMemories>,
    b: Latest<StepMemories>,
    spectra: [Latest<Vec<f64>>; 2],
    pictures: [MatrixPicture; 3],
    shown: Option<(usize, usize, Phase)>,
    version: u64,
    tiles: Vec<(String, Array2<f32>)>,
    largest: f64,
}

impl Kept {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>, view: &mut View, pair: &Pair<'_>) {
        ui.horizontal(|ui| {
            for phase in Phase::ALL {
                ui.selectable_value(&mut view.phase, phase, phase.to_string());
            }
        });
        let selection = pair.a.selection;
        let of_a = MemoriesOf {
            trace: pair.a.trace.clone(),
            layer: selection.layer,
            head: selection.head,
            sequence: selection.sequence,
            step: selection.step,
        };
        let Some(place) = pair.at else { return notice(ui, "No counterpart", "This step has none in B.", None) };
        let of_b = MemoriesOf { trace: pair.b.clone(), layer: pair.head.0, head: pair.head.1, sequence: place.sequence, step: place.step };
        let (Some(a), Some(b)) = (self.a.update(&context.ask(&of_a)).0, self.b.update(&context.ask(&of_b)).0) else {
            if context.show(ui, &of_a).is_some() {
                drop(context.show(ui, &of_b));
            }
            return;
        };
        self.renew(&a, &b, view.phase);
        let spectra = [of_a, of_b].map(|memory| SpectrumOf { memory, phase: view.phase });
        let values: Vec<Option<Arc<Vec<f64>>>> =
            self.spectra.iter_mut().zip(&spectra).map(|(latest, ask)| latest.update(&context.ask(ask)).0).collect();
        let room = ui.available_rect_before_wrap();
        let below = if room.height() > 240.0 { 96.0 } else { 0.0 };
        let signed = Signed::new(self.largest, Gradient::signed(context.theme, Hues::RedBlue));
        let bar = signed.bar_room(room.height().min(220.0));
        let count = self.tiles.len() as f32;
        let side = ((room.width() - bar - 12.0 * count) / count).min(room.height() - below - 40.0).max(40.0);
        for (index, (title, matrix)) in self.tiles.iter().enumerate() {
            let corner = pos2(room.left() + index as f32 * (side + 12.0), room.top() + 18.0);
            let rows = (matrix.nrows() as f32 / matrix.ncols().max(1) as f32).clamp(0.25, 1.0);
            let area = Rect::from_min_size(corner, vec2(side, side * rows));
            let picture = &mut self.pictures[index];
            picture.set(ui.ctx(), title, self.version, signed, || matrix.clone());
            let norm = matrix.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let above = area.left_top() - vec2(0.0, 4.0);
            let words = format!("{title}   |·| {norm:.3}");
            ui.painter().text(above, Align2::LEFT_BOTTOM, words, FontId::proportional(12.0), ui.visuals().text_color());
            let (rows, columns) = matrix.dim();
            let summary = format!("{rows} key channels by {columns} value channels, norm {norm:.3}");
            let (response, entry) = picture.ui(ui, area, title, &format!("Compare memory {title}"), &summary);
            if let Some(cell) = context.hover.cell {
                picture.mark(ui, area, cell, ui.visuals().text_color());
            }
            if let Some((row, column)) = entry {
                context.hover_next.cell = Some((row, column));
                let value = matrix[[row, column]];
                response.on_hover_ui_at_pointer(|ui| {
                    ui.label(theme::number(format!("{title} [{row}, {column}] = {value:+.5}")));
                });
            }
        }
        let bar_rect = Rect::from_min_size(pos2(room.left() + count * (side + 12.0), room.top() + 18.0), vec2(bar, side.min(200.0)));
        signed.bar(ui.painter(), bar_rect, context.theme, "entry of S");
        if below > 0.0 {
            let rect = Rect::from_min_max(
                pos2(room.left(), room.bottom() - below + 18.0),
                pos2(room.left() + 340.0_f32.min(room.width()), room.bottom() - 4.0),
            );
            spectrum(ui, rect, &values);
        }
        ui.allocate_rect(room, Sense::hover());
    }

    fn renew(&mut self, a: &Arc<StepMemories>, b: &Arc<StepMemories>, phase: Phase) {
        let key = (Arc::as_ptr(a) as usize, Arc::as_ptr(b) as usize, phase);
        if self.shown == Some(key) {
            return;
        }
        self.shown = Some(key);
        self.version += 1;
        let (first, second) = (a.phase(phase), b.phase(phase));
        self.tiles = vec![("A".to_owned(), first.clone()), ("B".to_owned(), second.clone())];
        if first.dim() == second.dim() {
            self.tiles.push(("A − B".to_owned(), first - second));
        }
        let finite = self.tiles.iter().flat_map(|(_, matrix)| matrix.iter()).filter(|x| x.is_finite());
        self.largest = finite.map(|x| f64::from(x.abs())).fold(0.0, f64::max);
    }
}

/// Singular values of both, largest first.
fn spectrum(ui: &mut Ui, rect: Rect, values: &[Option<Arc<Vec<f64>>>]) {
    let most = values.iter().flatten().filter_map(|values| values.first().copied()).fold(1e-12, f64::max);
    let count = values.iter().flatten().map(|values| values.len()).max().unwrap_or(1);
    let mut says = Vec::new();
    ui.painter().hline(rect.x_range(), rect.bottom(), ui.visuals().widgets.noninteractive.bg_stroke);
    for ((values, colour), name) in values.iter().zip([FIRST, SECOND]).zip(["A", "B"]) {
        let Some(values) = values.as_ref().filter(|values| !values.is_empty()) else { continue };
        Curve { values, steps: [0.0, count as f64], range: [0.0, most] }.paint(ui.painter(), rect, theme::colour(colour), 1.5);
        let energy: f64 = values.iter().map(|value| value * value).sum();
        says.push(format!("{name} largest {:.3}, stable rank {:.1}", values[0], energy / values[0].max(1e-12).powi(2)));
    }
    let said = format!("singular values: {}", says.join("; "));
    ui.painter().text(rect.left_top() - vec2(0.0, 3.0), Align2::LEFT_BOTTOM, &said, FontId::proportional(11.0), theme::quiet(ui));
    let response = ui.interact(rect, ui.scope_id().with("spectra"), Sense::hover());
    describe(&response, "Singular values of both", &said);
}

//! A matrix as a picture: one texture, drawn without smoothing, with the entry under the pointer.

use egui::{Color32, ColorImage, Pos2, Rect, Response, Sense, Stroke, TextureHandle, TextureOptions, Ui, pos2};
use ndarray::Array2;

use super::chart::describe;
use super::signed::{NOT_A_NUMBER, Signed};

/// A texture that is made again only when what it shows changes.
#[derive(Default)]
pub struct MatrixPicture {
    texture: Option<TextureHandle>,
    shown: Option<(u64, Signed)>,
    shape: (usize, usize),
}

impl MatrixPicture {
    /// Takes a matrix for the picture if `version` or the scale is another than before. Equal versions must mean equal matrices.
    pub fn set(&mut self, context: &egui::Context, name: &str, version: u64, signed: Signed, matrix: impl FnOnce() -> Array2<f32>) {
        if self.shown == Some((version, signed)) {
            return;
        }
        let matrix = matrix();
        let table = signed.table();
        let pixels: Vec<Color32> = matrix.iter().map(|&value| signed.index(value).map_or(NOT_A_NUMBER, |index| table[index])).collect();
        self.shape = matrix.dim();
        let image = ColorImage::new([self.shape.1, self.shape.0], pixels);
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::NEAREST),
            None => self.texture = Some(context.load_texture(name, image, TextureOptions::NEAREST)),
        }
        self.shown = Some((version, signed));
    }

    /// Draws it and tells which entry the pointer is over: row and column.
    pub fn ui(&self, ui: &mut Ui, rect: Rect, salt: &str, name: &str, summary: &str) -> (Response, Option<(usize, usize)>) {
        let response = ui.interact(rect, ui.scope_id().with(salt), Sense::click());
        describe(&response, name, summary);
        let Some(texture) = &self.texture else { return (response, None) };
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(texture.id(), rect, whole, Color32::WHITE);
        let entry = response.hover_pos().map(|place| self.entry(rect, place));
        (response, entry)
    }

    /// Draws the outline of an entry.
    pub fn mark(&self, ui: &Ui, rect: Rect, (row, column): (usize, usize), ink: Color32) {
        if row < self.shape.0 && column < self.shape.1 {
            ui.painter().rect_stroke(self.cell(rect, row, column).expand(1.0), 0.0, Stroke::new(1.0, ink), egui::StrokeKind::Outside);
        }
    }

    fn entry(&self, rect: Rect, place: Pos2) -> (usize, usize) {
        let index = |from: f32, length: f32, count: usize| ((from / length * count as f32).max(0.0) as usize).min(count.saturating_sub(1));
        (index(place.y - rect.top(), rect.height(), self.shape.0), index(place.x - rect.left(), rect.width(), self.shape.1))
    }

    fn cell(&self, rect: Rect, row: usize, column: usize) -> Rect {
        let (height, width) = (rect.height() / self.shape.0 as f32, rect.width() / self.shape.1 as f32);
        Rect::from_min_size(rect.min + egui::vec2(column as f32 * width, row as f32 * height), egui::vec2(width, height))
    }
}

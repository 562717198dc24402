//! A figure's scene on screen: the same marks that the paper has, so that screen and paper cannot disagree.

use egui::epaint::{Mesh, PathShape, PathStroke, TextShape, Vertex, WHITE_UV};
use egui::{Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, pos2};

use crate::app::theme::colour;
use crate::figure::scene::{Anchor, Mark, Place, Scene};

/// From a scene's points to the screen's.
#[derive(Clone, Copy, Debug)]
pub struct Placing {
    /// Where the scene's upper left corner lies.
    pub origin: Pos2,
    /// Screen points a scene point.
    pub scale: f32,
}

impl Placing {
    /// The largest placing of a scene inside `rect`, centred.
    pub fn inside(rect: Rect, scene: &Scene) -> Self {
        let scale = (rect.width() / scene.width as f32).min(rect.height() / scene.height as f32);
        let room = rect.size() - egui::vec2(scene.width as f32, scene.height as f32) * scale;
        Self { origin: rect.min + room / 2.0, scale }
    }

    /// A scene's place on screen.
    pub fn at(&self, place: Place) -> Pos2 {
        self.origin + egui::vec2(place[0] as f32, place[1] as f32) * self.scale
    }

    /// A place on screen in the scene.
    pub fn back(&self, place: Pos2) -> Place {
        let inside = (place - self.origin) / self.scale;
        [f64::from(inside.x), f64::from(inside.y)]
    }

    /// A scene's rectangle on screen.
    pub fn rect(&self, rect: &crate::figure::scene::Rect) -> Rect {
        Rect::from_min_max(self.at([rect.left, rect.top]), self.at([rect.right(), rect.bottom()]))
    }

    /// A rectangle on screen in the scene.
    pub fn scene_rect(&self, rect: Rect) -> crate::figure::scene::Rect {
        let [left, top] = self.back(rect.min);
        let [right, bottom] = self.back(rect.max);
        crate::figure::scene::Rect::new(left, top, right - left, bottom - top)
    }
}

/// Paints all marks of a scene.
pub fn paint(painter: &Painter, scene: &Scene, placing: Placing) {
    for mark in &scene.marks {
        paint_mark(painter, mark, placing);
    }
}

fn paint_mark(painter: &Painter, mark: &Mark, placing: Placing) {
    match mark {
        Mark::Line { places, colour: ink, width } => {
            let points = places.iter().map(|place| placing.at(*place)).collect();
            // Lines thinner than a pixel would be pale: what is a hair in print is a pixel here.
            let width = (*width as f32 * placing.scale).max(1.0 / painter.pixels_per_point());
            painter.add(Shape::line(points, Stroke::new(width, colour(*ink))));
        }
        Mark::Area { corners, colour: fill } => {
            let points: Vec<Pos2> = corners.iter().map(|corner| placing.at(*corner)).collect();
            painter.add(area(points, colour(*fill)));
        }
        Mark::Cell { rect, colour: fill } => {
            painter.rect_filled(placing.rect(rect), 0.0, colour(*fill));
        }
        Mark::Disc { centre, radius, colour: fill } => {
            painter.circle_filled(placing.at(*centre), *radius as f32 * placing.scale, colour(*fill));
        }
        Mark::Text { text, place, size, colour: ink, anchor, turned } => {
            paint_text(painter, text, placing.at(*place), *size as f32 * placing.scale, colour(*ink), *anchor, *turned);
        }
        Mark::Picture { rect, columns, cells } => {
            let cells: Vec<Color32> = cells.iter().map(|cell| colour(*cell)).collect();
            painter.add(picture(placing.rect(rect), *columns, &cells));
        }
    }
}

/// Text whose base line is anchored at a place; turned by a quarter it reads upwards.
pub fn paint_text(painter: &Painter, text: &str, place: Pos2, size: f32, ink: Color32, anchor: Anchor, turned: bool) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(size), ink);
    let baseline = galley.rows.first().and_then(|row| Some(row.pos.y + row.glyphs.first()?.pos.y)).unwrap_or(size);
    let along = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => galley.size().x / 2.0,
        Anchor::End => galley.size().x,
    };
    if turned {
        let corner = pos2(place.x - baseline, place.y + along);
        painter.add(TextShape { angle: -std::f32::consts::FRAC_PI_2, ..TextShape::new(corner, galley, ink) });
    } else {
        painter.galley(pos2(place.x - along, place.y - baseline), galley, ink);
    }
}

/// A filled polygon: convex, or a band whose second half runs back along its first.
fn area(points: Vec<Pos2>, fill: Color32) -> Shape {
    if is_convex(&points) || !points.len().is_multiple_of(2) {
        return Shape::Path(PathShape { points, closed: true, fill, stroke: PathStroke::NONE });
    }
    let mut mesh = Mesh::default();
    let half = points.len() / 2;
    for place in 0..half {
        for point in [points[place], points[points.len() - 1 - place]] {
            mesh.vertices.push(Vertex { pos: point, uv: WHITE_UV, color: fill });
        }
        if place > 0 {
            let at = 2 * place as u32;
            mesh.add_triangle(at - 2, at - 1, at);
            mesh.add_triangle(at - 1, at, at + 1);
        }
    }
    Shape::mesh(mesh)
}

fn is_convex(points: &[Pos2]) -> bool {
    let n = points.len();
    let turn = |i: usize| {
        let (a, b, c) = (points[i], points[(i + 1) % n], points[(i + 2) % n]);
        (b.x - a.x) * (c.y - b.y) - (b.y - a.y) * (c.x - b.x)
    };
    (0..n).all(|i| turn(i) >= -1e-3) || (0..n).all(|i| turn(i) <= 1e-3)
}

/// Cells side by side as one mesh: no seams, no texture to keep.
pub fn picture(rect: Rect, columns: usize, cells: &[Color32]) -> Shape {
    let mut mesh = Mesh::default();
    let rows = cells.len().div_ceil(columns.max(1));
    let size = egui::vec2(rect.width() / columns as f32, rect.height() / rows.max(1) as f32);
    for (index, &cell) in cells.iter().enumerate().filter(|(_, cell)| cell.a() > 0) {
        let corner = rect.min + egui::vec2((index % columns) as f32 * size.x, (index / columns) as f32 * size.y);
        mesh.add_colored_rect(Rect::from_min_size(corner, size), cell);
    }
    Shape::mesh(mesh)
}

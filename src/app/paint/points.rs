//! Points that can be picked: one mesh, and a grid that finds the nearest.

use std::collections::HashMap;

use egui::epaint::{Mesh, Vertex, WHITE_UV};
use egui::{Color32, Pos2, Rect, Shape, vec2};

/// At most as many points are drawn one by one; more are a density.
pub const MOST_POINTS: usize = 20_000;

/// The side of the grid's cells, in screen points: also how far a point can be picked from.
const REACH: f32 = 8.0;

/// Points on screen, ready to be drawn and picked.
pub struct PointCloud {
    mesh: Mesh,
    places: Vec<Pos2>,
    grid: HashMap<(i32, i32), Vec<u32>>,
}

impl PointCloud {
    /// Points of `radius` screen points; places that are not finite are kept but neither drawn nor found.
    pub fn new(places: Vec<Pos2>, radius: f32, ink: impl Fn(usize) -> Color32) -> Self {
        let mut mesh = Mesh::default();
        let mut grid: HashMap<(i32, i32), Vec<u32>> = HashMap::new();
        for (index, place) in places.iter().enumerate().filter(|(_, place)| place.x.is_finite() && place.y.is_finite()) {
            octagon(&mut mesh, *place, radius, ink(index));
            grid.entry(cell(*place)).or_default().push(index as u32);
        }
        Self { mesh, places, grid }
    }

    /// The points as one shape.
    pub fn shape(&self) -> Shape {
        Shape::mesh(self.mesh.clone())
    }

    /// Where a point lies.
    pub fn place(&self, index: usize) -> Pos2 {
        self.places[index]
    }

    /// The nearest point within reach of the pointer.
    pub fn nearest(&self, pointer: Pos2) -> Option<usize> {
        let (column, row) = cell(pointer);
        let near = (-1..=1).flat_map(|right| (-1..=1).map(move |down| (column + right, row + down)));
        let near = near.filter_map(|cell| self.grid.get(&cell)).flatten().map(|&index| index as usize);
        let distance = |index: &usize| self.places[*index].distance(pointer);
        near.min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|index| distance(index) <= REACH)
    }

    /// The points inside a rectangle.
    pub fn inside(&self, rect: Rect) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().enumerate().filter(move |(_, place)| rect.contains(**place)).map(|(index, _)| index)
    }
}

fn cell(place: Pos2) -> (i32, i32) {
    ((place.x / REACH).floor() as i32, (place.y / REACH).floor() as i32)
}

/// A small disc: eight corners look round at this size.
fn octagon(mesh: &mut Mesh, centre: Pos2, radius: f32, ink: Color32) {
    let first = mesh.vertices.len() as u32;
    for corner in 0..8 {
        let (sine, cosine) = (std::f32::consts::FRAC_PI_4 * (corner as f32 + 0.5)).sin_cos();
        mesh.vertices.push(Vertex { pos: centre + vec2(cosine, sine) * radius, uv: WHITE_UV, color: ink });
    }
    for corner in 1..7 {
        mesh.add_triangle(first, first + corner, first + corner + 1);
    }
}

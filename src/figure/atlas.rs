//! The head atlas: one cell for each head of each layer, coloured by any measure, numbers in the cells where they fit.

use serde::{Deserialize, Serialize};

use super::colour::{Colour, Gradient, Hues, Theme};
use super::legend;
use super::scale::{Scale, fixed};
use super::scene::{Anchor, NORMAL, Rect, SMALL, Scene, text_width};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{HeadId, HeadMap, HeadQuantity, Sign};

/// Width of a colour bar in points.
const BAR: f64 = 5.0;
/// Height of a cell in points.
const CELL: f64 = 13.0;

/// What the figure draws: one grid per model and quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasData {
    /// Quantities that no model has.
    pub missing: Vec<HeadQuantity>,
    /// The grids, by quantity, then model.
    pub grids: Vec<AtlasGrid>,
}

/// One grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasGrid {
    /// The model.
    pub label: String,
    /// What the cells are.
    pub quantity: HeadQuantity,
    /// The range of the colours, the same for all models.
    pub range: [f64; 2],
    /// Layers, from the top.
    pub layers: Vec<usize>,
    /// Heads, from the left.
    pub heads: Vec<usize>,
    /// The heads that have a number.
    pub cells: Vec<(HeadId, Estimate)>,
}

/// Pick what is drawn: the spec's quantities, those of them that were measured.
pub fn prepare(models: &[Labelled<Vec<HeadMap>>], spec: &FigureSpec) -> Result<AtlasData, FigureError> {
    let mut data = AtlasData { missing: Vec::new(), grids: Vec::new() };
    for &quantity in &spec.options.quantities {
        let maps = || models.iter().filter_map(|model| Some((&model.label, model.measured.iter().find(|map| map.quantity == quantity)?)));
        let values = || maps().flat_map(|(_, map)| map.heads.iter().map(|head| head.value.estimate)).filter(|value| value.is_finite());
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            data.missing.push(quantity);
            continue;
        }
        let range = match quantity.sign() {
            Sign::Signed => {
                let most = low.abs().max(high.abs()).max(1e-12);
                [-most, most]
            }
            Sign::Unsigned => {
                let (low, high) = Scale::around([low, high], &[]).ends();
                [low, high]
            }
        };
        data.grids.extend(maps().map(|(label, map)| {
            let mut layers: Vec<usize> = map.heads.iter().map(|head| head.id.layer).collect();
            layers.sort_unstable();
            layers.dedup();
            let mut heads: Vec<usize> = map.heads.iter().map(|head| head.id.head).collect();
            heads.sort_unstable();
            heads.dedup();
            let cells = map.heads.iter().map(|head| (head.id, Estimate::from(&head.value))).collect();
            AtlasGrid { label: label.clone(), quantity, range, layers, heads, cells }
        }));
    }
    if data.grids.is_empty() {
        let asked: Vec<&str> = spec.options.quantities.iter().map(|quantity| quantity.name()).collect();
        return Err(nothing(Figure::Atlas, &format!("no head has {}", asked.join(", "))));
    }
    Ok(data)
}

impl Prepared for AtlasData {
    fn summary(&self) -> String {
        let one = |grid: &AtlasGrid| {
            let ends = |least: bool| {
                let by = |a: &&(HeadId, Estimate), b: &&(HeadId, Estimate)| a.1.value.total_cmp(&b.1.value);
                let found = if least { grid.cells.iter().min_by(by) } else { grid.cells.iter().max_by(by) };
                found.map_or(String::new(), |(id, estimate)| format!("{id} {estimate}"))
            };
            format!("{}, {}: largest {}, smallest {}", grid.label, plain(grid.quantity), ends(false), ends(true))
        };
        let missing: Vec<String> = self.missing.iter().map(|quantity| plain(*quantity)).collect();
        let missing = if missing.is_empty() { String::new() } else { format!(" No head has {}.", missing.join(", ")) };
        format!("One number for each head. {}.{missing}", self.grids.iter().map(one).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let mut table = Table::new("One number for each head", &["model", "quantity", "layer", "head", "value", "value_low", "value_high"]);
        for grid in &self.grids {
            for (id, estimate) in &grid.cells {
                let mut row: Vec<Value> = vec![(&grid.label).into(), grid.quantity.name().into(), id.layer.into(), id.head.into()];
                row.extend(Estimate::cells(Some(*estimate)));
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let n_models = self.grids.chunk_by(|a, b| a.quantity == b.quantity).map(<[AtlasGrid]>::len).max().unwrap_or(1);
        let most_heads = self.grids.iter().map(|grid| grid.heads.len()).max().unwrap_or(1);
        // Grids of few heads stand side by side.
        let widest = self.grids.iter().map(|grid| text_width(&title(grid, n_models > 1), NORMAL)).fold(0.0, f64::max);
        let least = (46.0 + 18.0 * most_heads as f64).max(widest + 4.0);
        let fitting = ((spec.width.points() / least) as usize).clamp(1, 4);
        let columns = if n_models > 1 { n_models.min(fitting) } else { fitting.min(self.grids.len()) };
        let rows: Vec<&[AtlasGrid]> = if n_models > 1 {
            self.grids.chunk_by(|a, b| a.quantity == b.quantity).flat_map(|same| same.chunks(columns)).collect()
        } else {
            self.grids.chunks(columns).collect()
        };
        let row_height = |row: &[AtlasGrid]| 36.0 + CELL * row.iter().map(|grid| grid.layers.len()).max().unwrap_or(1).max(2) as f64;
        let height: f64 = 4.0 + rows.iter().map(|row| row_height(row)).sum::<f64>();
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let share = room.height / (height - 4.0);
        let mut top = room.top;
        for row in rows {
            let height = row_height(row) * share;
            let outer = Rect::new(room.left, top, room.width, height);
            for (grid, tile) in row.iter().zip(outer.tiles(columns, 1, [10.0, 0.0])) {
                draw_grid(&mut scene, grid, tile, n_models > 1);
            }
            top += height;
        }
        scene
    }
}

/// A label without markup, for prose.
fn plain(quantity: HeadQuantity) -> String {
    quantity.label().replace("^{2}", "2").replace("_{F}", "")
}

fn gradient(quantity: HeadQuantity, theme: Theme) -> Gradient {
    match quantity.sign() {
        Sign::Signed => Gradient::signed(theme, Hues::RedBlue),
        Sign::Unsigned => Gradient::Viridis,
    }
}

fn draw_grid(scene: &mut Scene, grid: &AtlasGrid, tile: Rect, names_model: bool) {
    let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
    let scale = Scale::linear(grid.range[0], grid.range[1]);
    let whole = title(grid, names_model);
    let whole = if text_width(&whole, NORMAL) > tile.width { grid.quantity.label().to_owned() } else { whole };
    scene.text(&whole, [tile.left, tile.top + NORMAL], NORMAL, ink, Anchor::Start);
    let left = tile.left + 10.0 + text_width(&grid.layers.iter().max().unwrap_or(&0).to_string(), SMALL) + 3.0;
    let body_top = tile.top + NORMAL * 1.6;
    let height = tile.bottom() - body_top - SMALL * 2.9;
    let right = BAR + 5.0 + legend::colour_bar_room(scale, height) - SMALL;
    let area = Rect::new(left, body_top, tile.right() - left - right, height);
    let (width, height) = (area.width / grid.heads.len() as f64, area.height / grid.layers.len() as f64);
    let decimals = decimals(grid.range);
    let widest = grid.cells.iter().map(|(_, estimate)| text_width(&in_cell(estimate.value, decimals), SMALL)).fold(0.0, f64::max);
    let has_numbers = widest + 2.0 <= width && height >= SMALL + 1.5;
    for (id, estimate) in &grid.cells {
        let place = |values: &[usize], value: usize| values.iter().position(|other| *other == value).unwrap_or(0) as f64;
        let (x, y) = (area.left + place(&grid.heads, id.head) * width, area.top + place(&grid.layers, id.layer) * height);
        let colour = scene.theme.tint(gradient(grid.quantity, scene.theme).at(scale.place(estimate.value)));
        scene.cell(Rect::new(x, y, width, height), colour);
        if has_numbers {
            let text = in_cell(estimate.value, decimals);
            scene.text(&text, [x + width / 2.0, y + height / 2.0 + SMALL * 0.36], SMALL, readable_on(colour), Anchor::Middle);
        }
    }
    scene.outline(area, ink, 0.6);
    let every = |n: usize, room: f64| ((n as f64 * (text_width("00", SMALL) + 2.0) / room).ceil() as usize).max(1);
    for (n, head) in grid.heads.iter().enumerate().step_by(every(grid.heads.len(), area.width)) {
        let x = area.left + (n as f64 + 0.5) * width;
        scene.text(&head.to_string(), [x, area.bottom() + SMALL * 1.1], SMALL, quiet, Anchor::Middle);
    }
    let lines = ((grid.layers.len() as f64 * SMALL * 1.1 / area.height).ceil() as usize).max(1);
    for (n, layer) in grid.layers.iter().enumerate().step_by(lines) {
        let y = area.top + (n as f64 + 0.5) * height + SMALL * 0.36;
        scene.text(&layer.to_string(), [area.left - 3.0, y], SMALL, quiet, Anchor::End);
    }
    scene.text("head", [area.left + area.width / 2.0, area.bottom() + SMALL * 2.2], SMALL, ink, Anchor::Middle);
    scene.turned_text("layer", [tile.left + SMALL * 0.8, area.top + area.height / 2.0], SMALL, ink, Anchor::Middle);
    let bar = Rect::new(area.right() + 5.0, area.top, BAR, area.height);
    let gradient = gradient(grid.quantity, scene.theme);
    legend::colour_bar(scene, bar, scale, gradient, "");
}

/// What stands above a grid.
fn title(grid: &AtlasGrid, names_model: bool) -> String {
    if names_model { format!("{}, {}", grid.label, grid.quantity.label()) } else { grid.quantity.label().to_owned() }
}

/// So many that the range holds about a hundred steps.
fn decimals([low, high]: [f64; 2]) -> usize {
    let span = (high - low).max(1e-12);
    (2.0 - (span.log10() - 1e-9).ceil()).clamp(0.0, 3.0) as usize
}

/// A number of a cell: a leading zero would take the room of a digit.
fn in_cell(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value.abs() < 1.0 && decimals > 0 { text.replacen("0.", ".", 1) } else { text }
}

/// Black or white, whichever reads better on a colour.
fn readable_on(colour: Colour) -> Colour {
    if colour.grey().rgb[0] > 130 { Colour::new(0, 0, 0) } else { Colour::new(255, 255, 255) }
}

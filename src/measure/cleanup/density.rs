//! Where the tokens lie in the plot: counts over a grid of x and y.

use serde::{Deserialize, Serialize};

use crate::measure::{Bins, quantile};

/// Cells along each side.
const CELLS: usize = 40;
/// The share of tokens that the grid's height must hold; the rest are counted in its uppermost row.
const HELD: f64 = 0.999;

/// Tokens of all heads over a grid of decay (across) and strength (up). For drawing: nothing is inferred from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Text", try_from = "Text")]
pub struct TokenDensity {
    /// Lower and upper end of x.
    pub x: [f64; 2],
    /// Lower and upper end of y; what lies beyond is counted at the edge.
    pub y: [f64; 2],
    /// Cells across.
    pub columns: usize,
    /// Tokens times heads in each cell, row by row from the lowest y.
    pub counts: Vec<u32>,
}

impl TokenDensity {
    /// Counts pairs of x and y; pairs that are not finite are left out. `None` when none is left.
    pub(super) fn of(pairs: impl Iterator<Item = (f64, f64)>, bins: Bins) -> Option<Self> {
        let pairs: Vec<(f64, f64)> = pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let least_x = pairs.iter().map(|(x, _)| *x).fold(1.0, f64::min);
        let mut ys: Vec<f64> = pairs.iter().map(|(_, y)| *y).collect();
        ys.sort_by(f64::total_cmp);
        let (&least_y, most_y) = (ys.first()?, quantile(&ys, HELD));
        let x = [bins.edges(bins.index(least_x.max(0.0))).0, 1.0];
        let y = [least_y.min(0.0), round_up(most_y.max(1e-6))];
        let cell = |value: f64, [low, high]: [f64; 2]| (((value - low) / (high - low) * CELLS as f64).max(0.0) as usize).min(CELLS - 1);
        let mut counts = vec![0; CELLS * CELLS];
        for (px, py) in pairs {
            counts[cell(py, y) * CELLS + cell(px, x)] += 1;
        }
        Some(Self { x, y, columns: CELLS, counts })
    }
}

/// The least number of one significant digit (or two, below 2) that is not below `value`.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let step = if value < 2.0 * decade { decade / 10.0 } else { decade };
    (value / step - 1e-9).ceil() * step
}

/// In files each row of cells is one line of numbers.
#[derive(Clone, Serialize, Deserialize)]
struct Text {
    x: [f64; 2],
    y: [f64; 2],
    rows: Vec<String>,
}

impl From<TokenDensity> for Text {
    fn from(density: TokenDensity) -> Self {
        let row = |row: &[u32]| row.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        Self { x: density.x, y: density.y, rows: density.counts.chunks(density.columns).map(row).collect() }
    }
}

impl TryFrom<Text> for TokenDensity {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let row = |row: &String| row.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>();
        let rows: Vec<Vec<u32>> = text.rows.iter().map(row).collect::<Result<_, _>>().map_err(|error| format!("token density: {error}"))?;
        let columns = rows.first().map_or(0, Vec::len);
        if columns == 0 || rows.iter().any(|row| row.len() != columns) {
            return Err("token density: its rows are empty or differ in length".to_owned());
        }
        Ok(Self { x: text.x, y: text.y, columns, counts: rows.concat() })
    }
}

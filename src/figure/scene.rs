//! A drawing as a list of marks, in points (1/72 inch) from the upper left corner.
//!
//! Figures fill a [`Scene`]; [`svg`](super::svg) writes it.
//! A mark is plain data, so that another painter can draw the same figure.

use super::colour::{Colour, Theme};
use super::font;

/// Text of ticks, legends and notes, in points.
pub const SMALL: f64 = 7.0;
/// Text of axis labels and panel titles, in points.
pub const NORMAL: f64 = 8.0;
/// The thinnest line, in points.
pub const HAIR: f64 = 0.5;

/// A place in points: x to the right, y down.
pub type Place = [f64; 2];

/// A rectangle in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// A rectangle from its upper left corner and its size.
    pub const fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width, height }
    }

    /// Right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Lower edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Cut into `columns` by `rows` equal tiles, `gap` apart, row by row.
    pub fn tiles(&self, columns: usize, rows: usize, gap: [f64; 2]) -> Vec<Self> {
        self.tiles_beside(columns, rows, gap, [0.0, 0.0])
    }

    /// As [`tiles`](Self::tiles), the first column wider by `labels[0]` and the last row higher by `labels[1]`, so that axes
    /// that only they name leave all areas equal.
    pub fn tiles_beside(&self, columns: usize, rows: usize, gap: [f64; 2], labels: [f64; 2]) -> Vec<Self> {
        let width = (self.width - labels[0] - gap[0] * (columns - 1) as f64) / columns as f64;
        let height = (self.height - labels[1] - gap[1] * (rows - 1) as f64) / rows as f64;
        let tile = |row: usize, column: usize| {
            let (shift, extra) = if column == 0 { (0.0, labels[0]) } else { (labels[0], 0.0) };
            let left = self.left + shift + column as f64 * (width + gap[0]);
            let below = if row + 1 == rows { labels[1] } else { 0.0 };
            Self::new(left, self.top + row as f64 * (height + gap[1]), width + extra, height + below)
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| tile(row, column))).collect()
    }
}

/// Which end of a text lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

/// The shape of a point of a series, so that series differ without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Filled circle.
    Disc,
    /// Filled square.
    Square,
    /// Filled triangle.
    Triangle,
    /// Filled square on its corner.
    Diamond,
    /// Circle filled with paper.
    Ring,
    /// Square filled with paper.
    Box,
}

impl Marker {
    /// The marker of the n-th series; repeats after four.
    pub fn of(index: usize) -> Self {
        [Self::Disc, Self::Square, Self::Triangle, Self::Diamond][index % 4]
    }
}

/// The dash of the n-th series, in points; repeats after four, and none is a solid line.
pub fn dash_of(index: usize) -> Option<[f64; 2]> {
    [None, Some([4.0, 1.6]), Some([1.2, 1.4]), Some([7.0, 1.6])][index % 4]
}

/// One thing drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through places.
    Line {
        /// At least two places.
        places: Vec<Place>,
        /// Its colour.
        colour: Colour,
        /// Its width in points.
        width: f64,
    },
    /// A filled polygon.
    Area {
        /// At least three corners.
        corners: Vec<Place>,
        /// Its colour.
        colour: Colour,
    },
    /// A filled rectangle that shares its edges with its neighbours: it is stroked with its own fill, so that no
    /// viewer shows a hairline between two of them.
    Cell {
        /// Where.
        rect: Rect,
        /// Its colour.
        colour: Colour,
    },
    /// A filled circle.
    Disc {
        /// Its centre.
        centre: Place,
        /// Its radius in points.
        radius: f64,
        /// Its colour.
        colour: Colour,
    },
    /// A run of text.
    Text {
        /// What it says.
        text: String,
        /// Where its base line is anchored.
        place: Place,
        /// Font size in points.
        size: f64,
        /// Its colour.
        colour: Colour,
        /// Which end lies at `place`.
        anchor: Anchor,
        /// Turned by a quarter, reading upwards.
        turned: bool,
    },
    /// A picture of cells, drawn without smoothing: one layer instead of thousands of marks.
    Picture {
        /// Where.
        rect: Rect,
        /// Columns of cells.
        columns: usize,
        /// One colour per cell, row by row from the top; opacity is kept.
        cells: Vec<Colour>,
    },
}

/// A drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width in points.
    pub width: f64,
    /// Height in points.
    pub height: f64,
    /// The colours of paper and ink.
    pub theme: Theme,
    /// What is drawn, from the bottom up.
    pub marks: Vec<Mark>,
}

impl Scene {
    /// An empty sheet.
    pub fn new(width: f64, height: f64, theme: Theme) -> Self {
        Self { width, height, theme, marks: Vec::new() }
    }

    /// The whole sheet, `margin` points inside its edges.
    pub fn inside(&self, margin: f64) -> Rect {
        Rect::new(margin, margin, self.width - 2.0 * margin, self.height - 2.0 * margin)
    }

    /// Draw a line. Places that are not finite break it.
    pub fn line(&mut self, places: &[Place], colour: Colour, width: f64) {
        let colour = self.theme.tint(colour);
        for run in places.split(|place| !place.iter().all(|v| v.is_finite())).filter(|run| run.len() > 1) {
            self.marks.push(Mark::Line { places: run.to_vec(), colour, width });
        }
    }

    /// Draw a line in dashes of `dash[0]` points with gaps of `dash[1]`; solid without a dash.
    pub fn dashed(&mut self, places: &[Place], colour: Colour, width: f64, dash: Option<[f64; 2]>) {
        let Some(dash) = dash else { return self.line(places, colour, width) };
        for run in places.split(|place| !place.iter().all(|v| v.is_finite())) {
            for piece in cut_into_dashes(run, dash) {
                self.line(&piece, colour, width);
            }
        }
    }

    /// Fill a polygon.
    pub fn area(&mut self, corners: Vec<Place>, colour: Colour) {
        if corners.len() > 2 && corners.iter().flatten().all(|v| v.is_finite()) {
            self.marks.push(Mark::Area { corners, colour: self.theme.tint(colour) });
        }
    }

    /// Fill between a lower and an upper line over the same x; gaps in either break it.
    pub fn band(&mut self, lower: &[Place], upper: &[Place], colour: Colour) {
        let pairs: Vec<(Place, Place)> = lower.iter().copied().zip(upper.iter().copied()).collect();
        let finite = |(a, b): &(Place, Place)| a.iter().chain(b).all(|v| v.is_finite());
        for run in pairs.split(|pair| !finite(pair)) {
            let forth = run.iter().map(|pair| pair.0);
            let back = run.iter().rev().map(|pair| pair.1);
            self.area(forth.chain(back).collect(), colour);
        }
    }

    /// Fill a rectangle that may touch others.
    pub fn cell(&mut self, rect: Rect, colour: Colour) {
        self.marks.push(Mark::Cell { rect, colour: self.theme.tint(colour) });
    }

    /// Outline a rectangle.
    pub fn outline(&mut self, rect: Rect, colour: Colour, width: f64) {
        let corners = [
            [rect.left, rect.top],
            [rect.right(), rect.top],
            [rect.right(), rect.bottom()],
            [rect.left, rect.bottom()],
            [rect.left, rect.top],
        ];
        self.line(&corners, colour, width);
    }

    /// Fill a circle.
    pub fn disc(&mut self, centre: Place, radius: f64, colour: Colour) {
        if centre.iter().all(|v| v.is_finite()) {
            self.marks.push(Mark::Disc { centre, radius, colour: self.theme.tint(colour) });
        }
    }

    /// Draw a point of a series; `radius` is half its width.
    pub fn marker(&mut self, marker: Marker, centre: Place, radius: f64, colour: Colour) {
        let [x, y] = centre;
        let paper = self.theme.paper();
        let square = |r: f64| vec![[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]];
        match marker {
            Marker::Disc => self.disc(centre, radius, colour),
            Marker::Square => self.area(square(radius * 0.9), colour),
            Marker::Triangle => {
                let r = radius * 1.15;
                self.area(vec![[x, y - r], [x + r, y + 0.8 * r], [x - r, y + 0.8 * r]], colour);
            }
            Marker::Diamond => {
                let r = radius * 1.25;
                self.area(vec![[x, y - r], [x + r, y], [x, y + r], [x - r, y]], colour);
            }
            Marker::Ring => {
                self.disc(centre, radius, colour);
                self.disc(centre, radius - 0.7, paper);
            }
            Marker::Box => {
                self.area(square(radius * 0.95), colour);
                self.area(square(radius * 0.95 - 0.7), paper);
            }
        }
    }

    /// Draw a picture of cells.
    pub fn picture(&mut self, rect: Rect, columns: usize, cells: Vec<Colour>) {
        let cells = cells.into_iter().map(|cell| self.theme.tint(cell)).collect();
        self.marks.push(Mark::Picture { rect, columns, cells });
    }

    /// Write text; `_{..}` lowers and `^{..}` raises what stands in braces.
    pub fn text(&mut self, text: &str, place: Place, size: f64, colour: Colour, anchor: Anchor) {
        self.runs(text, place, size, colour, anchor, false);
    }

    /// Write text turned by a quarter, reading upwards.
    pub fn turned_text(&mut self, text: &str, place: Place, size: f64, colour: Colour, anchor: Anchor) {
        self.runs(text, place, size, colour, anchor, true);
    }

    fn runs(&mut self, text: &str, place: Place, size: f64, colour: Colour, anchor: Anchor, turned: bool) {
        if text.trim().is_empty() {
            return;
        }
        let colour = self.theme.tint(colour);
        let runs = parse_markup(text);
        let single = runs.len() == 1;
        let total = text_width(text, size);
        let mut along = match anchor {
            _ if single => 0.0,
            Anchor::Start => 0.0,
            Anchor::Middle => -total / 2.0,
            Anchor::End => -total,
        };
        for run in runs {
            let (size, drop) = run.level.apply(size);
            let place = if turned { [place[0] + drop, place[1] - along] } else { [place[0] + along, place[1] + drop] };
            along += font::width(&run.text, size);
            let anchor = if single { anchor } else { Anchor::Start };
            self.marks.push(Mark::Text { text: run.text, place, size, colour, anchor, turned });
        }
    }
}

/// Width in points of a text with markup.
pub fn text_width(text: &str, size: f64) -> f64 {
    parse_markup(text).iter().map(|run| font::width(&run.text, run.level.apply(size).0)).sum()
}

/// Break a text between words into lines of at most `width` points; a longer word stands alone.
pub fn wrapped(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Base,
    Lowered,
    Raised,
}

impl Level {
    /// Font size, and how far below the base line.
    fn apply(self, size: f64) -> (f64, f64) {
        match self {
            Self::Base => (size, 0.0),
            Self::Lowered => (size * 0.72, size * 0.2),
            Self::Raised => (size * 0.72, -size * 0.36),
        }
    }
}

struct Run {
    text: String,
    level: Level,
}

fn parse_markup(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("_{").into_iter().chain(rest.find("^{")).min() {
        let Some(end) = rest[at..].find('}') else { break };
        if at > 0 {
            runs.push(Run { text: rest[..at].to_owned(), level: Level::Base });
        }
        let level = if rest[at..].starts_with('_') { Level::Lowered } else { Level::Raised };
        runs.push(Run { text: rest[at + 2..at + end].to_owned(), level });
        rest = &rest[at + end + 1..];
    }
    if !rest.is_empty() || runs.is_empty() {
        runs.push(Run { text: rest.to_owned(), level: Level::Base });
    }
    if runs.len() > 1 {
        // Readers of SVG drop plain spaces at the ends of a text.
        for run in &mut runs {
            run.text = run.text.replace(' ', "\u{a0}");
        }
    }
    runs
}

fn cut_into_dashes(places: &[Place], dash: [f64; 2]) -> Vec<Vec<Place>> {
    let mut pieces = Vec::new();
    let Some(&first) = places.first() else { return pieces };
    let (mut drawing, mut left, mut piece) = (true, dash[0], vec![first]);
    for pair in places.windows(2) {
        let [mut from, to] = [pair[0], pair[1]];
        loop {
            let length = (to[0] - from[0]).hypot(to[1] - from[1]);
            if length <= left {
                left -= length;
                if drawing {
                    piece.push(to);
                }
                break;
            }
            from = [from[0] + (to[0] - from[0]) * left / length, from[1] + (to[1] - from[1]) * left / length];
            if drawing {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            drawing = !drawing;
            left = if drawing { dash[0] } else { dash[1] };
        }
    }
    if drawing && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

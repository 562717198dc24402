//! A scene as SVG, drawn by plotters.
//!
//! plotters rounds to whole units, so the sheet has 20 units a point; width and height are stated in points.

// plotters writes a whole document per backend and cannot place pictures: runs of marks are drawn one by one, each
// into its own document, whose wrapping is dropped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pentimento_markup::xml::escape;
use plotters::prelude::{DrawingBackend, SVGBackend, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle};
use resvg::tiny_skia::{ColorU8, Pixmap};

use super::colour::{Colour, Theme};
use super::scene::{Anchor, Mark, Place, Rect, Scene};
use super::{FigureError, font};

/// Units per point.
pub const UNITS: f64 = 20.0;

/// Width of the stroke that hides the seam between two cells, in units.
const SEAM: u32 = 6;

/// Write `scene` as an SVG document; `title` and `description` are for readers who cannot see it.
pub fn write(scene: &Scene, title: &str, description: &str) -> Result<String, FigureError> {
    let size = (units(scene.width) as u32, units(scene.height) as u32);
    let mut body = String::new();
    if scene.theme == Theme::Dark {
        let sheet = Mark::Cell { rect: Rect::new(0.0, 0.0, scene.width, scene.height), colour: scene.theme.paper() };
        body.push_str(&draw_run(&[sheet], size)?);
    }
    for run in scene.marks.chunk_by(|a, b| !is_picture(a) && !is_picture(b)) {
        match run {
            [Mark::Picture { rect, columns, cells }] => body.push_str(&draw_picture(*rect, *columns, cells)?),
            marks => body.push_str(&draw_run(marks, size)?),
        }
    }
    let (width, height) = (scene.width, scene.height);
    let (title, description) = (escape(title), escape(description));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" viewBox=\"0 0 {} {}\" \
         role=\"img\" aria-label=\"{title}\" stroke-linejoin=\"round\">\n<title>{title}</title>\n<desc>{description}</desc>\n{body}</svg>\n",
        size.0, size.1
    ))
}

fn units(points: f64) -> i32 {
    (points * UNITS).round() as i32
}

fn place_in_units(place: Place) -> (i32, i32) {
    (units(place[0]), units(place[1]))
}

fn is_picture(mark: &Mark) -> bool {
    matches!(mark, Mark::Picture { .. })
}

fn draw_run(marks: &[Mark], size: (u32, u32)) -> Result<String, FigureError> {
    let mut document = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut document, size);
        for mark in marks {
            draw(&mut backend, mark)?;
        }
        checked(backend.present())?;
    }
    Ok(unwrap_document(&document))
}

/// Drop the `<svg>` element around a document of plotters, and the line breaks it puts around texts.
fn unwrap_document(document: &str) -> String {
    let mut body = String::with_capacity(document.len());
    for line in document.lines().skip(1).filter(|line| *line != "</svg>") {
        body.push_str(line);
        let inside_text = line.starts_with("<text ") || !line.starts_with('<');
        if !inside_text {
            body.push('\n');
        }
    }
    body
}

fn checked<E: std::fmt::Display>(result: Result<(), E>) -> Result<(), FigureError> {
    result.map_err(|error| FigureError::Draw(error.to_string()))
}

fn draw(backend: &mut SVGBackend, mark: &Mark) -> Result<(), FigureError> {
    match mark {
        Mark::Line { places, colour, width } => {
            let style = stroke(*colour, units(*width).max(1) as u32);
            checked(backend.draw_path(places.iter().copied().map(place_in_units), &style))
        }
        Mark::Area { corners, colour } => checked(backend.fill_polygon(corners.iter().copied().map(place_in_units), &stroke(*colour, 0))),
        Mark::Cell { rect, colour } => {
            let (left, top) = place_in_units([rect.left, rect.top]);
            let (right, bottom) = place_in_units([rect.right(), rect.bottom()]);
            checked(backend.draw_rect((left, top), (right, bottom), &stroke(*colour, 0), true))?;
            if colour.opacity < 1.0 {
                return Ok(());
            }
            let ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            checked(backend.draw_path(ring, &stroke(*colour, SEAM)))
        }
        Mark::Disc { centre, radius, colour } => {
            checked(backend.draw_circle(place_in_units(*centre), units(*radius).max(1) as u32, &stroke(*colour, 0), true))
        }
        Mark::Text { text, place, size, colour, anchor, turned } => {
            let h_pos = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let transform = if *turned { FontTransform::Rotate270 } else { FontTransform::None };
            // The backend divides the size by 1.24, and lowers a text anchored at its top by 0.76 em.
            let desc = plotters::style::FontDesc::new(FontFamily::Name(font::FAMILY), size * UNITS * 1.24, FontStyle::Normal);
            let paint = paint(*colour);
            let style = TextStyle::from(desc.transform(transform)).color(&paint).pos(Pos::new(h_pos, VPos::Top));
            let drop = 0.76 * size;
            let place = if *turned { [place[0] - drop, place[1]] } else { [place[0], place[1] - drop] };
            checked(backend.draw_text(text, &style, place_in_units(place)))
        }
        Mark::Picture { .. } => Ok(()),
    }
}

fn paint(colour: Colour) -> RGBAColor {
    RGBAColor(colour.rgb[0], colour.rgb[1], colour.rgb[2], colour.opacity)
}

fn stroke(colour: Colour, width: u32) -> ShapeStyle {
    ShapeStyle { color: paint(colour), filled: true, stroke_width: width }
}

fn draw_picture(rect: Rect, columns: usize, cells: &[Colour]) -> Result<String, FigureError> {
    let rows = cells.len() / columns.max(1);
    // Cells are written several pixels wide: viewers that smooth pictures then blur only the edges of a cell.
    let zoom = 4;
    let mut pixmap = Pixmap::new((columns * zoom) as u32, (rows * zoom) as u32)
        .ok_or_else(|| FigureError::Draw(format!("a picture of {columns} by {rows} cells cannot be drawn")))?;
    let across = columns * zoom;
    for (index, pixel) in pixmap.pixels_mut().iter_mut().enumerate() {
        let cell = cells[index / across / zoom * columns + index % across / zoom];
        let opacity = (cell.opacity * 255.0).round() as u8;
        *pixel = ColorU8::from_rgba(cell.rgb[0], cell.rgb[1], cell.rgb[2], opacity).premultiply();
    }
    let png = pixmap.encode_png().map_err(|error| FigureError::Draw(error.to_string()))?;
    Ok(format!(
        "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
         href=\"data:image/png;base64,{}\"/>\n",
        units(rect.left),
        units(rect.top),
        units(rect.width),
        units(rect.height),
        STANDARD.encode(png)
    ))
}

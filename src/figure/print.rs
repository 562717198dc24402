//! SVG to PNG (resvg) and to PDF (krilla): both parse the same text with the same bundled font.

use std::sync::{Arc, LazyLock};

use krilla::Document;
use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use usvg::{Options, Tree};

use super::colour::Theme;
use super::{FigureError, font};

/// Points of one CSS pixel, the unit in which SVG readers measure.
const POINTS_PER_PIXEL: f32 = 0.75;

static OPTIONS: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(font::BYTES.to_vec());
    fonts.set_sans_serif_family("Inter");
    Options { font_family: "Inter".into(), fontdb: Arc::new(fonts), ..Options::default() }
});

fn parse(svg: &str) -> Result<Tree, FigureError> {
    Tree::from_str(svg, &OPTIONS).map_err(|error| FigureError::Print(error.to_string()))
}

/// Draw an SVG document as PNG with `dots_per_inch` (72 gives one pixel a point), on the theme's paper.
pub fn png(svg: &str, dots_per_inch: f64, theme: Theme) -> Result<Vec<u8>, FigureError> {
    let tree = parse(svg)?;
    let scale = dots_per_inch as f32 / 96.0;
    let (width, height) = ((tree.size().width() * scale).round() as u32, (tree.size().height() * scale).round() as u32);
    let mut pixmap = Pixmap::new(width, height)
        .ok_or_else(|| FigureError::Print(format!("a picture of {width} by {height} pixels cannot be drawn; lower dots_per_inch")))?;
    let [red, green, blue] = theme.paper().rgb;
    pixmap.fill(Color::from_rgba8(red, green, blue, 255));
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| FigureError::Print(error.to_string()))
}

/// Draw an SVG document as a PDF of one page of its size, fonts embedded, without a date: same SVG, same bytes.
pub fn pdf(svg: &str, title: &str, description: &str) -> Result<Vec<u8>, FigureError> {
    let tree = parse(svg)?;
    let (width, height) = (tree.size().width() * POINTS_PER_PIXEL, tree.size().height() * POINTS_PER_PIXEL);
    let page = PageSettings::from_wh(width, height).zip(Size::from_wh(width, height));
    let (settings, size) = page.ok_or_else(|| FigureError::Print(format!("a page of {width} by {height} points cannot be drawn")))?;
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()).description(description.to_owned()).creator(format!(
        "{} {}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )));
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    surface
        .draw_svg(&tree, size, SvgSettings::default())
        .ok_or_else(|| FigureError::Print("the drawing could not be placed on the page".to_owned()))?;
    surface.finish();
    page.finish();
    document.finish().map_err(|error| FigureError::Print(format!("{error:?}")))
}

//! The one font of all figures: Inter Regular, bundled; widths are measured with the same bytes that draw.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef};

/// The font file.
pub const BYTES: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.otf");

/// The family as SVG names it; the names after the first serve a browser that lacks it.
pub const FAMILY: &str = "Inter, Helvetica, Arial, sans-serif";

/// Height of a capital, as a share of the font size.
pub const CAP_HEIGHT: f64 = 2048.0 / 2816.0;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| FontRef::try_from_slice(BYTES).expect("the bundled font is a font"));

/// Width of `text` set at `size`, in the unit of `size`; without markup.
pub fn width(text: &str, size: f64) -> f64 {
    let units = f64::from(FONT.units_per_em().expect("the bundled font states its units"));
    text.chars().map(|c| f64::from(FONT.h_advance_unscaled(FONT.glyph_id(c)))).sum::<f64>() * size / units
}

/// Whether the font has a glyph of its own for each character.
pub fn covers(text: &str) -> bool {
    text.chars().all(|c| FONT.glyph_id(c).0 != 0)
}

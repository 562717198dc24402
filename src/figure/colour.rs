//! Colours: Okabe-Ito for categories, viridis for counts, red-blue and purple-orange for signed values.
//!
//! Every palette is safe for colour-blind readers.
//! A figure never relies on hue alone: series differ in dash and marker too, so that it survives print in greys.

use serde::{Deserialize, Serialize};

/// An sRGB colour with opacity in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    /// Red, green and blue, each 0 to 255.
    pub rgb: [u8; 3],
    /// Opacity, 0 is invisible, 1 covers what lies beneath.
    pub opacity: f64,
}

impl Colour {
    /// An opaque colour.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { rgb: [red, green, blue], opacity: 1.0 }
    }

    /// The same colour with another opacity.
    #[must_use]
    pub const fn fade(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    /// The opaque colour that this one gives when laid over `paper`.
    #[must_use]
    pub fn over(self, paper: Self) -> Self {
        let mix = |i: usize| (f64::from(self.rgb[i]) * self.opacity + f64::from(paper.rgb[i]) * (1.0 - self.opacity)).round() as u8;
        Self::new(mix(0), mix(1), mix(2))
    }

    /// The grey of the same luma (Rec. 601), as an office printer would give it.
    #[must_use]
    pub fn grey(self) -> Self {
        let luma = 0.299 * f64::from(self.rgb[0]) + 0.587 * f64::from(self.rgb[1]) + 0.114 * f64::from(self.rgb[2]);
        let luma = luma.round() as u8;
        Self { rgb: [luma; 3], opacity: self.opacity }
    }
}

/// Okabe-Ito black.
pub const BLACK: Colour = Colour::new(0x00, 0x00, 0x00);
/// Okabe-Ito orange: the erase, everywhere.
pub const ORANGE: Colour = Colour::new(0xE6, 0x9F, 0x00);
/// Okabe-Ito sky blue.
pub const SKY: Colour = Colour::new(0x56, 0xB4, 0xE9);
/// Okabe-Ito bluish green: the write, everywhere.
pub const GREEN: Colour = Colour::new(0x00, 0x9E, 0x73);
/// Okabe-Ito blue: the decay, everywhere.
pub const BLUE: Colour = Colour::new(0x00, 0x72, 0xB2);
/// Okabe-Ito vermillion: the finding a figure is about.
pub const VERMILLION: Colour = Colour::new(0xD5, 0x5E, 0x00);
/// Okabe-Ito reddish purple.
pub const PURPLE: Colour = Colour::new(0xCC, 0x79, 0xA7);

/// The colour of decay, erase and write in large areas that touch: their hues, further apart in grey than their lines are.
pub const AREAS: [Colour; 3] = [Colour::new(0x00, 0x58, 0x8C), Colour::new(0xF0, 0xB2, 0x36), Colour::new(0x2A, 0xA6, 0x80)];

/// The colour of the n-th series of a figure; repeats after six.
pub fn category(index: usize) -> Colour {
    [BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE][index % 6]
}

/// The colours of paper and ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// Dark ink on white paper; the default.
    #[default]
    Light,
    /// Light ink on dark paper, for slides and the window.
    Dark,
    /// As `light`, every colour replaced by the grey of its luma: what a grey printer makes of it.
    Grey,
}

impl Theme {
    /// The background.
    pub fn paper(self) -> Colour {
        match self {
            Self::Light | Self::Grey => Colour::new(255, 255, 255),
            Self::Dark => Colour::new(0x16, 0x18, 0x1D),
        }
    }

    /// Text and axes.
    pub fn ink(self) -> Colour {
        match self {
            Self::Light | Self::Grey => Colour::new(0x1A, 0x1A, 0x1A),
            Self::Dark => Colour::new(0xE8, 0xE8, 0xE8),
        }
    }

    /// Notes and the text of null models: readable, but behind the data.
    pub fn quiet(self) -> Colour {
        match self {
            Self::Light | Self::Grey => Colour::new(0x5C, 0x5C, 0x5C),
            Self::Dark => Colour::new(0xA8, 0xA8, 0xA8),
        }
    }

    /// The line that a figure is about.
    pub fn accent(self) -> Colour {
        if self == Self::Grey { BLACK } else { VERMILLION }
    }

    /// Line and fill of the n-th null model: greys between paper and ink.
    pub fn null(self, index: usize) -> (Colour, Colour) {
        let [line, fill] = match self {
            Self::Light | Self::Grey => [[0x48, 0x70, 0x58, 0x80], [0x80, 0xB0, 0x98, 0xC0]],
            Self::Dark => [[0xE0, 0xC0, 0xD0, 0xB0], [0xA0, 0x78, 0x8C, 0x68]],
        };
        let grey = |level: u8| Colour::new(level, level, level);
        (grey(line[index % 4]), grey(fill[index % 4]).fade(0.55))
    }

    /// Grid lines.
    pub fn grid(self) -> Colour {
        match self {
            Self::Light | Self::Grey => Colour::new(0xE4, 0xE4, 0xE4),
            Self::Dark => Colour::new(0x33, 0x36, 0x3D),
        }
    }

    /// The colour as this theme prints it.
    pub fn tint(self, colour: Colour) -> Colour {
        if self == Self::Grey { colour.grey() } else { colour }
    }
}

/// The two hues of signed values, where a reader may choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hues {
    /// Red below zero, blue above.
    #[default]
    RedBlue,
    /// Purple and orange: without red.
    PurpleOrange,
}

/// A continuous colour scale on [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// Counts and magnitudes.
    Viridis,
    /// Counts beneath other marks: pale to dark blue, so that lines on top stay readable.
    Haze,
    /// As `Haze`, for dark paper: dark to pale blue.
    Glow,
    /// Signed values, zero in the middle.
    RedBlue,
    /// Signed values, zero in the middle, without red.
    PurpleOrange,
    /// As `RedBlue`, for dark paper: zero is dark.
    NightRedBlue,
    /// As `PurpleOrange`, for dark paper: zero is dark.
    NightPurpleOrange,
    /// Signed values where there is no hue to tell the sign: black is negative, white positive.
    Grey,
}

impl Gradient {
    /// The gradient for counts beneath other marks on a theme's paper.
    pub fn beneath(theme: Theme) -> Self {
        if theme == Theme::Dark { Self::Glow } else { Self::Haze }
    }

    /// The gradient for signed values in a theme.
    pub fn signed(theme: Theme, hues: Hues) -> Self {
        match (theme, hues) {
            (Theme::Light, Hues::RedBlue) => Self::RedBlue,
            (Theme::Light, Hues::PurpleOrange) => Self::PurpleOrange,
            (Theme::Dark, Hues::RedBlue) => Self::NightRedBlue,
            (Theme::Dark, Hues::PurpleOrange) => Self::NightPurpleOrange,
            (Theme::Grey, _) => Self::Grey,
        }
    }

    /// The colour at `place`, clamped to [0, 1].
    pub fn at(self, place: f64) -> Colour {
        let place = place.clamp(0.0, 1.0);
        let sample = match self {
            Self::Viridis => colorous::VIRIDIS.eval_continuous(place),
            Self::Haze => colorous::BLUES.eval_continuous(0.06 + 0.42 * place),
            Self::Glow => colorous::BLUES.eval_continuous(1.0 - 0.42 * place),
            Self::RedBlue => colorous::RED_BLUE.eval_continuous(place),
            Self::PurpleOrange => colorous::PURPLE_ORANGE.eval_continuous(place),
            Self::NightRedBlue => return night(place, colorous::RED_BLUE),
            Self::NightPurpleOrange => return night(place, colorous::PURPLE_ORANGE),
            Self::Grey => {
                let level = (place * 255.0).round() as u8;
                return Colour::new(level, level, level);
            }
        };
        Colour::new(sample.r, sample.g, sample.b)
    }
}

/// A diverging gradient turned inside out: dark in the middle, its own mid-tones towards the ends.
fn night(place: f64, gradient: colorous::Gradient) -> Colour {
    let distance = (2.0 * place - 1.0).abs();
    // The gradient's ends are too dark for dark paper: the strongest colour stands at 0.72 of the way.
    let end =
        gradient.eval_continuous(if place < 0.5 { 0.5 - 0.5 * (0.86 - 0.30 * distance) } else { 0.5 + 0.5 * (0.86 - 0.30 * distance) });
    Colour::new(end.r, end.g, end.b).fade(distance.powf(0.8)).over(Colour::new(0x24, 0x27, 0x2E))
}

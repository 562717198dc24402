//! What holds for every session: appearance, cache, recent files.

use serde::{Deserialize, Serialize};

use super::open_trace::TraceSource;

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Appearance {
    /// Dark ink on white.
    Light,
    /// Light ink on dark.
    Dark,
    /// As the system has it.
    #[default]
    System,
}

impl Appearance {
    /// All.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::System];

    /// As menus say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Light => "Light",
            Self::Dark => "Dark",
            Self::System => "As the system",
        }
    }
}

/// Settings that outlive a session.
///
/// | name | default | range | purpose |
/// |---|---|---|---|
/// | `appearance` | `system` | | light or dark |
/// | `zoom` | 1 | 0.5 to 3 | size of everything |
/// | `cache_megabytes` | 512 | 16 to 65536 | what computed answers may hold in memory |
/// | `recent` | none | 12 at most | traces and workspaces opened lately |
/// | `tour_done` | false | | whether the tour has been taken or put off |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Light or dark.
    pub appearance: Appearance,
    /// Size of everything.
    pub zoom: f32,
    /// What answers may hold in memory.
    pub cache_megabytes: usize,
    /// Opened lately, the last first.
    pub recent: Vec<TraceSource>,
    /// Whether the tour has been taken or put off.
    pub tour_done: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { appearance: Appearance::default(), zoom: 1.0, cache_megabytes: 512, recent: Vec::new(), tour_done: false }
    }
}

impl Settings {
    /// As many recent files as are remembered.
    pub const MOST_RECENT: usize = 12;

    /// The nearest settings within their ranges.
    #[must_use]
    pub fn within_ranges(mut self) -> Self {
        self.zoom = if self.zoom.is_finite() { self.zoom.clamp(0.5, 3.0) } else { 1.0 };
        self.cache_megabytes = self.cache_megabytes.clamp(16, 65_536);
        self.recent.truncate(Self::MOST_RECENT);
        self
    }

    /// Remembers what was opened.
    pub fn remember(&mut self, source: &TraceSource) {
        self.recent.retain(|known| known != source);
        self.recent.insert(0, source.clone());
        self.recent.truncate(Self::MOST_RECENT);
    }
}

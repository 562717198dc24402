//! How the panels are arranged: a tree of tiles, and presets of it.

use egui_tiles::{Linear, LinearDir, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

use super::panel::PanelKind;

/// The arrangement of the panels.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layout {
    /// The tiles; every panel stands in it at most once.
    pub tree: Tree<PanelKind>,
}

/// An arrangement for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The headline beside the memory, the timeline beneath.
    Overview,
    /// One memory, large.
    OneMemory,
    /// From one erase to one answer.
    OneAnswer,
    /// Models or runs side by side.
    Compare,
    /// A model at hand, its memory and its gates while it reads.
    Live,
    /// What a run found.
    Results,
}

impl Preset {
    /// All.
    pub const ALL: [Self; 6] = [Self::Overview, Self::OneMemory, Self::OneAnswer, Self::Compare, Self::Live, Self::Results];

    /// As menus say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::OneMemory => "One memory",
            Self::OneAnswer => "One answer",
            Self::Compare => "Compare",
            Self::Live => "Live model",
            Self::Results => "Results of a run",
        }
    }

    /// What it is for, in a few words.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Overview => "Cleanup against decay, the memory and the tokens",
            Self::OneMemory => "One memory at one step, large",
            Self::OneAnswer => "From one erase to one answer",
            Self::Compare => "Models or runs side by side",
            Self::Live => "A model that reads what you type, its memory beside",
            Self::Results => "Figures, tables and cards of an experiment",
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::preset(Preset::Overview)
    }
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.panels()).finish()
    }
}

impl Layout {
    /// A preset.
    pub fn preset(preset: Preset) -> Self {
        let mut tiles = Tiles::default();
        let root = match preset {
            Preset::Overview => {
                let left = tabs(&mut tiles, &[PanelKind::Cleanup, PanelKind::Heads]);
                let right = tabs(&mut tiles, &[PanelKind::Memory, PanelKind::Directions, PanelKind::Attention, PanelKind::Fate]);
                let top = split(&mut tiles, LinearDir::Horizontal, left, right, 0.56);
                let timeline = tabs(&mut tiles, &[PanelKind::Timeline]);
                let details = tabs(&mut tiles, &[PanelKind::Details]);
                let bottom = split(&mut tiles, LinearDir::Horizontal, timeline, details, 0.7);
                split(&mut tiles, LinearDir::Vertical, top, bottom, 0.62)
            }
            Preset::OneMemory => {
                let memory = tabs(&mut tiles, &[PanelKind::Memory, PanelKind::Directions]);
                let details = tabs(&mut tiles, &[PanelKind::Details]);
                let top = split(&mut tiles, LinearDir::Horizontal, memory, details, 0.74);
                let timeline = tabs(&mut tiles, &[PanelKind::Timeline]);
                split(&mut tiles, LinearDir::Vertical, top, timeline, 0.68)
            }
            Preset::OneAnswer => {
                let left = tabs(&mut tiles, &[PanelKind::Cleanup, PanelKind::Heads, PanelKind::Memory]);
                let right = tabs(&mut tiles, &[PanelKind::Knockouts, PanelKind::Fate, PanelKind::Attention, PanelKind::Live]);
                let top = split(&mut tiles, LinearDir::Horizontal, left, right, 0.4);
                let timeline = tabs(&mut tiles, &[PanelKind::Timeline]);
                let details = tabs(&mut tiles, &[PanelKind::Details]);
                let bottom = split(&mut tiles, LinearDir::Horizontal, timeline, details, 0.7);
                split(&mut tiles, LinearDir::Vertical, top, bottom, 0.64)
            }
            Preset::Compare => {
                let compare = tabs(&mut tiles, &[PanelKind::Compare, PanelKind::Probes]);
                let timeline = tabs(&mut tiles, &[PanelKind::Timeline]);
                split(&mut tiles, LinearDir::Vertical, compare, timeline, 0.68)
            }
            Preset::Live => {
                let live = tabs(&mut tiles, &[PanelKind::Live]);
                let memory = tabs(&mut tiles, &[PanelKind::Memory, PanelKind::Attention, PanelKind::Fate, PanelKind::Directions]);
                let top = split(&mut tiles, LinearDir::Horizontal, live, memory, 0.54);
                let timeline = tabs(&mut tiles, &[PanelKind::Timeline]);
                split(&mut tiles, LinearDir::Vertical, top, timeline, 0.74)
            }
            Preset::Results => tabs(&mut tiles, &[PanelKind::Results, PanelKind::Probes, PanelKind::Compare]),
        };
        Self { tree: root.map_or_else(|| Tree::empty(tree_id()), |root| Tree::new(tree_id(), root, tiles)) }
    }

    /// One panel and no other.
    pub fn alone(panel: PanelKind) -> Self {
        Self { tree: Tree::new_tabs(tree_id(), vec![panel]) }
    }

    /// The panels in it.
    pub fn panels(&self) -> Vec<PanelKind> {
        let panes = self.tree.tiles.tiles().filter_map(|tile| if let Tile::Pane(panel) = tile { Some(*panel) } else { None });
        let mut panels: Vec<PanelKind> = panes.collect();
        panels.sort();
        panels
    }

    /// Brings a panel to the front, into the window if it is not there.
    pub fn show(&mut self, panel: PanelKind) {
        let tree = &mut self.tree;
        if tree.tiles.find_pane(&panel).is_none() {
            let new = tree.tiles.insert_pane(panel);
            match largest_tabs(tree) {
                Some(tabs) => tree.move_tile_to_container(new, tabs, usize::MAX, false),
                None => *self = Self::alone(panel),
            }
        }
        self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(other) if *other == panel));
    }

    /// Takes a panel out.
    pub fn hide(&mut self, panel: PanelKind) {
        if let Some(tile) = self.tree.tiles.find_pane(&panel) {
            self.tree.remove_recursively(tile);
        }
    }

    /// The same if it can be shown; else the default: files may say anything.
    #[must_use]
    pub fn checked(self) -> Self {
        let panels = self.panels();
        let twice = panels.windows(2).any(|pair| pair[0] == pair[1]);
        let mut reached = 0;
        let sound = self.tree.root().is_some_and(|root| reaches(&self.tree.tiles, root, &mut reached));
        if panels.is_empty() || twice || !sound { Self::default() } else { self }
    }
}

fn tree_id() -> egui::Id {
    egui::Id::unique("panels")
}

/// Tabs of these panels; the first is in front.
fn tabs(tiles: &mut Tiles<PanelKind>, panels: &[PanelKind]) -> Option<TileId> {
    let panes: Vec<TileId> = panels.iter().map(|panel| tiles.insert_pane(*panel)).collect();
    (!panes.is_empty()).then(|| tiles.insert_tab_tile(panes))
}

/// Two tiles, the first with this share of the room; or the one there is.
fn split(tiles: &mut Tiles<PanelKind>, direction: LinearDir, first: Option<TileId>, second: Option<TileId>, share: f32) -> Option<TileId> {
    match (first, second) {
        (Some(first), Some(second)) => Some(tiles.insert_container(Linear::new_binary(direction, [first, second], share))),
        (first, second) => first.or(second),
    }
}

/// The tabs with most panels: where a further one is least in the way.
fn largest_tabs(tree: &Tree<PanelKind>) -> Option<TileId> {
    let tabs = tree.tiles.iter().filter_map(|(id, tile)| match tile {
        Tile::Container(egui_tiles::Container::Tabs(tabs)) => Some((*id, tabs.children.len())),
        _ => None,
    });
    tabs.max_by_key(|(id, children)| (*children, std::cmp::Reverse(id.0))).map(|(id, _)| id)
}

/// Whether every tile beneath is there, and none twice (a loop).
fn reaches(tiles: &Tiles<PanelKind>, at: TileId, reached: &mut usize) -> bool {
    *reached += 1;
    if *reached > tiles.len() {
        return false;
    }
    match tiles.get(at) {
        None => false,
        Some(Tile::Pane(_)) => true,
        Some(Tile::Container(container)) => container.children().all(|child| reaches(tiles, *child, reached)),
    }
}

//! The panels in their tiles.

use egui::{Frame, Margin, Ui, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, TileId, Tiles, UiResponse};

use super::action::{Action, Outside};
use super::jobs::Jobs;
use super::paint::icon::{self, Icon};
use super::panel::{Context, Hover, PanelKind, Panels};
use super::session::Session;
use super::theme;

/// What the tiles are shown with.
pub struct Arrangement<'a> {
    pub session: &'a Session,
    pub jobs: &'a Jobs,
    pub panels: &'a mut Panels,
    pub hover: Hover,
    pub hover_next: &'a mut Hover,
    pub actions: &'a mut Vec<Action>,
}

impl Arrangement<'_> {
    /// Shows all tiles. What a drag changed becomes an action.
    pub fn ui(self, ui: &mut Ui) {
        let mut layout = self.session.layout().clone();
        let mut behavior = Shown { arrangement: self };
        layout.tree.ui(&mut behavior, ui);
        let Shown { arrangement } = behavior;
        if layout != *arrangement.session.layout() {
            arrangement.actions.push(Action::SetLayout(Box::new(layout)));
        }
    }
}

struct Shown<'a> {
    arrangement: Arrangement<'a>,
}

impl Behavior<PanelKind> for Shown<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, panel: &mut PanelKind) -> UiResponse {
        let shown = &mut self.arrangement;
        let made = shown.panels.get(*panel);
        let mut context = Context {
            session: shown.session,
            jobs: shown.jobs,
            theme: theme::theme_of(ui.visuals()),
            hover: shown.hover,
            hover_next: shown.hover_next,
            actions: shown.actions,
        };
        ui.push_id(panel.name(), |ui| {
            Frame::new().inner_margin(Margin { left: 10, right: 10, top: 6, bottom: 8 }).show(ui, |ui| {
                ui.set_min_size(ui.available_size());
                made.ui(ui, &mut context);
            });
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, panel: &PanelKind) -> WidgetText {
        panel.title().into()
    }

    fn on_tab_button(&mut self, tiles: &mut Tiles<PanelKind>, tile: TileId, button: egui::Response) -> egui::Response {
        if let Some(panel) = tiles.get_pane(&tile).copied().filter(|_| button.double_clicked()) {
            self.arrangement.actions.push(Action::ShowAlone(panel));
        }
        button
    }

    fn is_tab_closable(&self, tiles: &Tiles<PanelKind>, tile: TileId) -> bool {
        tiles.get_pane(&tile).is_some() && tiles.tiles().filter(|tile| matches!(tile, egui_tiles::Tile::Pane(_))).count() > 1
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        1.0
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        26.0
    }

    fn top_bar_right_ui(&mut self, tiles: &Tiles<PanelKind>, ui: &mut Ui, _tile: TileId, tabs: &egui_tiles::Tabs, _scroll: &mut f32) {
        let Some(panel) = tabs.active.and_then(|active| tiles.get_pane(&active)).copied() else { return };
        let export = icon::quiet_button(ui, Icon::Export, &format!("Export {}", panel.title()));
        if export.clicked() {
            self.arrangement.actions.push(Outside::ExportDialog(panel).into());
        }
    }

    fn tab_bar_color(&self, visuals: &egui::Visuals) -> egui::Color32 {
        visuals.extreme_bg_color
    }

    fn tab_bg_color(
        &self,
        visuals: &egui::Visuals,
        _tiles: &Tiles<PanelKind>,
        _tile: TileId,
        state: &egui_tiles::TabState,
    ) -> egui::Color32 {
        if state.active { visuals.panel_fill } else { egui::Color32::TRANSPARENT }
    }

    fn tab_text_color(
        &self,
        visuals: &egui::Visuals,
        _tiles: &Tiles<PanelKind>,
        _tile: TileId,
        state: &egui_tiles::TabState,
    ) -> egui::Color32 {
        if state.active { visuals.text_color() } else { visuals.weak_text_color() }
    }

    fn tab_outline_stroke(
        &self,
        _visuals: &egui::Visuals,
        _tiles: &Tiles<PanelKind>,
        _tile: TileId,
        _state: &egui_tiles::TabState,
    ) -> egui::Stroke {
        egui::Stroke::NONE
    }
}

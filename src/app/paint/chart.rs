//! A plotting area on screen with the figures' own axes, and the numbers under the pointer.

use egui::{Painter, Pos2, Rect, Response, Sense, Ui};

use super::scene::{Placing, paint};
use crate::figure::Theme;
use crate::figure::axes::{Frame, Panel};
use crate::figure::scale::Scale;
use crate::figure::scene::Scene;

/// Screen points a figure's point: the figures' 7 and 8 point type becomes 10.5 and 12.
pub const SCALE: f32 = 1.5;

/// A figure's panel that fills a part of the window.
pub struct Chart {
    /// The figures' panel, in scene points.
    pub panel: Panel,
    /// From scene to screen.
    pub placing: Placing,
    /// The plotting area on screen.
    pub area: Rect,
    scene: Scene,
}

impl Chart {
    /// Fits axes with their labels into `rect`.
    pub fn fit(rect: Rect, theme: Theme, x: Scale, y: Scale, frame: Frame) -> Self {
        let placing = Placing { origin: rect.min, scale: SCALE };
        let scene = Scene::new(f64::from(rect.width() / SCALE), f64::from(rect.height() / SCALE), theme);
        let panel = Panel::fit(scene.inside(0.0), x, y, frame);
        let area = placing.rect(&panel.area);
        Self { panel, placing, area, scene }
    }

    /// Place of a pair of numbers on screen, kept inside.
    pub fn at(&self, x: f64, y: f64) -> Pos2 {
        self.placing.at(self.panel.at(x, y))
    }

    /// Horizontal place on screen.
    pub fn across(&self, x: f64) -> f32 {
        self.placing.at([self.panel.across(x), 0.0]).x
    }

    /// Vertical place on screen.
    pub fn down(&self, y: f64) -> f32 {
        self.placing.at([0.0, self.panel.down(y)]).y
    }

    /// The numbers at a place on screen.
    pub fn numbers(&self, place: Pos2) -> [f64; 2] {
        let across = (place.x - self.area.left()) / self.area.width();
        let up = (self.area.bottom() - place.y) / self.area.height();
        [self.panel.x.value(f64::from(across)), self.panel.y.value(f64::from(up))]
    }

    /// Marks in scene points, drawn where they are collected: between grid and axes.
    pub fn draw(&mut self, painter: &Painter, draw: impl FnOnce(&Panel, &mut Scene)) {
        self.scene.marks.clear();
        draw(&self.panel, &mut self.scene);
        paint(painter, &self.scene, self.placing);
    }

    /// The pale grid; first.
    pub fn grid(&mut self, painter: &Painter) {
        self.draw(painter, Panel::grid);
    }

    /// Axes, ticks and labels; last.
    pub fn axes(&mut self, painter: &Painter) {
        self.draw(painter, Panel::axes);
    }

    /// Senses the pointer over the plotting area. `name` is what a screen reader says, `summary` what it tells of the plot.
    pub fn sense(&self, ui: &mut Ui, salt: &str, sense: Sense, name: &str, summary: &str) -> Response {
        let response = ui.interact(self.area, ui.scope_id().with(salt), sense);
        describe(&response, name, summary);
        response
    }
}

/// Tells a screen reader what a plot shows.
pub fn describe(response: &Response, name: &str, summary: &str) {
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::Image, true, name);
        if !summary.is_empty() {
            info.label = Some(format!("{name}. {summary}"));
        }
        info
    });
}

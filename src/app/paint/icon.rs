//! Small signs on buttons, drawn: no font has them all.

use egui::{Color32, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, pos2, vec2};

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// To the first step.
    First,
    /// One step back.
    Back,
    /// Play.
    Play,
    /// Pause.
    Pause,
    /// One step on.
    Next,
    /// To the last step.
    Last,
    /// Export.
    Export,
}

/// A button with a sign; `name` is said by tooltips and screen readers.
pub fn button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    framed(ui, icon, name, vec2(28.0, 22.0), true)
}

/// The same without a frame until the pointer is over it.
pub fn quiet_button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    framed(ui, icon, name, vec2(24.0, 20.0), false)
}

fn framed(ui: &mut Ui, icon: Icon, name: &str, size: egui::Vec2, frame: bool) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
    let visuals = ui.style().interact(&response);
    if frame || response.hovered() || response.has_focus() {
        ui.painter().rect(rect, visuals.corner_radius, visuals.weak_bg_fill, visuals.bg_stroke, egui::StrokeKind::Inside);
    }
    let ink = if frame || response.hovered() { visuals.fg_stroke.color } else { ui.visuals().weak_text_color() };
    paint(ui, icon, Rect::from_center_size(rect.center(), vec2(11.0, 10.0)), ink);
    response.on_hover_text(name)
}

fn paint(ui: &Ui, icon: Icon, rect: Rect, ink: Color32) {
    let painter = ui.painter();
    let at = |x: f32, y: f32| -> Pos2 { pos2(rect.left() + x * rect.width(), rect.top() + y * rect.height()) };
    let filled = |corners: Vec<Pos2>| {
        painter.add(Shape::convex_polygon(corners, ink, Stroke::NONE));
    };
    let bar = |from: f32, to: f32| {
        painter.rect_filled(Rect::from_min_max(at(from, 0.0), at(to, 1.0)), 0.5, ink);
    };
    let right = |from: f32, to: f32| filled(vec![at(from, 0.0), at(to, 0.5), at(from, 1.0)]);
    let left = |from: f32, to: f32| filled(vec![at(to, 0.0), at(to, 1.0), at(from, 0.5)]);
    match icon {
        Icon::Play => right(0.15, 0.95),
        Icon::Pause => {
            bar(0.18, 0.40);
            bar(0.62, 0.84);
        }
        Icon::Next => {
            right(0.1, 0.7);
            bar(0.74, 0.90);
        }
        Icon::Back => {
            left(0.3, 0.9);
            bar(0.10, 0.26);
        }
        Icon::First => {
            bar(0.0, 0.14);
            left(0.16, 0.56);
            left(0.58, 0.98);
        }
        Icon::Last => {
            right(0.02, 0.42);
            right(0.44, 0.84);
            bar(0.86, 1.0);
        }
        Icon::Export => {
            let stroke = Stroke::new(1.3, ink);
            painter.line_segment([at(0.5, 0.0), at(0.5, 0.68)], stroke);
            painter.line(vec![at(0.25, 0.42), at(0.5, 0.70), at(0.75, 0.42)], stroke);
            painter.line(vec![at(0.05, 0.70), at(0.05, 1.0), at(0.95, 1.0), at(0.95, 0.70)], stroke);
        }
    }
}

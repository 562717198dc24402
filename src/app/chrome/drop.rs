//! Files dropped on the window.

use crate::app::action::Action;

/// What was dropped in this frame; while something hovers, the window says that it may be dropped.
pub fn read(context: &egui::Context) -> Vec<Action> {
    let (hovers, dropped) = context.input(|input| {
        let paths = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect::<Vec<_>>();
        (!input.raw.hovered_files.is_empty(), paths)
    });
    if hovers {
        let painter = context.layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop")));
        let rect = context.content_rect();
        let visuals = context.global_style().visuals.clone();
        painter.rect_filled(rect, 0.0, visuals.panel_fill.gamma_multiply(0.85));
        painter.rect_stroke(rect.shrink(16.0), 10.0, egui::Stroke::new(2.0, visuals.selection.stroke.color), egui::StrokeKind::Inside);
        painter.text(
            rect.center(),
            egui::Align2::CENTER_CENTER,
            "Drop traces, a model's folder, results or a workspace to open them",
            egui::FontId::proportional(20.0),
            visuals.text_color(),
        );
    }
    if dropped.is_empty() { Vec::new() } else { vec![Action::Open(dropped)] }
}

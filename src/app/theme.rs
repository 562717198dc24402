//! Colours and type of the window: those of the figures, so that a plot on screen is the plot in print.

use std::sync::Arc;

use egui::epaint::CornerRadius;
use egui::{Color32, FontData, FontDefinitions, FontFamily, FontId, RichText, Shadow, Stroke, Style, TextStyle, Ui, Visuals, vec2};

use crate::figure::Theme;
use crate::figure::colour::{BLUE, Colour, GREEN, ORANGE, VERMILLION};
use crate::figure::font;

/// The erase, everywhere.
pub const ERASE: Colour = ORANGE;
/// The write, everywhere.
pub const WRITE: Colour = GREEN;
/// The decay, everywhere.
pub const DECAY: Colour = BLUE;
/// What is selected, everywhere.
pub const ACCENT: Colour = VERMILLION;

/// A colour of the figures on screen.
pub fn colour(colour: Colour) -> Color32 {
    let [red, green, blue] = colour.rgb;
    Color32::from_rgba_unmultiplied(red, green, blue, (colour.opacity * 255.0).round().clamp(0.0, 255.0) as u8)
}

/// The shade of a series' colour that can be read as text.
pub fn readable(ui: &Ui, ink: Colour) -> Color32 {
    let shade = |value: u8| if ui.visuals().dark_mode { value.saturating_add(48) } else { (f32::from(value) * 0.72) as u8 };
    let [red, green, blue] = ink.rgb;
    Color32::from_rgb(shade(red), shade(green), shade(blue))
}

/// The figures' theme that matches the window's.
pub fn theme_of(visuals: &Visuals) -> Theme {
    if visuals.dark_mode { Theme::Dark } else { Theme::Light }
}

/// The colour of what is selected, readable on this window.
pub fn accent(ui: &Ui) -> Color32 {
    ui.visuals().selection.stroke.color
}

/// The colour of notes.
pub fn quiet(ui: &Ui) -> Color32 {
    colour(theme_of(ui.visuals()).quiet())
}

/// A small heading inside a panel.
pub fn heading(text: &str) -> RichText {
    RichText::new(text).size(12.0).strong()
}

/// A number that changes while one looks: digits of one width.
pub fn number(text: impl Into<String>) -> RichText {
    RichText::new(text).family(FontFamily::Monospace).size(12.0)
}

/// A thin bar; it moves while nobody knows how far the work is.
pub fn progress(ui: &mut Ui, share: Option<f32>, width: f32) {
    let (rect, response) = ui.allocate_exact_size(vec2(width, 3.0), egui::Sense::hover());
    let said = share.map_or_else(|| "under way".to_owned(), |share| format!("{:.0} %", share * 100.0));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, format!("Progress: {said}")));
    let painter = ui.painter();
    painter.rect_filled(rect, 1.5, ui.visuals().widgets.noninteractive.bg_stroke.color);
    let (from, to) = share.map_or_else(
        || {
            ui.ctx().request_repaint_after(std::time::Duration::from_millis(50));
            let place = (ui.input(|input| input.time) * 0.7).fract() as f32;
            ((place * 1.3 - 0.3).max(0.0), (place * 1.3).min(1.0))
        },
        |share| (0.0, share),
    );
    let done = egui::Rect::from_x_y_ranges(rect.left() + from * width..=rect.left() + to * width, rect.y_range());
    painter.rect_filled(done, 1.5, accent(ui));
}

/// Gives the window its fonts and both its styles.
pub fn install(context: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    fonts.font_data.insert("Inter".to_owned(), Arc::new(FontData::from_static(font::BYTES)));
    fonts.families.entry(FontFamily::Proportional).or_default().insert(0, "Inter".to_owned());
    // Letters that the monospaced font lacks (Greek with marks, arrows) come from Inter.
    fonts.families.entry(FontFamily::Monospace).or_default().push("Inter".to_owned());
    context.set_fonts(fonts);
    context.set_style_of(egui::Theme::Light, style(Theme::Light, Visuals::light()));
    context.set_style_of(egui::Theme::Dark, style(Theme::Dark, Visuals::dark()));
}

fn style(theme: Theme, visuals: Visuals) -> Style {
    let mut style = Style { visuals: visuals_of(theme, visuals), ..Style::default() };
    let sizes = [
        (TextStyle::Small, 11.0, FontFamily::Proportional),
        (TextStyle::Body, 13.0, FontFamily::Proportional),
        (TextStyle::Button, 13.0, FontFamily::Proportional),
        (TextStyle::Heading, 17.0, FontFamily::Proportional),
        (TextStyle::Monospace, 12.0, FontFamily::Monospace),
    ];
    style.text_styles = sizes.into_iter().map(|(name, size, family)| (name, FontId::new(size, family))).collect();
    style.spacing.item_spacing = vec2(8.0, 5.0);
    style.spacing.button_padding = vec2(8.0, 3.0);
    style.spacing.interact_size.y = 22.0;
    style.spacing.window_margin = egui::Margin::same(14);
    style.spacing.menu_margin = egui::Margin::same(6);
    style.spacing.slider_width = 120.0;
    // Bars float over nothing: what scrolls is as much narrower.
    style.spacing.scroll.floating_allocated_width = 8.0;
    style.interaction.tooltip_delay = 0.35;
    style.animation_time = 0.08;
    style
}

fn visuals_of(theme: Theme, mut visuals: Visuals) -> Visuals {
    let dark = theme == Theme::Dark;
    let grey = |light: u8, night: u8| if dark { Color32::from_gray(night) } else { Color32::from_gray(light) };
    let paper = colour(theme.paper());
    // Of the accent, the shade that has 4.5:1 with the paper.
    let accent = if dark { Color32::from_rgb(0xF0, 0x86, 0x3C) } else { Color32::from_rgb(0xC2, 0x52, 0x00) };
    let ink = colour(theme.ink());
    visuals.panel_fill = paper;
    visuals.window_fill = if dark { Color32::from_rgb(0x20, 0x23, 0x2A) } else { Color32::WHITE };
    visuals.extreme_bg_color = if dark { Color32::from_rgb(0x0F, 0x11, 0x15) } else { Color32::from_rgb(0xF4, 0xF5, 0xF7) };
    visuals.faint_bg_color = if dark { Color32::from_rgb(0x1C, 0x1F, 0x25) } else { Color32::from_rgb(0xF7, 0xF8, 0xFA) };
    visuals.code_bg_color = if dark { Color32::from_rgb(0x26, 0x2A, 0x32) } else { Color32::from_rgb(0xEF, 0xF1, 0xF4) };
    visuals.window_stroke = Stroke::new(1.0, grey(214, 56));
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(6);
    visuals.window_shadow = Shadow { offset: [0, 6], blur: 24, spread: 0, color: Color32::from_black_alpha(if dark { 110 } else { 36 }) };
    visuals.popup_shadow = Shadow { offset: [0, 3], blur: 12, spread: 0, color: Color32::from_black_alpha(if dark { 90 } else { 28 }) };
    visuals.selection.bg_fill = accent.gamma_multiply(if dark { 0.30 } else { 0.16 });
    visuals.selection.stroke = Stroke::new(1.0, accent);
    visuals.hyperlink_color = accent;
    visuals.weak_text_color = Some(colour(theme.quiet()));
    visuals.warn_fg_color = if dark { Color32::from_rgb(0xF0, 0xB4, 0x3C) } else { Color32::from_rgb(0x8A, 0x5A, 0x00) };
    visuals.error_fg_color = if dark { Color32::from_rgb(0xFF, 0x8A, 0x80) } else { Color32::from_rgb(0xB0, 0x1E, 0x1E) };
    let line = Stroke::new(1.0, grey(226, 48));
    for (widget, fill) in [
        (&mut visuals.widgets.noninteractive, paper),
        (&mut visuals.widgets.inactive, grey(240, 42)),
        (&mut visuals.widgets.hovered, grey(230, 54)),
        (&mut visuals.widgets.active, grey(220, 64)),
        (&mut visuals.widgets.open, grey(236, 48)),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, ink);
        widget.corner_radius = CornerRadius::same(4);
        widget.expansion = 0.0;
    }
    visuals.widgets.noninteractive.bg_stroke = line;
    visuals.widgets.hovered.bg_stroke = Stroke::new(1.0, grey(200, 76));
    visuals
}

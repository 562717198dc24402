//! *Attention*: which writes every read consists of, exactly and signed, with what is left unexplained.
//!
//! Short sequences show the whole matrix; long ones the row of the step looked at, found by one sweep backwards. A click on a cell looks
//! at its read and follows its write.

mod matrix;
mod parts;
mod row;

use egui::{DragValue, Rect, RichText, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind, placed};
use crate::app::data::{ExplainedOf, Handle, HeadOf, MatrixOf, ReadOf, SequenceText, TextOf};
use crate::app::paint::matrix::MatrixPicture;
use crate::app::session;
use crate::app::theme;
use crate::figure::colour::Hues;
use crate::figure::{Figure, FigureSpec, Labelled, Measured, Options, ReadIn, draw};
use crate::measure::{AttentionMatrix, OneHead, ReadParts};

/// The longest sequence whose whole matrix is shown.
const LONGEST_MATRIX: usize = 512;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The whole matrix, or one row of it.
    pub show: Show,
    /// What a row and the list are in.
    pub measure: ReadIn,
    /// Where the colours of the matrix end; `None` at the 99.5th percentile of its entries.
    pub range: Option<f64>,
    /// Colours of the matrix.
    pub hues: Hues,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// Every read of the sequence, if it is short enough.
    #[default]
    Matrix,
    /// The read of the step looked at.
    Row,
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Attention;
}

/// The panel.
#[derive(Default)]
pub struct AttentionPanel {
    text: Latest<SequenceText>,
    head: Latest<Handle<OneHead>>,
    read: Latest<ReadParts>,
    matrix: Latest<AttentionMatrix>,
    picture: MatrixPicture,
    version: u64,
    shown: usize,
}

impl Panel for AttentionPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let n_steps = focus.trace.trace().n_steps();
        if n_steps == 0 {
            super::notice(ui, "This trace has no steps", "Its recording was stopped before the first commit.", None);
            return;
        }
        let mut view: View = context.view();
        let whole = n_steps <= LONGEST_MATRIX;
        ui.horizontal_wrapped(|ui| controls(ui, &mut view, whole));
        context.set_view(&view);
        let selection = focus.selection;
        let (text, _) = self.text.update(&context.ask(&TextOf { trace: focus.trace.clone() }));
        let of_head = HeadOf::focus(&focus);
        let (head, _) = self.head.update(&context.ask(&of_head));
        let Some(head) = head else {
            drop(context.show(ui, &of_head));
            return;
        };
        let of_matrix = MatrixOf { head: (*head).clone() };
        let of_read = ReadOf { trace: focus.trace.clone(), head: (*head).clone(), step: selection.step };
        let (read, is_current) = self.read.update(&context.ask(&of_read));
        let Some(read) = read else {
            drop(context.show(ui, &of_read));
            return;
        };
        let room = ui.available_rect_before_wrap();
        let (plot_room, list_room) = split(room);
        if whole && view.show == Show::Matrix {
            let answer = context.ask(&of_matrix);
            let (found, _) = self.matrix.update(&answer);
            if let Some(found) = found {
                let address = std::sync::Arc::as_ptr(&found) as usize;
                if self.shown != address {
                    (self.shown, self.version) = (address, self.version + 1);
                }
                matrix::ui(ui, context, &mut self.picture, self.version, &view, &focus, &found, text.as_deref(), plot_room);
            } else {
                ui.scope_builder(egui::UiBuilder::new().max_rect(plot_room), |ui| drop(context.show(ui, &of_matrix)));
            }
        } else {
            row::ui(ui, context, &view, &focus, &read, text.as_deref(), plot_room);
        }
        let of_maps = ExplainedOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head };
        let published = context.ask(&of_maps).ready().map(|explained| parts::published(explained));
        ui.scope_builder(egui::UiBuilder::new().max_rect(list_room), |ui| {
            parts::ui(ui, context, &view, &focus, &read, is_current, text.as_deref(), published.as_deref());
        });
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        let view: View = context.view();
        let of_head = HeadOf::focus(&focus);
        let place = of_head.place(focus.selection.step, 0);
        let head = context.ask(&of_head).ready()?.as_ref().clone();
        if focus.trace.trace().n_steps() <= LONGEST_MATRIX && view.show == Show::Matrix {
            let matrix = context.ask(&MatrixOf { head }).ready()?.as_ref().clone();
            let options = Options { range: view.range, hues: view.hues, ..Options::default() };
            let measured = Measured::Weights(vec![placed::seen(context, focus.trace, place, matrix)?]);
            return Some((placed::spec(Figure::Weights, place, options), measured));
        }
        let read = context.ask(&ReadOf { trace: focus.trace.clone(), head, step: place.step }).ready()?.as_ref().clone();
        let options = Options { of_read: view.measure, ..Options::default() };
        Some((placed::spec(Figure::Read, place, options), Measured::Read(vec![placed::seen(context, focus.trace, place, read)?])))
    }

    fn beside(&self, context: &Context<'_>) -> Vec<(&'static str, String)> {
        // The sentence about published maps stands on this.
        let table = || {
            let focus = context.session.focus()?;
            let selection = focus.selection;
            let ask = ExplainedOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head };
            let explained = context.ask(&ask).ready()?.as_ref().clone();
            let label = format!("{}, layer {} head {}", focus.trace.name(), selection.layer, selection.head);
            let measured = Measured::Attention(vec![Labelled::new(label, explained)]);
            Some(draw(&FigureSpec::new(Figure::Attention), &measured).ok()?.table.csv())
        };
        table().map(|table| ("maps.csv", table)).into_iter().collect()
    }
}

fn controls(ui: &mut Ui, view: &mut View, whole: bool) {
    if whole {
        ui.selectable_value(&mut view.show, Show::Matrix, "Matrix").on_hover_text("Every read of the sequence");
        ui.selectable_value(&mut view.show, Show::Row, "Row").on_hover_text("The read of the step looked at");
    } else {
        ui.label(RichText::new("the read of the step looked at").color(theme::quiet(ui)))
            .on_hover_text(format!("Whole matrices are shown up to {LONGEST_MATRIX} steps; one row is exact at any length."));
    }
    ui.separator();
    ui.selectable_value(&mut view.measure, ReadIn::Weight, "weight A")
        .on_hover_text("The weight of a write's value in the output, exact and signed");
    ui.selectable_value(&mut view.measure, ReadIn::Share, "part of the read")
        .on_hover_text("A v·o / |o|²: how much of the output the write makes up; all parts sum to 1");
    if whole && view.show == Show::Matrix {
        ui.separator();
        let mut fixed = view.range.is_some();
        ui.checkbox(&mut fixed, "fixed scale").on_hover_text("Hold the colours; else they end at the 99.5th percentile of the entries");
        view.range = if fixed { Some(view.range.unwrap_or(0.5)) } else { None };
        if let Some(range) = &mut view.range {
            let label = ui.label("±").id;
            ui.add(DragValue::new(range).range(1e-6..=1e6).speed(0.01).max_decimals(4)).labelled_by(label);
        }
        super::hues(ui, &mut view.hues);
    }
}

/// The plot's room and that of the list: beside it where there is width, else beneath.
fn split(room: Rect) -> (Rect, Rect) {
    if room.width() > 520.0 {
        let right = (room.width() * 0.40).clamp(210.0, 340.0);
        let middle = room.right() - right;
        (Rect::from_min_max(room.min, pos2(middle - 8.0, room.bottom())), Rect::from_min_max(pos2(middle, room.top()), room.max))
    } else {
        let middle = room.top() + (room.height() * 0.56).max(110.0).min(room.height());
        (Rect::from_min_max(room.min, pos2(room.right(), middle)), Rect::from_min_max(pos2(room.left(), middle + 4.0), room.max))
    }
}

/// A weight or a part, with its sign.
fn signed(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() < 5e-4 {
        format!("{value:+.0e}")
    } else {
        format!("{value:+.3}")
    }
}

/// A residual in words.
fn residual(value: f64) -> String {
    if value.is_finite() { format!("{value:.1e}") } else { "not a number".to_owned() }
}

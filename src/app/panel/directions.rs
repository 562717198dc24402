//! *Directions*: where each step of a head erases and writes, and how near these are to each other, to the keys whose values the step
//! supersedes, and to any write one chooses; beside what independent directions would give.

mod curves;
mod grid;

use egui::{Rect, RichText, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind, placed};
use crate::app::data::{AlignmentOf, CosinesOf, Directions, DirectionsOf, HeadOf, SequenceText, TextOf, Towards, TowardsOf};
use crate::app::paint::matrix::MatrixPicture;
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::{Figure, FigureSpec, Labelled, Measured, Options};
use crate::measure::DirectionOf;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Angles over the steps, or between many directions at once.
    pub show: Show,
    /// Whose directions stand in the rows of the grid.
    pub rows: DirectionOf,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// Cosines over the steps.
    #[default]
    Steps,
    /// Cosines of directions with the keys of facts.
    Grid,
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Directions;
}

/// The panel.
#[derive(Default)]
pub struct DirectionsPanel {
    text: Latest<SequenceText>,
    directions: Latest<Directions>,
    towards: Latest<Towards>,
    cosines: Latest<ndarray::Array2<f32>>,
    picture: MatrixPicture,
    version: u64,
    shown: usize,
}

fn of_focus(focus: &Focus<'_>) -> DirectionsOf {
    let selection = focus.selection;
    DirectionsOf { trace: focus.trace.clone(), layer: selection.layer, head: selection.head, sequence: selection.sequence }
}

impl Panel for DirectionsPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let mut view: View = context.view();
        let has_erase = focus.layer.rule.has_erase();
        ui.horizontal_wrapped(|ui| controls(ui, &mut view, has_erase));
        context.set_view(&view);
        let ask = of_focus(&focus);
        let (text, _) = self.text.update(&context.ask(&TextOf { trace: focus.trace.clone() }));
        let (found, _) = self.directions.update(&context.ask(&ask));
        let Some(found) = found else {
            drop(context.show(ui, &ask));
            return;
        };
        let room = ui.available_rect_before_wrap();
        let foot = Rect::from_min_max(pos2(room.left(), room.bottom() - 46.0), room.max);
        let body = Rect::from_min_max(room.min, pos2(room.right(), foot.top() - 2.0));
        let mut said = sentence(context, &focus, &found);
        if view.show == Show::Grid && found.superseding.as_ref().is_some_and(|events| !events.is_empty()) {
            said = format!("Outlined: a step that supersedes this fact. {said}");
        }
        match view.show {
            Show::Steps => {
                let write = focus.selection.write.unwrap_or(focus.selection.step);
                let (towards, _) = self.towards.update(&context.ask(&TowardsOf { directions: found.all.clone(), write }));
                curves::ui(ui, context, &focus, &found, towards.as_deref(), write, text.as_deref(), &said, body);
            }
            Show::Grid => {
                let (rows, columns) = grid::places(context, &focus, text.as_deref());
                let whose = if has_erase || view.rows != DirectionOf::Erase { view.rows } else { DirectionOf::Write };
                let of = CosinesOf { directions: found.all.clone(), whose, rows, columns };
                let (cosines, is_current) = self.cosines.update(&context.ask(&of));
                if let Some(cosines) = cosines.filter(|cosines| is_current || cosines.dim() == (of.rows.len(), of.columns.len())) {
                    let address = std::sync::Arc::as_ptr(&cosines) as usize;
                    if self.shown != address {
                        (self.shown, self.version) = (address, self.version + 1);
                    }
                    grid::ui(ui, context, &mut self.picture, self.version, &focus, &of, &found, &cosines, text.as_deref(), body);
                } else {
                    ui.scope_builder(egui::UiBuilder::new().max_rect(body), |ui| drop(context.show(ui, &of)));
                }
            }
        }
        let quiet = theme::quiet(ui);
        ui.scope_builder(egui::UiBuilder::new().max_rect(foot), |ui| ui.label(RichText::new(said).small().color(quiet)));
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        if context.view::<View>().show == Show::Steps {
            let of_head = HeadOf::focus(&focus);
            let place = of_head.place(focus.selection.write.unwrap_or(focus.selection.step), 0);
            let found = context.ask(&of_focus(&focus));
            let text = context.ask(&TextOf { trace: focus.trace.clone() });
            let angles = found.ready()?.all.angles(text.ready()?.example(place.sequence), place.step);
            let measured = Measured::Angles(vec![placed::seen(context, focus.trace, place, angles)?]);
            return Some((placed::spec(Figure::Angles, place, Options::default()), measured));
        }
        let alignment = context.ask(&AlignmentOf { trace: focus.trace.clone() }).ready()?.as_ref().clone();
        Some((FigureSpec::new(Figure::Alignment), Measured::Alignment(vec![Labelled::new(focus.trace.name(), alignment)])))
    }
}

fn controls(ui: &mut Ui, view: &mut View, has_erase: bool) {
    ui.selectable_value(&mut view.show, Show::Steps, "Over steps")
        .on_hover_text("Cosines of every step, beside what independent directions give");
    ui.selectable_value(&mut view.show, Show::Grid, "Against keys")
        .on_hover_text("Cosines of the directions of steps with the keys of facts");
    if view.show == Show::Grid {
        ui.separator();
        ui.label("rows");
        if has_erase {
            ui.selectable_value(&mut view.rows, DirectionOf::Erase, "erases");
        }
        ui.selectable_value(&mut view.rows, DirectionOf::Write, "writes");
        ui.selectable_value(&mut view.rows, DirectionOf::Query, "reads");
    }
}

/// What the angles of this head come to, beside chance.
fn sentence(context: &Context<'_>, focus: &Focus<'_>, found: &Directions) -> String {
    let (reference, summary) = (found.all.reference, &found.summary);
    let d_k = focus.layer.dims.d_k;
    let mut said = match summary.mean_absolute {
        Some(mean) => format!(
            "|cos(erase, write)| is {mean:.3} on average over {} steps; independent directions of {d_k} channels give {:.3}, and 95 of 100 lie within ±{:.3}. Outside lie {:.0} %.",
            summary.n_steps,
            reference.mean_absolute,
            reference.bound,
            100.0 * summary.beyond.unwrap_or(0.0)
        ),
        None => format!(
            "Independent directions of {d_k} channels: mean |cos| {:.3}, 95 of 100 within ±{:.3}.",
            reference.mean_absolute, reference.bound
        ),
    };
    if let Some((erase, write, n)) = summary.superseding {
        let of_erase = if erase.is_finite() { format!("the erase {erase:+.3}, ") } else { String::new() };
        said += &format!(" At the {n} steps that supersede a fact, the mean cosine with its key is: {of_erase}the write {write:+.3}.");
    }
    // The same over sequences, the unit of every interval.
    if focus.layer.rule.has_erase()
        && let Some(alignment) = context.ask(&AlignmentOf { trace: focus.trace.clone() }).ready()
    {
        let key_head = focus.layer.dims.key_head_of(focus.selection.head);
        let of_head = alignment.key_heads.iter().find(|head| (head.id.layer, head.id.head) == (focus.selection.layer, key_head));
        if let Some(head) = of_head {
            let mean = &head.alignment.absolute_cosine;
            said += &format!(" Over {} sequences |cos(erase, write)| is {mean}.", mean.n);
        }
    }
    if let Some(remark) = &found.all.remark {
        said = format!("{said} {remark}");
    }
    said
}

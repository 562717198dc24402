//! *Cleanup against decay*, the headline: how strongly steps clean up, against how much decay keeps.
//!
//! The points are tokens; the line is their mean in bins of decay with its interval over sequences; the grey bands are the same mean
//! on replays in which the erase knows nothing of decay. A click on a point goes to its token, a drag picks the tokens inside.

mod controls;
mod plot;

pub use controls::axes;

use egui::{Rect, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::data::{CleanupOf, PointsOf, TextOf};
use crate::app::jobs::Answer;
use crate::app::session;
use crate::app::theme;
use crate::figure::{Figure, FigureSpec, Measured, Options};
use crate::measure::{Cleanup, DecayAxis, Null, Strength, TokenPoint};

/// What the panel lets one choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The vertical axis.
    pub strength: Strength,
    /// The horizontal axis.
    pub decay: DecayAxis,
    /// Which heads.
    pub scope: Scope,
    /// The horizontal axis in log-odds: decay crowds near 1.
    pub logit: bool,
    /// The nulls shown as bands.
    pub nulls: Vec<Null>,
    /// Points one by one where there are few, counts where there are many; or counts always.
    pub density: bool,
    /// Histograms along the edges.
    pub marginals: bool,
}

/// Which heads are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All heads of all layers.
    #[default]
    All,
    /// The layer looked at.
    Layer,
    /// The head looked at.
    Head,
}

impl Default for View {
    fn default() -> Self {
        Self {
            strength: Strength::EraseStrength,
            decay: DecayAxis::MeanRetention,
            scope: Scope::default(),
            logit: false,
            nulls: vec![Null::ShuffledStrength, Null::ConstantStrength],
            density: false,
            marginals: true,
        }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Cleanup;
}

/// The panel.
#[derive(Default)]
pub struct CleanupPanel {
    cleanup: Latest<Cleanup>,
    points: Latest<Vec<TokenPoint>>,
    drawn: plot::Drawn,
}

impl CleanupPanel {
    fn asks(context: &Context<'_>, view: &View) -> Option<(CleanupOf, PointsOf)> {
        let focus = context.session.focus()?;
        let selection = focus.selection;
        let only = match view.scope {
            Scope::All => None,
            Scope::Layer => Some((selection.layer, None)),
            Scope::Head => Some((selection.layer, Some(selection.head))),
        };
        let cleanup = CleanupOf { trace: focus.trace.clone(), only };
        // Points of a head are those of its layer: they are measured together.
        Some((cleanup, PointsOf { trace: focus.trace.clone(), layer: only.map(|(layer, _)| layer) }))
    }
}

impl Panel for CleanupPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let mut view: View = context.view();
        ui.horizontal_wrapped(|ui| controls::ui(ui, &mut view));
        context.set_view(&view);
        let Some((of_cleanup, of_points)) = Self::asks(context, &view) else { return };
        if !focus.trace.trace().layers().iter().any(|layer| layer.rule.has_erase()) {
            super::notice(
                ui,
                "This model has no erase",
                "No layer's rule erases, so there is no cleanup to draw. A trace of eda or rwkv7 has one:",
                Some("pentimento record --model bundled:eda-stale-facts --task stale_facts -o eda.trace.zarr"),
            );
            return;
        }
        let (points_answer, cleanup_answer) = (context.ask(&of_points), context.ask(&of_cleanup));
        let (points, _) = self.points.update(&points_answer);
        let (cleanup, is_new) = self.cleanup.update(&cleanup_answer);
        if points.is_none() && cleanup.is_none() {
            match (points_answer, cleanup_answer) {
                (Answer::Failed(said), _) | (_, Answer::Failed(said)) => super::notice(ui, "This cannot be measured", &said, None),
                (Answer::Pending { title, share }, _) | (_, Answer::Pending { title, share }) => super::pending(ui, &title, share),
                _ => {}
            }
            return;
        }
        let text = context.ask(&TextOf { trace: focus.trace.clone() });
        let room = ui.available_rect_before_wrap();
        let foot = 34.0;
        let body = Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - foot));
        plot::ui(ui, context, &mut self.drawn, &view, points.as_ref(), cleanup.as_ref(), text.ready().map(|text| &**text), body);
        let below = Rect::from_min_max(pos2(room.left(), body.bottom() + 2.0), room.max);
        ui.scope_builder(egui::UiBuilder::new().max_rect(below), |ui| statement(ui, cleanup.as_deref(), &view, &cleanup_answer, is_new));
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let view: View = context.view();
        let (of_cleanup, _) = Self::asks(context, &view)?;
        let cleanup = context.ask(&of_cleanup).ready()?.as_ref().clone();
        let options =
            Options { strength: view.strength, decay: view.decay, nulls: view.nulls, marginals: view.marginals, ..Options::default() };
        Some((FigureSpec { options, ..FigureSpec::new(Figure::Cleanup) }, Measured::Cleanup(Box::new(cleanup))))
    }
}

/// What was found, beneath the plot: inside heads apart from between heads, sequences as the unit.
fn statement(ui: &mut Ui, cleanup: Option<&Cleanup>, view: &View, answer: &Answer<Cleanup>, is_new: bool) {
    let quiet = theme::quiet(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        if let (false, Answer::Pending { title, share }) = (is_new, answer) {
            theme::progress(ui, *share, 60.0);
            ui.label(egui::RichText::new(format!("{title} …")).small().color(quiet));
            return;
        }
        if let Answer::Failed(said) = answer {
            ui.label(egui::RichText::new(&**said).small().color(ui.visuals().error_fg_color));
        }
        let Some(relation) = cleanup.and_then(|cleanup| cleanup.relation(view.strength, view.decay)) else { return };
        for (place, found) in [("inside heads", &relation.within_heads), ("between heads", &relation.between_heads)] {
            let Some(found) = found else { continue };
            ui.label(egui::RichText::new(format!("ρ {place}")).small().color(quiet));
            ui.label(theme::number(format!("{}", found.rho)).size(11.0));
            if let (Some(null), "inside heads") = (found.nulls.iter().find(|null| null.null == Null::ShuffledStrength), place) {
                ui.label(egui::RichText::new(format!("(shuffled γ {})", null.band)).small().color(quiet));
            }
        }
        if let Some(naive) = &relation.naive_pooled {
            ui.label(egui::RichText::new(format!("pooled ρ {:.2}, not to be believed", naive.rho)).small().color(quiet)).on_hover_text(
                "It takes every token for independent and mixes heads: shown because papers show it. The sequence is the unit of the others.",
            );
        }
        if let Some(cleanup) = cleanup {
            let more = ui.label(egui::RichText::new("what this says").small().underline());
            more.on_hover_ui(|ui| {
                ui.set_max_width(460.0);
                ui.label(cleanup.headline());
                for remark in &cleanup.remarks {
                    ui.label(egui::RichText::new(remark).small().color(quiet));
                }
            });
        }
    });
}

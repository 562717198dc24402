//! Cleanup against decay: one cloud over the other, with both means.

use std::sync::Arc;

use egui::{Color32, Pos2, Rect, RichText, Sense, Ui, pos2};

use super::{FIRST, Pair, SECOND, View};
use crate::app::action::Action;
use crate::app::data::{CleanupOf, PointsOf};
use crate::app::jobs::Answer;
use crate::app::paint::chart::Chart;
use crate::app::paint::points::{MOST_POINTS, PointCloud};
use crate::app::panel::cleanup::axes;
use crate::app::panel::{Context, Latest, notice, pending};
use crate::app::theme;
use crate::figure::axes::{Frame, SeriesPoint};
use crate::figure::scale::Scale;
use crate::measure::{Cleanup, DecayAxis, Strength, TokenPoint};

/// What is kept between frames.
#[derive(Default)]
pub struct Kept {
    points: [Latest<Vec<TokenPoint>>; 2],
    cleanup: [Latest<Cleanup>; 2],
    made: Option<(Key, [Cloud; 2])>,
}

#[derive(Clone, PartialEq)]
struct Key {
    points: [usize; 2],
    strength: Strength,
    decay: DecayAxis,
    area: Rect,
}

/// The points drawn of one side, and which they are.
struct Cloud {
    cloud: PointCloud,
    shown: Vec<usize>,
}

impl Kept {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>, view: &mut View, pair: &Pair<'_>) {
        ui.horizontal_wrapped(|ui| axes(ui, &mut view.strength, &mut view.decay));
        let sides = [(pair.a.trace, "A", FIRST), (pair.b, "B", SECOND)];
        let has = sides.map(|(open, ..)| open.trace().layers().iter().any(|layer| layer.rule.has_erase()));
        for ((open, name, _), has) in sides.iter().zip(has) {
            if !has {
                let text = format!("{name} ({}) has no erase: it has no cloud here. Compare its gates and answers instead.", open.name());
                ui.label(RichText::new(text).small().color(ui.visuals().warn_fg_color));
            }
        }
        if has == [false, false] {
            return notice(ui, "Neither model has an erase", "There is no cleanup to compare.", None);
        }
        let mut points: [Option<Arc<Vec<TokenPoint>>>; 2] = [None, None];
        let mut means: [Option<Arc<Cleanup>>; 2] = [None, None];
        let mut waits = None;
        for (index, (open, ..)) in sides.iter().enumerate().filter(|(index, _)| has[*index]) {
            let of_points = context.ask(&PointsOf { trace: (*open).clone(), layer: None });
            let of_cleanup = context.ask(&CleanupOf { trace: (*open).clone(), only: None });
            points[index] = self.points[index].update(&of_points).0;
            means[index] = self.cleanup[index].update(&of_cleanup).0;
            match (&of_points, &of_cleanup) {
                (Answer::Pending { title, share }, _) | (_, Answer::Pending { title, share }) => waits = Some((title.clone(), *share)),
                (Answer::Failed(said), _) | (_, Answer::Failed(said)) => {
                    ui.label(RichText::new(&**said).small().color(ui.visuals().error_fg_color));
                }
                _ => {}
            }
        }
        if points.iter().all(Option::is_none) {
            if let Some((title, share)) = waits {
                pending(ui, &title, share);
            }
            return;
        }
        if let Some((title, share)) = waits {
            ui.horizontal(|ui| {
                theme::progress(ui, share, 60.0);
                ui.label(RichText::new(format!("{title} …")).small().color(theme::quiet(ui)));
            });
        }
        let room = ui.available_rect_before_wrap();
        self.plot(ui, context, view, pair, room, &points, &means);
        ui.allocate_rect(room, Sense::hover());
    }

    #[expect(clippy::too_many_arguments, reason = "one page's own function")]
    fn plot(
        &mut self,
        ui: &mut Ui,
        context: &mut Context<'_>,
        view: &View,
        pair: &Pair<'_>,
        room: Rect,
        points: &[Option<Arc<Vec<TokenPoint>>>; 2],
        means: &[Option<Arc<Cleanup>>; 2],
    ) {
        let all = || points.iter().flatten().flat_map(|points| points.iter());
        let x = Scale::around(all().map(|point| point.decay(view.decay)), &[1.0]);
        let mut ys: Vec<f64> = all().map(|point| point.strength(view.strength)).filter(|y| y.is_finite()).collect();
        ys.sort_by(f64::total_cmp);
        let most = if ys.is_empty() { 1.0 } else { crate::measure::quantile(&ys, 0.999) };
        let y = Scale::around([most], &[0.0]);
        let frame = Frame { x_label: view.decay.label().to_owned(), y_label: view.strength.label().to_owned(), ..Frame::default() };
        let mut chart = Chart::fit(room, context.theme, x, y, frame);
        let painter = ui.painter().clone();
        chart.grid(&painter);
        let key = Key {
            points: points.each_ref().map(|points| points.as_ref().map_or(0, |points| Arc::as_ptr(points) as usize)),
            strength: view.strength,
            decay: view.decay,
            area: chart.area,
        };
        if self.made.as_ref().is_none_or(|(made, _)| *made != key) {
            let clouds =
                [0, 1].map(|side| cloud(&chart, points[side].as_deref().map_or(&[][..], Vec::as_slice), view, [FIRST, SECOND][side]));
            self.made = Some((key, clouds));
        }
        let Some((_, clouds)) = &self.made else { return };
        for side in clouds {
            painter.add(side.cloud.shape());
        }
        let mut says = Vec::new();
        for ((cleanup, colour), name) in means.iter().zip([FIRST, SECOND]).zip(["A", "B"]) {
            let Some(relation) = cleanup.as_ref().and_then(|cleanup| cleanup.relation(view.strength, view.decay)) else { continue };
            let rows: Vec<SeriesPoint> = relation
                .curve
                .iter()
                .filter_map(|bin| {
                    let mean = bin.strength.as_ref()?;
                    let interval = mean.bounds().map(|(low, high)| [low, high]);
                    Some(SeriesPoint { x: f64::midpoint(bin.low, bin.high), y: mean.estimate, interval })
                })
                .collect();
            let shift = usize::from(name == "B");
            chart.draw(&painter, |panel, scene| panel.series(scene, &rows, shift, colour));
            if let Some(within) = &relation.within_heads {
                says.push(format!("{name}: rank correlation inside heads {}", within.rho));
            }
        }
        chart.axes(&painter);
        for (index, text) in says.iter().enumerate() {
            let at = pos2(chart.area.left() + 8.0, chart.area.top() + 6.0 + 16.0 * index as f32);
            let ink = theme::readable(ui, [FIRST, SECOND][usize::from(text.starts_with('B'))]);
            let words = painter.layout_no_wrap(text.clone(), egui::FontId::proportional(11.5), ink);
            // The cloud lies beneath.
            painter.rect_filled(Rect::from_min_size(at, words.size()).expand2(egui::vec2(4.0, 1.0)), 2.0, ui.visuals().panel_fill);
            painter.galley(at, words, ink);
        }
        let response = chart.sense(ui, "clouds", Sense::click(), "Cleanup against decay of both", &says.join("; "));
        let Some(pointer) = response.hover_pos() else { return };
        let near = |side: usize| clouds[side].cloud.nearest(pointer).map(|found| (side, clouds[side].shown[found]));
        let Some((side, number)) = near(0).or_else(|| near(1)) else { return };
        let Some(point) = points[side].as_ref().and_then(|points| points.get(number)) else { return };
        context.hover_next.head = Some((point.id.layer, point.id.head));
        let name = [pair.a.trace.name(), pair.b.name()][side];
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.label(RichText::new(format!("{name}: {}, step {} of sequence {}", point.id, point.step, point.sequence)).strong());
            ui.label(theme::number(format!("{} {:.4}", view.strength.label(), point.strength(view.strength))));
        });
        if response.clicked() && side == 0 {
            context.act(Action::SelectHead { layer: point.id.layer, head: point.id.head });
            context.act(Action::SelectToken { sequence: point.sequence as usize, step: point.step as usize });
        }
    }
}

/// At most so many points of a side, evenly taken.
fn cloud(chart: &Chart, points: &[TokenPoint], view: &View, colour: crate::figure::colour::Colour) -> Cloud {
    let every = points.len().div_ceil(MOST_POINTS / 2).max(1);
    let shown: Vec<usize> = (0..points.len()).step_by(every).collect();
    let place = |&index: &usize| {
        let (x, y) = (points[index].decay(view.decay), points[index].strength(view.strength));
        if x.is_finite() && y.is_finite() { chart.at(x, y) } else { Pos2::new(f32::NAN, f32::NAN) }
    };
    let ink: Color32 = theme::colour(colour).gamma_multiply(0.35);
    Cloud { cloud: PointCloud::new(shown.iter().map(place).collect(), 1.5, |_| ink), shown }
}

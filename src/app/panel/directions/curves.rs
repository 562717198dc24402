//! Signed cosines over the steps: erase to write, to the keys that a step supersedes, and to the write that is followed.

use egui::{Align2, Color32, FontId, Pos2, Rect, RichText, Sense, Stroke, Ui, pos2};

use crate::app::action::Action;
use crate::app::data::{Directions, SequenceText, Towards};
use crate::app::paint::chart::Chart;
use crate::app::paint::curve::Curve;
use crate::app::panel::{Context, timeline};
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme::{self, ERASE, WRITE, colour};
use crate::figure::axes::Frame;
use crate::figure::colour::SKY;
use crate::figure::scale::Scale;
use crate::measure::{RandomCosine, Superseding};

/// More steps than this are drawn as a curve, not one by one.
const ONE_BY_ONE: f64 = 260.0;

/// One series of a lane.
struct Series<'a> {
    name: &'static str,
    values: &'a [f64],
    ink: Color32,
}

/// A lane: its name, its curves, the superseding steps it marks.
type Named<'a> = (String, Vec<Series<'a>>, Option<&'a [Superseding]>);

/// Draws the lanes that there are, the steps shown being those of the timeline.
#[expect(clippy::too_many_arguments, reason = "one panel's own function")]
pub fn ui(
    ui: &mut Ui,
    context: &mut Context<'_>,
    focus: &Focus<'_>,
    found: &Directions,
    towards: Option<&Towards>,
    write: usize,
    text: Option<&SequenceText>,
    said: &str,
    room: Rect,
) {
    let n_steps = found.all.write.nrows();
    let steps = context.view::<timeline::View>().window(n_steps);
    let ink = ui.visuals().text_color();
    let has_erase = found.all.erase.is_some();
    let sequence = focus.selection.sequence;
    let words = |step: usize| text.map_or_else(String::new, |text| text.step_words(sequence, step));
    let mut lanes: Vec<Named> = Vec::new();
    if has_erase {
        lanes.push((
            "erase to write of the same step".to_owned(),
            vec![Series { name: "erase to write", values: &found.all.erase_to_write, ink }],
            None,
        ));
    }
    if let Some(superseding) = found.superseding.as_deref().filter(|superseding| !superseding.is_empty()) {
        lanes.push(("to the key of the fact that the step supersedes".to_owned(), Vec::new(), Some(superseding)));
    }
    if let Some(towards) = towards {
        let mut series = Vec::new();
        if has_erase {
            series.push(Series { name: "erase", values: &towards.erase, ink: colour(ERASE) });
        }
        series.push(Series { name: "write", values: &towards.write, ink: colour(WRITE) });
        series.push(Series { name: "read", values: &towards.query, ink: colour(SKY) });
        lanes.push((format!("to the key of the write of step {write}  {}", words(write)), series, None));
    }
    let count = lanes.len().max(1) as f32;
    let axis = 32.0;
    let height = ((room.height() - axis) / count).max(30.0);
    for (place, (title, series, superseding)) in lanes.iter().enumerate() {
        let last = place + 1 == lanes.len();
        let top = room.top() + place as f32 * height;
        let bottom = if last { room.bottom() } else { top + height - 4.0 };
        let lane = Lane { title, series, superseding: *superseding, reference: found.all.reference, steps, is_last: last };
        let rect = Rect::from_min_max(pos2(room.left(), top), pos2(room.right(), bottom));
        lane.ui(ui, context, focus, &words, said, rect, place);
    }
}

struct Lane<'a> {
    title: &'a str,
    series: &'a [Series<'a>],
    superseding: Option<&'a [Superseding]>,
    reference: RandomCosine,
    steps: [f64; 2],
    is_last: bool,
}

impl Lane<'_> {
    /// The largest |cos| in the steps shown, the band included.
    fn reach(&self) -> f64 {
        let [from, to] = self.steps;
        let inside = |step: usize| (step as f64) >= from.floor() && (step as f64) < to.ceil();
        let lines = self.series.iter().flat_map(|series| series.values.iter().enumerate());
        let of_lines = lines.filter(|(step, value)| inside(*step) && value.is_finite()).map(|(_, value)| value.abs());
        let events = self.superseding.into_iter().flatten().filter(|event| inside(event.step));
        let of_events = events.flat_map(|event| [event.erase, event.write]).filter(|value| value.is_finite()).map(f64::abs);
        let most = of_lines.chain(of_events).fold(self.reference.bound * 1.15, f64::max);
        [0.1, 0.2, 0.3, 0.5, 0.75, 1.0].into_iter().find(|end| *end >= most - 1e-9).unwrap_or(1.0)
    }

    #[expect(clippy::too_many_arguments, reason = "one panel's own function")]
    fn ui(
        &self,
        ui: &mut Ui,
        context: &mut Context<'_>,
        focus: &Focus<'_>,
        words: &dyn Fn(usize) -> String,
        said: &str,
        rect: Rect,
        place: usize,
    ) {
        let [from, to] = self.steps;
        let reach = self.reach();
        let frame = Frame {
            x_label: if self.is_last { "step".to_owned() } else { String::new() },
            y_label: "cosine".to_owned(),
            bare_x: !self.is_last,
            least_left: 30.0,
            ..Frame::default()
        };
        let title_room = 15.0;
        let body = Rect::from_min_max(pos2(rect.left(), rect.top() + title_room - 4.0), rect.max);
        // A step's middle stands half a step after its edge, as in the timeline.
        let mut chart = Chart::fit(body, context.theme, Scale::linear(from - 0.5, to - 0.5), Scale::linear(-reach, reach), frame);
        let summary = self.summary();
        let response =
            chart.sense(ui, &format!("lane {place}"), Sense::click(), &format!("Directions: {}", self.title), &format!("{summary}{said}"));
        let painter = ui.painter().clone();
        let RandomCosine { mean_absolute, bound } = self.reference;
        chart.draw(&painter, |panel, scene| {
            let (line, fill) = scene.theme.null(1);
            panel.band(scene, &[[from - 0.5, -bound, bound], [to - 0.5, -bound, bound]], fill.fade(0.35));
            panel.level(scene, mean_absolute, line, Some([1.0, 2.0]));
            panel.level(scene, -mean_absolute, line, Some([1.0, 2.0]));
        });
        let clip = painter.with_clip_rect(chart.area.expand(4.0));
        painter.hline(chart.area.x_range(), chart.down(0.0), Stroke::new(1.0, theme::quiet(ui)));
        let cursor = |step: usize, ink: Color32| {
            let x = chart.across(step as f64);
            if (step as f64) >= from - 0.5 && (step as f64) <= to - 0.5 {
                clip.vline(x, chart.area.y_range(), Stroke::new(1.0, ink));
            }
        };
        let selection = focus.selection;
        if let Some(token) = context.hover.token.filter(|token| token.sequence as usize == selection.sequence) {
            cursor(token.step as usize, theme::quiet(ui));
        }
        cursor(selection.step, theme::accent(ui));
        for series in self.series {
            self.draw_series(&clip, &chart, series, reach);
        }
        for event in self.superseding.into_iter().flatten().filter(|event| (event.step as f64) >= from && (event.step as f64) < to) {
            draw_event(&clip, &chart, event, selection.write == Some(event.fact), theme::accent(ui));
        }
        chart.axes(&painter);
        self.title(ui, &chart, rect, context);
        self.pointer(ui, context, focus, words, &chart, &response);
    }

    fn draw_series(&self, painter: &egui::Painter, chart: &Chart, series: &Series<'_>, reach: f64) {
        let [from, to] = self.steps;
        if to - from > ONE_BY_ONE {
            let curve = Curve { values: series.values, steps: self.steps, range: [-reach, reach] };
            curve.paint(painter, chart.area, series.ink.gamma_multiply(0.85), 1.0);
            return;
        }
        let zero = chart.down(0.0);
        let single = self.series.len() == 1;
        let last = series.values.len();
        let mut line: Vec<Pos2> = Vec::new();
        for step in (from.floor() as usize)..(to.ceil() as usize).min(last) {
            let value = series.values[step];
            if !value.is_finite() {
                continue;
            }
            let at = chart.at(step as f64, value);
            if single {
                painter.vline(at.x, egui::Rangef::new(at.y.min(zero), at.y.max(zero)), Stroke::new(1.0, series.ink.gamma_multiply(0.45)));
                painter.circle_filled(at, 1.8, series.ink);
            } else {
                line.push(at);
            }
        }
        if line.len() > 1 {
            painter.add(egui::Shape::line(line, Stroke::new(1.3, series.ink)));
        }
    }

    /// Its title at the left, the names of its series at the right.
    fn title(&self, ui: &Ui, chart: &Chart, rect: Rect, context: &Context<'_>) {
        let painter = ui.painter();
        let font = FontId::proportional(11.5);
        let clip = painter.with_clip_rect(Rect::from_min_max(rect.min, pos2(rect.right(), rect.top() + 16.0)));
        let mut x = rect.right();
        let mut names: Vec<(&str, Color32)> =
            self.series.iter().filter(|_| self.series.len() > 1).map(|series| (series.name, series.ink)).collect();
        if self.superseding.is_some() {
            names = vec![("erase", colour(ERASE)), ("write", colour(WRITE))];
        }
        for (name, tone) in names.into_iter().rev() {
            let text = clip.text(pos2(x, rect.top()), Align2::RIGHT_TOP, name, font.clone(), ui.visuals().text_color());
            let centre = pos2(text.left() - 7.0, text.center().y);
            clip.circle_filled(centre, 3.5, tone);
            x = centre.x - 12.0;
        }
        let left = clip.with_clip_rect(Rect::from_min_max(rect.min, pos2(x - 4.0, rect.bottom())));
        left.text(pos2(chart.area.left(), rect.top()), Align2::LEFT_TOP, self.title, font, ui.visuals().text_color());
        let _ = context;
    }

    fn summary(&self) -> String {
        match self.superseding {
            Some(events) => format!("{} superseding steps. ", events.len()),
            None => String::new(),
        }
    }

    fn pointer(
        &self,
        ui: &Ui,
        context: &mut Context<'_>,
        focus: &Focus<'_>,
        words: &dyn Fn(usize) -> String,
        chart: &Chart,
        response: &egui::Response,
    ) {
        let Some(place) = response.hover_pos() else { return };
        let selection = focus.selection;
        let [from, to] = self.steps;
        let mut step = chart.numbers(place)[0].round().clamp(from.floor().max(0.0), (to.ceil() - 1.0).max(0.0)) as usize;
        let event = self.superseding.and_then(|events| {
            let near = events.iter().min_by_key(|event| event.step.abs_diff(step))?;
            ((chart.across(near.step as f64) - place.x).abs() < 9.0).then_some(near)
        });
        if let Some(event) = event {
            step = event.step;
        }
        context.hover_next.token = Some(Token::new(selection.sequence, step));
        let quiet = theme::quiet(ui);
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.label(RichText::new(format!("step {step}  {}", words(step))).strong());
            for series in self.series {
                let value = series.values.get(step).copied().unwrap_or(f64::NAN);
                let shown = if value.is_finite() { format!("{value:+.4}") } else { "none".to_owned() };
                ui.label(theme::number(format!("cos {}: {shown}", series.name)));
            }
            if let Some(event) = event {
                ui.label(format!("supersedes step {}  {}", event.fact, words(event.fact)));
                if event.erase.is_finite() {
                    ui.label(theme::number(format!("cos erase, its key: {:+.4}", event.erase)));
                }
                ui.label(theme::number(format!("cos write, its key: {:+.4}", event.write)));
            }
            let note = if event.is_some() { "click: look at this step, follow the superseded write" } else { "click: look at this step" };
            ui.label(RichText::new(note).small().color(quiet));
        });
        if response.clicked() {
            context.act(Action::SelectStep(step));
            if let Some(event) = event {
                context.act(Action::SelectWrite(Some(event.fact)));
            }
        }
    }
}

/// A superseding step: a disc for its erase, a diamond for its write.
fn draw_event(painter: &egui::Painter, chart: &Chart, event: &Superseding, is_followed: bool, accent: Color32) {
    if event.write.is_finite() {
        let at = chart.at(event.step as f64, event.write);
        let corners = [(0.0, -4.2), (4.2, 0.0), (0.0, 4.2), (-4.2, 0.0)].map(|(x, y)| at + egui::vec2(x, y)).to_vec();
        painter.add(egui::Shape::convex_polygon(corners, colour(WRITE), Stroke::NONE));
    }
    if event.erase.is_finite() {
        let at = chart.at(event.step as f64, event.erase);
        painter.circle_filled(at, 3.6, colour(ERASE));
    }
    if is_followed {
        for value in [event.erase, event.write].into_iter().filter(|value| value.is_finite()) {
            painter.circle_stroke(chart.at(event.step as f64, value), 6.5, Stroke::new(1.3, accent));
        }
    }
}

//! One write: its shares over age, and the steps that took most of it.

use egui::{Align2, FontId, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};

use super::View;
use crate::app::action::Action;
use crate::app::data::{Lives, SequenceText};
use crate::app::paint::chart::Chart;
use crate::app::paint::keys;
use crate::app::panel::{Context, notice};
use crate::app::selection::Token;
use crate::app::session::Focus;
use crate::app::theme::{self, DECAY, ERASE, WRITE, colour};
use crate::figure::Theme;
use crate::figure::axes::Frame;
use crate::figure::colour::Colour;
use crate::figure::fate::colours;
use crate::figure::legend::{Key, Swatch};
use crate::figure::scale::Scale;
use crate::ledger::{Form, Mechanism};
use crate::measure::{FATES, WriteLife};

/// At most as many columns of the stack are drawn.
const MOST_COLUMNS: usize = 800;
/// At most as many removing steps are listed.
const LISTED: usize = 24;

/// Draws the plot, the list and the sentence.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, view: &mut View, focus: &Focus<'_>, lives: &Lives, text: Option<&SequenceText>) {
    if lives.writes.len() > 1 {
        ui.horizontal(|ui| {
            ui.label("write");
            for number in 0..lives.writes.len() {
                ui.selectable_value(&mut view.number, number, number.to_string());
            }
        });
    }
    let step = super::followed(focus);
    let Some(write) = lives.writes.get(view.number.min(lives.writes.len().saturating_sub(1))).and_then(Option::as_ref) else {
        notice(ui, "This step wrote nothing", &format!("The write strength of step {step} is zero, so there is nothing to follow."), None);
        return;
    };
    let room = ui.available_rect_before_wrap();
    let said = sentence(write);
    let below = Rect::from_min_max(pos2(room.left(), room.bottom() - 46.0), room.max);
    let (plot_room, list_room) = super::split(Rect::from_min_max(room.min, pos2(room.right(), below.top() - 2.0)), 0.36);
    plot(ui, context, focus, write, text, &said, plot_room);
    ui.scope_builder(egui::UiBuilder::new().max_rect(list_room), |ui| list(ui, context, view, focus, write, text));
    super::foot(ui, below, &said);
}

fn percent(share: f64) -> String {
    let hundred = 100.0 * share;
    if hundred != 0.0 && hundred.abs() < 0.95 { format!("{hundred:.1} %") } else { format!("{hundred:.0} %") }
}

/// What became of it, in a sentence or three.
fn sentence(write: &WriteLife) -> String {
    let life = &write.life;
    let last = life.shares.len() - 1;
    let parts: Vec<String> = FATES.iter().zip(life.shares[last]).map(|(name, share)| format!("{name} {}", percent(share))).collect();
    let steps = |found: Option<usize>| found.map_or_else(|| "beyond the end".to_owned(), |steps| format!("{steps} steps"));
    let unique = write.without_erase.as_ref().and_then(|left| left.last()).map_or_else(String::new, |left| {
        format!(" Without the erase {} would survive: its own contribution is {}.", percent(*left), percent(left - life.shares[last][0]))
    });
    let form = if life.form == Form::Vector { " Shares are of vectors (the rule removes obliquely): one may be negative." } else { "" };
    format!(
        "After {last} steps: {}. Half-life {}; had only decay acted, {}.{unique}{form} The shares sum to 1 within {:.0e}.",
        parts.join(", "),
        steps(life.half_life),
        steps(life.decay_only_half_life),
        life.residual().max(1e-17)
    )
}

fn plot(ui: &mut Ui, context: &mut Context<'_>, focus: &Focus<'_>, write: &WriteLife, text: Option<&SequenceText>, said: &str, room: Rect) {
    let life = &write.life;
    let legend = keys_of(write, context.theme);
    let legend_height = keys::height(&legend, room.width());
    let body = Rect::from_min_max(pos2(room.left(), room.top() + legend_height), room.max);
    let last = life.shares.len() - 1;
    let vectors = life.form == Form::Vector;
    let y = if vectors { Scale::around(life.shares.iter().flatten().copied(), &[0.0, 1.0]) } else { Scale::linear(0.0, 1.0) };
    let frame = Frame { x_label: "age [steps]".to_owned(), y_label: "share of the write".to_owned(), ..Frame::default() };
    let mut chart = Chart::fit(body, context.theme, Scale::linear(0.0, last.max(1) as f64), y, frame);
    let response = chart.sense(ui, "plot", Sense::click(), "Fate of a write", said);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    let every = life.shares.len().div_ceil(MOST_COLUMNS);
    let ages: Vec<usize> = (0..=last).step_by(every).chain(Some(last)).collect();
    let fills = colours(context.theme);
    chart.draw(&painter, |panel, scene| {
        if vectors {
            for (part, fill) in fills.into_iter().enumerate() {
                let line: Vec<[f64; 2]> = ages.iter().map(|&age| [age as f64, life.shares[age][part]]).collect();
                panel.line(scene, &line, fill, 1.3, None);
            }
        } else {
            let mut below = vec![0.0; ages.len()];
            for (part, fill) in fills.into_iter().enumerate() {
                let above: Vec<f64> = below.iter().zip(&ages).map(|(below, &age)| below + life.shares[age][part]).collect();
                let rows: Vec<[f64; 3]> =
                    ages.iter().zip(&below).zip(&above).map(|((&age, &low), &high)| [age as f64, low, high]).collect();
                panel.band(scene, &rows, fill);
                below = above;
            }
        }
        let ink = scene.theme.ink();
        let dashed = |series: &[f64]| ages.iter().map(|&age| [age as f64, series[age]]).collect::<Vec<_>>();
        panel.line(scene, &dashed(&life.decay_only), ink, 0.9, Some([3.0, 2.0]));
        if let Some(without) = &write.without_erase {
            panel.line(scene, &dashed(without), ink, 0.9, Some([1.0, 1.4]));
        }
    });
    marks(ui, focus, write, text, &chart);
    chart.axes(&painter);
    keys::draw(&painter, context.theme, Rect::from_min_size(room.min, vec2(room.width(), legend_height)), &legend);
    pointer(ui, context, focus, write, text, &chart, &response);
}

/// Half-lives, the step from which the fact is stale, the step looked at and the one hovered over elsewhere.
fn marks(ui: &Ui, focus: &Focus<'_>, write: &WriteLife, text: Option<&SequenceText>, chart: &Chart) {
    let life = &write.life;
    let painter = ui.painter().with_clip_rect(chart.area.expand(1.0));
    let (ink, accent, paper) = (ui.visuals().text_color(), theme::accent(ui), ui.visuals().panel_fill);
    let last = life.shares.len() - 1;
    let label = |x: f32, y: f32, said: &str, tone: egui::Color32| {
        let galley = painter.layout_no_wrap(said.to_owned(), FontId::proportional(10.5), tone);
        let left = (x + 4.0).min(chart.area.right() - galley.size().x - 3.0);
        let rect = Rect::from_min_size(pos2(left, y), galley.size());
        painter.rect_filled(rect.expand2(vec2(2.0, 0.5)), 2.0, paper.gamma_multiply(0.82));
        painter.galley(rect.min, galley, tone);
    };
    let mut line_at = chart.area.top() + 3.0;
    for (found, name, dash) in [(life.half_life, "half-life", false), (life.decay_only_half_life, "half-life of decay alone", true)] {
        let Some(age) = found else { continue };
        let x = chart.across(age as f64);
        let stroke = Stroke::new(1.0, ink);
        if dash {
            painter.extend(egui::Shape::dashed_line(&[pos2(x, chart.area.top()), pos2(x, chart.area.bottom())], stroke, 4.0, 3.0));
        } else {
            painter.vline(x, chart.area.y_range(), stroke);
        }
        label(x, line_at, &format!("{name} {age}"), ink);
        line_at += 16.0;
    }
    let fact = text.and_then(|text| text.example(focus.selection.sequence)?.writes.iter().find(|fact| fact.position == life.born));
    if let Some(stale) = fact.and_then(crate::task::Write::stale_at).filter(|step| (life.born..=life.born + last).contains(step)) {
        let x = chart.across((stale - life.born) as f64);
        painter.vline(x, chart.area.y_range(), Stroke::new(1.5, paper));
        painter.extend(egui::Shape::dashed_line(
            &[pos2(x, chart.area.top()), pos2(x, chart.area.bottom())],
            Stroke::new(1.2, accent),
            2.0,
            2.0,
        ));
        label(x, line_at, &format!("stale from step {stale}"), accent);
    }
    if let Some(age) = focus.selection.step.checked_sub(life.born).filter(|age| *age <= last) {
        painter.vline(chart.across(age as f64), chart.area.y_range(), Stroke::new(1.5, accent));
    }
}

/// What the marks mean.
fn keys_of(write: &WriteLife, theme: Theme) -> Vec<Key> {
    let mut keys: Vec<Key> = FATES.into_iter().zip(colours(theme)).map(|(name, fill)| Key::new(name, Swatch::Fill(fill))).collect();
    keys.push(Key::new("surviving decay alone", Swatch::Line(theme.ink(), Some([3.0, 2.0]), None)));
    if write.without_erase.is_some() {
        keys.push(Key::new("surviving without the erase", Swatch::Line(theme.ink(), Some([1.0, 1.4]), None)));
    }
    keys
}

fn pointer(
    ui: &Ui,
    context: &mut Context<'_>,
    focus: &Focus<'_>,
    write: &WriteLife,
    text: Option<&SequenceText>,
    chart: &Chart,
    response: &egui::Response,
) {
    let life = &write.life;
    let sequence = focus.selection.sequence;
    let last = life.shares.len() - 1;
    let lit = context.hover.token.filter(|token| token.sequence as usize == sequence).map(|token| token.step as usize);
    if let Some(age) = lit.and_then(|step| step.checked_sub(life.born)).filter(|age| *age <= last) {
        ui.painter().vline(chart.across(age as f64), chart.area.y_range(), Stroke::new(1.0, theme::quiet(ui)));
    }
    let Some(place) = response.hover_pos() else { return };
    let age = (chart.numbers(place)[0].round().max(0.0) as usize).min(last);
    let step = life.born + age;
    context.hover_next.token = Some(Token::new(sequence, step));
    let words = text.map_or_else(String::new, |text| text.step_words(sequence, step));
    response.clone().on_hover_ui_at_pointer(|ui| {
        ui.label(RichText::new(format!("age {age}: step {step}  {words}")).strong());
        for (name, share) in FATES.iter().zip(life.shares[age]) {
            ui.label(theme::number(format!("{name:<12}{:>8.2} %", 100.0 * share)));
        }
        let taken = life.taken[age];
        let took: Vec<String> = Mechanism::ALL.iter().zip(taken).map(|(who, share)| format!("{who} {}", percent(share))).collect();
        ui.label(RichText::new(format!("this step took: {}", took.join(", "))).small());
        ui.label(RichText::new("click: look at this step").small().color(theme::quiet(ui)));
    });
    if response.clicked() {
        context.act(Action::SelectStep(step));
    }
}

const fn ink_of(mechanism: Mechanism) -> Colour {
    match mechanism {
        Mechanism::Decay => DECAY,
        Mechanism::Erase => ERASE,
        Mechanism::Write => WRITE,
    }
}

/// Who removed it, and when: the strongest first.
fn list(ui: &mut Ui, context: &mut Context<'_>, view: &mut View, focus: &Focus<'_>, write: &WriteLife, text: Option<&SequenceText>) {
    let life = &write.life;
    let sequence = focus.selection.sequence;
    ui.horizontal(|ui| {
        ui.label(theme::heading("Who removed it, and when"));
        ui.checkbox(&mut view.decay_listed, "decay").on_hover_text("List the decay of single steps too");
    });
    let mechanisms: &[Mechanism] = if view.decay_listed { &Mechanism::ALL } else { &[Mechanism::Erase, Mechanism::Write] };
    let removals = life.removals(mechanisms);
    let most = removals.first().map_or(1.0, |removal| removal.share.abs()).max(1e-12);
    if !view.decay_listed {
        let decayed = life.taken.iter().map(|taken| taken[Mechanism::Decay as usize]).sum();
        ui.label(RichText::new(format!("decay, over all steps: {}", percent(decayed))).small().color(theme::quiet(ui)));
    }
    ScrollArea::vertical().auto_shrink(false).id_salt("removals").show(ui, |ui| {
        if removals.is_empty() {
            ui.label(RichText::new("No erase and no later write took anything of it.").color(theme::quiet(ui)));
        }
        for removal in removals.iter().take(LISTED) {
            let words = text.map_or_else(String::new, |text| text.step_words(sequence, removal.step));
            let who = if removal.mechanism == Mechanism::Write { "write" } else { removal.mechanism.name() };
            let said = format!("Step {} {words}: the {who} took {}", removal.step, percent(removal.share));
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, said.clone()));
            let painter = ui.painter().with_clip_rect(rect);
            let here = removal.step == focus.selection.step;
            let lit = context.hover.token == Some(Token::new(sequence, removal.step));
            if here || lit || response.hovered() {
                let fill = if here { ui.visuals().selection.bg_fill } else { ui.visuals().faint_bg_color };
                painter.rect_filled(rect, 3.0, fill);
            }
            let tone = colour(ink_of(removal.mechanism));
            let bar = ((removal.share.abs() / most) as f32 * (rect.width() - 4.0)).max(1.0);
            painter.rect_filled(Rect::from_min_size(rect.left_bottom() + vec2(2.0, -3.5), vec2(bar, 2.5)), 1.0, tone);
            let (ink, quiet) = (ui.visuals().text_color(), theme::quiet(ui));
            let middle = rect.center().y - 2.0;
            painter.text(pos2(rect.left() + 4.0, middle), Align2::LEFT_CENTER, removal.step, FontId::monospace(11.5), ink);
            painter.text(pos2(rect.left() + 40.0, middle), Align2::LEFT_CENTER, who, FontId::proportional(11.5), quiet);
            let share =
                painter.text(pos2(rect.right() - 4.0, middle), Align2::RIGHT_CENTER, percent(removal.share), FontId::monospace(11.5), ink);
            let clip = Rect::from_min_max(rect.min, pos2(share.left() - 6.0, rect.bottom()));
            painter.with_clip_rect(clip).text(
                pos2(rect.left() + 76.0, middle),
                Align2::LEFT_CENTER,
                words,
                FontId::proportional(12.0),
                ink,
            );
            if response.hovered() {
                context.hover_next.token = Some(Token::new(sequence, removal.step));
            }
            if response.clicked() {
                context.act(Action::SelectStep(removal.step));
            }
            response.on_hover_text(format!("{said} of what was written. Click to look at this step."));
        }
        if removals.len() > LISTED {
            let rest: f64 = removals[LISTED..].iter().map(|removal| removal.share).sum();
            let said = format!("{} further steps took {} together", removals.len() - LISTED, percent(rest));
            ui.label(RichText::new(said).small().color(theme::quiet(ui)));
        }
    });
}

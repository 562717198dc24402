//! All writes of a role: shares by age with intervals over sequences, half-lives, and what the erase alone did.

use egui::{Grid, Rect, RichText, ScrollArea, Sense, Ui, pos2, vec2};

use crate::app::paint::chart::Chart;
use crate::app::paint::keys;
use crate::app::panel::{Context, notice};
use crate::app::theme;
use crate::figure::axes::Frame;
use crate::figure::fate::colours;
use crate::figure::legend::{Key, Swatch};
use crate::figure::scale::Scale;
use crate::measure::{FATES, Fate, FateRow, Interval, Role};

/// Draws the stack and the numbers.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, role: Role, fate: &Fate) {
    let Some(row) = fate.row(role, None) else {
        let why = format!("No sequence of this trace has writes of {}; a task with a truth table has them:", role.label());
        notice(
            ui,
            "There are no such writes",
            &why,
            Some("pentimento record --model bundled:eda-stale-facts --task stale_facts -o eda.trace.zarr"),
        );
        return;
    };
    let room = ui.available_rect_before_wrap();
    let below = Rect::from_min_max(pos2(room.left(), room.bottom() - 32.0), room.max);
    let (plot_room, list_room) = super::split(Rect::from_min_max(room.min, pos2(room.right(), below.top() - 2.0)), 0.45);
    let said = sentence(row, fate);
    plot(ui, context, row, &said, plot_room);
    ui.scope_builder(egui::UiBuilder::new().max_rect(list_room), |ui| numbers(ui, row, fate));
    super::foot(ui, below, &said);
}

fn sentence(row: &FateRow, fate: &Fate) -> String {
    let parts: Vec<String> = FATES.iter().zip(row.shares.as_array()).map(|(name, share)| format!("{name} {share}")).collect();
    format!(
        "{} writes of {} in {} sequences, by the end: {}. Intervals are over sequences. {}",
        row.n_writes,
        row.role.label(),
        fate.n_sequences,
        parts.join(", "),
        fate.remarks.first().map_or("", String::as_str)
    )
}

fn plot(ui: &mut Ui, context: &Context<'_>, row: &FateRow, said: &str, room: Rect) {
    let legend: Vec<Key> = FATES.into_iter().zip(colours(context.theme)).map(|(name, fill)| Key::new(name, Swatch::Fill(fill))).collect();
    let legend_height = keys::height(&legend, room.width());
    let body = Rect::from_min_max(pos2(room.left(), room.top() + legend_height), room.max);
    let names = row.ages.iter().map(|at| at.age.to_string()).collect();
    let frame =
        Frame { x_label: "age [steps]".to_owned(), y_label: "share of what was written".to_owned(), x_names: names, ..Frame::default() };
    let end = (row.ages.len() as f64 - 1.0).max(1.0);
    let mut chart = Chart::fit(body, context.theme, Scale::linear(0.0, end), Scale::linear(0.0, 1.0), frame);
    let response = chart.sense(ui, "plot", Sense::hover(), &format!("Fate of {}", row.role.label()), said);
    let painter = ui.painter().clone();
    chart.grid(&painter);
    chart.draw(&painter, |panel, scene| {
        let mut below = vec![0.0; row.ages.len()];
        for (part, fill) in colours(scene.theme).into_iter().enumerate() {
            let above: Vec<f64> =
                below.iter().zip(&row.ages).map(|(below, at)| below + at.shares.as_array()[part].estimate.max(0.0)).collect();
            let rows: Vec<[f64; 3]> = below.iter().zip(&above).enumerate().map(|(x, (&low, &high))| [x as f64, low, high]).collect();
            panel.band(scene, &rows, fill);
            below = above;
        }
        let ink = scene.theme.ink();
        for (x, at) in row.ages.iter().enumerate() {
            if let Some((low, high)) = at.shares.surviving.bounds() {
                panel.interval(scene, x as f64, [low, high], ink, 0.0);
            }
        }
    });
    chart.axes(&painter);
    keys::draw(&painter, context.theme, Rect::from_min_size(room.min, vec2(room.width(), legend_height)), &legend);
    if let Some(at) = response.hover_pos().and_then(|place| row.ages.get(chart.numbers(place)[0].round().max(0.0) as usize)) {
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(RichText::new(format!("after {} steps", at.age)).strong());
            for (name, share) in FATES.iter().zip(at.shares.as_array()) {
                ui.label(theme::number(format!("{name:<12} {share}")));
            }
        });
    }
}

/// The numbers with their intervals.
fn numbers(ui: &mut Ui, row: &FateRow, fate: &Fate) {
    let quiet = theme::quiet(ui);
    ScrollArea::vertical().auto_shrink(false).id_salt("role").show(ui, |ui| {
        ui.set_max_width(ui.available_width());
        ui.spacing_mut().interact_size.y = 16.0;
        ui.label(theme::heading("By the end of the sequence"));
        let lines = |ui: &mut Ui, salt: &str, rows: &[(&str, Option<&Interval>)]| {
            Grid::new(salt).num_columns(2).spacing([8.0, 1.0]).show(ui, |ui| {
                for (name, value) in rows {
                    ui.label(RichText::new(*name).size(11.5).color(quiet));
                    ui.label(theme::number(value.map_or_else(|| "beyond the end".to_owned(), ToString::to_string)).size(11.0));
                    ui.end_row();
                }
            });
        };
        let shares: Vec<(&str, Option<&Interval>)> = FATES.iter().copied().zip(row.shares.as_array().map(Some)).collect();
        lines(ui, "shares", &shares);
        let unique = [("uniquely by the erase", row.unique.as_ref()), ("taken by it anyway", row.compensation.as_ref())];
        if row.unique.is_some() {
            lines(ui, "unique", &unique);
        }
        lines(
            ui,
            "half-lives",
            &[("half-life [steps]", row.half_life_steps.as_ref()), ("decay alone [steps]", row.decay_only_half_life_steps.as_ref())],
        );
        if let Some(since) = &row.since_stale {
            ui.add_space(4.0);
            ui.label(theme::heading("Of what was there when it went stale"));
            let shares: Vec<(&str, Option<&Interval>)> = FATES.iter().copied().zip(since.as_array().map(Some)).collect();
            lines(ui, "since stale", &shares);
        }
        ui.add_space(4.0);
        for remark in &fate.remarks {
            ui.label(RichText::new(remark).small().color(quiet));
        }
        ui.label(RichText::new(format!("The shares of every write sum to 1 within {:.0e}.", fate.share_residual)).small().color(quiet));
    });
}

//! Knockout maps: for one answer, what leaving out each single erase would do, head by head and step by step.
//!
//! Red: without this erase the right answer loses ground against the stale one (against a never-written one, where nothing is
//! stale). Every cell is an exact replay of the rest of the network.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::{BLACK, Colour, Gradient, Hues};
use super::legend::{colour_bar, colour_bar_room};
use super::scale::Scale;
use super::scene::{Anchor, Marker, NORMAL, Rect, SMALL, Scene, text_width};
use super::{Figure, FigureError, FigureSpec, Prepared, nothing, sheet};
use crate::export::Table;
use crate::intervene::AnswerAccount;

/// Height of the colour bar in points.
const BAR: f64 = 62.0;

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnockoutData {
    /// One map per answer.
    pub answers: Vec<KnockoutMap>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnockoutMap {
    /// What is asked and answered, in words.
    pub title: String,
    /// Layer and head of each row.
    pub rows: Vec<(usize, usize)>,
    /// Change of the log-odds without the erase, \[row\]\[step\]; absent where it was not replayed.
    pub change: Vec<Vec<Option<f64>>>,
    /// Steps at which a fact is complete: the step, and whether it is stale at the question.
    pub facts: Vec<(usize, bool)>,
    /// Row and step of the events that matter most, most first.
    pub events: Vec<(usize, usize)>,
}

/// Pick what is drawn.
pub fn prepare(accounts: &[AnswerAccount], _spec: &FigureSpec) -> Result<KnockoutData, FigureError> {
    let map = |account: &AnswerAccount| {
        let mut rows: Vec<(usize, usize)> = account.map.iter().map(|event| (event.layer, event.head)).collect();
        rows.sort_unstable();
        rows.dedup();
        let place = |layer: usize, head: usize| rows.iter().position(|row| *row == (layer, head)).unwrap_or(0);
        let mut change = vec![vec![None; account.step + 1]; rows.len()];
        for event in &account.map {
            change[place(event.layer, event.head)][event.step] = Some(event.total.margin());
        }
        let stale = if account.stale.is_empty() { String::new() } else { format!(" (once {})", account.stale) };
        KnockoutMap {
            title: format!("{} ? {}{stale}, p(right) {:.2}", account.asked, account.gold, account.as_it_is.gold.exp()),
            facts: account
                .facts
                .iter()
                .map(|fact| (fact.step, fact.fact.as_ref().and_then(|fact| fact.stale_since).is_some_and(|since| since <= account.step)))
                .collect(),
            events: account.events.iter().map(|effect| (place(effect.event.layer, effect.event.head), effect.event.at.step)).collect(),
            rows,
            change,
        }
    };
    let answers: Vec<KnockoutMap> = accounts.iter().map(map).filter(|map| !map.rows.is_empty()).collect();
    if answers.is_empty() {
        return Err(nothing(Figure::Knockout, "no answer has an erase behind it"));
    }
    Ok(KnockoutData { answers })
}

impl Prepared for KnockoutData {
    fn summary(&self) -> String {
        let one = |map: &KnockoutMap| {
            let events = map.events.iter().take(3).filter_map(|&(row, step)| {
                let (layer, head) = map.rows[row];
                Some(format!("layer {layer} head {head} step {step} {:+.2}", map.change[row][step]?))
            });
            format!("{}: {}", map.title, events.collect::<Vec<_>>().join(", "))
        };
        let each: Vec<String> = self.answers.iter().map(one).collect();
        format!(
            "Change of the log-odds of the right answer without each single erase (total effect, nats), strongest events. {}.",
            each.join("; ")
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new(
            "Change of the log-odds of the right answer without each single erase [nats]",
            &["answer", "layer", "head", "step", "change"],
        );
        for map in &self.answers {
            for (row, (layer, head)) in map.rows.iter().enumerate() {
                for (step, change) in map.change[row].iter().enumerate() {
                    table.push(vec![(&map.title).into(), (*layer).into(), (*head).into(), step.into(), (*change).into()]);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let heights: Vec<f64> = self.answers.iter().map(|map| 46.0 + 11.0 * map.rows.len() as f64).collect();
        let notes = ["Dots: facts; the open ones are stale by the question.", "Framed: strongest events. Colour saturates at 1 nat."];
        let notes_room = SMALL * 1.3 * notes.len() as f64;
        let height = heights.iter().sum::<f64>() + notes_room;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let largest = self.answers.iter().flat_map(|map| map.change.iter().flatten().flatten()).fold(0.0_f64, |most, x| most.max(x.abs()));
        // One event often outweighs all others by far: beyond 1 nat a deeper colour would hide them.
        let largest = if largest > 0.0 { largest.min(1.0) } else { 1.0 };
        let scale = Scale::linear(-largest, largest);
        let bar_room = colour_bar_room(scale, BAR) + 14.0;
        let share = (room.height - notes_room) / heights.iter().sum::<f64>();
        let mut top = room.top;
        for (map, height) in self.answers.iter().zip(&heights) {
            draw_map(&mut scene, map, Rect::new(room.left, top, room.width - bar_room, height * share), scale);
            top += height * share;
        }
        let bar = Rect::new(room.right() - bar_room + 6.0, room.top + NORMAL * 1.3 + 8.0, 5.0, BAR);
        let gradient = Gradient::signed(scene.theme, Hues::RedBlue);
        colour_bar(&mut scene, bar, scale, gradient, "log-odds [nats]");
        let quiet = scene.theme.quiet();
        for (n, note) in notes.iter().enumerate() {
            let baseline = room.bottom() - notes_room + SMALL * (1.0 + 1.3 * n as f64);
            scene.text(note, [room.left, baseline], SMALL, quiet, Anchor::Start);
        }
        scene
    }
}

/// As much of a title as there is room for.
fn fitted(title: &str, width: f64) -> String {
    if text_width(title, NORMAL) <= width {
        return title.to_owned();
    }
    let mut cut = title.to_owned();
    while !cut.is_empty() && text_width(&format!("{cut} …"), NORMAL) > width {
        cut.pop();
    }
    format!("{} …", cut.trim_end())
}

fn draw_map(scene: &mut Scene, map: &KnockoutMap, outer: Rect, scale: Scale) {
    const FACTS: f64 = 8.0;
    let ink = scene.theme.ink();
    scene.text(&fitted(&map.title, outer.width), [outer.left, outer.top + NORMAL], NORMAL, ink, Anchor::Start);
    let names: Vec<String> = map.rows.iter().map(|(layer, head)| format!("layer {layer} head {head}")).collect();
    let n_steps = map.change.first().map_or(1, Vec::len);
    let frame = Frame { x_label: "step of the erase".to_owned(), y_names: names, ..Frame::default() };
    let above = NORMAL * 1.3 + FACTS;
    let inner = Rect::new(outer.left, outer.top + above, outer.width, outer.height - above - 4.0);
    let y = Scale::linear(map.rows.len() as f64 - 0.5, -0.5);
    let panel = Panel::fit(inner, Scale::linear(-0.5, n_steps as f64 - 0.5), y, frame);
    let area = panel.area;
    let (width, height) = (area.width / n_steps as f64, area.height / map.rows.len() as f64);
    let cell = |row: usize, step: usize| Rect::new(area.left + step as f64 * width, area.top + row as f64 * height, width, height);
    let gradient = Gradient::signed(scene.theme, Hues::RedBlue);
    for (row, changes) in map.change.iter().enumerate() {
        for (step, change) in changes.iter().enumerate() {
            let Some(change) = change else { continue };
            scene.cell(cell(row, step), gradient.at(scale.place(*change)));
        }
    }
    for (row, step) in &map.events {
        // Seen on pale cells and on deep ones.
        scene.outline(cell(*row, *step), Colour::new(255, 255, 255), 2.0);
        scene.outline(cell(*row, *step), BLACK, 0.9);
    }
    for (step, is_stale) in &map.facts {
        let place = [area.left + (*step as f64 + 0.5) * width, area.top - FACTS / 2.0];
        scene.marker(if *is_stale { Marker::Ring } else { Marker::Disc }, place, 1.7, ink);
    }
    panel.axes(scene);
}

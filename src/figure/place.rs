//! What figures of one place share: its words, pictures of signed values, marks of facts.

use super::axes::Panel;
use super::colour::Gradient;
use super::scene::{Anchor, Marker, NORMAL, Rect, Scene, wrapped};
use crate::measure::{Place, SequenceWords};

const LINE: f64 = NORMAL * 1.25;
/// Room above a panel for marks of facts.
pub(super) const FACTS: f64 = 8.0;

/// `EDA, layer 0 head 1, sequence 3`.
pub(super) fn words_of(label: &str, place: &Place) -> String {
    format!("{label}, {}", place.head_words())
}

/// `step 40 (k2 = v9)`.
pub(super) fn step_words(step: usize, words: &str) -> String {
    if words.is_empty() { format!("step {step}") } else { format!("step {step} ({words})") }
}

/// The height in points that [`title`] takes.
pub(super) fn title_height(text: &str, width: f64) -> f64 {
    wrapped(text, NORMAL, width).len() as f64 * LINE + 2.0
}

/// Write a title in as many lines as it needs; returns the room beneath.
pub(super) fn title(scene: &mut Scene, text: &str, room: Rect) -> Rect {
    let ink = scene.theme.ink();
    for (n, line) in wrapped(text, NORMAL, room.width).iter().enumerate() {
        scene.text(line, [room.left, room.top + NORMAL + n as f64 * LINE], NORMAL, ink, Anchor::Start);
    }
    let height = title_height(text, room.width);
    Rect::new(room.left, room.top + height, room.width, room.height - height)
}

/// A picture of signed values that saturates at `end`; what is not a number is left as paper.
pub(super) fn picture(scene: &mut Scene, rect: Rect, rows: &[Vec<Option<f32>>], columns: usize, end: f64, gradient: Gradient) {
    let paper = scene.theme.paper();
    let end = if end > 0.0 { end } else { 1.0 };
    let colour = |value: Option<f32>| value.map_or(paper, |value| gradient.at(0.5 + f64::from(value) / (2.0 * end)));
    let cells = rows.iter().flat_map(|row| (0..columns).map(|column| colour(row.get(column).copied().flatten()))).collect();
    scene.picture(rect, columns, cells);
}

/// Where facts are complete, above a panel whose horizontal axis is steps: discs, and rings for those that are stale by a step.
pub(super) fn facts(scene: &mut Scene, panel: &Panel, facts: &[(usize, bool)]) {
    let ink = scene.theme.ink();
    for (step, is_stale) in facts {
        let place = [panel.across(*step as f64), panel.area.top - FACTS / 2.0];
        scene.marker(if *is_stale { Marker::Ring } else { Marker::Disc }, place, 1.7, ink);
    }
}

/// The facts that are complete by a step, each with whether it is stale then.
pub(super) fn facts_by(text: &SequenceWords, step: usize) -> Vec<(usize, bool)> {
    let known = text.facts.iter().filter(|fact| fact.step <= step);
    known.map(|fact| (fact.step, fact.stale_from.is_some_and(|from| from <= step))).collect()
}

//! *Memory*: S of one head before the step, after decay, erase and write; what each phase changed; profiles and singular values.

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind, placed};
use crate::app::data::{HeadOf, MemoriesOf, SpectrumOf};
use crate::app::paint::curve::Curve;
use crate::app::paint::matrix::MatrixPicture;
use crate::app::paint::signed::Signed;
use crate::app::session;
use crate::app::theme;
use crate::figure::colour::{Gradient, Hues};
use crate::figure::{Figure, FigureSpec, Measured, Options, ShowMemory};
use crate::measure::{Profiles, StepMemories, profiles, stable_rank};
use crate::memory::Phase;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Which pictures.
    pub show: Show,
    /// The phase shown large.
    pub phase: Phase,
    /// Where the colours end.
    pub range: Range,
    /// The end of the colours when it is held fixed.
    pub fixed: f64,
    /// Colours of the entries.
    pub hues: Hues,
}

/// Which pictures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// The memory in its four phases.
    #[default]
    Phases,
    /// What decay, erase and write changed.
    Changes,
    /// One phase, large, with profiles and singular values.
    Large,
}

/// Where the colour scale ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// At the largest entry of what is shown at this step.
    #[default]
    Step,
    /// At a number of one's choice.
    Fixed,
}

impl Default for View {
    fn default() -> Self {
        Self { show: Show::default(), phase: Phase::Write, range: Range::default(), fixed: 1.0, hues: Hues::default() }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Memory;
}

/// The panel.
#[derive(Default)]
pub struct MemoryPanel {
    latest: Latest<StepMemories>,
    spectrum: Latest<Vec<f64>>,
    pictures: [MatrixPicture; 4],
    /// Counts answers and views, so that pictures know when they are stale.
    version: u64,
    shown: Option<(usize, Show, Phase)>,
    tiles: Vec<Tile>,
}

/// The least width of what stands at the right of the pictures.
const BESIDE: f32 = 110.0;

/// One picture.
struct Tile {
    title: &'static str,
    matrix: Array2<f32>,
    profiles: Profiles,
    norm: f64,
}

const PHASES: [(Phase, &str, &str); 4] = [
    (Phase::Before, "before", ""),
    (Phase::Decay, "after decay", "decay changed"),
    (Phase::Erase, "after erase", "erase changed"),
    (Phase::Write, "after write", "write changed"),
];

impl Panel for MemoryPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let mut view: View = context.view();
        let before = view;
        ui.horizontal_wrapped(|ui| controls(ui, &mut view));
        if before != view {
            context.set_view(&view);
        }
        let selection = focus.selection;
        let ask = MemoriesOf {
            trace: focus.trace.clone(),
            layer: selection.layer,
            head: selection.head,
            sequence: selection.sequence,
            step: selection.step,
        };
        let answer = context.ask(&ask);
        let (memories, is_new) = self.latest.update(&answer);
        let Some(memories) = memories else {
            drop(context.show(ui, &ask));
            return;
        };
        self.renew(&memories, &view);
        if !is_new {
            ui.ctx().request_repaint();
        }
        let largest = match view.range {
            Range::Step => self.tiles.iter().map(|tile| tile.profiles.largest).fold(0.0, f64::max),
            Range::Fixed => view.fixed,
        };
        let signed = Signed::new(largest, Gradient::signed(context.theme, view.hues));
        let room = ui.available_rect_before_wrap();
        let bar = signed.bar_room(room.height().min(220.0));
        let body = Rect::from_min_max(room.min, pos2(room.right() - bar, room.bottom()));
        let phase = if view.show == Show::Large { view.phase } else { Phase::Write };
        let (values, _) = self.spectrum.update(&context.ask(&SpectrumOf { memory: ask, phase }));
        let used = match view.show {
            Show::Large => self.large(ui, context, body, signed, values.as_deref()),
            Show::Phases | Show::Changes => self.small(ui, context, body, signed),
        };
        let bar_height = used.height().min(220.0);
        let bar_rect = Rect::from_min_size(pos2(used.right() + 8.0, used.top()), vec2(bar, bar_height));
        signed.bar(ui.painter(), bar_rect, context.theme, "entry of S");
        let beside = Rect::from_min_max(pos2(bar_rect.right() + 18.0, used.top()), room.max);
        let beneath = Rect::from_min_max(pos2(used.left(), used.bottom() + 34.0), room.max);
        if beside.width() > BESIDE {
            Self::beside(ui, &memories, beside, values.as_deref());
        } else if view.show != Show::Large && beneath.height() > 130.0 {
            Self::beside(ui, &memories, beneath, values.as_deref());
        }
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let focus = context.session.focus()?;
        let view: View = context.view();
        let of_head = HeadOf::focus(&focus);
        let place = of_head.place(focus.selection.step, 0);
        let HeadOf { trace, layer, head, sequence } = of_head;
        let memories = context.ask(&MemoriesOf { trace, layer, head, sequence, step: place.step }).ready()?.as_ref().clone();
        let memory = match view.show {
            Show::Phases => ShowMemory::Phases,
            Show::Changes => ShowMemory::Changes,
            Show::Large => one_phase(view.phase),
        };
        let range = (view.range == Range::Fixed).then_some(view.fixed);
        let options = Options { memory, range, hues: view.hues, ..Options::default() };
        let measured = Measured::Memory(vec![placed::seen(context, focus.trace, place, memories)?]);
        Some((placed::spec(Figure::Memory, place, options), measured))
    }
}

/// A phase, as figures call it.
pub(super) const fn one_phase(phase: Phase) -> ShowMemory {
    match phase {
        Phase::Before => ShowMemory::Before,
        Phase::Decay => ShowMemory::Decay,
        Phase::Erase => ShowMemory::Erase,
        Phase::Write => ShowMemory::Write,
    }
}

fn controls(ui: &mut Ui, view: &mut View) {
    ui.selectable_value(&mut view.show, Show::Phases, "Phases").on_hover_text("S before the step, after decay, erase and write");
    ui.selectable_value(&mut view.show, Show::Changes, "Changes").on_hover_text("What decay, erase and write each changed");
    ui.selectable_value(&mut view.show, Show::Large, "Large").on_hover_text("One phase with profiles and singular values");
    if view.show == Show::Large {
        egui::ComboBox::from_id_salt("phase").width(96.0).selected_text(title_of(view.phase)).show_ui(ui, |ui| {
            for (phase, title, _) in PHASES {
                ui.selectable_value(&mut view.phase, phase, title);
            }
        });
    }
    ui.separator();
    let mut fixed = view.range == Range::Fixed;
    ui.checkbox(&mut fixed, "fixed scale").on_hover_text("Hold the colours while stepping, so that steps can be compared");
    view.range = if fixed { Range::Fixed } else { Range::Step };
    if fixed {
        let label = ui.label("±").id;
        ui.add(egui::DragValue::new(&mut view.fixed).range(1e-6..=1e6).speed(0.01).max_decimals(4)).labelled_by(label);
    }
    super::hues(ui, &mut view.hues);
}

fn title_of(phase: Phase) -> &'static str {
    PHASES.iter().find(|(other, ..)| *other == phase).map_or("", |(_, title, _)| title)
}

impl MemoryPanel {
    /// Prepares the pictures if the answer or the choice is another.
    fn renew(&mut self, memories: &std::sync::Arc<StepMemories>, view: &View) {
        let key = (std::sync::Arc::as_ptr(memories) as usize, view.show, view.phase);
        if self.shown == Some(key) {
            return;
        }
        self.shown = Some(key);
        self.version += 1;
        let tile = |title: &'static str, matrix: Array2<f32>, norm: f64| Tile { title, profiles: profiles(&matrix), matrix, norm };
        let norm_of = |matrix: &Array2<f32>| matrix.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        self.tiles = match view.show {
            Show::Phases => {
                PHASES.map(|(phase, title, _)| tile(title, memories.phase(phase).clone(), memories.norm(phase))).into_iter().collect()
            }
            Show::Changes => PHASES[1..]
                .iter()
                .map(|(phase, _, title)| {
                    let change = memories.change(*phase);
                    let norm = norm_of(&change);
                    tile(title, change, norm)
                })
                .collect(),
            Show::Large => vec![tile(title_of(view.phase), memories.phase(view.phase).clone(), memories.norm(view.phase))],
        };
    }

    /// All phases or all changes, side by side; returns what they cover.
    fn small(&mut self, ui: &mut Ui, context: &mut Context<'_>, room: Rect, signed: Signed) -> Rect {
        let count = self.tiles.len();
        let (columns, side) = grid(room, count, self.tiles.first().map_or(1.0, |tile| aspect(&tile.matrix)));
        let mut used = Rect::NOTHING;
        for index in 0..count {
            let corner = room.min + vec2((index % columns) as f32 * (side.x + 10.0), (index / columns) as f32 * (side.y + 26.0));
            let area = Rect::from_min_size(corner + vec2(0.0, 18.0), side);
            self.picture(ui, context, index, area, signed);
            used = used.union(area);
        }
        used
    }

    /// One phase with its profiles beside and its singular values beneath; returns what picture and profiles cover.
    fn large(&mut self, ui: &mut Ui, context: &mut Context<'_>, room: Rect, signed: Signed, values: Option<&Vec<f64>>) -> Rect {
        let profile = 46.0;
        // The singular values stand beneath where there is no room for them at the right.
        let is_wide = room.width() > room.height() + BESIDE + 40.0;
        let below = if room.height() > 220.0 && !is_wide { 84.0 } else { 0.0 };
        let Some(tile) = self.tiles.first() else { return room };
        let aspect = aspect(&tile.matrix);
        let height = (room.height() - 18.0 - profile - below).max(40.0);
        let width = ((room.width() - profile - 6.0).max(40.0)).min(height / aspect);
        let area = Rect::from_min_size(room.min + vec2(0.0, 18.0), vec2(width, width * aspect));
        self.picture(ui, context, 0, area, signed);
        let tile = &self.tiles[0];
        let quiet = theme::quiet(ui);
        let right = Rect::from_min_size(pos2(area.right() + 6.0, area.top()), vec2(profile, area.height()));
        let beneath = Rect::from_min_size(pos2(area.left(), area.bottom() + 6.0), vec2(area.width(), profile - 6.0));
        bars(ui, right, &tile.profiles.rows, true, quiet);
        bars(ui, beneath, &tile.profiles.columns, false, quiet);
        if below > 0.0 {
            let place = Rect::from_min_max(pos2(area.left(), beneath.bottom() + 22.0), pos2(area.right(), beneath.bottom() + below));
            spectrum(ui, place, values);
        }
        area.union(right)
    }

    /// What is left of the room at the right or beneath: |S| through the step, and the singular values after it.
    fn beside(ui: &mut Ui, memories: &StepMemories, room: Rect, values: Option<&Vec<f64>>) {
        let (quiet, ink) = (theme::quiet(ui), ui.visuals().text_color());
        let most = memories.norms.iter().copied().fold(1e-12, f64::max);
        let width = room.width().min(260.0);
        ui.painter().text(room.left_top() - vec2(0.0, 4.0), Align2::LEFT_BOTTOM, "|S| through the step", FontId::proportional(12.0), ink);
        for (index, (phase, title, _)) in PHASES.iter().enumerate() {
            let row = Rect::from_min_size(room.min + vec2(0.0, 2.0 + index as f32 * 30.0), vec2(width, 28.0));
            let norm = memories.norm(*phase);
            ui.painter().text(row.left_top(), Align2::LEFT_TOP, title, FontId::proportional(11.0), quiet);
            ui.painter().text(row.right_top(), Align2::RIGHT_TOP, format!("{norm:.3}"), FontId::monospace(11.0), ink);
            let bar = Rect::from_min_size(pos2(row.left(), row.top() + 16.0), vec2(width * (norm / most) as f32, 5.0));
            let shade = [None, Some(theme::DECAY), Some(theme::ERASE), Some(theme::WRITE)][index].map_or(quiet, theme::colour);
            ui.painter().rect_filled(bar, 2.0, shade);
        }
        let place = if room.width() > 2.0 * width + 60.0 {
            Rect::from_min_size(room.min + vec2(width + 60.0, 14.0), vec2((room.width() - width - 60.0).min(420.0), 106.0))
        } else {
            Rect::from_min_max(room.min + vec2(0.0, 150.0), pos2(room.left() + width, room.bottom().min(room.top() + 300.0)))
        };
        if place.height() > 40.0 {
            spectrum(ui, place, values);
        }
    }

    fn picture(&mut self, ui: &mut Ui, context: &mut Context<'_>, index: usize, area: Rect, signed: Signed) {
        let tile = &self.tiles[index];
        // A title never runs into the next picture's.
        let title_room = Rect::from_min_max(area.min - vec2(0.0, 20.0), area.max + vec2(8.0, 20.0));
        let (painter, quiet) = (ui.painter().with_clip_rect(title_room.intersect(ui.clip_rect())), theme::quiet(ui));
        let ink = ui.visuals().text_color();
        let title = painter.text(area.left_top() - vec2(0.0, 4.0), Align2::LEFT_BOTTOM, tile.title, FontId::proportional(12.0), ink);
        if area.width() > 130.0 {
            let norm = format!("|S| {:.3}", tile.norm);
            painter.text(pos2(title.right() + 8.0, area.top() - 4.0), Align2::LEFT_BOTTOM, norm, FontId::monospace(11.0), quiet);
        }
        let picture = &mut self.pictures[index];
        picture.set(ui.ctx(), tile.title, self.version, signed, || tile.matrix.clone());
        let broken =
            if tile.profiles.not_finite > 0 { format!(", {} entries are not finite", tile.profiles.not_finite) } else { String::new() };
        let (rows, columns) = tile.matrix.dim();
        let summary = format!(
            "{rows} key channels by {columns} value channels, norm {:.3}, largest entry {:.3}{broken}",
            tile.norm, tile.profiles.largest
        );
        let (response, entry) = picture.ui(ui, area, tile.title, &format!("Memory {}", tile.title), &summary);
        if !broken.is_empty() {
            painter.text(
                area.left_bottom() + vec2(0.0, 2.0),
                Align2::LEFT_TOP,
                &broken[2..],
                FontId::proportional(11.0),
                ui.visuals().error_fg_color,
            );
        }
        if let Some(cell) = context.hover.cell {
            picture.mark(ui, area, cell, ink);
        }
        if let Some((row, column)) = entry {
            context.hover_next.cell = Some((row, column));
            let value = tile.matrix[[row, column]];
            response.on_hover_ui_at_pointer(|ui| {
                ui.label(theme::number(format!("S[{row}, {column}] = {value:+.5}")));
                ui.label(egui::RichText::new(format!("key channel {row}, value channel {column}")).small().color(quiet));
            });
        }
    }
}

fn aspect(matrix: &Array2<f32>) -> f32 {
    (matrix.nrows() as f32 / matrix.ncols().max(1) as f32).clamp(0.25, 4.0)
}

/// Columns and the size of a picture, as large as the room allows.
fn grid(room: Rect, count: usize, aspect: f32) -> (usize, egui::Vec2) {
    let fit = |columns: usize| {
        let rows = count.div_ceil(columns);
        let width = (room.width() - 10.0 * (columns - 1) as f32) / columns as f32;
        let height = (room.height() - 26.0 * rows as f32) / rows as f32;
        let width = width.min(height / aspect).max(24.0);
        vec2(width, width * aspect)
    };
    let best = (1..=count.max(1)).max_by(|a, b| fit(*a).x.total_cmp(&fit(*b).x)).unwrap_or(1);
    // Rows of equal length where there are as many rows anyway.
    let columns = count.div_ceil(count.div_ceil(best).max(1)).max(1);
    (columns, fit(columns))
}

/// A profile along an edge of the picture: one bar a channel.
fn bars(ui: &mut Ui, rect: Rect, values: &[f64], lying: bool, ink: egui::Color32) {
    let most = values.iter().copied().fold(0.0, f64::max);
    let response = ui.interact(rect, ui.scope_id().with(if lying { "rows" } else { "columns" }), Sense::hover());
    let name = if lying { "Root mean square by key channel" } else { "Root mean square by value channel" };
    crate::app::paint::chart::describe(&response, name, &format!("largest {most:.3}"));
    if most <= 0.0 {
        return;
    }
    let n = values.len() as f32;
    for (index, value) in values.iter().enumerate() {
        let share = (value / most) as f32;
        let (from, to) = (index as f32 / n, (index as f32 + 0.8) / n);
        let bar = if lying {
            Rect::from_min_max(
                pos2(rect.left(), rect.top() + from * rect.height()),
                pos2(rect.left() + share * rect.width(), rect.top() + to * rect.height()),
            )
        } else {
            Rect::from_min_max(
                pos2(rect.left() + from * rect.width(), rect.top()),
                pos2(rect.left() + to * rect.width(), rect.top() + share * rect.height()),
            )
        };
        ui.painter().rect_filled(bar, 0.0, ink.gamma_multiply(0.6));
    }
    response.on_hover_text(name);
}

/// The singular values, largest first.
fn spectrum(ui: &mut Ui, rect: Rect, values: Option<&Vec<f64>>) {
    let quiet = theme::quiet(ui);
    let above = pos2(rect.left(), rect.top() - 3.0);
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        ui.painter().text(above, Align2::LEFT_BOTTOM, "singular values …", FontId::proportional(11.0), quiet);
        return;
    };
    let most = values[0].max(1e-12);
    let stable = stable_rank(values).unwrap_or(f64::NAN);
    let said = format!("singular values: largest {most:.3}, stable rank {stable:.1}");
    if rect.width() > 220.0 {
        ui.painter().text(above, Align2::LEFT_BOTTOM, &said, FontId::proportional(11.0), quiet);
    } else {
        ui.painter().text(above, Align2::LEFT_BOTTOM, "singular values", FontId::proportional(11.0), quiet);
        let rank = format!("stable rank {stable:.1}");
        ui.painter().text(rect.right_top() + vec2(0.0, 2.0), Align2::RIGHT_TOP, rank, FontId::proportional(11.0), quiet);
    }
    let response = ui.interact(rect, ui.scope_id().with("singular values"), Sense::hover());
    crate::app::paint::chart::describe(&response, "Singular values", &said);
    let line = ui.visuals().widgets.noninteractive.bg_stroke;
    ui.painter().hline(rect.x_range(), rect.bottom(), line);
    Curve { values, steps: [0.0, values.len() as f64], range: [0.0, most] }.paint(ui.painter(), rect, theme::accent(ui), 1.5);
}

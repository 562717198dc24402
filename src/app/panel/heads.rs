//! *Heads*: one number for each head of each layer, by any measure; as a map, and sorted.

mod map;
mod ranked;

use egui::{ComboBox, Rect, RichText, Sense, Ui, pos2};
use serde::{Deserialize, Serialize};

use super::{Context, Latest, Panel, PanelKind};
use crate::app::action::Action;
use crate::app::data::{HeadMapsOf, measure_name};
use crate::app::session::{self, Focus};
use crate::app::theme;
use crate::figure::colour::{Gradient, Hues};
use crate::figure::scale::Scale;
use crate::figure::{Figure, FigureSpec, Labelled, Measured, Options};
use crate::measure::{HeadMap, HeadMeasure, HeadQuantity, HeadValue, Sign};
use crate::memory::Dims;

/// What the panel lets one choose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Which number.
    pub quantity: HeadQuantity,
    /// The order of the list.
    pub order: Order,
    /// What is shown where there is room for one only.
    pub show: Show,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The largest first.
    #[default]
    Largest,
    /// The smallest first.
    Smallest,
    /// By layer and head.
    Place,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// Layers by heads, and the list beside it where there is room.
    #[default]
    Map,
    /// The list alone.
    List,
}

impl Default for View {
    fn default() -> Self {
        Self { quantity: HeadQuantity::EraseStrength, order: Order::default(), show: Show::default() }
    }
}

impl session::View for View {
    const PANEL: PanelKind = PanelKind::Heads;
}

/// The panel.
#[derive(Default)]
pub struct HeadsPanel {
    maps: Latest<Vec<HeadMap>>,
}

/// A map ready to be drawn: its colours, and which head of the model a cell stands for.
struct Atlas<'a> {
    map: &'a HeadMap,
    label: String,
    scale: Scale,
    gradient: Gradient,
    focus: &'a Focus<'a>,
}

impl Panel for HeadsPanel {
    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let Some(focus) = context.focus(ui) else { return };
        let mut view: View = context.view();
        ui.horizontal_wrapped(|ui| controls(ui, &mut view));
        context.set_view(&view);
        let ask = HeadMapsOf { trace: focus.trace.clone(), measure: view.quantity.measure() };
        let answer = context.ask(&ask);
        let (maps, is_current) = self.maps.update(&answer);
        let Some(maps) = maps.filter(|maps| is_current || maps.iter().any(|map| map.quantity == view.quantity)) else {
            drop(context.show(ui, &ask));
            return;
        };
        let Some(map) = maps.iter().find(|map| map.quantity == view.quantity) else {
            let (why, command) = missing(view.quantity);
            super::notice(ui, "No head of this trace has it", &why, command);
            return;
        };
        let (scale, gradient) = colours(map, context.theme);
        let atlas = Atlas { map, label: plain(view.quantity), scale, gradient, focus: &focus };
        let room = ui.available_rect_before_wrap();
        if view.show == Show::List {
            ui.scope_builder(egui::UiBuilder::new().max_rect(room), |ui| ranked::ui(ui, context, &atlas, view.order));
        } else if room.width() > 520.0 {
            let middle = room.left() + room.width() * 0.6;
            map::ui(ui, context, &atlas, Rect::from_min_max(room.min, pos2(middle - 10.0, room.bottom())));
            let right = Rect::from_min_max(pos2(middle, room.top()), room.max);
            ui.scope_builder(egui::UiBuilder::new().max_rect(right), |ui| ranked::ui(ui, context, &atlas, view.order));
        } else {
            map::ui(ui, context, &atlas, room);
        }
        ui.allocate_rect(room, Sense::hover());
    }

    fn figure(&self, context: &Context<'_>) -> Option<(FigureSpec, Measured)> {
        let view: View = context.view();
        let focus = context.session.focus()?;
        let maps = context.ask(&HeadMapsOf { trace: focus.trace.clone(), measure: view.quantity.measure() }).ready()?.as_ref().clone();
        let options = Options { quantities: vec![view.quantity], ..Options::default() };
        let labelled = vec![Labelled::new(focus.trace.name(), maps)];
        Some((FigureSpec { options, ..FigureSpec::new(Figure::Atlas) }, Measured::Atlas(labelled)))
    }
}

fn controls(ui: &mut Ui, view: &mut View) {
    let label = ui.label("number").id;
    ComboBox::from_id_salt("quantity")
        .width(190.0)
        .height(420.0)
        .selected_text(plain(view.quantity))
        .show_ui(ui, |ui| {
            let mut last: Option<HeadMeasure> = None;
            for quantity in HeadQuantity::ALL {
                if last.replace(quantity.measure()) != Some(quantity.measure()) {
                    ui.label(RichText::new(measure_name(quantity.measure())).small().color(theme::quiet(ui)));
                }
                ui.selectable_value(&mut view.quantity, quantity, plain(quantity));
            }
        })
        .response
        .labelled_by(label);
    ui.separator();
    ui.selectable_value(&mut view.show, Show::Map, "Map").on_hover_text("Layers by heads; the sorted list beside it where there is room");
    ui.selectable_value(&mut view.show, Show::List, "List").on_hover_text("The sorted list alone, with intervals");
    ui.separator();
    let label = ui.label("order").id;
    let orders = [(Order::Largest, "largest first"), (Order::Smallest, "smallest first"), (Order::Place, "by layer and head")];
    let named = orders.iter().find(|(order, _)| *order == view.order).map_or("", |(_, name)| name);
    ComboBox::from_id_salt("order")
        .width(116.0)
        .selected_text(named)
        .show_ui(ui, |ui| {
            for (order, name) in orders {
                ui.selectable_value(&mut view.order, order, name);
            }
        })
        .response
        .labelled_by(label);
}

/// Why no head has a quantity, and what would give it.
fn missing(quantity: HeadQuantity) -> (String, Option<&'static str>) {
    let record = Some("pentimento record --model bundled:eda-stale-facts --task stale_facts -o eda.trace.zarr");
    let why = match quantity.measure() {
        HeadMeasure::Fate | HeadMeasure::Targeting | HeadMeasure::Capacity => {
            format!("{} needs a truth table that says what is stale, and an erase where it is about one. This has both:", plain(quantity))
        }
        _ => format!(
            "{} is not defined for the rules of this trace's layers, or its sequences are too short. A trace that has it:",
            plain(quantity)
        ),
    };
    (why, record)
}

/// A label without markup, for the screen.
fn plain(quantity: HeadQuantity) -> String {
    quantity.label().replace("^{2}", "²").replace("_{F}", "")
}

/// The colours of a map: about zero where the number has two signs.
fn colours(map: &HeadMap, theme: crate::figure::Theme) -> (Scale, Gradient) {
    let values = || map.heads.iter().map(|head| head.value.estimate).filter(|value| value.is_finite());
    match map.quantity.sign() {
        Sign::Signed => {
            let most = values().map(f64::abs).fold(1e-12, f64::max);
            (Scale::linear(-most, most), Gradient::signed(theme, Hues::RedBlue))
        }
        Sign::Unsigned => (Scale::around(values(), &[]), Gradient::Viridis),
    }
}

impl Atlas<'_> {
    fn dims(&self, layer: usize) -> Option<Dims> {
        self.focus.trace.layer(layer).map(|layer| layer.dims)
    }

    /// Directions belong to key heads: their numbers are one for each.
    fn of_key_heads(&self) -> bool {
        self.map.quantity.measure() == HeadMeasure::Alignment
    }

    /// The heads of the model that a number stands for: one, or those of a key head.
    fn heads_of(&self, value: &HeadValue) -> std::ops::Range<usize> {
        match self.dims(value.id.layer).filter(|_| self.of_key_heads()) {
            Some(dims) => {
                let each = (dims.head / dims.key_head.max(1)).max(1);
                value.id.head * each..(value.id.head + 1) * each
            }
            None => value.id.head..value.id.head + 1,
        }
    }

    fn holds(&self, value: &HeadValue, (layer, head): (usize, usize)) -> bool {
        value.id.layer == layer && self.heads_of(value).contains(&head)
    }

    fn is_selected(&self, value: &HeadValue) -> bool {
        self.holds(value, (self.focus.selection.layer, self.focus.selection.head))
    }

    fn name(&self, value: &HeadValue) -> String {
        let key = if self.of_key_heads() { "key head" } else { "head" };
        format!("layer {} {key} {}", value.id.layer, value.id.head)
    }

    /// Looks at a head; of a key head's, the first.
    fn select(&self, context: &mut Context<'_>, value: &HeadValue) {
        context.act(Action::SelectHead { layer: value.id.layer, head: self.heads_of(value).start });
    }

    /// The number under the pointer.
    fn told(&self, ui: &mut Ui, value: &HeadValue) {
        ui.label(RichText::new(self.name(value)).strong());
        ui.label(theme::number(format!("{} {}", self.label, value.value)));
        ui.label(RichText::new(format!("{} sequences · click: look at this head", value.value.n)).small().color(theme::quiet(ui)));
    }
}

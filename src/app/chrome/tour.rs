//! A short tour: six stops, each beside what it is about.

use egui::{Align2, RichText, Window};

use crate::app::action::{Action, Overlay};
use crate::app::bundled::BUNDLED;
use crate::app::layout::Preset;
use crate::app::panel::PanelKind;
use crate::app::session::Session;
use crate::app::theme;

struct Stop {
    title: &'static str,
    text: &'static str,
    /// What it is about comes to the front.
    about: PanelKind,
    /// Where it does not stand in the way.
    corner: Align2,
}

const STOPS: [Stop; 6] = [
    Stop {
        title: "The headline",
        text: "Cleanup against decay: every point is a token of a head. Right: the memory forgets little. Up: the step cleans up strongly. \
               The line is the mean with its interval over sequences; the grey bands are replays in which the erase knows nothing of decay. \
               A finding is a line outside the bands.",
        about: PanelKind::Cleanup,
        corner: Align2::RIGHT_TOP,
    },
    Stop {
        title: "One selection",
        text: "Click a point: the timeline, the memory and the details go to its token and head. Drag a rectangle to pick tokens; they light \
               up in every panel. Ctrl+Z takes back any of it.",
        about: PanelKind::Cleanup,
        corner: Align2::RIGHT_TOP,
    },
    Stop {
        title: "The timeline",
        text: "Tokens, facts as bars while they are true (pale once stale), questions, and the gates. Space plays, arrows step, up and down \
               change the head, Page Up and Down the sequence.",
        about: PanelKind::Timeline,
        corner: Align2::CENTER_TOP,
    },
    Stop {
        title: "The memory",
        text: "The matrix before the step, after decay, after the erase, after the write; or what each of them changed. Hold the scale fixed \
               to compare steps; hover for an entry.",
        about: PanelKind::Memory,
        corner: Align2::LEFT_TOP,
    },
    Stop {
        title: "From one erase to one answer",
        text: "Knockouts shows the later answer that the erase looked at serves most, and what the model would say without it: the whole \
               network run again, exactly. Click another erase of the list, or move the slider of its strength.",
        about: PanelKind::Knockouts,
        corner: Align2::LEFT_TOP,
    },
    Stop {
        title: "Take it with you",
        text: "The arrow at a panel's upper right exports what you see as SVG, PDF and PNG, with its numbers and where they come from. \
               Ctrl+P finds everything that can be done, F1 lists the keys, Details has a glossary with the equations.",
        about: PanelKind::Details,
        corner: Align2::CENTER_TOP,
    },
];

/// Draws the stop.
pub fn ui(context: &egui::Context, session: &Session, is_new: bool, stop: &mut usize, actions: &mut Vec<Action>) {
    if is_new {
        *stop = 0;
        if session.traces().is_empty() {
            // There is nothing to show without a trace.
            actions.push(Action::OpenBundled(BUNDLED[0].name.to_owned()));
        }
        actions.push(Action::Arrange(Preset::Overview));
    }
    let here = &STOPS[(*stop).min(STOPS.len() - 1)];
    let before = *stop;
    let offset = [here.corner.x().to_factor() * -120.0 + 60.0, 96.0];
    Window::new("Tour").title_bar(false).collapsible(false).resizable(false).anchor(here.corner, offset).show(context, |ui| {
        ui.set_width(440.0);
        ui.label(RichText::new(here.title).heading());
        ui.add_space(4.0);
        ui.label(here.text);
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            let last = *stop + 1 == STOPS.len();
            if ui.button(if last { "Begin" } else { "Next" }).clicked() {
                if last {
                    actions.push(Action::Toggle(Overlay::Tour));
                } else {
                    *stop += 1;
                }
            }
            if *stop > 0 && ui.button("Back").clicked() {
                *stop -= 1;
            }
            if !last && ui.button("Leave the tour").clicked() {
                actions.push(Action::Toggle(Overlay::Tour));
            }
            ui.label(RichText::new(format!("{} of {}", *stop + 1, STOPS.len())).small().color(theme::quiet(ui)));
        });
    });
    if *stop != before {
        actions.push(Action::ShowPanel(STOPS[*stop].about));
    }
}

//! A short tour: five stops.

use egui::{Align2, RichText, Window};

use crate::app::action::{Action, Overlay};
use crate::app::theme;

struct Stop {
    title: &'static str,
    text: &'static str,
}

const STOPS: [Stop; 5] = [
    Stop {
        title: "The headline",
        text: "Cleanup against decay: every point is a token of a head. Right: the memory forgets little. Up: the step cleans up strongly. \
               The line is the mean with its interval over sequences; the grey bands are replays in which the erase knows nothing of decay. \
               A finding is a line outside the bands.",
    },
    Stop {
        title: "One selection",
        text: "Click a point: the timeline, the memory and the details go to its token and head. Drag a rectangle to pick tokens; they light \
               up in every panel. Ctrl+Z takes back any of it.",
    },
    Stop {
        title: "The timeline",
        text: "Tokens, facts as bars while they are true (pale once stale), questions, and the gates. Space plays, arrows step, up and down \
               change the head, Page Up and Down the sequence.",
    },
    Stop {
        title: "The memory",
        text: "The matrix before the step, after decay, after the erase, after the write; or what each of them changed. Hold the scale fixed \
               to compare steps; hover for an entry.",
    },
    Stop {
        title: "Take it with you",
        text: "The arrow at a panel's upper right exports what you see as SVG, PDF and PNG, with its numbers and where they come from. \
               Ctrl+P finds everything that can be done, F1 lists the keys, Details has a glossary with the equations.",
    },
];

/// Draws the stop.
pub fn ui(context: &egui::Context, is_new: bool, stop: &mut usize, actions: &mut Vec<Action>) {
    if is_new {
        *stop = 0;
    }
    let here = &STOPS[(*stop).min(STOPS.len() - 1)];
    Window::new("Tour").title_bar(false).collapsible(false).resizable(false).anchor(Align2::CENTER_CENTER, [0.0, 0.0]).show(
        context,
        |ui| {
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
        },
    );
}

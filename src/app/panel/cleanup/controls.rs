//! What the plot lets one choose.

use egui::{ComboBox, Ui};

use super::{Scope, View};
use crate::measure::{DecayAxis, Null, Strength};

/// Choosers of the vertical and the horizontal axis of cleanup against decay.
pub fn axes(ui: &mut Ui, strength: &mut Strength, decay: &mut DecayAxis) {
    let label = ui.label("y");
    ComboBox::from_id_salt("strength")
        .width(150.0)
        .selected_text(strength.label())
        .show_ui(ui, |ui| {
            for choice in Strength::ALL {
                ui.selectable_value(strength, choice, choice.label()).on_hover_text(explain(choice));
            }
        })
        .response
        .labelled_by(label.id)
        .on_hover_text(explain(*strength));
    let label = ui.label("x");
    ComboBox::from_id_salt("decay")
        .width(130.0)
        .selected_text(decay.label())
        .show_ui(ui, |ui| {
            for choice in DecayAxis::ALL {
                ui.selectable_value(decay, choice, choice.label());
            }
        })
        .response
        .labelled_by(label.id);
}

/// The row of controls.
pub fn ui(ui: &mut Ui, view: &mut View) {
    axes(ui, &mut view.strength, &mut view.decay);
    ui.separator();
    for (scope, name, help) in [
        (Scope::All, "all heads", "Every head of every layer"),
        (Scope::Layer, "this layer", "The heads of the layer looked at"),
        (Scope::Head, "this head", "The head looked at alone, with nulls and intervals of its own"),
    ] {
        ui.selectable_value(&mut view.scope, scope, name).on_hover_text(help);
    }
    ui.separator();
    ui.menu_button("Show", |ui| {
        ui.checkbox(&mut view.logit, "Log-odds axis").on_hover_text("Spreads retention near 1, where decay is weak");
        ui.checkbox(&mut view.density, "Counts instead of points").on_hover_text("More than 20,000 points are always counts");
        ui.checkbox(&mut view.marginals, "Histograms along the edges");
        ui.separator();
        ui.label(egui::RichText::new("Bands: replays that know nothing of decay").small());
        for null in Null::ALL {
            let mut shown = view.nulls.contains(&null);
            if ui.checkbox(&mut shown, null.label()).changed() {
                view.nulls.retain(|other| *other != null);
                if shown {
                    view.nulls.push(null);
                    view.nulls.sort();
                }
            }
        }
    });
}

fn explain(strength: Strength) -> &'static str {
    match strength {
        Strength::EraseStrength => "γ, the erase gate itself",
        Strength::GateShare => "The erase's share of gate strength: an allocation of gates, not removed energy",
        Strength::RemovedEnergy => "The share of the memory's energy that the erase of the step removes",
        Strength::UniqueContribution => {
            "What the erase alone did to the write that is one window old: its survival without the erase less its survival with it"
        }
    }
}

//! What if: sliders for erase strength and direction, a list of further changes, and ways to take them elsewhere.

use egui::{ComboBox, RichText, Slider, Ui};

use super::{Entry, Reading, Scope, Shared, View};
use crate::app::data::{Edits, Handle, Model, Target};
use crate::app::panel::Context;
use crate::app::theme;
use crate::intervene::{Address, Change, Intervention, Interventions, Replacement, Steps, Where};

/// Directions to choose from, and what each is for.
pub const ADDRESSES: [(Address, &str, &str); 6] = [
    (Address::Random, "random", "A random direction for every token and head: the strength without the aim"),
    (Address::Write, "write key", "e := k, the step's own write direction"),
    (Address::ShuffledSteps, "of other steps", "The head's learned directions, exchanged between steps"),
    (Address::ShuffledHeads, "of other heads", "The step's learned directions, exchanged between heads (the paper's control)"),
    (Address::Query, "where it reads", "e := q: it erases where it will read"),
    (Address::Superseded, "the stale key", "The key of the write that went stale last, by the truth table"),
];

/// Which erases the slider is about.
pub fn target(shared: &Shared<'_>, view: &View) -> Target {
    let erase = shared.erase;
    match view.scope {
        Scope::Event => Target::Event { layer: erase.layer, head: erase.head, step: erase.step },
        Scope::Head => Target::Head { layer: erase.layer, head: erase.head },
        Scope::All => Target::All,
    }
}

/// Everything but the slider: the list and the direction.
pub fn beside(shared: &Shared<'_>, view: &View) -> Vec<Intervention> {
    let listed = view.list.iter().filter(|entry| entry.on).map(|entry| entry.change.clone());
    let moved = view
        .address
        .filter(|_| shared.has_erase || view.scope == Scope::All)
        .map(|address| Intervention { change: Change::EraseAddress { address }, at: target(shared, view).place() });
    listed.chain(moved).collect()
}

/// Everything that is changed.
pub fn edits(shared: &Shared<'_>, view: &View) -> Vec<Intervention> {
    let mut all = beside(shared, view);
    if (view.factor - 1.0).abs() > 1e-9 && (shared.has_erase || view.scope == Scope::All) {
        all.push(target(shared, view).scaled(view.factor));
    }
    all
}

/// The controls and the list.
pub fn ui(ui: &mut Ui, context: &mut Context<'_>, shared: &Shared<'_>, view: &mut View, model: Option<&Handle<Model>>) {
    ui.label(theme::heading("What if"));
    ui.horizontal_wrapped(|ui| {
        let erase = shared.erase;
        let event = format!("this erase (step {})", erase.step);
        let head = format!("head L{} H{}", erase.layer, erase.head);
        for (scope, name, help) in [
            (Scope::Event, event.as_str(), "The erase looked at alone"),
            (Scope::Head, head.as_str(), "Every erase of the head looked at"),
            (Scope::All, "every erase", "Every erase of every layer and head"),
        ] {
            ui.selectable_value(&mut view.scope, scope, name).on_hover_text(help);
        }
    });
    ui.horizontal_wrapped(|ui| {
        ui.add(Slider::new(&mut view.factor, 0.0..=2.0).step_by(0.01).fixed_decimals(2).text("× γ"))
            .on_hover_text("Erase strength times this: 0 leaves it out, 1 is as it is, beyond it may overshoot");
        if ui.button("as it is").on_hover_text("Strength times 1, learned direction").clicked() {
            (view.factor, view.address) = (1.0, None);
        }
        if ui.button("left out").on_hover_text("Strength times 0").clicked() {
            view.factor = 0.0;
        }
    });
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("erases at");
        let named = |address: Option<Address>| {
            address.and_then(|address| ADDRESSES.iter().find(|known| known.0 == address)).map_or("the learned direction", |known| known.1)
        };
        ComboBox::from_id_salt("direction")
            .width(130.0)
            .selected_text(named(view.address))
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut view.address, None, named(None));
                for (address, name, help) in ADDRESSES {
                    ui.selectable_value(&mut view.address, Some(address), name).on_hover_text(help);
                }
            })
            .response
            .labelled_by(label.id);
        more(ui, shared, view);
    });
    if view.address == Some(Address::ShuffledHeads) && view.scope != Scope::All {
        let note = "Exchanged among the heads of the layer; only the chosen place takes what it gets.";
        ui.label(RichText::new(note).small().color(theme::quiet(ui)));
    }
    list(ui, view);
    take_away(ui, context, shared, view, model);
}

/// Further changes for the list.
fn more(ui: &mut Ui, shared: &Shared<'_>, view: &mut View) {
    let now = {
        let mut slider = view.clone();
        slider.list.clear();
        edits(shared, &slider)
    };
    let mut add = Vec::new();
    if ui
        .add_enabled(!now.is_empty(), egui::Button::new("Add to the list"))
        .on_hover_text("Keeps this change while others are tried")
        .clicked()
    {
        add.extend(now);
        (view.factor, view.address) = (1.0, None);
    }
    let erase = shared.erase;
    ui.menu_button("Other changes", |ui| {
        let here = Where::event(erase.layer, erase.head, erase.step);
        let head = Where::head(erase.layer, erase.head);
        let mut offers = vec![
            (format!("No write at step {} of this head", erase.step), Intervention { change: Change::RemoveWrite, at: here.clone() }),
            (format!("No decay at step {} of this head", erase.step), Intervention { change: Change::NoDecay, at: here.clone() }),
            ("No decay in this head".to_owned(), Intervention { change: Change::NoDecay, at: head.clone() }),
            ("No erase in this head".to_owned(), Intervention { change: Change::RemoveErase, at: head }),
        ];
        if let Some(write) = shared.focus.selection.write {
            if write <= erase.step {
                let retract = Intervention { change: Change::Retract { write }, at: here.clone() };
                offers.push((format!("Retract the write of step {write} at step {}", erase.step), retract));
                let forget = Intervention { change: Change::ForgetKey { write, ridge: 1e-3 }, at: here };
                offers.push((format!("Forget the key of step {write} at step {}", erase.step), forget));
            }
            if write != erase.step {
                let at = Where { steps: Steps::All, ..Where::head(erase.layer, erase.head) };
                let change = Change::ReplaceValue { write, value: Replacement::OfStep(erase.step) };
                offers.push((format!("Step {write} writes the value of step {}", erase.step), Intervention { change, at }));
            }
        } else {
            ui.label(RichText::new("Click a write in the timeline to retract or forget it.").small().color(theme::quiet(ui)));
        }
        for (name, change) in offers {
            if ui.button(name).clicked() {
                add.push(change);
                ui.close();
            }
        }
    });
    view.list.extend(add.into_iter().map(|change| Entry { change, on: true }));
}

/// The changes made beside the slider's.
fn list(ui: &mut Ui, view: &mut View) {
    let mut gone = None;
    for (place, entry) in view.list.iter_mut().enumerate() {
        ui.horizontal(|ui| {
            ui.checkbox(&mut entry.on, entry.change.to_string());
            let remove = ui.small_button("×").on_hover_text("Take it off the list");
            remove
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Remove change {} from the list", place + 1)));
            if remove.clicked() {
                gone = Some(place);
            }
        });
    }
    if let Some(place) = gone {
        view.list.remove(place);
    }
}

/// The changes as a file, and as a command that gives the same numbers.
fn take_away(ui: &mut Ui, context: &Context<'_>, shared: &Shared<'_>, view: &View, model: Option<&Handle<Model>>) {
    let all = edits(shared, view);
    let Ok(toml) = (Interventions { intervention: all.clone() }).to_toml() else { return };
    ui.add_enabled_ui(!all.is_empty(), |ui| {
        ui.horizontal_wrapped(|ui| {
            if ui.button("Copy as TOML").on_hover_text("The changes as `pentimento knockout --do` reads them").clicked() {
                ui.ctx().copy_text(toml.clone());
            }
            if ui.button("Save …").on_hover_text("The same as a file").clicked() {
                save(context, toml.clone());
            }
            let command = command(shared, model.map(|model| model.name.as_str()));
            if ui.button("Copy the command").on_hover_text("Writes the file and runs the same replay in a shell").clicked() {
                ui.ctx().copy_text(format!("cat > what-if.toml <<'END'\n{toml}END\n{command} --do what-if.toml\n"));
            }
        });
    });
}

/// The command whose numbers the panel shows.
pub fn command(shared: &Shared<'_>, model: Option<&str>) -> String {
    let path = shared.focus.trace.trace().path().display().to_string();
    let quoted =
        |text: &str| if text.contains([' ', '\'', '"', '$']) { format!("'{}'", text.replace('\'', r"'\''")) } else { text.to_owned() };
    let reading = match shared.reading {
        Reading::Question(number) => format!("--question {number}"),
        Reading::Step(step) => format!("--step {step}"),
    };
    let model = model
        .filter(|_| matches!(shared.reading, Reading::Question(_)))
        .map_or_else(String::new, |name| format!(" --model {}", quoted(name)));
    format!("pentimento knockout {} --batch {} {reading}{model}", quoted(&path), shared.sequence.index)
}

fn save(context: &Context<'_>, toml: String) {
    context.jobs.wait_for("the save dialog", move || {
        let dialog = rfd::FileDialog::new().set_title("Save the interventions").set_file_name("what-if.toml");
        if let Some(path) = dialog.save_file() {
            std::fs::write(&path, toml).map_err(|error| format!("the interventions cannot be written ({error}): {}", path.display()))?;
        }
        Ok(Vec::new())
    });
}

/// What is changed, for keys.
pub fn key(interventions: &[Intervention]) -> Edits {
    Edits::new(interventions)
}

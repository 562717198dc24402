//! Which model, and what it reads.

use egui::{ComboBox, DragValue, RichText, TextEdit, Ui};

use super::{Reads, View};
use crate::app::action::Action;
use crate::app::data::{DrawnExample, Model};
use crate::app::panel::{Context, PanelKind};
use crate::app::theme;
use crate::task::{Condition, TaskSpec, TokenClass};

/// Words shown of each class.
const WORDS: usize = 160;

/// The model chooser.
pub fn model(ui: &mut Ui, context: &Context<'_>, view: &mut View, models: &[String]) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Model");
        ComboBox::from_id_salt("model")
            .width(220.0)
            .selected_text(&view.model)
            .show_ui(ui, |ui| {
                for name in models {
                    ui.selectable_value(&mut view.model, name.clone(), name);
                }
            })
            .response
            .labelled_by(label.id);
        if ui.button("A folder …").on_hover_text("A folder with config.json and weights.safetensors").clicked() {
            let mut next = view.clone();
            context.jobs.wait_for("the folder dialog", move || {
                let picked = rfd::FileDialog::new().set_title("A folder with config.json and weights.safetensors").pick_folder();
                let Some(folder) = picked else { return Ok(Vec::new()) };
                next.model = folder.display().to_string();
                let view = serde_json::to_value(&next).map_err(|error| error.to_string())?;
                Ok(vec![Action::SetView { panel: PanelKind::Live, view }])
            });
        }
    });
}

/// What the model is made of.
pub fn about(ui: &mut Ui, model: &Model) {
    let config = model.opened.model.config();
    let mut rules: Vec<String> = config.rules().into_iter().map(|(_, rule)| rule.to_string()).collect();
    let n_memories = rules.len();
    rules.dedup();
    let text = format!(
        "{} layers, {n_memories} with a memory ({}), {} parameters, {} tokens",
        config.n_layers,
        rules.join(", "),
        grouped(model.n_parameters),
        config.vocabulary
    );
    ui.label(RichText::new(text).small().color(theme::quiet(ui)));
}

/// `1,613,896`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = if first > 0 { vec![&digits[..first]] } else { Vec::new() };
    parts.extend((first..digits.len()).step_by(3).map(|from| &digits[from..from + 3]));
    parts.join(",")
}

/// The text or the task.
pub fn ui(ui: &mut Ui, view: &mut View, model: &Model, drawn: Option<&crate::app::data::Handle<DrawnExample>>) {
    ui.horizontal_wrapped(|ui| {
        ui.selectable_value(&mut view.reads, Reads::Task, "a task's example");
        if ui.selectable_value(&mut view.reads, Reads::Text, "a text of mine").clicked()
            && view.text.is_empty()
            && let Some(drawn) = drawn
        {
            // To begin with something that the model can read.
            view.text = drawn.words.join(" ");
        }
    });
    match view.reads {
        Reads::Task => task(ui, view, drawn.map(|drawn| &drawn.conditions[..]).unwrap_or_default()),
        Reads::Text => text(ui, view, model),
    }
    for (word, near) in drawn.map(|drawn| &drawn.unknown[..]).unwrap_or_default() {
        ui.horizontal_wrapped(|ui| {
            let said = format!("The model does not know '{word}': it is left out.");
            ui.label(RichText::new(said).color(ui.visuals().warn_fg_color));
            if let Some(near) = near
                && ui.button(format!("Read '{near}' instead")).clicked()
            {
                let replaced = |other: &str| if other == word { near.clone() } else { other.to_owned() };
                view.text = view.text.split_whitespace().map(replaced).collect::<Vec<_>>().join(" ");
            }
        });
    }
}

fn task(ui: &mut Ui, view: &mut View, conditions: &[Condition]) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("task");
        ComboBox::from_id_salt("task")
            .selected_text(&view.task)
            .show_ui(ui, |ui| {
                for spec in TaskSpec::all().iter().filter(|spec| !matches!(spec, TaskSpec::Text(_))) {
                    ui.selectable_value(&mut view.task, spec.name().to_owned(), spec.name()).on_hover_text(spec.about());
                }
            })
            .response
            .labelled_by(label.id);
        let label = ui.label("seed");
        ui.add(DragValue::new(&mut view.seed)).labelled_by(label.id);
        let label = ui.label("sequence");
        ui.add(DragValue::new(&mut view.index)).labelled_by(label.id);
        let next = ui.button("next").on_hover_text("The next sequence of the task");
        if next.clicked() {
            view.index += 1;
        }
        if conditions.is_empty() {
            view.condition = None;
            return;
        }
        let label = ui.label("condition");
        let named = |condition: Option<Condition>| {
            condition.map_or_else(|| "as drawn".to_owned(), |condition| format!("{}: {condition}", condition.letter()))
        };
        ComboBox::from_id_salt("condition")
            .width(150.0)
            .selected_text(named(view.condition))
            .show_ui(ui, |ui| {
                for condition in std::iter::once(None).chain(conditions.iter().copied().map(Some)) {
                    ui.selectable_value(&mut view.condition, condition, named(condition));
                }
            })
            .response
            .labelled_by(label.id);
    });
}

fn text(ui: &mut Ui, view: &mut View, model: &Model) {
    let hint =
        if model.opened.vocabulary.is_some() { "words of the model, with spaces between" } else { "token numbers, with spaces between" };
    let edit = TextEdit::multiline(&mut view.text).hint_text(hint).desired_rows(2).desired_width(f32::INFINITY);
    ui.add(edit).widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Text for the model to read"));
    let Some(vocabulary) = &model.opened.vocabulary else { return };
    egui::CollapsingHeader::new(format!("The {} words it knows", vocabulary.len())).id_salt("words").show(ui, |ui| {
        for (class, name) in [
            (TokenClass::Marker, "grammar"),
            (TokenClass::Key, "keys"),
            (TokenClass::Role, "roles"),
            (TokenClass::Value, "values"),
            (TokenClass::Filler, "filler"),
        ] {
            let tokens = vocabulary.tokens_of(class);
            if tokens.is_empty() {
                continue;
            }
            ui.label(RichText::new(name).small().color(theme::quiet(ui)));
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = egui::vec2(3.0, 3.0);
                for &token in tokens.iter().take(WORDS) {
                    let word = vocabulary.word(token);
                    if ui.small_button(word).on_hover_text("Click to add it to the text").clicked() {
                        append(&mut view.text, word);
                    }
                }
                if tokens.len() > WORDS {
                    ui.label(RichText::new(format!("and {} more", tokens.len() - WORDS)).small().color(theme::quiet(ui)));
                }
            });
        }
    });
}

/// A word at the end of a text.
pub fn append(text: &mut String, word: &str) {
    if !text.is_empty() && !text.ends_with(char::is_whitespace) {
        text.push(' ');
    }
    text.push_str(word);
}

//! What to fit, and on which trace; or whose cards to open.

use egui::{ComboBox, RichText, Ui};

use super::{Run, Source, View, open_of, under_way};
use crate::app::data::{Asked, Cards, Heads, ReadoutsOf};
use crate::app::jobs::Answer;
use crate::app::open_trace::OpenTrace;
use crate::app::panel::{Context, notice};
use crate::app::theme;
use crate::memory::Phase;
use crate::readout::{Extra, Feature, Target};

/// Where the cards come from; whether there is a choice.
pub fn source(ui: &mut Ui, context: &Context<'_>, view: &mut View) -> bool {
    let trace = context.session.focus().map(|focus| focus.trace.name().to_owned());
    let of_trace = trace.as_ref().map_or_else(|| "a trace".to_owned(), |name| format!("trace {name}"));
    let results: Vec<(Source, String)> = context
        .session
        .results()
        .iter()
        .enumerate()
        .flat_map(|(file, open)| {
            let of = move |(model, (name, _)): (usize, (&str, _))| {
                let title = if name.is_empty() { open.name().to_owned() } else { format!("{}: {name}", open.name()) };
                (Source::Results { file, model }, title)
            };
            open.readouts().into_iter().enumerate().map(of).collect::<Vec<_>>()
        })
        .collect();
    if results.is_empty() {
        return false;
    }
    let label = ui.label("cards of");
    let title = results.iter().find(|(source, _)| *source == view.source).map_or(&of_trace, |(_, title)| title);
    ComboBox::from_id_salt("source")
        .selected_text(title)
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut view.source, Source::Trace, &of_trace);
            for (source, title) in &results {
                ui.selectable_value(&mut view.source, source.clone(), title);
            }
        })
        .response
        .labelled_by(label.id);
    true
}

/// The cards of the first open results that have some.
pub fn first_opened(context: &Context<'_>) -> Option<Source> {
    let files = context.session.results().iter().enumerate();
    files.flat_map(|(file, open)| (0..open.readouts().len()).map(move |model| Source::Results { file, model })).next()
}

/// The row of choices, then the cards if they are there.
pub fn trace(ui: &mut Ui, context: &mut Context<'_>, view: &mut View) -> Option<Cards> {
    let focus = context.focus(ui)?;
    let trace = focus.trace;
    let at = (focus.selection.layer, focus.selection.head);
    let run = view.run_of(trace).cloned();
    let mut start = false;
    ui.horizontal_wrapped(|ui| {
        if source(ui, context, view) {
            ui.separator();
        }
        choices(ui, context, view, trace, at);
        let count = view.asked.n_cards(trace.trace());
        let wanted = Run { trace: trace.source().clone(), untrained: view.untrained.clone(), asked: view.asked.clone() };
        let is_new = run.as_ref() != Some(&wanted);
        let (checked, why) = match view.asked.options().check() {
            Ok(()) => (count > 0, "Choose something to read out".to_owned()),
            Err(error) => (false, error.to_string()),
        };
        let button = ui.add_enabled(checked && is_new, egui::Button::new(RichText::new(format!("Fit {count} readouts")).strong()));
        start = button.on_disabled_hover_text(if checked { "These are the cards shown" } else { &why }).clicked();
        if start {
            view.runs.retain(|run| run.trace != wanted.trace);
            view.runs.push(wanted);
        }
    });
    let Some(run) = view.run_of(trace).cloned() else {
        let command = view.asked.command("TRACE");
        notice(
            ui,
            "No readout has been fitted yet",
            "Choose above what is to be read out and fit it here; or open the results.json of an experiment; or on the command line:",
            Some(&command),
        );
        return None;
    };
    let ask = readouts(context, trace, &run);
    match context.ask(&ask) {
        Answer::Ready(found) => Some(Cards::Fitted(found)),
        Answer::Failed(said) => {
            notice(ui, "Nothing can be read out of this trace", &said, Some(&view.asked.command("TRACE")));
            None
        }
        answer @ Answer::Pending { .. } => {
            if under_way(ui, context, &ask, &answer) {
                view.runs.retain(|other| *other != run);
            }
            None
        }
    }
}

/// The question that a run asks.
pub fn readouts(context: &Context<'_>, trace: &OpenTrace, run: &Run) -> ReadoutsOf {
    let untrained = run.untrained.as_ref().and_then(|source| open_of(context, source)).cloned();
    ReadoutsOf { trace: trace.clone(), untrained, asked: run.asked.clone() }
}

fn choices(ui: &mut Ui, context: &Context<'_>, view: &mut View, trace: &OpenTrace, at: (usize, usize)) {
    let asked = &mut view.asked;
    ui.menu_button("Targets", |ui| {
        for (target, help) in [
            (Target::Stale, "The value that is no longer true"),
            (Target::Current, "The value that is true now"),
            (Target::Never, "A value that stands nowhere in the sequence: must be chance"),
            (Target::Age, "Steps since the content was written"),
            (Target::IsStale, "Whether what was written at an address is stale; needs the feature read"),
        ] {
            choice(ui, &mut asked.targets, target, crate::experiment::curve_words(target), help);
        }
    });
    ui.menu_button("Features", |ui| {
        for (feature, help) in [
            (Feature::Read, "What the memory says at one address, S^T k"),
            (Feature::State, "The whole memory, flattened: slower"),
            (Feature::Singular, "The memory in its strongest directions"),
        ] {
            choice(ui, &mut asked.features, feature, &feature.to_string(), help);
        }
    });
    ui.menu_button("Phases and ages", |ui| {
        for phase in Phase::ALL {
            choice(ui, &mut asked.phases, phase, &phase.to_string(), "Phase of the step");
        }
        asked.phases.sort_unstable();
        ui.separator();
        ui.label(RichText::new("Steps after the content went stale").small());
        for lag in [0, 1, 2, 4, 8, 12, 16, 24, 32] {
            choice(ui, &mut asked.lags, lag, &format!("{lag}"), "More than one make the curve by age");
        }
        asked.lags.sort_unstable();
        ui.checkbox(&mut asked.questions, "At the questions too");
    });
    heads(ui, asked, at);
    ui.menu_button("More", |ui| more(ui, context, view, trace));
}

fn heads(ui: &mut Ui, asked: &mut Asked, (layer, head): (usize, usize)) {
    let words = |heads: Heads| match heads {
        Heads::All => "all heads".to_owned(),
        Heads::Layer(layer) => format!("layer {layer}"),
        Heads::Head(layer, head) => format!("layer {layer} head {head}"),
    };
    let label = ui.label("of");
    ComboBox::from_id_salt("heads")
        .width(96.0)
        .selected_text(words(asked.heads))
        .show_ui(ui, |ui| {
            for heads in [Heads::All, Heads::Layer(layer), Heads::Head(layer, head)] {
                let help = if matches!(heads, Heads::Head(..)) { "Fastest; without the control 'wrong head'" } else { "" };
                let entry = ui.selectable_value(&mut asked.heads, heads, words(heads));
                if !help.is_empty() {
                    entry.on_hover_text(help);
                }
            }
        })
        .response
        .labelled_by(label.id);
}

/// What is seldom chosen.
fn more(ui: &mut Ui, context: &Context<'_>, view: &mut View, trace: &OpenTrace) {
    let asked = &mut view.asked;
    ui.checkbox(&mut asked.logistic, "Logistic instead of ridge");
    ui.horizontal(|ui| {
        let label = ui.label("Permutations").id;
        ui.add(egui::DragValue::new(&mut asked.permutations).range(20..=10_000)).labelled_by(label);
    });
    ui.horizontal(|ui| {
        let label = ui.label("Seed").id;
        ui.add(egui::DragValue::new(&mut asked.seed)).labelled_by(label);
    });
    ui.separator();
    ui.label(RichText::new("On the card, beside score and controls").small());
    for (extra, name) in [
        (Extra::Ceiling, "Ceiling"),
        (Extra::Equivalence, "Whether nothing is left"),
        (Extra::Information, "V-information (slower)"),
        (Extra::DescriptionLength, "Description length (slower)"),
        (Extra::Erasure, "Erasure of the stale value (slower)"),
    ] {
        choice(ui, &mut asked.extras, extra, name, "");
    }
    ui.separator();
    ui.label(RichText::new("Control: the same sequences, a model never trained").small());
    ui.radio_value(&mut view.untrained, None, "none");
    let same = |other: &&OpenTrace| {
        let (one, two) = (other.trace(), trace.trace());
        **other != *trace && one.n_batch() == two.n_batch() && one.n_steps() == two.n_steps()
    };
    for other in context.session.traces().iter().filter(same) {
        ui.radio_value(&mut view.untrained, Some(other.source().clone()), other.name());
    }
    ui.label(RichText::new("Open its trace beside this one to choose it.").small().color(theme::quiet(ui)));
}

/// One of several in a list.
fn choice<T: PartialEq>(ui: &mut Ui, chosen: &mut Vec<T>, one: T, name: &str, help: &str) {
    let mut is_in = chosen.contains(&one);
    let found = ui.checkbox(&mut is_in, name);
    let found = if help.is_empty() { found } else { found.on_hover_text(help) };
    if found.changed() {
        chosen.retain(|other| *other != one);
        if is_in {
            chosen.push(one);
        }
    }
}

//! What actions ask of the world outside the session: files, dialogs, the window.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::action::{Action, Effect, Outside, Overlay, Sought};
use super::bundled;
use super::core::{Core, LAST_SESSION};
use super::data::is_checkpoint;
use super::jobs::Weight;
use super::layout::Preset;
use super::open_results::{FileKind, OpenResults};
use super::open_trace::{OpenTrace, TraceSource};
use super::panel::{Context, Hover, PanelKind, live};
use super::workspace::{EXTENSION, Workspace};
use crate::figure::{FigureSpec, Format, render};
use crate::provenance::Provenance;

/// Has the effect, or starts the task that will have it.
pub fn perform(core: &mut Core, effect: Effect) {
    match effect {
        Effect::Open(path) => open(core, path),
        Effect::OpenSource(source) => open_source(core, source),
        Effect::Say(text) => core.say(&text),
        Effect::Outside(outside) => match outside {
            Outside::OpenDialog => open_dialog(core),
            Outside::SaveWorkspaceDialog => save_dialog(core),
            Outside::SaveWorkspace(path) => save_workspace(core, path),
            Outside::ExportDialog(panel) => export_dialog(core, panel),
            Outside::Export { panel, stem, formats } => export(core, panel, stem, formats),
            Outside::Screenshot(_) | Outside::Quit => core.for_window.push(outside),
        },
    }
}

/// A directory is a trace or a model, a file a workspace or results; the metadata inside a trace stands for the trace, weights and
/// configuration for their model, for dialogs that pick files only.
fn open(core: &mut Core, path: PathBuf) {
    let is_named = |names: &[&str]| path.file_name().is_some_and(|name| names.iter().any(|known| name == *known));
    let parent = || absolute(&path).parent().map(Path::to_path_buf);
    let model = if is_named(&["config.json", "weights.safetensors"]) { parent() } else { Some(absolute(&path)) };
    if let Some(model) = model.filter(|folder| is_checkpoint(folder)) {
        return open_model(core, &model);
    }
    let path = if is_named(&["zarr.json"]) { parent().unwrap_or(path) } else { path };
    if path.is_dir() || !path.exists() {
        return open_source(core, TraceSource::Path(absolute(&path)));
    }
    if path.extension().is_some_and(|ending| ending == EXTENSION) {
        return open_workspace(core, &path);
    }
    let path = absolute(&path);
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    core.jobs.start(Weight::Light, format!("opening {name}"), move |_| match FileKind::of(&path) {
        FileKind::Results => Ok(vec![Action::OpenedResults(OpenResults::open(&path)?)]),
        FileKind::Workspace => Ok(vec![Action::Restore(Box::new(Workspace::read(&path).map_err(super::data::said)?))]),
    });
}

/// A model is opened in the panel that runs it; what was chosen there otherwise stays.
fn open_model(core: &mut Core, folder: &Path) {
    let before: live::View = core.session.view();
    let view = live::View { model: folder.display().to_string(), steps: Some(0), branches: Vec::new(), branch: 0, ..before };
    let view = serde_json::to_value(view).expect("plain data serialises");
    let has_traces = !core.session.traces().is_empty();
    core.act(Action::SetView { panel: PanelKind::Live, view });
    core.act(if has_traces { Action::ShowPanel(PanelKind::Live) } else { Action::Arrange(Preset::Live) });
}

fn open_workspace(core: &mut Core, path: &Path) {
    match Workspace::read(path) {
        Ok(workspace) => {
            if path.file_name().is_none_or(|name| name != LAST_SESSION) {
                core.session.remember(&absolute(path));
            }
            core.restore(workspace);
        }
        Err(error) => core.complain("This cannot be opened", &error.to_string()),
    }
}

/// So that a workspace still finds it from another folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn open_source(core: &mut Core, source: TraceSource) {
    let folders = std::sync::Arc::clone(&core.folders);
    let title = match &source {
        TraceSource::Path(_) => format!("opening {}", source.title()),
        TraceSource::Bundled(name) => format!("recording the bundled trace {name}"),
        TraceSource::Live(name) => format!("opening {name}"),
    };
    let weight = if matches!(source, TraceSource::Path(_)) { Weight::Light } else { Weight::Heavy };
    core.jobs.start(weight, title, move |progress| {
        let open = match &source {
            TraceSource::Path(path) => OpenTrace::open(path, source.clone()).map_err(super::data::said)?,
            TraceSource::Bundled(name) => bundled::open(name, &folders.cache, progress)?,
            TraceSource::Live(name) => return Err(format!("'{name}' was a live run: run it again in the panel Live model")),
        };
        Ok(vec![Action::Opened(open)])
    });
}

/// No person closes a dialog sooner.
const SOONEST: Duration = Duration::from_millis(250);

/// The system's dialog on a thread of its own: it may stay open for long. Where there is none (a server without a desktop) it is over
/// sooner than a person could have closed it: then the window asks for the path itself.
fn dialog(core: &Core, title: &str, sought: Sought, ask: impl FnOnce() -> Option<Action> + Send + 'static) {
    core.jobs.wait_for(title, move || {
        let begin = Instant::now();
        let answer = ask();
        let was_never_seen = answer.is_none() && begin.elapsed() < SOONEST;
        let instead = was_never_seen.then_some(Action::Toggle(Overlay::Path(sought)));
        Ok(answer.or(instead).into_iter().collect())
    });
}

fn open_dialog(core: &Core) {
    dialog(core, "the open dialog", Sought::ToOpen, || {
        let picked = rfd::FileDialog::new()
            .set_title("Open a trace (its zarr.json), a model (its config.json), results or a workspace")
            .add_filter("Traces, models, results and workspaces", &["json", "safetensors", EXTENSION])
            .pick_files()?;
        Some(Action::Open(picked))
    });
}

fn save_dialog(core: &Core) {
    dialog(core, "the save dialog", Sought::Workspace, || {
        let name = format!("workspace.{EXTENSION}");
        let path = rfd::FileDialog::new().set_title("Save the workspace").set_file_name(name).save_file()?;
        Some(Outside::SaveWorkspace(path).into())
    });
}

fn save_workspace(core: &Core, path: PathBuf) {
    let workspace = core.session.workspace();
    core.jobs.start(Weight::Light, "saving the workspace", move |_| workspace.write(&path).map(|()| Vec::new()).map_err(super::data::said));
}

fn export_dialog(core: &mut Core, panel: PanelKind) {
    if figure(core, panel).is_none() {
        return nothing_to_export(core, panel);
    }
    let name = panel.name();
    dialog(core, "the export dialog", Sought::Figure(panel), move || {
        let path =
            rfd::FileDialog::new().set_title("Export as SVG, PDF and PNG with data").set_file_name(format!("{name}.svg")).save_file()?;
        Some(Outside::Export { panel, stem: path.with_extension(""), formats: vec![Format::Svg, Format::Pdf, Format::Png] }.into())
    });
}

fn nothing_to_export(core: &mut Core, panel: PanelKind) {
    core.complain(
        "Nothing to export yet",
        &format!("{} shows no finished figure: wait until it is measured, or choose another panel", panel.title()),
    );
}

/// A figure's spec and numbers, and the texts that must lie beside it, each with the end of its file name.
type Exported = (FigureSpec, crate::figure::Measured, Vec<(&'static str, String)>);

/// The figure of a panel as it would be exported.
fn figure(core: &mut Core, panel: PanelKind) -> Option<Exported> {
    let (mut next, mut actions) = (Hover::default(), Vec::new());
    let context = Context {
        session: &core.session,
        jobs: &core.jobs,
        theme: crate::figure::Theme::Light,
        hover: Hover::default(),
        hover_next: &mut next,
        actions: &mut actions,
    };
    let panel = core.panels.get(panel);
    let (spec, measured) = panel.figure(&context)?;
    Some((spec, measured, panel.beside(&context)))
}

fn export(core: &mut Core, panel: PanelKind, stem: PathBuf, formats: Vec<Format>) {
    let Some((spec, measured, beside)) = figure(core, panel) else { return nothing_to_export(core, panel) };
    let spec = FigureSpec { formats, ..spec };
    let digests = core.session.focus().and_then(|focus| focus.trace.trace().digest().map(str::to_owned));
    let provenance = Provenance { made_from: digests.into_iter().collect(), ..Provenance::here("view: export") };
    core.jobs.start(Weight::Light, format!("exporting {}", panel.title()), move |_| {
        let rendered = render(&spec, &measured, &provenance).map_err(super::data::said)?;
        let folder = stem.parent().unwrap_or_else(|| Path::new(""));
        let name = stem.file_name().map_or_else(|| panel.name().to_owned(), |name| name.to_string_lossy().into_owned());
        // The system's dialog has asked already whether to replace.
        rendered.write(folder, &name, true).map_err(super::data::said)?;
        for (ending, text) in beside {
            crate::export::whole_file(&folder.join(format!("{name}.{ending}")), text.as_bytes()).map_err(super::data::said)?;
        }
        Ok(Vec::new())
    });
}

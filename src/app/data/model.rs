//! Models that can be run again: bundled ones, those in a folder `assets/models`, and those a user has chosen.

use std::path::{Path, PathBuf};

use crate::app::data::{Handle, said};
use crate::app::jobs::{Ask, Progress};
use crate::app::open_trace::OpenTrace;
use crate::model::{BUNDLED, OpenedModel, config_of, open_model};
use crate::network::NetworkReplay;
use crate::provenance::digest;

/// Where models lie beside the program's working folder.
const FOLDER: &str = "assets/models";
/// Levels of folders that are looked through beneath it.
const DEPTH: usize = 3;

/// An open model and what it was opened as.
pub struct Model {
    /// As the command line takes it: `bundled:NAME` or a folder.
    pub name: String,
    /// The model and its words.
    pub opened: OpenedModel,
    /// How many parameters it has.
    pub n_parameters: usize,
}

impl Model {
    /// Opens one. Reads its weights.
    pub fn open(name: &str) -> Result<Self, String> {
        let opened = open_model(name, 0).map_err(said)?;
        let n_parameters = opened.model.parameters().values().map(|tensor| tensor.dims().iter().product::<usize>()).sum();
        Ok(Self { name: name.to_owned(), opened, n_parameters })
    }

    /// A token's word, if the model has words.
    pub fn word(&self, token: u32) -> Option<&str> {
        let vocabulary = self.opened.vocabulary.as_ref()?;
        vocabulary.words().get(token as usize).map(String::as_str)
    }

    /// Runs of it under interventions; `watch` is told how far they are.
    pub fn replay<'m>(&'m self, seed: u64, watch: &'m (dyn Fn(f64) -> bool + Sync)) -> NetworkReplay<'m> {
        let mut replay = NetworkReplay::new(&self.opened.model, seed);
        replay.vocabulary = self.opened.vocabulary.as_ref();
        replay.watch = Some(watch);
        replay
    }

    fn bytes(&self) -> usize {
        self.n_parameters * 4
    }
}

/// The names of the models at hand, bundled ones first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelsAtHand;

impl Ask for ModelsAtHand {
    type Answer = Vec<String>;

    fn title(&self) -> String {
        "looking for models".to_owned()
    }

    fn bytes(answer: &Vec<String>) -> usize {
        answer.iter().map(String::len).sum()
    }

    fn answer(&self, _progress: &Progress) -> Result<Vec<String>, String> {
        Ok(at_hand())
    }
}

/// A model by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AtHandOf {
    /// `bundled:NAME` or a folder.
    pub name: String,
}

impl Ask for AtHandOf {
    type Answer = Handle<Model>;

    fn title(&self) -> String {
        format!("opening the model {}", self.name)
    }

    fn bytes(answer: &Handle<Model>) -> usize {
        answer.bytes()
    }

    fn answer(&self, _progress: &Progress) -> Result<Handle<Model>, String> {
        Model::open(&self.name).map(Handle::new)
    }
}

/// The model that a trace was recorded from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelFor {
    /// The trace.
    pub trace: OpenTrace,
    /// Where the user says that it is; `None` looks among those at hand.
    pub chosen: Option<String>,
}

impl Ask for ModelFor {
    type Answer = Handle<Model>;

    fn title(&self) -> String {
        format!("looking for the model of {}", self.trace.name())
    }

    fn bytes(answer: &Handle<Model>) -> usize {
        answer.bytes()
    }

    fn answer(&self, progress: &Progress) -> Result<Handle<Model>, String> {
        let trace = self.trace.trace();
        let fits = |name: &str| -> Result<Handle<Model>, String> {
            let model = Model::open(name)?;
            NetworkReplay::of_trace(&model.opened.model, trace, 0).map_err(said)?;
            Ok(Handle::new(model))
        };
        if let Some(name) = &self.chosen {
            return fits(name);
        }
        let disturbed = trace.attributes().run.get("interventions").and_then(serde_json::Value::as_array);
        if disturbed.is_some_and(|changes| !changes.is_empty()) {
            return Err("this run was already disturbed in its memories: compare its branches in Live model, or look at the run as it is"
                .to_owned());
        }
        let made = &trace.attributes().provenance;
        if made.weights_digest.is_none() {
            return Err("the trace does not say which weights it was recorded from: it was imported, not recorded here".to_owned());
        }
        // Of the same configuration first: opening a model reads all its weights.
        let names = at_hand();
        let wanted = made.config_digest.as_deref();
        let alike = |name: &String| wanted.is_some() && config_digest(name).as_deref() == wanted;
        let mut refused = None;
        for name in names.iter().filter(|name| alike(name)) {
            progress.set(0.0)?;
            match fits(name) {
                Ok(model) => return Ok(model),
                Err(why) => refused = Some(why),
            }
        }
        let called = trace.attributes().model.pointer("/description/name").and_then(serde_json::Value::as_str);
        let called = called.map_or_else(String::new, |name| format!(" ('{name}')"));
        let because = refused.map_or_else(String::new, |why| format!(" The nearest was refused: {why}."));
        Err(format!("none of the {} models at hand has the weights that the trace was recorded from{called}.{because}", names.len()))
    }
}

/// Bundled models, then folders with a checkpoint beneath `assets/models`.
fn at_hand() -> Vec<String> {
    let mut names: Vec<String> = BUNDLED.iter().map(|bundled| format!("bundled:{}", bundled.name)).collect();
    let bundled = |path: &Path| BUNDLED.iter().any(|bundled| path.ends_with(bundled.name));
    let mut folders = Vec::new();
    checkpoints(Path::new(FOLDER), DEPTH, &mut folders);
    folders.sort();
    names.extend(folders.iter().filter(|path| !bundled(path)).map(|path| path.display().to_string()));
    names
}

/// Whether a folder holds a model: its configuration and its weights.
pub fn is_checkpoint(folder: &Path) -> bool {
    folder.join("config.json").is_file() && folder.join("weights.safetensors").is_file()
}

fn checkpoints(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if is_checkpoint(folder) {
        found.push(folder.to_path_buf());
    } else if depth > 0 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).for_each(|path| checkpoints(&path, depth - 1, found));
    }
}

fn config_digest(name: &str) -> Option<String> {
    if let Ok(config) = config_of(name) {
        return Some(digest(&config));
    }
    let text = std::fs::read_to_string(Path::new(name).join("config.json")).ok()?;
    serde_json::from_str::<crate::model::Config>(&text).ok().map(|config| digest(&config))
}

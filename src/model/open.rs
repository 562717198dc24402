//! Opening a model by what a user calls it: a bundled name, a preset, or a folder.

use std::path::Path;

use candle_core::Device;

use super::{Config, LanguageModel, ModelError, PRESETS, Preset, checkpoint::CONFIG_FILE};
use crate::spec_text;
use crate::task::Vocabulary;

/// The words of a checkpoint's tokens, beside its weights.
pub const VOCABULARY_FILE: &str = "vocabulary.json";

/// The largest preset that is built with random weights to be run, in parameters: beyond it a user surely meant something else.
const LARGEST_RANDOM: usize = 1_000_000_000;

/// A trained model inside this program.
pub struct Bundled {
    /// Its name, after `bundled:`.
    pub name: &'static str,
    /// One sentence for a list.
    pub summary: &'static str,
    config: &'static str,
    weights: &'static [u8],
    vocabulary: &'static str,
}

macro_rules! bundled {
    ($name:literal, $summary:literal) => {
        Bundled {
            name: $name,
            summary: $summary,
            config: include_str!(concat!("../../assets/models/", $name, "/config.json")),
            weights: include_bytes!(concat!("../../assets/models/", $name, "/weights.safetensors")),
            vocabulary: include_str!(concat!("../../assets/models/", $name, "/vocabulary.json")),
        }
    };
}

/// Every bundled model.
pub const BUNDLED: [Bundled; 2] = [
    bundled!("eda-stale-facts", "two EDA layers, trained on facts that go stale"),
    bundled!("kda-stale-facts", "its KDA twin: same data, same budget"),
];

impl Bundled {
    /// Its configuration.
    pub fn config(&self) -> Result<Config, ModelError> {
        serde_json::from_str(self.config).map_err(|error| ModelError::Config(error.to_string()))
    }
}

/// A model and what is known of its tokens.
pub struct OpenedModel {
    /// What it is called: `bundled:NAME`, a preset, or the last part of its path.
    pub name: String,
    /// The model, its weights frozen.
    pub model: LanguageModel,
    /// The words of its tokens, if known.
    pub vocabulary: Option<Vocabulary>,
}

/// The configuration behind `bundled:NAME` or a preset's name; builds nothing.
pub fn config_of(name: &str) -> Result<Config, ModelError> {
    match BUNDLED.iter().find(|bundled| name.strip_prefix("bundled:") == Some(bundled.name)) {
        Some(bundled) => bundled.config(),
        None => Preset::find(name).map(Preset::config).map_err(|_| unknown(name)),
    }
}

/// [`open_model`] on a device.
pub fn open_model_on(name: &str, seed: u64, device: &Device) -> Result<OpenedModel, ModelError> {
    let opened = open_model(name, seed)?;
    Ok(if device.is_cpu() { opened } else { OpenedModel { model: opened.model.to_device(device)?, ..opened } })
}

/// Opens `bundled:NAME`, a folder with `config.json` and `weights.safetensors`, or a preset with random weights drawn from `seed`.
pub fn open_model(name: &str, seed: u64) -> Result<OpenedModel, ModelError> {
    if let Some(bundled) = name.strip_prefix("bundled:") {
        return open_bundled(bundled);
    }
    let path = Path::new(name);
    if path.join(CONFIG_FILE).is_file() {
        let file = path.join(VOCABULARY_FILE);
        let text = file.is_file().then(|| std::fs::read_to_string(&file)).transpose().map_err(|source| ModelError::File {
            what: "cannot read the vocabulary",
            source,
            path: file.clone(),
        })?;
        let vocabulary = text.map(|text| serde_json::from_str(&text)).transpose();
        let vocabulary =
            vocabulary.map_err(|error| ModelError::Config(format!("the vocabulary cannot be read: {error}: {}", file.display())))?;
        let called = path.canonicalize().ok().and_then(|path| path.file_name().map(|part| part.to_string_lossy().into_owned()));
        return Ok(OpenedModel { name: called.unwrap_or_else(|| name.to_owned()), model: LanguageModel::load(path)?, vocabulary });
    }
    let Ok(preset) = Preset::find(name) else {
        return Err(unknown(name));
    };
    let parameters = preset.config().count()?.total;
    if parameters > LARGEST_RANDOM {
        let gigabytes = 4.0 * parameters as f64 / 1e9;
        return Err(ModelError::Config(format!(
            "preset '{name}' has no weights here, and random ones would take {gigabytes:.0} GB: name a folder with its checkpoint"
        )));
    }
    let (model, _) = LanguageModel::new(preset.config(), seed)?;
    Ok(OpenedModel { name: name.to_owned(), model, vocabulary: None })
}

fn open_bundled(name: &str) -> Result<OpenedModel, ModelError> {
    let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.name == name) else {
        return Err(unknown(&format!("bundled:{name}")));
    };
    let vocabulary: Vocabulary = serde_json::from_str(bundled.vocabulary).map_err(|error| ModelError::Config(error.to_string()))?;
    let model = LanguageModel::from_bytes(bundled.config()?, bundled.weights)?;
    Ok(OpenedModel { name: format!("bundled:{name}"), model, vocabulary: Some(vocabulary) })
}

fn unknown(name: &str) -> ModelError {
    ModelError::Unknown { name: name.to_owned(), hint: hint(name) }
}

fn hint(name: &str) -> String {
    let known: Vec<String> =
        BUNDLED.iter().map(|bundled| format!("bundled:{}", bundled.name)).chain(PRESETS.map(|preset| preset.name.to_owned())).collect();
    let nearest = spec_text::nearest(name, known.iter().map(String::as_str)).map(|meant| format!(" Did you mean '{meant}'?"));
    format!("{} Known names: {}.", nearest.unwrap_or_default(), known.join(", ")).trim_start().to_owned()
}

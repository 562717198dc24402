//! What can be wrong with a model, its configuration or its checkpoint.

use std::path::PathBuf;

use crate::memory::{MemoryError, cuda::CudaError};

/// What can be wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A configuration that cannot be built.
    #[error("model configuration: {0}")]
    Config(String),
    /// A preset name that is not in the list.
    #[error("unknown model '{name}': known are {known}")]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Neither a bundled model, nor a preset, nor a folder with a checkpoint.
    #[error("no model '{name}': it is no folder with config.json and weights.safetensors, and no known name. {hint}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant, and what there is.
        hint: String,
    },
    /// A checkpoint lacks a tensor its configuration asks for.
    #[error("the checkpoint has no tensor '{name}' {wanted:?}, which its configuration asks for: is this the weights' own config?")]
    MissingTensor {
        /// The tensor.
        name: String,
        /// The shape it should have.
        wanted: Vec<usize>,
    },
    /// A tensor of a checkpoint has another shape than its configuration implies.
    #[error(
        "tensor '{name}' has shape {found:?} in the checkpoint, but the configuration asks for {wanted:?}: is this the weights' own config?"
    )]
    TensorShape {
        /// The tensor.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape the configuration implies.
        wanted: Vec<usize>,
    },
    /// A checkpoint holds a tensor that its configuration has no place for.
    #[error("the checkpoint holds tensor '{name}', for which its configuration has no place: is this the weights' own config?")]
    UnexpectedTensor {
        /// The tensor.
        name: String,
    },
    /// A checkpoint that is not a safetensors file.
    #[error("weights cannot be read: {what}")]
    Weights {
        /// What the reader said.
        what: String,
    },
    /// A file that cannot be read or written.
    #[error("{what}: {source}: {path}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// A configuration file that cannot be parsed.
    #[error("model configuration cannot be read: {what}: {path}", path = path.display())]
    ConfigFile {
        /// What the parser said.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// A token beyond the vocabulary.
    #[error("token {token} is outside the model's vocabulary of {vocabulary}: is this the task the model was trained on?")]
    Token {
        /// The token.
        token: u32,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// Tokens of a shape the model cannot take.
    #[error("tokens have shape {found:?}, but {wanted} is needed")]
    TokenShape {
        /// The shape found.
        found: Vec<usize>,
        /// What is needed.
        wanted: String,
    },
    /// The observer refused a layer.
    #[error("observer of layer {layer}: {source}")]
    Observer {
        /// The layer.
        layer: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An intervention could not be made.
    #[error("intervention on layer {layer}: {source}")]
    Intervention {
        /// The layer.
        layer: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A device that cannot be used.
    #[error("device '{place}': {what}")]
    Device {
        /// The device, as it was asked for.
        place: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The recurrence refused its factors.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The engine on a card failed, or what was asked for does not fit there.
    #[error(transparent)]
    Card(#[from] CudaError),
    /// The tensor library failed.
    #[error("tensor operation: {}", in_words(.0))]
    Tensor(#[from] candle_core::Error),
}

/// What the tensor library says; a card that is full is told what to do about it.
pub(crate) fn in_words(error: &candle_core::Error) -> String {
    let said = error.to_string();
    if said.contains("OUT_OF_MEMORY") {
        return "the card has no room left: take fewer or shorter sequences at once (in training the stage's `batch` or `length`), or a \
                smaller model; nvidia-smi shows who else uses the card"
            .to_owned();
    }
    said
}

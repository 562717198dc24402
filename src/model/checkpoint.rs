//! Checkpoints: `weights.safetensors` beside `config.json` in one directory.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use candle_core::{DType, Device, Tensor, Var, safetensors};

use super::{Config, LanguageModel, ModelError, kernel::with_floats, parameters::Weights};

/// The file of the configuration.
pub const CONFIG_FILE: &str = "config.json";
/// The file of the weights.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

impl LanguageModel {
    /// The model in a checkpoint directory; no gradients.
    pub fn load(directory: &Path) -> Result<Self, ModelError> {
        let (config, bytes) = read(directory)?;
        Self::from_bytes(config, &bytes)
    }

    /// The model in a checkpoint directory, ready to be trained on, and its parameters by name.
    pub fn load_trainable(directory: &Path) -> Result<(Self, Weights), ModelError> {
        let (config, bytes) = read(directory)?;
        let weights: Weights =
            tensors(&bytes)?.into_iter().map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor)?))).collect::<Result<_, ModelError>>()?;
        let parameters = weights.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        Ok((Self::from_parameters(config, parameters)?, weights))
    }

    /// The model of a configuration and the bytes of its safetensors file; no gradients.
    pub fn from_bytes(config: Config, safetensors: &[u8]) -> Result<Self, ModelError> {
        Self::from_parameters(config, tensors(safetensors)?)
    }

    /// Writes the checkpoint into a directory, which is made if need be. Each file appears whole or not at all.
    pub fn save(&self, directory: &Path) -> Result<(), ModelError> {
        self.save_as(directory, DType::F32)
    }

    /// The same with weights rounded to a type of number.
    pub fn save_as(&self, directory: &Path, stored: DType) -> Result<(), ModelError> {
        let file = |what, path: &Path| {
            let path = path.to_owned();
            move |source| ModelError::File { what, source, path }
        };
        fs::create_dir_all(directory).map_err(file("cannot make the checkpoint's directory", directory))?;
        let config = serde_json::to_string_pretty(&self.config()).map_err(|error| ModelError::Config(error.to_string()))? + "\n";
        for (name, bytes) in [(WEIGHTS_FILE, self.to_bytes_as(stored)?), (CONFIG_FILE, config.into_bytes())] {
            let path = directory.join(name);
            let draft = directory.join(format!("{name}.draft"));
            fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, &path)).map_err(file("cannot write the checkpoint", &path))?;
        }
        Ok(())
    }

    /// The weights as a safetensors file (f32, little-endian, names in order).
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.to_bytes_as(DType::F32)
    }

    /// The same in a type of number.
    pub fn to_bytes_as(&self, stored: DType) -> Result<Vec<u8>, ModelError> {
        let on_cpu = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(&Device::Cpu)?.to_dtype(stored)?));
        let parameters = self.parameters().iter().map(on_cpu).collect::<Result<BTreeMap<String, Tensor>, ModelError>>()?;
        ::safetensors::serialize(parameters, None).map_err(|error| ModelError::Weights { what: error.to_string() })
    }

    /// blake3 over every parameter's name, shape and numbers, in order of names: the same for the same weights, wherever they lie.
    pub fn weights_digest(&self) -> Result<String, ModelError> {
        let mut hasher = blake3::Hasher::new();
        for (name, tensor) in self.parameters() {
            hasher.update(name.as_bytes()).update(&[0]);
            for &len in tensor.dims() {
                hasher.update(&(len as u64).to_le_bytes());
            }
            with_floats([&tensor.to_device(&Device::Cpu)?], |[values]| {
                for block in values.chunks(4096) {
                    let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
                    hasher.update(&bytes);
                }
                Ok(())
            })?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// Both files of a checkpoint.
fn read(directory: &Path) -> Result<(Config, Vec<u8>), ModelError> {
    let read = |name: &str, what| {
        let path = directory.join(name);
        fs::read(&path).map_err(|source| ModelError::File { what, source, path })
    };
    let config = read(CONFIG_FILE, "cannot read the checkpoint's configuration")?;
    let config = serde_json::from_slice(&config)
        .map_err(|error| ModelError::ConfigFile { what: error.to_string(), path: directory.join(CONFIG_FILE) })?;
    Ok((config, read(WEIGHTS_FILE, "cannot read the checkpoint's weights")?))
}

/// Tensors of a safetensors file, in f32.
fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let tensors: HashMap<String, Tensor> =
        safetensors::load_buffer(bytes, &Device::Cpu).map_err(|error| ModelError::Weights { what: error.to_string() })?;
    tensors.into_iter().map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?))).collect()
}

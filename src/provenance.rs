//! Who made this artefact: every trace, result, figure and table carries a [`Provenance`].

use serde::{Deserialize, Serialize};

/// Where an artefact comes from. It holds no time, no host and no absolute path, so that the same work gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Always `pentimento`, or the name of the program that exported the factors.
    pub tool: String,
    /// Its version (semver).
    pub version: String,
    /// Git revision of its source, or `unknown`.
    pub revision: String,
    /// What it was asked to do: sub-command and arguments, paths reduced to their last part.
    pub command: String,
    /// Seed of all randomness in the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Digest of the spec or task that defined the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_digest: Option<String>,
    /// Digest of the model's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Digest of the model's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_digest: Option<String>,
    /// Content digests of the artefacts this one was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_from: Vec<String>,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Precision of the computation.
    pub dtype: String,
}

impl Provenance {
    /// The work of this program, on the CPU in f32; the other fields are filled in where they are known.
    pub fn here(command: impl Into<String>) -> Self {
        Self {
            tool: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("PENTIMENTO_REVISION").to_owned(),
            command: command.into(),
            seed: None,
            spec_digest: None,
            config_digest: None,
            weights_digest: None,
            made_from: Vec::new(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
        }
    }

    /// This process's own command line, every path reduced to its last part so that no machine's layout leaks.
    pub fn command_line() -> String {
        let last_part = |argument: String| match argument.rsplit_once(['/', '\\']) {
            Some((_, last)) if !last.is_empty() => last.to_owned(),
            _ => argument,
        };
        let program = env!("CARGO_PKG_NAME").to_owned();
        std::iter::once(program).chain(std::env::args().skip(1).map(last_part)).collect::<Vec<_>>().join(" ")
    }
}

/// The digest of a serialisable value: blake3 of its compact JSON, 32 hexadecimal digits.
pub fn digest(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("plain data serialises");
    digest_bytes(&json)
}

/// The digest of bytes: blake3, 32 hexadecimal digits.
pub fn digest_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

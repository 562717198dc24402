//! Interventions in a file, as `pentimento knockout --do` reads it and the app writes it.

use serde::{Deserialize, Serialize};

use super::{InterveneError, Intervention};

/// Interventions as a TOML file has them: `[[intervention]]` once for each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interventions {
    /// In the order in which they are made.
    pub intervention: Vec<Intervention>,
}

impl Interventions {
    /// Reads the text of a file; one without any intervention is refused, as each is checked for what it can be without a sequence.
    pub fn from_toml(text: &str) -> Result<Self, InterveneError> {
        let read: Self = toml::from_str(text).map_err(|error| InterveneError::Spec(error.to_string()))?;
        if read.intervention.is_empty() {
            return Err(InterveneError::Spec("there is no [[intervention]] in the file".to_owned()));
        }
        read.intervention.iter().try_for_each(Intervention::check)?;
        Ok(read)
    }

    /// The text of a file.
    pub fn to_toml(&self) -> Result<String, InterveneError> {
        toml::to_string(self).map_err(|error| InterveneError::Spec(error.to_string()))
    }
}

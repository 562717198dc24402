//! Figures and tables of what `pentimento run` and `pentimento probe` found.

use anyhow::Context as _;
use serde_json::Value;

use super::figure_source::{Part, Picture};
use crate::experiment::{ModelResults, Results, curves, drawables, programme, selectivities, tables};
use crate::export::Table;
use crate::figure::{Figure, Measured, Options};
use crate::readout::Readouts;

/// What an experiment found, or the cards of one trace.
pub enum Opened {
    Results(Box<Results>),
    Cards(String, Box<Readouts>),
}

impl Opened {
    /// An experiment's results.json.
    pub fn results(value: Value) -> anyhow::Result<Self> {
        Ok(Self::Results(Box::new(serde_json::from_value(value).context("not the results.json of this version's `pentimento run`")?)))
    }

    /// What `pentimento probe --json` prints.
    pub fn cards(label: &str, value: Value) -> anyhow::Result<Self> {
        let cards = serde_json::from_value(value).context("not the cards of this version's `pentimento probe --json`")?;
        Ok(Self::Cards(label.to_owned(), Box::new(cards)))
    }

    /// What can be drawn of one kind: of the models named, all without a name.
    pub fn parts(&self, figure: Figure, options: &Options, models: &[String]) -> anyhow::Result<Vec<Part>> {
        match self {
            Self::Results(results) => of_results(results, figure, options, models),
            Self::Cards(label, cards) => {
                let measured = match figure {
                    Figure::Readout => curves(cards, options.along).map(Measured::Readout),
                    Figure::Selectivity => selectivities(cards).map(Measured::Selectivity),
                    _ => anyhow::bail!("probe cards make the figures readout and selectivity, not {}", figure.name()),
                };
                let measured =
                    measured.context("these cards are of one age, or lack what is drawn: `pentimento run` reads at several ages")?;
                let stem = format!("{}-{label}", figure.name());
                Ok(vec![Part { stem, picture: Picture::Measured(Box::new(measured)), made_from: Vec::new() }])
            }
        }
    }

    /// The report's own tables, by name.
    pub fn tables(&self) -> Vec<(&'static str, Table)> {
        match self {
            Self::Results(results) => tables(results).into_iter().map(|tabled| (tabled.stem, tabled.table)).collect(),
            Self::Cards(..) => Vec::new(),
        }
    }

    /// What a report shows, in its order.
    pub fn programme(&self) -> Vec<(Figure, Options)> {
        match self {
            Self::Results(_) => programme(),
            Self::Cards(..) => vec![(Figure::Readout, Options::default()), (Figure::Selectivity, Options::default())],
        }
    }
}

fn of_results(results: &Results, figure: Figure, options: &Options, models: &[String]) -> anyhow::Result<Vec<Part>> {
    let known: Vec<&str> = results.models.iter().map(|model| model.name.as_str()).collect();
    if let Some(unknown) = models.iter().find(|model| !known.contains(&model.as_str())) {
        anyhow::bail!("these results have no model '{unknown}': they have {}", known.join(", "));
    }
    let chosen: Vec<&ModelResults> = results.models.iter().filter(|model| models.is_empty() || models.contains(&model.name)).collect();
    let parts: Vec<Part> = drawables(&chosen, figure, options)
        .into_iter()
        .map(|found| Part { stem: found.stem, picture: Picture::Measured(Box::new(found.measured)), made_from: found.made_from })
        .collect();
    let names: Vec<&str> = chosen.iter().map(|model| model.name.as_str()).collect();
    anyhow::ensure!(!parts.is_empty(), "these results hold nothing for figure '{}' (models: {})", figure.name(), names.join(", "));
    Ok(parts)
}

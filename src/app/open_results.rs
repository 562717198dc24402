//! Results that are open: what an experiment found, the cards of a trace, or one figure with its numbers.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::experiment::{Drawable, ModelResults, Results, Tabled, curves, drawables, programme, selectivities, tables};
use crate::figure::{FigureSpec, Measured, Options, SideCar};
use crate::readout::Readouts;

/// Files larger than this are not results.
const MOST_BYTES: u64 = 1 << 30;

/// Open results, cheap to clone. Two are equal only if they were opened at once.
#[derive(Clone)]
pub struct OpenResults(Arc<Inner>);

struct Inner {
    id: u64,
    name: String,
    path: PathBuf,
    content: Content,
    figures: Vec<Shown>,
    tables: Vec<Tabled>,
}

/// What the file holds.
#[derive(Debug)]
pub enum Content {
    /// What `pentimento run` found.
    Results(Box<Results>),
    /// What `pentimento probe --json` printed.
    Cards(Box<Readouts>),
    /// The JSON that lies beside every figure.
    Figure(Box<SideCar>),
}

/// A figure that the file has numbers for.
#[derive(Debug)]
pub struct Shown {
    /// Its title, with the model where it belongs to one.
    pub title: String,
    /// File name without extension, as a report has it.
    pub stem: String,
    /// What is chosen of it.
    pub spec: FigureSpec,
    /// The numbers; `None` for a figure's own file, which holds what was drawn.
    pub measured: Option<Measured>,
    /// Digests of the traces behind it.
    pub made_from: Vec<String>,
}

/// What a JSON file is, by what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A workspace of the app.
    Workspace,
    /// Results, cards or a figure.
    Results,
}

impl FileKind {
    /// Looks at the file's outermost names; what is not JSON is left to the workspace's reader, which says so.
    pub fn of(path: &Path) -> Self {
        let fits = std::fs::metadata(path).is_ok_and(|found| found.len() <= MOST_BYTES);
        let value = if fits { std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) } else { None };
        match value {
            Some(Value::Object(object)) if kind_of(&object).is_some() => Self::Results,
            _ => Self::Workspace,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Results,
    Cards,
    Figure,
}

fn kind_of(object: &serde_json::Map<String, Value>) -> Option<Kind> {
    let has = |names: &[&str]| names.iter().all(|name| object.contains_key(*name));
    if has(&["models", "spec", "provenance"]) {
        Some(Kind::Results)
    } else if has(&["cards", "options"]) {
        Some(Kind::Cards)
    } else if has(&["spec", "provenance", "data"]) {
        Some(Kind::Figure)
    } else {
        None
    }
}

impl OpenResults {
    /// Opens a results.json, the cards of `pentimento probe --json`, or the JSON beside a figure; says what is wrong with it otherwise.
    pub fn open(path: &Path) -> Result<Self, String> {
        let at = |what: String| format!("{what}: {}", path.display());
        let found = std::fs::metadata(path).map_err(|error| at(format!("cannot be read ({error})")))?;
        if found.len() > MOST_BYTES {
            return Err(at("is too large for results".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|error| at(format!("cannot be read ({error})")))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| at(format!("is not JSON ({error})")))?;
        let kind = value.as_object().and_then(kind_of);
        let of_version = |error: serde_json::Error| at(format!("is of another version of pentimento ({error}); run the experiment anew"));
        let content = match kind {
            Some(Kind::Results) => Content::Results(Box::new(serde_json::from_value(value).map_err(of_version)?)),
            Some(Kind::Cards) => Content::Cards(Box::new(serde_json::from_value(value).map_err(of_version)?)),
            Some(Kind::Figure) => {
                let text = String::from_utf8_lossy(&bytes);
                let read = SideCar::read(&text).map_err(|error| at(format!("is no figure of this version ({error})")))?;
                Content::Figure(Box::new(read))
            }
            None => {
                return Err(at("is no results of pentimento: wanted a results.json of `pentimento run`, the cards of \
                               `pentimento probe --json`, or the JSON beside a figure"
                    .to_owned()));
            }
        };
        Ok(Self::new(name_of(path, &content), path.to_path_buf(), content))
    }

    /// Results that lie nowhere yet.
    pub fn new(name: String, path: PathBuf, content: Content) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let figures = figures_of(&content);
        let tables = if let Content::Results(results) = &content { tables(results) } else { Vec::new() };
        Self(Arc::new(Inner { id: NEXT.fetch_add(1, Ordering::Relaxed), name, path, content, figures, tables }))
    }

    /// Its name in lists: the experiment's, else the file's.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What it holds.
    pub fn content(&self) -> &Content {
        &self.0.content
    }

    /// The experiment, if it is one.
    pub fn results(&self) -> Option<&Results> {
        if let Content::Results(results) = &self.0.content { Some(results) } else { None }
    }

    /// The cards it holds, by model; the model's name is empty in a file of cards alone.
    pub fn readouts(&self) -> Vec<(&str, &Readouts)> {
        match &self.0.content {
            Content::Results(results) => {
                let of = |model: &'_ ModelResults| model.readouts.is_some();
                results.models.iter().filter(|model| of(model)).filter_map(|m| Some((m.name.as_str(), m.readouts.as_ref()?))).collect()
            }
            Content::Cards(cards) => vec![("", cards)],
            Content::Figure(_) => Vec::new(),
        }
    }

    /// The figures there are numbers for, in the order of a report.
    pub fn figures(&self) -> &[Shown] {
        &self.0.figures
    }

    /// The tables of the report.
    pub fn tables(&self) -> &[Tabled] {
        &self.0.tables
    }
}

fn figures_of(content: &Content) -> Vec<Shown> {
    match content {
        Content::Results(results) => {
            let models: Vec<&ModelResults> = results.models.iter().collect();
            let of = |(figure, options): (crate::figure::Figure, Options)| {
                drawables(&models, figure, &options)
                    .into_iter()
                    .map(move |found| shown(found, FigureSpec { options: options.clone(), ..FigureSpec::new(figure) }))
            };
            programme().into_iter().flat_map(of).collect()
        }
        Content::Cards(cards) => {
            use crate::figure::{Along, Figure};
            let one = |title: &str, figure: Figure, along: Along, measured: Option<Measured>| {
                let spec = FigureSpec { options: Options { along, ..Options::default() }, ..FigureSpec::new(figure) };
                measured.map(|measured| Shown {
                    title: title.to_owned(),
                    stem: figure.name().to_owned(),
                    spec,
                    measured: Some(measured),
                    made_from: Vec::new(),
                })
            };
            let by_phase = curves(cards, Along::Phase).map(Measured::Readout);
            let by_age = curves(cards, Along::Age).map(Measured::Readout);
            let selectivity = selectivities(cards).map(Measured::Selectivity);
            [
                one("Linear readouts by phase", Figure::Readout, Along::Phase, by_phase),
                one("Linear readouts by age", Figure::Readout, Along::Age, by_age),
                one(Figure::Selectivity.title(), Figure::Selectivity, Along::Phase, selectivity),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
        Content::Figure(car) => {
            let title = car.spec.title.clone().unwrap_or_else(|| car.spec.figure.title().to_owned());
            let stem = car.spec.figure.name().to_owned();
            vec![Shown { title, stem, spec: car.spec.clone(), measured: None, made_from: car.provenance.made_from.clone() }]
        }
    }
}

fn shown(found: Drawable, spec: FigureSpec) -> Shown {
    let title = match (&found.model, spec.figure) {
        (Some(model), crate::figure::Figure::Cleanup) => format!("Cleanup: {}, {model}", spec.options.strength.label()),
        (Some(model), _) => format!("{}, {model}", spec.figure.title()),
        (None, _) => spec.figure.title().to_owned(),
    };
    let title = if spec.options.along == crate::figure::Along::Age { format!("{title}, by age") } else { title };
    Shown { title, stem: found.stem, spec, measured: Some(found.measured), made_from: found.made_from }
}

fn name_of(path: &Path, content: &Content) -> String {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let stem = path.file_stem().map_or_else(|| "results".to_owned(), |name| name.to_string_lossy().into_owned());
    match content {
        // The folder tells runs of one experiment apart.
        Content::Results(results) => match part(path.parent()) {
            Some(folder) if folder != results.spec.name => format!("{} ({folder})", results.spec.name),
            _ => results.spec.name.clone(),
        },
        Content::Cards(_) | Content::Figure(_) => stem,
    }
}

impl PartialEq for OpenResults {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for OpenResults {}

impl Hash for OpenResults {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl std::fmt::Debug for OpenResults {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenResults({})", self.0.name)
    }
}

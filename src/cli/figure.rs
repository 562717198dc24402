//! `pentimento figure`: figures of traces, of results, and of what other sub-commands print.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::figure_paper::{Entry, entries};
use super::figure_results::Opened;
use super::figure_source::{Part, Source, gather, join};
use super::output;
use crate::figure::{
    Along, Figure, FigureError, FigureSpec, Format, Hues, Options, Panels, ReadIn, Rendered, Shares, ShowMemory, Theme, Width,
};
use crate::measure::{DecayAxis, HeadQuantity, Strength, WantedPlace};
use crate::provenance::Provenance;

/// Arguments of `pentimento figure`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento figure cleanup eda.trace.zarr --strength unique_contribution --decay window_retention -o figures/
  pentimento figure fate eda.trace.zarr kda.trace.zarr --width neurips --format pdf
  pentimento figure life eda.trace.zarr --layer 0 --head 1 --sequence 3 --step 40    one write, followed
  pentimento figure memory eda.trace.zarr kda.trace.zarr --memory changes            two models and their difference
  pentimento figure atlas eda.trace.zarr --by erase_strength,effective_rank,stale_surviving
  pentimento figure all pentimento-out/stale-facts/results.json --width neurips -o figures/
  pentimento figure collateral figures/collateral.json --width acl --theme grey      a figure drawn before, from its own numbers
  pentimento figure paper.toml -o figures/                                           all figures of a paper, from one file

paper.toml: what stands above the first [[figure]] holds for all of them; paths are relative to the file.
  from = \"pentimento-out/stale-facts/results.json\"
  width = \"neurips\"
  formats = [\"pdf\"]
  [[figure]]
  figure = \"cleanup\"
  model = \"EDA\"
  file = \"figure-1\"
  options = { strength = \"unique_contribution\", decay = \"window_retention\" }
  [[figure]]
  figure = \"fate\"")]
pub struct Arguments {
    /// Which figure (cleanup, allocation, collateral, alignment, fate, attention, targeting, readout, selectivity, dose, knockout,
    /// capacity, atlas, spectrum, recall, accuracy, calibration, training; of one place of a trace life, read, weights, angles, gates,
    /// memory), all, or the file of a paper's figures (.toml).
    #[arg(value_parser = wanted)]
    name: String,
    /// Traces, a results.json, what measure, probe or knockout print with --json, a figure's own .json, or the folder of a training.
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Models of a results.json (default: all).
    #[arg(long, value_delimiter = ',')]
    model: Vec<String>,
    /// Names of the sources in legends and file names, in their order (default: after their files).
    #[arg(long, value_delimiter = ',')]
    label: Vec<String>,
    /// File forms: svg, pdf, png, and the numbers as a LaTeX or Markdown table: tex, md (csv and json are always written).
    #[arg(long, value_delimiter = ',', value_parser = output::by_serde::<Format>)]
    format: Option<Vec<Format>>,
    /// single (icml), double (icml-page), neurips, acl, acl-page, or millimetres [default: single].
    #[arg(long, value_parser = output::by_serde::<Width>)]
    width: Option<Width>,
    /// Height as a share of the width, 0.2 to 3 (default: the figure's own).
    #[arg(long)]
    aspect: Option<f64>,
    /// light, dark, or grey (as a grey printer would print it) [default: light].
    #[arg(long, value_parser = output::by_serde::<Theme>)]
    theme: Option<Theme>,
    /// Dots per inch of the PNG, 36 to 1200 [default: 300].
    #[arg(long)]
    dpi: Option<f64>,
    /// A line above the figure.
    #[arg(long)]
    title: Option<String>,
    /// Vertical axis of cleanup: erase_strength, gate_share, removed_energy or unique_contribution.
    #[arg(long, value_parser = output::by_serde::<Strength>)]
    strength: Option<Strength>,
    /// Horizontal axis of cleanup: mean_retention or window_retention.
    #[arg(long, value_parser = output::by_serde::<DecayAxis>)]
    decay: Option<DecayAxis>,
    /// Panels of cleanup: pooled, or heads (the rank correlation inside each).
    #[arg(long, value_parser = output::by_serde::<Panels>)]
    panels: Option<Panels>,
    /// Form of allocation: stacked or lines.
    #[arg(long, value_parser = output::by_serde::<Shares>)]
    shares: Option<Shares>,
    /// Horizontal axis of readout: phase or age.
    #[arg(long, value_parser = output::by_serde::<Along>)]
    along: Option<Along>,
    /// Quantities of atlas, for example mean_retention,erase_strength,recall.
    #[arg(long, value_delimiter = ',', value_parser = quantity)]
    by: Option<Vec<HeadQuantity>>,
    /// Layer of life, read, weights, angles, gates and memory (0-based) [default: where something is to be seen first].
    #[arg(long)]
    layer: Option<usize>,
    /// Head of the layer.
    #[arg(long)]
    head: Option<usize>,
    /// Sequence.
    #[arg(long)]
    sequence: Option<usize>,
    /// Step: that writes (life, angles), that reads (read), whose phases are shown (memory).
    #[arg(long)]
    step: Option<usize>,
    /// Which write of the step, for rules that write several times [default: 0].
    #[arg(long)]
    write: Option<usize>,
    /// Bars of read: weight (of the value) or share (of the output; these sum to 1) [default: weight].
    #[arg(long, value_parser = output::by_serde::<ReadIn>)]
    of_read: Option<ReadIn>,
    /// Pictures of memory: phases, changes, or one phase: before, decay, erase, write [default: phases].
    #[arg(long, value_parser = output::by_serde::<ShowMemory>)]
    memory: Option<ShowMemory>,
    /// Colours of memory and weights: red_blue or purple_orange [default: red_blue].
    #[arg(long, value_parser = output::by_serde::<Hues>)]
    hues: Option<Hues>,
    /// Where the colours of memory and weights end, so that figures can be compared [default: the figure's own].
    #[arg(long)]
    range: Option<f64>,
    /// Folder of the files.
    #[arg(short, long, default_value = ".")]
    output: PathBuf,
    /// Replace files that are there already.
    #[arg(long)]
    force: bool,
    /// Print spec, provenance, summary and numbers of each figure as JSON instead of the summary and the files.
    #[arg(long)]
    json: bool,
}

fn quantity(name: &str) -> Result<HeadQuantity, String> {
    HeadQuantity::ALL
        .into_iter()
        .find(|quantity| quantity.name() == name)
        .ok_or_else(|| format!("known quantities are {}", HeadQuantity::ALL.map(HeadQuantity::name).join(", ")))
}

/// A word that `figure` knows: usage is judged before anything is read.
fn wanted(name: &str) -> anyhow::Result<String> {
    let is_file = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    if !is_file && name != "all" {
        named(name)?;
    }
    Ok(name.to_owned())
}

/// The figure of that name, or the names there are.
pub fn named(name: &str) -> anyhow::Result<Figure> {
    Figure::named(name).with_context(|| {
        let near = Figure::ALL.into_iter().map(Figure::name).max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
        let near = near.filter(|near| strsim::jaro(near, name) > 0.75).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        format!("no figure '{name}'{near}: there are all, {}, or a .toml file with [[figure]]", Figure::ALL.map(Figure::name).join(", "))
    })
}

/// Runs `pentimento figure`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let wanted = match arguments.name.as_str() {
        paper if Path::new(paper).extension().is_some_and(|extension| extension == "toml") => {
            anyhow::ensure!(arguments.sources.is_empty(), "sources stand in the file ('from'), not beside it: {paper}");
            of_paper(&arguments, Path::new(paper))?
        }
        "all" => of_all(&arguments)?,
        name => of_one(&arguments, named(name)?)?,
    };
    let mut stems = BTreeSet::new();
    for (_, part) in &wanted {
        anyhow::ensure!(stems.insert(&part.stem), "two figures would be named '{}': give them names with --label or 'file'", part.stem);
    }
    if !arguments.force {
        for (spec, part) in &wanted {
            let extensions = spec.formats.iter().map(|format| format.extension()).chain(["csv", "json"]);
            let taken = extensions.map(|extension| arguments.output.join(format!("{}.{extension}", part.stem))).find(|path| path.exists());
            output::refuse_existing(taken.as_deref().unwrap_or(Path::new("")), taken.is_none())?;
        }
    }
    let bar = output::spinner("drawing");
    let mut printed: Vec<(&str, Rendered)> = Vec::new();
    for (spec, part) in &wanted {
        bar.set_message(format!("drawing {}", part.stem));
        let provenance = Provenance { made_from: part.made_from.clone(), ..Provenance::here("figure") };
        let drawn = match part.picture.draw(spec) {
            // Of all figures, those that are empty are told, not fatal.
            Err(FigureError::Empty { what, .. }) if arguments.name == "all" => {
                bar.suspend(|| output::line(&format!("left out: {}: {what}", part.stem)))?;
                continue;
            }
            drawn => drawn.with_context(|| part.stem.clone())?,
        };
        printed.push((&part.stem, drawn.print(spec, &provenance).with_context(|| part.stem.clone())?));
    }
    bar.finish_and_clear();
    let mut written = Vec::new();
    for (stem, rendered) in &printed {
        let files = rendered.write(&arguments.output, stem, arguments.force).context("the figure was drawn but not written")?;
        written.push((rendered, files));
    }
    if arguments.json {
        let figures: Vec<serde_json::Value> =
            written.iter().map(|(rendered, _)| serde_json::from_str(&rendered.json)).collect::<Result<_, _>>()?;
        return output::json(&figures);
    }
    for (rendered, files) in &written {
        output::line(&rendered.summary)?;
        files.iter().try_for_each(|path| output::line(&path.display().to_string()))?;
    }
    Ok(())
}

fn open(arguments: &Arguments) -> anyhow::Result<Vec<Source>> {
    anyhow::ensure!(
        !arguments.sources.is_empty(),
        "figure '{0}' of what? name a trace or a results.json: `pentimento figure {0} eda.trace.zarr`",
        arguments.name
    );
    let too_many = arguments.label.len() > arguments.sources.len();
    anyhow::ensure!(!too_many, "{} labels for {} sources", arguments.label.len(), arguments.sources.len());
    let bar = output::spinner("opening");
    let open = |(n, path): (usize, &PathBuf)| Source::open(path, arguments.label.get(n).map(String::as_str));
    let sources = arguments.sources.iter().enumerate().map(open).collect();
    bar.finish_and_clear();
    sources
}

fn of_one(arguments: &Arguments, figure: Figure) -> anyhow::Result<Vec<(FigureSpec, Part)>> {
    let sources = open(arguments)?;
    let before = sources.iter().find_map(Source::spec).filter(|spec| spec.figure == figure);
    let spec = arguments.over(before.cloned().unwrap_or_else(|| FigureSpec::new(figure)));
    let bar = output::spinner("measuring");
    let parts = gather(&sources.iter().collect::<Vec<_>>(), figure, &spec.options, &arguments.model);
    bar.finish_and_clear();
    Ok(parts?.into_iter().map(|part| (spec.clone(), part)).collect())
}

/// Every figure that the sources make, and a line for each that they do not.
fn of_all(arguments: &Arguments) -> anyhow::Result<Vec<(FigureSpec, Part)>> {
    let sources = open(arguments)?;
    let mut programme: Vec<(Figure, Options)> = sources.iter().filter_map(Source::opened).flat_map(Opened::programme).collect();
    for figure in Figure::ALL {
        if programme.iter().all(|(known, _)| *known != figure) {
            programme.push((figure, Options::default()));
        }
    }
    let bar = output::spinner("measuring");
    let mut wanted = Vec::new();
    for (figure, options) in programme {
        bar.set_message(format!("measuring {}", figure.name()));
        let spec = arguments.over(FigureSpec { options, ..FigureSpec::new(figure) });
        let (mut parts, mut faults) = (Vec::new(), Vec::new());
        for source in &sources {
            match source.parts(figure, &spec.options, &arguments.model) {
                Ok(found) => parts.extend(found),
                Err(fault) => faults.push(output::chain(&fault)),
            }
        }
        if let (true, Some(fault)) = (parts.is_empty(), faults.first()) {
            bar.suspend(|| output::line(&format!("left out: {}: {fault}", figure.name())))?;
        }
        wanted.extend(join(parts, figure).into_iter().map(|part| (spec.clone(), part)));
    }
    bar.finish_and_clear();
    Ok(wanted)
}

/// The figures of a paper's file; the command line overrides it.
fn of_paper(arguments: &Arguments, path: &Path) -> anyhow::Result<Vec<(FigureSpec, Part)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut wanted = Vec::new();
    let mut opened: Vec<(PathBuf, Source)> = Vec::new();
    let bar = output::spinner("measuring");
    for Entry { spec, from, models, labels, file, place } in entries(&text, &path.display().to_string())? {
        bar.set_message(format!("measuring {}", spec.figure.name()));
        let spec = arguments.over(spec);
        for (n, source) in from.iter().enumerate() {
            let path = folder.join(source);
            if labels.get(n).is_some() || opened.iter().all(|(known, _)| *known != path) {
                opened.retain(|(known, _)| *known != path);
                opened.push((path.clone(), Source::open(&path, labels.get(n).map(String::as_str)).with_context(|| place.clone())?));
            }
        }
        let sources: Vec<&Source> = from
            .iter()
            .filter_map(|source| opened.iter().find(|(path, _)| *path == folder.join(source)))
            .map(|(_, source)| source)
            .collect();
        let models = if arguments.model.is_empty() { &models } else { &arguments.model };
        let mut parts = gather(&sources, spec.figure, &spec.options, models).with_context(|| place.clone())?;
        if let Some(file) = file {
            let several = parts.len() > 1;
            for part in &mut parts {
                part.stem = if several { format!("{file}-{}", part.stem) } else { file.clone() };
            }
        }
        wanted.extend(parts.into_iter().map(|part| (spec.clone(), part)));
    }
    bar.finish_and_clear();
    Ok(wanted)
}

impl Arguments {
    /// What was typed, over what stands in a spec.
    fn over(&self, spec: FigureSpec) -> FigureSpec {
        let options = spec.options;
        FigureSpec {
            width: self.width.unwrap_or(spec.width),
            aspect: self.aspect.or(spec.aspect),
            formats: self.format.clone().unwrap_or(spec.formats),
            dots_per_inch: self.dpi.unwrap_or(spec.dots_per_inch),
            theme: self.theme.unwrap_or(spec.theme),
            title: self.title.clone().or(spec.title),
            options: Options {
                strength: self.strength.unwrap_or(options.strength),
                decay: self.decay.unwrap_or(options.decay),
                panels: self.panels.unwrap_or(options.panels),
                shares: self.shares.unwrap_or(options.shares),
                along: self.along.unwrap_or(options.along),
                quantities: self.by.clone().unwrap_or(options.quantities),
                place: WantedPlace {
                    layer: self.layer.or(options.place.layer),
                    head: self.head.or(options.place.head),
                    sequence: self.sequence.or(options.place.sequence),
                    step: self.step.or(options.place.step),
                    number: self.write.or(options.place.number),
                },
                of_read: self.of_read.unwrap_or(options.of_read),
                memory: self.memory.unwrap_or(options.memory),
                hues: self.hues.unwrap_or(options.hues),
                range: self.range.or(options.range),
                ..options
            },
            ..spec
        }
    }
}

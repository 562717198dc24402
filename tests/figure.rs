//! Figures: what is drawn, that it reads well as text, and that the same numbers give the same bytes.

mod gallery;
mod golden;
mod places;
mod print;
mod samples;

use std::path::PathBuf;

use pentimento::figure::density::Density;
use pentimento::figure::scale::Scale;
use pentimento::figure::scene::{Mark, Scene};
use pentimento::figure::{
    Figure, FigureError, FigureSpec, Format, Measured, Panels, Rendered, Shares, SideCar, Theme, Width, cleanup, font, render,
    training::TrainingLog,
};
use pentimento::measure::{DecayAxis, Null, Strength};
use pentimento::provenance::Provenance;
use samples::measured;

fn provenance() -> Provenance {
    Provenance::here("pentimento figure")
}

fn drawn(spec: &FigureSpec) -> Rendered {
    render(spec, &measured(spec.figure), &provenance()).unwrap()
}

/// The finished figures stay here, for looking at.
fn gallery() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures")
}

#[test]
fn every_figure_is_drawn_at_every_width() {
    for figure in Figure::ALL {
        for width in [Width::Single, Width::Double] {
            let spec = FigureSpec { width, ..FigureSpec::new(figure) };
            let rendered = drawn(&spec);
            rendered.write(&gallery(), &format!("{}-{width}", figure.name()), true).unwrap();
            assert!(rendered.svg.contains(&format!("width=\"{}pt\"", width.points())), "{}", figure.name());
        }
    }
}

#[test]
fn options_change_the_figure() {
    let variants = [
        ("cleanup-heads", FigureSpec { options: options(|o| o.panels = Panels::Heads), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-energy", FigureSpec { options: options(|o| o.strength = Strength::RemovedEnergy), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-window", FigureSpec { options: options(|o| o.decay = DecayAxis::WindowRetention), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-dark", FigureSpec { theme: Theme::Dark, title: Some("Bundled model".to_owned()), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Cleanup) }),
        ("allocation-lines", FigureSpec { options: options(|o| o.shares = Shares::Lines), ..FigureSpec::new(Figure::Allocation) }),
        ("allocation-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Allocation) }),
        ("readout-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Readout) }),
        ("accuracy-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Accuracy) }),
        ("fate-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Fate) }),
        ("targeting-dark", FigureSpec { theme: Theme::Dark, ..FigureSpec::new(Figure::Targeting) }),
        ("capacity-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Capacity) }),
        ("recall-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Recall) }),
    ];
    for (name, spec) in variants {
        let rendered = drawn(&spec);
        rendered.write(&gallery(), name, true).unwrap();
        assert_ne!(rendered.svg, drawn(&FigureSpec::new(spec.figure)).svg, "{name}");
    }
}

fn options(change: impl FnOnce(&mut pentimento::figure::Options)) -> pentimento::figure::Options {
    let mut options = pentimento::figure::Options::default();
    change(&mut options);
    options
}

#[test]
fn every_figure_has_a_name_that_finds_it() {
    for figure in Figure::ALL {
        assert_eq!(Figure::named(figure.name()), Some(figure));
        assert_eq!(measured(figure).figure(), figure);
    }
}

#[test]
fn the_same_numbers_give_the_same_bytes() {
    for figure in Figure::ALL {
        let spec = FigureSpec { dots_per_inch: 72.0, ..FigureSpec::new(figure) };
        assert_eq!(drawn(&spec), drawn(&spec), "{}", figure.name());
    }
}

#[test]
fn a_png_has_the_resolution_asked_for() {
    for (dots_per_inch, width) in [(72.0, 234), (300.0, 975), (600.0, 1950)] {
        let png = drawn(&FigureSpec { dots_per_inch, ..FigureSpec::new(Figure::Alignment) }).png.unwrap();
        assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), width);
    }
}

#[test]
fn axes_and_keys_are_text() {
    let expected = [
        (Figure::Cleanup, ["erase strength γ", "mean retention ᾱ", "shuffled γ", "constant γ"]),
        (Figure::Allocation, ["share of gate strength", "decay 34.3 %", "erase γ", "An allocation of gates, not removed energy."]),
        (Figure::Collateral, ["Σ|δo| / Σ|o|", "learned e", "random e", "energy / random"]),
        (Figure::Alignment, ["mean |cos(e, k)|", "layer", "independent directions 0.071", "EDA"]),
        (Figure::Recall, ["lag t − s [steps]", "EDA", "KDA", "256"]),
        (Figure::Readout, ["stale value", "never written", "chance", "erase"]),
        (Figure::Training, ["optimiser step", "loss [nats / token]", "held-out accuracy", "KDA"]),
        (Figure::Accuracy, ["right answers", "stale answers", "foil answers", "condition"]),
        (Figure::Dose, ["right answers", "never written", "change of log p [nats]", "as it is"]),
        (Figure::Knockout, ["layer 1 head 1", "step of the erase", "log-odds [nats]", "k2 ? v9 (once v4), p(right) 0.95"]),
        (Figure::Fate, ["share of what was written", "uniquely by the erase", "stale, D", "age [steps]"]),
        (Figure::Targeting, ["lift among facts", "of it, address", "e shuffled over tokens", "erase, A"]),
        (Figure::Capacity, ["degrees of freedom", "noise, relative", "age from [steps]", "kept facts"]),
        (Figure::Attention, ["exact", "gated linear", "unexplained share of the output, |A v − o| / |o|", "best factor per head"]),
        (Figure::Selectivity, ["layer 1 head 0", "selectivity", "control task", "accuracy"]),
        (Figure::Atlas, ["EDA, mean retention ᾱ", "KDA, write strength β", "head", "layer"]),
        (Figure::Spectrum, ["effective rank", "singular value, by rank", "layer 1", "KDA"]),
        (Figure::Life, ["share of the write", "stale from here 12", "half-life 12", "without the erase"]),
        (Figure::Read, ["weight A", "step that wrote", "20", "0.5"]),
        (Figure::Weights, ["weight A", "step that reads", "step that wrote", "?"]),
        (Figure::Angles, ["cosine", "erase to write of the same step", "to the key of step 12 (k2 = v9)", "step"]),
        (Figure::Gates, ["ᾱ", "γ", "Δ", "step"]),
        (Figure::Memory, ["before", "after erase", "entry of S", "EDA − KDA"]),
        (Figure::Calibration, ["pooled tokens", "naive practice", "planted effect", "errors with nothing planted"]),
    ];
    for (figure, labels) in expected {
        let texts: Vec<String> = texts(&drawn(&FigureSpec::new(figure)).svg).into_iter().map(|text| text.says).collect();
        for label in labels {
            assert!(texts.iter().any(|text| text == label), "{}: `{label}` is not among {texts:?}", figure.name());
        }
    }
}

/// At the narrowest preset and the widest: text of 7 to 9 points that the font has, inside the sheet; lines of half a point.
#[test]
fn figures_are_fit_for_print() {
    for figure in Figure::ALL {
        for width in [Width::Acl, Width::Single, Width::Neurips, Width::Double] {
            let rendered = drawn(&FigureSpec { width, formats: vec![Format::Svg], ..FigureSpec::new(figure) });
            let name = format!("{} at {width}", figure.name());
            for text in texts(&rendered.svg) {
                assert!(font::covers(&text.says), "{name}: the font lacks a character of `{}`", text.says);
                let exponent = text.says.chars().count() <= 2;
                assert!((7.0..=9.0).contains(&text.size) || exponent && text.size > 5.0, "{name}: `{}` has {} pt", text.says, text.size);
                let [left, right] = text.span;
                assert!(left >= 0.0 && right <= width.points(), "{name}: `{}` leaves the sheet: {left} to {right}", text.says);
            }
            for line in rendered.svg.lines().filter(|line| line.starts_with("<polyline")) {
                let units: u32 = attribute(line, "stroke-width").parse().unwrap();
                let own_fill = units == 6;
                assert!(units >= 10 || own_fill, "{name}: a line of {units} units");
            }
        }
    }
}

#[test]
fn cleanup_draws_bins_that_hold_tokens_and_the_nulls_asked_for() {
    let mut spec = FigureSpec::new(Figure::Cleanup);
    let data = cleanup::prepare(&samples::cleanup(), &spec).unwrap();
    assert_eq!(data.bins.len(), 8);
    assert!((data.bins[0].low - 0.2).abs() < 1e-12);
    assert!((data.bins[0].mean.value - 0.144).abs() < 1e-12);
    assert_eq!(data.nulls.iter().map(|null| null.null).collect::<Vec<_>>(), [Null::ShuffledStrength, Null::ConstantStrength]);
    assert_eq!(data.nulls[0].bands.len(), 8);
    assert_eq!(data.heads.len(), 24);
    assert!((data.within_heads.unwrap().value - 0.41).abs() < 1e-12);
    spec.options.nulls = vec![Null::ConstantStrength];
    assert_eq!(cleanup::prepare(&samples::cleanup(), &spec).unwrap().nulls.len(), 1);
}

#[test]
fn a_trace_without_erase_has_no_cleanup_figure() {
    let mut cleanup = samples::cleanup();
    cleanup.relations.iter_mut().for_each(|relation| relation.curve.iter_mut().for_each(|bin| bin.strength = None));
    let fault = render(&FigureSpec::new(Figure::Cleanup), &Measured::Cleanup(Box::new(cleanup)), &provenance()).unwrap_err();
    assert!(matches!(fault, FigureError::Empty { .. }), "{fault}");
}

#[test]
fn the_table_holds_what_is_drawn() {
    let csv = drawn(&FigureSpec::new(Figure::Recall)).csv;
    assert_eq!(csv.lines().next().unwrap(), "model,lag [steps],r2,r2_low,r2_high,cosine,cosine_low,cosine_high");
    assert_eq!(csv.lines().count(), 1 + 2 * 10);
    let first: Vec<f64> = csv.lines().nth(1).unwrap().split(',').skip(2).map(|cell| cell.parse().unwrap()).collect();
    assert!((first[0] - 0.95).abs() < 1e-12 && (first[1] - 0.92).abs() < 1e-12);
}

#[test]
fn the_side_car_holds_spec_provenance_and_data() {
    let rendered = drawn(&FigureSpec { title: Some("A \"title\" < & >".to_owned()), ..FigureSpec::new(Figure::Cleanup) });
    let json: serde_json::Value = serde_json::from_str(&rendered.json).unwrap();
    assert_eq!(json["provenance"]["tool"], "pentimento");
    assert_eq!(serde_json::from_value::<FigureSpec>(json["spec"].clone()).unwrap().figure, Figure::Cleanup);
    assert_eq!(json["data"]["bins"].as_array().unwrap().len(), 8);
    assert!(rendered.svg.contains("<title>A &quot;title&quot; &lt; &amp; &gt;</title>"));
}

#[test]
fn a_spec_is_read_from_toml() {
    let spec: FigureSpec = pentimento::spec_text::parse(
        "figure = \"cleanup\"\nwidth = 89\nformats = [\"svg\"]\n[options]\nstrength = \"removed_energy\"",
        "a spec",
    )
    .unwrap();
    assert_eq!(spec.width, Width::Millimetres(89.0));
    assert_eq!(spec.options.strength, Strength::RemovedEnergy);
    assert_eq!(spec.options.nulls.len(), 2);
    let fault = pentimento::spec_text::parse::<FigureSpec>("figure = \"cleanup\"\nthem = \"dark\"", "a spec").unwrap_err().to_string();
    assert!(fault.contains("did you mean `theme`"), "{fault}");
    let fault = pentimento::spec_text::parse::<FigureSpec>("figure = \"cleanup\"\nwidth = \"wide\"", "a spec").unwrap_err().to_string();
    assert!(fault.contains("single, double"), "{fault}");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let wrong = render(&FigureSpec::new(Figure::Cleanup), &measured(Figure::Recall), &provenance()).unwrap_err();
    assert_eq!(wrong.to_string(), "figure `cleanup` cannot draw what was measured for `recall`");
    let flat = FigureSpec { aspect: Some(0.01), ..FigureSpec::new(Figure::Recall) };
    assert!(render(&flat, &measured(Figure::Recall), &provenance()).unwrap_err().to_string().contains("0.2 to 3"));
    let Measured::Readout(mut readouts) = measured(Figure::Readout) else { unreachable!() };
    readouts.panels[0].curves[0].scores.pop();
    let fault = render(&FigureSpec::new(Figure::Readout), &Measured::Readout(readouts), &provenance()).unwrap_err();
    assert_eq!(fault.to_string(), "figure `readout`: curve `stale value` has 3 scores for 4 places");
}

#[test]
fn a_figure_that_exists_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let rendered = drawn(&FigureSpec { formats: vec![Format::Svg, Format::Pdf], ..FigureSpec::new(Figure::Recall) });
    let files = rendered.write(folder.path(), "recall", false).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["recall.svg", "recall.pdf", "recall.csv", "recall.json"]);
    assert!(matches!(rendered.write(folder.path(), "recall", false), Err(FigureError::Exists(_))));
    rendered.write(folder.path(), "recall", true).unwrap();
}

#[test]
fn ticks_are_round_and_named_without_needless_zeros() {
    let labels = |scale: Scale, wanted| scale.ticks(wanted).major.into_iter().map(|tick| tick.label).collect::<Vec<_>>();
    assert_eq!(labels(Scale::linear(0.0, 3.5), 4), ["0", "1", "2", "3"]);
    assert_eq!(labels(Scale::linear(0.0, 1.0), 4), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
    assert_eq!(labels(Scale::linear(-0.4, 0.4), 4), ["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
    assert_eq!(labels(Scale::Log { from: 0.1, to: 10.0 }, 3), ["0.1", "1", "10"]);
    assert_eq!(labels(Scale::Log { from: 1.0, to: 1e6 }, 4), ["1", "100", "10,000", "10^{6}"]);
    assert_eq!(Scale::around([0.03, 0.38], &[0.0]).ends(), (0.0, 0.4));
    assert_eq!(Scale::log_around([0.13, 5.2]).ends(), (0.1, 10.0));
}

#[test]
fn bands_and_lines_break_at_gaps() {
    let mut scene = Scene::new(10.0, 10.0, Theme::Light);
    let black = Theme::Light.ink();
    scene.line(&[[0.0, 0.0], [1.0, 1.0], [f64::NAN, 1.0], [3.0, 1.0], [4.0, 1.0]], black, 1.0);
    scene.dashed(&[[0.0, 0.0], [10.0, 0.0]], black, 1.0, Some([2.0, 2.0]));
    let lines: Vec<_> =
        scene.marks.iter().filter_map(|mark| if let Mark::Line { places, .. } = mark { Some(places) } else { None }).collect();
    assert_eq!(lines.len(), 2 + 3);
    assert_eq!(*lines[2], [[0.0, 0.0], [2.0, 0.0]]);
    assert_eq!(*lines[4], [[8.0, 0.0], [10.0, 0.0]]);
    let lower = [[0.0, 2.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 2.0]];
    let upper = [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]];
    scene.band(&lower, &upper, black);
    let areas = scene.marks.iter().filter(|mark| matches!(mark, Mark::Area { .. })).count();
    assert_eq!(areas, 1);
}

#[test]
fn many_points_become_counts() {
    let points = [[0.1, 0.1], [0.1, 0.2], [0.9, 0.9], [f64::NAN, 0.5]];
    let density = Density::count(points.into_iter(), Scale::linear(0.0, 1.0), Scale::linear(0.0, 1.0), 2, 2);
    assert_eq!(density.counts, [0, 1, 2, 0]);
}

#[test]
fn a_figure_is_drawn_again_from_its_own_numbers() {
    for figure in Figure::ALL {
        let spec = FigureSpec { formats: vec![Format::Svg], ..FigureSpec::new(figure) };
        let first = drawn(&spec);
        let side_car = SideCar::read(&first.json).unwrap();
        assert_eq!(side_car.draw(&spec).unwrap().print(&spec, &provenance()).unwrap(), first, "{}", figure.name());
        let wide = FigureSpec { width: Width::Double, ..spec };
        assert!((side_car.draw(&wide).unwrap().scene.width - Width::Double.points()).abs() < 1e-9);
    }
    let recall = SideCar::read(&drawn(&FigureSpec::new(Figure::Recall)).json).unwrap();
    assert!(matches!(recall.draw(&FigureSpec::new(Figure::Fate)), Err(FigureError::Mismatch { .. })));
}

#[test]
fn what_was_measured_reads_back_and_joins() {
    for figure in Figure::ALL {
        let of_one = measured(figure);
        let (joined, rest) = of_one.clone().join(of_one.clone());
        assert_eq!(joined.figure(), figure);
        let compares =
            !matches!(figure, Figure::Cleanup | Figure::Allocation | Figure::Readout | Figure::Selectivity | Figure::Calibration);
        assert_eq!(rest.is_none(), compares, "{}", figure.name());
    }
    let fate = serde_json::to_value(samples::fate(true)).unwrap();
    let Measured::Fate(models) = Measured::read(Figure::Fate, "EDA", fate.clone()).unwrap() else { unreachable!() };
    assert_eq!((models.len(), models[0].label.as_str()), (1, "EDA"));
    assert!(Measured::read(Figure::Recall, "EDA", fate).is_err());
}

#[test]
fn a_training_log_is_read() {
    let one = "{\"step\": 1, \"loss\": 2.0}\n{\"step\": 2, \"loss\": 1.5, \"held_out\": {\"mqar\": {\"accuracy\": 0.5}}}\n";
    let log = TrainingLog::read(one).unwrap();
    assert_eq!((log.loss.clone(), log.accuracy.clone(), log.n_tasks), (vec![Some(2.0), Some(1.5)], vec![None, Some(0.5)], 1));
    let two = one.replace("{\"mqar\"", "{\"copy\": {\"accuracy\": null}, \"facts\": {\"accuracy\": 1.0}, \"mqar\"");
    let log = TrainingLog::read(&two).unwrap();
    assert_eq!((log.accuracy[1], log.n_tasks), (Some(0.75), 2), "the mean of those that have one");
    assert!(TrainingLog::read("{\"step\": 1, \"loss\": 2.0}\nnonsense").unwrap_err().starts_with("line 2"));
}

/// A text of an SVG document, sizes and places in points.
struct Text {
    says: String,
    size: f64,
    span: [f64; 2],
}

fn texts(svg: &str) -> Vec<Text> {
    let lines = svg.lines().filter(|line| line.starts_with("<text "));
    lines
        .map(|line| {
            let (tag, rest) = line.split_once('>').unwrap();
            let text =
                rest.trim_end_matches("</text>").replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'").replace("&amp;", "&");
            let number = |name: &str| attribute(tag, name).parse::<f64>().unwrap() / 20.0;
            let (size, x) = (number("font-size"), number("x"));
            let width = font::width(&text, size);
            let turned = tag.contains("rotate");
            let left = match attribute(tag, "text-anchor") {
                _ if turned => x,
                "start" => x,
                "middle" => x - width / 2.0,
                _ => x - width,
            };
            Text { says: text, size, span: [left, if turned { x } else { left + width }] }
        })
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let start = tag.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    &tag[start..start + tag[start..].find('"').unwrap()]
}

//! What every figure must keep to in print, whatever it shows: on its sheet, readable, in greys too.

use std::fmt::Write as _;

use pentimento::figure::colour::category;
use pentimento::figure::scene::{Anchor, Mark, Marker, Scene, dash_of};
use pentimento::figure::{
    Along, Figure, FigureSpec, Format, Hues, Labelled, Measured, Options, Panels, ReadIn, Shares, ShowMemory, Theme, Width, draw, font,
    render,
};
use pentimento::measure::{Allocation, HeadId, HeadMap, HeadQuantity, HeadValue};
use pentimento::provenance::Provenance;

use super::samples;

/// The least size of text, and of raised and lowered runs, in points.
const LEAST_TEXT: [f64; 2] = [7.0, 5.0];
/// The thinnest line in points.
const LEAST_LINE: f64 = 0.5;
/// Rounding, and half a line's width.
const SLACK: f64 = 0.6;

/// The box of a text: left, top, right, bottom.
fn extent(mark: &Mark) -> Option<[f64; 4]> {
    let Mark::Text { text, place: [x, y], size, anchor, turned, .. } = mark else { return None };
    let width = font::width(text, *size);
    let from = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width / 2.0,
        Anchor::End => -width,
    };
    let (above, below) = (font::CAP_HEIGHT * size, 0.16 * size);
    Some(if *turned { [x - above, y - from - width, x + below, y - from] } else { [x + from, y - above, x + from + width, y + below] })
}

fn reach(mark: &Mark) -> [f64; 4] {
    let around = |places: &[[f64; 2]]| {
        let fold = |axis: usize, pick: fn(f64, f64) -> f64, start: f64| places.iter().map(|place| place[axis]).fold(start, pick);
        [fold(0, f64::min, f64::MAX), fold(1, f64::min, f64::MAX), fold(0, f64::max, f64::MIN), fold(1, f64::max, f64::MIN)]
    };
    match mark {
        Mark::Line { places, .. } => around(places),
        Mark::Area { corners, .. } => around(corners),
        Mark::Cell { rect, .. } | Mark::Picture { rect, .. } => [rect.left, rect.top, rect.right(), rect.bottom()],
        Mark::Disc { centre: [x, y], radius, .. } => [x - radius, y - radius, x + radius, y + radius],
        Mark::Text { .. } => extent(mark).unwrap(),
    }
}

/// What is wrong with a scene, a line each.
fn faults(scene: &Scene) -> String {
    let mut faults = String::new();
    for mark in &scene.marks {
        let [left, top, right, bottom] = reach(mark);
        if left < -SLACK || top < -SLACK || right > scene.width + SLACK || bottom > scene.height + SLACK {
            writeln!(faults, "  leaves the sheet of {} x {}: {mark:?}", scene.width, scene.height).unwrap();
        }
        match mark {
            Mark::Text { text, size, .. } => {
                let is_small_run = text.chars().count() <= 3;
                if *size < LEAST_TEXT[usize::from(is_small_run)] {
                    writeln!(faults, "  `{text}` has {size} pt").unwrap();
                }
                if !font::covers(text) {
                    writeln!(faults, "  the font lacks a character of `{text}`").unwrap();
                }
            }
            Mark::Line { width, .. } if *width < LEAST_LINE => writeln!(faults, "  a line of {width} pt: {mark:?}").unwrap(),
            _ => {}
        }
    }
    let texts: Vec<([f64; 4], &str)> = scene
        .marks
        .iter()
        .filter_map(|mark| if let Mark::Text { text, .. } = mark { Some((extent(mark)?, text.as_str())) } else { None })
        .collect();
    for (n, (a, one)) in texts.iter().enumerate() {
        for (b, other) in &texts[n + 1..] {
            let overlap = [(a[2].min(b[2]) - a[0].max(b[0])), (a[3].min(b[3]) - a[1].max(b[1]))];
            if overlap[0] > SLACK && overlap[1] > SLACK {
                writeln!(faults, "  `{one}` and `{other}` overlap by {:.1} x {:.1} pt", overlap[0], overlap[1]).unwrap();
            }
        }
    }
    faults
}

fn hold(name: &str, spec: &FigureSpec, measured: &Measured, found: &mut String) {
    let faults = faults(&draw(spec, measured).unwrap().scene);
    if !faults.is_empty() {
        writeln!(found, "{name}:\n{faults}").unwrap();
    }
}

#[test]
fn every_figure_keeps_to_its_sheet_at_every_width() {
    let mut found = String::new();
    for figure in Figure::ALL {
        for width in [Width::Acl, Width::Single, Width::Millimetres(85.0), Width::Neurips, Width::AclPage, Width::Double] {
            let title = (width == Width::Neurips).then(|| "A title".to_owned());
            let spec = FigureSpec { width, title, ..FigureSpec::new(figure) };
            hold(&format!("{} at {width}", figure.name()), &spec, &samples::measured(figure), &mut found);
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn every_choice_keeps_to_its_sheet() {
    let quantities = HeadQuantity::ALL.to_vec();
    let choices = [
        (Figure::Cleanup, Options { panels: Panels::Heads, ..Options::default() }),
        (Figure::Cleanup, Options { marginals: false, ..Options::default() }),
        (Figure::Allocation, Options { shares: Shares::Lines, ..Options::default() }),
        (Figure::Readout, Options { along: Along::Age, ..Options::default() }),
        (Figure::Training, Options { log_loss: false, ..Options::default() }),
        (Figure::Atlas, Options { quantities, ..Options::default() }),
        (Figure::Read, Options { of_read: ReadIn::Share, ..Options::default() }),
        (Figure::Memory, Options { memory: ShowMemory::Changes, hues: Hues::PurpleOrange, ..Options::default() }),
        (Figure::Memory, Options { memory: ShowMemory::Write, range: Some(0.5), ..Options::default() }),
    ];
    let mut found = String::new();
    for (figure, options) in choices {
        for width in [Width::Acl, Width::Neurips] {
            let spec = FigureSpec { width, options: options.clone(), ..FigureSpec::new(figure) };
            hold(&format!("{} at {width} with {options:?}", figure.name()), &spec, &samples::measured(figure), &mut found);
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// Four models with long names.
fn many<T>(of: impl Fn(usize) -> T) -> Vec<Labelled<T>> {
    ["EDA-2.5B, seed 1", "KDA-2.5B, seed 1", "GDN-2-2.5B, seed 1", "DeltaNet, seed 1"]
        .into_iter()
        .enumerate()
        .map(|(n, name)| Labelled::new(name, of(n)))
        .collect()
}

#[test]
fn many_models_with_long_names_keep_to_the_sheet() {
    let some = |n: usize| 0.8 + 0.05 * n as f64;
    let cases = [
        Measured::Collateral(many(|_| samples::collateral())),
        Measured::Alignment(many(|_| samples::alignment())),
        Measured::Recall(many(|n| samples::recall(some(n)))),
        Measured::Training(many(|n| samples::training(some(n)))),
        Measured::Accuracy(many(|n| samples::answers(0.02 * n as f64))),
        Measured::Dose(many(|_| samples::erase_effects())),
        Measured::Fate(many(|n| samples::fate(n == 0))),
        Measured::Targeting(many(|n| samples::targeting(n == 0))),
        Measured::Capacity(many(|n| samples::capacity(some(n)))),
        Measured::Attention(many(|n| samples::explained(some(n)))),
        Measured::Atlas(many(|n| samples::head_maps(n == 0))),
        Measured::Spectrum(many(|n| samples::spectrum(some(n)))),
    ];
    let mut found = String::new();
    for measured in cases {
        for width in [Width::Acl, Width::Neurips] {
            let figure = measured.figure();
            hold(
                &format!("{} of four models at {width}", figure.name()),
                &FigureSpec { width, ..FigureSpec::new(figure) },
                &measured,
                &mut found,
            );
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn large_models_and_rules_without_erase_keep_to_the_sheet() {
    let head = |n: usize| HeadValue { id: HeadId { layer: n / 16, head: n % 16 }, value: samples::interval(n as f64 / 336.0, 0.01) };
    let atlas = HeadMap { quantity: HeadQuantity::EraseStrength, heads: (0..21 * 16).map(head).collect() };
    let allocation = Allocation { has_erase: false, ..samples::allocation() };
    let cases = [Measured::Atlas(vec![Labelled::new("EDA", vec![atlas])]), Measured::Allocation(Box::new(allocation))];
    let mut found = String::new();
    for measured in cases {
        for width in [Width::Acl, Width::Double] {
            let figure = measured.figure();
            hold(&format!("{} at {width}", figure.name()), &FigureSpec { width, ..FigureSpec::new(figure) }, &measured, &mut found);
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn series_differ_without_colour() {
    let luma = |n: usize| f64::from(category(n).grey().rgb[0]);
    for a in 0..6 {
        for b in 0..a {
            let differs = dash_of(a) != dash_of(b) || Marker::of(a) != Marker::of(b) || (luma(a) - luma(b)).abs() > 30.0;
            assert!(differs, "series {a} and {b} look alike in greys");
        }
    }
}

#[test]
fn the_grey_theme_has_no_colour() {
    for figure in Figure::ALL {
        let scene = draw(&FigureSpec { theme: Theme::Grey, ..FigureSpec::new(figure) }, &samples::measured(figure)).unwrap().scene;
        for mark in &scene.marks {
            let colours = match mark {
                Mark::Line { colour, .. }
                | Mark::Area { colour, .. }
                | Mark::Cell { colour, .. }
                | Mark::Disc { colour, .. }
                | Mark::Text { colour, .. } => vec![*colour],
                Mark::Picture { cells, .. } => cells.clone(),
            };
            let is_grey = colours.iter().all(|colour| colour.rgb[0] == colour.rgb[1] && colour.rgb[1] == colour.rgb[2]);
            assert!(is_grey, "{}: {mark:?}", figure.name());
        }
    }
}

#[test]
fn every_pdf_embeds_its_font_and_is_the_same_again() {
    let provenance = Provenance::here("pentimento figure");
    for figure in Figure::ALL {
        let spec = FigureSpec { formats: vec![Format::Pdf], ..FigureSpec::new(figure) };
        let pdf = || render(&spec, &samples::measured(figure), &provenance).unwrap().pdf.unwrap();
        let first = pdf();
        let has = |text: &str| first.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has("/FontFile3") && !has("CreationDate"), "{}", figure.name());
        assert_eq!(first, pdf(), "{}", figure.name());
    }
}

//! Every figure on fixed numbers, mark by mark, beside a listing that was looked at when it was committed.
//!
//! A listing has one line a mark in points and is read in a review like any other text.
//! After a wanted change: `UPDATE_GOLDEN=1 cargo test --release --test tests figure::golden`, then look at the pictures in
//! the `figures` folder of `CARGO_TARGET_TMPDIR` and at the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use pentimento::figure::colour::Colour;
use pentimento::figure::scene::{Anchor, Mark, Place, Scene};
use pentimento::figure::{Figure, FigureSpec, draw};

use super::samples::measured;

#[test]
fn every_figure_is_drawn_as_when_it_was_last_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/figures");
    let is_blessed = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differences = String::new();
    for figure in Figure::ALL {
        let drawn = draw(&FigureSpec::new(figure), &measured(figure)).unwrap();
        let found = format!("{}\n{}", drawn.summary, listing(&drawn.scene));
        let path = folder.join(format!("{}.txt", figure.name()));
        if is_blessed {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &found).unwrap();
            continue;
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden != found {
            let (n, [was, is]) = first_difference(&golden, &found);
            writeln!(differences, "{}, line {n}:\n  was {was}\n  is  {is}", figure.name()).unwrap();
        }
    }
    assert!(differences.is_empty(), "figures changed; if that is wanted, bless them (see the head of this file):\n{differences}");
}

#[test]
fn no_listing_is_left_of_a_figure_that_is_gone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/figures");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(Figure::named(path.file_stem().unwrap().to_str().unwrap()).is_some(), "{}", path.display());
    }
}

fn first_difference<'a>(golden: &'a str, found: &'a str) -> (usize, [&'a str; 2]) {
    let (mut was, mut is) = (golden.lines(), found.lines());
    (1..)
        .find_map(|n| {
            let pair = [was.next().unwrap_or("(nothing)"), is.next().unwrap_or("(nothing)")];
            (pair[0] != pair[1] || pair[0] == "(nothing)").then_some((n, pair))
        })
        .unwrap()
}

/// One line a mark. Runs of lines of one look (dashes) are one entry: their number, where they begin and end, and their length.
fn listing(scene: &Scene) -> String {
    let mut text = format!("sheet {} x {}, {:?}\n", scene.width, scene.height, scene.theme);
    for run in scene.marks.chunk_by(is_same_line) {
        let line = match run {
            [Mark::Line { places, colour, width }] => format!("line {width} {} {}", hex(*colour), path(places)),
            [Mark::Line { places, colour, width }, .., Mark::Line { places: last, .. }] => {
                let length: f64 = run.iter().map(length).sum();
                let ends = [places[0], *last.last().unwrap()];
                format!("lines {width} {} {} from {}, {length:.0} long", hex(*colour), run.len(), path(&ends))
            }
            [Mark::Area { corners, colour }] => format!("area {} {}", hex(*colour), path(corners)),
            [Mark::Cell { rect, colour }] => {
                format!("cell {} {:.1},{:.1} {:.1} x {:.1}", hex(*colour), rect.left, rect.top, rect.width, rect.height)
            }
            [Mark::Disc { centre, radius, colour }] => format!("disc {radius:.1} {} {}", hex(*colour), path(&[*centre])),
            [Mark::Text { text, place, size, colour, anchor, turned }] => {
                let anchor = match anchor {
                    Anchor::Start => "from",
                    Anchor::Middle => "about",
                    Anchor::End => "up to",
                };
                let turned = if *turned { ", turned" } else { "" };
                format!("text {size:.1} {} {anchor} {}{turned}: {text}", hex(*colour), path(&[*place]))
            }
            [Mark::Picture { rect, columns, cells }] => {
                let sum: u32 = cells.iter().flat_map(|cell| cell.rgb).map(u32::from).sum();
                let (left, top) = (rect.left, rect.top);
                format!(
                    "picture {} cells in {columns} columns, sum {sum}, {left:.1},{top:.1} {:.1} x {:.1}",
                    cells.len(),
                    rect.width,
                    rect.height
                )
            }
            _ => unreachable!("only lines run together"),
        };
        text += &line;
        text.push('\n');
    }
    text
}

fn is_same_line(a: &Mark, b: &Mark) -> bool {
    match (a, b) {
        (Mark::Line { colour, width, places }, Mark::Line { colour: other, width: wide, places: next }) => {
            colour == other && (width - wide).abs() < 1e-9 && places.len() < 4 && next.len() < 4
        }
        _ => false,
    }
}

fn length(mark: &Mark) -> f64 {
    let Mark::Line { places, .. } = mark else { return 0.0 };
    places.windows(2).map(|pair| (pair[1][0] - pair[0][0]).hypot(pair[1][1] - pair[0][1])).sum()
}

fn hex(colour: Colour) -> String {
    let [red, green, blue] = colour.rgb;
    let opacity = if colour.opacity < 1.0 { format!("/{:.2}", colour.opacity) } else { String::new() };
    format!("#{red:02x}{green:02x}{blue:02x}{opacity}")
}

/// Places to a tenth of a point; of many, the first, some between and the last.
fn path(places: &[Place]) -> String {
    let every = places.len().div_ceil(12).max(1);
    let kept = places.iter().enumerate().filter(|(n, _)| n % every == 0 || n + 1 == places.len());
    // No negative zero.
    kept.map(|(_, [x, y])| format!("{:.1},{:.1}", x + 0.0, y + 0.0)).collect::<Vec<_>>().join(" ")
}

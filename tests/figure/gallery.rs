//! The gallery in `examples/figures.md` is what the code draws now, of the numbers that lie beside its pictures.

use std::fs;
use std::path::{Path, PathBuf};

use pentimento::figure::{Figure, SideCar};
use pentimento::provenance::Provenance;

/// The most that all pictures and their numbers may weigh together.
const MOST_BYTES: u64 = 2_400_000;

const REMAKE: &str = "make the gallery again: pentimento figure examples/figures.toml --dpi 150 --format png -o assets/figures --force";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pictures that the page shows.
fn pictures() -> Vec<PathBuf> {
    let page = fs::read_to_string(root().join("examples/figures.md")).unwrap();
    let named = page.split("](../").skip(1).map(|rest| rest.split(')').next().unwrap());
    let pictures = named.map(|path| root().join(path));
    pictures.filter(|path| path.extension().is_some_and(|extension| extension == "png")).collect()
}

#[test]
fn the_gallery_is_what_would_be_drawn_now() {
    for picture in pictures() {
        assert!(picture.is_file(), "{}: {REMAKE}", picture.display());
        let json = fs::read_to_string(picture.with_extension("json")).unwrap();
        let side_car = SideCar::read(&json).unwrap();
        let drawn = side_car.draw(&side_car.spec).unwrap().print(&side_car.spec, &Provenance::here("figure")).unwrap();
        let again = SideCar::read(&drawn.json).unwrap();
        assert_eq!(side_car.drawing, again.drawing, "{}: {REMAKE}", picture.display());
    }
}

#[test]
fn the_gallery_shows_every_figure() {
    let shown: Vec<Figure> = pictures()
        .iter()
        .map(|picture| SideCar::read(&fs::read_to_string(picture.with_extension("json")).unwrap()).unwrap().spec.figure)
        .collect();
    for figure in Figure::ALL {
        assert!(shown.contains(&figure), "examples/figures.md does not show {}", figure.name());
    }
}

#[test]
fn the_gallery_stays_small() {
    let files = fs::read_dir(root().join("assets/figures")).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= MOST_BYTES, "assets/figures holds {bytes} bytes");
}

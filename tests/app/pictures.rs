//! Pictures: those of the README, of every panel in both themes, and of the tour. Scripts make them in a real window, and what is
//! committed must be what the program draws.
//!
//! Needs Xvfb. Where it is not installed the tests say so and pass, unless `PENTIMENTO_SCREEN` asks for it. After a change that is
//! meant, `PENTIMENTO_RENEW_PICTURES=1 cargo test --release --test tests pictures` takes the new pictures for the old ones: look at
//! them before committing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pentimento::app::script::{self, Step};

use super::screen::Screen;

/// One window at a time: so many programs at once would only be slower, and they share what they record.
static ONE_WINDOW: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// Runs the script of a folder of pictures; what it made lies in the folder that comes back. `None` where there is no screen.
fn make(committed: &Path, size: &str) -> Option<PathBuf> {
    // So large that its pointer lies outside every window.
    let Some(screen) = Screen::new("3000x1900") else {
        assert!(std::env::var_os("PENTIMENTO_SCREEN").is_none(), "PENTIMENTO_SCREEN is set, but Xvfb is not there");
        println!("no Xvfb: the pictures were not made");
        return None;
    };
    let mut shared = ONE_WINDOW.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let recorded = shared.get_or_insert_with(|| tempfile::tempdir().unwrap()).path().to_path_buf();
    // Beside the test program, so that a failure leaves the new pictures for looking.
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(committed.file_name().unwrap());
    if made.exists() {
        std::fs::remove_dir_all(&made).unwrap();
    }
    std::fs::create_dir_all(&made).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["view", "--size", size, "--script"])
        .arg(committed.join("script.txt"))
        .current_dir(&made)
        .env("DISPLAY", screen.display())
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_CACHE_HOME", recorded.join("cache"))
        .env("XDG_RUNTIME_DIR", &recorded)
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "the script of {} met errors", committed.display());
    Some(made)
}

/// The pictures that a script makes, in its order.
fn named(committed: &Path) -> Vec<PathBuf> {
    let steps = script::read(&committed.join("script.txt")).unwrap();
    steps.into_iter().filter_map(|step| if let Step::Picture(name) = step { Some(name) } else { None }).collect()
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let mut names: Vec<PathBuf> = names.filter(|name| name.extension().is_some_and(|extension| extension == "png")).collect();
    names.sort();
    names
}

/// A picture as mean colours of blocks, by row.
struct Blocks {
    width: usize,
    means: Vec<[f64; 3]>,
}

/// Side of a block in pixels: wider than the edge of a letter, narrower than a word.
const SIDE: usize = 12;
/// Blocks whose means differ by more look different; the drawing of edges, which differs between machines, stays below.
const DIFFERENT: f64 = 20.0;
/// So many of a thousand blocks may.
const MOST_OF_A_THOUSAND: usize = 4;

impl Blocks {
    fn of(file: &Path) -> Self {
        let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight), "{}", file.display());
        let (width, height) = (info.width as usize, info.height as usize);
        let mut means = Vec::new();
        for top in (0..height - height % SIDE).step_by(SIDE) {
            for left in (0..width - width % SIDE).step_by(SIDE) {
                let mut sum = [0.0; 3];
                for y in top..top + SIDE {
                    for x in left..left + SIDE {
                        let at = 3 * (y * width + x);
                        sum.iter_mut().zip(&pixels[at..at + 3]).for_each(|(sum, value)| *sum += f64::from(*value));
                    }
                }
                means.push(sum.map(|sum| sum / (SIDE * SIDE) as f64));
            }
        }
        Self { width, means }
    }

    /// What looks different in another picture, in words; `None` where nothing does.
    fn unlike(&self, other: &Self) -> Option<String> {
        if (self.width, self.means.len()) != (other.width, other.means.len()) {
            return Some("another size".to_owned());
        }
        let differ = |(a, b): (&[f64; 3], &[f64; 3])| a.iter().zip(b).any(|(a, b)| (a - b).abs() > DIFFERENT);
        let places: Vec<usize> = (0..self.means.len()).filter(|&at| differ((&self.means[at], &other.means[at]))).collect();
        let first = *places.first()?;
        let columns = self.width / SIDE;
        let at = |place: usize| (place % columns * SIDE, place / columns * SIDE);
        let much = places.len() * 1000 > self.means.len() * MOST_OF_A_THOUSAND;
        much.then(|| format!("{} of {} blocks, the first at pixel {:?}", places.len(), self.means.len(), at(first)))
    }
}

/// What is committed is what was made, or is from now on.
fn hold(committed: &Path, made: &Path) {
    let expected = named(committed);
    for name in &expected {
        assert!(made.join(name).exists(), "the script does not make {}", name.display());
    }
    if std::env::var_os("PENTIMENTO_RENEW_PICTURES").is_some() {
        for name in pictures(made).iter().filter(|name| expected.contains(name)) {
            std::fs::copy(made.join(name), committed.join(name)).unwrap();
            // Smaller where the tool is there; the pixels stay.
            let _ = Command::new("optipng").args(["-quiet", "-o2"]).arg(committed.join(name)).status();
        }
    }
    let there = pictures(committed);
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(there, sorted, "{} holds other pictures than its script makes", committed.display());
    let unlike = |name: &PathBuf| {
        let found = Blocks::of(&committed.join(name)).unlike(&Blocks::of(&made.join(name)))?;
        Some(format!("{}: {found}", name.display()))
    };
    let unlike: Vec<String> = there.iter().filter_map(unlike).collect();
    assert!(
        unlike.is_empty(),
        "these look different:\n{}\nthe new ones lie in {}; if they are meant, take them with PENTIMENTO_RENEW_PICTURES=1 and look at them",
        unlike.join("\n"),
        made.display()
    );
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// The README's pictures are what the program draws.
#[test]
fn the_pictures_of_the_readme_are_true() {
    let committed = folder("screenshots");
    let Some(made) = make(&committed, "1440x900") else { return };
    hold(&committed, &made);
    for picture in pictures(&committed) {
        assert!(std::fs::metadata(committed.join(&picture)).unwrap().len() < 300_000, "{} is too large", picture.display());
    }
}

/// Every panel looks as it was looked at and found good, in both themes.
#[test]
fn every_panel_looks_as_it_did_in_both_themes() {
    let committed = folder("screenshots/panels");
    let names: Vec<String> = named(&committed).iter().map(|name| name.display().to_string()).collect();
    for panel in pentimento::app::panel::PanelKind::ALL {
        for theme in ["light", "dark"] {
            let found = |name: &String| name.starts_with(panel.name()) && name.ends_with(&format!("-{theme}.png"));
            assert!(names.iter().any(found), "no picture of {panel:?} in {theme}");
        }
    }
    let Some(made) = make(&committed, "720x480") else { return };
    hold(&committed, &made);
    let bytes: u64 = pictures(&committed).iter().map(|name| std::fs::metadata(committed.join(name)).unwrap().len()).sum();
    assert!(bytes < 2_500_000, "{bytes} bytes of pictures are too much for a repository");
}

/// The comparison sees a word that is gone, and sees nothing in a picture beside itself.
#[test]
fn a_missing_word_is_seen_and_a_soft_edge_is_not() {
    let width = 720;
    let blocks = |of: &dyn Fn(usize) -> [f64; 3]| Blocks { width, means: (0..60 * 40).map(of).collect() };
    let white = blocks(&|_| [255.0; 3]);
    assert_eq!(white.unlike(&white), None);
    // A word of 120 by 14 pixels covers ten to twenty blocks; ink covers a fifth of each.
    let word = blocks(&|at| if at < 12 { [205.0; 3] } else { [255.0; 3] });
    assert!(white.unlike(&word).unwrap().starts_with("12 of 2400"));
    let soft = blocks(&|_| [244.0; 3]);
    assert_eq!(white.unlike(&soft), None);
    assert_eq!(white.unlike(&Blocks { width: 700, means: white.means.clone() }).as_deref(), Some("another size"));
}

/// The tour's pictures are what the program draws.
#[test]
fn the_pictures_of_the_tour_are_true() {
    let committed = folder("screenshots/tour");
    let Some(made) = make(&committed, "1000x640") else { return };
    hold(&committed, &made);
}

/// The tour's text at each of its pictures, by the picture's name.
fn tour() -> Vec<(PathBuf, String)> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tour.md")).unwrap();
    let parts = page.split("](../assets/screenshots/tour/").skip(1);
    let named = parts.map(|part| {
        let (name, text) = part.split_once(')').unwrap();
        // The next picture's name is no text of this one.
        (PathBuf::from(name), text.split("![").next().unwrap().to_owned())
    });
    named.collect()
}

/// What the tour says in numbers stands in the window: in the words that a screen reader reads at that picture. No display is needed.
#[test]
fn every_number_of_the_tour_stands_in_the_window() {
    use egui_kittest::kittest::Queryable;

    let tour = tour();
    let committed = folder("screenshots/tour");
    let names: Vec<PathBuf> = tour.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, named(&committed), "the page shows the pictures in the order in which they are made");
    let mut harness = super::window::harness();
    harness.step();
    for step in script::read(&committed.join("script.txt")).unwrap() {
        match step {
            Step::Do(action) => super::window::core(&mut harness).act(action),
            // One question leads to the next, further than one rest.
            Step::Settle(_) => (0..3).for_each(|_| super::window::settle(&mut harness)),
            Step::Picture(name) => {
                let (_, text) = tour.iter().find(|(other, _)| *other == name).unwrap();
                for (place, part) in text.split('`').enumerate() {
                    let is_quoted = place % 2 == 1;
                    if is_quoted && !part.starts_with("pentimento ") {
                        let stands = harness.query_all_by_label_contains(part).next().is_some();
                        assert!(stands, "the tour says '{part}' at {}, the window does not", name.display());
                    } else if !is_quoted {
                        assert!(!part.contains(|letter: char| letter.is_ascii_digit()), "a number that nobody checks: {part}");
                    }
                }
            }
            other => panic!("{other:?} has no place in the tour"),
        }
    }
    assert_eq!(super::window::core(&mut harness).errors(), Vec::<String>::new());
}

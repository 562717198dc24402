//! The program in a real window, with a real mouse and keyboard: open the bundled trace, pick, export, quit.
//!
//! Needs Xvfb and xdotool. Where they are not installed it says so and passes, unless `PENTIMENTO_SCREEN` asks for it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pentimento::app::script::Report;

struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// A screen of its own on a free display.
    fn new() -> Option<Self> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1440x900x24", "+extension", "GLX"])
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut display = String::new();
        let mut byte = [0];
        while reader.read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
            display.push(byte[0] as char);
        }
        if display.is_empty() {
            server.kill().unwrap();
            server.wait().unwrap();
            return None;
        }
        Some(Self { server, display: format!(":{display}") })
    }

    fn mouse_and_keys(&self, arguments: &[&str]) {
        let done = Command::new("xdotool").args(arguments).env("DISPLAY", &self.display).status().unwrap();
        assert!(done.success(), "xdotool {arguments:?}");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The screen goes with its test, whatever became of it.
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

fn wait_for(path: &Path, program: &mut Child) {
    let end = Instant::now() + Duration::from_mins(5);
    while !path.exists() {
        assert!(program.try_wait().unwrap().is_none(), "the program ended before it wrote {}", path.display());
        assert!(Instant::now() < end, "{} is not written", path.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    // It is written in one go, but not in no time.
    std::thread::sleep(Duration::from_millis(100));
}

fn report(path: &Path) -> Report {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_person_opens_picks_exports_and_quits() {
    let has_xdotool = Command::new("xdotool").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let Some(screen) = has_xdotool.then(Screen::new).flatten() else {
        assert!(std::env::var_os("PENTIMENTO_SCREEN").is_none(), "PENTIMENTO_SCREEN is set, but Xvfb or xdotool is not there");
        println!("no Xvfb or xdotool: the window was not tried");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let script = format!(
        r#"{{"do": {{"open_bundled": "eda-stale-facts"}}}}
{{"settle": 120}}
{{"report": {opened:?}}}
{{"until_picked": 60}}
{{"do": {{"outside": {{"export": {{"panel": "cleanup", "stem": {figure:?}, "formats": ["svg", "pdf", "png"]}}}}}}}}
{{"settle": 120}}
{{"picture": {picture:?}}}
{{"report": {picked:?}}}
{{"stay": 60}}
"#,
        opened = at("opened.json"),
        figure = at("headline"),
        picture = at("window.png"),
        picked = at("picked.json"),
    );
    std::fs::write(at("script"), script).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["view", "--size", "1280x800", "--script"])
        .arg(at("script"))
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_CACHE_HOME", at("cache"))
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .spawn()
        .unwrap();
    wait_for(&at("opened.json"), &mut program);
    let opened = report(&at("opened.json"));
    assert_eq!((opened.traces.as_slice(), opened.errors.len()), (["eda-stale-facts".to_owned()].as_slice(), 0));
    let before = opened.selection.step;

    // One step on, then a drag over the middle of the headline. Without a window manager nobody gives the window the keyboard.
    screen.mouse_and_keys(&["search", "--name", "Pentimento", "windowfocus", "sleep", "0.3"]);
    screen.mouse_and_keys(&["mousemove", "640", "400", "sleep", "0.2", "key", "Right"]);
    std::thread::sleep(Duration::from_millis(300));
    screen.mouse_and_keys(&["mousemove", "120", "140", "sleep", "0.2", "mousedown", "1", "sleep", "0.2"]);
    for (x, y) in [("200", "200"), ("350", "280"), ("480", "330"), ("600", "380")] {
        screen.mouse_and_keys(&["mousemove", x, y, "sleep", "0.1"]);
    }
    screen.mouse_and_keys(&["mouseup", "1"]);
    wait_for(&at("picked.json"), &mut program);
    let picked = report(&at("picked.json"));
    assert_eq!(picked.errors, Vec::<String>::new());
    assert!(picked.selection.steps.len() > 10, "{} tokens", picked.selection.steps.len());
    assert_eq!(picked.selection.step, before + 1);
    for (file, begins) in [
        ("headline.svg", &b"<"[..]),
        ("headline.pdf", b"%PDF"),
        ("headline.png", b"\x89PNG"),
        ("window.png", b"\x89PNG"),
        ("headline.csv", b""),
        ("headline.json", b"{"),
    ] {
        let bytes = std::fs::read(at(file)).unwrap();
        assert!(bytes.starts_with(begins) && bytes.len() > 500, "{file}");
    }

    screen.mouse_and_keys(&["key", "ctrl+q"]);
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "Ctrl+Q does not end the program");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
}

/// Mean colour of blocks of 16 by 16 pixels, by row.
fn blocks(file: &Path) -> (u32, Vec<[f64; 3]>) {
    const SIDE: usize = 16;
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
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
    (info.width, means)
}

/// The README's pictures are what the program draws: made anew by their script, and alike but for the drawing of edges, which
/// differs between machines.
#[test]
fn the_pictures_of_the_readme_are_true() {
    let Some(screen) = Screen::new() else {
        assert!(std::env::var_os("PENTIMENTO_SCREEN").is_none(), "PENTIMENTO_SCREEN is set, but Xvfb is not there");
        println!("no Xvfb: the pictures were not made");
        return;
    };
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screenshots");
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["view", "--size", "1440x900", "--script"])
        .arg(committed.join("script.txt"))
        .current_dir(folder.path())
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .status()
        .unwrap();
    assert!(status.success());
    let mut pictures: Vec<_> = std::fs::read_dir(&committed).unwrap().map(|entry| entry.unwrap().path()).collect();
    pictures.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    pictures.sort();
    assert!(!pictures.is_empty());
    for picture in pictures {
        let name = picture.file_name().unwrap();
        let made = folder.path().join(name);
        assert!(made.exists(), "no step of the script makes {}", name.display());
        assert!(std::fs::metadata(&picture).unwrap().len() < 300_000, "{} is too large for a repository", name.display());
        let (old, new) = (blocks(&picture), blocks(&made));
        assert_eq!((old.0, old.1.len()), (new.0, new.1.len()), "{}", name.display());
        let differ = |(a, b): (&[f64; 3], &[f64; 3])| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 24.0);
        let other = old.1.iter().zip(&new.1).filter(|pair| differ(*pair)).count();
        assert!(
            other * 50 < old.1.len(),
            "{}: {other} of {} blocks look different; make the pictures anew with assets/screenshots/script.txt and look at them",
            name.display(),
            old.1.len()
        );
    }
}

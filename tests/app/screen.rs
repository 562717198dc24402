//! The program in a real window, with a real mouse and keyboard: open the bundled trace, pick, export, quit.
//!
//! Needs Xvfb and xdotool. Where they are not installed it says so and passes, unless `PENTIMENTO_SCREEN` asks for it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pentimento::app::script::Report;

/// A screen without a monitor.
pub struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// A screen of its own on a free display; the pointer rests in its middle.
    pub fn new(size: &str) -> Option<Self> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{size}x24"), "+extension", "GLX"])
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

    /// Where programs find it.
    pub fn display(&self) -> &str {
        &self.display
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
    let Some(screen) = has_xdotool.then(|| Screen::new("1440x900")).flatten() else {
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

//! The window, on the screen: eframe with OpenGL.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use egui::{ColorImage, ViewportBuilder, ViewportCommand};

use super::action::{Action, Outside};
use super::core::{Core, Folders, LAST_SESSION};
use super::script::{self, Runner, ScriptError};
use super::settings::Settings;

/// How the window is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Traces and workspaces to open.
    pub paths: Vec<PathBuf>,
    /// A script to run; the window closes at its end.
    pub script: Option<PathBuf>,
    /// Width and height in points, instead of the last session's.
    pub size: Option<[f32; 2]>,
    /// Keep nothing of this session and offer nothing of the last.
    pub fresh: bool,
}

/// What keeps the window from opening.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no screen.
    #[error(
        "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): the app needs one; without, `pentimento measure` and `pentimento figure` give its numbers and plots, and `pentimento --help` lists all commands"
    )]
    NoDisplay,
    /// The window system or OpenGL refused.
    #[error(
        "no window can be opened ({0}): the app needs a display (X11 or Wayland) and OpenGL; without one use `pentimento measure` and `pentimento figure`"
    )]
    Window(String),
    /// The script cannot be run.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The script ran, but something went wrong.
    #[error("the script met errors: {}", .0.join("; "))]
    Met(Vec<String>),
}

/// Opens the window and stays until it is closed.
pub fn run(options: Options) -> Result<(), AppError> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(target_os = "linux") && !["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].into_iter().any(is_set) {
        return Err(AppError::NoDisplay);
    }
    let steps = options.script.as_deref().map(script::read).transpose()?;
    let scripted = steps.is_some();
    let folders = folders(options.fresh || scripted);
    let size = options.size.unwrap_or([1440.0, 900.0]);
    let viewport = ViewportBuilder::default()
        .with_title("Pentimento")
        .with_app_id("pentimento")
        .with_inner_size(size)
        .with_min_inner_size([640.0, 420.0])
        .with_drag_and_drop(true);
    let native = eframe::NativeOptions {
        viewport,
        persist_window: !scripted && options.size.is_none() && !options.fresh,
        // Settings and session are files of our own, which say their version.
        persistence_path: folders.state.as_ref().map(|folder| folder.join("window.ron")),
        ..eframe::NativeOptions::default()
    };
    let met = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&met);
    let made = move |creation: &eframe::CreationContext<'_>| {
        let settings = folders.state.as_deref().map(read_settings).unwrap_or_default();
        let mut core = Core::new(&creation.egui_ctx, settings, folders.clone());
        if !options.paths.is_empty() {
            core.act(Action::Open(options.paths));
        }
        let runner = steps.map(Runner::new);
        Ok(Box::new(Window { core, state: folders.state, runner, taken: Arc::default(), met: told, asked_to_quit: false })
            as Box<dyn eframe::App>)
    };
    eframe::run_native("pentimento", native, Box::new(made)).map_err(|error| AppError::Window(error.to_string()))?;
    let met = met.lock().map(|met| met.clone()).unwrap_or_default();
    if scripted && !met.is_empty() { Err(AppError::Met(met)) } else { Ok(()) }
}

/// A picture of the window and where it goes.
type Taken = (PathBuf, Arc<ColorImage>);

struct Window {
    core: Core,
    state: Option<PathBuf>,
    runner: Option<Runner>,
    /// Pictures that have been taken but not saved.
    taken: Arc<Mutex<Vec<Taken>>>,
    met: Arc<Mutex<Vec<String>>>,
    asked_to_quit: bool,
}

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let context = ui.ctx().clone();
        self.save_pictures();
        if let Some(runner) = &mut self.runner {
            if !runner.advance(&mut self.core) && !self.asked_to_quit {
                self.core.act(Outside::Quit);
            }
            context.request_repaint();
        }
        self.core.ui(ui);
        for outside in std::mem::take(&mut self.core.for_window) {
            match outside {
                Outside::Screenshot(path) => {
                    let (taken, wake) = (Arc::clone(&self.taken), context.clone());
                    context.request_screenshot(move |image| {
                        if let Ok(mut taken) = taken.lock() {
                            taken.push((path, image));
                        }
                        wake.request_repaint();
                    });
                }
                Outside::Quit => {
                    self.asked_to_quit = true;
                    context.send_viewport_cmd(ViewportCommand::Close);
                }
                _ => {}
            }
        }
    }

    fn save(&mut self, _storage: &mut dyn eframe::Storage) {
        self.keep();
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.keep();
        if let Ok(mut met) = self.met.lock() {
            *met = self.core.errors();
        }
    }

    fn persist_egui_memory(&self) -> bool {
        false
    }
}

impl Window {
    fn save_pictures(&mut self) {
        let taken = self.taken.lock().map(|mut taken| std::mem::take(&mut *taken)).unwrap_or_default();
        for (path, image) in taken {
            if let Err(error) = write_png(&path, &image) {
                self.core.complain("The picture cannot be written", &format!("{error}: {}", path.display()));
            }
            if let Some(runner) = &mut self.runner {
                runner.picture_saved();
            }
        }
    }

    /// Keeps settings and session for the next time.
    fn keep(&mut self) {
        let Some(folder) = &self.state else { return };
        let settings = serde_json::to_string_pretty(self.core.session.settings()).expect("plain data serialises");
        let kept = std::fs::create_dir_all(folder)
            .and_then(|()| crate::export::whole_file(&folder.join(SETTINGS), settings.as_bytes()))
            .map_err(|error| error.to_string())
            .and_then(|()| {
                // A window that was only looked into leaves the last session as it was.
                let is_empty = self.core.session.traces().is_empty();
                let session = self.core.session.workspace();
                if is_empty { Ok(()) } else { session.write(&folder.join(LAST_SESSION)).map_err(|error| error.to_string()) }
            });
        if let Err(error) = kept {
            self.core.complain("The session cannot be kept", &error);
        }
    }
}

const SETTINGS: &str = "settings.json";

fn folders(fresh: bool) -> Folders {
    let known = directories::ProjectDirs::from("rs", "", "pentimento");
    let cache = known.as_ref().map_or_else(|| std::env::temp_dir().join("pentimento"), |known| known.cache_dir().to_path_buf());
    let state = known.map(|known| known.state_dir().unwrap_or_else(|| known.data_local_dir()).to_path_buf());
    Folders { cache, state: state.filter(|_| !fresh) }
}

/// Settings of the last session; the defaults where there are none or they are not understood.
fn read_settings(folder: &Path) -> Settings {
    let text = std::fs::read(folder.join(SETTINGS)).unwrap_or_default();
    serde_json::from_slice::<Settings>(&text).unwrap_or_default().within_ranges()
}

fn write_png(path: &Path, image: &ColorImage) -> Result<(), String> {
    let file = std::fs::File::create(path).map_err(|error| error.to_string())?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), image.width() as u32, image.height() as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let pixels: Vec<u8> = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(&pixels).map_err(|error| error.to_string())
}

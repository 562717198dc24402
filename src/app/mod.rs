//! The desktop app: look inside the memory of a model, step by step, with everything selected in one place lighting up in all others.
//!
//! The [`Session`](session::Session) is all of the window without the window: open traces, one selection, bookmarks, views and the
//! arrangement of the panels. It changes by [`Action`](action::Action)s and by nothing else, so that buttons, shortcuts, the command
//! palette, scripts and undo all speak of the same things. Panels ask for measured structs in the background
//! ([`jobs`]) and draw them with what `figure` describes ([`paint`]), so that screen and paper cannot disagree.

// session side, without a renderer: selection, settings, layout, action, history, session, workspace; jobs, data
// window side: theme, paint, panel, then what stands around the panels (chrome), core (one frame), window (eframe), script
pub mod action;
pub mod bench;
mod bundled;
mod chrome;
pub mod core;
pub mod data;
mod effects;
mod first_look;
pub mod glossary;
pub mod history;
pub mod jobs;
pub mod layout;
pub mod open_results;
pub mod open_trace;
pub mod paint;
pub mod panel;
pub mod script;
pub mod selection;
pub mod session;
pub mod settings;
pub mod theme;
mod tiles;
mod window;
pub mod workspace;

pub use window::{AppError, Options, run};

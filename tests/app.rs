//! The desktop app: the session, the jobs, the window by what its parts are called, and once on a real screen.

mod compare_panel;
mod fuzz;
mod head_panels;
mod jobs;
mod knockouts_panel;
mod live_panel;
mod paint;
mod pictures;
mod placed_figures;
mod probe_panels;
mod sample;
mod screen;
mod session;
mod window;

//! The desktop app: the session, the jobs, the window by what its parts are called, and once on a real screen.

mod fuzz;
mod head_panels;
mod jobs;
mod paint;
mod sample;
mod screen;
mod session;
mod window;

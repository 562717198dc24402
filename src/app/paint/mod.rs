//! Drawing with egui what `figure` describes: scenes, charts, many points, matrices, curves.

pub mod chart;
pub mod curve;
pub mod density;
pub mod icon;
pub mod keys;
pub mod matrix;
pub mod points;
pub mod scene;
pub mod signed;

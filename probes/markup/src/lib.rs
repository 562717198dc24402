//! Text and tables for LaTeX, HTML and Markdown.
//!
//! Cards, reports and figures all write words that a document format could take for markup; this is the one place that knows how each
//! of them is escaped, and how a plain table is written in it.

pub mod latex;
pub mod markdown;
pub mod xml;

/// To which side the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

//! Figures of one place, as panels export them: what was found there, and the words of its sequence.

use super::Context;
use crate::app::data::TextOf;
use crate::app::open_trace::OpenTrace;
use crate::figure::{Figure, FigureSpec, Labelled, Options};
use crate::measure::{Place, Seen};

/// What was found at a place of a trace, as a figure takes it; `None` until the words of the trace are read.
pub fn seen<T>(context: &Context<'_>, trace: &OpenTrace, place: Place, found: T) -> Option<Labelled<Seen<T>>> {
    let text = context.ask(&TextOf { trace: trace.clone() });
    let text = text.ready()?.of_sequence(place.sequence);
    Some(Labelled::new(trace.name(), Seen { place, text, found }))
}

/// The spec of a figure of one place: the command line draws the same of it.
pub fn spec(figure: Figure, place: Place, options: Options) -> FigureSpec {
    FigureSpec { options: Options { place: place.into(), ..options }, ..FigureSpec::new(figure) }
}

//! Where to look first in a trace: a token at which something is to be seen.

use super::selection::Selection;
use crate::measure::{FirstLook, first_look};
use crate::trace::Trace;

/// The selection that a trace opens with.
pub fn find(trace: &Trace) -> Selection {
    let FirstLook { place, write } = first_look(trace);
    Selection { sequence: place.sequence, layer: place.layer, head: place.head, step: place.step, write, ..Selection::default() }
}

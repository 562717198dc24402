//! Gates and memories of both sides, as figures.

use super::{Page, Pair, View};
use crate::app::data::{GatesOf, HeadOf, MemoriesOf};
use crate::app::panel::memory::one_phase;
use crate::app::panel::{Context, placed};
use crate::figure::{Figure, FigureSpec, Measured, Options};
use crate::measure::{HeadGates, Place};

/// What the page shows of both sides; `None` where the second has no counterpart.
pub fn of_pair(context: &Context<'_>, view: &View, pair: &Pair<'_>) -> Option<(FigureSpec, Measured)> {
    let of_a = HeadOf::focus(&pair.a);
    let at_a = of_a.place(pair.a.selection.step, 0);
    let there = pair.at?;
    let at_b = Place { layer: pair.head.0, head: pair.head.1, sequence: there.sequence, step: there.step, number: 0 };
    if view.page == Page::Memory {
        let memories = |trace: &crate::app::open_trace::OpenTrace, place: Place| {
            let Place { layer, head, sequence, step, .. } = place;
            let found = context.ask(&MemoriesOf { trace: trace.clone(), layer, head, sequence, step }).ready()?.as_ref().clone();
            placed::seen(context, trace, place, found)
        };
        let measured = Measured::Memory(vec![memories(pair.a.trace, at_a)?, memories(pair.b, at_b)?]);
        let options = Options { memory: one_phase(view.phase), ..Options::default() };
        return Some((placed::spec(Figure::Memory, at_a, options), measured));
    }
    let gates = |trace: &crate::app::open_trace::OpenTrace, place: Place| {
        let Place { layer, head, sequence, .. } = place;
        Some(context.ask(&GatesOf { trace: trace.clone(), layer, head, sequence }).ready()?.as_ref().clone())
    };
    let b = gates(pair.b, at_b)?;
    // Over the steps of the first, as on screen.
    let along =
        |values: &[f64]| pair.steps.iter().map(|step| step.and_then(|step| values.get(step)).copied().unwrap_or(f64::NAN)).collect();
    let b = HeadGates {
        retention: along(&b.retention),
        write_strength: along(&b.write_strength),
        erase_strength: along(&b.erase_strength),
        remark: b.remark,
    };
    let a = placed::seen(context, pair.a.trace, at_a, gates(pair.a.trace, at_a)?)?;
    let measured = Measured::Gates(vec![a, placed::seen(context, pair.b, at_b, b)?]);
    Some((placed::spec(Figure::Gates, at_a, Options::default()), measured))
}

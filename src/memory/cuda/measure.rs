//! Times on the card, by its own events.

use cudarc::driver::sys::CUevent_flags_enum::CU_EVENT_DEFAULT;

use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;

/// Milliseconds of one run: the median over runs for about `budget_ms`, at least three, after one untimed.
pub(super) fn median_ms(engine: &Engine, budget_ms: f32, mut run: impl FnMut() -> Result<(), CudaError>) -> Result<f64, CudaError> {
    let stream = engine.stream();
    let fail = driver_error(stream.context(), "timing");
    let mut times = Vec::new();
    let mut most = 3;
    run()?;
    engine.wait()?;
    while times.len() < most {
        let start = stream.record_event(Some(CU_EVENT_DEFAULT)).map_err(&fail)?;
        run()?;
        let end = stream.record_event(Some(CU_EVENT_DEFAULT)).map_err(&fail)?;
        end.synchronize().map_err(&fail)?;
        let time = start.elapsed_ms(&end).map_err(&fail)?;
        if times.is_empty() {
            most = ((budget_ms / time.max(1e-3)) as usize).clamp(3, 50);
        }
        times.push(f64::from(time));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

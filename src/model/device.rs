//! Where a model runs.

use candle_core::{Device, Error};

use crate::memory;

use super::{ModelError, card};

/// The place `cpu` or `cuda:N` for a model, which runs on one card at most. Threads that work side by side open it each for itself.
pub fn device(place: &memory::Device) -> Result<Device, ModelError> {
    let fail = |what: String| Err(ModelError::Device { place: place.to_string(), what });
    let number = match place {
        memory::Device::Cpu => return Ok(Device::Cpu),
        memory::Device::Cuda(cards) => match cards[..] {
            [card] => card,
            _ => return fail("a model runs on one card: name one, for example cuda:0".to_owned()),
        },
    };
    match Device::new_cuda(number) {
        Ok(device) => {
            card::prepare(&device);
            card::recurrence::keep_freed_memory(&device);
            Ok(device)
        }
        Err(Error::NotCompiledWithCudaSupport) => {
            fail("this build has no `cuda` feature; rebuild with `cargo build --release --features cuda`, or use cpu".to_owned())
        }
        // Candle prints a backtrace after the first line.
        Err(error) => fail(format!(
            "{}; is there such a card, with its driver and the CUDA libraries (cuBLAS, cuRAND, NVRTC)? Otherwise use cpu",
            error.to_string().lines().next().unwrap_or_default()
        )),
    }
}

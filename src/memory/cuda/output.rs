//! Arrays a run fills on the card, poisoned before and guarded behind.

use cudarc::driver::{CudaSlice, CudaStream, CudaViewMut, DevicePtrMut, result};
use ndarray::{Array, Dimension, IntoDimension};

use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;

/// Numbers behind every poisoned array that nobody may write.
const GUARD: usize = 64;

/// An array that a kernel is to fill: every number is NaN until it does.
#[derive(Debug)]
pub(super) struct Output {
    numbers: CudaSlice<f32>,
    len: usize,
}

impl Output {
    /// Numbers whose contents are not read before they are written.
    pub fn raw(engine: &Engine, len: usize) -> Result<Self, CudaError> {
        let stream = engine.stream();
        // SAFETY: kernels write before anyone reads.
        let numbers = unsafe { stream.alloc::<f32>(len + GUARD) }.map_err(driver_error(stream.context(), "allocating"))?;
        Ok(Self { numbers, len })
    }

    /// All NaN, behind them as well.
    pub fn poisoned(engine: &Engine, len: usize) -> Result<Self, CudaError> {
        let mut output = Self::raw(engine, len)?;
        let stream = engine.stream();
        fill(stream, &mut output.numbers, 0xff).map_err(driver_error(stream.context(), "filling"))?;
        Ok(output)
    }

    pub fn view_mut(&mut self) -> CudaViewMut<'_, f32> {
        self.numbers.slice_mut(..self.len)
    }

    pub fn view(&self) -> cudarc::driver::CudaView<'_, f32> {
        self.numbers.slice(..self.len)
    }

    /// The numbers on the host.
    pub fn read<D: Dimension>(&self, engine: &Engine, shape: impl IntoDimension<Dim = D>) -> Result<Array<f32, D>, CudaError> {
        let stream = engine.stream();
        let fail = driver_error(stream.context(), "copying results from it");
        let numbers = stream.clone_dtoh(&self.view()).map_err(&fail)?;
        engine.wait()?;
        Array::from_shape_vec(shape.into_dimension(), numbers).map_err(|error| CudaError::Shape(error.to_string()))
    }

    /// Whether nobody wrote behind a poisoned array.
    pub fn is_guarded(&self, engine: &Engine) -> Result<bool, CudaError> {
        let stream = engine.stream();
        let behind =
            stream.clone_dtoh(&self.numbers.slice(self.len..)).map_err(driver_error(stream.context(), "copying results from it"))?;
        engine.wait()?;
        Ok(behind.iter().all(|number| number.to_bits() == u32::MAX))
    }
}

/// Every byte of an array.
pub(super) fn fill(stream: &CudaStream, numbers: &mut CudaSlice<f32>, byte: u8) -> Result<(), cudarc::driver::DriverError> {
    let n_bytes = numbers.num_bytes();
    let (address, _guard) = numbers.device_ptr_mut(stream);
    stream.context().bind_to_thread()?;
    // SAFETY: the array has as many bytes.
    unsafe { result::memset_d8_async(address, byte, n_bytes, stream.cu_stream()) }
}

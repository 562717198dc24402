//! With the `cuda` feature: kernels are compiled once for each card and launched on candle's own stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::sys::CUfunction_attribute;
use candle_core::cuda::cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, CudaView, DevicePtr, LaunchArgs, LaunchConfig, PushKernelArg,
};
use candle_core::cuda::cudarc::nvrtc::Ptx;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Device, Error, Layout, Result, Storage, Tensor};

use super::{KERNELS, Launch, Number};
use crate::memory::cuda;

/// Kernels count in 32 bits.
const LONGEST: usize = (1 << 32) - 4096;

/// Bytes of shared memory that a block has without asking.
const SHARED_UNASKED: usize = 48 * 1024;

/// An array that a kernel reads or changes.
enum Array<'a> {
    Floats(CudaView<'a, f32>),
    Ids(CudaView<'a, u32>),
}

impl<'a> Array<'a> {
    fn new(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the kernel needs contiguous tensors".to_owned()))?;
        Ok(match storage.dtype() {
            DType::U32 => Self::Ids(storage.as_cuda_slice::<u32>()?.slice(start..end)),
            _ => Self::Floats(storage.as_cuda_slice::<f32>()?.slice(start..end)),
        })
    }

    fn push<'b>(&'b self, arguments: &mut LaunchArgs<'b>) {
        match self {
            Self::Floats(view) => arguments.arg(view),
            Self::Ids(view) => arguments.arg(view),
        };
    }
}

/// The compiled kernels of each card, by its number.
fn module(context: &Arc<CudaContext>) -> Result<Arc<CudaModule>> {
    static MODULES: OnceLock<Mutex<HashMap<usize, Arc<CudaModule>>>> = OnceLock::new();
    let mut modules = MODULES.get_or_init(Mutex::default).lock().expect("nobody panics while holding it");
    if let Some(module) = modules.get(&context.ordinal()) {
        return Ok(module.clone());
    }
    let (major, minor) = context.compute_capability().w()?;
    let code = cuda::machine_code("model", KERNELS, &format!("sm_{major}{minor}")).map_err(|error| Error::Msg(error.to_string()))?;
    let module = context.load_module(Ptx::from_binary(code)).w()?;
    modules.insert(context.ordinal(), module.clone());
    Ok(module)
}

/// A kernel by its name, looked up in the module once.
fn function(stream: &CudaStream, kernel: &'static str) -> Result<CudaFunction> {
    static FUNCTIONS: OnceLock<Mutex<HashMap<(usize, &'static str), CudaFunction>>> = OnceLock::new();
    let key = (stream.context().ordinal(), kernel);
    let functions = || FUNCTIONS.get_or_init(Mutex::default).lock().expect("nobody panics while holding it");
    if let Some(function) = functions().get(&key) {
        return Ok(function.clone());
    }
    let function = module(stream.context())?.load_function(kernel).w()?;
    functions().insert(key, function.clone());
    Ok(function)
}

fn run(stream: &CudaStream, launch: Launch<'_>, inputs: &[Array<'_>], outputs: &mut [CudaSlice<f32>]) -> Result<()> {
    let longest = outputs.iter().map(CudaSlice::len).max().unwrap_or(0);
    if longest >= LONGEST {
        let kernel = launch.kernel;
        return Err(Error::Msg(format!("{kernel} of {longest} numbers at once: take fewer sequences or steps in a call")));
    }
    let function = function(stream, launch.kernel)?;
    let mut arguments = stream.launch_builder(&function);
    for input in inputs {
        input.push(&mut arguments);
    }
    for output in outputs {
        arguments.arg(output);
    }
    for scalar in launch.scalars {
        match scalar {
            Number::Int(value) => arguments.arg(value),
            Number::Float(value) => arguments.arg(value),
        };
    }
    let shared = u32::try_from(launch.shared).unwrap_or(u32::MAX);
    if launch.shared > SHARED_UNASKED {
        function.set_attribute(CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared as i32).w()?;
    }
    let config =
        LaunchConfig { grid_dim: (launch.blocks as u32, 1, 1), block_dim: (launch.threads as u32, 1, 1), shared_mem_bytes: shared };
    // SAFETY: the arrays are as long as the scalars say, which each operation derives from their shapes; kernels stay inside them.
    unsafe { arguments.launch(config) }.w()?;
    Ok(())
}

/// Launches a kernel on what candle hands to an operation; outputs of `lens` numbers.
pub fn on_storages<const N: usize>(launch: Launch<'_>, inputs: &[(&CudaStorage, &Layout)], lens: [usize; N]) -> Result<[CudaStorage; N]> {
    let device = inputs[0].0.device().clone();
    let arrays = inputs.iter().map(|(storage, layout)| Array::new(storage, layout)).collect::<Result<Vec<_>>>()?;
    // SAFETY: every kernel writes all of its outputs that are read.
    let mut slices = lens.iter().map(|&len| unsafe { device.alloc::<f32>(len) }).collect::<Result<Vec<_>>>()?;
    run(&device.cuda_stream(), launch, &arrays, &mut slices)?;
    let mut slices = slices.into_iter();
    Ok(lens.map(|_| CudaStorage::wrap_cuda_slice(slices.next().expect("an array for each output"), device.clone())))
}

/// Launches a kernel on tensors; outputs of these shapes (all f32), without gradients.
pub fn on_tensors<const N: usize>(launch: Launch<'_>, inputs: &[&Tensor], shapes: [&[usize]; N]) -> Result<[Tensor; N]> {
    let tensors = inputs.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let storages = guards.iter().map(|(storage, layout)| Ok((on_card(storage)?, *layout))).collect::<Result<Vec<_>>>()?;
    let lens = shapes.map(|shape| shape.iter().product());
    let mut outputs = on_storages(launch, &storages, lens)?.into_iter();
    Ok(shapes.map(|shape| {
        let storage = Storage::Cuda(outputs.next().expect("an array for each output"));
        Tensor::from_storage(storage, shape, BackpropOp::none(), false)
    }))
}

fn on_card(storage: &Storage) -> Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        _ => Err(Error::Msg("the kernel needs all its tensors on one card".to_owned())),
    }
}

/// Where the numbers of some tensors stand, for kernels that take a table of them. The tensors must live until the kernel is started.
pub fn addresses(tensors: &[&Tensor]) -> Result<Vec<u64>> {
    let address = |tensor: &&Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        let storage = on_card(&storage)?;
        let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the kernel needs contiguous tensors".to_owned()))?;
        let numbers = storage.as_cuda_slice::<f32>()?.slice(start..end);
        let stream = storage.device().cuda_stream();
        let (address, _used) = numbers.device_ptr(&stream);
        Ok(address)
    };
    tensors.iter().map(address).collect()
}

/// Makes a card ready for a model.
pub fn prepare(device: &Device) {
    if let Device::Cuda(device) = device {
        // SAFETY: a model, its gradients and its optimiser live on one stream, that of the thread that opened the device.
        unsafe { device.disable_event_tracking() };
    }
}

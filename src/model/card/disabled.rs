//! Without the `cuda` feature: what every launch answers.

use candle_core::{CudaStorage, Device, Error, Layout, Result, Tensor};

use super::Launch;

fn missing<T>(launch: Launch<'_>) -> Result<T> {
    Err(Error::Msg(format!("{} on a card: this build has no `cuda` feature; rebuild with --features cuda", launch.kernel)))
}

pub fn on_storages<const N: usize>(launch: Launch<'_>, _inputs: &[(&CudaStorage, &Layout)], _lens: [usize; N]) -> Result<[CudaStorage; N]> {
    missing(launch)
}

pub fn on_tensors<const N: usize>(launch: Launch<'_>, _inputs: &[&Tensor], _outputs: [&[usize]; N]) -> Result<[Tensor; N]> {
    missing(launch)
}

pub fn addresses(_tensors: &[&Tensor]) -> Result<Vec<u64>> {
    Err(Error::Msg("a tensor on a card: this build has no `cuda` feature; rebuild with --features cuda".to_owned()))
}

pub fn prepare(_device: &Device) {}

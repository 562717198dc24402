//! How outputs depend on gates before them, exactly: the outputs are affine in every single strength.

use cudarc::driver::{CudaViewMut, DevicePtrMut};

use super::bound::{Bound, Shape, check};
use super::buffers::CardRecurrence;
use super::compile::Kernel;
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::layout::AdjointArguments;

/// An output whose dependence on the gates is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which sequence.
    pub batch: usize,
    /// Which head.
    pub head: usize,
    /// Which step's output.
    pub step: usize,
}

impl Engine {
    /// For every query t, step s and edit j the number x with `do_t / dstrength_{j,s} = x residual_{j,s}`, in `coefficients`
    /// [query, step, edit] (0 after the query's step). The output is affine in each strength, so this is exact for any change
    /// of one: a knockout moves it by `-strength x residual`.
    ///
    /// `adjoints`, if given, is filled with the adjoint of the memory each step leaves, [query, step, d_k]: `o_t` moves by
    /// `adjoint^T dS`.
    pub fn adjoint(
        &self,
        recurrence: &CardRecurrence,
        queries: &[Query],
        coefficients: &mut CudaViewMut<f32>,
        adjoints: Option<&mut CudaViewMut<f32>>,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if queries.is_empty() || d.step == 0 {
            return Ok(());
        }
        if let Some(query) = queries.iter().find(|query| query.batch >= d.batch || query.head >= d.head || query.step >= d.step) {
            return Err(CudaError::Shape(format!("there is no output at {query:?} of {d:?}")));
        }
        let stream = self.stream();
        let mut bound = Bound::new(stream);
        let shape = bound.recurrence(recurrence, &(0..d.step))?;
        let places: Vec<i32> = queries.iter().flat_map(|query| [query.batch, query.head, query.step]).map(|place| place as i32).collect();
        let mut places = stream.clone_htod(&places).map_err(driver_error(stream.context(), "copying queries to it"))?;
        check("coefficients", coefficients.len(), queries.len() * d.step * shape.n)?;
        let (coefficients, _written) = coefficients.device_ptr_mut(stream);
        let adjoints = match adjoints {
            None => 0,
            Some(adjoints) => {
                check("adjoints", adjoints.len(), queries.len() * d.step * d.d_k)?;
                adjoints.device_ptr_mut(stream).0
            }
        };
        let arguments = AdjointArguments {
            base: bound.arguments,
            queries: places.device_ptr_mut(stream).0,
            coefficients,
            adjoints,
            n_queries: queries.len() as i32,
            steps: d.step as i32,
        };
        self.launch(&adjoint_kernel(&shape), &arguments, queries.len().div_ceil(4), 128)
    }
}

pub(super) fn adjoint_kernel(shape: &Shape) -> Kernel {
    Kernel { name: "adjoint", source: include_str!("adjoint.cu"), defines: shape.defines(&[]), shared_bytes: 0 }
}

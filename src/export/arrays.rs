//! Named arrays as npz and safetensors.

use std::collections::HashMap;
use std::io::Cursor;

use ndarray::ArrayD;
use ndarray_npy::NpzWriter;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

use super::ExportError;
use crate::provenance::Provenance;

/// A form of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayForm {
    /// NumPy's zip of `.npy` files, not compressed.
    Npz,
    /// Safetensors; `/` in names becomes `.`, as `pentimento import` reads them.
    Safetensors,
}

/// An array with its name and the names of its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    /// Its name, parts separated by `/`.
    pub name: String,
    /// The names of its axes, outermost first.
    pub axes: Vec<String>,
    /// Its values.
    pub values: Values,
}

/// The values of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(ArrayD<f32>),
    /// Double precision.
    F64(ArrayD<f64>),
    /// Whole numbers.
    I32(ArrayD<i32>),
}

impl Values {
    /// The lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F64(array) => array.shape(),
            Self::I32(array) => array.shape(),
        }
    }

    const fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::I32(_) => Dtype::I32,
        }
    }

    /// The bytes in row-major order, little-endian.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F64(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I32(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// An array as the side-car describes it.
#[derive(Serialize)]
pub(super) struct Description {
    name: String,
    axes: Vec<String>,
    shape: Vec<usize>,
}

impl NamedArray {
    /// An array in double precision.
    pub fn f64(name: &str, axes: &[&str], values: ArrayD<f64>) -> Self {
        Self { name: name.to_owned(), axes: axes.iter().map(|axis| (*axis).to_owned()).collect(), values: Values::F64(values) }
    }

    /// An array in single precision.
    pub fn f32(name: &str, axes: &[&str], values: ArrayD<f32>) -> Self {
        Self { name: name.to_owned(), axes: axes.iter().map(|axis| (*axis).to_owned()).collect(), values: Values::F32(values) }
    }

    pub(super) fn describe(&self) -> Description {
        Description { name: self.name.clone(), axes: self.axes.clone(), shape: self.values.shape().to_vec() }
    }
}

pub(super) fn npz(named: &[NamedArray]) -> Result<Vec<u8>, ExportError> {
    let mut writer = NpzWriter::new(Cursor::new(Vec::new()));
    let fault = |error: ndarray_npy::WriteNpzError| ExportError::Form { form: "npz", reason: error.to_string() };
    for array in named {
        let name = array.name.as_str();
        match &array.values {
            Values::F32(values) => writer.add_array(name, &values.as_standard_layout()),
            Values::F64(values) => writer.add_array(name, &values.as_standard_layout()),
            Values::I32(values) => writer.add_array(name, &values.as_standard_layout()),
        }
        .map_err(fault)?;
    }
    Ok(writer.finish().map_err(fault)?.into_inner())
}

pub(super) fn safetensors(named: &[NamedArray], provenance: &Provenance) -> Result<Vec<u8>, ExportError> {
    let fault = |error: safetensors::SafeTensorError| ExportError::Form { form: "safetensors", reason: error.to_string() };
    let bytes: Vec<Vec<u8>> = named.iter().map(|array| array.values.bytes()).collect();
    let views = named.iter().zip(&bytes).map(|(array, bytes)| {
        let view = TensorView::new(array.values.dtype(), array.values.shape().to_vec(), bytes)?;
        Ok((array.name.replace('/', "."), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(fault)?;
    let json = serde_json::to_string(provenance).expect("plain data serialises");
    // One entry only: a map of several would be written in an order that changes from run to run.
    safetensors::serialize(views, Some(HashMap::from([("provenance".to_owned(), json)]))).map_err(fault)
}

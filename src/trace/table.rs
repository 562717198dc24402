//! A named array on its way into a trace.

use ndarray::{ArcArray, Array2, ArrayD, Axis, IxDyn, Slice};

/// Numbers or words of one array.
#[derive(Clone, Debug)]
pub enum Data {
    /// float32, missing is NaN.
    F32(ArcArray<f32, IxDyn>),
    /// int32, missing is -1.
    I32(ArcArray<i32, IxDyn>),
    /// int64, missing is -1.
    I64(ArcArray<i64, IxDyn>),
    /// UTF-8 strings, missing is empty.
    Text(ArcArray<String, IxDyn>),
}

impl Data {
    /// Sizes of its axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::I32(array) => array.shape(),
            Self::I64(array) => array.shape(),
            Self::Text(array) => array.shape(),
        }
    }

    /// The Zarr data type.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::F32(_) => "float32",
            Self::I32(_) => "int32",
            Self::I64(_) => "int64",
            Self::Text(_) => "string",
        }
    }

    /// A part along one axis.
    pub(super) fn slice(&self, axis: usize, from: usize, to: usize) -> Self {
        fn part<T: Clone>(array: &ArcArray<T, IxDyn>, axis: usize, from: usize, to: usize) -> ArcArray<T, IxDyn> {
            let mut array = array.clone();
            array.slice_axis_inplace(Axis(axis), Slice::from(from..to));
            array
        }
        match self {
            Self::F32(array) => Self::F32(part(array, axis, from, to)),
            Self::I32(array) => Self::I32(part(array, axis, from, to)),
            Self::I64(array) => Self::I64(part(array, axis, from, to)),
            Self::Text(array) => Self::Text(part(array, axis, from, to)),
        }
    }

    /// A copy that does not keep the array it was cut from alive.
    pub(super) fn detached(&self) -> Self {
        match self {
            Self::F32(array) => Self::F32(array.to_owned().into_shared()),
            Self::I32(array) => Self::I32(array.to_owned().into_shared()),
            Self::I64(array) => Self::I64(array.to_owned().into_shared()),
            Self::Text(array) => Self::Text(array.to_owned().into_shared()),
        }
    }

    /// Parts of the same kind one after another along `axis`; `None` if kinds differ.
    pub(super) fn concatenate(parts: &[Self], axis: usize) -> Option<Self> {
        macro_rules! join {
            ($kind:ident) => {{
                let views = parts.iter().map(|part| if let Self::$kind(array) = part { Some(array.view()) } else { None });
                let views = views.collect::<Option<Vec<_>>>()?;
                Self::$kind(ndarray::concatenate(Axis(axis), &views).ok()?.into_shared())
            }};
        }
        match parts {
            [] => None,
            [one] => Some(one.clone()),
            [Self::F32(_), ..] => Some(join!(F32)),
            [Self::I32(_), ..] => Some(join!(I32)),
            [Self::I64(_), ..] => Some(join!(I64)),
            [Self::Text(_), ..] => Some(join!(Text)),
        }
    }
}

impl From<ArrayD<f32>> for Data {
    fn from(array: ArrayD<f32>) -> Self {
        Self::F32(array.into_shared())
    }
}

impl From<ArrayD<i32>> for Data {
    fn from(array: ArrayD<i32>) -> Self {
        Self::I32(array.into_shared())
    }
}

impl From<ArrayD<i64>> for Data {
    fn from(array: ArrayD<i64>) -> Self {
        Self::I64(array.into_shared())
    }
}

impl From<ArrayD<String>> for Data {
    fn from(array: ArrayD<String>) -> Self {
        Self::Text(array.into_shared())
    }
}

/// A named array with named dimensions, for what stands beside the layers: tokens, labels, logits.
///
/// An array with the trace's growing dimension is appended block by block; one without it is given once.
#[derive(Clone, Debug)]
pub struct Table {
    /// Path inside the trace, for example `logits/top_token`.
    pub path: String,
    /// One name per axis.
    pub dims: Vec<String>,
    /// The array.
    pub data: Data,
}

impl Table {
    /// An array under a path.
    pub fn new(path: impl Into<String>, dims: &[&str], data: impl Into<Data>) -> Self {
        Self { path: path.into(), dims: dims.iter().map(|&dim| dim.to_owned()).collect(), data: data.into() }
    }

    /// The part of some sequences, for a trace that grows along `batch`; the whole table if it has no such dimension.
    #[must_use]
    pub fn of_sequences(&self, sequences: std::ops::Range<usize>) -> Self {
        let axis = self.dims.iter().position(|dim| dim == "batch");
        let data = axis.map_or_else(|| self.data.clone(), |axis| self.data.slice(axis, sequences.start, sequences.end));
        Self { path: self.path.clone(), dims: self.dims.clone(), data }
    }

    /// Token ids [batch, step]; -1 where there is none.
    pub fn tokens(tokens: Array2<i32>) -> Self {
        Self::new("tokens", &["batch", "step"], tokens.into_dyn())
    }

    /// The tokens as text, [batch, step].
    pub fn token_str(words: Array2<String>) -> Self {
        Self::new("text/token_str", &["batch", "step"], words.into_dyn())
    }
}

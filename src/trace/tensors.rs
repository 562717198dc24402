//! A safetensors file read block by block: a file larger than memory can be imported.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, Metadata};

use super::TraceError;

/// No header is larger than this; a first number beyond it means another kind of file.
const LONGEST_HEADER: u64 = 100 << 20;

/// An open safetensors file.
pub(super) struct Tensors {
    path: PathBuf,
    file: File,
    /// Where the numbers start.
    data: u64,
    by_name: BTreeMap<String, Tensor>,
}

/// One tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    start: u64,
}

impl Tensors {
    /// Reads the header.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let bad = |reason: String| TraceError::Import { reason, path: path.to_path_buf() };
        let mut file = File::open(path).map_err(TraceError::io("open", path))?;
        let length = file.metadata().map_err(TraceError::io("open", path))?.len();
        let mut number = [0; 8];
        let not = || bad("this is not a safetensors file".to_owned());
        file.read_exact(&mut number).map_err(|_| not())?;
        let header_length = u64::from_le_bytes(number);
        if header_length > LONGEST_HEADER || header_length + 8 > length {
            return Err(not());
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header).map_err(TraceError::io("read", path))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| bad(format!("its safetensors header is broken: {error}")))?;
        let data = 8 + header_length;
        let by_name = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| (name, Tensor { dtype: info.dtype, shape: info.shape.clone(), start: info.data_offsets.0 as u64 }))
            .collect();
        let end = metadata.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        if data + end > length {
            return Err(bad(format!("the file is truncated: it has {length} bytes, its header promises {}", data + end)));
        }
        Ok(Self { path: path.to_path_buf(), file, data, by_name })
    }

    /// Every tensor by its name.
    pub const fn by_name(&self) -> &BTreeMap<String, Tensor> {
        &self.by_name
    }

    /// Part of a tensor along its first axis, or its first two.
    pub fn read(&mut self, name: &str, batch: Range<usize>, steps: Option<Range<usize>>) -> Result<ArrayD<f32>, TraceError> {
        let mut values = Vec::new();
        let tensor = self.tensor(name)?;
        let shape = self.blocks(&tensor, batch, steps, &mut |bytes| match tensor.dtype {
            Dtype::F64 => values.extend(bytes.chunks_exact(8).map(|x| f64::from_le_bytes(x.try_into().expect("eight bytes")) as f32)),
            Dtype::F32 => values.extend(bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("four bytes")))),
            Dtype::F16 => values.extend(bytes.chunks_exact(2).map(|x| f16::from_le_bytes(x.try_into().expect("two bytes")).to_f32())),
            Dtype::BF16 => values.extend(bytes.chunks_exact(2).map(|x| bf16::from_le_bytes(x.try_into().expect("two bytes")).to_f32())),
            _ => {}
        })?;
        ArrayD::from_shape_vec(IxDyn(&shape), values)
            .map_err(|_| self.bad(format!("tensor '{name}' is {:?}, but f32, f64, bf16 or f16 is needed", tensor.dtype)))
    }

    /// The same for whole numbers.
    pub fn read_whole_numbers(&mut self, name: &str, batch: Range<usize>, steps: Range<usize>) -> Result<ArrayD<i32>, TraceError> {
        let mut values = Vec::new();
        let tensor = self.tensor(name)?;
        let shape = self.blocks(&tensor, batch, Some(steps), &mut |bytes| match tensor.dtype {
            Dtype::I64 => values.extend(bytes.chunks_exact(8).map(|x| i64::from_le_bytes(x.try_into().expect("eight bytes")) as i32)),
            Dtype::I32 | Dtype::U32 => values.extend(bytes.chunks_exact(4).map(|x| i32::from_le_bytes(x.try_into().expect("four bytes")))),
            _ => {}
        })?;
        ArrayD::from_shape_vec(IxDyn(&shape), values)
            .map_err(|_| self.bad(format!("tensor '{name}' is {:?}, but i32, u32 or i64 is needed", tensor.dtype)))
    }

    /// A tensor's header entry.
    pub fn tensor(&self, name: &str) -> Result<Tensor, TraceError> {
        self.by_name.get(name).cloned().ok_or_else(|| self.bad(format!("tensor '{name}' is missing")))
    }

    /// Hands over the bytes of a part, piece by piece, and returns its shape.
    fn blocks(
        &mut self,
        tensor: &Tensor,
        batch: Range<usize>,
        steps: Option<Range<usize>>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<Vec<usize>, TraceError> {
        let size = tensor.dtype.bitsize() / 8;
        let mut shape = tensor.shape.clone();
        shape[0] = batch.len();
        let row: usize = tensor.shape[1..].iter().product::<usize>() * size;
        let (from, length) = match &steps {
            Some(steps) => {
                shape[1] = steps.len();
                let entry = tensor.shape[2..].iter().product::<usize>() * size;
                (steps.start * entry, steps.len() * entry)
            }
            None => (0, row),
        };
        let mut bytes = vec![0; length];
        for index in batch {
            let at = self.data + tensor.start + (index * row + from) as u64;
            self.file.seek(SeekFrom::Start(at)).map_err(TraceError::io("read", &self.path))?;
            self.file.read_exact(&mut bytes).map_err(TraceError::io("read", &self.path))?;
            take(&bytes);
        }
        Ok(shape)
    }

    pub fn bad(&self, reason: String) -> TraceError {
        TraceError::Import { reason, path: self.path.clone() }
    }
}

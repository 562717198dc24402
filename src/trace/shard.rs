//! Zarr's `sharding_indexed` layout, written directly: chunks, then a table of (offset, length), then its crc32c.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::num::NonZeroU64;
use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, IxDyn, Slice};
use serde_json::Value;
use zarrs::array::{ArrayBytes, ArrayToBytesCodecTraits, CodecChain, CodecOptions, DataType, Element, ElementOwned, FillValue};
use zarrs::metadata::v3::MetadataV3;

use super::layout::{Coding, Plan, indices};
use super::store::partial;
use super::{Data, TraceError};

/// Matrices start at multiples of this, so that a mapped shard can be used in place.
const ALIGNMENT: u64 = 64;

/// Encodes the inner chunks of one array.
pub(super) struct ChunkCodec {
    chain: CodecChain,
    data_type: DataType,
    fill: FillValue,
    shape: Vec<NonZeroU64>,
    options: CodecOptions,
}

impl ChunkCodec {
    /// The codecs inside the shards of an array with this Zarr metadata.
    pub fn new(array: &str, metadata: &Value) -> Result<Self, TraceError> {
        let refused = |reason: &dyn std::fmt::Display| TraceError::Zarr { array: array.to_owned(), reason: reason.to_string() };
        let sharding = &metadata["codecs"][0]["configuration"];
        let shape = serde_json::from_value::<Vec<NonZeroU64>>(sharding["chunk_shape"].clone()).map_err(|error| refused(&error))?;
        let codecs = serde_json::from_value::<Vec<MetadataV3>>(sharding["codecs"].clone()).map_err(|error| refused(&error))?;
        let chain = CodecChain::from_metadata(&codecs).map_err(|error| refused(&error))?;
        let data_type = serde_json::from_value::<MetadataV3>(metadata["data_type"].clone()).map_err(|error| refused(&error))?;
        let data_type = DataType::from_metadata(&data_type).map_err(|error| refused(&error))?;
        let fill = serde_json::from_value(metadata["fill_value"].clone()).map_err(|error| refused(&error))?;
        let fill = data_type.fill_value_v3(&fill).map_err(|error| refused(&error))?;
        Ok(Self { chain, data_type, fill, shape, options: CodecOptions::default().with_concurrent_target(1) })
    }

    /// The shape of an inner chunk.
    pub fn chunk_shape(&self) -> Vec<usize> {
        self.shape.iter().map(|length| length.get() as usize).collect()
    }

    /// The elements of one encoded chunk; its crc32c is checked.
    pub fn decode<T: ElementOwned>(&self, bytes: Vec<u8>) -> Result<Vec<T>, String> {
        let decoded = self.chain.decode(bytes.into(), &self.shape, &self.data_type, &self.fill, &self.options);
        T::from_array_bytes(&self.data_type, decoded.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    /// Whether one encoded chunk has the right crc32c and decodes.
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let decoded = self.chain.decode(bytes.into(), &self.shape, &self.data_type, &self.fill, &self.options);
        decoded.map(|_| ()).map_err(|error| error.to_string())
    }

    fn encode(&self, bytes: ArrayBytes<'_>) -> Result<Vec<u8>, String> {
        let encoded = self.chain.encode(bytes, &self.shape, &self.data_type, &self.fill, &self.options);
        encoded.map(std::borrow::Cow::into_owned).map_err(|error| error.to_string())
    }
}

/// Digests what reaches the file.
struct Digesting {
    file: File,
    digest: blake3::Hasher,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Counts what passes through a buffer: the digest is quicker on large pieces.
struct Counted {
    inner: BufWriter<Digesting>,
    written: u64,
}

impl Counted {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.written += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

/// Writes one shard under its temporary name and returns the digest of its bytes.
///
/// `data` is the part of the array that the shard covers; chunks that lie wholly outside it stay missing, chunks that
/// stick out are padded with the fill value.
pub(super) fn write(path: &Path, plan: &Plan, codec: &ChunkCodec, data: &Data) -> Result<blake3::Hash, TraceError> {
    let partial = partial(path);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(TraceError::io("create", folder))?;
    let file = File::create(&partial).map_err(TraceError::io("create", &partial))?;
    let inner = BufWriter::with_capacity(1 << 18, Digesting { file, digest: blake3::Hasher::new() });
    let mut out = Counted { inner, written: 0 };
    let counts: Vec<usize> = plan.shard.iter().zip(&plan.chunk).map(|(shard, chunk)| shard / chunk).collect();
    let mut table = Vec::with_capacity(counts.iter().product::<usize>() * 16);
    let io = |error| TraceError::io("write", &partial)(error);
    for index in indices(&counts) {
        let origin: Vec<usize> = index.iter().zip(&plan.chunk).map(|(index, chunk)| index * chunk).collect();
        if origin.iter().zip(data.shape()).any(|(origin, length)| origin >= length) {
            table.extend_from_slice(&[0xff; 16]);
            continue;
        }
        let start = if plan.coding == Coding::Memory { out.written.next_multiple_of(ALIGNMENT) } else { out.written };
        let padding = (start - out.written) as usize;
        out.put(&[0; ALIGNMENT as usize][..padding]).map_err(io)?;
        match data {
            Data::F32(array) => match matrix(array.view(), plan, &origin) {
                Some(matrix) => {
                    let bytes: &[u8] = bytemuck::cast_slice(matrix);
                    out.put(bytes).map_err(io)?;
                    out.put(&crc32c::crc32c(bytes).to_le_bytes()).map_err(io)?;
                }
                None => out.put(&chunk(array.view(), plan, codec, &origin, f32::NAN)?).map_err(io)?,
            },
            Data::I32(array) => out.put(&chunk(array.view(), plan, codec, &origin, -1)?).map_err(io)?,
            Data::I64(array) => out.put(&chunk(array.view(), plan, codec, &origin, -1)?).map_err(io)?,
            Data::Text(array) => out.put(&chunk(array.view(), plan, codec, &origin, String::new())?).map_err(io)?,
        }
        table.extend_from_slice(&start.to_le_bytes());
        table.extend_from_slice(&(out.written - start).to_le_bytes());
    }
    let checksum = crc32c::crc32c(&table);
    out.put(&table).map_err(io)?;
    out.put(&checksum.to_le_bytes()).map_err(io)?;
    out.inner.flush().map_err(io)?;
    Ok(out.inner.get_ref().digest.finalize())
}

/// A memory that lies in one piece, so that it can be written without a copy.
fn matrix<'a>(view: ArrayViewD<'a, f32>, plan: &Plan, origin: &[usize]) -> Option<&'a [f32]> {
    if plan.coding != Coding::Memory {
        return None;
    }
    let mut view = view;
    for &index in &origin[..origin.len() - 2] {
        view.index_axis_inplace(ndarray::Axis(0), index);
    }
    view.to_slice()
}

/// Copies one chunk out of the data, padded, and encodes it.
fn chunk<T: Element + Clone>(
    data: ArrayViewD<'_, T>,
    plan: &Plan,
    codec: &ChunkCodec,
    origin: &[usize],
    fill: T,
) -> Result<Vec<u8>, TraceError> {
    let refused = |reason: String| TraceError::Zarr { array: plan.path.clone(), reason };
    let shape = data.shape().to_vec();
    let length = |axis: usize| plan.chunk[axis].min(shape[axis] - origin[axis]);
    let part = data.slice_each_axis(|axis| {
        let axis = axis.axis.index();
        Slice::from(origin[axis]..origin[axis] + length(axis))
    });
    let elements: Vec<T> = if part.shape() == plan.chunk {
        let mut elements = Vec::with_capacity(part.len());
        for lane in part.lanes(ndarray::Axis(plan.chunk.len() - 1)) {
            match lane.to_slice() {
                Some(lane) => elements.extend_from_slice(lane),
                None => elements.extend(lane.iter().cloned()),
            }
        }
        elements
    } else {
        let mut padded = ArrayD::from_elem(IxDyn(&plan.chunk), fill);
        padded.slice_each_axis_mut(|axis| Slice::from(..length(axis.axis.index()))).assign(&part);
        padded.into_raw_vec_and_offset().0
    };
    let bytes = T::into_array_bytes(&codec.data_type, elements).map_err(|error| refused(error.to_string()))?;
    codec.encode(bytes.into_owned()).map_err(refused)
}

//! Rows of a matrix by number: embeddings of tokens, and the rows that are asked about.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{
    card::{self, Launch, int},
    graph,
    kernel::{fill_rows, floats, tensor_like, with_floats},
};

/// Rows `ids` of a matrix [rows, channels], differentiable. Its gradient sums in the order of the rows, on a card too.
///
/// # Errors
/// If a number is not that of a row.
pub fn rows_of(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let n_rows = table.dim(0)?;
    if let Some(id) = ids.iter().find(|&&id| id as usize >= n_rows) {
        return Err(candle_core::Error::Msg(format!("row {id} of a table of {n_rows}")));
    }
    let on_card = if card::holds(table) { Some(Tensor::new(ids, table.device())?) } else { None };
    graph::apply1(&table.contiguous()?, RowsOp { ids: ids.to_vec(), on_card })
}

struct RowsOp {
    ids: Vec<u32>,
    on_card: Option<Tensor>, // the same beside the table
}

/// Rows that one block of the backward kernel sums.
const SEGMENT: usize = 256;

/// The places of `ids` by what they name, cut into segments of one entry each.
struct Order {
    places: Vec<u32>,
    /// Where each segment begins, and where the last one ends.
    segments: Vec<u32>,
    /// The first segment of each entry, and one past the last.
    firsts: Vec<u32>,
}

impl Order {
    fn new(ids: &[u32], n_entries: usize) -> Self {
        let mut places: Vec<u32> = (0..ids.len() as u32).collect();
        places.sort_by_key(|&place| ids[place as usize]);
        let (mut segments, mut firsts) = (vec![], Vec::with_capacity(n_entries + 1));
        let mut place = 0;
        for entry in 0..n_entries as u32 {
            firsts.push(segments.len() as u32);
            let begin = place;
            while place < places.len() && ids[places[place] as usize] == entry {
                if (place - begin).is_multiple_of(SEGMENT) {
                    segments.push(place as u32);
                }
                place += 1;
            }
        }
        firsts.push(segments.len() as u32);
        segments.push(place as u32);
        Self { places, segments, firsts }
    }
}

impl RowsOp {
    fn backward_on_card(&self, table: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (entries, width) = table.dims2()?;
        let order = Order::new(&self.ids, entries);
        let upload = |numbers: &[u32]| Tensor::new(numbers, table.device());
        let n_segments = order.segments.len() - 1;
        let scalars = [int(width)];
        let launch = Launch::wide_rows("gather_rows_parts", n_segments, &scalars);
        let inputs = [grad, &upload(&order.places)?, &upload(&order.segments)?];
        let [parts] = card::on_tensors(launch, &inputs, [&[n_segments, width]])?;
        let scalars = [int(entries * width), int(width)];
        let launch = Launch::each("gather_rows_sums", entries * width, &scalars);
        let [sums] = card::on_tensors(launch, &[&parts, &upload(&order.firsts)?], [&[entries, width]])?;
        Ok(sums)
    }
}

impl CustomOp1 for RowsOp {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (table, width) = (floats(storage, layout)?, layout.dims()[1]);
        let rows = fill_rows(self.ids.len(), width, |row, y| y.copy_from_slice(&table[self.ids[row] as usize * width..][..width]));
        Ok((CpuStorage::F32(rows), (self.ids.len(), width).into()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let width = layout.dims()[1];
        let len = self.ids.len() * width;
        let scalars = [int(len), int(width)];
        let launch = Launch::each("gather_rows", len, &scalars);
        let ids = self.on_card.as_ref().ok_or_else(|| candle_core::Error::Msg("the numbers of the rows are not on the card".to_owned()))?;
        let [rows] = card::with_storages([ids], |[ids]| card::on_storages(launch, &[(storage, layout), ids], [len]))?;
        Ok((rows, (self.ids.len(), width).into()))
    }

    fn bwd(&self, table: &Tensor, _rows: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if card::holds(table) {
            return Ok(Some(self.backward_on_card(table, grad)?));
        }
        let width = table.dim(1)?;
        let sums = with_floats([grad], |[grad]| {
            let mut sums = vec![0.0; table.elem_count()];
            for (id, grad) in self.ids.iter().zip(grad.chunks_exact(width)) {
                sums[*id as usize * width..][..width].iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
            }
            Ok(sums)
        })?;
        Ok(Some(tensor_like(sums, table)?))
    }
}

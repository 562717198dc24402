//! Memories leave the card while the next ones are made: a ring of buffers there and of page-locked buffers here.
//!
//! A block is some steps of one sequence at one phase. While the caller takes one block (to disk, say), the next ones are
//! replayed and copied; nothing ever needs more than the ring, on the card or on the host.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, CudaView, DevicePtr, PinnedHostSlice, result, sys::CUevent_flags_enum};

use super::super::Phase;
use super::buffers::{CardRecurrence, Trace};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;

/// How large a ring is.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `n_buffers` | 3 | blocks under way at once | at least 2 |
/// | `buffer_bytes` | 64 MiB | most bytes of a block, but always one step | at least 1 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// Blocks under way at once.
    pub n_buffers: usize,
    /// Most bytes of a block, but always one step.
    pub buffer_bytes: usize,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { n_buffers: 3, buffer_bytes: 64 << 20 }
    }
}

/// Some steps of one sequence at one phase, on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBlock {
    /// Which sequence.
    pub batch: usize,
    /// At which moment of the step.
    pub phase: Phase,
    /// Which steps.
    pub steps: Range<usize>,
}

impl RingOptions {
    /// The blocks of these sequences and phases, in the order they come: phase by phase of each range of steps, so that all
    /// phases of a step are near one another. Ranges end where a checkpoint stands, if a whole chunk fits a buffer.
    pub fn blocks(&self, n_sequences: usize, steps: Range<usize>, phases: &[Phase], step_numbers: usize, every: usize) -> Vec<MemoryBlock> {
        let most = (self.buffer_bytes / (4 * step_numbers).max(1)).max(1);
        let length = if most >= every { most / every * every } else { most };
        let mut blocks = Vec::new();
        for batch in 0..n_sequences {
            let mut start = steps.start;
            while start < steps.end {
                // The first range may begin within a chunk; the next ones then begin where ranges would.
                let end = if most >= every { (start / every * every + length).min(steps.end) } else { (start + length).min(steps.end) };
                blocks.extend(phases.iter().map(|&phase| MemoryBlock { batch, phase, steps: start..end }));
                start = end;
            }
        }
        blocks
    }
}

/// The buffers, made once: page-locking takes longer than filling.
#[derive(Debug)]
pub struct Ring {
    options: RingOptions,
    copies: Arc<CudaStream>,
    slots: Vec<Slot>,
}

impl Ring {
    /// An empty ring on a card; its buffers are made when they are first needed.
    pub fn new(engine: &Engine, options: RingOptions) -> Result<Self, CudaError> {
        let context = engine.stream().context();
        let copies = context.new_stream().map_err(driver_error(context, "making a stream for copies"))?;
        Ok(Self { options, copies, slots: Vec::new() })
    }

    fn reserve(&mut self, engine: &Engine, n_slots: usize, len: usize) -> Result<(), CudaError> {
        if self.slots.first().is_some_and(|slot| slot.on_card.len() < len) {
            self.slots.clear();
        }
        while self.slots.len() < n_slots {
            self.slots.push(Slot::new(engine, len)?);
        }
        Ok(())
    }
}

/// One place of the ring.
#[derive(Debug)]
struct Slot {
    on_card: CudaSlice<f32>,
    on_host: PinnedHostSlice<f32>,
    landed: Option<CudaEvent>,
}

impl Engine {
    /// Replays the memories of steps `steps` at `phases` and hands them over block by block: [step, head, d_k, d_v] of the heads
    /// asked for. `take` may be slow; the ring then waits for it.
    ///
    /// # Errors
    /// As [`Engine::replay`]; and whatever `take` returns.
    #[expect(clippy::too_many_arguments, reason = "what to replay, how much of it, and where it goes")]
    pub fn stream_memories<E: From<CudaError>>(
        &self,
        recurrence: &CardRecurrence,
        trace: &Trace,
        steps: Range<usize>,
        phases: &[Phase],
        heads: Option<&[usize]>,
        ring: &mut Ring,
        mut take: impl FnMut(&MemoryBlock, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let d = recurrence.dims;
        let context = self.stream().context();
        let fail = driver_error(context, "copying memories to the host");
        let n_heads = heads.map_or(d.head, <[usize]>::len);
        let step_numbers = n_heads * d.d_k * d.d_v;
        let blocks = ring.options.blocks(d.batch, steps, phases, step_numbers, trace.checkpoints.every);
        let Some(longest) = blocks.iter().map(|block| block.steps.len()).max() else { return Ok(()) };
        let n_slots = ring.options.n_buffers.max(2).min(blocks.len());
        let heads: Option<CudaSlice<i32>> = heads
            .map(|heads| self.stream().clone_htod(&heads.iter().map(|&head| head as i32).collect::<Vec<_>>()).map_err(&fail))
            .transpose()?;
        let heads = heads.as_ref().map(CudaSlice::as_view);
        ring.reserve(self, n_slots, longest * step_numbers)?;
        let Ring { copies, slots, .. } = ring;
        for index in 0..blocks.len() + n_slots - 1 {
            if let Some(block) = blocks.get(index) {
                let slot = &mut slots[index % n_slots];
                self.replay_block(recurrence, trace, block, heads.as_ref(), slot)?;
                slot.copy(self.stream(), copies, block.steps.len() * step_numbers).map_err(&fail)?;
            }
            if let Some(done) = (index + 1).checked_sub(n_slots) {
                let (block, slot) = (&blocks[done], &mut slots[done % n_slots]);
                if let Some(landed) = slot.landed.take() {
                    landed.synchronize().map_err(&fail)?;
                }
                let numbers = slot.on_host.as_slice().map_err(&fail)?;
                take(block, &numbers[..block.steps.len() * step_numbers])?;
            }
        }
        Ok(())
    }

    fn replay_block(
        &self,
        recurrence: &CardRecurrence,
        trace: &Trace,
        block: &MemoryBlock,
        heads: Option<&CudaView<i32>>,
        slot: &mut Slot,
    ) -> Result<(), CudaError> {
        let mut dense = [None, None, None, None];
        dense[block.phase as usize] = Some(slot.on_card.as_view_mut());
        self.replay(
            &recurrence.sequence(block.batch),
            &trace.sequence(block.batch, &recurrence.dims),
            block.steps.clone(),
            heads,
            &mut dense,
        )
    }
}

impl Slot {
    fn new(engine: &Engine, len: usize) -> Result<Self, CudaError> {
        let context = engine.stream().context();
        let fail = driver_error(context, "making a ring of buffers");
        // SAFETY: the replay fills the card's buffer before it is copied, and the copy the host's before it is read.
        unsafe {
            Ok(Self {
                on_card: engine.stream().alloc(len).map_err(&fail)?,
                // Flag 0: the processor reads it, so it must not be write-combined.
                on_host: context.alloc_pinned_with_flags(len, 0).map_err(&fail)?,
                landed: None,
            })
        }
    }

    /// After the replay, in a stream of its own, to the host.
    fn copy(&mut self, made_in: &CudaStream, copies: &Arc<CudaStream>, len: usize) -> Result<(), cudarc::driver::DriverError> {
        let made = made_in.record_event(None)?;
        copies.wait(&made)?;
        let (address, _read) = self.on_card.device_ptr(copies);
        let host = self.on_host.as_mut_ptr()?;
        // SAFETY: both buffers have `len` numbers, and the host's is not read before `landed`.
        unsafe { result::memcpy_dtoh_async(std::slice::from_raw_parts_mut(host, len), address, copies.cu_stream())? };
        let landed = copies.record_event(Some(CUevent_flags_enum::CU_EVENT_DISABLE_TIMING))?;
        // The next replay into this buffer comes after the copy out of it.
        made_in.wait(&landed)?;
        self.landed = Some(landed);
        Ok(())
    }
}

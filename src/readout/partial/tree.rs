//! One fixed binary tree over (fold, sequence, block of steps): the order in which sums are merged.
//!
//! Leaves of a fold stand in one row of slots: sequence after sequence, each with as many slots as the next power of two of its
//! blocks. Slots without a block are padding. Node (level, index) covers slots `index << level ..`, so no node depends on how much
//! work there will be, and a parent is always made from the same two children.

use std::collections::BTreeMap;

use pentimento_probes::Moments;

use super::PartSpec;

/// Fold, level, index.
pub(super) type Node = (usize, u32, u64);
/// Fold, slot, first step, step after the last: part of a leaf.
pub(super) type Piece = (usize, u64, u64, u64);

/// Sums of the work done so far, as few as the tree allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    n_blocks: u64,
    nodes: BTreeMap<Node, Moments>,
    pieces: BTreeMap<Piece, Moments>,
}

impl Tree {
    pub fn new(spec: &PartSpec) -> Self {
        Self { n_blocks: blocks(spec).end - blocks(spec).start, nodes: BTreeMap::new(), pieces: BTreeMap::new() }
    }

    pub const fn nodes(&self) -> &BTreeMap<Node, Moments> {
        &self.nodes
    }

    pub const fn pieces(&self) -> &BTreeMap<Piece, Moments> {
        &self.pieces
    }

    /// Puts a stored node back.
    pub fn restore_node(&mut self, node: Node, sums: Moments) {
        self.nodes.insert(node, sums);
    }

    /// Puts a stored piece back.
    pub fn restore_piece(&mut self, piece: Piece, sums: Moments) {
        self.pieces.insert(piece, sums);
    }

    /// Slots of a sequence.
    fn width(&self) -> u64 {
        self.n_blocks.next_power_of_two()
    }

    /// The slot of a block (counted from the window's first) of the sequence at a place of its fold.
    pub fn slot(&self, place: u64, block: u64) -> u64 {
        place * self.width() + block
    }

    /// Takes a node in and makes every parent that is now whole.
    pub fn insert(&mut self, (fold, mut level, mut index): Node, mut sums: Moments) {
        loop {
            let is_left = index & 1 == 0;
            if is_left && self.is_padding(level, index + 1) {
                // Nothing will ever stand to the right.
            } else if let Some(sibling) = self.nodes.remove(&(fold, level, index ^ 1)) {
                sums = if is_left { sums.merged(&sibling) } else { sibling.merged(&sums) };
            } else {
                self.nodes.insert((fold, level, index), sums);
                return;
            }
            (level, index) = (level + 1, index >> 1);
        }
    }

    /// Takes part of a leaf in; `leaf` is all of the leaf's steps.
    pub fn insert_piece(&mut self, piece: Piece, leaf: std::ops::Range<u64>, sums: Moments) {
        let (fold, slot, ..) = piece;
        self.pieces.insert(piece, sums);
        let of_leaf: Vec<Piece> = self.pieces.range((fold, slot, 0, 0)..(fold, slot + 1, 0, 0)).map(|(&piece, _)| piece).collect();
        let reached = of_leaf.iter().fold(leaf.start, |reached, &(_, _, from, to)| if from == reached { to } else { reached });
        if reached == leaf.end {
            let parts: Vec<Moments> = of_leaf.iter().filter_map(|piece| self.pieces.remove(piece)).collect();
            if let Some(whole) = parts.into_iter().reduce(|whole, part| whole.merged(&part)) {
                self.insert((fold, 0, slot), whole);
            }
        }
    }

    /// Everything of a fold in one, merged from the first slot to the last.
    pub fn fold(&self, fold: usize, n_columns: usize) -> Moments {
        let nodes = self.nodes.range((fold, 0, 0)..(fold + 1, 0, 0)).map(|(&(_, level, index), sums)| ((index << level, 0), sums));
        let pieces = self.pieces.range((fold, 0, 0, 0)..(fold + 1, 0, 0, 0)).map(|(&(_, slot, from, _), sums)| ((slot, from), sums));
        let ordered: BTreeMap<(u64, u64), &Moments> = nodes.chain(pieces).collect();
        ordered.into_values().fold(Moments::empty(n_columns), Moments::merged)
    }

    /// Whether a node lies wholly behind its sequence's last block.
    fn is_padding(&self, level: u32, index: u64) -> bool {
        let width = self.width();
        1 << level < width && (index << level) % width >= self.n_blocks
    }
}

/// Blocks of the grid that the window touches.
pub(super) fn blocks(spec: &PartSpec) -> std::ops::Range<u64> {
    spec.window[0] / spec.block..spec.window[1].div_ceil(spec.block)
}

/// The steps of a block inside the window.
pub(super) fn steps_of(spec: &PartSpec, block: u64) -> std::ops::Range<u64> {
    (block * spec.block).max(spec.window[0])..((block + 1) * spec.block).min(spec.window[1])
}

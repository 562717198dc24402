//! What a model computes and a trace stores: one layer's inputs to the recurrence under the field's names.

use std::collections::BTreeMap;

use ndarray::{ArcArray, ArrayD, ArrayViewD, Axis, IxDyn, concatenate};

use super::{Dims, HookPoint, MemoryError, Rule, Shared3, Shared4};

/// f32 for engines and files, f64 for the reference.
pub trait Scalar: num_traits::Float + num_traits::NumAssign + bytemuck::Pod + Send + Sync + std::fmt::Debug {}
impl Scalar for f32 {}
impl Scalar for f64 {}

/// One layer's inputs to the recurrence, under the names and shapes of [`HookPoint`].
///
/// Directions are taken as given: engines never normalise. Cloning shares the arrays.
#[derive(Clone, Debug)]
pub struct Factors<F: Scalar> {
    rule: Rule,
    dims: Dims,
    arrays: BTreeMap<HookPoint, ArcArray<F, IxDyn>>,
    initial_memory: Option<Shared4<F>>,
}

impl<F: Scalar> Factors<F> {
    /// Checks names and shapes against the rule's table. `initial_memory` is [batch, head, d_k, d_v].
    ///
    /// Values are not checked: see [`Factors::check_values`].
    pub fn new(
        rule: Rule,
        arrays: BTreeMap<HookPoint, ArrayD<F>>,
        initial_memory: Option<ndarray::Array4<F>>,
    ) -> Result<Self, MemoryError> {
        let arrays: BTreeMap<_, _> = arrays.into_iter().map(|(point, array)| (point, array.into_shared())).collect();
        let wanted = rule.factors();
        for &factor in &wanted {
            if !arrays.contains_key(&factor) {
                return Err(MemoryError::MissingFactor { rule, factor });
            }
        }
        if let Some(&factor) = arrays.keys().find(|point| !wanted.contains(point)) {
            return Err(MemoryError::UnexpectedFactor { rule, factor });
        }
        let axes = |factor: HookPoint| factor.axes().iter().map(|axis| axis.name()).collect::<Vec<_>>().join(", ");
        let shape = |factor: HookPoint| -> Result<[usize; 4], MemoryError> {
            let found = arrays[&factor].shape();
            found.try_into().map_err(|_| MemoryError::Shape {
                factor,
                found: found.to_vec(),
                expected: format!("[{}]", axes(factor)),
                wanted: vec![],
            })
        };
        let [batch, step, key_head, d_k] = shape(HookPoint::Query)?;
        let [_, _, head, d_v] = shape(HookPoint::Value(0))?;
        if key_head == 0 || head % key_head != 0 {
            return Err(MemoryError::HeadGroups { head, key_head });
        }
        let dims = Dims { batch, step, key_head, head, d_k, d_v };
        for (&factor, array) in &arrays {
            let wanted = factor.shape(&dims);
            if array.shape() != wanted {
                return Err(MemoryError::Shape { factor, found: array.shape().to_vec(), expected: format!("[{}]", axes(factor)), wanted });
            }
        }
        if let Some(memory) = &initial_memory {
            let wanted = vec![batch, head, d_k, d_v];
            if memory.shape() != wanted {
                return Err(MemoryError::Shape {
                    factor: HookPoint::Memory(super::Phase::Before),
                    found: memory.shape().to_vec(),
                    expected: "initial_memory [batch, head, d_k, d_v]".to_owned(),
                    wanted,
                });
            }
        }
        Ok(Self { rule, dims, arrays, initial_memory: initial_memory.map(ndarray::Array::into_shared) })
    }

    /// The rule these factors belong to.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// Sizes.
    pub const fn dims(&self) -> Dims {
        self.dims
    }

    /// Every factor by its hook point, in table order.
    pub const fn arrays(&self) -> &BTreeMap<HookPoint, ArcArray<F, IxDyn>> {
        &self.arrays
    }

    /// The memory before the first step, [batch, head, d_k, d_v]; `None` is zero.
    pub const fn initial_memory(&self) -> Option<&Shared4<F>> {
        self.initial_memory.as_ref()
    }

    /// A factor with channels, [batch, step, head or key_head, channels].
    ///
    /// # Panics
    /// If the rule has no such factor, or it has no channel axis.
    pub fn channels(&self, factor: HookPoint) -> Shared4<F> {
        self.arrays[&factor].clone().into_dimensionality().expect("the table says four axes")
    }

    /// A factor with one number per head, [batch, step, head].
    ///
    /// # Panics
    /// If the rule has no such factor, or it has a channel axis.
    pub fn per_head(&self, factor: HookPoint) -> Shared3<F> {
        self.arrays[&factor].clone().into_dimensionality().expect("the table says three axes")
    }

    /// The same with another array in one place (an intervention).
    pub fn with(&self, factor: HookPoint, array: ArrayD<F>) -> Result<Self, MemoryError> {
        let mut arrays: BTreeMap<_, _> = self.arrays.iter().map(|(&point, array)| (point, array.to_owned())).collect();
        arrays.insert(factor, array);
        Self::new(self.rule, arrays, self.initial_memory.as_ref().map(ndarray::ArrayBase::to_owned))
    }

    /// Factors of other sequences over the same steps, one after the other along `batch`; `None` without any.
    ///
    /// # Panics
    /// If they are of other rules or sizes, or only some have an initial memory.
    pub fn concatenate(parts: &[Self]) -> Option<Self> {
        let first = parts.first()?;
        let joined = |views: Vec<ArrayViewD<'_, F>>| concatenate(Axis(0), &views).expect("the parts differ in batch only");
        let arrays = first.arrays.keys().map(|point| (*point, joined(parts.iter().map(|part| part.arrays[point].view()).collect())));
        let memories: Option<Vec<_>> = parts.iter().map(|part| part.initial_memory.as_ref().map(|memory| memory.view())).collect();
        let memory = memories.map(|views| concatenate(Axis(0), &views).expect("the parts differ in batch only"));
        Some(Self::new(first.rule, arrays.collect(), memory).expect("the parts were checked one by one"))
    }

    /// The same numbers in another precision.
    pub fn cast<G: Scalar>(&self) -> Factors<G> {
        let convert = |&x: &F| G::from(x).expect("floats convert to floats");
        Factors {
            rule: self.rule,
            dims: self.dims,
            arrays: self.arrays.iter().map(|(&point, array)| (point, array.map(convert).into_shared())).collect(),
            initial_memory: self.initial_memory.as_ref().map(|memory| memory.map(convert).into_shared()),
        }
    }
}

//! Projections: dense, and through a narrow middle.

use candle_core::Tensor;

use super::{
    ModelError, graph,
    parameters::{Initial, Scope},
};

/// y = W x (+ b) on the rows of a matrix.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,       // [outputs, inputs]
    bias: Option<Tensor>, // [outputs]
}

impl Linear {
    /// Weights start uniform with standard deviation 1 / sqrt(inputs), times `scale`.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, outputs: usize, scale: f64) -> Result<Self, ModelError> {
        let weight = scope.take("weight", &[outputs, inputs], Initial::Spread(scale / (inputs as f64).sqrt()))?;
        Ok(Self { weight, bias: None })
    }

    /// The same with a bias that starts at `bias`.
    pub fn with_bias(scope: &mut Scope<'_>, inputs: usize, outputs: usize, bias: f64) -> Result<Self, ModelError> {
        let Self { weight, .. } = Self::new(scope, inputs, outputs, 1.0)?;
        Ok(Self { weight, bias: Some(scope.take("bias", &[outputs], Initial::Constant(bias))?) })
    }

    /// [rows, inputs] to [rows, outputs].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let y = graph::linear(x, &self.weight)?;
        Ok(match &self.bias {
            Some(bias) => graph::add_to_rows(&y, bias)?,
            None => y,
        })
    }
}

/// y = W_up W_down x: a dense up-projection from `rank` channels.
#[derive(Clone, Debug)]
pub struct LowRank {
    down: Linear,
    up: Linear,
}

impl LowRank {
    /// Both factors start as [`Linear::new`] has them.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, rank: usize, outputs: usize) -> Result<Self, ModelError> {
        Ok(Self { down: Linear::new(&mut scope.at("down"), inputs, rank, 1.0)?, up: Linear::new(&mut scope.at("up"), rank, outputs, 1.0)? })
    }

    /// [rows, inputs] to [rows, outputs].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        self.up.forward(&self.down.forward(x)?)
    }
}

//! Mixture of experts: each token visits its `top_k` best experts, and a shared one behind a gate.

use candle_core::{D, Tensor};

use super::{ModelError, feed_forward::SwiGlu, linear::Linear, parameters::Scope};

/// sum over the chosen experts of weight * expert(x), plus sigmoid(w x) * shared(x) (arXiv 2606.26560).
#[derive(Clone, Debug)]
pub struct MixtureOfExperts {
    router: Linear,
    experts: Vec<SwiGlu>,
    top_k: usize,
    shared: SwiGlu,
    shared_gate: Linear,
}

/// Sizes of a mixture.
#[derive(Clone, Copy, Debug)]
pub struct MixtureSizes {
    /// Routed experts.
    pub experts: usize,
    /// Experts a token visits.
    pub top_k: usize,
    /// Hidden width of a routed expert.
    pub expert_width: usize,
    /// Hidden width of the shared expert.
    pub shared_width: usize,
}

impl MixtureOfExperts {
    /// `scale` multiplies the starting weights of the down-projections.
    pub fn new(scope: &mut Scope<'_>, d_model: usize, sizes: MixtureSizes, scale: f64) -> Result<Self, ModelError> {
        let MixtureSizes { experts, top_k, expert_width, shared_width } = sizes;
        Ok(Self {
            router: Linear::new(&mut scope.at("router"), d_model, experts, 1.0)?,
            experts: (0..experts)
                .map(|expert| SwiGlu::new(&mut scope.expert(expert, top_k), d_model, expert_width, scale))
                .collect::<Result<_, _>>()?,
            top_k,
            shared: SwiGlu::new(&mut scope.at("shared"), d_model, shared_width, scale)?,
            shared_gate: Linear::new(&mut scope.at("shared_gate"), d_model, 1, 1.0)?,
        })
    }

    /// [rows, d_model] to the same. Weights are the router's softmax, rescaled to sum to 1 over the chosen experts.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let shares = candle_nn::ops::softmax(&self.router.forward(x)?, D::Minus1)?;
        let chosen = self.choose(&shares)?;
        let rows = x.dim(0)?;
        let index = Tensor::from_iter(chosen.iter().map(|&expert| expert as u32), x.device())?.reshape((rows, self.top_k))?;
        let weights = shares.gather(&index, 1)?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(1)?)?.flatten_all()?;

        let mut y = self.shared.forward(x)?.broadcast_mul(&candle_nn::ops::sigmoid(&self.shared_gate.forward(x)?)?)?;
        let mut visits = vec![Vec::new(); self.experts.len()];
        for (slot, &expert) in chosen.iter().enumerate() {
            visits[expert].push(slot as u32);
        }
        for (expert, slots) in self.experts.iter().zip(visits).filter(|(_, slots)| !slots.is_empty()) {
            let rows = Tensor::from_iter(slots.iter().map(|slot| slot / self.top_k as u32), x.device())?;
            let weight = weights.index_select(&Tensor::new(slots, x.device())?, 0)?.unsqueeze(1)?;
            let visited = expert.forward(&x.index_select(&rows, 0)?)?.broadcast_mul(&weight)?;
            y = y.index_add(&rows, &visited, 0)?;
        }
        Ok(y)
    }

    /// The experts of every row, best first, lower numbers first among equals: [rows * top_k].
    fn choose(&self, shares: &Tensor) -> Result<Vec<usize>, ModelError> {
        let mut chosen = Vec::new();
        for row in shares.to_vec2::<f32>()? {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            chosen.extend_from_slice(&order[..self.top_k]);
        }
        Ok(chosen)
    }
}

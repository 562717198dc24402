//! What every erase does to an answer to first order, from one backward pass through the whole network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use candle_core::{Tensor, Var};
use ndarray::{Array2, ArrayD, Axis, Ix3};

use super::run::Asked;
use super::{NetworkError, NetworkReplay};
use crate::memory::HookPoint;
use crate::model::{GradientSink, LanguageModel, Observer};
use crate::record::padded_tokens;

/// Gradients by layer.
type ByLayer = Arc<Mutex<BTreeMap<usize, BTreeMap<HookPoint, ArrayD<f32>>>>>;

/// Keeps the gradients of erase strengths on the way back.
struct Keep {
    gradients: ByLayer,
}

impl Observer for Keep {
    fn gradient_sink(&self, layer: usize) -> Option<GradientSink> {
        let all = self.gradients.clone();
        Some(Arc::new(move |gradients| {
            if let Some(strength) = gradients.get(&HookPoint::EraseStrength) {
                let kept = BTreeMap::from([(HookPoint::EraseStrength, strength.clone())]);
                all.lock().expect("nobody panics while holding it").insert(layer, kept);
            }
        }))
    }
}

impl NetworkReplay<'_> {
    /// The gradient of the margin (log-odds of the right answer over the stale one, or the foil where nothing is stale) of one
    /// question with respect to every erase strength: by layer, [step, head], steps up to the question's.
    ///
    /// To first order, `gamma := 0` changes the margin by `-gamma` times this. It ranks candidates; replays decide.
    pub fn margin_gradients(&self, asked: Asked, question: usize) -> Result<BTreeMap<usize, Array2<f64>>, NetworkError> {
        let question = &asked.questions[question];
        let steps = question.position + 1;
        let tracked = tracked(self.model)?;
        let gradients = ByLayer::default();
        let tokens = padded_tokens(&[asked.example], 0..steps)?;
        let hidden = tracked.hidden(&tokens, None, &mut Keep { gradients: gradients.clone() })?;
        let logits = tracked.logits(&hidden.narrow(0, steps - 1, 1)?)?;
        let together = |tokens: &[u32]| -> Result<Tensor, NetworkError> {
            let tokens = Tensor::from_slice(tokens, tokens.len(), logits.device())?;
            Ok(logits.index_select(&tokens, 1)?.log_sum_exp(1)?)
        };
        let right = together(&[question.gold])?;
        let rival = if question.stale.is_empty() { question.matched_foils() } else { &question.stale };
        let margin = if rival.is_empty() { (right - logits.log_sum_exp(1)?)? } else { (right - together(rival)?)? };
        margin.sum_all()?.backward()?;
        let found = gradients.lock().expect("nobody panics while holding it");
        let strengths = found.iter().filter_map(|(&layer, by_point)| {
            let array = by_point.get(&HookPoint::EraseStrength)?.view().into_dimensionality::<Ix3>().ok()?;
            Some((layer, array.index_axis(Axis(0), 0).mapv(f64::from)))
        });
        Ok(strengths.collect())
    }
}

/// The same model with an embedding that gradients flow back to, and so through every layer.
fn tracked(model: &LanguageModel) -> Result<LanguageModel, NetworkError> {
    const EMBEDDING: &str = "embedding.weight";
    let mut parameters: BTreeMap<String, Tensor> =
        model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect();
    if let Some(embedding) = parameters.get_mut(EMBEDDING) {
        *embedding = Var::from_tensor(embedding)?.into_inner();
    }
    Ok(LanguageModel::from_parameters(model.config().clone(), parameters)?)
}

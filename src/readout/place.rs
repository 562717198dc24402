//! Finding a card by where it was read.

use pentimento_probes::ProbeCard;

use super::{Feature, Place, Target};
use crate::memory::Phase;

/// Where a card was read: layer and head.
pub type LayerHead = (usize, usize);

/// A card's place, by the names it carries.
pub trait CardPlace {
    /// Whether the card is of this place, target, layer and head, feature and phase.
    fn is_at(&self, place: Place, target: Target, at: LayerHead, feature: Feature, phase: Phase) -> bool;

    /// Its layer and head; `None` for a card made elsewhere.
    fn layer_head(&self) -> Option<LayerHead>;
}

impl CardPlace for ProbeCard {
    fn is_at(&self, place: Place, target: Target, (layer, head): LayerHead, feature: Feature, phase: Phase) -> bool {
        let wanted = [
            ("place", place.to_string()),
            ("target", target.to_string()),
            ("layer", layer.to_string()),
            ("head", head.to_string()),
            ("feature", feature.to_string()),
            ("phase", phase.to_string()),
        ];
        wanted.iter().all(|(name, value)| value_of(self, name) == Some(value))
    }

    fn layer_head(&self) -> Option<LayerHead> {
        Some((value_of(self, "layer")?.parse().ok()?, value_of(self, "head")?.parse().ok()?))
    }
}

fn value_of<'a>(card: &'a ProbeCard, name: &str) -> Option<&'a str> {
    card.place.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

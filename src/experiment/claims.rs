//! Claims, and what the models say to them: confirmed, not confirmed, undecided.
//!
//! A claim names a quantity of one family of models and the side of a value on which it should lie; or the difference to another
//! family, model by model of the same seed. **The rule, fixed before anything is measured**: the interval is that of the mean over
//! seeds by Student's t; a claim is *confirmed* if the whole interval lies on the claimed side of the value, *not confirmed* if the
//! whole interval lies on the other side, and *undecided* if it reaches over the value, or if there are fewer than two seeds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ModelResults;
use crate::measure::{Interval, over_models};

/// One claim, as typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// In plain words.
    pub text: String,
    /// What the source of the claim reports, if it is a number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reported: String,
    /// Where the number stands in a model's results, for example `allocation.bins[9].gates.erase`,
    /// `collateral.global[address=random].fold` or `answers[name=many_updates].behaviour.all.accuracy`.
    pub quantity: String,
    /// Another number of the same model that is taken away from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<String>,
    /// The family whose models are looked at.
    pub family: String,
    /// The family whose models of the same seeds are taken away; none if the quantity is compared with `value` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub than: Option<String>,
    /// On which side of `value` the claim puts it.
    pub side: Side,
    /// The value (default 0).
    #[serde(default)]
    pub value: f64,
}

/// A number that is shown of every family, as typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// In plain words.
    pub text: String,
    /// Where it stands in a model's results, as in a claim; families that do not have it are left out.
    pub place: String,
}

/// A number of one family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FamilyQuantity {
    /// In plain words.
    pub text: String,
    /// The family.
    pub family: String,
    /// The number of each model, in the order of the spec.
    pub models: Vec<f64>,
    /// The mean over models.
    pub found: Interval,
}

/// A side of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Greater.
    Above,
    /// Less.
    Below,
}

/// What the models say to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval lies on the claimed side.
    Confirmed,
    /// The whole interval lies on the other side.
    NotConfirmed,
    /// The interval reaches over the value, or there is none.
    Undecided,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::NotConfirmed => "not confirmed",
            Self::Undecided => "undecided",
        })
    }
}

/// A claim with what was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judged {
    /// The claim.
    pub claim: Claim,
    /// The number of each model, or the difference of two of one seed, in the order of the spec.
    pub models: Vec<f64>,
    /// The mean over models; `None` where no model has the number.
    pub found: Option<Interval>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Why a claim cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A place that is not in the results.
    #[error("claim '{claim}': '{place}' stands nowhere in the results of model '{model}': {why}")]
    Place {
        /// The claim.
        claim: String,
        /// The place asked for.
        place: String,
        /// The model.
        model: String,
        /// Which part of it is missing, and what stands there.
        why: String,
    },
}

/// Judges every claim.
pub fn judge(claims: &[Claim], models: &[ModelResults], level: f64) -> Result<Vec<Judged>, ClaimError> {
    let values: Vec<Value> = models.iter().map(|model| serde_json::to_value(model).unwrap_or_default()).collect();
    claims.iter().map(|claim| one(claim, models, &values, level)).collect()
}

/// Every quantity of every family that has it.
pub fn by_family(quantities: &[Quantity], models: &[ModelResults], level: f64) -> Vec<FamilyQuantity> {
    let values: Vec<Value> = models.iter().map(|model| serde_json::to_value(model).unwrap_or_default()).collect();
    let mut families: Vec<&str> = Vec::new();
    for family in models.iter().filter_map(|model| model.family.as_deref()) {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let mut found = Vec::new();
    for quantity in quantities {
        for &family in &families {
            let own = models.iter().zip(&values).filter(|(model, _)| model.family.as_deref() == Some(family));
            let numbers: Vec<f64> = own.filter_map(|(_, value)| number_at(value, &quantity.place).ok().flatten()).collect();
            if let Some(interval) = over_models(&numbers, level) {
                let (text, family) = (quantity.text.clone(), family.to_owned());
                found.push(FamilyQuantity { text, family, models: numbers, found: interval });
            }
        }
    }
    found
}

impl Claim {
    /// The verdict on an interval.
    pub fn verdict(&self, found: Option<&Interval>) -> Verdict {
        let Some((low, high)) = found.and_then(Interval::bounds) else { return Verdict::Undecided };
        let (above, below) = (low > self.value, high < self.value);
        match (self.side, above, below) {
            (Side::Above, true, _) | (Side::Below, _, true) => Verdict::Confirmed,
            (Side::Above, _, true) | (Side::Below, true, _) => Verdict::NotConfirmed,
            _ => Verdict::Undecided,
        }
    }
}

fn one(claim: &Claim, models: &[ModelResults], values: &[Value], level: f64) -> Result<Judged, ClaimError> {
    let family = |wanted: &str| (0..models.len()).filter(|&index| models[index].family.as_deref() == Some(wanted)).collect::<Vec<_>>();
    let number = |index: usize| {
        let read = |place: &str| {
            number_at(&values[index], place).map_err(|why| ClaimError::Place {
                claim: claim.text.clone(),
                place: place.to_owned(),
                model: models[index].name.clone(),
                why,
            })
        };
        let first = read(&claim.quantity)?;
        let taken = claim.minus.as_deref().map(read).transpose()?;
        Ok(match taken {
            None => first,
            Some(taken) => first.zip(taken).map(|(first, taken)| first - taken),
        })
    };
    let others = claim.than.as_deref().map(family);
    let mut found = Vec::new();
    for index in family(&claim.family) {
        let own = number(index)?;
        let number = match &others {
            None => own,
            Some(others) => {
                let Some(&twin) = others.iter().find(|&&other| models[other].seed == models[index].seed) else { continue };
                own.zip(number(twin)?).map(|(own, twin)| own - twin)
            }
        };
        found.extend(number);
    }
    let interval = over_models(&found, level);
    Ok(Judged { claim: claim.clone(), verdict: claim.verdict(interval.as_ref()), models: found, found: interval })
}

/// The number at a place like `a.b[2].c[name=x,kind=y].d`; an interval there counts by its estimate, nothing (null) as no number.
fn number_at(value: &Value, place: &str) -> Result<Option<f64>, String> {
    let mut at = value;
    for part in place.split('.') {
        let (name, selectors) = part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest)));
        at = at.get(name).ok_or_else(|| format!("there is no '{name}'; there are {}", keys(at)))?;
        for selector in selectors.into_iter().flat_map(|rest| rest.split('[')) {
            let selector = selector.strip_suffix(']').ok_or_else(|| format!("'{part}' lacks its ']'"))?;
            let items = at.as_array().ok_or_else(|| format!("'{name}' is no list"))?;
            let chosen = match selector.split_once('=') {
                None => selector.parse().ok().and_then(|index: usize| items.get(index)),
                Some(_) => items.iter().find(|item| {
                    selector
                        .split(',')
                        .all(|pair| pair.split_once('=').is_some_and(|(key, wanted)| item.get(key).is_some_and(|found| is(found, wanted))))
                }),
            };
            at = chosen.ok_or_else(|| format!("'{name}' has no [{selector}] among its {}", items.len()))?;
        }
        if at.is_null() {
            return Ok(None);
        }
    }
    let number = at.as_f64().or_else(|| at.get("estimate").and_then(Value::as_f64));
    number.map(Some).ok_or_else(|| "what stands there is no number and no interval".to_owned())
}

fn is(found: &Value, wanted: &str) -> bool {
    let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    shown == wanted
}

fn keys(value: &Value) -> String {
    value.as_object().map_or_else(|| "no names".to_owned(), |object| object.keys().cloned().collect::<Vec<_>>().join(", "))
}

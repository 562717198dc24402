//! `pentimento knockout --model`: effects on answers.

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use super::knockout::{WithModel, account_text};
use super::{output, settings};
use crate::intervene::{Intervention, ScoreChange, Scores, SequenceWords};
use crate::measure::{EraseEffectOptions, EraseEffects, EraseRun, Interval, Source, StatisticsOptions, erase_effects};
use crate::model::open_model;
use crate::network::{Asked, NetworkReplay};
use crate::task::Example;

/// The effect of a user's own interventions on one answer.
#[derive(Serialize)]
struct OwnEffect {
    batch: usize,
    question: usize,
    interventions: Vec<Intervention>,
    as_it_is: Scores,
    total: ScoreChange,
    direct: ScoreChange,
}

/// Runs `pentimento knockout` with a model at hand.
pub fn run(asked: &WithModel) -> anyhow::Result<()> {
    let opened = open_model(asked.model, asked.seed)?;
    let mut replay = NetworkReplay::of_trace(&opened.model, asked.trace, asked.seed)?;
    replay.vocabulary = opened.vocabulary.as_ref();
    match (asked.question, asked.interventions) {
        (Some(question), None) => {
            let bar = output::spinner("running the network again without each erase");
            let account = replay.account(asked.trace, asked.batch, question, &asked.account)?;
            bar.finish_and_clear();
            if asked.json { output::json(&account) } else { output::line(&account_text(&account)) }
        }
        (Some(question), Some(interventions)) => own_effect(asked, &replay, question, interventions),
        (None, None) => {
            let layers = asked.trace.layers();
            let options = options(asked);
            anyhow::ensure!(
                layers.iter().any(|layer| layer.rule.has_erase()),
                "no layer of this trace has an erase to knock out: name other interventions with --do"
            );
            let runs = EraseRun::all(&options, &Source::layers(asked.trace));
            let found = effects(asked, &replay, &runs, &options)?;
            if asked.json {
                return output::json(&found);
            }
            output::line(&found.headline())?;
            output::line(&effects_table(&found))
        }
        (None, Some(interventions)) => {
            let options = options(asked);
            let found = effects(asked, &replay, &[EraseRun::Own(interventions.to_vec())], &options)?;
            if asked.json { output::json(&found) } else { output::line(&effects_table(&found)) }
        }
    }
}

fn options(asked: &WithModel) -> EraseEffectOptions {
    let statistics = StatisticsOptions { resamples: asked.resamples, seed: asked.seed, ..StatisticsOptions::default() };
    EraseEffectOptions { statistics, ..EraseEffectOptions::default() }
}

fn own_effect(asked: &WithModel, replay: &NetworkReplay, number: usize, interventions: &[Intervention]) -> anyhow::Result<()> {
    let words = SequenceWords::of_trace(asked.trace, asked.batch)?;
    let words = match replay.vocabulary {
        Some(vocabulary) => words.with_vocabulary(vocabulary),
        None => words,
    };
    let question = words.question(number)?;
    let example: Example = words.example.clone().unwrap_or_default();
    let (as_it_is, total, direct) = replay.effect(Asked::all(&example, asked.batch as u64), interventions, question)?;
    let found = OwnEffect { batch: asked.batch, question: number, interventions: interventions.to_vec(), as_it_is, total, direct };
    if asked.json {
        return output::json(&found);
    }
    interventions.iter().try_for_each(|intervention| output::line(&intervention.to_string()))?;
    let mut table = Table::new();
    let moved = |before: Option<f64>, total: Option<f64>, direct: Option<f64>| -> Option<[String; 4]> {
        let p = |log: f64| format!("{:.4}", log.exp());
        Some([p(before?), p(before? + total?), format!("{:+.3}", total?), format!("{:+.3}", direct?)])
    };
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["answer", "p as it is", "p under it", "total [nats]", "direct [nats]"]);
    let rows = [
        (format!("right: {}", words.word(question.gold)), moved(Some(as_it_is.gold), Some(total.gold), Some(direct.gold))),
        (format!("stale: {}", words.any_of(&question.stale)), moved(as_it_is.stale, total.stale, direct.stale)),
        (format!("never written: {}", words.any_of(question.matched_foils())), moved(as_it_is.foil, total.foil, direct.foil)),
    ];
    for (name, cells) in rows {
        if let Some(cells) = cells {
            table.add_row(std::iter::once(name).chain(cells));
        }
    }
    output::line(&table.to_string())
}

fn effects(asked: &WithModel, replay: &NetworkReplay, runs: &[EraseRun], options: &EraseEffectOptions) -> anyhow::Result<EraseEffects> {
    let lists = |example: &Example| runs.iter().map(|run| run.interventions(example)).collect();
    let bar = settings::progress(0, "running the network again (sequences)");
    let sequences = replay.effects(asked.trace, lists, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    erase_effects(runs, &sequences, options)
        .ok_or_else(|| anyhow::anyhow!("no sequence of this trace has a question: there is no answer to change"))
}

/// Every run over all conditions, then by condition what erases do to stale values beyond never-written ones.
fn effects_table(found: &EraseEffects) -> String {
    let cell = |interval: Option<&Interval>| interval.map_or(String::new(), ToString::to_string);
    let mut all = Table::new();
    all.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "under",
        "right [nats]",
        "stale [nats]",
        "never written [nats]",
        "stale beyond never written",
        "accuracy",
    ]);
    for run in &found.runs {
        let effect = &run.all;
        let cells =
            [Some(&effect.gold), effect.stale.as_ref(), effect.foil.as_ref(), effect.stale_above_foil.as_ref(), Some(&effect.accuracy)];
        all.add_row(std::iter::once(run.run.label()).chain(cells.map(cell)));
    }
    let by_condition: Vec<_> = found.runs.iter().filter(|run| !matches!(run.run, EraseRun::WithoutHead(_))).collect();
    let mut table = Table::new();
    let conditions = by_condition.first().map_or(&[][..], |run| &run.conditions);
    let stale: Vec<usize> = (0..conditions.len()).filter(|&index| conditions[index].stale_above_foil.is_some()).collect();
    let name = |index: &usize| {
        conditions[*index]
            .condition
            .map_or(String::new(), |condition| format!("{} {}", condition.letter(), condition.name().replace('_', " ")))
    };
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_header(std::iter::once("stale beyond never written".to_owned()).chain(stale.iter().map(name)));
    for run in by_condition {
        let cells = stale.iter().map(|&index| cell(run.conditions[index].stale_above_foil.as_ref()));
        table.add_row(std::iter::once(run.run.label()).chain(cells));
    }
    format!(
        "{all}\n\n{table}\nChanges of log-probabilities in nats, total effects, with intervals over sequences; --json has every condition of every run."
    )
}

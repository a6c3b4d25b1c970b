//! What the paper looks at: how near speech and text are at every level, along which alignment, and where that alignment runs.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::Tensor;
use sandhi_align::{Moves, alignment_cost, best_alignment, random_alignment};
use sandhi_core::{Distance, Labels, Lengths, Padded};
use sandhi_lab::Run;
use sandhi_lab::report::{LayerPaths, Level};
use sandhi_model::CascadeModel;
use sandhi_nn::Mode;
use sandhi_recipe::{
    Data, Probe, Utterance, frame_seconds, gold_frames, length_batches, means_over_time, padded,
    representative, seconds_of, timed_words,
};

use crate::config::Config;
use crate::matching::{Cells, RANDOM_SEED, level_costs};
use crate::objective::shown;

/// Sums over the labels of the dev set.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: f64,
}

/// What there is of a batch at every level: the costs, and lengths on either side.
struct Levels {
    costs: Vec<Tensor>,
    frames: Lengths,
    labels: Lengths,
}

/// The distance is that of standardized embeddings, so that levels of different scale can be compared: √2 for vectors that have
/// nothing to do with each other.
const DISTANCE: Distance = Distance::L2;

/// Logs phase `layers`: for every level ℓ the mean distance of a label to its frame along the best alignment (`best/ℓ`), one
/// label after another at an even pace (`framewise/ℓ`), a random one (`random/ℓ`), and where it was spoken (`gold/ℓ`); and by how
/// many milliseconds the best alignment misses the gold times (`error_ms/ℓ`). The last two are of the utterances whose words have times.
pub(crate) fn look(
    config: &Config,
    model: &CascadeModel,
    data: &Data,
    step: u64,
    run: &mut Run,
) -> Result<()> {
    let mut means: BTreeMap<String, Mean> = BTreeMap::new();
    let mut add = |name: String, sum: f64, count: usize| {
        let mean = means.entry(name).or_default();
        mean.sum += sum;
        mean.count += count as f64;
    };
    let frame_ms = 1000.0 * frame_seconds(&config.fbank);
    for batch in length_batches(config.budget.max_frames, &data.dev) {
        let members: Vec<&Utterance> = batch.iter().map(|&i| &data.dev[i]).collect();
        let levels = levels(config, model, &members)?;
        let (frames, labels) = (&levels.frames, &levels.labels);
        let all = labels.as_slice().iter().sum::<usize>();
        let gold = members.iter().enumerate();
        let gold: Vec<_> = gold
            .map(|(b, utterance)| gold_cells(config, data, utterance, 1.0, frames.get(b)))
            .collect();
        let framewise = paced(frames, labels);
        let random = random_alignment(RANDOM_SEED, frames, labels)?;
        for (level, cost) in levels.costs.iter().enumerate() {
            let total = |cells: &Cells| -> Result<f64> {
                let sums = alignment_cost(cost, frames, labels, cells)?;
                Ok(f64::from(sums.sum_all()?.to_scalar::<f32>()?))
            };
            let best = best_alignment(cost, frames, labels, Moves::EveryLabel)?;
            add(format!("best/{level}"), total(&best)?, all);
            add(format!("framewise/{level}"), total(&framewise)?, all);
            add(format!("random/{level}"), total(&random)?, all);
            // Over the utterances of which it is known; the others add no cell.
            let known: usize = gold.iter().flatten().map(Vec::len).sum();
            if known > 0 {
                let cells: Cells = gold
                    .iter()
                    .map(|cells| cells.clone().unwrap_or_default())
                    .collect();
                add(format!("gold/{level}"), total(&cells)?, known);
                let errors = best.iter().zip(&gold);
                let errors = errors.filter_map(|(best, gold)| Some(apart(best, gold.as_ref()?)));
                add(format!("error_ms/{level}"), frame_ms * errors.sum::<f64>(), known);
            }
        }
    }
    let values: Vec<(String, f64)> = means
        .into_iter()
        .map(|(name, mean)| (name, mean.sum / mean.count.max(1.0)))
        .collect();
    let values: Vec<(&str, f64)> = values
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    Ok(run.log(step, "layers", &values)?)
}

/// Logs phase `probes`: in how many percent of the dev utterances a linear probe tells, from the mean of the speech at each level, who
/// speaks (`voice/ℓ`) and in which language (`language/ℓ`). Fitted to the training speech at its own speed, since another speed is another
/// voice; the encoders stay as they are. Where nobody of dev speaks in training there is no voice to tell.
pub(crate) fn probe(
    config: &Config,
    model: &CascadeModel,
    data: &Data,
    step: u64,
    run: &mut Run,
) -> Result<()> {
    let (fitted, judged) = (
        means(config, model, &data.train)?,
        means(config, model, &data.dev)?,
    );
    let mut values = vec![];
    for question in ["voice", "language"] {
        let answer = |u: &Utterance| match question {
            "voice" => u.cut.speaker.clone(),
            _ => u.cut.language.clone(),
        };
        let answers = |utterances: &[Utterance]| -> Vec<String> { utterances.iter().map(answer).collect() };
        let (known, asked) = (answers(&data.train), answers(&data.dev));
        if !asked.iter().any(|answer| known.contains(answer)) {
            continue;
        }
        for level in 0..=config.last_level() {
            if let Some(probe) = Probe::fit(&fitted[level], &known) {
                let accuracy = probe.accuracy(&judged[level], &asked);
                values.push((format!("{question}/{level}"), accuracy));
            }
        }
    }
    let values: Vec<(&str, f64)> = values
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    Ok(run.log(step, "probes", &values)?)
}

/// The mean of each utterance's speech, by level and utterance.
fn means(config: &Config, model: &CascadeModel, utterances: &[Utterance]) -> Result<Vec<Vec<Vec<f64>>>> {
    let mut means = vec![vec![vec![]; utterances.len()]; config.last_level() + 1];
    for batch in length_batches(config.budget.max_frames, utterances) {
        let members: Vec<&Utterance> = batch.iter().map(|&i| &utterances[i]).collect();
        let speech = model.encode_speech(&padded(&members)?, Mode::Eval)?.detach();
        for (level, x) in model
            .levels(&speech, config.last_level(), Mode::Eval)?
            .iter()
            .enumerate()
        {
            for (&i, mean) in batch.iter().zip(means_over_time(&x.detach())?) {
                means[level][i] = mean;
            }
        }
    }
    Ok(means)
}

/// Leaves for the report the costs of one utterance at every level, with the best alignment over them.
pub(crate) fn figure(
    config: &Config,
    model: &CascadeModel,
    data: &Data,
    utterances: &[Utterance],
    run: &Run,
) -> Result<()> {
    let Some(utterance) = representative(utterances) else {
        return Ok(());
    };
    let levels = levels(config, model, &[utterance])?;
    let level = |cost: &Tensor| -> Result<Level> {
        let best = best_alignment(cost, &levels.frames, &levels.labels, Moves::EveryLabel)?;
        Ok(Level {
            cost: cost.get(0)?.to_vec2::<f32>()?,
            path: best.into_iter().flatten().collect(),
        })
    };
    let input = data.frontends.input();
    let tokens = shown(
        config,
        &Labels::new(vec![utterance.input.clone()], input.specials().blank)?,
    )?;
    let token = |label: &u32| input.token(*label).unwrap_or("?").to_string();
    Ok(run.artifact(
        LayerPaths::FILE,
        &LayerPaths {
            id: utterance.cut.id.clone(),
            text: utterance.text.clone(),
            arm: run.arm().to_string(),
            tokens: tokens.rows().iter().flatten().map(token).collect(),
            frame_seconds: frame_seconds(&config.fbank),
            first_frame_seconds: Some(seconds_of(0.0, &config.fbank)),
            words: timed_words(utterance),
            levels: levels.costs.iter().map(level).collect::<Result<_>>()?,
        },
    )?)
}

/// Both sides of utterances through all levels, without a graph; the text is shown whole.
fn levels(config: &Config, model: &CascadeModel, utterances: &[&Utterance]) -> Result<Levels> {
    let last = config.last_level();
    let through = |encoded: Padded| -> Result<Vec<Padded>> {
        let levels = model.levels(&encoded.detach(), last, Mode::Eval)?;
        Ok(levels.iter().map(Padded::detach).collect())
    };
    let inputs = utterances.iter().map(|u| u.input.clone()).collect();
    // Neither side has a blank among its labels; which number it is does not matter here.
    let inputs = shown(config, &Labels::new(inputs, model.full_decoder().blank())?)?;
    let speech = through(model.encode_speech(&padded(utterances)?, Mode::Eval)?)?;
    let text = through(model.encode_text(&inputs, Mode::Eval)?)?;
    let costs = speech
        .iter()
        .zip(&text)
        .map(|(speech, text)| Ok(level_costs(true, DISTANCE, speech, text)?.detach()));
    Ok(Levels {
        costs: costs.collect::<Result<_>>()?,
        frames: speech[0].lengths().clone(),
        labels: text[0].lengths().clone(),
    })
}

/// Where the labels of an utterance were spoken, heard at a speed; none if the corpus does not say it.
pub(crate) fn gold_cells(
    config: &Config,
    data: &Data,
    utterance: &Utterance,
    speed: f64,
    frames: usize,
) -> Option<Vec<(usize, usize)>> {
    let found = gold_frames(utterance, data.frontends.input(), &config.fbank, speed, frames)?;
    let positions = found.into_iter().flat_map(|frame| vec![frame; config.repeat]);
    Some(positions.enumerate().map(|(u, t)| (t, u)).collect())
}

/// Each label at the frame in the middle of its share of the utterance.
fn paced(frames: &Lengths, labels: &Lengths) -> Cells {
    let lengths = frames.as_slice().iter().zip(labels.as_slice());
    let cells = |(&frames, &labels): (&usize, &usize)| {
        (0..labels)
            .map(|u| ((2 * u + 1) * frames / (2 * labels), u))
            .collect()
    };
    lengths.map(cells).collect()
}

/// Σ |t − t'| over the labels of an utterance, of two alignments that have one cell for each.
fn apart(one: &[(usize, usize)], other: &[(usize, usize)]) -> f64 {
    let cells = one.iter().zip(other);
    cells.map(|(&(t, _), &(gold, _))| t.abs_diff(gold) as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paced_labels_are_in_the_middle_of_their_shares() {
        let lengths = |n: &[usize]| Lengths::new(n.to_vec());
        assert_eq!(
            paced(&lengths(&[8, 3]), &lengths(&[2, 1])),
            vec![vec![(2, 0), (6, 1)], vec![(1, 0)]]
        );
        // More labels than frames: none is beyond the last.
        assert_eq!(
            paced(&lengths(&[1]), &lengths(&[3])),
            vec![vec![(0, 0), (0, 1), (0, 2)]]
        );
    }

    #[test]
    fn alignments_are_apart_by_their_frames() {
        assert!((apart(&[(0, 0), (4, 1)], &[(1, 0), (2, 1)]) - 3.0).abs() < 1e-12);
    }
}

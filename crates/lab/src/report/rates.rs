use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sandhi_score::{
    Edits, Interval, Paired, Score, Unit, bootstrap, character_edits, error_rate, paired_bootstrap,
    word_edits,
};

use crate::report::evidence::RunEvidence;
use crate::{Error, Result};

/// Resamples of every interval, and the seed of their draws. Those of the scorer's command line.
pub(crate) const SAMPLES: usize = 1000;
const SEED: u64 = 0;

/// The error rate of an arm on a split, over all its seeds.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    /// All seeds together; seeds see the same utterances, so this is their mean.
    pub(crate) score: Score,
    pub(crate) interval: Interval,
    /// Seed and its rate.
    pub(crate) seeds: Vec<(u64, f64)>,
    pub(crate) signature: String,
}

/// The rate of runs on a split; `None` if none of them was scored on it.
pub(crate) fn rate(runs: &[RunEvidence], split: &str, unit: Unit) -> Result<Option<Rate>> {
    let scored: Vec<&RunEvidence> = runs
        .iter()
        .filter(|run| run.utterances.contains_key(split))
        .collect();
    let Some(first) = scored.first() else {
        return Ok(None);
    };
    let edits: Vec<Vec<Edits>> = scored.iter().map(|run| edits(run, split, unit)).collect();
    for run in &scored {
        same_utterances(first, run, split)?;
    }
    let seeds = scored.iter().zip(&edits);
    let seeds = seeds
        .map(|(run, edits)| (run.identity.seed, error_rate(unit, edits).value))
        .collect();
    let all: Vec<Edits> = edits.iter().flatten().copied().collect();
    let one = error_rate(unit, &edits[0]);
    let signature = match edits.len() {
        1 => one.signature.to_string(),
        number => format!("{}|seeds:{number}", one.signature),
    };
    let interval = match edits.as_slice() {
        [only] => bootstrap(only, SAMPLES, SEED),
        several => {
            over_seeds(several.len(), several[0].len(), |seeds, utterances| {
                percent(several, seeds, utterances)
            })
            .0
        }
    };
    Ok(Some(Rate {
        score: error_rate(unit, &all),
        interval,
        seeds,
        signature,
    }))
}

/// Two arms on the same utterances, at the seeds both have.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) better: f64,
    pub(crate) worse: f64,
    pub(crate) paired: Paired,
    pub(crate) seeds: usize,
    pub(crate) utterances: usize,
}

/// Compares two arms on a split; `None` if they share no seed that was scored on it.
pub(crate) fn compare(
    better: &[RunEvidence],
    worse: &[RunEvidence],
    split: &str,
    unit: Unit,
) -> Result<Option<Comparison>> {
    let mut pairs = Vec::new();
    for left in better.iter().filter(|run| run.utterances.contains_key(split)) {
        let twin = |run: &&RunEvidence| {
            run.identity.seed == left.identity.seed && run.utterances.contains_key(split)
        };
        if let Some(right) = worse.iter().find(twin) {
            same_utterances(left, right, split)?;
            pairs.push((left, right));
        }
    }
    let Some(first) = pairs.first().map(|(left, _)| *left) else {
        return Ok(None);
    };
    for (left, _) in &pairs {
        same_utterances(first, left, split)?;
    }
    let left: Vec<Vec<Edits>> = pairs.iter().map(|(run, _)| edits(run, split, unit)).collect();
    let right: Vec<Vec<Edits>> = pairs.iter().map(|(_, run)| edits(run, split, unit)).collect();
    let pooled = |seeds: &[Vec<Edits>]| error_rate(unit, &seeds.concat()).value;
    let utterances = left[0].len();
    let paired = match (left.as_slice(), right.as_slice()) {
        ([left], [right]) => paired_bootstrap(left, right, SAMPLES, SEED),
        _ => {
            // The same seeds and utterances are drawn for both arms: what they share cancels.
            let (difference, probability) = over_seeds(left.len(), utterances, |seeds, drawn| {
                percent(&right, seeds, drawn) - percent(&left, seeds, drawn)
            });
            Paired {
                difference,
                probability,
            }
        }
    };
    Ok(Some(Comparison {
        better: pooled(&left),
        worse: pooled(&right),
        paired,
        seeds: pairs.len(),
        utterances,
    }))
}

/// How the rates of a table are made, said under it.
pub(crate) fn reading() -> String {
    format!(
        "Errors per hundred; where there are several seeds, their mean. Intervals: 95 % percentile bootstrap over utterances, and \
         over seeds where there are several, {SAMPLES} resamples. Lower is better."
    )
}

/// The interval of a statistic when seeds and utterances are both drawn with replacement, and how often it is
/// positive; zero counts as half.
///
/// One seed fewer is drawn than there are, else the variance of a mean over few seeds would come out too small by
/// 1/seeds (Rao & Wu 1988, "Resampling inference with complex survey data"). There must be two or more.
fn over_seeds(
    seeds: usize,
    utterances: usize,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> (Interval, f64) {
    let mut values: Vec<f64> = (0..SAMPLES)
        .map(|sample| {
            // One stream per resample: no draw depends on how many came before it.
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            random.set_stream(sample as u64);
            let drawn_seeds: Vec<usize> = (1..seeds).map(|_| random.random_range(0..seeds)).collect();
            let drawn: Vec<usize> = (0..utterances)
                .map(|_| random.random_range(0..utterances))
                .collect();
            statistic(&drawn_seeds, &drawn)
        })
        .collect();
    let won: f64 = values
        .iter()
        .map(|&value| {
            if value > 0.0 {
                1.0
            } else {
                f64::from(value == 0.0) / 2.0
            }
        })
        .sum();
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let interval = Interval {
        mean,
        low: percentile(&values, 0.025),
        high: percentile(&values, 0.975),
    };
    (interval, won / SAMPLES as f64)
}

/// The rate of drawn utterances at drawn seeds, percent.
fn percent(edits: &[Vec<Edits>], seeds: &[usize], utterances: &[usize]) -> f64 {
    let drawn: Edits = seeds
        .iter()
        .flat_map(|&seed| utterances.iter().map(move |&at| (seed, at)))
        .map(|(seed, at)| edits[seed][at])
        .sum();
    error_rate(Unit::Word, &[drawn]).value
}

/// Linear interpolation between the order statistics around a share of sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The edits of a run's utterances, in the order of their ids.
fn edits(run: &RunEvidence, split: &str, unit: Unit) -> Vec<Edits> {
    let count = match unit {
        Unit::Word => word_edits,
        Unit::Character => character_edits,
    };
    let utterances = run.utterances.get(split).map_or(&[][..], Vec::as_slice);
    utterances
        .iter()
        .map(|utterance| count(&utterance.reference, &utterance.hypothesis))
        .collect()
}

/// Rates are only comparable on the same utterances with the same references.
fn same_utterances(left: &RunEvidence, right: &RunEvidence, split: &str) -> Result<()> {
    let key = |run: &RunEvidence| -> Vec<(String, String)> {
        let utterances = run.utterances.get(split).map_or(&[][..], Vec::as_slice);
        utterances
            .iter()
            .map(|utterance| (utterance.id.clone(), utterance.reference.clone()))
            .collect()
    };
    if key(left) == key(right) {
        return Ok(());
    }
    Err(Error::NotComparable {
        split: split.to_owned(),
        left: left.name(),
        right: right.name(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn interval_over_seeds_has_the_variance_of_a_mean() {
        let values: [f64; 3] = [20.0, 23.0, 24.5];
        let (count, mean) = (
            values.len() as f64,
            values.iter().sum::<f64>() / values.len() as f64,
        );
        let unbiased = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let drawn = RefCell::new(Vec::new());
        over_seeds(values.len(), 1, |seeds, _| {
            let mean = seeds.iter().map(|&seed| values[seed]).sum::<f64>() / seeds.len() as f64;
            drawn.borrow_mut().push(mean);
            mean
        });
        let drawn = drawn.into_inner();
        let spread = drawn.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        // A bootstrap that draws as many as there are would have two thirds of it.
        let ratio = spread / (unbiased / count);
        assert!((ratio - 1.0).abs() < 0.15, "{ratio}");
    }
}

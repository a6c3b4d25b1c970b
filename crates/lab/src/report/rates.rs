use sandhi_score::{
    Edits, Interval, Paired, Score, Unit, bootstrap, character_edits, error_rate, paired_bootstrap,
    word_edits,
};

use crate::report::evidence::RunEvidence;
use crate::report::resample::{SAMPLES, SEED, resample, summary};
use crate::{Error, Result};

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
    let scored: Vec<&RunEvidence> = runs.iter().filter(|run| run.scored(split).is_some()).collect();
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
            let drawn = resample(SEED, several.len(), several[0].len(), |seeds, utterances| {
                percent(several, seeds, utterances)
            });
            summary(drawn).0
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
    let Some(pairs) = Pairs::of(better, worse, split, unit)? else {
        return Ok(None);
    };
    let paired = match (pairs.better.as_slice(), pairs.worse.as_slice()) {
        ([better], [worse]) => paired_bootstrap(better, worse, SAMPLES, SEED),
        _ => {
            // The same seeds and utterances are drawn for both arms: what they share cancels.
            let (difference, probability) = summary(pairs.resample(SEED, |better, worse| worse - better));
            Paired {
                difference,
                probability,
            }
        }
    };
    let (better, worse) = pairs.rates(unit);
    Ok(Some(Comparison {
        better,
        worse,
        paired,
        seeds: pairs.better.len(),
        utterances: pairs.better[0].len(),
    }))
}

/// The edits of two arms on the same utterances, by the seeds both have.
pub(crate) struct Pairs {
    pub(crate) better: Vec<Vec<Edits>>,
    pub(crate) worse: Vec<Vec<Edits>>,
}

impl Pairs {
    /// `None` if they share no seed that was scored on the split.
    pub(crate) fn of(
        better: &[RunEvidence],
        worse: &[RunEvidence],
        split: &str,
        unit: Unit,
    ) -> Result<Option<Self>> {
        let mut pairs = Self {
            better: Vec::new(),
            worse: Vec::new(),
        };
        let mut first = None;
        for left in better.iter().filter(|run| run.scored(split).is_some()) {
            let twin =
                |run: &&RunEvidence| run.identity.seed == left.identity.seed && run.scored(split).is_some();
            if let Some(right) = worse.iter().find(twin) {
                same_utterances(left, right, split)?;
                same_utterances(first.get_or_insert(left), left, split)?;
                pairs.better.push(edits(left, split, unit));
                pairs.worse.push(edits(right, split, unit));
            }
        }
        Ok(first.map(|_| pairs))
    }

    /// The error rates of both, over all seeds.
    pub(crate) fn rates(&self, unit: Unit) -> (f64, f64) {
        let pooled = |seeds: &[Vec<Edits>]| error_rate(unit, &seeds.concat()).value;
        (pooled(&self.better), pooled(&self.worse))
    }

    /// A statistic of both error rates, in resamples of seeds and utterances.
    pub(crate) fn resample(&self, seed: u64, statistic: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        resample(seed, self.better.len(), self.better[0].len(), |seeds, drawn| {
            statistic(
                percent(&self.better, seeds, drawn),
                percent(&self.worse, seeds, drawn),
            )
        })
    }
}

/// How the rates of a table are made, said under it.
pub(crate) fn reading() -> String {
    format!(
        "Errors per hundred; where there are several seeds, their mean. Intervals: 95 % percentile bootstrap over utterances, and \
         over seeds where there are several, {SAMPLES} resamples. Lower is better."
    )
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

/// The edits of a run's utterances, in the order of their ids.
fn edits(run: &RunEvidence, split: &str, unit: Unit) -> Vec<Edits> {
    let count = match unit {
        Unit::Word => word_edits,
        Unit::Character => character_edits,
    };
    let utterances = run.scored(split).unwrap_or_default();
    utterances
        .iter()
        .map(|utterance| count(&utterance.reference, &utterance.hypothesis))
        .collect()
}

/// Rates are only comparable on the same utterances with the same references.
fn same_utterances(left: &RunEvidence, right: &RunEvidence, split: &str) -> Result<()> {
    let key = |run: &RunEvidence| -> Vec<(String, String)> {
        let utterances = run.scored(split).unwrap_or_default();
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

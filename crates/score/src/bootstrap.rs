//! Bootstrap intervals of corpus-level rates, resampling utterances.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::edit::Edits;
use crate::error_rate::percent;

/// A 95 % percentile bootstrap interval, in percent points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Mean over the resamples.
    pub mean: f64,
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// What a paired bootstrap says of two systems on the same utterances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Rate of `worse` minus rate of `better`, in percent points: positive when the claim holds.
    pub difference: Interval,
    /// Share of resamples in which `better` has the lower rate; a tie counts as half.
    pub probability: f64,
}

/// The 95 % interval of the corpus-level rate under resampling of utterances with replacement.
///
/// Percentiles are interpolated linearly. A resample whose references are all empty is rated as
/// [`crate::error_rate`] rates it. The draws are a function of `seed` and the number of utterances alone.
/// Without utterances every bound is 0.
///
/// # Panics
///
/// If `samples` is 0.
///
/// # Source
///
/// Bisani & Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation".
///
/// # Proved by
///
/// `bootstrap_covers_a_known_rate`, `bootstrap_of_equal_utterances_is_a_point`,
/// `bootstrap_is_a_function_of_its_seed`.
pub fn bootstrap(edits: &[Edits], samples: usize, seed: u64) -> Interval {
    let rates = resample(edits.len(), samples, seed, |drawn| {
        percent(drawn.map(|i| edits[i]).sum())
    });
    interval(rates)
}

/// The 95 % interval of the difference between two systems, each resample drawing the same utterances for
/// both.
///
/// `better[i]` and `worse[i]` are the edits of the two systems on utterance `i`. The names state the claim
/// under test: a positive difference says that it holds.
///
/// # Panics
///
/// If the systems have different numbers of utterances, or `samples` is 0.
///
/// # Source
///
/// Koehn 2004, "Statistical significance tests for machine translation evaluation", with rates in place of
/// BLEU.
///
/// # Proved by
///
/// `paired_bootstrap_changes_sign_when_swapped`, `paired_bootstrap_is_narrower_than_unpaired`.
pub fn paired_bootstrap(better: &[Edits], worse: &[Edits], samples: usize, seed: u64) -> Paired {
    assert_eq!(
        better.len(),
        worse.len(),
        "paired systems must have scored the same utterances"
    );
    let differences = resample(better.len(), samples, seed, |drawn| {
        let (b, w) = drawn
            .map(|i| (better[i], worse[i]))
            .fold((Edits::default(), Edits::default()), |(b, w), (x, y)| {
                (b + x, w + y)
            });
        percent(w) - percent(b)
    });
    let won: f64 = differences
        .iter()
        .map(|&d| if d > 0.0 { 1.0 } else { f64::from(d == 0.0) / 2.0 })
        .sum();
    Paired {
        probability: won / samples as f64,
        difference: interval(differences),
    }
}

/// The statistic of `samples` resamples of `0..len`, drawn with replacement.
fn resample(
    len: usize,
    samples: usize,
    seed: u64,
    statistic: impl Fn(&mut dyn Iterator<Item = usize>) -> f64,
) -> Vec<f64> {
    assert!(samples > 0, "a bootstrap needs at least one resample");
    (0..samples)
        .map(|sample| {
            // One stream of the generator per resample: no draw depends on how many came before it.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(sample as u64);
            statistic(&mut (0..len).map(|_| rng.random_range(0..len)))
        })
        .collect()
}

fn interval(mut values: Vec<f64>) -> Interval {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.sort_by(f64::total_cmp);
    Interval {
        mean,
        low: percentile(&values, 0.025),
        high: percentile(&values, 0.975),
    }
}

/// Linear interpolation between the two order statistics around `share` of the way through sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

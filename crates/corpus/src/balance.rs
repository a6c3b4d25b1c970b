//! Language-balanced epochs: small languages more often, large ones less often.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use crate::random::rng;
use crate::{Error, Result};

/// The utterances of one epoch, as sorted indices into `languages`: as many as there are, some of them more than
/// once or not at all.
///
/// A language with `n` utterances has a share of the epoch in proportion to `n^(1/temperature)`, to the nearest
/// utterance: 1 leaves the shares as they are, and then the epoch is every utterance once; infinity makes them equal.
/// Each language has its utterances in one order, which the seed shuffles, and goes round and round in it: an epoch
/// takes up where the one before stopped. So no utterance is more than one ahead of another of its language, over
/// any number of epochs, and those of the smallest language are in every epoch. The result is a function of the
/// languages, the temperature, the seed and the epoch.
///
/// [`batches`](crate::batches) does the rest:
///
/// ```
/// use sandhi_corpus::{BatchBudget, Size, batches, language_balanced};
///
/// let languages = ["en", "en", "en", "en", "en", "en", "de", "de"];
/// let sizes: Vec<Size> = (0..8).map(|k| Size { frames: 200 + 30 * k, labels: 20 }).collect();
/// let budget = BatchBudget { max_frames: 1200, max_cells: 10_000, max_utterances: 4 };
///
/// let epoch = language_balanced(&languages, f64::INFINITY, 7, 0)?;
/// assert_eq!(epoch.iter().filter(|&&utterance| languages[utterance] == "de").count(), 4);
/// let sizes: Vec<Size> = epoch.iter().map(|&utterance| sizes[utterance]).collect();
/// for batch in batches(&sizes, &budget, 7, 0)? {
///     let utterances: Vec<usize> = batch.iter().map(|&place| epoch[place]).collect();
///     assert!(utterances.iter().all(|&utterance| utterance < languages.len()));
/// }
/// # Ok::<(), sandhi_corpus::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Temperature`] below 1, where small languages would become smaller, and for NaN.
///
/// # Proved by
///
/// `balanced_shares_are_those_of_the_temperature`, `balanced_epoch_is_natural_at_temperature_one`,
/// `balanced_shares_are_equal_at_infinity`, `balanced_epochs_use_all_utterances_alike`,
/// `balanced_epoch_is_a_function_of_seed_and_epoch`, `balanced_epoch_goes_through_batches`,
/// `balanced_epoch_refuses_a_temperature_below_one`.
pub fn language_balanced(languages: &[&str], temperature: f64, seed: u64, epoch: u64) -> Result<Vec<usize>> {
    if temperature.is_nan() || temperature < 1.0 {
        return Err(Error::Temperature { got: temperature });
    }
    let mut own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (utterance, language) in languages.iter().enumerate() {
        own.entry(language).or_default().push(utterance);
    }
    let weights: Vec<f64> = own
        .values()
        .map(|utterances| (utterances.len() as f64).powf(temperature.recip()))
        .collect();
    let counts = apportion(languages.len(), &weights);
    let mut picked = Vec::with_capacity(languages.len());
    for ((language, mut utterances), count) in own.into_iter().zip(counts) {
        utterances.shuffle(&mut rng(seed, "language balance", language));
        // In 128 bits no epoch is too late.
        let start = (u128::from(epoch) * count as u128 % utterances.len() as u128) as usize;
        picked.extend(utterances.iter().cycle().skip(start).take(count));
    }
    picked.sort_unstable();
    Ok(picked)
}

/// Divides `total` in proportion to the weights: each part is rounded down, and what is left goes to those that lost
/// most.
fn apportion(total: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let quotas: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
    let mut counts: Vec<usize> = quotas.iter().map(|quota| quota.floor() as usize).collect();
    let left = total.saturating_sub(counts.iter().sum());
    let mut by_loss: Vec<usize> = (0..quotas.len()).collect();
    by_loss.sort_by(|&a, &b| quotas[b].fract().total_cmp(&quotas[a].fract()));
    by_loss.iter().take(left).for_each(|&index| counts[index] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BatchBudget, Size, batches};

    const NAMES: [&str; 4] = ["de", "en", "es", "fr"];

    /// The languages of a corpus with so many utterances of each, mixed.
    fn corpus(sizes: &[usize]) -> Vec<&'static str> {
        let most = sizes.iter().copied().max().unwrap_or(0);
        let rounds = (0..most).flat_map(|round| {
            let there = move |(_, size): &(&&'static str, &usize)| round < **size;
            NAMES
                .iter()
                .zip(sizes)
                .filter(there)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
        });
        rounds.collect()
    }

    fn count(languages: &[&str], epoch: &[usize], language: &str) -> usize {
        epoch
            .iter()
            .filter(|&&utterance| languages[utterance] == language)
            .count()
    }

    proptest! {
        #[test]
        fn balanced_shares_are_those_of_the_temperature(
            sizes in proptest::collection::vec(1usize..200, 1..=4), temperature in 1.0f64..20.0, epoch in 0u64..50,
        ) {
            let languages = corpus(&sizes);
            let picked = language_balanced(&languages, temperature, 3, epoch).unwrap();
            prop_assert_eq!(picked.len(), languages.len());
            let sum: f64 = sizes.iter().map(|&size| (size as f64).powf(1.0 / temperature)).sum();
            for (name, &size) in NAMES.iter().zip(&sizes) {
                let expected = languages.len() as f64 * (size as f64).powf(1.0 / temperature) / sum;
                let got = count(&languages, &picked, name) as f64;
                prop_assert!((got - expected).abs() < 1.0 + 1e-6, "{name}: {got}, expected {expected}");
            }
            let smallest = sizes.iter().copied().min().unwrap();
            for (name, _) in NAMES.iter().zip(&sizes).filter(|(_, size)| **size == smallest) {
                let own = |utterance: &usize| languages[*utterance] == *name;
                prop_assert!((0..languages.len()).filter(own).all(|utterance| picked.contains(&utterance)));
            }
        }

        #[test]
        fn balanced_epochs_use_all_utterances_alike(
            sizes in proptest::collection::vec(1usize..40, 1..=4), temperature in 1.0f64..20.0, epochs in 1u64..12,
        ) {
            let languages = corpus(&sizes);
            let mut times = vec![0usize; languages.len()];
            for epoch in 0..epochs {
                for utterance in language_balanced(&languages, temperature, 5, epoch).unwrap() {
                    times[utterance] += 1;
                }
            }
            for (name, _) in NAMES.iter().zip(&sizes) {
                let own = || times.iter().zip(&languages).filter(|(_, language)| *language == name);
                let (least, most) = (own().map(|it| it.0).min().unwrap(), own().map(|it| it.0).max().unwrap());
                prop_assert!(most - least <= 1, "{name}: from {least} to {most} times");
            }
        }
    }

    #[test]
    fn balanced_epoch_is_natural_at_temperature_one() {
        let languages = corpus(&[7, 301, 13, 29]);
        for epoch in 0..20 {
            let picked = language_balanced(&languages, 1.0, 1, epoch).unwrap();
            assert_eq!(picked, (0..350).collect::<Vec<_>>());
        }
        assert!(language_balanced(&[], 2.0, 1, 0).unwrap().is_empty());
    }

    #[test]
    fn balanced_shares_are_equal_at_infinity() {
        let languages = corpus(&[10, 300, 20, 70]);
        for temperature in [f64::INFINITY, 1e9] {
            let picked = language_balanced(&languages, temperature, 1, 4).unwrap();
            let counts = NAMES.map(|name| count(&languages, &picked, name));
            assert_eq!(counts, [100; 4]);
        }
    }

    #[test]
    fn balanced_epoch_is_a_function_of_seed_and_epoch() {
        let languages = corpus(&[10, 300]);
        let epoch = |seed, epoch| language_balanced(&languages, 5.0, seed, epoch).unwrap();
        assert_eq!(epoch(1, 0), epoch(1, 0));
        assert_ne!(epoch(1, 0), epoch(1, 1));
        assert_ne!(epoch(1, 0), epoch(2, 0));
        assert_eq!(epoch(1, u64::MAX).len(), 310);
    }

    #[test]
    fn balanced_epoch_goes_through_batches() {
        let languages = corpus(&[10, 90]);
        let epoch = language_balanced(&languages, f64::INFINITY, 1, 0).unwrap();
        let sizes: Vec<Size> = epoch
            .iter()
            .map(|&utterance| Size {
                frames: 200 + 5 * utterance,
                labels: 20,
            })
            .collect();
        let budget = BatchBudget {
            max_frames: 4000,
            max_cells: 100_000,
            max_utterances: 12,
        };
        let batches = batches(&sizes, &budget, 1, 0).unwrap();
        let mut picked: Vec<usize> = batches.iter().flatten().map(|&place| epoch[place]).collect();
        picked.sort_unstable();
        assert_eq!(picked, epoch);
    }

    #[test]
    fn balanced_epoch_refuses_a_temperature_below_one() {
        for got in [0.99, 0.0, -2.0, f64::NAN] {
            let error = language_balanced(&NAMES, got, 1, 0).unwrap_err();
            assert!(matches!(error, Error::Temperature { .. }), "{error}");
        }
    }
}

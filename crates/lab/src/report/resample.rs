use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sandhi_score::Interval;

/// Resamples of every interval, and the seed of their draws. Those of the scorer's command line.
pub(crate) const SAMPLES: usize = 1000;
pub(crate) const SEED: u64 = 0;

/// A statistic of [`SAMPLES`] resamples in which seeds and utterances are both drawn with replacement.
///
/// One seed fewer is drawn than there are, else the variance of a mean over few seeds would come out too small by
/// 1/seeds (Rao & Wu 1988, "Resampling inference with complex survey data"). The only one there is stands for itself.
pub(crate) fn resample(
    seed: u64,
    seeds: usize,
    utterances: usize,
    statistic: impl Fn(&[usize], &[usize]) -> f64,
) -> Vec<f64> {
    let sample = |sample| {
        // One stream per resample: no draw depends on how many came before it.
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(sample as u64);
        let drawn_seeds: Vec<usize> = (1..seeds.max(2)).map(|_| random.random_range(0..seeds)).collect();
        let drawn: Vec<usize> = (0..utterances)
            .map(|_| random.random_range(0..utterances))
            .collect();
        statistic(&drawn_seeds, &drawn)
    };
    (0..SAMPLES).map(sample).collect()
}

/// The interval of 95 % of a statistic's resamples, and the share of them that is positive; zero counts as half.
pub(crate) fn summary(mut values: Vec<f64>) -> (Interval, f64) {
    let won = |&value: &f64| match value > 0.0 {
        true => 1.0,
        false => f64::from(value == 0.0) / 2.0,
    };
    let won: f64 = values.iter().map(won).sum();
    values.sort_by(f64::total_cmp);
    let interval = Interval {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        low: percentile(&values, 0.025),
        high: percentile(&values, 0.975),
    };
    (interval, won / values.len() as f64)
}

/// Linear interpolation between the order statistics around a share of sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_over_seeds_have_the_variance_of_a_mean() {
        let values: [f64; 3] = [20.0, 23.0, 24.5];
        let (count, mean) = (
            values.len() as f64,
            values.iter().sum::<f64>() / values.len() as f64,
        );
        let unbiased = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let drawn = resample(SEED, values.len(), 1, |seeds, _| {
            seeds.iter().map(|&seed| values[seed]).sum::<f64>() / seeds.len() as f64
        });
        let spread = drawn.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        // A bootstrap that draws as many as there are would have two thirds of it.
        let ratio = spread / (unbiased / count);
        assert!((ratio - 1.0).abs() < 0.15, "{ratio}");
    }

    #[test]
    fn the_only_seed_is_drawn_in_every_resample() {
        let drawn = resample(SEED, 1, 4, |seeds, utterances| {
            assert_eq!((seeds, utterances.len()), (&[0][..], 4));
            utterances[0] as f64
        });
        assert!((0..4).all(|place| drawn.contains(&f64::from(place))));
    }

    #[test]
    fn summary_counts_ties_as_half() {
        let (interval, won) = summary(vec![1.0, 0.0, -1.0, 2.0]);
        assert_eq!((interval.mean, won), (0.5, 0.625));
        assert!((interval.low - -0.925).abs() < 1e-12 && (interval.high - 1.925).abs() < 1e-12);
    }
}

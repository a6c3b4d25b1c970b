//! Laws of upsampling and masking.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sandhi_text::{Error, MaskConfig, durations, mask_spans, repeat, repeat_random, upsample};

const MASK: u32 = 4;

/// Labels above the specials, so that a masked position can be told.
fn labels(longest: usize) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(5u32..40, 0..=longest)
}

fn masked(labels: &[u32], config: &MaskConfig, seed: u64) -> Vec<u32> {
    let mut masked = labels.to_vec();
    mask_spans(&mut masked, config, MASK, seed);
    masked
}

/// Lengths of the runs of masked positions.
fn runs(labels: &[u32]) -> Vec<usize> {
    labels
        .split(|&label| label != MASK)
        .map(<[u32]>::len)
        .filter(|&length| length > 0)
        .collect()
}

proptest! {
    #[test]
    fn upsample_has_the_sum_of_durations(pairs in prop::collection::vec((5u32..40, 0usize..6), 0..30)) {
        let (labels, durations): (Vec<u32>, Vec<usize>) = pairs.into_iter().unzip();
        let stretched = upsample(&labels, &durations);
        prop_assert_eq!(stretched.len(), durations.iter().sum::<usize>());
        let mut rest = &stretched[..];
        for (label, duration) in labels.iter().zip(durations) {
            let (piece, after) = rest.split_at(duration);
            prop_assert!(piece.iter().all(|l| l == label));
            rest = after;
        }
    }

    #[test]
    fn durations_add_up_to_the_frames(mut emissions in prop::collection::vec(0usize..30, 1..40)) {
        emissions.sort_unstable();
        let frames = emissions[emissions.len() - 1] + 1;
        let got = durations(&emissions, frames);
        prop_assert_eq!(got.len(), emissions.len());
        prop_assert_eq!(got.iter().sum::<usize>(), frames);
        let none = got.iter().filter(|&&n| n == 0).count();
        prop_assert_eq!(none, emissions.len().saturating_sub(frames));
    }

    #[test]
    fn durations_of_emissions_apart_are_their_distances(steps in prop::collection::vec(1usize..9, 1..30)) {
        // A last step for what follows the last emission.
        let emissions: Vec<usize> = steps.iter().scan(0, |t, n| { *t += n; Some(*t) }).collect();
        let (inner, frames) = emissions.split_at(emissions.len() - 1);
        let mut expected = steps[1..].to_vec();
        if let Some(first) = expected.first_mut() {
            // What is silent before the first label is its own.
            *first += steps[0];
        }
        prop_assert_eq!(durations(inner, frames[0]), expected);
    }

    #[test]
    fn repeat_is_upsample_by_a_constant(labels in labels(30), times in 0usize..5) {
        let repeated = repeat(&labels, times);
        prop_assert_eq!(repeated.len(), labels.len() * times);
        prop_assert_eq!(&repeated, &repeat_random(&labels, times..=times, 9));
        if times > 0 {
            prop_assert_eq!(repeated.into_iter().step_by(times).collect::<Vec<_>>(), labels);
        }
    }

    #[test]
    fn repeat_random_stays_in_range_and_order(length in 0u32..40, longest in 1usize..5, seed: u64) {
        let labels: Vec<u32> = (5..5 + length).collect();
        let stretched = repeat_random(&labels, 1..=longest, seed);
        prop_assert_eq!(&stretched, &repeat_random(&labels, 1..=longest, seed));
        for &label in &labels {
            let times = stretched.iter().filter(|&&l| l == label).count();
            prop_assert!((1..=longest).contains(&times));
        }
        prop_assert!(stretched.is_sorted());
    }

    #[test]
    fn mask_hides_the_configured_share(
        labels in labels(60), rate in 0.0f64..=1.0, span in 1usize..8, seed: u64,
    ) {
        let after = masked(&labels, &MaskConfig { rate, span }, seed);
        prop_assert_eq!(after.len(), labels.len());
        let hidden = after.iter().filter(|&&label| label == MASK).count();
        let expected = rate * labels.len() as f64;
        prop_assert!(hidden as f64 > expected - 1.0 && (hidden as f64) < expected + 1.0);
        prop_assert!(after.iter().zip(&labels).all(|(a, b)| a == b || *a == MASK));
    }

    #[test]
    fn mask_spans_have_the_configured_length(length in 20usize..80, span in 2usize..6, seed: u64) {
        let labels = vec![7; length];
        let runs = runs(&masked(&labels, &MaskConfig { rate: 0.3, span }, seed));
        // Neighbouring spans may touch, so a run is a sum of spans, of which one at most is short.
        let short = runs.iter().filter(|&&run| run % span != 0).count();
        prop_assert!(short <= 1, "{:?}", runs);
    }

    #[test]
    fn mask_is_a_function_of_its_seed(labels in labels(60), seed: u64) {
        let config = MaskConfig::default();
        prop_assert_eq!(masked(&labels, &config, seed), masked(&labels, &config, seed));
    }
}

#[test]
fn mask_reaches_every_position() {
    // 30 labels, 15 % in spans of 5: four or five positions. Over 4000 seeds every position must be hidden
    // about as often as any other away from the ends, and the mean share must be the rate.
    let labels = vec![7u32; 30];
    let mut hidden = [0usize; 30];
    for seed in 0..4000 {
        for (count, label) in hidden
            .iter_mut()
            .zip(masked(&labels, &MaskConfig::default(), seed))
        {
            *count += usize::from(label == MASK);
        }
    }
    let share = hidden.iter().sum::<usize>() as f64 / (30.0 * 4000.0);
    assert!((share - 0.15).abs() < 0.002, "mean share {share}");
    assert!(hidden.iter().all(|&count| count > 60), "{hidden:?}");
    let inner = &hidden[5..25];
    let (low, high) = (
        *inner.iter().min().unwrap() as f64,
        *inner.iter().max().unwrap() as f64,
    );
    assert!(high / low < 1.3, "{hidden:?}");
}

#[test]
fn mask_puts_the_short_span_anywhere() {
    // 7 of 28 positions in a span of 5 and one of 2: the short one must come first about as often as last.
    let labels = vec![7u32; 28];
    let (mut first, mut last) = (0usize, 0usize);
    for seed in 0..2000 {
        match runs(&masked(&labels, &MaskConfig { rate: 0.25, span: 5 }, seed))[..] {
            [2, 5] => first += 1,
            [5, 2] => last += 1,
            [7] => {}
            ref other => panic!("expected spans of 5 and 2, got {other:?}"),
        }
    }
    assert!(
        first + last > 1500 && first.abs_diff(last) < 200,
        "{first} first, {last} last"
    );
}

#[test]
fn mask_and_repetition_do_not_share_draws() {
    let labels = vec![7u32; 200];
    let seeds: Vec<Vec<u32>> = (0..3)
        .map(|seed| masked(&labels, &MaskConfig::default(), seed))
        .collect();
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2]);
    assert_ne!(
        repeat_random(&labels, 1..=3, 0).len(),
        repeat_random(&labels, 1..=3, 1).len()
    );
}

#[test]
fn repeat_random_draws_uniformly() {
    let labels: Vec<u32> = (0..6000).collect();
    let mut counts = [0usize; 3];
    let stretched = repeat_random(&labels, 1..=3, 11);
    for run in stretched.chunk_by(|a, b| a == b) {
        counts[run.len() - 1] += 1;
    }
    // 2000 expected each; four standard deviations are 146.
    assert!(
        counts.iter().all(|count| count.abs_diff(2000) < 146),
        "{counts:?}"
    );
}

#[test]
fn mask_config_names_what_is_out_of_range() {
    assert!(MaskConfig::default().check().is_ok());
    for (config, name) in [
        (MaskConfig { rate: 1.5, span: 5 }, "mask rate"),
        (
            MaskConfig {
                rate: f64::NAN,
                span: 5,
            },
            "mask rate",
        ),
        (MaskConfig { rate: 0.1, span: 0 }, "mask span"),
    ] {
        let error = config.check().unwrap_err();
        assert!(
            matches!(&error, Error::Config { what, .. } if *what == name),
            "{error:?}"
        );
    }
}

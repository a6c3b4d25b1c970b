//! Laws of the bootstrap.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sandhi_score::{Edits, Unit, bootstrap, error_rate, paired_bootstrap};

fn utterance(errors: usize, reference_len: usize) -> Edits {
    Edits {
        substitutions: errors,
        hits: reference_len - errors,
        reference_len,
        ..Edits::default()
    }
}

/// Utterances of ten words, each word wrong with the given probability.
fn system(seed: u64, utterances: usize, rate: f64) -> Vec<Edits> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..utterances)
        .map(|_| utterance((0..10).filter(|_| rng.random_bool(rate)).count(), 10))
        .collect()
}

#[test]
fn bootstrap_of_equal_utterances_is_a_point() {
    let interval = bootstrap(&[utterance(1, 4); 7], 200, 3);
    assert_eq!((interval.low, interval.mean, interval.high), (25.0, 25.0, 25.0));
    let nothing = bootstrap(&[], 10, 0);
    assert_eq!((nothing.low, nothing.mean, nothing.high), (0.0, 0.0, 0.0));
}

#[test]
fn bootstrap_is_a_function_of_its_seed() {
    let edits = system(1, 50, 0.3);
    assert_eq!(bootstrap(&edits, 300, 5), bootstrap(&edits, 300, 5));
    assert_ne!(bootstrap(&edits, 300, 5), bootstrap(&edits, 300, 6));
}

#[test]
fn bootstrap_surrounds_the_observed_rate() {
    for seed in 0..20 {
        let edits = system(seed, 80, 0.2);
        let (rate, interval) = (error_rate(Unit::Word, &edits).value, bootstrap(&edits, 500, seed));
        assert!(
            interval.low < rate && rate < interval.high,
            "{rate} outside {interval:?}"
        );
        // 800 independent words: the standard error is sqrt(.2 .8 / 800) = 1.41 points; 2 · 1.96 of them are
        // 5.5.
        let width = interval.high - interval.low;
        assert!((3.9..7.2).contains(&width), "width {width}");
    }
}

#[test]
fn bootstrap_covers_a_known_rate() {
    // 95 % intervals over 200 independent corpora: 190 expected, and 178 or fewer has a chance below 1 in
    // 1000, percentile intervals of 60 utterances being a little too narrow.
    let covered = (0..200)
        .filter(|&seed| {
            let interval = bootstrap(&system(1000 + seed, 60, 0.25), 300, seed);
            interval.low <= 25.0 && 25.0 <= interval.high
        })
        .count();
    assert!((176..200).contains(&covered), "covered {covered} of 200");
}

#[test]
fn paired_bootstrap_changes_sign_when_swapped() {
    let (good, bad) = (system(1, 60, 0.2), system(2, 60, 0.24));
    let (there, back) = (
        paired_bootstrap(&good, &bad, 400, 9),
        paired_bootstrap(&bad, &good, 400, 9),
    );
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(there.difference.mean, -back.difference.mean));
    assert!(close(there.difference.low, -back.difference.high));
    assert!(close(there.probability, 1.0 - back.probability));
}

#[test]
fn paired_bootstrap_of_a_system_with_itself_is_even() {
    let edits = system(4, 30, 0.3);
    let paired = paired_bootstrap(&edits, &edits, 100, 0);
    assert_eq!(
        (paired.difference.low, paired.difference.high, paired.probability),
        (0.0, 0.0, 0.5)
    );
}

#[test]
fn paired_bootstrap_is_narrower_than_unpaired() {
    // Utterances of very different difficulty, one system one word worse on every other utterance.
    let better: Vec<Edits> = (0..60).map(|i| utterance(i % 9, 10)).collect();
    let worse: Vec<Edits> = (0..60).map(|i| utterance(i % 9 + i % 2, 10)).collect();
    let paired = paired_bootstrap(&better, &worse, 1000, 0);
    assert_eq!(paired.probability, 1.0);
    assert!((paired.difference.mean - 5.0).abs() < 0.3);
    let alone = bootstrap(&better, 1000, 0);
    assert!(paired.difference.high - paired.difference.low < (alone.high - alone.low) / 2.0);
}

//! How each utterance of the multilingual corpus is spoken: by which of espeak-ng's voices, how fast, how high, how
//! loud.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::cut::Synthesis;
use crate::random::rng;
use crate::speaking::{HELD_OUT_SHARE, rounded};

/// The variants of espeak-ng's voices in train and dev, and in three quarters of the tests.
pub const SEEN_VARIANTS: [&str; 8] = ["f1", "f2", "f3", "f5", "m1", "m2", "m3", "m5"];

/// The variants that only the tests have: a woman's and a man's.
pub const HELD_OUT_VARIANTS: [&str; 2] = ["f4", "m4"];

/// Draws the speaker of an utterance in a language and how it is spoken: a function of these, the seed and the
/// utterance's id alone.
///
/// A speaker is a variant in a language, `de-f2`. The variants move the formants themselves, each its own way, so the
/// formant factor is 1; the pitch is on espeak-ng's scale, where 50 is the variant's own.
///
/// # Proved by
///
/// `variants_of_the_tests_alone_speak_a_quarter_of_them`, `variants_are_a_function_of_seed_and_id`.
pub fn speaking_variant(seed: u64, language: &str, id: &str, is_test: bool) -> (String, Synthesis) {
    let mut rng = rng(seed, "speaking variant", id);
    let held_out = is_test && rng.random_bool(HELD_OUT_SHARE);
    let variants: &[&str] = if held_out {
        &HELD_OUT_VARIANTS
    } else {
        &SEEN_VARIANTS
    };
    let variant = variants.choose(&mut rng).copied().unwrap_or(SEEN_VARIANTS[0]);
    let synthesis = Synthesis {
        voice: format!("{language}+{variant}"),
        formant: 1.0,
        stretch: rounded(rng.random_range(1.0..1.3), 1000.0),
        f0_mean: None,
        f0_stddev: None,
        pitch: Some(rng.random_range(35..=65)),
        peak_db: rounded(rng.random_range(-14.0..-2.0), 10.0),
    };
    (format!("{language}-{variant}"), synthesis)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn variants_of_the_tests_alone_speak_a_quarter_of_them() {
        let ids: Vec<String> = (0..2000).map(|index| format!("utterance-{index}")).collect();
        let held_out = |id: &&String, is_test| {
            let (speaker, _) = speaking_variant(1, "es", id, is_test);
            HELD_OUT_VARIANTS.iter().any(|variant| speaker.ends_with(variant))
        };
        assert!(!ids.iter().any(|id| held_out(&id, false)));
        let count = ids.iter().filter(|id| held_out(id, true)).count();
        assert!(
            (430..570).contains(&count),
            "{count} of 2000 by the held-out variants"
        );
        let speakers: BTreeSet<String> = ids
            .iter()
            .map(|id| speaking_variant(1, "es", id, false).0)
            .collect();
        assert_eq!(speakers.len(), SEEN_VARIANTS.len());
    }

    #[test]
    fn variants_are_a_function_of_seed_and_id() {
        assert_eq!(
            speaking_variant(1, "de", "a", false),
            speaking_variant(1, "de", "a", false)
        );
        assert_ne!(
            speaking_variant(1, "de", "a", false),
            speaking_variant(1, "de", "b", false)
        );
        assert_ne!(
            speaking_variant(1, "de", "a", false),
            speaking_variant(2, "de", "a", false)
        );
    }
}

//! How each utterance of the embedded corpus is spoken: by which speaker, how fast, how high, how loud.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::cut::Synthesis;
use crate::random::rng;

/// A synthetic speaker: a voice with its formants and its pitch moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speaker {
    /// The speaker's name in the manifest.
    pub name: &'static str,
    /// The synthesizer's voice.
    pub voice: &'static str,
    /// All formants times this factor.
    pub formant: f64,
    /// Mean fundamental frequency as heard, in Hz; none where the voice keeps its own.
    pub f0_mean: Option<f64>,
}

const fn speaker(name: &'static str, voice: &'static str, formant: f64, f0_mean: f64) -> Speaker {
    Speaker {
        name,
        voice,
        formant,
        f0_mean: Some(f0_mean),
    }
}

/// `rms` does not follow the pitch it is asked for; its speakers differ in formants, and in pitch with them.
const fn own_pitch(name: &'static str, voice: &'static str, formant: f64) -> Speaker {
    Speaker {
        name,
        voice,
        formant,
        f0_mean: None,
    }
}

/// The speakers of train and dev, and of three quarters of the tests.
pub const SEEN_SPEAKERS: [Speaker; 10] = [
    speaker("slt-1", "slt", 1.00, 175.0),
    speaker("slt-2", "slt", 1.06, 195.0),
    speaker("slt-3", "slt", 0.94, 155.0),
    speaker("slt-4", "slt", 1.11, 215.0),
    speaker("awb-1", "awb", 1.00, 130.0),
    speaker("awb-2", "awb", 0.93, 110.0),
    speaker("awb-3", "awb", 1.08, 155.0),
    speaker("kal-1", "kal16", 1.00, 110.0),
    speaker("kal-2", "kal16", 0.94, 100.0),
    speaker("kal-3", "kal16", 1.09, 140.0),
];

/// The speakers of the voice that only the tests have.
pub const HELD_OUT_SPEAKERS: [Speaker; 3] = [
    own_pitch("rms-1", "rms", 1.00),
    own_pitch("rms-2", "rms", 1.06),
    own_pitch("rms-3", "rms", 0.95),
];

/// The share of a test's utterances that the held-out voice speaks.
pub const HELD_OUT_SHARE: f64 = 0.25;

/// Draws the speaker of an utterance and how it is spoken: a function of the seed and the utterance's id alone.
pub fn speaking(seed: u64, id: &str, is_test: bool) -> (Speaker, Synthesis) {
    let mut rng = rng(seed, "speaking", id);
    let held_out = is_test && rng.random_bool(HELD_OUT_SHARE);
    let speakers: &[Speaker] = if held_out {
        &HELD_OUT_SPEAKERS
    } else {
        &SEEN_SPEAKERS
    };
    let speaker = speakers.choose(&mut rng).copied().unwrap_or(SEEN_SPEAKERS[0]);
    let (height, spread) = (rng.random_range(0.94..1.06), rng.random_range(0.08..0.18));
    let f0_mean = speaker.f0_mean.map(|mean| rounded(mean * height, 10.0));
    let synthesis = Synthesis {
        voice: speaker.voice.to_string(),
        formant: speaker.formant,
        stretch: rounded(rng.random_range(1.0..1.3), 1000.0),
        f0_mean,
        f0_stddev: f0_mean.map(|mean| rounded(mean * spread, 10.0)),
        pitch: None,
        peak_db: rounded(rng.random_range(-14.0..-2.0), 10.0),
    };
    (speaker, synthesis)
}

/// To so many steps in one: what the manifest says is what was asked for.
pub(crate) fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaking_holds_one_voice_out_of_training() {
        let ids: Vec<String> = (0..2000).map(|index| format!("utterance-{index}")).collect();
        assert!(ids.iter().all(|id| speaking(1, id, false).1.voice != "rms"));
        let held_out = ids
            .iter()
            .filter(|id| speaking(1, id, true).1.voice == "rms")
            .count();
        assert!(
            (430..570).contains(&held_out),
            "{held_out} of 2000 test utterances by the held-out voice"
        );
    }

    #[test]
    fn speaking_is_a_function_of_seed_and_id() {
        assert_eq!(speaking(1, "a", false), speaking(1, "a", false));
        assert_ne!(speaking(1, "a", false).1, speaking(1, "b", false).1);
        assert_ne!(speaking(1, "a", false).1, speaking(2, "a", false).1);
        let loudest = (0..500)
            .map(|index| speaking(3, &index.to_string(), false).1.peak_db)
            .fold(f64::MIN, f64::max);
        assert!(
            loudest <= -2.0,
            "a peak of {loudest} dB leaves no room for the coder"
        );
    }
}

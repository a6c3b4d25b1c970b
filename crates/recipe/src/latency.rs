//! How soon a word that was said can be read.

use std::ops::Range;

use anyhow::Result;
use sandhi_audio::FbankConfig;
use sandhi_score::alignment;
use sandhi_text::TextFrontend;
use sandhi_transducer::Hypothesis;

use crate::gold::{heard_by, words_of};
use crate::utterance::Utterance;

/// How much of the speech after a word has to be heard before a streaming recogniser has written it.
///
/// ```text
/// latency(word) = end of what the encoder frame of its last label sees, chunk and right context included, − end of the word
/// ```
///
/// It has in it that chunks have to fill up and that a transducer waits to be sure, but no time of computing. Of words that are
/// written as they were said; a word that is wrong is late by nothing that could be measured.
///
/// # Proved by
///
/// `latency_is_from_the_end_of_a_word_to_the_end_of_what_its_frame_sees`.
#[derive(Debug, Default)]
pub struct Latency {
    /// Seconds.
    late: Vec<f64>,
}

impl Latency {
    /// Adds the words of an utterance, of which frame `t` can be computed as soon as frame `sees(t)` is there. An utterance whose
    /// words have no times adds nothing.
    ///
    /// # Errors
    ///
    /// If a label is none of the front end's.
    pub fn add(
        &mut self,
        utterance: &Utterance,
        hypothesis: &Hypothesis,
        sees: impl Fn(usize) -> usize,
        fbank: &FbankConfig,
        frontend: &TextFrontend,
    ) -> Result<()> {
        let texts = |labels: &[u32], words: &[Range<usize>]| -> Result<Vec<String>> {
            let text = |word: &Range<usize>| Ok(frontend.decode(&labels[word.clone()])?);
            words.iter().map(text).collect()
        };
        let (said, written) = (
            words_of(&utterance.labels, frontend),
            words_of(&hypothesis.labels, frontend),
        );
        if said.len() != utterance.cut.words.len() {
            return Ok(());
        }
        let reference = texts(&utterance.labels, &said)?;
        let found = texts(&hypothesis.labels, &written)?;
        let (mut timed, mut places) = (utterance.cut.words.iter(), written.iter());
        for (reference, found) in alignment(&reference, &found) {
            let word = reference.and_then(|_| timed.next());
            let place = found.and_then(|_| places.next());
            if let (Some(word), Some(place)) = (word, place)
                && reference == found
            {
                let frame = sees(hypothesis.frames[place.end - 1]);
                // At the end of an utterance nothing more is waited for.
                let ready = heard_by(frame, fbank).min(utterance.cut.duration);
                self.late.push(ready - word.end);
            }
        }
        Ok(())
    }

    /// Milliseconds: the mean, and what half and nine tenths of the words are not later than. Nothing without words.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        let mut late: Vec<f64> = self.late.iter().map(|seconds| 1000.0 * seconds).collect();
        late.sort_by(f64::total_cmp);
        let quantile = |share: f64| late[((late.len() - 1) as f64 * share).round() as usize];
        match late.is_empty() {
            true => vec![],
            false => vec![
                ("mean_ms", late.iter().sum::<f64>() / late.len() as f64),
                ("median_ms", quantile(0.5)),
                ("p90_ms", quantile(0.9)),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use sandhi_corpus::Cut;

    use super::*;
    use crate::gold::tests::{interval, letters};

    #[test]
    fn latency_is_from_the_end_of_a_word_to_the_end_of_what_its_frame_sees() {
        let frontend = letters();
        let fbank = FbankConfig::kaldi();
        let utterance = Utterance {
            cut: Cut {
                words: vec![
                    interval("ab", 0.1, 0.2),
                    interval("ban", 0.3, 0.5),
                    interval("na", 0.5, 0.7),
                ],
                duration: 0.8,
                ..Cut::default()
            },
            text: "ab ban na".into(),
            labels: frontend.encode("ab ban na").unwrap(),
            input: vec![],
            features: vec![],
            speeds: vec![],
        };
        // The second word is wrong, and one is written that nobody said.
        let labels = frontend.encode("ab bab b na").unwrap();
        let frames = vec![2, 3, 4, 6, 6, 6, 7, 8, 9, 11, 17];
        let hypothesis = Hypothesis { labels, frames };
        let mut latency = Latency::default();
        let chunks_of_four = |t: usize| t / 4 * 4 + 3;
        latency
            .add(&utterance, &hypothesis, chunks_of_four, &fbank, &frontend)
            .unwrap();
        // Frame 3 sees feature frames 12 to 18, of which the last ends after 180 + 25 ms; frame 19 sees more than there is.
        let expected = [205.0 - 200.0, 800.0 - 700.0];
        let found: Vec<f64> = latency.late.iter().map(|seconds| 1000.0 * seconds).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9),
            "{found:?}"
        );
        let values: Vec<f64> = latency.values().into_iter().map(|(_, value)| value).collect();
        for (value, expected) in values.iter().zip([52.5, 100.0, 100.0]) {
            assert!((value - expected).abs() < 1e-9, "{values:?}");
        }
        assert_eq!(Latency::default().values(), []);
    }
}

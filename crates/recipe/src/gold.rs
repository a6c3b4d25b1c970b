//! Gold times as encoder frames and back.

use std::ops::Range;

use sandhi_audio::FbankConfig;
use sandhi_conformer::{RECEPTIVE_FIELD, STRIDE};
use sandhi_text::TextFrontend;

use crate::utterance::Utterance;

/// The middle of the feature frames that an encoder frame sees.
const MIDDLE: f64 = (RECEPTIVE_FIELD - 1) as f64 / 2.0;
/// What the front ends write between words: letters, phones.
const BETWEEN: [&str; 2] = [" ", "|"];
/// A pause among gold phones.
const PAUSE: &str = "pau";

/// Seconds from one encoder frame to the next.
pub fn frame_seconds(fbank: &FbankConfig) -> f64 {
    STRIDE as f64 * fbank.shift_ms / 1000.0
}

/// When an encoder frame is, in seconds: the middle of what it sees.
///
/// # Proved by
///
/// `gold_frames_follow_the_phones`.
pub fn seconds_of(frame: f64, fbank: &FbankConfig) -> f64 {
    frame * frame_seconds(fbank) + (MIDDLE * fbank.shift_ms + fbank.window_ms / 2.0) / 1000.0
}

/// How many seconds of speech an encoder frame needs: where what it sees ends.
///
/// # Proved by
///
/// `latency_is_from_the_end_of_a_word_to_the_end_of_what_its_frame_sees`.
pub fn heard_by(frame: usize, fbank: &FbankConfig) -> f64 {
    seconds_of(frame as f64, fbank) + MIDDLE * fbank.shift_ms / 1000.0 + fbank.window_ms / 2000.0
}

/// Which encoder frame of `frames` is nearest to a time in seconds.
fn frame_at(seconds: f64, fbank: &FbankConfig, frames: usize) -> usize {
    let frame = (seconds - seconds_of(0.0, fbank)) / frame_seconds(fbank);
    (frame.round().max(0.0) as usize).min(frames.saturating_sub(1))
}

/// The positions of every word.
pub(crate) fn words_of(labels: &[u32], frontend: &TextFrontend) -> Vec<Range<usize>> {
    let between = |label: &u32| {
        frontend
            .token(*label)
            .is_some_and(|token| BETWEEN.contains(&token))
    };
    let mut words = vec![];
    let mut start = 0;
    for word in labels.split(between) {
        if !word.is_empty() {
            words.push(start..start + word.len());
        }
        start += word.len() + 1;
    }
    words
}

/// The encoder frame at which each label of the text encoder's input was said, of `frames` that heard the utterance at this
/// speed; none where the corpus has no gold times for its words.
///
/// A label is in the middle of its phone where the word has as many phones as labels, and else in the middle of its share of the
/// word; what is between two words is where the first ends.
///
/// # Proved by
///
/// `gold_frames_follow_the_phones`.
pub fn gold_frames(
    utterance: &Utterance,
    frontend: &TextFrontend,
    fbank: &FbankConfig,
    speed: f64,
    frames: usize,
) -> Option<Vec<usize>> {
    let (labels, cut) = (&utterance.input, &utterance.cut);
    let words = words_of(labels, frontend);
    if words.is_empty() || words.len() != cut.words.len() {
        return None;
    }
    let at = |seconds: f64| frame_at(seconds / speed, fbank, frames);
    let mut found = vec![0; labels.len()];
    for (positions, word) in words.into_iter().zip(&cut.words) {
        let middle = |start: f64, end: f64| at((start + end) / 2.0);
        let inside = |time: f64| word.start - 1e-6 <= time && time <= word.end + 1e-6;
        let phones: Vec<_> = cut
            .phones
            .iter()
            .filter(|p| p.text != PAUSE && inside(p.start) && inside(p.end))
            .collect();
        let count = positions.len();
        let part = |i: usize| word.start + (word.end - word.start) * i as f64 / count as f64;
        for (i, position) in positions.clone().enumerate() {
            found[position] = match phones.len() == count {
                true => middle(phones[i].start, phones[i].end),
                false => middle(part(i), part(i + 1)),
            };
        }
        if let Some(between) = found.get_mut(positions.end) {
            *between = at(word.end);
        }
    }
    Some(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use sandhi_corpus::{Cut, Interval};
    use sandhi_text::{Graphemes, NormalizeConfig, Unknown};

    use super::*;

    pub(crate) fn interval(text: &str, start: f64, end: f64) -> Interval {
        Interval {
            text: text.into(),
            start,
            end,
        }
    }

    /// Of three letters.
    pub(crate) fn letters() -> TextFrontend {
        let graphemes = Graphemes::new(" abn".chars(), Unknown::Error).unwrap();
        TextFrontend::new(NormalizeConfig::default(), graphemes)
    }

    #[test]
    fn gold_frames_follow_the_phones() {
        let frontend = letters();
        let fbank = FbankConfig::kaldi();
        let utterance = Utterance {
            cut: Cut {
                words: vec![interval("ab", 0.2, 0.6), interval("ban", 0.8, 1.4)],
                // As many as letters in the first word, fewer in the second.
                phones: vec![
                    interval("pau", 0.0, 0.2),
                    interval("a", 0.2, 0.5),
                    interval("b", 0.5, 0.6),
                    interval("pau", 0.6, 0.8),
                    interval("b", 0.8, 1.0),
                    interval("n", 1.0, 1.4),
                ],
                ..Cut::default()
            },
            text: "ab ban".into(),
            labels: vec![],
            input: frontend.encode("ab ban").unwrap(),
            features: vec![],
            speeds: vec![],
        };
        let frames = gold_frames(&utterance, &frontend, &fbank, 1.0, 100).unwrap();
        let seconds = [0.35, 0.55, 0.6, 0.9, 1.1, 1.3];
        for (frame, seconds) in frames.iter().zip(seconds) {
            let error = (seconds_of(*frame as f64, &fbank) - seconds).abs();
            assert!(error <= 0.0201, "{frames:?}: frame {frame} for {seconds} s");
        }
        // Twice as fast, and never beyond the last frame.
        let fast = gold_frames(&utterance, &frontend, &fbank, 2.0, 10).unwrap();
        assert!((seconds_of(fast[0] as f64, &fbank) - 0.175).abs() <= 0.0201);
        assert_eq!(fast[5], 9);
        let unknown = Utterance {
            cut: Cut::default(),
            ..utterance
        };
        assert_eq!(gold_frames(&unknown, &frontend, &fbank, 1.0, 100), None);
    }
}

//! The alignment of one utterance, for the report to draw.

use anyhow::Result;
use sandhi_audio::FbankConfig;
use sandhi_core::{ArcScores, Labels, Padded};
use sandhi_corpus::Interval;
use sandhi_lab::Run;
use sandhi_lab::report::{Alignment, TimedWord};
use sandhi_text::TextFrontend;
use sandhi_transducer::{Hypothesis, label_posteriors};

use crate::gold::{frame_seconds, seconds_of};
use crate::utterance::{Utterance, single};

/// Leaves the posterior of every label at every frame for one utterance of middling length, over its features.
///
/// `hear` gives the arcs of the transcript and the hypothesis of a batch of one.
///
/// # Errors
///
/// Those of `hear`.
pub fn alignment_figure(
    utterances: &[Utterance],
    frontend: &TextFrontend,
    fbank: &FbankConfig,
    hear: impl FnOnce(&Padded, &Labels) -> Result<(ArcScores, Hypothesis)>,
    run: &Run,
) -> Result<()> {
    let Some(utterance) = representative(utterances) else {
        return Ok(());
    };
    let features = utterance.own();
    let labels = Labels::new(vec![utterance.labels.clone()], frontend.specials().blank)?;
    let (arcs, hypothesis) = hear(&single(features)?, &labels)?;
    let gamma = label_posteriors(&arcs)?;
    let token = |&label: &u32| frontend.token(label).unwrap_or("?").to_string();
    run.artifact(
        Alignment::FILE,
        &Alignment {
            id: utterance.cut.id.clone(),
            text: utterance.text.clone(),
            arm: run.arm().to_string(),
            tokens: utterance.labels.iter().map(token).collect(),
            frame_seconds: frame_seconds(fbank),
            first_frame_seconds: Some(seconds_of(0.0, fbank)),
            feature_frame_seconds: fbank.shift_ms / 1000.0,
            mel: features
                .values
                .chunks(features.num_bins)
                .map(<[f32]>::to_vec)
                .collect(),
            gamma: gamma.get(0)?.to_vec2::<f32>()?,
            words: timed_words(utterance),
            hypothesis: frontend.decode(&hypothesis.labels)?,
        },
    )?;
    Ok(())
}

/// The words of an utterance and when they were said, as figures want them; none where the corpus does not say it.
pub fn timed_words(utterance: &Utterance) -> Vec<TimedWord> {
    let word = |word: &Interval| TimedWord {
        text: word.text.clone(),
        start: word.start,
        end: word.end,
    };
    utterance.cut.words.iter().map(word).collect()
}

/// The utterance of median duration.
pub fn representative(utterances: &[Utterance]) -> Option<&Utterance> {
    let mut order: Vec<&Utterance> = utterances.iter().collect();
    order.sort_by(|a, b| {
        a.cut
            .duration
            .total_cmp(&b.cut.duration)
            .then(a.cut.id.cmp(&b.cut.id))
    });
    order.get(order.len() / 2).copied()
}

//! The alignment of one utterance, for the report to draw.

use anyhow::Result;
use sandhi_core::{ArcScores, Labels, Padded};
use sandhi_lab::Run;
use sandhi_lab::report::{Alignment, TimedWord};
use sandhi_text::TextFrontend;
use sandhi_transducer::{Hypothesis, label_posteriors};

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
    shift_ms: f64,
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
    let word = |w: &sandhi_corpus::Interval| TimedWord {
        text: w.text.clone(),
        start: w.start,
        end: w.end,
    };
    let shift = f64::from(shift_ms as f32) / 1000.0;
    run.artifact(
        Alignment::FILE,
        &Alignment {
            id: utterance.cut.id.clone(),
            text: utterance.text.clone(),
            arm: run.arm().to_string(),
            tokens: utterance.labels.iter().map(token).collect(),
            frame_seconds: 4.0 * shift,
            feature_frame_seconds: shift,
            mel: features
                .values
                .chunks(features.num_bins)
                .map(<[f32]>::to_vec)
                .collect(),
            gamma: gamma.get(0)?.to_vec2::<f32>()?,
            words: utterance.cut.words.iter().map(word).collect(),
            hypothesis: frontend.decode(&hypothesis.labels)?,
        },
    )?;
    Ok(())
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

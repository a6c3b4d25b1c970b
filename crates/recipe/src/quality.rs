//! What error rates do not show: whether the alignment is right, whether the two sides meet, whether they collapse.

use anyhow::Result;
use sandhi_audio::FbankConfig;
use sandhi_core::{ArcScores, Padded};
use sandhi_lab::Run;
use sandhi_text::TextFrontend;

use crate::cloud::{Cloud, retrieval};
use crate::decoding::{length_batches, padded};
use crate::timing::Timing;
use crate::utterance::Utterance;

/// What a network makes of a batch.
#[derive(Debug)]
pub struct Seen {
    /// Speech before it meets text, `[B, T, D]`.
    pub speech: Padded,
    /// Text before it meets speech, `[B, U, D]`, if the network reads text.
    pub text: Option<Padded>,
    /// The lattice of speech and transcript.
    pub arcs: ArcScores,
}

/// Looks at the encoders and at the alignment, and logs what it sees: phases `alignment` and `encoders`.
///
/// # Errors
///
/// Those of `see`.
pub fn look(
    utterances: &[Utterance],
    (fbank, frontend): (&FbankConfig, &TextFrontend),
    max_frames: usize,
    see: impl Fn(&Padded, &[&Utterance]) -> Result<Seen>,
    step: u64,
    run: &mut Run,
) -> Result<()> {
    let (mut timing, mut speech, mut text) = (Timing::default(), Cloud::default(), Cloud::default());
    let (mut speech_means, mut text_means) = (vec![], vec![]);
    for batch in length_batches(max_frames, utterances) {
        let members: Vec<&Utterance> = batch.iter().map(|&i| &utterances[i]).collect();
        let seen = see(&padded(&members)?, &members)?;
        timing.add(&members, &seen.arcs, fbank, frontend)?;
        speech_means.extend(speech.add(&seen.speech)?);
        if let Some(embeddings) = &seen.text {
            text_means.extend(text.add(embeddings)?);
        }
    }
    let values = timing.values();
    if !values.is_empty() {
        run.log(step, "alignment", &values)?;
    }
    let mut values = vec![
        ("speech_variance", speech.variance()),
        ("speech_rank", speech.effective_rank()),
    ];
    if !text_means.is_empty() {
        values.extend([
            ("text_variance", text.variance()),
            ("text_rank", text.effective_rank()),
            ("retrieval", retrieval(&speech_means, &text_means)),
        ]);
    }
    Ok(run.log(step, "encoders", &values)?)
}

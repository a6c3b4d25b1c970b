//! What error rates do not show: whether the alignment is right, whether the two sides meet, whether they collapse.

use std::collections::BTreeMap;

use anyhow::Result;
use sandhi_audio::FbankConfig;
use sandhi_core::{ArcScores, Padded};
use sandhi_lab::Run;
use sandhi_text::TextFrontend;

use crate::cloud::{Cloud, means_over_time, retrieval};
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
    /// Lattices of speech and transcript, each with the phase its emission times are logged in.
    pub arcs: Vec<(&'static str, ArcScores)>,
}

/// Looks at the encoders and at alignments, and logs what it sees: phase `encoders`, and those of the lattices.
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
    let mut timings: BTreeMap<&str, Timing> = BTreeMap::new();
    let (mut speech, mut text) = (Cloud::default(), Cloud::default());
    let (mut speech_means, mut text_means) = (vec![], vec![]);
    for batch in length_batches(max_frames, utterances) {
        let members: Vec<&Utterance> = batch.iter().map(|&i| &utterances[i]).collect();
        let seen = see(&padded(&members)?, &members)?;
        for (phase, arcs) in &seen.arcs {
            let timing = timings.entry(phase).or_default();
            timing.add(&members, arcs, fbank, frontend)?;
        }
        speech.add(&seen.speech)?;
        speech_means.extend(means_over_time(&seen.speech)?);
        if let Some(embeddings) = &seen.text {
            text.add(embeddings)?;
            text_means.extend(means_over_time(embeddings)?);
        }
    }
    for (phase, timing) in timings {
        let values = timing.values();
        if !values.is_empty() {
            run.log(step, phase, &values)?;
        }
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

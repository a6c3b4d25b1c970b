//! Decoding and scoring.

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use candle_core::Device;
use sandhi_core::{ArcScores, Labels, Padded};
use sandhi_lab::Run;
use sandhi_model::Decoder;
use sandhi_nn::Mode;
use sandhi_score::{Unit, error_rate, word_edits};
use sandhi_text::TextFrontend;
use sandhi_transducer::{Beam, Candidate, Emission, Greedy, Hypothesis, Normalize, joiner_arc_scores};

use crate::utterance::Utterance;

/// How hypotheses are found.
#[derive(Clone, Copy, Debug)]
pub struct Decoding {
    /// Labels a frame may emit.
    pub max_symbols: usize,
    /// Hypotheses that beam search keeps; without it decoding is greedy.
    pub beam: Option<NonZeroUsize>,
    /// How scores become probabilities.
    pub normalize: Normalize,
    /// Feature frames of a batch, padded.
    pub max_frames: usize,
}

impl Decoding {
    /// Greedy search as it is configured.
    pub fn greedy(&self) -> Greedy {
        Greedy {
            emission: Emission::UpTo(self.max_symbols),
            normalize: self.normalize,
        }
    }
}

/// The transducer lattice of encoded frames and labels, straight from the joiner's projections.
///
/// # Errors
///
/// Those of [`Decoder::join`] and [`joiner_arc_scores`].
pub fn lattice(
    decoder: &Decoder,
    encoded: &Padded,
    labels: &Labels,
    normalize: Normalize,
    mode: Mode,
) -> sandhi_core::Result<ArcScores> {
    let joint = decoder.join(encoded, labels, mode)?;
    joiner_arc_scores(
        &joint.speech,
        &joint.predicted,
        &joint.weight,
        &joint.bias,
        labels,
        encoded.lengths(),
        normalize,
    )
}

/// Encoded frames to hypotheses.
///
/// # Errors
///
/// Those of the searches.
pub fn recognise(decoder: &Decoder, encoded: &Padded, decoding: &Decoding) -> Result<Vec<Hypothesis>> {
    let steps = decoder.steps(encoded)?;
    let greedy = decoding.greedy();
    let Some(width) = decoding.beam else {
        return Ok(greedy.decode(&steps)?);
    };
    let beam = Beam {
        width: width.get(),
        emission: greedy.emission,
        normalize: greedy.normalize,
        ..Beam::default()
    };
    let best = |mut candidates: Vec<Candidate>| candidates.swap_remove(0).hypothesis;
    Ok(beam.decode(&steps)?.into_iter().map(best).collect())
}

/// The utterances in batches of like length, as indices.
pub fn length_batches(max_frames: usize, utterances: &[Utterance]) -> Vec<Vec<usize>> {
    let frames = |i: usize| utterances[i].own().num_frames;
    let mut order: Vec<usize> = (0..utterances.len()).collect();
    order.sort_by_key(|&i| frames(i));
    let mut batches: Vec<Vec<usize>> = vec![];
    for i in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * frames(i) <= max_frames => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

/// Features of utterances as they were spoken, as one batch.
pub fn padded(utterances: &[&Utterance]) -> Result<Padded> {
    let rows: Vec<Vec<f32>> = utterances.iter().map(|u| u.own().values.clone()).collect();
    let bins = utterances.first().map_or(0, |u| u.own().num_bins);
    Ok(Padded::from_rows(&rows, bins, &Device::Cpu)?)
}

/// The best hypotheses for utterances.
///
/// # Errors
///
/// Those of `recognise`, with the utterances they are about.
pub fn decode(
    utterances: &[Utterance],
    decoding: &Decoding,
    recognise: &dyn Fn(&Padded) -> Result<Vec<Hypothesis>>,
) -> Result<Vec<Hypothesis>> {
    let mut hypotheses = vec![Hypothesis::default(); utterances.len()];
    for batch in length_batches(decoding.max_frames, utterances) {
        let members: Vec<&Utterance> = batch.iter().map(|&i| &utterances[i]).collect();
        let decoded = recognise(&padded(&members)?)
            .with_context(|| format!("a batch of {} from utterance {}", batch.len(), members[0].cut.id))?;
        for (i, hypothesis) in batch.into_iter().zip(decoded) {
            hypotheses[i] = hypothesis;
        }
    }
    Ok(hypotheses)
}

/// Word error rate, in percent, of what `recognise` makes of features.
///
/// # Errors
///
/// Those of `recognise`, with the utterances they are about.
pub fn dev_error_rate(
    utterances: &[Utterance],
    frontend: &TextFrontend,
    decoding: &Decoding,
    recognise: &dyn Fn(&Padded) -> Result<Vec<Hypothesis>>,
) -> Result<f64> {
    let hypotheses = decode(utterances, decoding, recognise)?;
    let edits = utterances
        .iter()
        .zip(&hypotheses)
        .map(|(u, h)| Ok(word_edits(&u.text, &frontend.decode(&h.labels)?)));
    Ok(error_rate(Unit::Word, &edits.collect::<Result<Vec<_>>>()?).value)
}

/// Decodes a test set into the run directory, under a name of its own.
///
/// # Errors
///
/// Those of `recognise`, with the utterances they are about.
pub fn test(
    (name, utterances): (&str, &[Utterance]),
    frontend: &TextFrontend,
    decoding: &Decoding,
    recognise: &dyn Fn(&Padded) -> Result<Vec<Hypothesis>>,
    run: &mut Run,
) -> Result<()> {
    run.start_split(name)?;
    for (utterance, hypothesis) in utterances.iter().zip(decode(utterances, decoding, recognise)?) {
        let text = frontend.decode(&hypothesis.labels)?;
        run.utterance(name, &utterance.cut.id, &utterance.text, &text)?;
    }
    Ok(())
}

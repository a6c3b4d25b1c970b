//! Decoding, scoring, and what the report draws.

use anyhow::{Context, Result};
use candle_core::Device;
use sandhi_core::{Labels, Lengths, Padded};
use sandhi_lab::Run;
use sandhi_lab::report::{Alignment, TimedWord};
use sandhi_model::JointModel;
use sandhi_nn::Mode;
use sandhi_score::{Unit, error_rate, word_edits};
use sandhi_transducer::{Beam, Candidate, Emission, Greedy, Hypothesis, Normalize, label_posteriors};

use crate::config::Config;
use crate::data::{Data, Utterance};
use crate::objective::lattice;

/// The utterances in batches of like length, as indices.
pub(crate) fn batches(config: &Config, utterances: &[Utterance]) -> Vec<Vec<usize>> {
    let frames = |i: usize| utterances[i].features[0].num_frames;
    let mut order: Vec<usize> = (0..utterances.len()).collect();
    order.sort_by_key(|&i| frames(i));
    let mut batches: Vec<Vec<usize>> = vec![];
    for i in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * frames(i) <= config.budget.max_frames => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

/// The best hypotheses for utterances.
pub(crate) fn decode(
    config: &Config,
    model: &JointModel,
    utterances: &[Utterance],
) -> Result<Vec<Hypothesis>> {
    let mut hypotheses = vec![Hypothesis::default(); utterances.len()];
    for batch in batches(config, utterances) {
        let rows: Vec<Vec<f32>> = batch
            .iter()
            .map(|&i| utterances[i].features[0].values.clone())
            .collect();
        let padded = Padded::from_rows(&rows, config.fbank.num_bins, &Device::Cpu)?;
        let first = &utterances[batch[0]].cut.id;
        let decoded = recognise(config, model, &padded)
            .with_context(|| format!("a batch of {} from utterance {first}", batch.len()))?;
        for (i, hypothesis) in batch.into_iter().zip(decoded) {
            hypotheses[i] = hypothesis;
        }
    }
    Ok(hypotheses)
}

/// Features to hypotheses, without a graph.
pub(crate) fn recognise(config: &Config, model: &JointModel, features: &Padded) -> Result<Vec<Hypothesis>> {
    let speech = model.encode_speech(features, Mode::Eval)?.detach();
    let shared = model.share(&speech, Mode::Eval)?.detach();
    let steps = model.steps(&shared)?;
    let (emission, normalize) = (Emission::UpTo(config.max_symbols), Normalize::Softmax);
    let Some(width) = config.beam else {
        return Ok(Greedy { emission, normalize }.decode(&steps)?);
    };
    let beam = Beam {
        width: width.get(),
        emission,
        normalize,
        ..Beam::default()
    };
    let best = |mut candidates: Vec<Candidate>| candidates.swap_remove(0).hypothesis;
    Ok(beam.decode(&steps)?.into_iter().map(best).collect())
}

/// Word error rate on the dev set, in percent.
pub(crate) fn dev_error_rate(config: &Config, model: &JointModel, data: &Data) -> Result<f64> {
    let hypotheses = decode(config, model, &data.dev)?;
    let edits = data.dev.iter().zip(&hypotheses).map(|(u, h)| {
        let text = data.frontend.decode(&h.labels)?;
        Ok(word_edits(&u.text, &text))
    });
    Ok(error_rate(Unit::Word, &edits.collect::<Result<Vec<_>>>()?).value)
}

/// Decodes every test set into the run directory.
pub(crate) fn test(config: &Config, model: &JointModel, data: &Data, run: &mut Run) -> Result<()> {
    for (split, utterances) in &data.tests {
        run.start_split(split)?;
        for (utterance, hypothesis) in utterances.iter().zip(decode(config, model, utterances)?) {
            let text = data.frontend.decode(&hypothesis.labels)?;
            run.utterance(split, &utterance.cut.id, &utterance.text, &text)?;
        }
    }
    Ok(())
}

/// The posterior of every label at every frame for one test utterance of middling length, over its features.
pub(crate) fn alignment(config: &Config, model: &JointModel, data: &Data, run: &Run) -> Result<()> {
    let Some(utterance) = data
        .tests
        .first()
        .and_then(|(_, utterances)| representative(utterances))
    else {
        return Ok(());
    };
    let features = &utterance.features[0];
    let rows = [features.values.clone()];
    let padded = Padded::from_rows(&rows, features.num_bins, &Device::Cpu)?;
    let hypothesis = recognise(config, model, &padded)?.remove(0);
    let labels = Labels::new(vec![utterance.labels.clone()], model.blank())?;
    let shared = model.share(&model.encode_speech(&padded, Mode::Eval)?, Mode::Eval)?;
    let gamma = label_posteriors(&lattice(model, &shared, &labels, Mode::Eval)?)?;
    let token = |&label: &u32| data.frontend.token(label).unwrap_or("?").to_string();
    let word = |w: &sandhi_corpus::Interval| TimedWord {
        text: w.text.clone(),
        start: w.start,
        end: w.end,
    };
    let shift = f64::from(config.fbank.shift_ms as f32) / 1000.0;
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
            hypothesis: data.frontend.decode(&hypothesis.labels)?,
        },
    )?;
    Ok(())
}

/// The utterance of median duration.
fn representative(utterances: &[Utterance]) -> Option<&Utterance> {
    let mut order: Vec<&Utterance> = utterances.iter().collect();
    order.sort_by(|a, b| {
        a.cut
            .duration
            .total_cmp(&b.cut.duration)
            .then(a.cut.id.cmp(&b.cut.id))
    });
    order.get(order.len() / 2).copied()
}

/// Features of one waveform as a batch of one.
pub(crate) fn single(features: &sandhi_audio::Features) -> Result<Padded> {
    let shape = (1, features.num_frames, features.num_bins);
    let values = candle_core::Tensor::from_slice(&features.values, shape, &Device::Cpu)?;
    Ok(Padded::new(values, Lengths::new(vec![features.num_frames]))?)
}

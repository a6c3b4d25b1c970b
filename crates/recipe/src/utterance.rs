//! One utterance in memory: labels, and features at every speed.

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use sandhi_audio::{Fbank, Features, Waveform, speed};
use sandhi_conformer::{RECEPTIVE_FIELD, frames_after};
use sandhi_core::{Lengths, Padded};
use sandhi_corpus::Cut;
use sandhi_lattice::Ctc;

use crate::data::Frontends;

/// One utterance, ready to train on or to score.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// What the corpus says of it.
    pub cut: Cut,
    /// The transcript as the front end sees it.
    pub text: String,
    /// The transcript as the decoder writes it.
    pub labels: Vec<u32>,
    /// The transcript as the text encoder is told it.
    pub input: Vec<u32>,
    /// Normalised features, one per speed.
    pub features: Vec<Features>,
    /// How many times as fast as it was spoken each of these is.
    pub speeds: Vec<f64>,
}

/// Log-mel features, normalised as the front ends say.
///
/// # Errors
///
/// If the waveform is shorter than what an encoder frame sees; those of [`Fbank::compute`].
pub fn features(waveform: &Waveform, fbank: &Fbank, frontends: &Frontends) -> Result<Features> {
    let mut features = raw_features(waveform, fbank)?;
    frontends.normalize(&mut features)?;
    Ok(features)
}

fn raw_features(waveform: &Waveform, fbank: &Fbank) -> Result<Features> {
    let features = fbank.compute(waveform)?;
    // Here the file or the utterance is known; in a batch it would only be a number.
    if features.num_frames < RECEPTIVE_FIELD {
        let (frames, seconds) = (features.num_frames, waveform.duration());
        bail!(
            "{seconds:.3} s give {frames} feature frames, but the encoder needs at least {RECEPTIVE_FIELD}"
        );
    }
    Ok(features)
}

/// Features of one waveform as a batch of one.
///
/// # Errors
///
/// If the features do not fill their frames.
pub fn single(features: &Features) -> Result<Padded> {
    let shape = (1, features.num_frames, features.num_bins);
    let values = Tensor::from_slice(&features.values, shape, &Device::Cpu)?;
    Ok(Padded::new(values, Lengths::new(vec![features.num_frames]))?)
}

impl Utterance {
    /// The features as it was spoken, or at the speed nearest to that.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn own(&self) -> &Features {
        let far = |i: usize| (self.speeds[i] - 1.0).abs();
        let nearer = |best, i| if far(i) < far(best) { i } else { best };
        &self.features[(1..self.speeds.len()).fold(0, nearer)]
    }

    /// With features as they come from the filterbank.
    pub(crate) fn read(
        cut: Cut,
        several_languages: bool,
        speeds: &[f64],
        fbank: &Fbank,
        frontends: &Frontends,
    ) -> Result<Self> {
        let id = cut.id.clone();
        let make = || -> Result<Self> {
            let mut waveform = Waveform::read_at(&cut.audio, fbank.config().sample_rate)?;
            let start = (cut.start * f64::from(waveform.sample_rate)).round() as usize;
            if start > 0 || (cut.num_samples as usize) < waveform.samples.len() {
                let end = (start + cut.num_samples as usize).min(waveform.samples.len());
                waveform.samples = waveform.samples[start.min(end)..end].to_vec();
            }
            let at = |&factor: &f64| raw_features(&speed(&waveform, factor)?, fbank);
            Ok(Self {
                text: frontends.labels.normalize(&cut.text),
                labels: frontends.labels.encode(&cut.text)?,
                input: frontends.encode_input(&cut.text, several_languages.then_some(&cut.language))?,
                features: speeds.iter().map(at).collect::<Result<_>>()?,
                speeds: speeds.to_vec(),
                cut,
            })
        };
        make().with_context(|| format!("utterance {id}"))
    }

    /// CTC reads one label a frame at most: found out here, where the utterance has a name, not hours into the training.
    pub(crate) fn check_ctc(&self) -> Result<()> {
        let needed = Ctc::new(0, &self.labels).shortest();
        for (features, speed) in self.features.iter().zip(&self.speeds) {
            let frames = frames_after(features.num_frames);
            if frames < needed {
                bail!(
                    "utterance {}: at speed {speed} it has {frames} encoder frames, but CTC needs {needed} for its labels; \
                     set lambda_ctc=0 or slower speeds",
                    self.cut.id
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_features_are_those_of_the_nearest_speed() {
        let of = |speeds: &[f64]| {
            let features = speeds.iter().map(|&speed| Features {
                values: vec![],
                num_frames: (100.0 / speed) as usize,
                num_bins: 80,
            });
            let utterance = Utterance {
                cut: Cut::default(),
                text: String::new(),
                labels: vec![],
                input: vec![],
                features: features.collect(),
                speeds: speeds.to_vec(),
            };
            utterance.own().num_frames
        };
        assert_eq!(of(&[0.9, 1.0, 1.1]), 100);
        assert_eq!(of(&[1.0]), 100);
        assert_eq!(of(&[0.5, 0.8]), 125);
    }
}

//! How text is brought to the rate of speech, if it is: the methods that ASTRA does without.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use sandhi_core::{ArcScores, Labels, Padded, Result};
use sandhi_model::{JointModel, LabelDurations, Resampler, whole};
use sandhi_nn::random::subkey;
use sandhi_nn::{Mode, Params};
use sandhi_text::{durations, upsample};
use sandhi_transducer::viterbi;

use crate::config::{Config, Upsampling};

/// Frames a label may last at most: two seconds.
const LONGEST: usize = 50;

/// From labels to text embeddings at the rate the arm wants.
pub(crate) enum Upsampler {
    /// Each label a number of times from this range, drawn anew for every sentence and step.
    Repeated { least: usize, most: usize },
    /// Durations from a Gaussian for each label; they follow the transducer's best alignments.
    Gaussian(LabelDurations),
    /// Durations predicted from the embeddings, which are then resampled and refined.
    Resampled(Resampler),
}

/// Text embeddings of transcripts, and what it costs to predict how long their labels last.
pub(crate) struct Upsampled {
    pub(crate) text: Padded,
    /// `[B]`, where durations are learned.
    pub(crate) duration_loss: Option<candle_core::Tensor>,
}

impl Upsampler {
    pub(crate) fn new(config: &Config, vocabulary: usize, params: &Params) -> Result<Self> {
        let repeated = |least, most| Self::Repeated { least, most };
        Ok(match config.upsampling {
            Upsampling::None => repeated(1, 1),
            Upsampling::Fixed => repeated(config.repeat, config.repeat),
            Upsampling::Random => repeated(1, 2 * config.repeat - 1),
            Upsampling::Gaussian => {
                Self::Gaussian(LabelDurations::new(vocabulary, &params.scope("durations"))?)
            }
            Upsampling::Learned => {
                let scope = params.scope("resampler");
                Self::Resampled(Resampler::new(
                    &config.model.block,
                    config.refiner_blocks,
                    &scope,
                )?)
            }
        })
    }

    /// The embeddings of transcripts whose speech has these arcs.
    pub(crate) fn paired(
        &self,
        model: &JointModel,
        transcript: &Labels,
        arcs: &ArcScores,
        mode: Mode,
    ) -> Result<Upsampled> {
        let aligned = || -> Result<Vec<Vec<usize>>> {
            let best = viterbi(arcs)?.into_iter().enumerate();
            Ok(best
                .map(|(b, path)| durations(&path.frames, arcs.frames().get(b)))
                .collect())
        };
        Ok(match self {
            Self::Repeated { .. } => Upsampled {
                text: self.unpaired(model, transcript, transcript, mode)?,
                duration_loss: None,
            },
            Self::Gaussian(table) => {
                let durations = aligned()?;
                Upsampled {
                    text: model.encode_text(&stretched(transcript, &durations)?, mode)?,
                    duration_loss: Some(table.loss(transcript, &durations)?),
                }
            }
            Self::Resampled(resampler) => {
                let (durations, text) = (aligned()?, model.encode_text(transcript, mode)?);
                // Durations are read off the embeddings as they are; they do not shape them.
                let loss = resampler
                    .durations()
                    .loss(&text.detach(), transcript, &durations)?;
                Upsampled {
                    text: resampler.resample(&text, &durations, mode)?,
                    duration_loss: Some(loss),
                }
            }
        })
    }

    /// The embeddings of sentences that nobody spoke: their labels, and what of them the encoder is shown.
    pub(crate) fn unpaired(
        &self,
        model: &JointModel,
        text: &Labels,
        shown: &Labels,
        mode: Mode,
    ) -> Result<Padded> {
        let drawn = |draw: &dyn Fn(u32, &mut ChaCha8Rng) -> usize| -> Vec<Vec<usize>> {
            let key = mode.key("durations").unwrap_or(0);
            let row = |row: &Vec<u32>| {
                // By what the sentence is, not by where it stands: a batch can be taken apart.
                let key = row.iter().fold(key, |key, &label| subkey(key, u64::from(label)));
                let mut rng = ChaCha8Rng::seed_from_u64(key);
                row.iter().map(|&label| draw(label, &mut rng)).collect()
            };
            text.rows().iter().map(row).collect()
        };
        match self {
            Self::Repeated { least: 1, most: 1 } => model.encode_text(shown, mode),
            Self::Repeated { least, most } => {
                let durations = drawn(&|_, rng| rng.random_range(*least..=*most));
                model.encode_text(&stretched(shown, &durations)?, mode)
            }
            Self::Gaussian(table) => {
                let gaussians = table.gaussians()?;
                let durations = drawn(&|label, rng| {
                    let (mean, deviation) = gaussians[label as usize];
                    // A deviation that is not finite is that of weights the trainer is about to refuse.
                    Normal::new(mean, deviation).map_or(1, |normal| whole(normal.sample(rng), LONGEST))
                });
                model.encode_text(&stretched(shown, &durations)?, mode)
            }
            Self::Resampled(resampler) => {
                let text = model.encode_text(shown, mode)?;
                let durations = resampler.durations().durations(&text, LONGEST)?;
                resampler.resample(&text, &durations, mode)
            }
        }
    }
}

/// Each label as often as its duration says.
fn stretched(labels: &Labels, durations: &[Vec<usize>]) -> Result<Labels> {
    let rows = labels.rows().iter().zip(durations);
    Labels::new(
        rows.map(|(row, durations)| upsample(row, durations)).collect(),
        labels.blank(),
    )
}

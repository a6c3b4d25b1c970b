//! Every number of the experiment, and the only place that branches on the scale.

use std::num::NonZeroUsize;

use anyhow::{Result, ensure};
use sandhi_audio::{FbankConfig, SpecAugmentConfig};
use sandhi_bestrq::QuantizerConfig;
use sandhi_conformer::ConformerConfig;
use sandhi_core::Distance;
use sandhi_lab::{Scale, Setting};
use sandhi_model::JointConfig;
use sandhi_nn::AttentionContext;
use sandhi_recipe::defaults::{self, BUDGET};
use sandhi_recipe::{Budget, DataOptions, Decoding, Normalization, Paired, Sizes, TextInput, Unseen};
use sandhi_text::MaskConfig;
use sandhi_train::{Schedule, TrainerConfig};
use sandhi_transducer::Normalize;
use serde::{Deserialize, Serialize};

/// Which alignment the consistency loss runs along.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Matching {
    /// No consistency loss.
    Off,
    /// Frame by frame against text at the rate of speech; see [`Upsampling`].
    Upsampled,
    /// Along the cheapest monotonic alignment (Peyser et al.).
    BestAlignment,
    /// Expected over the transducer's alignments, gradient reaching them (ASTRA).
    Learned,
    /// The same with the alignments held.
    Held,
    /// −ln E exp(−D), the quantity the expected cost bounds.
    Soft,
    /// Expected over the alignments of the auxiliary CTC, gradient reaching them.
    Ctc,
    /// The soft minimum over the warpings of classic dynamic time warping.
    SoftDtw,
    /// Carried from frames to labels by an entropic transport plan, in whatever order.
    Transport,
    /// The mean of the frames against the mean of the labels.
    FrameAverage,
}

/// How text is brought to the rate of speech before the encoders meet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Upsampling {
    /// It is not: one position per label.
    None,
    /// Each label `repeat` times (JOIST).
    Fixed,
    /// Each label a number of times drawn uniformly from 1 to `2 repeat − 1` (JOIST).
    Random,
    /// Each label for a duration drawn from its own Gaussian, learned from the transducer's best alignments.
    Gaussian,
    /// Durations predicted from the context, learned likewise; embeddings resampled and refined (MAESTRO).
    Learned,
}

impl Upsampling {
    /// About how many positions the text encoder gives the shared encoder for a label: for predicting memory.
    fn positions(self, repeat: usize) -> usize {
        match self {
            Self::None => 1,
            Self::Fixed | Self::Random => repeat,
            // Longer than speech has it, as a mean over sentences.
            Self::Gaussian | Self::Learned => 4,
        }
    }
}

/// The pointwise distance by name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Mean absolute error.
    Mae,
    /// Mean squared error.
    Mse,
    /// Huber with δ = 1.
    Huber,
    /// One minus the cosine.
    Cosine,
}

impl Metric {
    pub(crate) fn distance(self) -> Distance {
        match self {
            Self::Mae => Distance::L1,
            Self::Mse => Distance::SquaredL2,
            Self::Huber => Distance::Huber { delta: 1.0 },
            Self::Cosine => Distance::Cosine,
        }
    }
}

/// BEST-RQ on speech alone, before the training proper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pretraining {
    pub(crate) steps: u64,
    /// The highest learning rate; its schedule has the phases of the training's.
    pub(crate) peak: f64,
    /// What is predicted.
    pub(crate) quantizer: QuantizerConfig,
    /// What is hidden.
    pub(crate) mask: sandhi_bestrq::MaskConfig,
}

impl Pretraining {
    /// At a scale; the arms that pre-train take it from here.
    pub(crate) fn at(scale: Scale) -> Self {
        let (steps, codebooks, codebook_size) = match scale {
            Scale::Smoke => (20, 1, 32),
            // DEPARTURE: an hour of speech has 90,000 frames, too few for the 8192 codes of the paper.
            Scale::Mini => (2000, 4, 256),
            // As USM has it.
            Scale::Paper => (100_000, 16, 8192),
        };
        Self {
            steps,
            peak: 1e-3,
            quantizer: QuantizerConfig {
                num_codebooks: codebooks,
                codebook_size,
                ..QuantizerConfig::paper(FbankConfig::kaldi().num_bins)
            },
            mask: sandhi_bestrq::MaskConfig::PAPER,
        }
    }

    /// The training's settings, for these steps and this rate.
    pub(crate) fn trainer(&self, config: &Config) -> TrainerConfig {
        let steps = self.steps;
        TrainerConfig {
            steps,
            accumulate: 1,
            ema_decay: None,
            validate_every: (steps / 4).max(1),
            schedule: Schedule::WarmupHoldDecay {
                peak: self.peak,
                warmup: 0.1,
                hold: 0.4,
                floor: self.peak / 50.0,
            },
            ..config.trainer.clone()
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde asks for.
fn is_false(value: &bool) -> bool {
    !value
}

/// One arm, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Which paired utterances train.
    pub(crate) paired: Paired,
    /// Of these only the first that fill so many minutes, those of the low-resource subset before all others.
    pub(crate) paired_minutes: Option<f64>,
    /// At most this many utterances of each split; 0 means all.
    pub(crate) limit: usize,
    /// At most this many unpaired sentences: of the corpus' grammar, or the transcripts left unpaired where it has none.
    pub(crate) unpaired_sentences: usize,
    /// Unpaired sentences per step; 0 injects no text.
    pub(crate) text_batch: usize,
    /// λ of the auxiliary CTC loss on paired speech; 0 for none.
    pub(crate) lambda_ctc: f64,
    /// λ of the text-only loss (E3).
    pub(crate) lambda_text: f64,
    /// λ of the consistency loss (E2).
    pub(crate) lambda_match: f64,
    /// λ of the loss that teaches durations, where they are learned.
    pub(crate) lambda_duration: f64,
    /// The consistency loss starts at zero and reaches its λ after this share of the steps.
    pub(crate) match_warmup: f64,
    /// Along which alignment.
    pub(crate) matching: Matching,
    /// By which distance.
    pub(crate) metric: Metric,
    /// After how many blocks of the shared encoder; 0 for the outputs of the speech and the text encoder.
    pub(crate) match_level: usize,
    /// Whether the consistency of an utterance is divided by its number of labels.
    pub(crate) per_label: bool,
    /// Whether every embedding is brought to mean 0 and variance 1 before it is compared, so that nothing is won by making
    /// all of them small.
    // A configuration from before the field was there keeps its text, and with it its hash.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) standardize: bool,
    /// What softens the warpings or the transport plan, in the unit of the distance.
    pub(crate) temperature: f64,
    /// How text is upsampled.
    pub(crate) upsampling: Upsampling,
    /// Text positions per label, where they are fixed or drawn uniformly.
    pub(crate) repeat: usize,
    /// Blocks that refine text after it is resampled by learned durations.
    pub(crate) refiner_blocks: usize,
    /// Speeds at which a training utterance may be heard; one is drawn per epoch.
    pub(crate) speeds: Vec<f64>,
    /// Labels a frame may emit in decoding.
    pub(crate) max_symbols: usize,
    /// Hypotheses that beam search keeps; without it decoding is greedy.
    pub(crate) beam: Option<NonZeroUsize>,
    /// Paired batches.
    pub(crate) budget: Budget,
    /// Features.
    pub(crate) fbank: FbankConfig,
    /// Masks over the features.
    pub(crate) augment: SpecAugmentConfig,
    /// Masks over the text-only input.
    pub(crate) mask: MaskConfig,
    /// Whether the speech path is trained on speech alone first.
    pub(crate) pretraining: Option<Pretraining>,
    /// The network.
    pub(crate) model: JointConfig,
    /// The optimizer and the loop.
    pub(crate) trainer: TrainerConfig,
}

impl Config {
    /// The full ASTRA arm at a setting; the other arms are struct updates of it.
    pub(crate) fn at(setting: &Setting) -> Self {
        let (steps, peak) = match setting.scale {
            Scale::Smoke => (40, 2e-3),
            Scale::Mini => (3200, 2e-3),
            Scale::Paper => (100_000, 1e-3),
        };
        let smoke = setting.scale == Scale::Smoke;
        Self {
            paired: Paired::LowResource,
            paired_minutes: None,
            limit: if smoke { 24 } else { 0 },
            // Ten times the paired sentences of the mini corpus.
            unpaired_sentences: if smoke { 200 } else { 4840 },
            text_batch: if smoke { 4 } else { 6 },
            lambda_ctc: 0.5,
            lambda_text: 1.0,
            lambda_match: 3.0,
            lambda_duration: 1.0,
            match_warmup: 0.2,
            matching: Matching::Learned,
            metric: Metric::Mae,
            match_level: 0,
            per_label: true,
            standardize: false,
            temperature: 0.1,
            upsampling: Upsampling::None,
            repeat: 2,
            refiner_blocks: if setting.scale == Scale::Paper { 2 } else { 1 },
            speeds: if smoke { vec![1.0] } else { vec![0.9, 1.0, 1.1] },
            max_symbols: 4,
            beam: None,
            budget: BUDGET,
            fbank: FbankConfig::kaldi(),
            augment: defaults::augment(),
            mask: MaskConfig { rate: 0.15, span: 2 },
            pretraining: None,
            model: Self::model(setting.scale),
            trainer: defaults::trainer(smoke, steps, peak),
        }
    }

    /// The paper gives blocks and LSTM layers; its widths are unknown. DEPARTURE: at scale paper the widths are those
    /// of a Conformer of about 120 M parameters, not the 600 M that ASTRA presumably inherits from MAESTRO.
    fn model(scale: Scale) -> JointConfig {
        let block = |dim, heads, kernel| ConformerConfig {
            dim,
            heads,
            kernel,
            feed_forward: 4 * dim,
            dropout: 0.1,
            recompute: false,
            context: AttentionContext::Full,
        };
        let sizes = |block: ConformerConfig, channels, speech_blocks, shared_blocks, text_blocks, width| {
            JointConfig {
                num_bins: 80,
                channels,
                block,
                speech_blocks,
                shared_blocks,
                text_blocks,
                predictor_dim: width,
                predictor_layers: 2,
                joiner_dim: width,
            }
        };
        match scale {
            Scale::Smoke => sizes(block(64, 2, 7), 8, 1, 1, 1, 64),
            Scale::Mini => sizes(block(128, 4, 15), 32, 2, 2, 1, 128),
            Scale::Paper => sizes(block(512, 8, 15), 128, 6, 18, 4, 640),
        }
    }

    /// Refuses values that no training can honour and that nobody else looks at.
    pub(crate) fn check(&self) -> Result<()> {
        let levels = self.model.shared_blocks;
        ensure!(
            self.match_level <= levels,
            "match_level: expected 0 to {levels}, the blocks of the shared encoder, got {}",
            self.match_level
        );
        ensure!(self.repeat > 0, "repeat: expected 1 or more, got 0");
        let minutes = self.paired_minutes.unwrap_or(1.0);
        ensure!(
            minutes > 0.0,
            "paired_minutes: expected more than 0, got {minutes}"
        );
        ensure!(
            self.matching != Matching::Ctc || self.lambda_ctc > 0.0,
            "matching: ctc needs the auxiliary CTC, but lambda_ctc is 0"
        );
        Ok(())
    }

    /// What of it is about data.
    pub(crate) fn data(&self) -> DataOptions {
        DataOptions {
            paired: self.paired,
            paired_minutes: self.paired_minutes,
            unseen: Unseen::Nothing,
            limit: self.limit,
            unpaired_sentences: self.unpaired_sentences,
            text_batch: self.text_batch,
            language_temperature: None,
            input: TextInput::Labels,
            mask: self.mask,
            mask_transcripts: false,
            speeds: self.speeds.clone(),
            fbank: self.fbank.clone(),
            normalization: Normalization::Utterance,
            augment: self.augment.clone(),
            budget: self.budget,
            accumulate: self.trainer.accumulate,
            ctc: self.lambda_ctc > 0.0,
            all_speech: self.pretraining.is_some(),
        }
    }

    /// What of it is about decoding.
    pub(crate) fn decoding(&self) -> Decoding {
        Decoding {
            max_symbols: self.max_symbols,
            beam: self.beam,
            normalize: Normalize::Softmax,
            max_frames: self.budget.max_frames,
        }
    }

    /// What of it decides how much memory a batch needs.
    pub(crate) fn sizes(&self, parameters: usize) -> Sizes {
        let model = &self.model;
        Sizes {
            parameters,
            block: model.block.clone(),
            channels: model.channels,
            num_bins: model.num_bins,
            speech_blocks: model.speech_blocks + model.shared_blocks,
            text_blocks: model.text_blocks + model.shared_blocks,
            transcript_blocks: model.text_blocks + self.match_level,
            positions: self.upsampling.positions(self.repeat),
            lattices: 1,
        }
    }

    /// About how long a run takes on one core of a current server: measured at scale mini, where a step costs this much for
    /// paired speech, text and consistency.
    pub(crate) fn expected_seconds(&self, scale: Scale) -> Option<f64> {
        let speech = 0.078;
        let text = 0.0035 * self.text_batch as f64;
        let matched = match (self.matching, self.upsampling) {
            (Matching::Off, _) => 0.0,
            (_, Upsampling::None) => 0.005,
            // The shared encoder sees text as long as speech.
            _ => 0.025,
        };
        let pretraining = self.pretraining.as_ref().map_or(0.0, |p| 0.06 * p.steps as f64);
        match scale {
            Scale::Smoke => Some(4.0),
            Scale::Mini => Some(self.trainer.steps as f64 * (speech + text + matched) + pretraining),
            // Nobody has waited for it.
            Scale::Paper => None,
        }
    }

    /// Whether any loss needs the text encoder.
    pub(crate) fn uses_text(&self) -> bool {
        self.text_batch > 0 || self.matching != Matching::Off
    }
}

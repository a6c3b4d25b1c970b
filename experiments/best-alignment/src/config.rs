//! Every number of the experiment, and the only place that branches on the scale.

use std::num::NonZeroUsize;

use anyhow::{Result, ensure};
use sandhi_audio::{FbankConfig, SpecAugmentConfig};
use sandhi_conformer::ConformerConfig;
use sandhi_core::Distance;
use sandhi_lab::{Scale, Setting};
use sandhi_model::CascadeConfig;
use sandhi_nn::AttentionContext;
use sandhi_recipe::defaults::{self, BUDGET};
use sandhi_recipe::{Budget, DataOptions, Decoding, Normalization, Paired, Sizes, TextInput, Unseen};
use sandhi_text::MaskConfig;
use sandhi_train::TrainerConfig;
use sandhi_transducer::Normalize;
use serde::{Deserialize, Serialize};

/// Which alignment the consistency loss runs along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Matching {
    /// No consistency loss.
    Off,
    /// The cheapest that has every label, at a frame no earlier than the label before: reading A.
    EveryLabel,
    /// The same, at a later frame than the label before.
    EveryLabelStrict,
    /// The cheapest that has every frame; labels may be skipped: reading B.
    EveryFrame,
    /// The cheapest that has every frame and every label: reading C.
    Forced,
    /// Labels stretched evenly to the length of the speech.
    Framewise,
    /// A random one, fixed for each pair of lengths.
    Random,
    /// Where the corpus says the labels were spoken.
    Gold,
}

/// The pointwise distance by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// The Euclidean distance, divided by the root of the width.
    L2,
    /// Its square.
    SquaredL2,
    /// Mean absolute error.
    Mae,
    /// One minus the cosine.
    Cosine,
}

impl Metric {
    pub(crate) fn distance(self) -> Distance {
        match self {
            Self::L2 => Distance::L2,
            Self::SquaredL2 => Distance::SquaredL2,
            Self::Mae => Distance::L1,
            Self::Cosine => Distance::Cosine,
        }
    }
}

/// One arm, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Which paired utterances train.
    pub(crate) paired: Paired,
    /// Of these only the first that fill so many minutes.
    pub(crate) paired_minutes: Option<f64>,
    /// What they and dev do not have.
    pub(crate) unseen: Unseen,
    /// Whether speech without transcripts is heard by a teacher first, trained likewise, and what it heard trained on.
    pub(crate) self_training: bool,
    /// At most this many utterances of each split; 0 means all.
    pub(crate) limit: usize,
    /// At most this many unpaired sentences.
    pub(crate) unpaired_sentences: usize,
    /// Unpaired sentences per step; 0 injects none.
    pub(crate) text_batch: usize,
    /// Languages share an epoch in proportion to their utterances to the power of 1 / this; without it as they are.
    pub(crate) language_temperature: Option<f64>,
    /// How the text encoder is told what is said.
    pub(crate) input: TextInput,
    /// Text positions per label of the input; 1 does not upsample.
    pub(crate) repeat: usize,
    /// Masks over the text encoder's input, of transcripts as of unpaired sentences.
    pub(crate) mask: MaskConfig,
    /// Share of the streaming decoder in every transducer loss; the full-context decoder has the rest.
    pub(crate) streaming_share: f64,
    /// λ of the auxiliary CTC loss on paired speech; 0 for none.
    pub(crate) lambda_ctc: f64,
    /// λ of writing transcripts from their own masked text; 0 for none.
    pub(crate) lambda_transcript: f64,
    /// λ of writing unpaired sentences from their masked text.
    pub(crate) lambda_text: f64,
    /// λ of the consistency loss.
    pub(crate) lambda_match: f64,
    /// The consistency loss starts at zero and reaches its λ after this share of the steps.
    pub(crate) match_warmup: f64,
    /// Along which alignment.
    pub(crate) matching: Matching,
    /// By which distance.
    pub(crate) metric: Metric,
    /// At which levels: 0 for the outputs of the speech and the text encoder, then one for each block of the shared encoders.
    pub(crate) levels: Vec<usize>,
    /// Whether every embedding is brought to mean 0 and variance 1 before it is compared.
    pub(crate) standardize: bool,
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
    /// What brings their bins to mean 0 and variance 1.
    pub(crate) normalization: Normalization,
    /// Masks over the features.
    pub(crate) augment: SpecAugmentConfig,
    /// The network.
    pub(crate) model: CascadeConfig,
    /// The optimizer and the loop.
    pub(crate) trainer: TrainerConfig,
}

impl Config {
    /// The full method at a setting; the other arms are struct updates of it.
    pub(crate) fn at(setting: &Setting) -> Self {
        let (steps, peak) = match setting.scale {
            Scale::Smoke => (16, 2e-3),
            Scale::Mini => (2100, 3e-3),
            Scale::Paper => (100_000, 1e-3),
        };
        let smoke = setting.scale == Scale::Smoke;
        let model = Self::model(setting.scale);
        // With so few steps, twice as many of half the size come further.
        let budget = match setting.scale {
            Scale::Mini => Budget {
                max_utterances: 4,
                ..BUDGET
            },
            Scale::Smoke | Scale::Paper => BUDGET,
        };
        // In several languages the paper has paired data only.
        let several = setting.corpus == "mini-multilingual";
        Self {
            paired: if several { Paired::All } else { Paired::LowResource },
            paired_minutes: None,
            unseen: Unseen::Nothing,
            self_training: false,
            limit: if smoke { 16 } else { 0 },
            unpaired_sentences: match (several, smoke) {
                (true, _) => 0,
                (_, true) => 100,
                (_, false) => 4840,
            },
            text_batch: match (several, smoke) {
                (true, _) => 0,
                (_, true) => 4,
                (_, false) => 3,
            },
            language_temperature: several.then_some(2.0),
            input: TextInput::Phones,
            repeat: 1,
            mask: MaskConfig { rate: 0.15, span: 2 },
            streaming_share: 0.5,
            lambda_ctc: 0.5,
            lambda_transcript: 0.3,
            lambda_text: if several { 0.0 } else { 1.0 },
            // Chosen on dev of seed 0, in each setting; see group weights.
            lambda_match: if several { 0.1 } else { 3.0 },
            match_warmup: 0.2,
            matching: Matching::EveryLabel,
            metric: Metric::L2,
            levels: (1..=model.streaming_blocks + model.full_blocks).collect(),
            standardize: false,
            // Some French says a label in less than a frame if it is said faster, which CTC cannot align.
            speeds: match (several, smoke) {
                (_, true) => vec![1.0],
                (true, _) => vec![0.9, 1.0],
                (false, _) => vec![0.9, 1.0, 1.1],
            },
            max_symbols: 4,
            beam: None,
            budget,
            fbank: FbankConfig::kaldi(),
            normalization: Normalization::Corpus,
            augment: defaults::augment(),
            model,
            trainer: defaults::trainer(smoke, steps, peak),
        }
    }

    /// The paper gives no sizes. At scale paper they are those of JOIST, its parent: 5 causal blocks before and 12 after the
    /// point where text comes in, of which the last are not causal.
    fn model(scale: Scale) -> CascadeConfig {
        // Frames of 40 ms: at scale mini 320 ms of speech at a time, which see the 960 ms before them.
        let context = |size, left| AttentionContext::Chunked {
            size,
            left: Some(left),
            right: 0,
        };
        let block = |dim, feed_forward, heads, kernel, context| ConformerConfig {
            dim,
            heads,
            kernel,
            feed_forward,
            dropout: 0.1,
            recompute: false,
            context,
        };
        let sizes = |block, channels, blocks: [usize; 4], width| CascadeConfig {
            num_bins: 80,
            channels,
            block,
            speech_blocks: blocks[0],
            text_blocks: blocks[1],
            streaming_blocks: blocks[2],
            full_blocks: blocks[3],
            predictor_dim: width,
            predictor_layers: 1,
            joiner_dim: width,
        };
        match scale {
            Scale::Smoke => sizes(block(64, 256, 2, 7, context(4, 8)), 8, [1, 1, 1, 1], 64),
            Scale::Mini => sizes(block(96, 256, 4, 15, context(8, 24)), 16, [1, 1, 2, 2], 96),
            Scale::Paper => sizes(block(512, 2048, 8, 15, context(8, 64)), 128, [5, 2, 7, 5], 640),
        }
    }

    /// Refuses values that no training can honour and that nobody else looks at.
    pub(crate) fn check(&self) -> Result<()> {
        let last = self.last_level();
        let beyond = self.levels.iter().find(|&&level| level > last);
        ensure!(
            beyond.is_none() && (!self.levels.is_empty() || self.matching == Matching::Off),
            "levels: expected one or more of 0 to {last}, the blocks of the shared encoders, got {:?}",
            self.levels
        );
        ensure!(self.repeat > 0, "repeat: expected 1 or more, got 0");
        for (name, weight) in [
            ("lambda_ctc", self.lambda_ctc),
            ("lambda_transcript", self.lambda_transcript),
            ("lambda_text", self.lambda_text),
            ("lambda_match", self.lambda_match),
        ] {
            ensure!(
                weight >= 0.0 && weight.is_finite(),
                "{name}: expected a weight of 0 or more, got {weight}"
            );
        }
        ensure!(
            (self.lambda_match > 0.0) == (self.matching != Matching::Off),
            "lambda_match: expected a weight above 0 with an alignment, and 0 with matching = \"off\", got {} with {:?}",
            self.lambda_match,
            self.matching
        );
        ensure!(
            (0.0..=1.0).contains(&self.match_warmup),
            "match_warmup: expected a share of the steps from 0 to 1, got {}",
            self.match_warmup
        );
        ensure!(
            (0.0..=1.0).contains(&self.streaming_share),
            "streaming_share: expected a share from 0 to 1, got {}",
            self.streaming_share
        );
        ensure!(
            self.repeat == 1 || self.matching == Matching::Off || self.matching == Matching::Framewise,
            "repeat: an alignment that is searched for wants text as it is, repeat 1, got {}",
            self.repeat
        );
        Ok(())
    }

    /// The level that the full-context decoder reads.
    pub(crate) fn last_level(&self) -> usize {
        self.model.streaming_blocks + self.model.full_blocks
    }

    /// The last encoder frame, of `frames`, that the streaming decoder waits for at one.
    pub(crate) fn streaming_reach(&self, frame: usize, frames: usize) -> usize {
        let blocks = self.model.speech_blocks + self.model.streaming_blocks;
        self.model.block.context.reach(frame, frames, blocks)
    }

    /// Whether any loss reads the text of the transcripts.
    pub(crate) fn reads_transcripts(&self) -> bool {
        self.lambda_transcript > 0.0 || self.matching != Matching::Off
    }

    /// Whether any loss needs the text encoder.
    pub(crate) fn uses_text(&self) -> bool {
        self.text_batch > 0 || self.reads_transcripts()
    }

    /// What of it is about data.
    pub(crate) fn data(&self) -> DataOptions {
        DataOptions {
            paired: self.paired,
            paired_minutes: self.paired_minutes,
            unseen: self.unseen,
            limit: self.limit,
            unpaired_sentences: self.unpaired_sentences,
            text_batch: self.text_batch,
            language_temperature: self.language_temperature,
            input: self.input,
            mask: self.mask,
            mask_transcripts: true,
            speeds: self.speeds.clone(),
            fbank: self.fbank.clone(),
            normalization: self.normalization,
            augment: self.augment.clone(),
            budget: self.budget,
            accumulate: self.trainer.accumulate,
            ctc: self.lambda_ctc > 0.0,
            all_speech: self.self_training,
        }
    }

    /// What of it is about decoding.
    pub(crate) fn decoding(&self) -> Decoding {
        Decoding {
            max_symbols: self.max_symbols,
            beam: self.beam,
            normalize: NORMALIZE,
            max_frames: self.budget.max_frames,
        }
    }

    /// What of it decides how much memory a batch needs.
    pub(crate) fn sizes(&self, parameters: usize) -> Sizes {
        let (model, shared) = (&self.model, self.last_level());
        Sizes {
            parameters,
            block: model.block.clone(),
            channels: model.channels,
            num_bins: model.num_bins,
            speech_blocks: model.speech_blocks + shared,
            text_blocks: model.text_blocks + shared,
            transcript_blocks: if self.reads_transcripts() {
                model.text_blocks + shared
            } else {
                0
            },
            positions: self.repeat,
            lattices: 2,
        }
    }

    /// About how long a run takes on one core of a current server: measured at scale mini.
    pub(crate) fn expected_seconds(&self, scale: Scale) -> Option<f64> {
        let transcripts = if self.reads_transcripts() {
            self.budget.max_utterances
        } else {
            0
        };
        let read = (self.text_batch + transcripts) as f64;
        let step = 0.11 + 0.011 * read * (1.0 + 0.7 * self.repeat.saturating_sub(1) as f64);
        match scale {
            Scale::Smoke => Some(4.0),
            Scale::Mini if self.self_training => Some(2.0 * self.trainer.steps as f64 * step),
            Scale::Mini => Some(self.trainer.steps as f64 * step),
            // Nobody has waited for it.
            Scale::Paper => None,
        }
    }
}

/// Both decoders give the blank a probability of its own and share the rest among the labels (HAT).
pub(crate) const NORMALIZE: Normalize = Normalize::Hat;

//! What of a corpus a run trains on, and how it is brought to the model.

use sandhi_audio::{FbankConfig, SpecAugmentConfig};
use sandhi_text::MaskConfig;
use serde::{Deserialize, Serialize};

/// Which paired utterances train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paired {
    /// All of them.
    All,
    /// The corpus' low-resource subset; the other transcripts are unpaired text.
    LowResource,
}

/// What a batch may cost; see [`sandhi_corpus::BatchBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Feature frames, padded.
    pub max_frames: usize,
    /// Cells of the lattices, padded.
    pub max_cells: usize,
    /// Utterances.
    pub max_utterances: usize,
}

/// What paired speech and dev do not have, and a test does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// Nothing but what the corpus itself keeps apart.
    #[default]
    Nothing,
    /// Sentences about food; `test-food` has those of the training speech that stays unpaired. For the embedded corpus.
    Food,
    /// French; `test-fr` has it. For the multilingual corpus.
    French,
}

/// How the text encoder is told what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextInput {
    /// By the labels that the decoder writes.
    Labels,
    /// By phones from the corpus' lexicon, words it lacks letter by letter.
    Phones,
}

/// What brings feature bins to mean 0 and variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Mean and variance of the utterance, once all of it is there.
    Utterance,
    /// Those of the paired training speech: what a stream can do.
    Corpus,
}

/// Everything [`Data`](crate::Data) and [`Batches`](crate::Batches) want to know. An experiment makes it from its own
/// configuration, which alone is written down.
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// Which paired utterances train.
    pub paired: Paired,
    /// Of these only the first that fill so many minutes, those of the low-resource subset before all others.
    pub paired_minutes: Option<f64>,
    /// What they and dev do not have.
    pub unseen: Unseen,
    /// At most this many utterances of each split; 0 means all.
    pub limit: usize,
    /// At most this many unpaired sentences: of the corpus' grammar, or the transcripts left unpaired where it has none.
    pub unpaired_sentences: usize,
    /// Unpaired sentences per part of a step; 0 injects no text.
    pub text_batch: usize,
    /// Languages share an epoch in proportion to their utterances to the power of 1 / this; without it as they are.
    pub language_temperature: Option<f64>,
    /// How the text encoder is told what is said.
    pub input: TextInput,
    /// Masks over the text encoder's input.
    pub mask: MaskConfig,
    /// Whether that of the transcripts is masked too, and not only that of unpaired sentences.
    pub mask_transcripts: bool,
    /// Speeds at which a training utterance may be heard; one is drawn per epoch.
    pub speeds: Vec<f64>,
    /// Features.
    pub fbank: FbankConfig,
    /// What brings their bins to mean 0 and variance 1.
    pub normalization: Normalization,
    /// Masks over the features.
    pub augment: SpecAugmentConfig,
    /// Paired batches.
    pub budget: Budget,
    /// Parts of a step.
    pub accumulate: usize,
    /// Whether a CTC loss has to be possible for every utterance.
    pub ctc: bool,
    /// Whether all training speech is wanted, transcripts or not.
    pub all_speech: bool,
}

#[cfg(test)]
impl DataOptions {
    /// A little of everything.
    pub(crate) fn for_tests() -> Self {
        Self {
            paired: Paired::LowResource,
            paired_minutes: None,
            unseen: Unseen::Nothing,
            limit: 24,
            unpaired_sentences: 200,
            text_batch: 4,
            language_temperature: None,
            input: TextInput::Phones,
            mask: MaskConfig { rate: 0.15, span: 2 },
            mask_transcripts: true,
            speeds: vec![0.9, 1.0, 1.1],
            fbank: FbankConfig::kaldi(),
            normalization: Normalization::Corpus,
            augment: SpecAugmentConfig {
                time_masks: 2,
                max_time: 25,
                max_time_fraction: 0.1,
                freq_masks: 2,
                max_freq: 15,
            },
            budget: Budget {
                max_frames: 9_600,
                max_cells: 120_000,
                max_utterances: 8,
            },
            accumulate: 1,
            ctc: true,
            all_speech: false,
        }
    }
}

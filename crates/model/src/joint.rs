//! The joint speech and text model of ASTRA.

use candle_core::Module;
use sandhi_conformer::Conformer;
use sandhi_core::{Error, Labels, Padded, Result};
use sandhi_nn::{Embedding, Linear, Mode, Params};

use crate::durations::padded_ids;
use crate::{Joiner, JoinerInputs, JointConfig, Predictor, SpeechPath};

#[derive(Clone, Debug)]
struct TextEncoder {
    embedding: Embedding,
    blocks: Conformer,
}

/// Speech encoder, text encoder, shared encoder, predictor, joiner.
///
/// ```text
/// features ─ subsampling ─ speech encoder ─┐
///                                          ├─ shared encoder ─┐
/// labels ─── embedding ──── text encoder ──┘                  ├─ joiner ─ logits
/// labels ─── predictor ───────────────────────────────────────┘
/// ```
#[derive(Clone, Debug)]
pub struct JointModel {
    path: SpeechPath,
    text: Option<TextEncoder>,
    predictor: Predictor,
    joiner: Joiner,
    ctc: Option<Linear>,
    blank: u32,
}

impl JointModel {
    /// The whole model, over `vocabulary` labels of which `blank` is one.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &JointConfig, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let scope = params.scope("text");
        let text = TextEncoder {
            embedding: Embedding::new(vocabulary, config.block.dim, &scope.scope("embedding"))?,
            blocks: Conformer::new(&config.block, config.text_blocks, &scope)?,
        };
        Ok(Self {
            text: Some(text),
            ..Self::speech_only(config, vocabulary, blank, params)?
        })
    }

    /// The same model without its text encoder, for a recipe that injects no text. All other weights start as they do
    /// in the whole model.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn speech_only(config: &JointConfig, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let (p, layers) = (config.predictor_dim, config.predictor_layers);
        Ok(Self {
            path: SpeechPath::new(config, params)?,
            text: None,
            predictor: Predictor::new(
                vocabulary,
                blank,
                p,
                layers,
                config.block.dropout,
                &params.scope("predictor"),
            )?,
            joiner: Joiner::new(
                config.block.dim,
                p,
                config.joiner_dim,
                vocabulary,
                &params.scope("joiner"),
            )?,
            ctc: None,
            blank,
        })
    }

    /// The same model with an output layer on the shared encoder for an auxiliary CTC loss. All other weights start as
    /// they do without it; decoding does not use it.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn with_ctc(self, config: &JointConfig, params: &Params) -> Result<Self> {
        let vocabulary = self.joiner.output().weight().dims()[0];
        let ctc = Linear::new(config.block.dim, vocabulary, &params.scope("ctc"))?;
        Ok(Self {
            ctc: Some(ctc),
            ..self
        })
    }

    /// Features `[B, T0, F]` to speech embeddings `[B, T, D]`, before the shared encoder.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] naming an utterance below the receptive field.
    pub fn encode_speech(&self, features: &Padded, mode: Mode) -> Result<Padded> {
        self.path.encode(features, mode)
    }

    /// Labels to text embeddings `[B, U, D]`, before the shared encoder. One position per label.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the model has no text encoder.
    pub fn encode_text(&self, labels: &Labels, mode: Mode) -> Result<Padded> {
        let missing = || Error::Invalid {
            what: "text encoder",
            why: "this model was built without one".into(),
        };
        let text = self.text.as_ref().ok_or_else(missing)?;
        let embedded = text.embedding.lookup(&padded_ids(labels))?;
        let embedded = Padded::new(embedded, labels.lengths().clone())?;
        text.blocks.encode(&embedded, mode)
    }

    /// Embeddings of either side through the shared encoder, `[B, T, D]`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn share(&self, encoded: &Padded, mode: Mode) -> Result<Padded> {
        self.path.share(encoded, mode)
    }

    /// What [`share`](Self::share) makes on its way: the embeddings themselves, then the output of each of the first
    /// `blocks` blocks of the shared encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn share_levels(&self, encoded: &Padded, blocks: usize, mode: Mode) -> Result<Vec<Padded>> {
        self.path.share_levels(encoded, blocks, mode)
    }

    /// Logits `[B, T, V]` of the CTC output layer.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the model has none, see [`with_ctc`](Self::with_ctc).
    pub fn ctc_logits(&self, shared: &Padded) -> Result<Padded> {
        let missing = || Error::Invalid {
            what: "CTC output layer",
            why: "this model was built without one".into(),
        };
        let layer = self.ctc.as_ref().ok_or_else(missing)?;
        shared.with_values(layer.forward(shared.values())?)
    }

    /// The two sides of the joiner for these frames and labels.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] if a label is outside the vocabulary; [`Error::BatchSize`] if frames and labels disagree.
    pub fn join(&self, shared: &Padded, labels: &Labels, mode: Mode) -> Result<JoinerInputs> {
        labels.check_vocabulary(self.joiner.output().weight().dims()[0])?;
        if shared.dims().0 != labels.batch_size() {
            let (expected, got) = (shared.dims().0, labels.batch_size());
            return Err(Error::BatchSize {
                what: "labels",
                expected,
                got,
            });
        }
        self.joiner.join(shared, &self.predictor.forward(labels, mode)?)
    }

    /// The id of the blank.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    pub(crate) fn joiner(&self) -> &Joiner {
        &self.joiner
    }
}

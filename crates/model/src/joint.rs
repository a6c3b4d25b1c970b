//! The joint speech and text model of ASTRA.

use candle_core::Module;
use sandhi_core::{Error, Labels, Padded, Result};
use sandhi_nn::{Linear, Mode, Params};

use crate::{Decoder, JointConfig, SpeechPath, TextEncoder};

/// Speech encoder, text encoder, shared encoder, decoder.
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
    decoder: Decoder,
    ctc: Option<Linear>,
}

impl JointModel {
    /// The whole model, over `vocabulary` labels of which `blank` is one.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &JointConfig, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let scope = params.scope("text");
        let text = TextEncoder::new(&config.block, config.text_blocks, vocabulary, &scope)?;
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
        Ok(Self {
            path: SpeechPath::new(config, params)?,
            text: None,
            decoder: Decoder::new(&config.decoder(), vocabulary, blank, params)?,
            ctc: None,
        })
    }

    /// The same model with an output layer on the shared encoder for an auxiliary CTC loss. All other weights start as
    /// they do without it; decoding does not use it.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn with_ctc(self, config: &JointConfig, params: &Params) -> Result<Self> {
        let vocabulary = self.decoder.vocabulary();
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
        self.text.as_ref().ok_or_else(missing)?.encode(labels, mode)
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

    /// Predictor and joiner.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

//! The joint model with two passes over the same speech: one while it is spoken, one when all of it is there.

use candle_core::Module;
use sandhi_conformer::{Conformer, ConformerConfig, ConvSubsampling};
use sandhi_core::{Error, Labels, Padded, Result};
use sandhi_nn::{AttentionContext, Linear, Mode, Params};
use serde::{Deserialize, Serialize};

use crate::{CascadeStream, Decoder, DecoderConfig, TextEncoder};

/// What the cascade is made of. The vocabularies come with the text front ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeConfig {
    /// Mel bins of the features.
    pub num_bins: usize,
    /// Channels of the convolutional subsampling.
    pub channels: usize,
    /// The Conformer block that all encoders are made of; its context is that of the streaming ones.
    pub block: ConformerConfig,
    /// Blocks of the speech encoder, after the subsampling.
    pub speech_blocks: usize,
    /// Blocks of the text encoder, after the embeddings.
    pub text_blocks: usize,
    /// Blocks of the shared encoder that streams.
    pub streaming_blocks: usize,
    /// Blocks of the shared encoder above it, which sees the whole utterance.
    pub full_blocks: usize,
    /// Width of the predictors.
    pub predictor_dim: usize,
    /// LSTM layers of the predictors.
    pub predictor_layers: usize,
    /// Width in which the joiners add encoder and predictor.
    pub joiner_dim: usize,
}

impl CascadeConfig {
    fn full(&self) -> ConformerConfig {
        ConformerConfig {
            context: AttentionContext::Full,
            ..self.block.clone()
        }
    }

    /// The sizes of either decoder.
    pub fn decoder(&self) -> DecoderConfig {
        DecoderConfig {
            encoder_dim: self.block.dim,
            predictor_dim: self.predictor_dim,
            predictor_layers: self.predictor_layers,
            joiner_dim: self.joiner_dim,
            dropout: self.block.dropout,
        }
    }
}

/// Causal speech encoder, text encoder, causal shared encoder, full-context shared encoder, a decoder on either of these.
///
/// ```text
/// features ─ subsampling ─ speech encoder ─┐                  ┌─ streaming decoder
///                                          ├─ streaming ──────┤
/// labels ─── embedding ──── text encoder ──┘   shared encoder └─ full-context ──── full-context decoder
///                                                                shared encoder
/// ```
///
/// Peyser et al. 2023, arXiv:2308.06125, after the cascaded encoders of Narayanan et al. 2021, arXiv:2010.14606. The text encoder
/// sees whole sentences: text is there before it is read.
///
/// # Proved by
///
/// `cascade_streams_what_it_computes_at_once`, `cascade_levels_hold_what_its_decoders_read`,
/// `cascade_of_a_batch_equals_its_utterances_whatever_the_padding_holds`.
#[derive(Clone, Debug)]
pub struct CascadeModel {
    subsampling: ConvSubsampling,
    speech: Conformer,
    text: Option<TextEncoder>,
    streaming: Conformer,
    full: Conformer,
    streaming_decoder: Decoder,
    full_decoder: Decoder,
    ctc: Option<Linear>,
    streaming_blocks: usize,
}

impl CascadeModel {
    /// The model over `vocabulary` labels of which `blank` is one, for speech alone.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &CascadeConfig, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let (block, decoder) = (&config.block, config.decoder());
        let (speech, shared) = (params.scope("speech"), params.scope("shared"));
        let decoder = |name: &str| Decoder::new(&decoder, vocabulary, blank, &params.scope(name));
        let subsampling = speech.scope("subsampling");
        Ok(Self {
            subsampling: ConvSubsampling::new(config.num_bins, config.channels, block.dim, &subsampling)?,
            speech: Conformer::new(block, config.speech_blocks, &speech)?,
            text: None,
            streaming: Conformer::new(block, config.streaming_blocks, &shared.scope("streaming"))?,
            full: Conformer::new(&config.full(), config.full_blocks, &shared.scope("full"))?,
            streaming_decoder: decoder("streaming-decoder")?,
            full_decoder: decoder("full-decoder")?,
            ctc: None,
            streaming_blocks: config.streaming_blocks,
        })
    }

    /// The same model with a text encoder over `vocabulary` labels, those of the decoders or others. All other weights start as they do without
    /// it.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn with_text(self, config: &CascadeConfig, vocabulary: usize, params: &Params) -> Result<Self> {
        let (block, scope) = (config.full(), params.scope("text"));
        let text = TextEncoder::new(&block, config.text_blocks, vocabulary, &scope)?;
        Ok(Self {
            text: Some(text),
            ..self
        })
    }

    /// The same model with an output layer on its last level for an auxiliary CTC loss. All other weights start as they do
    /// without it; decoding does not use it.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn with_ctc(self, config: &CascadeConfig, params: &Params) -> Result<Self> {
        let vocabulary = self.full_decoder.vocabulary();
        let ctc = Linear::new(config.block.dim, vocabulary, &params.scope("ctc"))?;
        Ok(Self {
            ctc: Some(ctc),
            ..self
        })
    }

    /// Features `[B, T0, F]` to speech embeddings `[B, T, D]`, before the shared encoders.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] naming an utterance below the receptive field.
    pub fn encode_speech(&self, features: &Padded, mode: Mode) -> Result<Padded> {
        self.speech.encode(&self.subsampling.forward(features)?, mode)
    }

    /// Labels to text embeddings `[B, U, D]`, before the shared encoders. One position per label.
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

    /// The embeddings themselves, then the output of each of the first `blocks` shared blocks, the streaming ones first.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn levels(&self, encoded: &Padded, blocks: usize, mode: Mode) -> Result<Vec<Padded>> {
        let streaming = blocks.min(self.streaming_blocks);
        let mut levels = self.streaming.levels(encoded, streaming, mode)?;
        if blocks > streaming {
            let above = self.full.levels(&levels[streaming], blocks - streaming, mode)?;
            levels.extend(above.into_iter().skip(1));
        }
        Ok(levels)
    }

    /// What the full-context decoder reads, from what the streaming decoder reads.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn second_pass(&self, streamed: &Padded, mode: Mode) -> Result<Padded> {
        self.full.encode(streamed, mode)
    }

    /// The level that the streaming decoder reads.
    pub fn streaming_level(&self) -> usize {
        self.streaming_blocks
    }

    /// Logits `[B, T, V]` of the CTC output layer.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the model has none, see [`with_ctc`](Self::with_ctc).
    pub fn ctc_logits(&self, last: &Padded) -> Result<Padded> {
        let missing = || Error::Invalid {
            what: "CTC output layer",
            why: "this model was built without one".into(),
        };
        let layer = self.ctc.as_ref().ok_or_else(missing)?;
        last.with_values(layer.forward(last.values())?)
    }

    /// What writes while speech goes on; it reads [`streaming_level`](Self::streaming_level).
    pub fn streaming_decoder(&self) -> &Decoder {
        &self.streaming_decoder
    }

    /// What writes once all speech is there; it reads the last level.
    pub fn full_decoder(&self) -> &Decoder {
        &self.full_decoder
    }

    /// Starts an utterance that comes piece by piece.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless the streaming encoders attend in chunks.
    pub fn stream(&self) -> Result<CascadeStream> {
        Ok(CascadeStream {
            subsampling: self.subsampling.stream(),
            speech: self.speech.stream()?,
            streaming: self.streaming.stream()?,
        })
    }
}

//! The half of a transducer that writes: predictor and joiner.

use candle_core::Tensor;
use sandhi_core::{Error, Labels, Padded, Result};
use sandhi_nn::ops::cross_entropy;
use sandhi_nn::{Mode, Params};
use serde::{Deserialize, Serialize};

use crate::{Joiner, JoinerInputs, Predictor};

/// A score whose exponential is 0, however the others stand, and that arithmetic survives.
const IMPOSSIBLE: f64 = -1e9;

/// What a decoder is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Width of the encoder it reads.
    pub encoder_dim: usize,
    /// Width of the predictor.
    pub predictor_dim: usize,
    /// LSTM layers of the predictor.
    pub predictor_layers: usize,
    /// Width in which the joiner adds encoder and predictor.
    pub joiner_dim: usize,
    /// Probability with which inputs of the predictor's layers are dropped in training.
    pub dropout: f64,
}

/// Predictor and joiner over one vocabulary; a model may have several, each on an encoder's output.
#[derive(Clone, Debug)]
pub struct Decoder {
    predictor: Predictor,
    joiner: Joiner,
    blank: u32,
}

impl Decoder {
    /// A decoder over `vocabulary` labels of which `blank` is one.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &DecoderConfig, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let (p, layers, rate) = (config.predictor_dim, config.predictor_layers, config.dropout);
        let predictor = params.scope("predictor");
        let joiner = params.scope("joiner");
        Ok(Self {
            predictor: Predictor::new(vocabulary, blank, p, layers, rate, &predictor)?,
            joiner: Joiner::new(config.encoder_dim, p, config.joiner_dim, vocabulary, &joiner)?,
            blank,
        })
    }

    /// The two sides of the joiner for these frames and labels.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] if a label is outside the vocabulary; [`Error::BatchSize`] if frames and labels disagree.
    pub fn join(&self, encoded: &Padded, labels: &Labels, mode: Mode) -> Result<JoinerInputs> {
        labels.check_vocabulary(self.vocabulary())?;
        if encoded.dims().0 != labels.batch_size() {
            let (expected, got) = (encoded.dims().0, labels.batch_size());
            return Err(Error::BatchSize {
                what: "labels",
                expected,
                got,
            });
        }
        self.joiner.join(encoded, &self.predictor.forward(labels, mode)?)
    }

    /// `[B]`, what the decoder alone gives for labels, without any speech: its internal language model,
    ///
    /// ```text
    /// −Σ_u ln softmax_{v ≠ blank}(W tanh(g_u) + b)_{y_u}
    /// ```
    ///
    /// with g_u the predictor's projection after the labels before u. It is a language model in the factorisation of HAT (Variani et
    /// al. 2020, section 3.2), where the blank has a distribution of its own; nothing says when a sentence ends.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] if a label is outside the vocabulary.
    ///
    /// # Proved by
    ///
    /// `internal_language_model_is_the_chain_rule_without_blank`, `internal_language_model_gradient_equals_differences`.
    pub fn internal_lm(&self, labels: &Labels, mode: Mode) -> Result<Tensor> {
        labels.check_vocabulary(self.vocabulary())?;
        let silence = self.joiner.silence(labels.batch_size())?;
        let mut inputs = self
            .joiner
            .join_projected(silence, &self.predictor.forward(labels, mode)?)?;
        let (batch, columns) = (labels.batch_size(), labels.max_len() + 1);
        let vocabulary = self.vocabulary();
        let allowed = (0..vocabulary).map(|v| if v == self.blank as usize { IMPOSSIBLE } else { 0.0 });
        let allowed = Tensor::from_iter(allowed, inputs.bias.device())?.to_dtype(inputs.bias.dtype())?;
        inputs.bias = (&inputs.bias + allowed)?;
        let rows = inputs.logits()?.reshape((batch * columns, vocabulary))?;
        let targets = labels.rows().iter().flat_map(|row| {
            let spoken = row.iter().map(|&label| Some(label));
            spoken.chain(std::iter::repeat(None)).take(columns)
        });
        let targets: Vec<Option<u32>> = targets.collect();
        Ok(cross_entropy(&rows, &targets, 0.0)?
            .reshape((batch, columns))?
            .sum(1)?)
    }

    /// The id of the blank.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// The number of labels, blank included.
    pub fn vocabulary(&self) -> usize {
        self.joiner.output().weight().dims()[0]
    }

    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    pub(crate) fn joiner(&self) -> &Joiner {
        &self.joiner
    }
}

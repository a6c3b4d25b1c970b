//! How the logits of a node become the scores of its two arcs.

use sandhi_core::{Error, Result};

/// How the logits of a node become probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalize {
    /// One softmax over the vocabulary, blank included.
    #[default]
    Softmax,
    /// Hybrid autoregressive transducer: the blank is a Bernoulli with the sigmoid of its logit, and the labels share
    /// the rest by a softmax among themselves (Variani et al. 2020, arXiv:2003.07705).
    Hat,
}

/// From logits to arc scores: the normalization and what people vary about it.
///
/// A [`Normalize`] alone will do wherever this is asked for.
///
/// ```
/// use sandhi_transducer::{Normalize, Scoring};
/// let plain: Scoring = Normalize::Softmax.into();
/// let clamped = Scoring { gradient_clamp: Some(1.0), ..plain };
/// assert_eq!(clamped.label_smoothing, 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scoring {
    /// Softmax or HAT.
    pub normalize: Normalize,
    /// ε in 0..1: a label arc scores (1 − ε) ln p(label) + ε · the mean of ln p over all labels but the blank. 0 is none.
    pub label_smoothing: f64,
    /// Elements of the logits' gradient are clamped to ± this much, as it is when it reaches the logits: weights and
    /// means of the objective count. torchaudio's `clamp` is the same where the losses are summed.
    pub gradient_clamp: Option<f64>,
}

impl From<Normalize> for Scoring {
    fn from(normalize: Normalize) -> Self {
        Self {
            normalize,
            ..Self::default()
        }
    }
}

impl Scoring {
    pub(crate) fn check(self, vocabulary: usize) -> Result<Self> {
        let invalid = |what, why: String| Err(Error::Invalid { what, why });
        let smoothing = self.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            return invalid(
                "label smoothing",
                format!("expected 0 <= epsilon < 1, got {smoothing}"),
            );
        }
        if smoothing > 0.0 && vocabulary < 2 {
            return invalid(
                "label smoothing",
                format!("there is no label among {vocabulary} symbols"),
            );
        }
        match self.gradient_clamp {
            // NaN is refused, too.
            Some(limit) if limit.is_nan() || limit <= 0.0 => invalid(
                "gradient clamp",
                format!("expected a positive limit, got {limit}"),
            ),
            _ => Ok(self),
        }
    }
}

//! Corpus-level error rates, always with a signature.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::edit::Edits;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Words: the word error rate, WER.
    Word,
    /// Characters: the character error rate, CER.
    Character,
}

impl Unit {
    /// The rate's short name: `wer` or `cer`.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Word => "wer",
            Self::Character => "cer",
        }
    }
}

/// How a score came to be: metric, token rule, case and punctuation treatment, version, sizes.
///
/// Two scores may be compared when their signatures are equal. Only [`error_rate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Signature(String);

impl Signature {
    fn new(unit: Unit, utterances: usize, reference_len: usize) -> Self {
        let (tokens, counted) = match unit {
            Unit::Word => ("jiwer4-words", "words"),
            Unit::Character => ("jiwer4-chars", "chars"),
        };
        let (metric, version) = (unit.metric(), env!("CARGO_PKG_VERSION"));
        let how = format!("{metric}|tok:{tokens}|case:as-is|punct:as-is|v:{version}");
        Self(format!("{how}|utts:{utterances}|{counted}:{reference_len}"))
    }

    /// The signature as text, fields separated by `|`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error rate over a corpus. Made by [`error_rate`] only, so that none goes about unsigned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Errors per hundred reference tokens, in percent. May exceed 100.
    pub value: f64,
    /// The edits of all utterances together.
    pub edits: Edits,
    /// How the value came to be.
    pub signature: Signature,
}

/// The corpus-level error rate: all errors over all reference tokens, not the mean of utterance rates.
///
/// # Equation
///
/// ```text
/// value = 100 · Σ (S + D + I) / Σ N        N: reference tokens
/// value = 100 · Σ I                        if Σ N = 0, as in jiwer 4; 0 when nothing was said or heard
/// ```
///
/// # Proved by
///
/// `error_rate_equals_jiwer`, `error_rate_without_reference_counts_insertions`.
///
/// # Example
///
/// ```
/// use sandhi_score::{Unit, error_rate, word_edits};
/// let edits = [word_edits("go west", "go east"), word_edits("stop", "stop now")];
/// let score = error_rate(Unit::Word, &edits);
/// assert!((score.value - 200.0 / 3.0).abs() < 1e-12);
/// assert!(score.signature.as_str().ends_with("utts:2|words:3"));
/// ```
pub fn error_rate(unit: Unit, edits: &[Edits]) -> Score {
    let total: Edits = edits.iter().copied().sum();
    let signature = Signature::new(unit, edits.len(), total.reference_len);
    Score {
        value: percent(total),
        edits: total,
        signature,
    }
}

/// The rate of summed edits in percent; see [`error_rate`] for what an empty reference gives.
pub(crate) fn percent(total: Edits) -> f64 {
    let tokens = total.reference_len.max(1);
    100.0 * total.errors() as f64 / tokens as f64
}

//! How consistency losses are swapped.

use candle_core::Tensor;

use crate::{ArcScores, Padded, Result};

/// Paired speech and text embeddings of the same utterances, with the lattice that aligns them.
///
/// The arcs are always there: every recipe that uses a consistency loss trains a transducer. Who has none calls a loss
/// crate's free function instead.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Speech embeddings, `[B, T, D]`.
    pub speech: &'a Padded,
    /// Text embeddings of the transcript, one per label, `[B, U, D]`.
    pub text: &'a Padded,
    /// The lattice over the same frames and labels.
    pub arcs: &'a ArcScores,
}

/// A penalty for speech and text embeddings of the same utterance being apart.
pub trait Consistency {
    /// The name the loss has in logs and reports.
    fn name(&self) -> &'static str;

    /// `[B]`: for each utterance, the distance summed along the alignment, in the distance's unit. Not reduced.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Shape`] if speech, text and arcs disagree; [`crate::Error::NoAlignment`] if an utterance has no
    /// path.
    fn loss(&self, pair: Pair<'_>) -> Result<Tensor>;
}

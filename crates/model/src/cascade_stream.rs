//! The first pass of the cascade over speech that comes piece by piece.

use candle_core::Tensor;
use sandhi_conformer::{ConformerStream, SubsamplingStream};
use sandhi_core::{Lengths, Padded, Result};

/// One utterance on its way through the causal encoders; frames leave when nothing can change them any more.
#[derive(Clone, Debug)]
pub struct CascadeStream {
    pub(crate) subsampling: SubsamplingStream,
    pub(crate) speech: ConformerStream,
    pub(crate) streaming: ConformerStream,
}

impl CascadeStream {
    /// The next feature frames, `[n, F]`; returns the frames for the streaming decoder that are ready, `[1, m, D]`, or none.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] if the width is not the configured one.
    pub fn push(&mut self, features: &Tensor) -> Result<Option<Padded>> {
        let Some(frames) = self.subsampling.push(features)? else {
            return Ok(None);
        };
        let Some(frames) = self.speech.push(&frames)? else {
            return Ok(None);
        };
        self.streaming
            .push(&frames)?
            .map(|frames| batch(&frames))
            .transpose()
    }

    /// Ends the utterance; returns the frames that waited for the rest of their chunk.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`].
    pub fn finish(mut self) -> Result<Option<Padded>> {
        let mut last = Vec::new();
        if let Some(frames) = self.speech.finish()? {
            last.extend(self.streaming.push(&frames)?);
        }
        last.extend(self.streaming.finish()?);
        match last.is_empty() {
            true => Ok(None),
            false => batch(&Tensor::cat(&last, 0)?).map(Some),
        }
    }
}

/// `[m, D]` as a batch of one.
fn batch(frames: &Tensor) -> Result<Padded> {
    let lengths = Lengths::new(vec![frames.dims()[0]]);
    Padded::new(frames.unsqueeze(0)?.contiguous()?, lengths)
}

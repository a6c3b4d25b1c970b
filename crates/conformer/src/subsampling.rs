//! From feature frames every 10 ms to encoder frames every 40 ms.

use candle_core::Module;
use sandhi_core::{Error, Lengths, Padded, Result};
use sandhi_nn::ops::{conv2d_output, zero_padding};
use sandhi_nn::{Conv2d, Linear, Params};

use crate::SubsamplingStream;

/// Feature frames that one encoder frame sees: utterances must have at least as many.
pub const RECEPTIVE_FIELD: usize = 7;

/// Feature frames from one encoder frame to the next.
pub const STRIDE: usize = 4;

/// The number of encoder frames for `features` feature frames.
pub fn frames_after(features: usize) -> usize {
    conv2d_output(conv2d_output(features))
}

/// Two 3×3 convolutions of stride 2 over time and frequency, then a linear map of the remaining bins and channels.
///
/// # Proved by
///
/// `subsampling_stream_equals_the_whole_utterance`, `subsampling_names_the_utterance_below_its_receptive_field`; what a frame sees
/// by `stacking_lies_in_the_middle_of_what_the_subsampling_sees` of `sandhi-bestrq`; gradients by those of
/// [`sandhi_nn::Conv2d`].
#[derive(Clone, Debug)]
pub struct ConvSubsampling {
    first: Conv2d,
    second: Conv2d,
    output: Linear,
}

impl ConvSubsampling {
    /// From `num_bins` features through `channels` channels to width `dim`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there are fewer than 7 bins; as [`Params::get`].
    pub fn new(num_bins: usize, channels: usize, dim: usize, params: &Params) -> Result<Self> {
        if num_bins < RECEPTIVE_FIELD {
            let why = format!("expected at least {RECEPTIVE_FIELD} bins, got {num_bins}");
            return Err(Error::Invalid {
                what: "subsampling",
                why,
            });
        }
        Ok(Self {
            first: Conv2d::new(1, channels, &params.scope("conv1"))?,
            second: Conv2d::new(channels, channels, &params.scope("conv2"))?,
            output: Linear::new(frames_after(num_bins) * channels, dim, &params.scope("output"))?,
        })
    }

    /// Starts an utterance that comes piece by piece.
    pub fn stream(&self) -> SubsamplingStream {
        SubsamplingStream::new(self.clone())
    }

    /// `[B, T0, F]` to `[B, T, D]` with T = [`frames_after`] of T0.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] naming an utterance below the receptive field; [`Error::Tensor`] on a wrong width.
    pub fn forward(&self, features: &Padded) -> Result<Padded> {
        let lengths = features.lengths().as_slice();
        if let Some(utterance) = lengths.iter().position(|&n| n < RECEPTIVE_FIELD) {
            return Err(Error::TooShort {
                utterance,
                frames: lengths[utterance],
                needed: RECEPTIVE_FIELD,
            });
        }
        let frames = Lengths::new(lengths.iter().map(|&n| frames_after(n)).collect());
        let x = zero_padding(features.values(), features.lengths())?.unsqueeze(3)?;
        let x = self.second.forward(&self.first.forward(&x)?)?;
        let (b, t, f, c) = x.dims4()?;
        Padded::new(self.output.forward(&x.reshape((b, t, f * c))?)?, frames)
    }
}

//! An utterance piece by piece, with the result of the whole.

use candle_core::{Module, Tensor};
use sandhi_core::{Error, Lengths, Padded, Result};
use sandhi_nn::AttentionContext;

use crate::block::{FeedForward, Layers};
use crate::subsampling::{ConvSubsampling, RECEPTIVE_FIELD, frames_after};

/// Feature frames from one encoder frame to the next.
const STRIDE: usize = 4;

/// A stack of Conformer blocks over an utterance that is still being spoken.
///
/// Chunks leave when they are complete, and are then what [`Conformer::encode`](crate::Conformer::encode) makes of the whole
/// utterance, whatever the pieces were. A block remembers what its attention and its convolution look back to.
///
/// Where chunks look back without limit, memory grows with the utterance and a chunk takes time in the square of what came
/// before; with `left` given neither does.
///
/// # Proved by
///
/// `conformer_stream_equals_the_whole_utterance`, `conformer_stream_refuses_what_has_to_wait`.
#[derive(Clone, Debug)]
pub struct ConformerStream {
    blocks: Vec<BlockStream>,
    chunk: usize,
    /// Frames that do not fill a chunk yet, `[n, D]`.
    waiting: Option<Tensor>,
}

impl ConformerStream {
    pub(crate) fn new(context: AttentionContext, blocks: Vec<Layers>) -> Result<Self> {
        let AttentionContext::Chunked { size, left, right: 0 } = context else {
            return Err(Error::Invalid {
                what: "stream",
                why: format!("expected chunks that see nothing after them, got {context:?}"),
            });
        };
        let block = |layers| BlockStream {
            layers,
            left,
            attended: None,
            convolved: None,
        };
        Ok(Self {
            blocks: blocks.into_iter().map(block).collect(),
            chunk: size,
            waiting: None,
        })
    }

    /// The next frames, `[n, D]`; returns those that are ready, `[m, D]`, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the width is not the configured one.
    pub fn push(&mut self, frames: &Tensor) -> Result<Option<Tensor>> {
        let frames = joined(self.waiting.take().as_ref(), frames, 0)?;
        let ready = frames.dims()[0] / self.chunk * self.chunk;
        let mut chunks = Vec::new();
        for start in (0..ready).step_by(self.chunk) {
            chunks.push(self.chunk(&frames.narrow(0, start, self.chunk)?)?);
        }
        self.waiting = last(&frames, 0, frames.dims()[0] - ready)?;
        Ok(match chunks.is_empty() {
            true => None,
            false => Some(Tensor::cat(&chunks, 0)?),
        })
    }

    /// Ends the utterance; returns the frames that were waiting for the rest of their chunk.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`].
    pub fn finish(mut self) -> Result<Option<Tensor>> {
        let waiting = self.waiting.take();
        waiting.map(|frames| self.chunk(&frames)).transpose()
    }

    fn chunk(&mut self, frames: &Tensor) -> Result<Tensor> {
        let mut x = frames.unsqueeze(0)?.contiguous()?;
        for block in &mut self.blocks {
            x = block.step(&x)?;
        }
        Ok(x.squeeze(0)?)
    }
}

/// A block, and what it looks back to.
#[derive(Clone, Debug)]
struct BlockStream {
    layers: Layers,
    /// Frames before a chunk that attention sees; without it all.
    left: Option<usize>,
    /// The attention's inputs of these, `[1, n, D]`.
    attended: Option<Tensor>,
    /// The convolution's inputs, `[1, n, 2D]`.
    convolved: Option<Tensor>,
}

impl BlockStream {
    /// One chunk, `[1, n, D]`; no graph is kept.
    fn step(&mut self, x: &Tensor) -> Result<Tensor> {
        let layers = &self.layers;
        let frames = x.dims()[1];
        let x = feed_forward(x, &layers.before)?;

        // The frames before ask again, for nothing: cheaper to write and to trust than an operation of its own.
        let h = joined(self.attended.as_ref(), &layers.attention_norm.forward(&x)?, 1)?;
        self.attended = last(&h, 1, self.left.unwrap_or(usize::MAX))?;
        let mixed = layers.attention.chunk(&h)?;
        let x = (x + newest(&mixed, frames)?)?;

        let h = layers.conv_expand.forward(&layers.conv_norm.forward(&x)?)?;
        let h = joined(self.convolved.as_ref(), &h, 1)?;
        self.convolved = last(&h, 1, layers.conv.left())?;
        let length = Lengths::new(vec![h.dims()[1]]);
        let h = newest(&layers.conv.forward(&h, &length)?, frames)?;
        let h = layers.conv_contract.forward(&layers.conv_middle.forward(&h)?)?;
        let x = (x + h)?;

        let x = feed_forward(&x, &layers.after)?;
        Ok(layers.norm.forward(&x)?.detach())
    }
}

/// x + h / 2.
fn feed_forward(x: &Tensor, layers: &FeedForward) -> Result<Tensor> {
    let h = layers.expand.forward(&layers.norm.forward(x)?)?;
    Ok((x + (layers.contract.forward(&h)? * 0.5)?)?)
}

/// The last `frames` of `[1, n, D]`.
fn newest(x: &Tensor, frames: usize) -> Result<Tensor> {
    Ok(x.narrow(1, x.dims()[1] - frames, frames)?.contiguous()?)
}

/// What came before, and what comes now.
fn joined(before: Option<&Tensor>, now: &Tensor, dim: usize) -> Result<Tensor> {
    Ok(match before {
        Some(before) => Tensor::cat(&[before, now], dim)?,
        None => now.clone(),
    })
}

/// At most `count` of the last.
fn last(x: &Tensor, dim: usize, count: usize) -> Result<Option<Tensor>> {
    let (all, count) = (x.dims()[dim], count.min(x.dims()[dim]));
    Ok(match count {
        0 => None,
        _ => Some(x.narrow(dim, all - count, count)?.contiguous()?.detach()),
    })
}

/// Subsampling of features that come piece by piece.
///
/// # Proved by
///
/// `subsampling_stream_equals_the_whole_utterance`.
#[derive(Clone, Debug)]
pub struct SubsamplingStream {
    subsampling: ConvSubsampling,
    /// Feature frames that later encoder frames see, `[n, F]`.
    waiting: Option<Tensor>,
}

impl SubsamplingStream {
    pub(crate) fn new(subsampling: ConvSubsampling) -> Self {
        Self {
            subsampling,
            waiting: None,
        }
    }

    /// The next feature frames, `[n, F]`; returns the encoder frames that saw all they see, `[m, D]`, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the width is not the configured one.
    pub fn push(&mut self, features: &Tensor) -> Result<Option<Tensor>> {
        let features = joined(self.waiting.take().as_ref(), features, 0)?;
        let all = features.dims()[0];
        if all < RECEPTIVE_FIELD {
            self.waiting = Some(features);
            return Ok(None);
        }
        let frames = frames_after(all);
        self.waiting = last(&features, 0, all - STRIDE * frames)?;
        let seen = Padded::new(features.unsqueeze(0)?.contiguous()?, Lengths::new(vec![all]))?;
        Ok(Some(
            self.subsampling.forward(&seen)?.values().squeeze(0)?.detach(),
        ))
    }
}

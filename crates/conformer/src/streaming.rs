//! An utterance piece by piece, with the result of the whole.

use candle_core::{Module, Tensor};
use sandhi_core::{Error, Lengths, Padded, Result};
use sandhi_nn::AttentionContext;

use crate::block::{FeedForward, Layers};
use crate::subsampling::{ConvSubsampling, RECEPTIVE_FIELD, STRIDE, frames_after};

/// A stack of Conformer blocks over an utterance that is still being spoken.
///
/// Frames leave when nothing can change them any more, and are then what [`Conformer::encode`](crate::Conformer::encode) makes of
/// the whole utterance, whatever the pieces were: a chunk leaves a block as soon as it is complete and its right context is there.
/// With a right context every block waits anew, for chunks of the block below, so that each adds to the delay; see
/// [`AttentionContext::reach`]. A block remembers what its attention and its convolution look back to.
///
/// Where chunks look back without limit, memory grows with the utterance and a chunk takes time in the square of what came
/// before; with `left` given neither does.
///
/// # Proved by
///
/// `conformer_stream_equals_the_whole_utterance`, `conformer_stream_waits_for_what_it_sees_and_no_longer`,
/// `conformer_stream_refuses_to_wait_for_the_end`.
#[derive(Clone, Debug)]
pub struct ConformerStream {
    blocks: Vec<BlockStream>,
}

impl ConformerStream {
    pub(crate) fn new(context: AttentionContext, blocks: Vec<Layers>) -> Result<Self> {
        let AttentionContext::Chunked { size, left, right } = context else {
            return Err(Error::Invalid {
                what: "stream",
                why: format!("expected attention in chunks, got {context:?}"),
            });
        };
        let block = |layers| BlockStream {
            layers,
            size,
            left: left.unwrap_or(usize::MAX),
            right,
            arrived: None,
            waiting: None,
            attended: None,
            convolved: None,
        };
        Ok(Self {
            blocks: blocks.into_iter().map(block).collect(),
        })
    }

    /// The next frames, `[n, D]`; returns those that are ready, `[m, D]`, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the width is not the configured one.
    pub fn push(&mut self, frames: &Tensor) -> Result<Option<Tensor>> {
        self.through(Some(frames.unsqueeze(0)?.contiguous()?), false)
    }

    /// Ends the utterance; returns the frames that were waiting for the rest of their chunk, or for what comes after it.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`].
    pub fn finish(mut self) -> Result<Option<Tensor>> {
        self.through(None, true)
    }

    fn through(&mut self, frames: Option<Tensor>, ended: bool) -> Result<Option<Tensor>> {
        let mut x = frames;
        for block in &mut self.blocks {
            x = block.push(x, ended)?;
        }
        x.map(|x| Ok(x.squeeze(0)?)).transpose()
    }
}

/// A block, what waits in it, and what it looks back to.
#[derive(Clone, Debug)]
struct BlockStream {
    layers: Layers,
    size: usize,
    /// Frames before a chunk that attention sees.
    left: usize,
    /// Frames after it.
    right: usize,
    /// Inputs that nothing was done with yet, `[1, n, D]`: layers want many frames at a time.
    arrived: Option<Tensor>,
    /// Frames between the first feed-forward module and the attention, `[1, n, D]`.
    waiting: Option<Tensor>,
    /// The attention's inputs: those of earlier frames that are looked back to, then those of `waiting`.
    attended: Option<Tensor>,
    /// The convolution's inputs that are looked back to, `[1, n, 2D]`.
    convolved: Option<Tensor>,
}

impl BlockStream {
    /// The next inputs, `[1, n, D]`; returns the chunks that are ready. No graph is kept.
    fn push(&mut self, x: Option<Tensor>, ended: bool) -> Result<Option<Tensor>> {
        if let Some(x) = x {
            self.arrived = Some(joined(self.arrived.as_ref(), &x, 1)?);
        }
        if !ended && frames(&self.arrived) + frames(&self.waiting) < self.size.saturating_add(self.right) {
            return Ok(None);
        }
        if let Some(x) = self.arrived.take() {
            let x = feed_forward(&x, &self.layers.before)?.detach();
            let h = self.layers.attention_norm.forward(&x)?.detach();
            self.waiting = Some(joined(self.waiting.as_ref(), &x, 1)?);
            self.attended = Some(joined(self.attended.as_ref(), &h, 1)?);
        }
        let mut chunks = Vec::new();
        while let (Some(waiting), Some(attended)) = (self.waiting.clone(), self.attended.clone()) {
            let ready = match ended {
                true => waiting.dims()[1].min(self.size),
                false if waiting.dims()[1] < self.size.saturating_add(self.right) => break,
                false => self.size,
            };
            chunks.push(self.chunk(&waiting, &attended, ready)?);
        }
        Ok(match chunks.is_empty() {
            true => None,
            false => Some(Tensor::cat(&chunks, 1)?),
        })
    }

    /// The first `count` frames that wait.
    fn chunk(&mut self, waiting: &Tensor, attended: &Tensor, count: usize) -> Result<Tensor> {
        let layers = &self.layers;
        let rest = waiting.dims()[1] - count;
        let before = attended.dims()[1] - waiting.dims()[1];

        // Frames before and after ask too, for nothing: cheaper to write and to trust than an operation of its own.
        let seen = before + count + self.right.min(rest);
        let mixed = layers
            .attention
            .chunk(&attended.narrow(1, 0, seen)?.contiguous()?)?;
        let x = (waiting.narrow(1, 0, count)? + mixed.narrow(1, before, count)?)?;
        self.waiting = last(waiting, 1, rest)?;
        self.attended = last(attended, 1, self.left.saturating_add(rest))?;

        let h = layers.conv_expand.forward(&layers.conv_norm.forward(&x)?)?;
        let h = joined(self.convolved.as_ref(), &h, 1)?;
        self.convolved = last(&h, 1, layers.conv.left())?;
        let length = Lengths::new(vec![h.dims()[1]]);
        let h = layers.conv.forward(&h, &length)?;
        let h = h.narrow(1, h.dims()[1] - count, count)?.contiguous()?;
        let h = layers.conv_contract.forward(&layers.conv_middle.forward(&h)?)?;
        let x = (x + h)?;

        let x = feed_forward(&x, &layers.after)?;
        Ok(layers.norm.forward(&x)?.detach())
    }
}

/// How many there are of `[1, n, D]`.
fn frames(x: &Option<Tensor>) -> usize {
    x.as_ref().map_or(0, |x| x.dims()[1])
}

/// x + h / 2.
fn feed_forward(x: &Tensor, layers: &FeedForward) -> Result<Tensor> {
    let h = layers.expand.forward(&layers.norm.forward(x)?)?;
    Ok((x + (layers.contract.forward(&h)? * 0.5)?)?)
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

//! How long each utterance of a batch is.

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

/// The number of valid positions of each utterance, on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths(Vec<usize>);

impl Lengths {
    /// One length per utterance.
    pub fn new(lengths: Vec<usize>) -> Self {
        Self(lengths)
    }

    /// The lengths in batch order.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// The number of utterances.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of utterance `b`.
    pub fn get(&self, b: usize) -> usize {
        self.0[b]
    }

    /// The longest length; 0 for an empty batch.
    pub fn max(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// The sum of all lengths.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Ones where a position is valid and zeros in the padding, `[B, extent]`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the tensor cannot be made.
    pub fn mask(&self, extent: usize, dtype: DType, device: &Device) -> Result<Tensor> {
        let rows = self
            .0
            .iter()
            .flat_map(|&n| (0..extent).map(move |i| if i < n { 1f32 } else { 0.0 }));
        Ok(Tensor::from_vec(rows.collect(), (self.len(), extent), device)?.to_dtype(dtype)?)
    }

    /// Checks that there is one length per utterance and that none exceeds the padded extent.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] or [`Error::Length`].
    pub fn check(&self, what: &'static str, batch: usize, extent: usize) -> Result<()> {
        if self.len() != batch {
            return Err(Error::BatchSize {
                what,
                expected: batch,
                got: self.len(),
            });
        }
        match self.0.iter().position(|&length| length > extent) {
            Some(utterance) => Err(Error::Length {
                what,
                utterance,
                length: self.0[utterance],
                max: extent,
            }),
            None => Ok(()),
        }
    }
}

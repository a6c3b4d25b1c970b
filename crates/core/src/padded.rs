//! A batch of vector sequences, padded to the longest.

use candle_core::{Device, Tensor};

use crate::{Error, Lengths, Result};

/// Vectors over time for each utterance: values `[B, T, D]` and the number of valid frames of each.
///
/// Whatever is stored beyond an utterance's length is padding and is never read.
#[derive(Clone, Debug)]
pub struct Padded {
    values: Tensor,
    lengths: Lengths,
}

impl Padded {
    /// Checks shapes once, so that nobody downstream has to.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless `values` is `[B, T, D]`, [`Error::BatchSize`] or [`Error::Length`] if the lengths do
    /// not fit it.
    pub fn new(values: Tensor, lengths: Lengths) -> Result<Self> {
        let (batch, extent, _) = values.dims3().map_err(|_| Error::Shape {
            what: "padded values",
            expected: "[B, T, D]".into(),
            got: values.dims().to_vec(),
        })?;
        lengths.check("padded values", batch, extent)?;
        Ok(Self { values, lengths })
    }

    /// Pads host rows (each row-major `[T_b, dim]`) with zeros to the longest.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a row is not a whole number of vectors.
    pub fn from_rows(rows: &[Vec<f32>], dim: usize, device: &Device) -> Result<Self> {
        if let Some(row) = rows.iter().find(|row| dim == 0 || row.len() % dim != 0) {
            return Err(Error::Shape {
                what: "padded rows",
                expected: format!("a multiple of {dim} values in each row"),
                got: vec![row.len()],
            });
        }
        let lengths = Lengths::new(rows.iter().map(|row| row.len() / dim).collect());
        let stride = lengths.max() * dim;
        let mut values = vec![0f32; rows.len() * stride];
        for (to, row) in values.chunks_exact_mut(stride.max(1)).zip(rows) {
            to[..row.len()].copy_from_slice(row);
        }
        let values = Tensor::from_vec(values, (rows.len(), lengths.max(), dim), device)?;
        Self::new(values, lengths)
    }

    /// The values, `[B, T, D]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The number of valid frames of each utterance.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// `(B, T, D)`.
    pub fn dims(&self) -> (usize, usize, usize) {
        let d = self.values.dims();
        (d[0], d[1], d[2])
    }

    /// The same lengths with other values, as a layer returns them.
    ///
    /// # Errors
    ///
    /// As [`Padded::new`].
    pub fn with_values(&self, values: Tensor) -> Result<Self> {
        Self::new(values, self.lengths.clone())
    }

    /// The same values, through which no gradient flows.
    pub fn detach(&self) -> Self {
        Self {
            values: self.values.detach(),
            lengths: self.lengths.clone(),
        }
    }
}

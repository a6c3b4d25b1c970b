//! The prediction network: the labels so far.

use candle_core::{Module, Tensor};
use sandhi_core::{Labels, Result};
use sandhi_nn::ops::dropout;
use sandhi_nn::{Embedding, Lstm, Mode, Params};

/// An embedding and a stack of LSTM layers.
#[derive(Clone, Debug)]
pub struct Predictor {
    embedding: Embedding,
    layers: Vec<Lstm>,
    start: u32,
    rate: f64,
    site: String,
}

impl Predictor {
    /// `layers` layers of width `dim` over `vocabulary` labels; `start` (the blank) stands before the first label.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(
        vocabulary: usize,
        start: u32,
        dim: usize,
        layers: usize,
        rate: f64,
        params: &Params,
    ) -> Result<Self> {
        let layer = |i: usize| Lstm::new(dim, dim, &params.scope(&format!("lstm{i}")));
        Ok(Self {
            embedding: Embedding::new(vocabulary, dim, &params.scope("embedding"))?,
            layers: (0..layers).map(layer).collect::<Result<_>>()?,
            start,
            rate,
            site: params.name().to_string(),
        })
    }

    /// `[B, U+1, P]`: row u has read the labels before u.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] if a label is outside the vocabulary.
    pub fn forward(&self, labels: &Labels, mode: Mode) -> Result<Tensor> {
        let extent = labels.max_len() + 1;
        let row = |row: &Vec<u32>| {
            let mut ids = vec![self.start; extent];
            ids[1..=row.len()].copy_from_slice(row);
            ids
        };
        let ids: Vec<Vec<u32>> = labels.rows().iter().map(row).collect();
        let mut x = self.embedding.lookup(&ids)?;
        for (i, layer) in self.layers.iter().enumerate() {
            x = dropout(&x, self.rate, mode.key(&format!("{}.lstm{i}", self.site)))?;
            x = layer.forward(&x)?;
        }
        Ok(x)
    }

    pub(crate) fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    pub(crate) fn layers(&self) -> &[Lstm] {
        &self.layers
    }

    pub(crate) fn start(&self) -> u32 {
        self.start
    }
}

//! The scores of a transducer lattice.

use candle_core::Tensor;

use crate::{Error, Lengths, Result};

/// Natural log-probabilities of the arcs that leave each lattice node.
///
/// At node (t, u), `u` labels are out and frame `t` is being read: `blank[t, u]` moves to frame t+1, `label[t, u]` emits
/// label u (counted from 0) and stays on the frame.
#[derive(Clone, Debug)]
pub struct ArcScores {
    blank: Tensor,
    label: Tensor,
    frames: Lengths,
    labels: Lengths,
}

impl ArcScores {
    /// `blank` is `[B, T, U+1]`, `label` is `[B, T, U]`, of one dtype.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the grids disagree, [`Error::BatchSize`] or [`Error::Length`] if a length exceeds its grid.
    pub fn new(blank: Tensor, label: Tensor, frames: Lengths, labels: Lengths) -> Result<Self> {
        let (batch, num_frames, columns) = blank.dims3().map_err(|_| Error::Shape {
            what: "blank scores",
            expected: "[B, T, U+1]".into(),
            got: blank.dims().to_vec(),
        })?;
        if columns == 0 || label.dims() != [batch, num_frames, columns - 1] || label.dtype() != blank.dtype()
        {
            return Err(Error::Shape {
                what: "label scores",
                expected: format!(
                    "[{batch}, {num_frames}, {}] {:?}",
                    columns.wrapping_sub(1),
                    blank.dtype()
                ),
                got: label.dims().to_vec(),
            });
        }
        frames.check("arc frames", batch, num_frames)?;
        labels.check("arc labels", batch, columns - 1)?;
        Ok(Self {
            blank,
            label,
            frames,
            labels,
        })
    }

    /// ln p of the blank at each node, `[B, T, U+1]`.
    pub fn blank(&self) -> &Tensor {
        &self.blank
    }

    /// ln p of the next label at each node, `[B, T, U]`.
    pub fn label(&self) -> &Tensor {
        &self.label
    }

    /// The number of frames of each utterance.
    pub fn frames(&self) -> &Lengths {
        &self.frames
    }

    /// The number of labels of each utterance.
    pub fn labels(&self) -> &Lengths {
        &self.labels
    }

    /// The same scores, through which no gradient flows: an alignment that is held.
    pub fn detach(&self) -> Self {
        Self {
            blank: self.blank.detach(),
            label: self.label.detach(),
            ..self.clone()
        }
    }
}

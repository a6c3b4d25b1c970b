//! The scores of a transducer lattice.

use candle_core::Tensor;

use crate::{Error, Lengths, Result};

/// Where the arcs of a lattice lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Topology {
    /// The standard RNN-T: a label keeps the frame, so a frame may emit any number of them (Graves 2012).
    #[default]
    Standard,
    /// At most one label a frame: a label ends its frame, as a blank does (Tripathi et al. 2019; k2 says "modified").
    Monotonic,
}

/// Natural log-probabilities of the arcs that leave each lattice node.
///
/// At node (t, u), `u` labels are out and frame `t` is being read: `blank[t, u]` moves to frame t+1, `label[t, u]` emits
/// label u (counted from 0) and stays on the frame, or ends it too if the lattice is [`Topology::Monotonic`].
#[derive(Clone, Debug)]
pub struct ArcScores {
    nodes: Tensor,
    blank: Tensor,
    label: Tensor,
    frames: Lengths,
    labels: Lengths,
    topology: Topology,
}

impl ArcScores {
    /// `blank` is `[B, T, U+1]`, `label` is `[B, T, U]`, of one dtype; the topology is the standard one.
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
        let padded = label.pad_with_zeros(2, 0, 1)?;
        let nodes = Tensor::stack(&[&blank, &padded], 3)?;
        Self::from_nodes(nodes, frames, labels)
    }

    /// `nodes` is `[B, T, U+1, 2]`: the blank's score of each node beside its label's. No label leaves the last column;
    /// what stands there is not read.
    ///
    /// # Errors
    ///
    /// As [`ArcScores::new`].
    pub fn from_nodes(nodes: Tensor, frames: Lengths, labels: Lengths) -> Result<Self> {
        let (batch, num_frames, columns) = match *nodes.dims() {
            [batch, num_frames, columns, 2] if columns > 0 => (batch, num_frames, columns),
            _ => {
                return Err(Error::Shape {
                    what: "node scores",
                    expected: "[B, T, U+1, 2] with U+1 at least 1".into(),
                    got: nodes.dims().to_vec(),
                });
            }
        };
        frames.check("arc frames", batch, num_frames)?;
        labels.check("arc labels", batch, columns - 1)?;
        let column = |i: usize, columns: usize| nodes.narrow(3, i, 1)?.squeeze(3)?.narrow(2, 0, columns);
        Ok(Self {
            blank: column(0, columns)?,
            label: column(1, columns - 1)?,
            nodes,
            frames,
            labels,
            topology: Topology::Standard,
        })
    }

    /// The same scores on another lattice.
    #[must_use]
    pub fn on(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }

    /// Where the arcs lead.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Both scores of each node, `[B, T, U+1, 2]`: what a loss takes, as one gradient then serves both.
    pub fn nodes(&self) -> &Tensor {
        &self.nodes
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
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            nodes: self.nodes.detach(),
            blank: self.blank.detach(),
            label: self.label.detach(),
            ..self.clone()
        }
    }
}

//! What the encoder has to predict.

use sandhi_core::{Error, Lengths, Result};

/// One code for each encoder frame and codebook, on the host.
///
/// Usually [`RandomProjectionQuantizer::targets`](crate::RandomProjectionQuantizer::targets) makes it;
/// [`Targets::new`] takes codes from elsewhere, as clusters of k-means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    num_codebooks: usize,
    codebook_size: usize,
    /// The codes of each utterance: those of a frame side by side, one frame after the other.
    rows: Vec<Vec<u32>>,
    lengths: Lengths,
}

impl Targets {
    /// One row for each utterance: the codes of a frame side by side (one for each codebook), one frame after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is no codebook or code, or a row is not a whole number of frames; [`Error::Label`] naming a code outside its codebook.
    ///
    /// # Proved by
    ///
    /// `targets_from_elsewhere_are_checked`.
    pub fn new(rows: Vec<Vec<u32>>, num_codebooks: usize, codebook_size: usize) -> Result<Self> {
        if num_codebooks == 0 || codebook_size == 0 {
            return Err(Error::Invalid {
                what: "targets",
                why: format!(
                    "expected at least one codebook and code, got {num_codebooks} and {codebook_size}"
                ),
            });
        }
        for (utterance, row) in rows.iter().enumerate() {
            if !row.len().is_multiple_of(num_codebooks) {
                return Err(Error::Invalid {
                    what: "targets",
                    why: format!(
                        "utterance {utterance} has {} codes, expected {num_codebooks} for each frame",
                        row.len()
                    ),
                });
            }
            if let Some(position) = row.iter().position(|&code| code as usize >= codebook_size) {
                return Err(Error::Label {
                    utterance,
                    position,
                    label: row[position],
                    why: format!("the codebook has {codebook_size} codes"),
                });
            }
        }
        let lengths = Lengths::new(rows.iter().map(|row| row.len() / num_codebooks).collect());
        Ok(Self {
            num_codebooks,
            codebook_size,
            rows,
            lengths,
        })
    }

    /// The codes of each utterance: those of a frame side by side, one frame after the other.
    pub fn rows(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// The codes of frame `t` of utterance `b`, one for each codebook.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn frame(&self, b: usize, t: usize) -> &[u32] {
        &self.rows[b][t * self.num_codebooks..][..self.num_codebooks]
    }

    /// The number of encoder frames of each utterance.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// Codes for each frame.
    pub fn num_codebooks(&self) -> usize {
        self.num_codebooks
    }

    /// Codes of each codebook.
    pub fn codebook_size(&self) -> usize {
        self.codebook_size
    }
}
